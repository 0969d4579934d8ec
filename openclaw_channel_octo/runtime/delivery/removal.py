"""Removal of whatever agents leave: folders as deep as they like, and links that lead anywhere."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

__all__ = ["remove"]

PASSES = 3
"""How often a folder is emptied that somebody still writes into."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(name: str, parent: int) -> None:
    """Remove what a folder has under a name, with everything in it; links are removed and never followed.

    Nothing here is recursive, and no path is ever spelled out: folders inside are first moved up, so that
    neither their depth nor the length of their names matters. What cannot be removed does not keep the rest. Blocking.

    Args:
        name: one step, without a slash; where there is no such entry, nothing is done.
        parent: descriptor of the folder.

    Raises:
        OSError: something is left; the first reason.
    """
    with suppress(OSError):  # most folders are empty
        os.rmdir(name, dir_fd=parent)
        return
    with suppress(FileNotFoundError):
        if not _is_folder(name, parent):
            os.unlink(name, dir_fd=parent)
            return
        top = _opened(name, parent)
        try:
            _empty(top)
        finally:
            os.close(top)
        os.rmdir(name, dir_fd=parent)


def _empty(top: int) -> None:
    """Remove everything in an open folder. Raises `OSError`."""
    emptying = _Emptying(top)
    for _ in range(PASSES):
        emptying.error = None
        for name in _names(top):
            emptying.remove(name)
        if emptying.error is None:
            return
    raise emptying.error or AssertionError  # the loop ends with an error only


class _Emptying:
    """Takes apart what lies in an open folder.

    Args:
        top: the folder's descriptor; what lies deeper is moved here.
    """

    def __init__(self, top: int) -> None:
        self._top = top
        token = secrets.token_hex(8)  # so that nothing has such a name already
        self._fresh = (f"{token}-{number}" for number in count())
        self.error: OSError | None = None
        """Why something is left, the first reason; ``None`` where nothing is."""

    def remove(self, name: str) -> None:
        """Remove one entry of the folder, as far as that can be done."""
        waiting = [name]
        while waiting:
            self._take_apart(waiting.pop(), waiting)

    def _take_apart(self, name: str, waiting: list[str]) -> None:
        """Remove an entry; folders in it are moved up, to be taken apart next."""
        try:
            if not _is_folder(name, self._top):
                os.unlink(name, dir_fd=self._top)
                return
            folder = _opened(name, self._top)
            try:
                for inner in _names(folder):
                    self._take_out(inner, folder, waiting)
            finally:
                os.close(folder)
            os.rmdir(name, dir_fd=self._top)
        except FileNotFoundError:
            return  # moved or removed already
        except OSError as error:
            self.error = self.error or error

    def _take_out(self, name: str, folder: int, waiting: list[str]) -> None:
        try:
            if _is_folder(name, folder):
                fresh = next(self._fresh)
                _move(name, folder, fresh, self._top)
                waiting.append(fresh)
            else:
                os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            return
        except OSError as error:
            self.error = self.error or error


def _names(folder: int) -> Iterator[str]:
    """Yield the names in a folder; what is added or removed meanwhile may be among them."""
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry.name


def _is_folder(name: str, parent: int) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)


def _opened(name: str, parent: int) -> int:
    """Return a folder opened so that entries can be taken out of it. Raises `OSError`, also for a link."""
    try:
        folder = os.open(name, _FOLDER, dir_fd=parent)
    except PermissionError:
        _allow(name, parent)
        folder = os.open(name, _FOLDER, dir_fd=parent)
    if os.fstat(folder).st_mode & stat.S_IRWXU != stat.S_IRWXU:
        with suppress(OSError):  # another user's: the first entry says so
            os.fchmod(folder, stat.S_IRWXU)
    return folder


def _move(name: str, folder: int, fresh: str, top: int) -> None:
    try:
        os.rename(name, fresh, src_dir_fd=folder, dst_dir_fd=top)
    except PermissionError:
        _allow(name, folder)  # a folder that moves is written to: it has an entry for its parent
        os.rename(name, fresh, src_dir_fd=folder, dst_dir_fd=top)


def _allow(name: str, parent: int) -> None:
    """Let a folder's owner do everything with it; never through a link. Raises `OSError`."""
    if os.chmod in os.supports_follow_symlinks:
        os.chmod(name, stat.S_IRWXU, dir_fd=parent, follow_symlinks=False)
        return
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{handle}", stat.S_IRWXU)  # noqa: PTH101  # no path: a handle
    finally:
        os.close(handle)
