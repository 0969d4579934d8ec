"""What becomes of one bot's messages between the socket or the history and their lane.

One boundary stands around each message: an unexpected error ends the handling of that message only. It is tried once
more, in this process or at the next start; then it is a dead letter, and people are told.

Over 350 lines: the steps between commit and lane share what is in hand, and one boundary.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.errors import ApiError
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.message.payload import parse_payload
from openclaw_channel_octo.message.render import files_of
from openclaw_channel_octo.observe.logs import trace_scope
from openclaw_channel_octo.policy.commands import STOP_WORD
from openclaw_channel_octo.policy.gate import SAID, DecisionKind
from openclaw_channel_octo.runtime.admission.admission import Admission
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.runtime.delivery.outbox import Outbox
from openclaw_channel_octo.runtime.delivery.presence import Presence
from openclaw_channel_octo.runtime.directory.directory import Roster
from openclaw_channel_octo.runtime.intake.gaps import GapFiller
from openclaw_channel_octo.runtime.intake.inbox import Inbox
from openclaw_channel_octo.runtime.received import TOO_OLD, Addressed, Incoming, Outcome, trace_of
from openclaw_channel_octo.runtime.turn.commands import Commands
from openclaw_channel_octo.runtime.turn.downloads import MediaDownloads
from openclaw_channel_octo.runtime.turn.lanes import Begin, Lanes, Submitted, Submitter, Work
from openclaw_channel_octo.runtime.turn.turn import Turns
from openclaw_channel_octo.store.records import InboundRow
from openclaw_channel_octo.store.states import RowState

__all__ = ["Pipeline"]

MOST_BREAKS = 2
"""Unexpected errors that may end a message's handling before it is given up."""

TRY_AGAIN_S = 5.0
"""Wait before a message whose handling broke is handled again."""


