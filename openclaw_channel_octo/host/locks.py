"""Locks on files: for one change, and for the process that owns a state folder."""

import asyncio
import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.files import open_own

__all__ = ["OwnerLock", "locked", "owner_lock"]

LOCK_RETRY_S = 0.005
"""Pause between two attempts at a lock somebody else holds."""

LOOK_S = 0.05
"""Longest wait in seconds for the lock of a folder: who looks for its owner has it for some microseconds."""


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
    descriptor = open_own(path, 0)
    try:
        try:
            _lock(descriptor, wait_s)
        except BlockingIOError:
            words = f"locked by another process for {wait_s:g} s"
            raise TimeoutError(errno.ETIMEDOUT, words, str(path)) from None
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, wait_s: float) -> None:
    """Lock, waiting for another holder. Raises `BlockingIOError`."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(LOCK_RETRY_S)
        else:
            return


class OwnerLock:
    """Says which process owns a state folder, for as long as that process lives (design §6); held in a ``with`` block.

    Args:
        path: the lock file; it holds the owner's process id.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Take ownership.

        Raises:
            HostError: another process has it, or the file cannot be written.
        """
        try:
            descriptor = open_own(self.path, 0)
        except OSError as error:
            raise HostError(
                f"{self.path} cannot be opened ({error.strerror}): make its folder writable, and remove it where it"
                " is a link or another user's"
            ) from error
        try:
            _lock(descriptor, LOOK_S)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            owner = _written_owner(descriptor)
            os.close(descriptor)
            raise HostError(
                f"{self.path.parent} is in use by process {owner}: if that runs the same bots, this one is not needed; "
                "to restart them, stop that process first; other bots need a folder of their own (host.stateDir)"
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


def _written_owner(descriptor: int) -> str:
    return os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
