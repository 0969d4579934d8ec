"""Repair of a ``sessions.json`` that no process works with: what its owner would clear, and nothing else."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import SessionStoreError
from openclaw_channel_octo.host.embedded import rows, session_content
from openclaw_channel_octo.host.embedded.session_file import LOCK_WAIT_S
from openclaw_channel_octo.host.embedded.session_log import SessionLog, read_content
from openclaw_channel_octo.host.fields import snapshot_of
from openclaw_channel_octo.host.files import replace_file
from openclaw_channel_octo.host.locks import locked
from openclaw_channel_octo.session.status import SessionSnapshot

__all__ = ["RepairedFile", "repair_file"]


class RepairedFile(Struct, frozen=True):
    """What was done to one file.

    Attributes:
        sessions: the sessions that were cleared, as they were before.
        backup: the file as it was before, with what its log had, beside it; ``None`` where nothing was changed.
    """

    sessions: tuple[SessionSnapshot, ...]
    backup: Path | None


def repair_file(path: Path, chosen: Callable[[SessionSnapshot], bool], clock: Clock) -> RepairedFile:
    """Clear the lifecycle fields of the chosen sessions; every other field and session stays.

    The caller holds the folder's `OwnerLock`, so a run that the file says is under way is none.

    Args:
        path: ``sessions.json``.
        chosen: says of a session whether to clear it.
        clock: names the backup, and makes ids for sessions without one.

    Raises:
        SessionStoreError: the file cannot be read or written, or holds no sessions; it is as it was.
    """
    try:
        with locked(path.with_name(f"{path.name}.lock"), LOCK_WAIT_S):
            return _repair(path, chosen, clock)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SessionStoreError(f"{path} is left as it is: {reason}") from error


def _repair(path: Path, chosen: Callable[[SessionSnapshot], bool], clock: Clock) -> RepairedFile:
    stamp, found = session_content.read_stamped(path)
    content, log = read_content(path), SessionLog(path)
    if log.path.exists():
        found = _dump(content)
    cleared = []
    for key, entry in content.items():
        if isinstance(entry, dict) and chosen(before := snapshot_of(key, entry)):
            rows.recover(entry, before, session_id=clock.new_id())
            cleared.append(before)
    if not cleared:
        return RepairedFile((), None)
    backup = _backup(path, found, clock)

    def unedited() -> None:
        if session_content.stamp_of(path) != stamp:
            raise ValueError("somebody edited it meanwhile, try again")

    data = _dump(content)
    replace_file(path, data, before_rename=unedited)
    SessionLog(path).clear()
    return RepairedFile(tuple(cleared), backup)


def _dump(content: session_content.Content) -> bytes:
    return session_content.dump_content(session_content.entry_text(*each) for each in content.items())


def _backup(path: Path, found: bytes, clock: Clock) -> Path:
    """Keep what the file held beside it, mode 0600, under a name that tells when."""
    when = datetime.fromtimestamp(clock.wall_ms() / 1000, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    backup = path.with_name(f"{path.name}.before-repair-{when}")
    if backup.exists():
        raise ValueError(f"there is a backup of this moment already, {backup.name}")
    replace_file(backup, found)
    return backup
