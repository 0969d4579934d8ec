"""A lease in a file: a lock that the kernel takes back when its holder dies."""

import errno
import fcntl
import os
import stat
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from openclaw_channel_octo.errors import StoreError
from openclaw_channel_octo.runtime.connection.holders import UNKNOWN, process_words

__all__ = ["FileLease", "own_folder"]

FILE = "leases"
"""Name of the file with the locks in a user's own folder; it has no content."""

SHARED_FILE = "openclaw-octo-leases"
"""Its name in a folder of all users."""

_OFFSET_BYTES = 7
"""Bytes of a name's hash that say where its lock lies: the offset stays below 2**56, within every ``off_t``."""

_HELD = {errno.EACCES, errno.EAGAIN}  # POSIX allows either for a lock of another process
_NO_DESCRIPTORS = {errno.EMFILE, errno.ENFILE}

_ADVICE = {
    errno.EMFILE: "this process has no file descriptors left: raise its limit (ulimit -n, LimitNOFILE=)",
    errno.ENFILE: "the machine has no file descriptors left: raise fs.file-max, or end what holds them",
    errno.ENOSPC: "the disk is full: free space there",
    errno.EDQUOT: "the disk quota is used up: free space there",
    errno.EROFS: "it is read-only: make it writable, or point XDG_RUNTIME_DIR elsewhere",
    errno.ENOLCK: "its file system gives no more locks: point XDG_RUNTIME_DIR to a local folder",
}
_OTHER_ADVICE = "make it a folder of this user with mode 0700, or point XDG_RUNTIME_DIR elsewhere"

_SHARED_ADVICE = "somebody else may have put it there: have an administrator remove it while no bot runs"

_OLD_LOCK = (0x40000000, 512)
"""Offset and length of SQLite's locks, in which earlier versions kept a lease."""


class FileLease:
    """A lease on one machine: an exclusive lock on one byte of a file that all leases of the folder share.

    The lock is a POSIX record lock (``fcntl``). The kernel gives it back with its process, names the process that
    holds it, and never passes it on to children, so that the agent of a killed bot does not keep the bot's lease.
    Linux and macOS have it. Open-file-description locks have none of the last three.

    A record lock has two traps: a process never excludes itself, and closing any descriptor of the file drops all its
    locks. Therefore the leases of a process are registered here, and share one descriptor that is open while any of
    them is held.

    No method waits, neither for another process nor in another thread: a cancelled `acquire` has taken nothing.

    Args:
        folder: a private folder that all processes of the user share; made when missing.
        name: what the lease is for; only its hash leaves the process.
        shared: whether the folder is one of all users, such as ``/var/tmp``, and the file in it everybody's.
    """

    def __init__(self, folder: Path, name: str, *, shared: bool = False) -> None:
        self._folder = folder
        self._shared = shared
        self._offset = int.from_bytes(sha256(name.encode()).digest()[:_OFFSET_BYTES])
        self._held: _LockFile | None = None

    async def acquire(self) -> bool:
        """Take the lease; return whether it was free.

        Raises:
            StoreError: the folder cannot be used, or belongs to somebody else; retryable where only file descriptors
                are missing.
        """
        if self._held is not None:
            return True
        with _lock_file(self._folder, shared=self._shared) as file:
            if not file.take(self._offset):
                return False
            self._held = file
        return True

    async def release(self) -> None:
        """Give the lease back; without effect when it is not held."""
        held, self._held = self._held, None
        if held is not None:
            with _registry:
                held.give_back(self._offset)

    def holder(self) -> str:
        """Return the process that holds the lease, as far as the kernel tells."""
        with suppress(StoreError), _lock_file(self._folder, shared=self._shared) as file:
            if process_id := file.holder(self._offset):
                return process_words(process_id)
        return UNKNOWN


_registry = threading.RLock()
"""Held by whoever looks at or changes `_files`: channels of one process may run in several threads."""

_files: dict[tuple[int, int], "_LockFile"] = {}
"""Open lock files of this process by device and inode."""


