"""The private folder that fetched files lie in for a while."""

import mimetypes
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from openclaw_channel_octo.clock import Clock

__all__ = ["MediaFolder", "ending_of"]

KEEP_S = 3_600.0
"""How long a file stays after it was last needed."""
FULL_BYTES = 2 * 1024 * 1024 * 1024
"""Bytes from which on no more files are taken until old ones are swept away."""

_ENDING = re.compile(r"\.[A-Za-z0-9]{1,8}\Z")
_SHAPELESS = frozenset({"application/octet-stream", "binary/octet-stream"})


class MediaFolder:
    """Files under names nobody else chose, the folder 0700, the files 0600. Blocking: call it in a thread.

    Args:
        path: the folder; made when it is needed. Bots of one process may share it.
        clock: ages and fresh names.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._bytes = 0

    def place(self, ending: str) -> Path:
        """Make an empty file whose name has the given ending. Raises `OSError`."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.chmod(0o700)
        path = self._path / f"{self._clock.new_id()}{ending}"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        return path

    def taken(self, size: int) -> None:
        """Count the bytes of a new file."""
        self._bytes += size

    def is_full(self) -> bool:
        """Return whether the files here take up all the room they may."""
        return self._bytes >= FULL_BYTES

    def keep(self, paths: Iterable[Path]) -> bool:
        """Let files stay from now on as long as new ones; return whether all of them are still there."""
        now = self._clock.wall_ms() / 1000
        try:
            for path in paths:
                os.utime(path, (now, now))
        except OSError:
            return False
        return True

    def sweep(self) -> int:
        """Remove files nobody needed for an hour, whichever process left them; return how many."""
        old = self._clock.wall_ms() / 1000 - KEEP_S
        swept = left = 0
        for path, found in self._files():
            if found.st_mtime >= old:
                left += found.st_size
                continue
            with suppress(OSError):
                path.unlink()
                swept += 1
        self._bytes = left
        return swept

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in self._path.glob("*") if self._path.is_dir() else ():
            with suppress(OSError):
                found = path.lstat()
                if stat.S_ISREG(found.st_mode):
                    yield path, found


def ending_of(name: str, mime: str, last_segment: str) -> str:
    """Return a harmless ending such as ``.png``, empty where nothing tells one.

    Args:
        name: the sender's name of the file.
        mime: its type as the server says.
        last_segment: the end of its address's path, decoded.
    """
    by_type = "" if mime in _SHAPELESS else mimetypes.guess_extension(mime) or ""
    for candidate in (name, by_type, last_segment):
        if found := _ENDING.search(candidate):
            return found[0].lower()
    return ""
