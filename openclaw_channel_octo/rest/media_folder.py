"""The private folder that fetched files lie in for a while."""

import errno
import mimetypes
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock

from openclaw_channel_octo.clock import Clock

__all__ = ["MediaFolder", "ending_of"]

KEEP_S = 3_600.0
"""How long a file stays after it was last needed."""
FULL_BYTES = 2 * 1024 * 1024 * 1024
"""Bytes that the files of one folder may have together."""

_ENDING = re.compile(r"\.[A-Za-z0-9]{1,8}\Z")
_SHAPELESS = frozenset({"application/octet-stream", "binary/octet-stream"})


class MediaFolder:
    """Files under names nobody else chose, the folder 0700, the files 0600, all of them within a bound.

    One object stands for a folder in a process: whoever writes there counts what they write. Blocking, except for
    `take`: call it in a thread.

    Args:
        path: the folder; made when it is needed.
        clock: ages and fresh names.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._bytes = 0
        self._counting = Lock()

    def place(self, ending: str = "") -> Path:
        """Make an empty file whose name has the given ending. Raises `OSError`."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)
        path = self.path / f"{self._clock.new_id()}{ending}"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        return path

    def take(self, size: int) -> bool:
        """Take room for bytes that are about to be written; return whether there is any."""
        with self._counting:
            if self._bytes + size > FULL_BYTES:
                return False
            self._bytes += size
            return True

    def write(self, content: bytes) -> Path:
        """Keep bytes in a new file. Raises `OSError`, also where the bound leaves no room."""
        path = self.place()
        if not self.take(len(content)):
            self.remove(path, 0)
            raise OSError(errno.ENOSPC, "the folder is full until old files are swept away")
        try:
            path.write_bytes(content)
        except OSError:
            self.remove(path, len(content))
            raise
        return path

    def remove(self, path: Path, taken: int) -> None:
        """Remove a file, and give back the room that was taken for it; one that was swept away has given it back."""
        with suppress(OSError):
            path.unlink()
            with self._counting:
                self._bytes = max(0, self._bytes - taken)

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
        with self._counting:
            self._bytes = left
        return swept

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in self.path.glob("*") if self.path.is_dir() else ():
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
