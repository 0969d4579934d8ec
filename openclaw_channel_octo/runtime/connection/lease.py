"""One process for each bot: a lease that the kernel takes back when its holder dies (design §7)."""

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.errors import StoreError
from openclaw_channel_octo.runtime.connection.file_lease import FileLease
from openclaw_channel_octo.runtime.connection.holders import UNKNOWN
from openclaw_channel_octo.runtime.connection.socket_lease import SocketLease

__all__ = ["Lease", "MachineLease", "bot_lease", "lease_folder"]

SHARED_FOLDER = Path("/var/tmp")  # noqa: S108  # fixed on purpose; unlike /tmp, macOS does not clean it
"""Where the lock file of all users lies on systems without abstract sockets."""


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


class MachineLease:
    """A lease that is one on a machine, whoever asks: other users, services with a ``/tmp`` of their own, root.

    Two locks, always taken in this order, so that neither of two processes can wait for the other:

    1. one that all users see: a socket's name on Linux, a file of fixed place elsewhere. Its name is made from the
       server's host and port and from the token.
    2. one in a folder of this user, which earlier versions take too, and which a container may share where it has a
       network of its own.

    No method waits: a cancelled `acquire` has taken nothing.

    Args:
        api_url: base of the bot API.
        token: the bot's token; only hashes with it leave the process.
        folder: the private folder of the second lock; made when missing.
    """

    def __init__(self, api_url: str, token: str, folder: Path) -> None:
        name = f"{_server(api_url)} {token}"
        self._everybodys: Lease
        if sys.platform == "linux":
            self._everybodys = SocketLease(name)
        else:
            self._everybodys = FileLease(SHARED_FOLDER, name, shared=True)
        self._own = FileLease(folder, f"{api_url} {token}")

    async def acquire(self) -> bool:
        """Take the lease; return whether it was free.

        Raises:
            StoreError: it cannot be had. Retryable: nothing is held, and only file descriptors are missing. Else: what
                other users see cannot be had; the second lock is held where that could be taken.
        """
        problem: StoreError | None = None
        try:
            if not await self._everybodys.acquire():
                return False
        except StoreError as error:
            if error.retryable:
                raise
            problem = error
        if not await self._acquire_own(problem):
            await self._everybodys.release()
            return False
        if problem is not None:
            raise problem
        return True

    async def _acquire_own(self, problem: StoreError | None) -> bool:
        """Take the second lock; where there can be none, the first one is enough."""
        try:
            return await self._own.acquire()
        except StoreError as error:
            if error.retryable:
                await self._everybodys.release()
                raise
            if problem is not None:
                raise StoreError(f"{problem}; {error}") from error
            return True

    async def release(self) -> None:
        """Give the lease back; without effect when it is not held."""
        await self._own.release()
        await self._everybodys.release()

    def holder(self) -> str:
        """Return the process that holds the lease, with its user and command, as far as the kernel tells."""
        found = self._everybodys.holder()
        return self._own.holder() if found == UNKNOWN else found


def _server(api_url: str) -> str:
    """Return the host and port of an address: its scheme and path may be written in several ways."""
    parts = urlsplit(api_url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def bot_lease(bot: BotConfig, folder: Path | None = None) -> Lease:
    """Return the right to connect a bot.

    Args:
        bot: its settings; its token could be read.
        folder: where only those who name it too are to know of each other; the whole machine by default.
    """
    token = bot.token.get_secret_value()
    if folder is not None:
        return FileLease(folder, f"{bot.api_url} {token}")
    return MachineLease(bot.api_url, token, lease_folder())


def lease_folder(env: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of this user's own locks and sockets: it depends on the environment, as runtime folders do."""
    runtime = env.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and Path(runtime).is_dir():
        return Path(runtime) / "openclaw-octo"
    name = f"openclaw-octo-{os.getuid()}"
    try:
        return Path(tempfile.gettempdir()) / name
    except FileNotFoundError:  # no folder can be written to, as in a container: whoever tries to says so
        return Path("/tmp") / name  # noqa: S108  # where it would be
