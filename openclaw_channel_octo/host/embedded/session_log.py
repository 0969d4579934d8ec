"""The log beside ``sessions.json``: changes that are on the disk before the file has them (docs/decisions/0034)."""

import json
import logging
import os
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from openclaw_channel_octo.host.embedded.session_content import Content, parse_content, read_stamped
from openclaw_channel_octo.host.files import append_file, close_file, dump_json

__all__ = ["SessionLog", "read_content"]

logger = logging.getLogger(__name__)


class SessionLog:
    """A line for each changed entry: what it is now, and a hash of what ``sessions.json`` says of it. Blocking.

    A line counts while the file says the same of the entry. So an edit of the file wins, and so does a file that was
    written later than the log.

    Args:
        path: ``sessions.json``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(f"{path.name}.log")

    def append(self, changes: Content, file: Content) -> None:
        """Add changes of what the file has, and sync them. Raises `OSError`."""
        lines = (
            dump_json({"key": key, "entry": entry, "base": _digest(file, key)})
            for key, entry in changes.items()
        )
        append_file(self.path, b"".join(lines))

    def recover(self, file: Content, number: int) -> Content:
        """Return the changes that count beside what the file has; a damaged log is set aside, and said so.

        Args:
            file: what the file has.
            number: names a log that is set aside.
        """
        close_file(self.path)
        try:
            changes, damaged = _replay(_read(self.path), file)
        except OSError as error:
            changes, problem = {}, error.strerror
        else:
            problem = f"{damaged} of its lines cannot be read" if damaged else ""
        if problem:
            aside = self.path.with_name(f"{self.path.name}.broken-{number}")
            logger.error("%s is damaged (%s): moved to %s", self.path, problem, aside.name)
            with suppress(OSError):
                self.path.rename(aside)
        return changes

    def clear(self) -> None:
        """Delete the log: the file has its changes, or something newer."""
        with suppress(OSError):  # its lines count no longer, so that it may stay
            self.path.unlink(missing_ok=True)


def read_content(path: Path) -> Content:
    """Return what a session file and its log hold, for somebody who only looks.

    Raises:
        OSError: one of them cannot be read.
        ValueError: the file holds no sessions.
    """
    # The log first: where its owner writes the file between the two, its lines count no longer.
    log, raw = _read(SessionLog(path).path), read_stamped(path)[1]
    content = parse_content(raw) if raw.strip() else {}
    return content | _replay(log, content)[0]


def _read(path: Path) -> bytes:
    """Return what a log has, nothing where there is none. Raises `OSError`, also for a link."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # not blocking: somebody may have put a pipe there
    try:
        with open(path, "rb", opener=lambda name, _: os.open(name, flags)) as file:
            return file.read() or b""
    except FileNotFoundError:
        return b""


def _replay(log: bytes, file: Content) -> tuple[Content, int]:
    """Return the changes that count, and how many lines cannot be read; a torn last line is none of them."""
    changes: Content = {}
    damaged = 0
    for line in log.split(b"\n")[:-1]:
        try:
            row = parse_content(line)
        except ValueError:
            row = {}
        key, entry = row.get("key"), row.get("entry")
        if not isinstance(key, str) or not isinstance(entry, dict):
            damaged += 1
        elif row.get("base") == _digest(file, key):
            changes[key] = entry
    return changes, damaged


def _digest(file: Content, key: str) -> str | None:
    if key not in file:
        return None
    return blake2b(json.dumps(file[key], sort_keys=True).encode(), digest_size=16).hexdigest()
