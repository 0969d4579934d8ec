"""The private folder that fetched files lie in for a while."""

import errno
import logging
import mimetypes
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from msgspec import Struct, field

from openclaw_channel_octo.clock import Clock

__all__ = ["MediaFolder", "ending_of"]

_log = logging.getLogger(__name__)

KEEP_S = 3_600.0
"""How long a file stays after it was last needed."""
FULL_BYTES = 2 * 1024 * 1024 * 1024
"""Bytes that the files of one folder may have together."""

_ENDING = re.compile(r"\.[A-Za-z0-9]{1,8}\Z")
_SHAPELESS = frozenset({"application/octet-stream", "binary/octet-stream"})


class MediaFolder(Struct, eq=False):
    """Files under names nobody else chose, the folder 0700, the files 0600, all of them within a bound.

    One object stands for a folder in a process: whoever writes there counts what they write. A link in the place of
    the folder is refused: what it leads to would be swept. Blocking, except for `take`: call it in a thread.

    Attributes:
        path: the folder; made when it is needed.
        clock: ages and fresh names.
        keep_s: seconds a file stays after it was last needed.
    """

    path: Path
    clock: Clock
    keep_s: float = KEEP_S
    _bytes: int = 0
    _counting: Lock = field(default_factory=Lock)
    _told: bool = False

    def place(self, ending: str = "") -> Path:
        """Make an empty file whose name has the given ending. Raises `OSError`."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{self.clock.new_id()}{ending}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with self._opened() as folder:
            os.close(os.open(name, flags, 0o600, dir_fd=folder))
        return self.path / name

    def take(self, size: int) -> bool:
        """Take room for bytes that are about to be written; return whether there is any."""
        with self._counting:
            if self._bytes + size > FULL_BYTES:
                return False
            self._bytes += size
            return True

    def write(self, content: bytes) -> Path:
        """Keep bytes in a new file, synced to the disk. Raises `OSError`, also where the bound leaves no room."""
        path = self.place()
        if not self.take(len(content)):
            self.remove(path, 0)
            raise OSError(errno.ENOSPC, "the folder is full until old files are swept away")
        try:
            with path.open("wb") as file, self._opened() as folder:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                os.fsync(folder)
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
        now = self.clock.wall_ms() / 1000
        try:
            for path in paths:
                os.utime(path, (now, now))
        except OSError:
            return False
        return True

    def sweep(self) -> int:
        """Remove files nobody needed for `keep_s`, whichever process left them; return how many.

        A folder that cannot be opened is left alone, with one warning.
        """
        try:
            with self._opened() as folder:
                swept, left = self._swept(folder)
        except FileNotFoundError:
            swept = left = 0
        except OSError as error:
            if not self._told:
                _log.warning(
                    "%s is not swept (%s): it has to be a folder and no link", self.path, error.strerror
                )
            self._told = True
            return 0
        with self._counting:
            self._bytes = left
        return swept

    def _swept(self, folder: int) -> tuple[int, int]:
        """Remove old files; return how many, and the bytes that are left. Raises `OSError` for the folder only."""
        old = self.clock.wall_ms() / 1000 - self.keep_s
        swept = left = 0
        for name in os.listdir(folder):
            with suppress(OSError):
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if not stat.S_ISREG(found.st_mode):
                    continue
                if found.st_mtime >= old:
                    left += found.st_size
                    continue
                os.unlink(name, dir_fd=folder)
                swept += 1
        return swept, left

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """Give a descriptor of the folder, closed to other users. Raises `OSError`, also for a link."""
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.fchmod(folder, 0o700)
            yield folder
        finally:
            os.close(folder)


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