class Pipeline(Struct, eq=False, kw_only=True):
    """Takes one bot's messages to their lanes, or to the notice or command they end with.

    Attributes:
        context: what every part of the bot is made from.
        lanes: one for each session key.
        submitter: whose work in the lanes it is.
        inbox: judges and records.
        admission: ends what gets no turn.
        outbox: sends, and knows our own messages that came back.
        presence: shows receipt and typing.
        media: fetches files.
        roster: knows names.
        commands: answers commands.
        turns: answers messages.
    """

    context: BotContext
    lanes: Lanes
    submitter: Submitter
    inbox: Inbox
    admission: Admission
    outbox: Outbox
    presence: Presence
    media: MediaDownloads
    roster: Roster
    commands: Commands
    turns: Turns
    _gaps: GapFiller | None = None
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _passed_on: asyncio.Event = field(default_factory=asyncio.Event)
    _resumed: bool = False
    _left_open: Sequence[InboundRow] = ()
    _early: list[tuple[Addressed, bool]] = field(default_factory=list)
    _in_hand: set[int] = field(default_factory=set)
    _shown: set[int] = field(default_factory=set)

    def apply(self, before: BotConfig) -> None:
        """Go by the settings of the context, which were ``before``, from the next message on."""
        now = self.context.config
        self.inbox.routing = self.context.routing
        self.turns.slots.resize(now.max_turns)
        if (now.rate_limit, now.bot_loop_protection) != (before.rate_limit, before.bot_loop_protection):
            self.admission.limits.count_anew()

    async def open(self) -> Collection[ChannelRef]:
        """Judge what arrives from here on: what has to be known about its conversations is known.

        Raises `StoreError`.

        Returns:
            The conversations in which an earlier process left messages open.
        """
        if not self._open.is_set():
            self._left_open = await self._unfinished()
            self._open.set()
        return dict.fromkeys(row.channel for row in self._left_open)

    async def _unfinished(self) -> list[InboundRow]:
        """Return what has no end yet and is not in hand; what was may have come to its end meanwhile."""
        in_hand = frozenset(self._in_hand)
        rows = await self.context.journal.messages.unfinished(self.context.config.account_id)
        return [row for row in rows if row.id not in in_hand and row.id not in self._in_hand]

    def suspend(self, gaps: GapFiller) -> None:
        """Leave what is recorded in the journal until `open` and `resume`; what is in hand goes on.

        Args:
            gaps: puts received messages into the order of their conversations from now on.
        """
        self._gaps = gaps
        self._open.clear()
        self._passed_on.set()
        self._resumed = False
        self._early.clear()

    async def commit(self, events: Sequence[Incoming]) -> Sequence[Outcome]:
        """Judge and record received packets; see `Inbox.accept`. Waits until the pipeline is open.

        Until `dispatch`, what the history holds waits: it knows them as recorded, and would go on behind them.
        """
        await self._open.wait()
        self._passed_on.clear()
        try:
            outcomes = await self.inbox.accept(events)
        except BaseException:  # raised again: the history does not wait for what is not recorded
            self._passed_on.set()
            raise
        if self.context.metrics is not None:
            self.context.metrics.received(events, outcomes)
        return outcomes

    def dispatch(self, outcomes: Sequence[Outcome]) -> None:
        """Put recorded messages into their lanes, in the order of their conversations."""
        admitted = self._admit(outcomes)
        assert self._gaps is not None  # noqa: S101  # `suspend` comes first
        for outcome in self._gaps.take(admitted):
            self.release(outcome)
        self._passed_on.set()
        rows = [outcome.row.id for outcome in admitted if outcome.row is not None]
        if rows:
            self.context.tasks.start(self.context.journal.messages.queue(rows), "queued")

    async def fetched(self, events: Sequence[Incoming], *, answer_since: int) -> Sequence[Outcome]:
        """Record messages of the history.

        Args:
            events: the messages.
            answer_since: Unix seconds of the server's clock; older ones are not answered any more.
        """
        outcomes = await self.inbox.accept(events, answer_since=answer_since)
        await self._passed_on.wait()
        if self.context.metrics is not None:
            self.context.metrics.received(events, outcomes)
        if too_old := sum(outcome.row is not None and outcome.row.reason == TOO_OLD for outcome in outcomes):
            self.context.log.warning(
                "%d messages to the bot are older than %d s and are not answered; their conversations are told",
                too_old,
                self.context.config.cold_start_max_age_seconds,
            )
        return self._admit(replace(outcome, fetched=True) for outcome in outcomes)

    def release(self, outcome: Outcome) -> None:
        """Start what a message asks for, now that everything before it in its conversation is known."""
        message = _addressed(outcome)
        if message is None:
            self._note(outcome)
        elif not self._resumed:
            self._early.append((message, outcome.fetched))
        else:
            self._handle(message.row, partial(self._start, message, look=outcome.fetched))

    def resume(self) -> None:
        """Take up what was left open before `open`, and what was released since, each conversation in its order."""
        steps = [(row, partial(self._take_up, row)) for row in self._left_open]
        start = partial(self._start, bounded=False)
        steps += [(message.row, partial(start, message, look=look)) for message, look in self._early]
        self._resumed, self._left_open, self._early = True, (), []
        for row, step in sorted(steps, key=lambda of: (of[0].session_key, of[0].message_seq, of[0].id)):
            self._handle(row, step)

    async def take_up(self, row_ids: Collection[int]) -> list[int]:
        """Take up messages an operator has opened again; return those that end now. Raises `StoreError`."""
        found = [row for row in await self._unfinished() if row.id in row_ids]
        if not self._resumed:
            known = {row.id for row in self._left_open}
            self._left_open = [*self._left_open, *(row for row in found if row.id not in known)]
        elif not self.submitter.left:
            for row in found:
                self._handle(row, partial(self._take_up, row))
        return [] if self.submitter.left else [row.id for row in found]

    def _admit(self, outcomes: Iterable[Outcome]) -> list[Outcome]:
        """Show that recorded messages were read, and end those that are too many; these have no row any more."""
        return [self._admitted(outcome) for outcome in outcomes]

    def _admitted(self, outcome: Outcome) -> Outcome:
        try:
            return self._judge(outcome)
        except Exception as error:  # the message boundary
            if outcome.row is None:
                self.context.log.exception("message %s broke", outcome.message.message_id)
                return outcome
            self._broke(outcome.row, error)
            return replace(outcome, row=None, session_key="")

    def _judge(self, outcome: Outcome) -> Outcome:
        row, kind = outcome.row, outcome.decision.kind
        if kind is DecisionKind.ECHO:
            self.outbox.sender.on_echo(outcome.payload, outcome.message.message_id)
            return outcome
        if kind not in SAID or outcome.decision.reason == TOO_OLD or (outcome.fetched and not self._resumed):
            return outcome
        ending = self.admission.excess(outcome)
        if row is not None and ending is not None:
            self._turned_away(row, ending)
            return replace(outcome, row=None, session_key="")
        if (message := _addressed(outcome)) is not None and kind is not DecisionKind.REFUSED:
            self._show(message)
        return outcome

    def _handle(self, row: InboundRow, step: Callable[[], None]) -> None:
        """Do one step of a message's handling, inside its boundary."""
        try:
            with trace_scope(row.trace):
                step()
        except Exception as error:  # noqa: BLE001  # the message boundary
            self._broke(row, error)

    def _broke(self, row: InboundRow, error: Exception) -> None:
        with trace_scope(row.trace):
            self.context.log.error("the handling of message %s broke", row.message_id, exc_info=error)
            if row.id in self._in_hand:
                return  # whoever has it ends it
            self._finished(row)
            self._turned_away(
                row, self.context.tasks.start(self._after_break(row, type(error).__name__), "broken-message")
            )

    async def _after_break(self, row: InboundRow, kind: str) -> None:
        """Handle a message again, or end it where that was tried before."""
        reason = f"its handling broke ({kind}), see the log"
        if await self.context.journal.messages.note_break(row.id, reason) < MOST_BREAKS:
            await self.context.clock.sleep(TRY_AGAIN_S)
            self._in_hand.discard(row.id)
            self._handle(row, partial(self._take_up, row))
            return
        try:
            await self.outbox.announce(row.channel, self.context.config.texts.failed)
        except ApiError as problem:
            reason = f"{reason}; the notice failed too: {problem}"
        await self.outbox.give_up(row, reason)

    def _note(self, outcome: Outcome) -> None:
        """Log what sets nothing in motion: at DEBUG, because most of what people say is that."""
        message, kind, reason = outcome.message, outcome.decision.kind, outcome.decision.reason
        log, undecodable = self.context.log, kind is DecisionKind.UNDECODABLE
        if not (undecodable or log.isEnabledFor(logging.DEBUG)):
            return
        said = outcome.payload if kind is DecisionKind.CONTEXT else None
        with trace_scope(trace_of(message.message_id)):
            if undecodable:
                log.warning("undecodable message: %s", reason)
            elif said:
                log.debug(
                    "recv message from=%s channel=%s type=%s", message.from_uid, message.channel_id, said.type
                )
            else:
                log.debug("%s from=%s (%s)", kind, message.from_uid, reason)

    def _show(self, message: Addressed) -> None:
        """Show at once that a message was read, before its turn comes."""
        row, payload = message.row, message.payload
        if row.id in self._shown:
            return
        with trace_scope(row.trace):
            self.context.log.info(
                "recv message from=%s channel=%s type=%s", row.from_uid, row.channel.id, payload.type
            )
            if row.decision == DecisionKind.TURN:
                self.context.log.info("[MENTION] 收到@消息 id=%s", row.message_id)
                self.media.begin(row.id, files_of(payload))
                self.roster.warm(row.channel, row.from_uid)
            self.presence.begin(row.channel, row.message_id)
            self._shown.add(row.id)

    def _take_up(self, row: InboundRow) -> None:
        """Start a message of the journal, whatever was begun for it."""
        begun = bool(row.ending or row.run_id) or row.state is RowState.RUNNING
        payload = parse_payload(row.payload)
        command = self.commands.of(row, payload) if row.decision == DecisionKind.COMMAND else ""
        message = Addressed(row, payload, command)
        self._start(message, look=True, begun=begun, bounded=False)

    def _start(self, message: Addressed, *, look: bool, begun: bool = False, bounded: bool = True) -> None:
        """Start what a message asks for.

        Args:
            message: the message.
            look: whether the chat may hold its answer already.
            begun: whether a process died while it worked on it.
            bounded: whether a full lane may turn it away.
        """
        row = message.row
        if row.reason == TOO_OLD and not row.retried:
            self._turned_away(row, self.context.tasks.start(self._end_late(row), "too-late"))
        elif row.decision == DecisionKind.REFUSED:
            self._turned_away(row, self.admission.refuse(row))
        elif begun or not self._is_command(message):
            self._into_lane(message, partial(self._turn, message, look=look, begun=begun), bounded=bounded)
        elif self.commands.waits(message):
            self._into_lane(message, partial(self._run_command, message, look=look), bounded=bounded)
        else:
            self._show(message)
            self.context.tasks.start(self._run_command(message, look=look), "command")
            self._in_hand.add(row.id)

    def _is_command(self, message: Addressed) -> bool:
        stops = message.command == STOP_WORD and self.commands.can_stop(message.row.session_key)
        return stops or message.row.decision == DecisionKind.COMMAND

    def _into_lane(
        self, message: Addressed, run: Callable[[Begin], Awaitable[None]], *, bounded: bool
    ) -> None:
        row = message.row
        self._show(message)
        work = Work(run=run, drop=partial(self._finished, row), submitter=self.submitter)
        limit = self.context.config.lane_length if bounded else None
        match self.lanes.submit(row.session_key, work, limit):
            case Submitted.QUEUED:
                self._in_hand.add(row.id)
                self.admission.notices.end_burst(row.session_key)  # the next full lane begins another
            case Submitted.FULL:
                self._finished(row)
                self._turned_away(row, self.admission.busy(row))
            case Submitted.CLOSED:  # the journal keeps it for the next start
                self._finished(row)

    def _turned_away(self, row: InboundRow, ending: "asyncio.Task[Any]") -> None:
        self._in_hand.add(row.id)
        ending.add_done_callback(lambda _: self._in_hand.discard(row.id))

    def _finished(self, row: InboundRow) -> None:
        """Give up what was prepared for a message, and what shows that it is worked on."""
        self._in_hand.discard(row.id)
        if self.context.metrics is not None:
            self.context.metrics.forget(row.id)
        self.media.drop(row.id)
        if row.id in self._shown:
            self._shown.discard(row.id)
            self.presence.end(row.channel, row.message_id)

    async def _end_late(self, row: InboundRow) -> None:
        if not await self.turns.found_in_chat(row):
            await asyncio.wait({self.admission.late(row)})

    async def _run_command(self, message: Addressed, begin: Begin = lambda: None, *, look: bool) -> None:
        row = message.row
        with trace_scope(row.trace):
            try:
                begin()
                if not (look and await self.turns.found_in_chat(row)):
                    await self.turns.run_to_end(row, self._obey(message))
            finally:
                self._finished(row)

    async def _obey(self, message: Addressed) -> None:
        row = message.row
        if row.decision != DecisionKind.COMMAND:  # a stop word; after a restart it is one still
            await self.context.journal.messages.make_command(row.id)
        told = await self.commands.answer(message)
        await self.outbox.conclude(row, "", told.text, detail=told.detail)

    async def _turn(self, message: Addressed, begin: Begin, *, look: bool, begun: bool) -> None:
        row = message.row
        with trace_scope(row.trace):
            try:
                if not begun or await self.turns.take_up(row):
                    await self.turns.handle(message, begin, look=look)
            finally:
                self._finished(row)


def _addressed(outcome: Outcome) -> Addressed | None:
    """Return the message on its way to its end, ``None`` where nothing has to be done for it."""
    if outcome.row is None or outcome.payload is None:
        return None
    return Addressed(outcome.row, outcome.payload, outcome.decision.command)
