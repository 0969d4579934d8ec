"""A service of systemd: its unit (systemd.service(5), systemd.exec(5)), and the commands that look after it."""

import os
from collections.abc import Iterator
from getpass import getuser
from pathlib import Path

from msgspec import Struct

from openclaw_channel_octo.cli.service.plan import MARK, Call, Place, Plan
from openclaw_channel_octo.errors import ConfigError

__all__ = ["Systemd"]

_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108  # nothing is written there

_NOT_IN_PROGRAMS = frozenset("\"'\\")

_ALWAYS = (
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallErrorNumber=EPERM",
)

_FOR_PROGRAMS = (
    "ProtectSystem=full",
    "SystemCallFilter=~@clock @cpu-emulation @module @obsolete @raw-io @reboot @swap",
)
"""Agents that are programs write where their user may, compile code at run time, and have sandboxes of their own,
which need namespaces and a /proc of which nothing is hidden."""

_WITHOUT_PROGRAMS = (
    "ProtectSystem=strict",
    "ProtectHome=read-only",
    "RestrictNamespaces=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged",
    "UMask=0077",
)

_OF_THE_MACHINE = (
    "CapabilityBoundingSet=",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelModules=yes",
)
"""What the manager of a user may not do on every system: a unit with it would not start there."""

_OF_THE_MACHINE_WITHOUT_PROGRAMS = (
    "PrivateDevices=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
)


class Systemd(Struct, frozen=True):
    """The manager of the machine, or of this user.

    Attributes:
        place: which service.
    """

    place: Place

    @property
    def file(self) -> Path:
        """Where the unit lies."""
        if self.place.system:
            return Path("/etc/systemd/system") / f"{self.place.name}.service"
        named = os.environ.get("XDG_CONFIG_HOME", "")
        base = Path(named) if named.startswith("/") else Path.home() / ".config"
        return base / "systemd" / "user" / f"{self.place.name}.service"

    def text(self, plan: Plan) -> str:
        """Return the unit. Raises `ConfigError` where a path is one that a unit cannot hold."""
        head = f"# {MARK}, which writes it anew. Settings of your own: systemctl edit"
        return "\n".join(
            (head, *_unit(plan), "", *_service(plan), *_hardening(plan), "", *_install(plan), "")
        )

    def unloads(self) -> tuple[Call, ...]:
        """Return the commands before the service is written anew: none."""
        return ()

    def loads(self) -> tuple[Call, ...]:
        """Return the commands after the unit was written or removed."""
        return (self._call("daemon-reload"),)

    def starts(self) -> tuple[Call, ...]:
        """Return the commands that start the service, now and at every boot."""
        return (self._call("enable", self.place.name), self._call("restart", self.place.name))

    def stops(self) -> tuple[Call, ...]:
        """Return the commands that end the service, now and at every boot."""
        return (self._call("disable", "--now", self.place.name),)

    def status(self) -> Call:
        """Return the command that shows how the service is."""
        return self._call("status", "--no-pager", "--full", self.place.name)

    def logs(self, lines: int, *, follow: bool) -> Call:
        """Return the command that shows the end of the log."""
        unit = "--unit" if self.place.system else "--user-unit"
        last = "--follow" if follow else "--no-pager"
        return ("journalctl", unit, self.place.name, "--lines", str(lines), last)

    @property
    def remark(self) -> str:
        """Return what else somebody has to know, empty for nothing."""
        if self.place.system:
            return ""
        return f"It ends when you log out, unless: sudo loginctl enable-linger {getuser()}"

    def _call(self, *words: str) -> Call:
        return ("systemctl", *(() if self.place.system else ("--user",)), *words)


def _unit(plan: Plan) -> Iterator[str]:
    yield "[Unit]"
    yield f"Description=Octo bots ({plan.place.name})"
    if plan.place.system:
        yield from ("Wants=network-online.target", "After=network-online.target")
    yield from ("StartLimitIntervalSec=1h", "StartLimitBurst=60")


def _service(plan: Plan) -> Iterator[str]:
    yield "[Service]"
    yield from ("Type=notify", "NotifyAccess=main", "WatchdogSec=60", "TimeoutStartSec=2min")
    if _NOT_IN_PROGRAMS & set(plan.command[0]):
        raise ConfigError(f"systemd starts no program with quotes or \\ in its path: {plan.command[0]}")
    yield f"ExecStart=:{' '.join(map(_quoted, plan.command))}"
    yield "ExecReload=kill -HUP $MAINPID"
    yield from ("Restart=on-failure", "RestartSec=15", "RestartPreventExitStatus=2")
    # the agents of turns under way get no signal before the bots have let them end
    yield from ("KillMode=mixed", f"TimeoutStopSec={plan.stop_s:.0f}", "OOMPolicy=continue")
    if plan.place.system:
        yield from (f"User={plan.user}", f"Group={plan.group}")
    yield f"WorkingDirectory={_bare(plan.folder)}"
    yield f"Environment={_quoted(f'PATH={plan.path}')}"
    yield from (f"EnvironmentFile={_bare(file)}" for file in plan.files.variables)
    yield from (f"LoadCredential={name}:{_bare(file)}" for name, file in plan.files.credentials)
    if in_state := plan.state_in_var_lib:
        yield from (f"StateDirectory={_quoted(in_state)}", "StateDirectoryMode=0700")


def _hardening(plan: Plan) -> Iterator[str]:
    yield from _ALWAYS
    yield from _FOR_PROGRAMS if plan.runs_programs else _WITHOUT_PROGRAMS
    if not any(path.is_relative_to(folder) for path in plan.paths for folder in _TEMPORARY):
        yield "PrivateTmp=yes"
    if plan.place.system:
        yield from _OF_THE_MACHINE
        yield from () if plan.runs_programs else _OF_THE_MACHINE_WITHOUT_PROGRAMS
    if not plan.runs_programs and not plan.state_in_var_lib:
        yield f"ReadWritePaths={_quoted(str(plan.state_dir))}"
    if not plan.runs_programs and not plan.place.system:
        yield "ReadWritePaths=%t"  # what processes of this user tell each other by


def _install(plan: Plan) -> Iterator[str]:
    yield "[Install]"
    yield f"WantedBy={'multi-user' if plan.place.system else 'default'}.target"


def _quoted(text: str) -> str:
    """Return a word of a line of several; variables are not filled in there, see the colon of ``ExecStart``."""
    escaped = _printable(text).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _bare(path: Path) -> str:
    """Return a path that is the rest of its line, where no quotes are read."""
    text = _printable(str(path))
    if text != text.strip() or text.endswith("\\"):
        raise ConfigError(
            f"{text!r} cannot stand in a unit: move it to a path without blanks or \\ at its end"
        )
    return text.replace("%", "%%")


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ConfigError(f"{text!r} cannot stand in a unit: it holds characters that cannot be printed")
    return text
