"""One server as all bots of a process use it: one pool of connections, and a bound on requests at once."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.fair import FairSlots
from openclaw_channel_octo.rest.calls import POLICIES, Call, Queue
from openclaw_channel_octo.rest.network import open_session

if TYPE_CHECKING:
    import aiohttp

__all__ = ["AT_ONCE", "Origin"]

AT_ONCE = 16
"""Requests of each queue on their way at the same time."""


class Origin:
    """Shares connections to one server between bots, and keeps each kind of request within its bound.

    Signs, messages and reads have a bound each, so that none of them waits behind another: a typing indicator
    never stands behind the history that many bots fetch after the server came back. Within a bound bots take turns,
    and so do the conversations of each.
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._slots = {queue: FairSlots(AT_ONCE) for queue in Queue}
        self._success: asyncio.Event | None = None

    def slot(
        self, call: Call, path: Sequence[str] = ("", "", ""), *, first: bool = False
    ) -> AbstractAsyncContextManager[None]:
        """Return what one attempt of ``call`` holds while it is on its way.

        Args:
            call: what is asked.
            path: the bot, the kind of conversation and the conversation it is about; see `FairSlots`.
            first: whether it goes before others of its queue.
        """
        return self._slots[POLICIES[call].queue].slot(path, first=first)

    def succeeded(self) -> None:
        """Note that a call of any bot succeeded: every `pause` ends."""
        if self._success is not None:
            self._success.set()
            self._success = None

    async def pause(self, clock: Clock, seconds: float) -> bool:
        """Wait until a call of any bot succeeds, at most ``seconds`` of the clock; return whether one did.

        All who wait go on at once; the slots bound what they ask.
        """
        if self._success is None:
            self._success = asyncio.Event()
        try:
            return await within(clock, seconds, self._success.wait())
        except TimeoutError:
            return False

    def session(self) -> "aiohttp.ClientSession":
        """Return the session, made on first use because it belongs to the running loop."""
        if self._session is None:
            self._session = open_session(limit=0)  # the slots are the limit
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
