"""Files that are private, locked, and never half-written."""

import asyncio
import errno
import fcntl
import json
import logging
import os
import pwd
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from openclaw_channel_octo.errors import HostError

__all__ = [
    "OwnerLock",
    "Stamp",
    "append_file",
    "claim_state_folder",
    "close_file",
    "dump_json",
    "locked",
    "owner_lock",
    "private_folder",
    "read_stamped",
    "replace_file",
    "stamp_of",
]

logger = logging.getLogger(__name__)

LOCK_RETRY_S = 0.005
"""Pause between two attempts at a lock somebody else holds."""

LOOKS = 5
"""Attempts at the lock of a folder: who looks for its owner has it for some microseconds."""


class Stamp(NamedTuple):
    """Identity of a file's content, as far as the file system tells."""

    device: int
    inode: int
    size: int
    mtime_ns: int


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def stamp_of(path: Path) -> Stamp | None:
    """Return the stamp of ``path``, ``None`` when there is no such file. Raises `OSError` otherwise."""
    try:
        return _stamp(path.stat())
    except FileNotFoundError:
        return None


def read_stamped(path: Path) -> tuple[Stamp | None, bytes]:
    """Return stamp and content of ``path``; ``(None, b"")`` when there is no such file. Raises `OSError`."""
    try:
        with path.open("rb") as file:
            return _stamp(os.fstat(file.fileno())), file.read()
    except FileNotFoundError:
        return None, b""


class ForeignFolder(PermissionError):
    """A folder belongs to another user: whatever lay in it would be read and written as theirs."""

    def __init__(self, path: Path, owner: int) -> None:
        what = f"it belongs to {_user(owner)}, and this process runs as {_user(os.geteuid())}"
        super().__init__(errno.EPERM, what, str(path))


def _user(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def claim_state_folder(path: Path) -> None:
    """Make a state folder, or take one that exists from other users, with all that lies in it.

    A link to a folder is followed: where state lies is the operator's choice. Blocking.

    Raises:
        HostError: it belongs to another user, also where this one is root, or it cannot be made.
    """
    try:
        if mode := private_folder(path):
            logger.warning(
                "%s was open to other users (mode %04o) and is closed to them now (0700), with all that lies in it:"
                " they may have read or changed it",
                path,
                mode,
            )
            _close_below(path)
    except ForeignFolder as error:
        raise HostError(
            f"{path} cannot be used ({error.strerror}): run this as its owner, give it to this user with chown -R,"
            " or choose another host.stateDir, such as a new folder in it"
        ) from error
    except OSError as error:
        raise HostError(f"{path} cannot be made ({error.strerror}): choose another host.stateDir") from error


def private_folder(path: Path) -> int:
    """Create ``path`` and missing parents with mode 0700; where ``path`` exists, take it from other users.

    Parents that exist stay as they are: they may be anybody's.

    Returns:
        The mode it had where other users could look into it or change it, 0 where they could not.

    Raises:
        OSError: the folder cannot be made, or belongs to another user.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise ForeignFolder(path, found.st_uid)
    mode = stat.S_IMODE(found.st_mode)
    if not mode & 0o077:
        return 0
    try:
        path.chmod(mode & 0o700)
    except OSError as error:
        logger.warning(
            "%s is open to other users (mode %04o) and cannot be closed (%s): run chmod 700 on it, or use another",
            path,
            mode,
            error.strerror,
        )
        return 0
    return mode


def _close_below(folder: Path) -> None:
    """Take everything in a folder from other users; links, and what cannot be changed, are left as they are."""
    waiting = [os.fspath(folder)]
    while waiting:  # not by recursion: agents make folders here, as deep as they like
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                close_file(Path(entry.path))


def close_file(path: Path) -> None:
    """Take a file from other users; one that is not there, is a link, or cannot be changed is left as it is."""
    with suppress(OSError):
        mode = path.lstat().st_mode
        if mode & 0o077 and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & 0o700)


def dump_json(value: Mapping[str, Any], *, indent: int | None = None) -> bytes:
    """Return ``value`` as UTF-8 JSON with a final newline; lone surrogates are written as escapes."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent).encode() + b"\n"


def replace_file(path: Path, data: bytes, *, before_rename: Callable[[], None] | None = None) -> Stamp:
    """Give ``path`` the content ``data``, mode 0600, so that a crash leaves the old or the new content.

    A symbolic link stays one: what it leads to is replaced. The caller holds a lock: the temporary file's name is
    fixed, so that a crash leaves at most one behind.

    Args:
        path: the file.
        data: its new content.
        before_rename: called when everything is on disk; an exception from it leaves ``path`` as it was.

    Returns:
        The stamp of the new content.

    Raises:
        OSError: the file cannot be written.
    """
    path = Path(os.path.realpath(path))
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        stamp = _write_synced(temporary, data)
        if before_rename is not None:
            before_rename()
        os.replace(temporary, path)  # noqa: PTH105  # the call tests interrupt, and the whole point of this file
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)
    return stamp


