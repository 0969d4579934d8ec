"""Order and completeness: a short reorder window, then the history fills what is missing (protocol §4.7, §4.8)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.errors import ApiError, NotFound, PermissionDenied, StoreError
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.policy.gate import DecisionKind
from openclaw_channel_octo.runtime.history import PAGE, History
from openclaw_channel_octo.runtime.inbox import Outcome
from openclaw_channel_octo.runtime.order import ChannelOrder
from openclaw_channel_octo.runtime.tasks import TaskSet
from openclaw_channel_octo.wire.events import Received
from openclaw_channel_octo.wire.packets import Flags

__all__ = ["MessageSequence"]

WINDOW_S = 0.3
"""How long a message waits for one with a smaller number before the history is asked."""

FETCH_WITHIN_S = 10.0
"""Longest time a conversation's new messages wait for its missed ones."""

RETRY_S = 30.0
"""Wait before the history is asked again after it could not be."""

AT_ONCE = 4
"""Conversations caught up with at the same time."""

CHECK_EVERY_S = 180.0
"""How often a quiet connection is checked for messages the server never pushed."""

CHECK_WITHIN_S = 2.0
"""Longest time such a check of one conversation may hold up its new messages."""

HELD_MOST = 256
"""Messages of one conversation held back at most."""

_UNNUMBERED = Flags.NO_PERSIST | Flags.SYNC_ONCE

_NO_PLACE = frozenset({DecisionKind.IGNORED, DecisionKind.UNDECODABLE})
"""What does not count as heard: the history may hold an undecodable message readable."""

_GONE = (PermissionDenied, NotFound)

_T = TypeVar("_T")

Accept = Callable[[Sequence[Received]], Awaitable[Sequence[Outcome]]]


class _Channel(Struct):
    order: ChannelOrder[Outcome]
    filling: bool = False
    waiting: bool = False
    saved: int = -1


