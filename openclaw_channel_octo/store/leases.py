"""One process for each bot: a lease that the kernel takes back when its holder dies (design §7)."""

import asyncio
import os
import sqlite3
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from openclaw_channel_octo.errors import StoreError

__all__ = ["FileLease", "Lease", "lease_folder", "own_folder"]


class Lease(Protocol):
    """The right to connect one bot."""

    async def acquire(self) -> bool:
        """Take the lease; return whether it was free. Raises `StoreError` when there can be no lease here."""
        ...

    async def release(self) -> None:
        """Give it back; without effect when it is not held."""
        ...

    def holder(self) -> str:
        """Return who holds it, in words."""
        ...


class FileLease:
    """A lease on one machine: an exclusive transaction on a file of its own, which ends with its process.

    Args:
        folder: a private folder that all processes of the user share; made when missing.
        name: what the lease is for; only its hash reaches the disk.
    """

    def __init__(self, folder: Path, name: str) -> None:
        digest = sha256(name.encode()).hexdigest()[:32]
        self._folder = folder
        self._path = folder / f"{digest}.lease"
        self._note = folder / f"{digest}.pid"
        self._held: sqlite3.Connection | None = None

    async def acquire(self) -> bool:
        """Take the lease; return whether it was free.

        Raises:
            StoreError: the folder cannot be used, or belongs to somebody else.
        """
        return await asyncio.to_thread(self._take)

    async def release(self) -> None:
        """Give the lease back; without effect when it is not held."""
        held, self._held = self._held, None
        if held is not None:
            await asyncio.to_thread(held.close)

    def holder(self) -> str:
        """Return the process that holds the lease, as it noted itself."""
        with suppress(OSError, ValueError):
            return f"process {int(self._note.read_text())}"
        return "another process"

    def _take(self) -> bool:
        if self._held is not None:
            return True
        try:
            own_folder(self._folder)
            db = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"no lease can be kept in {self._folder}: {error}") from error
        try:
            db.execute("BEGIN EXCLUSIVE")
            self._note.write_text(str(os.getpid()))
        except sqlite3.OperationalError:
            db.close()
            return False
        except (OSError, sqlite3.Error) as error:
            db.close()
            raise StoreError(f"no lease can be kept in {self._folder}: {error}") from error
        self._held = db
        return True


def lease_folder(env: Mapping[str, str] = os.environ) -> Path:
    """Return the folder all processes of this user keep leases in: not a bot's state folder, which each may choose."""
    runtime = env.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and Path(runtime).is_dir():
        return Path(runtime) / "openclaw-octo"
    return Path(tempfile.gettempdir()) / f"openclaw-octo-{os.getuid()}"


def own_folder(folder: Path) -> None:
    """Make the folder, and make sure that nobody else put it there. Raises `OSError`."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError("it belongs to somebody else")
    folder.chmod(0o700)
