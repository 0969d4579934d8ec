#!/bin/sh
# An agent program that sees its own files and nothing else of the host, by bubblewrap (https://github.com/containers/bubblewrap):
#
#     "agent": {"kind": "command", "command": ["examples/confined-agent.sh", "my-agent", "--quiet"]}
#
# It reads /usr and the files that came with the message, writes into the run's own folder and a /tmp of its own, sees
# no process of the host, and ends with this one. It reaches the network, as models need it: add --unshare-net where
# yours does not. Programs and settings outside /usr need a line --ro-bind of their own.
set -eu

if [ -n "${OPENCLAW_OUTPUT:-}" ]; then
    set -- --bind "$OPENCLAW_OUTPUT" "$OPENCLAW_OUTPUT" -- "$@"
else
    set -- -- "$@"
fi
IFS=:
for file in ${OPENCLAW_MEDIA:-}; do
    set -- --ro-bind "$file" "$file" "$@"
done
for place in /bin /sbin /lib /lib64 /etc/alternatives /etc/ssl /etc/ca-certificates /etc/resolv.conf /etc/hosts /etc/nsswitch.conf; do
    set -- --ro-bind-try "$place" "$place" "$@"
done
exec bwrap --unshare-all --share-net --die-with-parent --ro-bind /usr /usr --proc /proc --dev /dev --tmpfs /tmp "$@"
