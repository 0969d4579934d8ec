"""Names of strangers' servers: looked up apart from everything else, and only those outside our network taken."""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from aiohttp.abc import AbstractResolver, ResolveResult

from openclaw_channel_octo.policy.urls import is_public

__all__ = ["GuardedResolver", "SystemResolver"]

LOOKUPS = 4
"""Names looked up at once."""


class SystemResolver(AbstractResolver):
    """Asks the system in threads of its own.

    A stranger chooses the names, and with them how long an answer takes; in the threads everybody shares, a few slow
    ones would hold up the API's own calls.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="octo-names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return a name's addresses. Raises `OSError` where it has none."""
        asked = partial(socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, asked)
        return [_result(host, port, kind, address) for kind, _, _, _, address in found]

    async def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class GuardedResolver(AbstractResolver):
    """Resolves names to public addresses only, except for the deployment's own.

    What it returns is what is connected to: nobody asks again in between.

    Args:
        own: tells by host and port which servers may be inside the network.
        inner: finds the addresses.
    """

    def __init__(self, own: Callable[[str, int], bool], inner: AbstractResolver) -> None:
        self._own = own
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return a name's addresses. Raises `OSError` where one of them is not public."""
        found = await self._inner.resolve(host, port, family)
        if not self._own(host, port) and not all(is_public(result["host"]) for result in found):
            raise OSError("not a public address")
        return found

    async def close(self) -> None:
        """Close the inner one."""
        await self._inner.close()


def _result(host: str, port: int, family: int, address: tuple[object, ...]) -> ResolveResult:
    return {
        "hostname": host,
        "host": str(address[0]),
        "port": port,
        "family": family,
        "proto": 0,
        "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    }
