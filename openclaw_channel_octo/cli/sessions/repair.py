"""Repairing sessions: through the process that has them, else in their files."""

from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from msgspec import Struct

from openclaw_channel_octo.cli.output import plain
from openclaw_channel_octo.cli.sessions.files import FoundSession, is_owned, read_sessions, session_files
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.control.client import ask
from openclaw_channel_octo.errors import ControlError, HostError
from openclaw_channel_octo.host.configure import DEVICE_FILE
from openclaw_channel_octo.host.embedded.repair import repair_file
from openclaw_channel_octo.host.locks import owner_lock
from openclaw_channel_octo.runtime.turn.recovery import RepairState
from openclaw_channel_octo.session.status import RECOVERABLE, SessionSnapshot, Status

__all__ = ["Fix", "fix_files", "fix_through", "kept_elsewhere"]

_LEFT_BEHIND = RECOVERABLE | {Status.RUNNING, Status.QUEUED}
"""Statuses that are wrong once no process runs the session."""


class Fix(Struct, frozen=True, kw_only=True):
    """What was done about one session.

    Attributes:
        agent: whose session it is, empty where a host told of it.
        session: its key.
        status: its status before.
        state: see `RepairState`.
        detail: the same in words.
        backup: the copy of the file as it was, empty where the file was not changed here.
    """

    agent: str
    session: str
    status: str | None
    state: str
    detail: str
    backup: str = ""

    @property
    def failed(self) -> bool:
        """Whether the session still is what it was and will not simply answer."""
        return self.state not in {RepairState.REPAIRED, RepairState.FINE}

    def line(self, *, dry_run: bool) -> str:
        """Return what was done, or would be, for people."""
        would = "would be " if dry_run and self.state == RepairState.REPAIRED else ""
        lines = [self.session, f"  was {self.status or 'new'}: {would}{self.detail}"]
        copy = [f"  the file as it was: {self.backup}"] if self.backup else []
        return "\n".join(map(plain, [*lines, *copy]))


def kept_elsewhere(store: Path) -> str:
    """Return what to do where the folder is a gateway's own, empty where it is not."""
    if (store / "openclaw.json").exists():
        return (
            f"{store} is an OpenClaw gateway's own folder, which only the gateway may change. A new message recovers"
            " its sessions: openclaw-octo gateway check tells whether the bots reach it"
        )
    return ""


def is_in_gateway(store: Path) -> bool:
    """Return whether the sessions of a folder's bots are in a gateway: the running bots say so, or its files."""
    try:
        return bool(ask(store, "status").get("host") == "gateway")
    except ControlError:
        return (store / DEVICE_FILE).exists() and not session_files(store, "")


def fix_files(store: Path, agent: str, key: str, *, dry_run: bool) -> list[Fix]:
    """Repair the files of a folder no process has.

    Raises:
        HostError: a process has it that does not answer, the sessions are in a gateway, or a file cannot be written.
        OSError, ValueError: a file cannot be read.
    """
    if is_owned(store):
        raise HostError(f"a process has {store} and cannot be asked: stop it, or wait for the next message")
    files = session_files(store, agent)
    if is_in_gateway(store):
        raise HostError(_in_gateway("start the bots and name one with --session"))
    found = [each for each in read_sessions(store, agent) if not key or each.named(key)]
    with nullcontext() if dry_run or not found else owner_lock(store):
        fixes = list(_fix_each(files, found, dry_run=dry_run))
    if key and found and not fixes:
        (each,) = found[:1]
        fine = "nothing to repair, the next message is answered"
        return [_fix(each.agent, each.snapshot, RepairState.FINE, fine)]
    return fixes


def _fix_each(files: list[tuple[str, Path]], found: list[FoundSession], *, dry_run: bool) -> Iterator[Fix]:
    for agent, file in files:
        mine = [each.snapshot for each in found if each.agent == agent]
        names = {snapshot.session_key for snapshot in mine}
        if dry_run:
            cleared, backup = [snapshot for snapshot in mine if _left_behind(snapshot)], ""
        else:
            done = repair_file(file, partial(_chosen, names), SystemClock())
            cleared, backup = list(done.sessions), str(done.backup or "")
        for snapshot in cleared:
            yield _fix(agent, snapshot, RepairState.REPAIRED, "recovered with its memory", backup)


def _fix(agent: str, snapshot: SessionSnapshot, state: RepairState, detail: str, backup: str = "") -> Fix:
    return Fix(
        agent=agent,
        session=snapshot.session_key,
        status=snapshot.status,
        state=state,
        detail=detail,
        backup=backup,
    )


def _left_behind(snapshot: SessionSnapshot) -> bool:
    return snapshot.status in _LEFT_BEHIND


def _chosen(names: set[str], snapshot: SessionSnapshot) -> bool:
    return snapshot.session_key in names and _left_behind(snapshot)


def fix_through(store: Path, agent: str, key: str, *, dry_run: bool) -> list[Fix]:
    """Let the process that runs the bots repair the sessions.

    Raises:
        HostError: the sessions are in a gateway, and none was named.
        ControlError: the process says no.
        OSError, ValueError: a file cannot be read.
    """
    if key:
        fix = _asked("", key, dry_run=dry_run, store=store)
        return [] if fix.state == RepairState.MISSING else [fix]
    if is_in_gateway(store):
        raise HostError(_in_gateway("name one with --session"))
    left = [each for each in read_sessions(store, agent) if _left_behind(each.snapshot)]
    fixes = [_asked(each.agent, each.snapshot.session_key, dry_run=dry_run, store=store) for each in left]
    return [fix for fix in fixes if fix.state in {RepairState.REPAIRED, RepairState.CHANGED}]


def _asked(agent: str, key: str, *, dry_run: bool, store: Path) -> Fix:
    answer = ask(store, "session.repair", {"session": key, "dry_run": dry_run})
    return Fix(agent=agent, session=key, **answer)


def _in_gateway(what: str) -> str:
    return (
        "the sessions are in the gateway, which recovers them with the next message: openclaw-octo gateway check"
        f" tells whether the bots reach it. To have the bots look at one session now, {what}"
    )
