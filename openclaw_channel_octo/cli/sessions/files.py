"""The embedded host's sessions as their files tell them, read and never changed."""

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.model import DEFAULT_TIMEOUT_S
from openclaw_channel_octo.host.embedded.session_file import parse_content
from openclaw_channel_octo.host.fields import snapshot_of
from openclaw_channel_octo.host.locks import owner_lock
from openclaw_channel_octo.session.guard import Plan, Situation, patience_ms, plan
from openclaw_channel_octo.session.key import kind_of
from openclaw_channel_octo.session.status import RECOVERABLE, SessionSnapshot, Status

__all__ = ["FoundSession", "is_fine", "is_owned", "read_sessions", "session_files", "todo_of"]

PATIENCE_MS = patience_ms(DEFAULT_TIMEOUT_S)
"""Time without progress after which a running session is called stuck, where no configuration tells the budget."""


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


def session_files(store: Path, agent: str) -> list[tuple[str, Path]]:
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
    return sorted(_read(store, agent), key=lambda each: (each.agent, each.snapshot.session_key))


def _read(store: Path, agent: str) -> Iterator[FoundSession]:
    for owner, file in session_files(store, agent):
        try:
            entries = parse_content(file.read_bytes() or b"{}")
        except ValueError as error:  # which of several agents' files it is, decides what to restore
            raise ValueError(f"{file.relative_to(store)}: {error}") from error
        for key, entry in entries.items():
            yield FoundSession(owner, snapshot_of(key, entry if isinstance(entry, dict) else {}))


def is_fine(snapshot: SessionSnapshot, patience_ms: int = PATIENCE_MS) -> bool:
    """Return whether the next message is answered, at once or after a run under way.

    Args:
        snapshot: the session.
        patience_ms: milliseconds after which a run counts as stuck.
    """
    seen = snapshot.started_at or snapshot.updated_at or 0
    stuck = snapshot.status == Status.RUNNING and SystemClock().wall_ms() - seen > patience_ms
    return snapshot.status not in RECOVERABLE and not stuck


def todo_of(snapshot: SessionSnapshot) -> Plan:
    """Return what the guard will do with the next message, as far as the file tells."""
    now_ms = SystemClock().wall_ms()
    kind = kind_of(snapshot.session_key)
    return plan(
        snapshot, Situation(now_ms=now_ms, kind=kind, patience_ms=PATIENCE_MS, waiting_since_ms=now_ms)
    )


def is_owned(store: Path) -> bool | None:
    """Return whether a host has the folder, ``None`` where no host of ours ever had it. Raises `HostError`."""
    lock = owner_lock(store)
    return bool(lock.holder()) if lock.path.exists() else None