class MessageSequence:
    """Passes one bot's recorded messages on in the order of their conversations, fetching what is missing.

    Args:
        history: what the server remembers.
        accept: judges and records messages of the history, dropping known ones.
        release: takes each message when its turn has come; must not block.
        save: stores the cursors that moved.
        tasks: owner of the work in the background.
        max_age_s: returns how old the messages of a conversation nobody here has heard of may be to be looked at.
        clock: time.
        log: the bot's log.
    """

    def __init__(  # noqa: PLR0913  # the four doors between the socket, the history, the journal and the lanes
        self,
        *,
        history: History,
        accept: Accept,
        release: Callable[[Outcome], None],
        save: Callable[[Mapping[ChannelRef, int]], Awaitable[None]],
        tasks: TaskSet,
        max_age_s: Callable[[ChannelRef], int],
        clock: Clock,
        log: BotLog,
    ) -> None:
        self._history = history
        self._accept = accept
        self._release = release
        self._save = save
        self._tasks = tasks
        self._max_age_s = max_age_s
        self._clock = clock
        self._log = log
        self._channels: dict[ChannelRef, _Channel] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    def restore(self, cursors: Mapping[ChannelRef, int]) -> None:
        """Take up the conversations an earlier process knew."""
        for ref, cursor in cursors.items():
            self._channels[ref] = _Channel(ChannelOrder(cursor), saved=cursor)

    def take(self, outcomes: Iterable[Outcome]) -> None:
        """Take recorded messages in the order they arrived."""
        touched: set[ChannelRef] = set()
        for outcome in outcomes:
            seq = _number(outcome)
            if not seq:
                self._release(outcome)
                if outcome.decision.kind is DecisionKind.UNDECODABLE:
                    self._tasks.start(self._look_up(outcome.channel), "look-up")
                continue
            channel = self._channels.setdefault(outcome.channel, _Channel(ChannelOrder(seq - 1)))
            self._pass_on(channel.order.offer(seq, outcome, hold=channel.filling))
            if channel.order.held:
                self._wait(outcome.channel, channel)
            touched.add(outcome.channel)
        self._store(touched)

    async def catch_up(self) -> None:
        """Fetch what every known conversation has missed; what arrives meanwhile is held back behind it."""
        channels = [(ref, channel) for ref, channel in self._channels.items() if not channel.filling]
        for _, channel in channels:
            channel.filling = True
        await asyncio.gather(*(self._fill(ref, channel, None) for ref, channel in channels))

    async def meet(self) -> None:
        """Look at the end of conversations nobody here has heard of: words to the bot may be in it."""
        try:
            listed = await within(self._clock, FETCH_WITHIN_S, self._history.conversations())
        except (ApiError, TimeoutError) as error:
            self._log.warning("the bot's groups could not be listed: %s", error)
            return
        new = [ref for ref in listed if ref not in self._channels]
        await asyncio.gather(*(self._begin(ref) for ref in new))

    async def keep_up(self, online: Callable[[], bool]) -> None:
        """Check now and then for messages that were never pushed, one conversation after the other; never returns.

        Args:
            online: tells whether the connection is up; while it is not, the next one catches up anyway.
        """
        while True:
            await self._clock.sleep(CHECK_EVERY_S * self._clock.jitter(0.8, 1.2))
            if online():
                await self.meet()
            for ref, channel in list(self._channels.items()):
                if online() and not channel.filling:
                    await self._check(ref, channel)

    def _wait(self, ref: ChannelRef, channel: _Channel) -> None:
        if channel.order.held > HELD_MOST:
            self._log.warning(
                "too many messages of channel=%s wait for missing ones; going on without", ref.id
            )
            self._go_on_without(ref, channel)
        elif not channel.filling and not channel.waiting:
            channel.waiting = True
            self._tasks.start(self._close_hole(ref, channel), "reorder")

    def _go_on_without(self, ref: ChannelRef, channel: _Channel) -> None:
        """Pass on what is there, and ask for the rest again later."""
        self._pass_on(channel.order.lose())
        self._tasks.start(self._try_again(ref, channel), "catch-up")

    async def _close_hole(self, ref: ChannelRef, channel: _Channel) -> None:
        """Give late messages their time, then ask for what is still missing."""
        await self._clock.sleep(WINDOW_S)
        channel.waiting = False
        if (before := channel.order.hole) is not None and not channel.filling:
            channel.filling = True
            await self._fill(ref, channel, before)

    async def _fill(self, ref: ChannelRef, channel: _Channel, before: int | None) -> None:
        """Fetch the messages of a hole, or everything new; the caller has set ``filling``."""
        order = channel.order
        try:
            await self._fetch(ref, order, before, FETCH_WITHIN_S)
        except _GONE as error:
            self._log.info("no history of channel=%s any more: %s", ref.id, error)
            self._pass_on(order.complete(before))
        except (ApiError, TimeoutError) as error:
            self._log.warning("missed messages of channel=%s could not be fetched: %s", ref.id, error)
            self._go_on_without(ref, channel)
        else:
            self._pass_on(order.complete(before))
        finally:
            self._open(ref, channel)

    async def _begin(self, ref: ChannelRef) -> None:
        """Take up a conversation where it is now; one that cannot be read stays unknown."""
        channel = self._channels[ref] = _Channel(ChannelOrder(0), filling=True)
        order = channel.order
        try:
            await self._fetch_ending(ref, order)
        except (ApiError, StoreError, TimeoutError) as error:
            level = logging.DEBUG if isinstance(error, _GONE) else logging.WARNING
            self._log.log(level, "the history of channel=%s could not be read: %s", ref.id, error)
            if order.hole is None:
                del self._channels[ref]
                return
            self._pass_on(order.begin(order.hole - 1))
        self._open(ref, channel)

    async def _fetch_ending(self, ref: ChannelRef, order: ChannelOrder[Outcome]) -> None:
        since = self._clock.wall_ms() // 1000 - self._max_age_s(ref)
        ending = await self._read(self._history.ending(ref, since), self._clock.now() + FETCH_WITHIN_S)
        outcomes = await self._accept(ending.messages)
        self._pass_on(order.begin(ending.after))
        for outcome in outcomes:
            self._pass_on(order.fetched(outcome.message.message_seq, outcome))
        self._pass_on(order.resume())

    async def _look_up(self, ref: ChannelRef) -> None:
        """Look for a message that cannot be decrypted: the history may hold it readable (protocol §4.6)."""
        if (channel := self._channels.get(ref)) is None:
            await self._begin(ref)
        elif not channel.filling:
            channel.filling = True
            await self._fill(ref, channel, None)

    async def _check(self, ref: ChannelRef, channel: _Channel) -> None:
        channel.filling = True
        try:
            await self._fetch(ref, channel.order, None, CHECK_WITHIN_S)
        except (ApiError, StoreError, TimeoutError) as error:
            self._log.debug("channel=%s could not be checked: %s", ref.id, error)
            self._pass_on(channel.order.resume())
        else:
            self._pass_on(channel.order.complete(None))
        finally:
            self._open(ref, channel)

    def _open(self, ref: ChannelRef, channel: _Channel) -> None:
        """Let new messages through again."""
        channel.filling = False
        self._store([ref])
        if channel.order.held:
            self._wait(ref, channel)

    async def _fetch(
        self, ref: ChannelRef, order: ChannelOrder[Outcome], before: int | None, limit_s: float
    ) -> None:
        """Fetch, record and pass on what is missing.

        Only the reading has a limit: what is recorded must be passed on, or it would wait for the next start.
        """
        after, deadline = order.cursor, self._clock.now() + limit_s
        while True:
            page = await self._read(self._history.page(ref, after, before), deadline)
            fresh = [message for message in page if message.message.message_seq > after]
            for outcome in await self._accept(fresh):
                self._pass_on(order.fetched(outcome.message.message_seq, outcome))
            if len(page) < PAGE or not fresh:
                return
            after = fresh[-1].message.message_seq

    async def _read(self, asking: Coroutine[Any, Any, _T], deadline: float) -> _T:
        """Return what the history says, a few conversations at a time. Raises `ApiError`, `TimeoutError`."""

        async def ask() -> _T:
            async with self._slots:
                return await asking

        try:
            return await within(self._clock, max(0.0, deadline - self._clock.now()), ask())
        finally:
            asking.close()  # one that never got its slot

    async def _try_again(self, ref: ChannelRef, channel: _Channel) -> None:
        await self._clock.sleep(RETRY_S)
        if channel.order.behind and not channel.filling:
            channel.filling = True
            await self._fill(ref, channel, None)

    def _pass_on(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            self._release(outcome)

    def _store(self, refs: Iterable[ChannelRef]) -> None:
        moved = {
            ref: channel for ref in refs if (channel := self._channels[ref]).order.cursor > channel.saved
        }
        if moved:
            for channel in moved.values():
                channel.saved = channel.order.cursor
            cursors = {ref: channel.saved for ref, channel in moved.items()}
            self._tasks.start(self._keep(cursors), "cursors")

    async def _keep(self, cursors: Mapping[ChannelRef, int]) -> None:
        await self._save(cursors)


def _number(outcome: Outcome) -> int:
    """Return the message's number in its conversation's log, 0 for one that has none there (protocol §4.7)."""
    message = outcome.message
    if message.flags & _UNNUMBERED or not outcome.channel.id:
        return 0
    if outcome.decision.kind in _NO_PLACE:
        return 0
    return message.message_seq
