"""Order and completeness: a short reorder window, then the history fills what is missing (protocol §4.7, §4.8)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeVar

from msgspec import Struct

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import ApiError, NotFound, PermissionDenied, StoreError, Unavailable
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.policy.gate import DecisionKind
from openclaw_channel_octo.runtime.history import FETCH_WITHIN_S, PAGE, History
from openclaw_channel_octo.runtime.inbox import NUMBERS_END, Outcome
from openclaw_channel_octo.runtime.order import ChannelOrder
from openclaw_channel_octo.runtime.tasks import TaskSet, together
from openclaw_channel_octo.wire.events import Received
from openclaw_channel_octo.wire.packets import Flags

__all__ = ["CHECK_EVERY_S", "Cursors", "MessageSequence"]

WINDOW_S = 0.3
"""How long a message waits for one with a smaller number before the history is asked."""

RETRY_S = 30.0
"""Wait before the history is asked again after it could not be, ±50 %."""

AT_ONCE = 4
"""Conversations caught up with at the same time; once as many failed, those that wait for their turn give up too."""

CHECK_EVERY_S = 180.0
"""How often a quiet connection is checked for messages the server never pushed."""

CHECK_WITHIN_S = 2.0
"""Longest time such a check of one conversation may hold up its new messages."""

HELD_MOST = 256
"""Messages of one conversation held back at most."""

KNOWN_MOST = 10_000
"""Conversations remembered; of one that is forgotten the cursor is read from the journal again."""

_UNNUMBERED = Flags.NO_PERSIST | Flags.SYNC_ONCE

_NO_PLACE = frozenset({DecisionKind.IGNORED, DecisionKind.UNDECODABLE})
"""What does not count as heard: the history may hold an undecodable message readable."""

_GONE = (PermissionDenied, NotFound)

_T = TypeVar("_T")

Accept = Callable[[Sequence[Received]], Awaitable[Sequence[Outcome]]]


class Cursors(Protocol):
    """Where it is kept how far each conversation is complete."""

    async def load(self, ref: ChannelRef) -> int | None:
        """Return one conversation's cursor, ``None`` where nobody has heard of it."""
        ...

    async def save(self, moved: Mapping[ChannelRef, int]) -> None:
        """Keep cursors that moved on."""
        ...

    async def reset(self, ref: ChannelRef, seq: int) -> None:
        """Put one back."""
        ...


class _Channel(Struct):
    order: ChannelOrder[Outcome]
    filling: bool = False
    waiting: bool = False
    saved: int = 0

    @property
    def idle(self) -> bool:
        return not (self.filling or self.waiting or self.order.held or self.order.behind)


