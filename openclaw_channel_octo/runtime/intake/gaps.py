"""Order and completeness: a short reorder window, then the history fills what is missing (protocol §4.7, §4.8).

Over 350 lines: the ways in which a conversation becomes complete share its state.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import ApiError, NotFound, PermissionDenied, StoreError
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.policy.gate import DecisionKind
from openclaw_channel_octo.runtime.background import TaskSet, together
from openclaw_channel_octo.runtime.intake.history import FETCH_WITHIN_S, PAGE, MissedHistory
from openclaw_channel_octo.runtime.intake.reorder import ReorderBuffer
from openclaw_channel_octo.runtime.intake.rounds import Rounds
from openclaw_channel_octo.runtime.received import Outcome, number_of
from openclaw_channel_octo.store.cursors import Cursors
from openclaw_channel_octo.wire.events import Received

__all__ = ["GapFiller"]

WINDOW_S = 0.3
"""How long a message waits for one with a smaller number before the history is asked."""

RETRY_S = 30.0
"""Wait before the history is asked again after it could not be, ±50 %."""

AT_FIRST = 100
"""Conversations caught up with at once after a connect, the ones heard last; the others follow pass by pass."""

LOOKS_A_PASS = 20
"""Conversations looked at in a pass: ten a second, as many as the reference proxy lets through (octo-bot-api §1.5)."""

CHECK_WITHIN_S = 2.0
"""Longest time such a check of one conversation may hold up its new messages."""

HELD_MOST = 256
"""Messages of one conversation held back at most."""

KNOWN_MOST = 10_000
"""Conversations remembered; of one that is forgotten the cursor is read from the journal again."""

SAVE_WITHIN_S = 3.0
"""Longest time after which a cursor is stored; the next messages take it along."""

_GONE = (PermissionDenied, NotFound)
Accept = Callable[[Sequence[Received], bool], Awaitable[Sequence[Outcome]]]


class _Channel(Struct):
    order: ReorderBuffer[Outcome]
    filling: bool = False
    waiting: bool = False
    saved: int = 0
    complete: bool = False

    @property
    def idle(self) -> bool:
        return not (self.filling or self.waiting or self.order.held or self.order.behind)


class GapFiller:
    """Passes one bot's recorded messages on in the order of their conversations, fetching what is missing.

    Args:
        history: what the server remembers.
        accept: judges and records messages of the history, dropping known ones; told whether the conversation was
            complete before, since the start.
        release: takes each message whose turn has come later than in `take`; must not block or raise.
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
        history: MissedHistory,
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
        self._saving = False
        self.rounds = Rounds(history, clock, log)
        """When conversations are looked at."""

    def restore(self, cursors: Mapping[ChannelRef, int]) -> None:
        """Take up the conversations an earlier process knew, the ones heard last first."""
        for ref, cursor in cursors.items():
            self._channels.setdefault(ref, _Channel(ReorderBuffer(cursor), saved=cursor))
            self.rounds.add(ref)

    def take(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Take recorded messages in the order they arrived, and yield those whose turn has come."""
        touched: set[ChannelRef] = set()
        for outcome in outcomes:
            seq = number_of(outcome)
            if not seq:
                yield outcome
                if outcome.decision.kind is DecisionKind.UNDECODABLE:
                    self._tasks.start(self._look_up(outcome.channel), "look-up")
                continue
            channel = self._channels.get(outcome.channel) or self._discover(outcome.channel, seq)
            yield from channel.order.offer(seq, outcome, hold=channel.filling)
            if channel.order.held:
                self._wait(outcome.channel, channel)
            touched.add(outcome.channel)
        self._store(touched)
        for ref in touched:
            self._heard(ref)

    async def catch_up(self, urgent: Collection[ChannelRef] = ()) -> None:
        """Fetch what the conversations have missed, known ones and those nobody here has heard of.

        This takes the first `AT_FIRST` of them; what arrives there meanwhile is held back behind what they missed. The
        others are looked at by `check`, or as soon as somebody speaks there.

        Args:
            urgent: conversations to begin with.
        """
        self.rounds.recall(urgent)
        first = list(self._due(AT_FIRST))
        known = {ref: self._channels[ref] for ref in first if ref in self._channels}
        for channel in known.values():
            channel.filling = True

        async def meet() -> None:
            await self.rounds.list()
            await together(map(self._look, list(self._due(AT_FIRST - len(first)))))

        await together((*(self._look(ref, known.get(ref)) for ref in first), meet()))

    async def check(self, online: Callable[[], bool]) -> None:
        """Look at some conversations for messages that were never pushed, one after the other.

        Args:
            online: tells whether the connection is up; while it is not, the next one catches up anyway.
        """
        if online() and self.rounds.list_is_old:
            await self.rounds.list()
        for ref in self._due(LOOKS_A_PASS):
            if online():
                await self._look(ref)
            else:
                self.rounds.failed(ref)

    def _due(self, most: int) -> Iterator[ChannelRef]:
        """Take conversations whose turn it is; one that is being read anyway is left out."""
        for _ in range(most):
            if (ref := self.rounds.take()) is None:
                return
            if (channel := self._channels.get(ref)) is None or not channel.filling:
                yield ref
            else:
                self.rounds.quiet(ref)

    async def _look(self, ref: ChannelRef, held: _Channel | None = None) -> None:
        """Fetch what is new in a conversation, known or not, and plan the next look by what came of it.

        Args:
            ref: the conversation.
            held: its state where what arrives is held back already; then there is more time.
        """
        channel = self._channels.get(ref)
        before, done = channel.order.cursor if channel else 0, False
        try:
            if held is not None:
                done = await self._fill(ref, held, None)
            elif channel is not None:
                done = channel.filling or await self._check(ref, channel)
            elif ref in self.rounds.listed:
                done = await self._begin(ref, self._add(ref))
            else:
                self.rounds.drop(ref)
        finally:
            if (now := self._channels.get(ref)) is not None:
                now.complete |= done
            self.rounds.looked(ref, done=done, found=now is not None and now.order.cursor > before)

    def _heard(self, ref: ChannelRef) -> None:
        """Plan the next look at a conversation that is complete up to now."""
        channel = self._channels.get(ref)
        if channel is not None and channel.idle:
            channel.complete = True
            self.rounds.heard(ref)

    def _discover(self, ref: ChannelRef, seq: int) -> _Channel:
        """Begin with a conversation whose message ``seq`` is the first one here; those before it may be lost."""
        channel = self._add(ref, filling=seq > 1)
        if channel.filling:
            self._tasks.start(self._look_back(ref, channel), "look-back")
        return channel

    async def _look_back(self, ref: ChannelRef, channel: _Channel) -> None:
        if await self._begin(ref, channel):
            self._heard(ref)

    def _add(self, ref: ChannelRef, *, filling: bool = True) -> _Channel:
        """Add a conversation that `_begin` takes up, and forget one that is quiet where there are too many."""
        channel = self._channels[ref] = _Channel(ReorderBuffer(0), filling=filling)
        if len(self._channels) > KNOWN_MOST:
            quiet = next((known for known, other in self._channels.items() if other.idle), None)
            if quiet is not None:
                del self._channels[quiet]
        return channel

    def _wait(self, ref: ChannelRef, channel: _Channel) -> None:
        if len(channel.order.held) > HELD_MOST:
            self._log.warning(
                "too many messages of channel=%s wait for missing ones; going on without", ref.id
            )
            self._go_on_without(ref, channel)
        elif not channel.filling and not channel.waiting:
            channel.waiting = True
            self._tasks.start(self._close_gap(ref, channel), "reorder")

    def _go_on_without(self, ref: ChannelRef, channel: _Channel) -> None:
        """Pass on what is there, and ask for the rest again later."""
        self._pass_on(channel.order.skip_gap())
        self._tasks.start(self._try_again(ref, channel), "catch-up")

    async def _close_gap(self, ref: ChannelRef, channel: _Channel) -> None:
        """Give late messages their time, then ask for what is still missing."""
        await self._clock.sleep(WINDOW_S)
        channel.waiting = False
        if (before := channel.order.gap) is not None and not channel.filling:
            channel.filling = True
            await self._fill(ref, channel, before)
            self._heard(ref)

    async def _fill(self, ref: ChannelRef, channel: _Channel, before: int | None) -> bool:
        """Fetch the messages of a gap, or everything new; return whether that could be done.

        The caller has set ``filling``.
        """
        order = channel.order
        try:
            await self._fetch(ref, channel, before, FETCH_WITHIN_S)
        except _GONE as error:
            self._log.info("no history of channel=%s any more: %s", ref.id, error)
            self._pass_on(order.complete(before))
        except ApiError as error:
            self._log.warning("missed messages of channel=%s could not be fetched: %s", ref.id, error)
            self._go_on_without(ref, channel)
            return False
        else:
            self._pass_on(order.complete(before))
        finally:
            self._open(ref, channel)
        return True

    async def _begin(self, ref: ChannelRef, channel: _Channel) -> bool:
        """Take up a conversation from its cursor, else where it is now; return whether that could be done.

        One that cannot be read stays unknown.
        """
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
            if order.gap is None and not order.cursor:
                self._channels.pop(ref, None)
            elif order.gap is not None and isinstance(error, _GONE):
                self._pass_on(order.begin(order.gap - 1))
            else:
                self._go_on_without(ref, channel)
            return isinstance(error, _GONE)
        finally:
            self._open(ref, channel)
        return True

    async def _fetch_ending(self, ref: ChannelRef, channel: _Channel) -> None:
        since = self._look_back_to(ref)
        ending = await self._history.ending(ref, since)
        outcomes = await self._accept(ending.messages, channel.complete)
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

    async def _check(self, ref: ChannelRef, channel: _Channel) -> bool:
        """Fetch everything new in a conversation; return whether that could be done."""
        channel.filling = True
        try:
            await self._fetch(ref, channel, None, CHECK_WITHIN_S)
        except (ApiError, StoreError) as error:
            self._log.debug("channel=%s could not be checked: %s", ref.id, error)
            self._pass_on(channel.order.resume())
            return isinstance(error, _GONE)
        else:
            self._pass_on(channel.order.complete(None))
            return True
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
            page = await self._history.page(ref, start, before, within_s)
            if not page.found and start == after and await self._history.went_back(ref, after):
                await self._restart(ref, channel)
                return
            fresh = [message for message in page.messages if message.message.message_seq > after]
            for outcome in await self._accept(fresh, channel.complete) if fresh else ():
                self._pass_on(channel.order.fetched(outcome.message.message_seq, outcome))
            if page.found < PAGE or page.last <= after:
                return
            after = page.last
            start = after + 1

    async def _restart(self, ref: ChannelRef, channel: _Channel) -> None:
        """Take up a conversation whose numbers have begun anew."""
        channel.order.restart()
        await self._fetch_ending(ref, channel)
        channel.saved = channel.order.cursor
        await self._cursors.reset(ref, channel.saved)

    async def _try_again(self, ref: ChannelRef, channel: _Channel) -> None:
        await self._clock.sleep(RETRY_S * self._clock.jitter(0.5, 1.5))
        if channel.order.behind and not channel.filling:
            channel.filling = True
            await (self._fill(ref, channel, None) if channel.order.cursor else self._begin(ref, channel))

    def _pass_on(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            self._release(outcome)

    def _store(self, refs: Iterable[ChannelRef]) -> None:
        moved: dict[ChannelRef, int] = {}
        for ref in refs:
            channel = self._channels.get(ref)
            if channel is not None and channel.order.cursor > channel.saved:
                moved[ref] = channel.saved = channel.order.cursor
        self._cursors.note(moved)
        if moved and not self._saving:
            self._saving = True
            self._tasks.start(self._save(), "cursors")

    async def _save(self) -> None:
        await self._clock.sleep(SAVE_WITHIN_S)
        self._saving = False
        await self._cursors.save()