class _LockFile:
    """The open file with the locks. Every call is made with `_registry` held."""

    def __init__(self, descriptor: int, key: tuple[int, int]) -> None:
        self._descriptor = descriptor
        self._key = key
        self._offsets: set[int] = set()

    def take(self, offset: int) -> bool:
        """Lock one byte; return whether nobody had it. Raises `OSError` where there are no locks."""
        if offset in self._offsets or not _try_lock(self._descriptor, offset, 1):
            return False
        self._offsets.add(offset)
        return True

    def give_back(self, offset: int) -> None:
        """Unlock one byte; the last one closes the file."""
        self._offsets.discard(offset)
        with suppress(OSError):  # closing unlocks too
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, offset)
        self.close_unused()

    def holder(self, offset: int) -> int:
        """Return the id of the process that has a byte, 0 where it is unknown. Raises `OSError`."""
        if offset in self._offsets:
            return os.getpid()
        return _locked_by(self._descriptor, offset)

    def close_unused(self) -> None:
        """Close the file unless this process holds a lock in it, which closing would drop."""
        if not self._offsets and _files.pop(self._key, None) is not None:
            os.close(self._descriptor)


@contextmanager
def _lock_file(folder: Path, *, shared: bool) -> Iterator[_LockFile]:
    """Give the folder's lock file, which is closed again unless a lock was taken in it.

    Raises:
        StoreError: it cannot be used; the message says what to do.
    """
    with _registry:
        try:
            if shared:
                file = _opened(folder / SHARED_FILE, _open_shared)
            else:
                own_folder(folder)
                file = _opened(folder / FILE, _open_own)
            try:
                yield file
            finally:
                file.close_unused()
        except OSError as error:
            advice = _ADVICE.get(error.errno or 0, _SHARED_ADVICE if shared else _OTHER_ADVICE)
            reason = error.strerror or str(error)
            place = folder / SHARED_FILE if shared else folder
            raise StoreError(
                f"no lease can be kept in {place} ({reason}): {advice}",
                retryable=error.errno in _NO_DESCRIPTORS,
            ) from error


def _opened(path: Path, open_file: Callable[[Path], int]) -> _LockFile:
    """Return a lock file; the one that is open already wherever this process has it."""
    with suppress(FileNotFoundError):
        found = path.lstat()
        if known := _files.get((found.st_dev, found.st_ino)):
            return known
    descriptor = open_file(path)
    found = os.fstat(descriptor)
    file = _files[found.st_dev, found.st_ino] = _LockFile(descriptor, (found.st_dev, found.st_ino))
    return file


_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


def _open_own(path: Path) -> int:
    descriptor = os.open(path, _FLAGS | os.O_CREAT, 0o600)
    _remove_old(path.parent)
    return descriptor


def _open_shared(path: Path) -> int:
    """Open a file that every user can lock, made where missing."""
    with suppress(FileExistsError):
        descriptor = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        os.fchmod(descriptor, 0o666)  # whatever the umask
        return descriptor
    return os.open(
        path, _FLAGS
    )  # without O_CREAT: systems refuse that for another user's file in such a folder


def _remove_old(folder: Path) -> None:
    """Remove the files in which earlier versions kept one lease each; what fails is left for the next process."""
    with suppress(OSError):
        for path in folder.glob("*.lease"):
            _remove_unheld(path)


def _remove_unheld(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        offset, length = _OLD_LOCK
        if _try_lock(descriptor, offset, length):
            for beside in (path.with_suffix(".pid"), path.with_suffix(".lease-journal"), path):
                beside.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, offset: int, length: int) -> bool:
    """Lock bytes of a file; return whether no other process has any of them. Raises `OSError`."""
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, length, offset)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise
    return True


def _locked_by(descriptor: int, offset: int) -> int:
    """Return the id of the process that has a byte, 0 for none or one whose id means nothing here."""
    lock, at, length = (fcntl.F_WRLCK, os.SEEK_SET), offset, 1
    if sys.platform == "darwin":  # struct flock begins with the numbers there, and with the kind elsewhere
        asked = struct.pack("@qqihh", at, length, 0, *lock)
        _, _, process_id, kind, _ = struct.unpack("@qqihh", fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    else:
        asked = struct.pack("@hhqqi0q", *lock, at, length, 0)
        kind, _, _, _, process_id = struct.unpack("@hhqqi0q", fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    return 0 if kind == fcntl.F_UNLCK else max(0, process_id)


def own_folder(folder: Path) -> None:
    """Make the folder, and make sure that nobody else put it there. Raises `OSError`."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError("it belongs to somebody else")
    folder.chmod(0o700)
