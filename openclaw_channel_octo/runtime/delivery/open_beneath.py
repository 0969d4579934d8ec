"""Files an answer may send: opened inside given folders and nowhere else (reference-behaviour §2.4, defect 51)."""

import asyncio
import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

from msgspec import Struct

from openclaw_channel_octo.config.texts import Reason
from openclaw_channel_octo.errors import OctoError
from openclaw_channel_octo.rest.upload import SourceChanged

__all__ = ["FileRefused", "OpenFile", "Root", "folder_root", "open_beneath"]

OUTSIDE = Reason("file_outside")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_INSIDE = _FOLDER | os.O_NOFOLLOW
# Not blocking: a pipe that takes a file's place must not hold up the answer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_REASONS = {
    errno.ENOENT: Reason("file_gone"),
    errno.ENOTDIR: Reason("file_gone"),
    errno.ELOOP: Reason("file_link"),
}


class FileRefused(OctoError):
    """A file is not sent.

    Args:
        reason: why, for people.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Root(Struct, frozen=True, kw_only=True):
    """A folder from which files may be sent.

    Attributes:
        paths: how files in it may be named: absolute spellings of the folder, none of which is looked up.
        open: returns a descriptor of the folder, the caller's to close. Raises `OSError`.
        of_a_run: whether an agent writes there. Then a file with a second name is refused, which may be one of the
            host's that the agent has linked, and so is what lies on another file system. An operator's folder is
            taken as it is: backups and package stores link files, and whoever may put files there may send them.
    """

    paths: tuple[Path, ...]
    open: Callable[[], int]
    of_a_run: bool = False


def folder_root(path: Path) -> Root:
    """Return a folder of the operator's, absolute, which may be reached through links."""
    return Root(paths=(path, path.resolve()), open=partial(os.open, path, _FOLDER))


class OpenFile:
    """A file that was found inside; whatever is put in its place afterwards is not read.

    Args:
        descriptor: the open file, closed by `open_beneath`.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        """Bytes when it was opened; what is added later is not read."""

    async def read(self, offset: int, length: int) -> bytes:
        """Return exactly these bytes. Raises `SourceChanged` where they are gone or cannot be read."""
        return await asyncio.to_thread(self._read, offset, length)

    def head(self, length: int) -> bytes:
        """Return the file's first bytes, fewer where it is shorter. Raises `OSError`."""
        return os.pread(self._descriptor, length, 0)

    def _read(self, offset: int, length: int) -> bytes:
        parts: list[bytes] = []
        while length:
            try:
                part = os.pread(self._descriptor, length, offset)
            except OSError as error:
                raise SourceChanged(Reason("file_lost", error.strerror or "")) from error
            if not part:
                raise SourceChanged(Reason("file_shrank"))
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)


@contextmanager
def open_beneath(path: str, roots: Sequence[Root]) -> Iterator[OpenFile]:
    """Open a file below one of the folders.

    Every step below the folder is taken from the one before it and follows no link, so that nothing can be
    exchanged between the check and the use.

    Args:
        path: absolute.
        roots: folders that count; the first that the path begins with.

    Raises:
        FileRefused: it is not inside, is no ordinary file, or cannot be opened.
    """
    root, steps = _inside(path, roots)
    try:
        descriptor = _walk(root, steps)
    except OSError as error:
        raise FileRefused(_REASONS.get(error.errno or 0, Reason("file_unreadable"))) from None
    except ValueError:  # a name no file can have
        raise FileRefused(_REASONS[errno.ENOENT]) from None
    try:
        yield OpenFile(descriptor)
    finally:
        os.close(descriptor)


def _inside(path: str, roots: Sequence[Root]) -> tuple[Root, tuple[str, ...]]:
    wanted = PurePosixPath(path)
    if ".." not in wanted.parts:
        for root in roots:
            for spelling in root.paths:
                if wanted.is_relative_to(spelling) and (steps := wanted.relative_to(spelling).parts):
                    return root, steps
    raise FileRefused(OUTSIDE)


def _walk(root: Root, steps: tuple[str, ...]) -> int:
    """Return the open file at the end of the steps. Raises `OSError` and `FileRefused`."""
    folder = root.open()
    try:
        device = os.fstat(folder).st_dev
        for step in steps[:-1]:
            below = os.open(step, _INSIDE, dir_fd=folder)
            os.close(folder)
            folder = below
        # Folders only: on an overlay a file may have another device than the folder it lies in.
        if root.of_a_run and os.fstat(folder).st_dev != device:
            raise FileRefused(OUTSIDE)
        mode = os.stat(steps[-1], dir_fd=folder, follow_symlinks=False).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):  # a link is refused by name, below
            raise FileRefused(Reason("file_special"))
        descriptor = os.open(steps[-1], _FILE, dir_fd=folder)
    finally:
        os.close(folder)
    found = os.fstat(descriptor)
    linked = root.of_a_run and found.st_nlink > 1
    if linked or not stat.S_ISREG(found.st_mode):  # the latter was exchanged in this moment
        os.close(descriptor)
        raise FileRefused(_REASONS[errno.ELOOP] if linked else Reason("file_special"))
    return descriptor
