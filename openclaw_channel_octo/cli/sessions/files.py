"""The embedded host's sessions as their files tell them, and their repair: by who has them, or here."""

from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from msgspec import Struct

from openclaw_channel_octo.cli.options import gateway_check
from openclaw_channel_octo.cli.output import plain
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.model import DEFAULT_TIMEOUT_S
from openclaw_channel_octo.control.client import ask
from openclaw_channel_octo.errors import ControlError, HostError, NotRunning
from openclaw_channel_octo.host.configure import DEVICE_FILE
from openclaw_channel_octo.host.embedded.repair import repair_file
from openclaw_channel_octo.host.embedded.session_log import read_content
from openclaw_channel_octo.host.fields import snapshot_of
from openclaw_channel_octo.host.locks import owner_lock
from openclaw_channel_octo.runtime.turn.recovery import RepairState
from openclaw_channel_octo.session.guard import patience_ms
from openclaw_channel_octo.session.status import RECOVERABLE, SessionSnapshot, Status

__all__ = [
    "PATIENCE_MS",
    "FoundSession",
    "fix",
    "is_fine",
    "is_in_gateway",
    "is_owned",
    "read_sessions",
]

PATIENCE_MS = patience_ms(DEFAULT_TIMEOUT_S)
"""Time without progress after which a running session is called stuck, where no configuration tells the budget."""

_LEFT_BEHIND = RECOVERABLE | {Status.RUNNING, Status.QUEUED}
"""Statuses that are wrong once no process runs the session."""


class FoundSession(Struct, frozen=True):
    """A session of a file.

    Attributes:
        agent: whose session it is, empty where a running host told of it.
        snapshot: what is known of it.
    """

    agent: str
    snapshot: SessionSnapshot

    def named(self, key: str) -> bool:
        """Return whether this is the session of a key, in any case."""
        return self.snapshot.session_key.casefold() == key.casefold()


def _files(store: Path, agent: str) -> list[tuple[str, Path]]:
    """Return agents and their files, of one agent or with an empty name of all. Raises `OSError`."""
    if not store.is_dir():
        raise FileNotFoundError(f"no folder {store}; give the bots' state folder with --store")
    try:  # not a pattern: that would pass over what must not be read, as if nothing were there
        names = sorted(each.name for each in (store / "agents").iterdir())
    except FileNotFoundError:
        return []
    if agent and names and agent not in names:
        raise FileNotFoundError(f"there is no agent {agent!r}; known: {', '.join(names)}")
    files = [(name, store / "agents" / name / "sessions" / "sessions.json") for name in names]
    return [(name, file) for name, file in files if (not agent or name == agent) and _is_there(file)]


def _is_there(file: Path) -> bool:
    """Return whether there is a file; one that must not be read is. Raises `OSError`."""
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def read_sessions(store: Path, agent: str) -> list[FoundSession]:
    """Return the sessions of one agent, or with an empty name of all, in order. Raises `OSError`, `ValueError`."""
    found = []
    for owner, file in _files(store, agent):
        try:
            entries = read_content(file)
        except ValueError as error:  # which of several agents' files it is, decides what to restore
            raise ValueError(f"{file.relative_to(store)}: {error}") from error
        for key, entry in entries.items():
            found.append(FoundSession(owner, snapshot_of(key, entry if isinstance(entry, dict) else {})))
    return sorted(found, key=lambda each: (each.agent, each.snapshot.session_key))


def is_fine(snapshot: SessionSnapshot, patience_ms: int = PATIENCE_MS) -> bool:
    """Return whether the next message is answered, at once or after a run under way.

    Args:
        snapshot: the session.
        patience_ms: milliseconds after which a run counts as stuck.
    """
    seen = snapshot.started_at or snapshot.updated_at or 0
    stuck = snapshot.status == Status.RUNNING and SystemClock().wall_ms() - seen > patience_ms
    return snapshot.status not in RECOVERABLE and not stuck


def is_owned(store: Path) -> bool | None:
    """Return whether a host has the folder, ``None`` where no host of ours ever had it. Raises `HostError`."""
    lock = owner_lock(store)
    return bool(lock.holder()) if lock.path.exists() else None