def _write_synced(path: Path, data: bytes) -> Stamp:
    path.unlink(missing_ok=True)  # whatever has the name: a link, or somebody's file under a second name
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        return _stamp(os.fstat(file.fileno()))


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_own(path: Path, flags: int) -> int:
    """Open a file for reading and writing, made where missing; others cannot read it from now on.

    Raises:
        OSError: it cannot be opened, is a link or no ordinary file, or is another user's and open to others.
    """
    # Not blocking: somebody may have put a pipe there.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | flags, 0o600)
    try:
        _make_private(descriptor, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _make_private(descriptor: int, path: Path) -> None:
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is not an ordinary file", str(path))
    if mode & 0o077:
        os.fchmod(descriptor, stat.S_IMODE(mode) & 0o700)


def append_file(path: Path, data: bytes) -> None:
    """Append ``data`` to ``path`` (mode 0600, never through a link) and sync it; a torn last line is ended first.

    Raises:
        OSError: the file cannot be written.
    """
    descriptor = _open_own(path, os.O_APPEND)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        torn = size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"
        file.write(b"\n" + data if torn else data)
        os.fsync(file.fileno())


@contextmanager
def locked(path: Path, wait_s: float) -> Iterator[None]:
    """Hold an exclusive advisory lock (flock) on ``path``, made where missing.

    Args:
        path: the lock file; it stays behind, empty.
        wait_s: longest wait in seconds for another holder.

    Raises:
        TimeoutError: somebody else held it all the time.
        OSError: the lock file cannot be opened, or is a link.
    """
    descriptor = _open_own(path, 0)
    try:
        _acquire(descriptor, path, wait_s)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError(
                    errno.ETIMEDOUT, f"locked by another process for {wait_s:g} s", str(path)
                ) from None
            time.sleep(LOCK_RETRY_S)
        else:
            return


class OwnerLock:
    """Says which process owns a state folder, for as long as that process lives (design §6).

    Args:
        path: the lock file; it holds the owner's process id.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take ownership.

        Raises:
            HostError: another process has it, or the file cannot be written.
        """
        try:
            descriptor = _open_own(self.path, 0)
        except OSError as error:
            raise HostError(
                f"{self.path} cannot be opened ({error.strerror}): make its folder writable, and remove it where it"
                " is a link or another user's"
            ) from error
        try:
            _lock_patiently(descriptor)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            owner = _written_owner(descriptor)
            os.close(descriptor)
            raise HostError(
                f"{self.path.parent} is in use by process {owner}: stop that process, "
                "or give this one a state folder of its own (host.stateDir)"
            ) from None
        except OSError as error:
            os.close(descriptor)
            raise HostError(f"{self.path} cannot be locked: {error.strerror}") from error
        self._descriptor = descriptor

    async def acquire_after(self, prepare: Callable[[], None]) -> None:
        """Take ownership once ``prepare`` has made the folder; cancelled, take nothing. Raises `HostError`."""

        def take() -> None:
            prepare()
            self.acquire()

        taking = asyncio.ensure_future(asyncio.to_thread(take))
        try:
            await asyncio.shield(taking)
        except asyncio.CancelledError:
            await asyncio.wait({taking})  # the thread goes on
            if taking.exception() is None:
                self.release()
            raise

    def holder(self) -> str:
        """Return the id of the process that has it, empty when none has; changes nothing.

        Raises:
            HostError: the file cannot be read.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise HostError(f"{self.path} cannot be read: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _written_owner(descriptor)
        finally:
            os.close(descriptor)
        return ""

    def release(self) -> None:
        """Give ownership back; does nothing where it was not taken."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def owner_lock(state_dir: Path) -> OwnerLock:
    """Return the lock of a state folder, which its owner holds."""
    return OwnerLock(state_dir / "host.lock")


def _lock_patiently(descriptor: int) -> None:
    """Lock, waiting for those who only look whether somebody has it. Raises `BlockingIOError`."""
    for _ in range(LOOKS):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(LOCK_RETRY_S)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _written_owner(descriptor: int) -> str:
    return os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
