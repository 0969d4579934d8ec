"""Order and completeness: a short reorder window, then the history fills what is missing (protocol §4.7, §4.8)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import ApiError, NotFound, PermissionDenied
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.policy.gate import DecisionKind
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.rest.models import HistoryMessage
from openclaw_channel_octo.runtime.inbox import Incoming, Outcome
from openclaw_channel_octo.runtime.order import ChannelOrder
from openclaw_channel_octo.runtime.tasks import TaskSet
from openclaw_channel_octo.runtime.within import within
from openclaw_channel_octo.wire.events import InboundMessage, Received
from openclaw_channel_octo.wire.packets import Flags, Setting

__all__ = ["MessageSequence", "Missed"]

WINDOW_S = 0.3
"""How long a message waits for one with a smaller number before the history is asked."""

FETCH_WITHIN_S = 10.0
"""Longest time a conversation's new messages wait for its missed ones."""

RETRY_S = 30.0
"""Wait before the history is asked again after it could not be."""

PAGE = 200
"""Messages asked for at once, the most the server gives (octo-bot-api §2.4)."""

AT_ONCE = 4
"""Conversations caught up with at the same time."""

HELD_MOST = 256
"""Messages of one conversation held back at most."""

_UNNUMBERED = Flags.NO_PERSIST | Flags.SYNC_ONCE

Accept = Callable[[Sequence[Incoming]], Awaitable[Sequence[Outcome]]]


class Missed:
    """Reads missed messages of conversations from the server.

    Args:
        api: the bot's API.
    """

    def __init__(self, api: BotApi) -> None:
        self._api = api

    async def page(self, channel: ChannelRef, after: int, before: int | None) -> list[Received]:
        """Return up to `PAGE` messages numbered above ``after`` and below ``before``, ascending. Raises `ApiError`."""
        rows = await self._api.sync_messages(channel, start=after + 1, end=before or 0, limit=PAGE)
        return [_received(channel, row) for row in rows]


@dataclass(slots=True)
class _Channel:
    order: ChannelOrder[Outcome]
    filling: bool = False
    waiting: bool = False
    saved: int = -1


class MessageSequence:
    """Passes one bot's recorded messages on in the order of their conversations, fetching what is missing.

    Args:
        missed: reads the history.
        accept: judges and records messages of the history, dropping known ones.
        release: takes each message when its turn has come; must not block.
        save: stores the cursors that moved.
        tasks: owner of the work in the background.
        clock: time.
        log: the bot's log.
    """

    def __init__(  # noqa: PLR0913  # the four doors between the socket, the history, the journal and the lanes
        self,
        *,
        missed: Missed,
        accept: Accept,
        release: Callable[[Outcome], None],
        save: Callable[[Mapping[ChannelRef, int]], Awaitable[None]],
        tasks: TaskSet,
        clock: Clock,
        log: BotLog,
    ) -> None:
        self._missed = missed
        self._accept = accept
        self._release = release
        self._save = save
        self._tasks = tasks
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
            await within(self._clock, FETCH_WITHIN_S, self._fetch(ref, order, before))
        except (PermissionDenied, NotFound) as error:
            self._log.info("no history of channel=%s any more: %s", ref.id, error)
            self._pass_on(order.complete(before))
        except (ApiError, TimeoutError) as error:
            self._log.warning("missed messages of channel=%s could not be fetched: %s", ref.id, error)
            self._go_on_without(ref, channel)
        else:
            self._pass_on(order.complete(before))
        finally:
            channel.filling = False
            self._store([ref])
            if order.held:
                self._wait(ref, channel)

    async def _fetch(self, ref: ChannelRef, order: ChannelOrder[Outcome], before: int | None) -> None:
        after = order.cursor
        while True:
            async with self._slots:
                page = await self._missed.page(ref, after, before)
            fresh = [message for message in page if message.message.message_seq > after]
            for outcome in await self._accept(fresh):
                self._pass_on(order.fetched(outcome.message.message_seq, outcome))
            if len(page) < PAGE or not fresh:
                return
            after = fresh[-1].message.message_seq

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
    if message.flags & _UNNUMBERED or not outcome.acknowledge:
        return 0
    if outcome.decision.kind is DecisionKind.IGNORED or not outcome.channel.id:
        return 0
    return message.message_seq


def _received(channel: ChannelRef, row: HistoryMessage) -> Received:
    """Return a message of the history as if it had just arrived; the channel is the one that was asked for."""
    flags = Flags.NONE
    if row.no_persist:
        flags |= Flags.NO_PERSIST
    if row.red_dot:
        flags |= Flags.RED_DOT
    if row.sync_once:
        flags |= Flags.SYNC_ONCE
    return Received(
        message=InboundMessage(
            message_id=int(row.message_id),
            message_seq=row.message_seq,
            client_msg_no=row.client_msg_no,
            from_uid=row.from_uid,
            channel_id=channel.id,
            channel_type=channel.type,
            timestamp=row.timestamp,
            payload=row.payload,
            setting=Setting(row.setting),
            flags=flags,
        )
    )