class Fix(Struct, frozen=True):
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


def fix(store: Path, agent: str, key: str, *, dry_run: bool) -> list[Fix]:
    """Have sessions repaired by the process that has them, or where there is none, here.

    Raises:
        HostError: the sessions are in a gateway, a process has them that does not answer, or a file cannot be written.
        ControlError: the process says no.
        OSError, ValueError: a file cannot be read.
    """
    if (store / "openclaw.json").exists():
        raise HostError(
            f"{store} is an OpenClaw gateway's own folder, which only the gateway may change. A new message recovers"
            f" its sessions: {gateway_check()} tells whether the bots reach it"
        )
    try:
        ask(store, "ping")
    except NotRunning:
        return _fix_files(store, agent, key, dry_run=dry_run)
    return _fix_through(store, agent, key, dry_run=dry_run)


def is_in_gateway(store: Path) -> bool:
    """Return whether the sessions of a folder's bots are in a gateway: the running bots say so, or its files."""
    try:
        return bool(ask(store, "status").get("host") == "gateway")
    except ControlError:
        return (store / DEVICE_FILE).exists() and not _files(store, "")


def _fix_files(store: Path, agent: str, key: str, *, dry_run: bool) -> list[Fix]:
    """Repair the files of a folder no process has."""
    if is_owned(store):
        raise HostError(f"a process has {store} and cannot be asked: stop it, or wait for the next message")
    files = _files(store, agent)
    if is_in_gateway(store):
        raise HostError(_in_gateway("start the bots and name one with --session"))
    found = [each for each in read_sessions(store, agent) if not key or each.named(key)]
    with nullcontext() if dry_run or not found else owner_lock(store):
        fixes = list(_fix_each(files, found, dry_run=dry_run))
    if key and found and not fixes:
        fine = "nothing to repair, the next message is answered"
        snapshot = found[0].snapshot
        return [Fix(found[0].agent, snapshot.session_key, snapshot.status, RepairState.FINE, fine)]
    return fixes


def _fix_each(files: list[tuple[str, Path]], found: list[FoundSession], *, dry_run: bool) -> Iterator[Fix]:
    for agent, file in files:
        mine = [each.snapshot for each in found if each.agent == agent]
        names = {snapshot.session_key for snapshot in mine}
        if dry_run:
            cleared, backup = [snapshot for snapshot in mine if snapshot.status in _LEFT_BEHIND], ""
        else:
            done = repair_file(file, partial(_chosen, names), SystemClock())
            cleared, backup = list(done.sessions), str(done.backup or "")
        words = "recovered with its memory"
        for one in cleared:
            yield Fix(agent, one.session_key, one.status, RepairState.REPAIRED, words, backup)


def _chosen(names: set[str], snapshot: SessionSnapshot) -> bool:
    return snapshot.session_key in names and snapshot.status in _LEFT_BEHIND


def _fix_through(store: Path, agent: str, key: str, *, dry_run: bool) -> list[Fix]:
    """Let the process that runs the bots repair the sessions."""
    if key:
        fixed = _asked(store, "", key, dry_run=dry_run)
        return [] if fixed.state == RepairState.MISSING else [fixed]
    if is_in_gateway(store):
        raise HostError(_in_gateway("name one with --session"))
    left = [each for each in read_sessions(store, agent) if each.snapshot.status in _LEFT_BEHIND]
    fixes = [_asked(store, each.agent, each.snapshot.session_key, dry_run=dry_run) for each in left]
    return [each for each in fixes if each.state in {RepairState.REPAIRED, RepairState.CHANGED}]


def _asked(store: Path, agent: str, key: str, *, dry_run: bool) -> Fix:
    answer = ask(store, "session.repair", {"session": key, "dry_run": dry_run})
    return Fix(agent=agent, session=key, **answer)


def _in_gateway(what: str) -> str:
    return (
        f"the sessions are in the gateway, which recovers them with the next message: {gateway_check()}"
        f" tells whether the bots reach it. To have the bots look at one session now, {what}"
    )