class MessageSequence:
    """Passes one bot's recorded messages on in the order of their conversations, fetching what is missing.

    Args:
        history: what the server remembers.
        accept: judges and records messages of the history, dropping known ones.
        release: takes each message when its turn has come; must not block or raise.
        cursors: how far conversations are complete.
        tasks: owner of the work in the background.
        look_back_to: returns from when on, Unix seconds of the server's clock, messages count of a conversation
            nobody here has heard of.
        clock: time.
        log: the bot's log.
    """

    def __init__(  # noqa: PLR0913  # the four doors between the socket, the history, the journal and the lanes
        self,
        *,
        history: History,
        accept: Accept,
        release: Callable[[Outcome], None],
        cursors: Cursors,
        tasks: TaskSet,
        look_back_to: Callable[[ChannelRef], int],
        clock: Clock,
        log: BotLog,
    ) -> None:
        self._history = history
        self._accept = accept
        self._release = release
        self._cursors = cursors
        self._tasks = tasks
        self._look_back_to = look_back_to
        self._clock = clock
        self._log = log
        self._channels: dict[ChannelRef, _Channel] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._failures = 0

    def restore(self, cursors: Mapping[ChannelRef, int]) -> None:
        """Take up the conversations an earlier process knew."""
        for ref, cursor in cursors.items():
            self._channels.setdefault(ref, _Channel(ChannelOrder(cursor), saved=cursor))

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
            channel = self._channels.get(outcome.channel) or self._meet_at(outcome.channel, seq)
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
        await together(self._fill(ref, channel, None) for ref, channel in channels)

    async def meet(self) -> None:
        """Look at the end of conversations nobody here has heard of: words to the bot may be in it."""
        try:
            listed = await self._history.conversations()
        except ApiError as error:
            self._log.warning("the bot's groups could not be listed: %s", error)
            return
        new = [ref for ref in listed if ref not in self._channels]
        await together(self._begin(ref, self._add(ref)) for ref in new)

    async def check(self, online: Callable[[], bool]) -> None:
        """Look for messages that were never pushed, one conversation after the other.

        Args:
            online: tells whether the connection is up; while it is not, the next one catches up anyway.
        """
        if online():
            await self.meet()
        for ref, channel in list(self._channels.items()):
            if online() and not channel.filling:
                await self._check(ref, channel)

    def _meet_at(self, ref: ChannelRef, seq: int) -> _Channel:
        """Begin with a conversation whose message ``seq`` is the first one here; those before it may be lost."""
        channel = self._add(ref, filling=seq > 1)
        if channel.filling:
            self._tasks.start(self._begin(ref, channel), "look-back")
        return channel

    def _add(self, ref: ChannelRef, *, filling: bool = True) -> _Channel:
        """Add a conversation that `_begin` takes up, and forget one that is quiet where there are too many."""
        channel = self._channels[ref] = _Channel(ChannelOrder(0), filling=filling)
        if len(self._channels) > KNOWN_MOST:
            quiet = next((known for known, other in self._channels.items() if other.idle), None)
            if quiet is not None:
                del self._channels[quiet]
        return channel

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
            await self._fetch(ref, channel, before, FETCH_WITHIN_S)
        except _GONE as error:
            self._log.info("no history of channel=%s any more: %s", ref.id, error)
            self._pass_on(order.complete(before))
        except ApiError as error:
            self._log.warning("missed messages of channel=%s could not be fetched: %s", ref.id, error)
            self._go_on_without(ref, channel)
        else:
            self._pass_on(order.complete(before))
        finally:
            self._open(ref, channel)

    async def _begin(self, ref: ChannelRef, channel: _Channel) -> None:
        """Take up a conversation from its cursor, else where it is now; one that cannot be read stays unknown."""
        order = channel.order
        try:
            if (cursor := await self._cursors.load(ref)) is None:
                await self._fetch_ending(ref, channel)
            else:
                channel.saved = cursor
                self._pass_on(order.begin(cursor))
                await self._fetch(ref, channel, None, FETCH_WITHIN_S)
                self._pass_on(order.complete(None))
        except (ApiError, StoreError) as error:
            level = logging.DEBUG if isinstance(error, _GONE) else logging.WARNING
            self._log.log(level, "the history of channel=%s could not be read: %s", ref.id, error)
            if order.hole is None and not order.cursor:
                self._channels.pop(ref, None)
            elif order.hole is not None and isinstance(error, _GONE):
                self._pass_on(order.begin(order.hole - 1))
            else:
                self._go_on_without(ref, channel)
        finally:
            self._open(ref, channel)

    async def _fetch_ending(self, ref: ChannelRef, channel: _Channel) -> None:
        since = self._look_back_to(ref)
        ending = await self._read(partial(self._history.ending, ref, since))
        outcomes = await self._accept(ending.messages)
        order = channel.order
        self._pass_on(order.begin(ending.after))
        for outcome in outcomes:
            self._pass_on(order.fetched(outcome.message.message_seq, outcome))
        self._pass_on(order.complete(None))

    async def _look_up(self, ref: ChannelRef) -> None:
        """Look for a message that cannot be decrypted: the history may hold it readable (protocol §4.6)."""
        if (channel := self._channels.get(ref)) is None:
            await self._begin(ref, self._add(ref))
        elif not channel.filling:
            channel.filling = True
            await self._fill(ref, channel, None)

    async def _check(self, ref: ChannelRef, channel: _Channel) -> None:
        channel.filling = True
        try:
            await self._fetch(ref, channel, None, CHECK_WITHIN_S)
        except (ApiError, StoreError) as error:
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

    async def _fetch(self, ref: ChannelRef, channel: _Channel, before: int | None, within_s: float) -> None:
        """Fetch, record and pass on what is missing.

        Only the reading has a limit: what is recorded must be passed on, or it would wait for the next start.
        The message at the cursor is asked for once more: where not even that one is there, the numbers began anew.
        """
        after = channel.order.cursor
        start = after + 1 if before is not None else max(1, after)
        while True:
            page = await self._read(partial(self._history.page, ref, start, before, within_s))
            if not page and start == after and await self._went_back(ref, after):
                await self._restart(ref, channel)
                return
            fresh = [message for message in page if message.message.message_seq > after]
            if not fresh:
                return
            for outcome in await self._accept(fresh):
                self._pass_on(channel.order.fetched(outcome.message.message_seq, outcome))
            if len(page) < PAGE:
                return
            after = fresh[-1].message.message_seq
            start = after + 1

    async def _went_back(self, ref: ChannelRef, cursor: int) -> bool:
        newest = await self._read(partial(self._history.newest, ref))
        if newest >= cursor:
            return False
        self._log.warning(
            "the server's numbers of channel=%s went back from %d to %d: was it restored from an older copy, or"
            " wiped? The conversation is taken up anew; nothing is answered twice",
            ref.id,
            cursor,
            newest,
        )
        return True

    async def _restart(self, ref: ChannelRef, channel: _Channel) -> None:
        """Take up a conversation whose numbers have begun anew."""
        channel.order.restart()
        await self._fetch_ending(ref, channel)
        channel.saved = channel.order.cursor
        await self._cursors.reset(ref, channel.saved)

    async def _read(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Return what the history says, a few conversations at a time. Raises `ApiError`.

        Whoever waits for a slot while the server fails one reading after the other does not ask it too.
        """
        failures = self._failures
        async with self._slots:
            if self._failures - failures >= AT_ONCE:
                raise Unavailable("messages/sync", "the history is not asked, because it fails for others")
            try:
                answer = await ask()
            except Unavailable:
                self._failures += 1
                raise
            self._failures = 0
            return answer

    async def _try_again(self, ref: ChannelRef, channel: _Channel) -> None:
        await self._clock.sleep(RETRY_S * self._clock.jitter(0.5, 1.5))
        if channel.order.behind and not channel.filling:
            channel.filling = True
            await (self._fill(ref, channel, None) if channel.order.cursor else self._begin(ref, channel))

    def _pass_on(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            self._release(outcome)

    def _store(self, refs: Iterable[ChannelRef]) -> None:
        moved = {
            ref: channel
            for ref in refs
            if (channel := self._channels.get(ref)) is not None and channel.order.cursor > channel.saved
        }
        if moved:
            for channel in moved.values():
                channel.saved = channel.order.cursor
            cursors = {ref: channel.saved for ref, channel in moved.items()}
            self._tasks.start(self._keep(cursors), "cursors")

    async def _keep(self, cursors: Mapping[ChannelRef, int]) -> None:
        await self._cursors.save(cursors)


def _number(outcome: Outcome) -> int:
    """Return the message's number in its conversation's log, 0 for one that has none there (protocol §4.7)."""
    message = outcome.message
    if message.flags & _UNNUMBERED or not outcome.channel.id or message.message_seq >= NUMBERS_END:
        return 0
    if outcome.decision.kind in _NO_PLACE:
        return 0
    return message.message_seq
