"""One example for each command, shown at the end of its help and in docs/commands.md."""

from collections.abc import Mapping
from types import MappingProxyType

import click

__all__ = ["EXAMPLES", "with_examples"]

EXAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "init": "init --config octo.json",
        "run": "run --config octo.json",
        "doctor": "doctor --config octo.json",
        "demo": "demo",
        "playground": "playground --config octo.json",
        "double": "double --config-out octo.json",
        "replay": "replay recordings/helper-1.wkcap",
        "capture": "capture show recordings/helper-1.wkcap",
        "capture show": "capture show recordings/helper-1.wkcap",
        "capture cut": "capture cut --from 10 --to 20 whole.wkcap part.wkcap",
        "capture redact": "capture redact --mask-text whole.wkcap shown.wkcap",
        "config": "config check octo.json",
        "config check": "config check octo.json",
        "status": "status --config octo.json --watch",
        "reload": "reload --config octo.json",
        "service": "service install --config octo.json",
        "service install": "service install --config octo.json",
        "service status": "service status",
        "service logs": "service logs",
        "service uninstall": "service uninstall",
        "journal": "journal list --config octo.json",
        "journal list": "journal list --config octo.json",
        "journal show": "journal show --config octo.json 38278145",
        "journal dead": "journal dead --config octo.json",
        "journal retry": "journal retry --config octo.json 2044043250838278145",
        "journal bury": "journal bury --config octo.json 2044043250838278145",
        "journal audit": "journal audit --config octo.json",
        "message": "message read group:9b1e --limit 20",
        "message send": "message send group:9b1e 'The build is green.'",
        "message edit": "message edit group:9b1e 2044043250838278145 'It is red.'",
        "message read": "message read group:9b1e --limit 20",
        "message search": "message search group:9b1e deployed",
        "message groups": "message groups",
        "message members": "message members group:9b1e",
        "message threads": "message threads group:9b1e",
        "message resolve": "message resolve 'Build room'",
        "message notes": "message notes group:9b1e",
        "message write-notes": "message write-notes group:9b1e --version 3 'Be brief.'",
        "message create-group": "message create-group 'Launch party' 3f0c 7d21",
        "message rename-group": "message rename-group group:9b1e 'Launch party'",
        "message add-members": "message add-members group:9b1e 3f0c",
        "message remove-members": "message remove-members group:9b1e 3f0c",
        "message create-thread": "message create-thread group:9b1e 'Launch plans'",
        "message archive-thread": "message archive-thread group:9b1e____2044043250838278145",
        "message join-thread": "message join-thread group:9b1e____2044043250838278145",
        "message leave-thread": "message leave-thread group:9b1e____2044043250838278145",
        "mcp": "mcp",
        "sessions": "sessions list --config octo.json",
        "sessions list": "sessions list --config octo.json",
        "sessions show": "sessions show --config octo.json",
        "sessions repair": "sessions repair --config octo.json --dry-run",
        "pairing": "pairing list --config octo.json",
        "pairing list": "pairing list --config octo.json",
        "pairing approve": "pairing approve --config octo.json K7QM2XWP",
        "pairing revoke": "pairing revoke --config octo.json ann",
        "gateway": "gateway check --config octo.json",
        "gateway check": "gateway check --openclaw openclaw.json --config octo.json",
        "gateway install": "gateway install --config octo.json --write",
        "gateway uninstall": "gateway uninstall --write",
    }
)
"""By the words of a command behind the program's name."""


def with_examples(name: str, command: click.Command) -> click.Command:
    """Return a command whose help, and that of every command below it, ends with its example.

    Args:
        name: the words that call it, without the program's name.
        command: the command.
    """
    if name in EXAMPLES:
        command.epilog = f"\b\nExample:\n  openclaw-octo {EXAMPLES[name]}"
    if isinstance(command, click.Group):
        for word, below in command.commands.items():
            with_examples(f"{name} {word}", below)
    return command
