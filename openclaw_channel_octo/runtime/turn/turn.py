"""One message's turn, from its lane to its visible end (design §4 step 5, §5 "After the turn").

Over 350 lines: every end a message can have stands in one place.
"""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from msgspec import Struct

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.errors import ApiError
from openclaw_channel_octo.fair import FairSlots
from openclaw_channel_octo.host.base import MediaItem, Sender, Turn
from openclaw_channel_octo.ids import ChannelType
from openclaw_channel_octo.message.history import people_block
from openclaw_channel_octo.message.marks import mark_of, remarked
from openclaw_channel_octo.message.outgoing import quote
from openclaw_channel_octo.message.payload import Reply, parse_payload
from openclaw_channel_octo.message.render import Quoted, render
from openclaw_channel_octo.message.text import label
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.policy.gate import Identity
from openclaw_channel_octo.runtime.delivery.outbox import Outbox, Said
from openclaw_channel_octo.runtime.delivery.outputs import Outputs
from openclaw_channel_octo.runtime.delivery.presence import Presence
from openclaw_channel_octo.runtime.directory.group_docs import GroupDocs
from openclaw_channel_octo.runtime.directory.roster import Roster
from openclaw_channel_octo.runtime.metrics import BotMetrics
from openclaw_channel_octo.runtime.received import Addressed
from openclaw_channel_octo.runtime.turn.answer import SILENT_REPLY, Answer, visible_text
from openclaw_channel_octo.runtime.turn.conversation import EarlierMessages
from openclaw_channel_octo.runtime.turn.downloads import MediaDownloads
from openclaw_channel_octo.runtime.turn.guard import SessionGuard
from openclaw_channel_octo.runtime.turn.lanes import Begin
from openclaw_channel_octo.runtime.turn.runs import RunEnd, Runs
from openclaw_channel_octo.session.key import CHANNEL, conversation_kind
from openclaw_channel_octo.session.route import Routing
from openclaw_channel_octo.session.status import SKIPPED, Status
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.store.records import InboundRow
from openclaw_channel_octo.store.states import RowState

__all__ = ["STOPPED_TEXT", "Turns"]

_T = TypeVar("_T")

STOPPED_TEXT = "⏹️ Stopped."
"""What a person reads in place of the answer they stopped."""

NAME_LENGTH = 64
"""Characters of a sender's name that a host is told."""

MOST_ATTEMPTS = 2
"""Runs a message gets in all when processes die under it."""

MOST_LOOKS = 10
"""Processes that may die under one run that a host keeps."""


class Turns(Struct, frozen=True, kw_only=True):
    """Answers messages for one bot. Every message handed in ends answered, notified or dead.

    Attributes:
        config: the bot's settings.
        identity: who the bot is.
        routing: which agent answers a conversation.
        budget_s: seconds a run may take.
        runs: runs turns on the host.
        guard: makes the session ready.
        journal: records what becomes of the message.
        outbox: sends.
        presence: shows receipt and typing.
        media: fetches files.
        outputs: folders for files of answers.
        roster: knows names.
        notes: knows what groups and threads keep for the bot.
        context: tells what was said before.
        slots: the bot's limit of runs at the same time.
        clock: time and run ids.
        log: the bot's log.
        measures: told how turns ended.
    """

    config: BotConfig
    identity: Identity
    routing: Routing
    budget_s: float
    runs: Runs
    guard: SessionGuard
    journal: Journal
    outbox: Outbox
    presence: Presence
    media: MediaDownloads
    outputs: Outputs
    roster: Roster
    notes: GroupDocs
    context: EarlierMessages
    slots: FairSlots
    clock: Clock
    log: BotLog
    measures: BotMetrics | None

    async def handle(self, message: Addressed, begin: Begin, *, look: bool = False) -> None:
        """Take one message to its end.

        Args:
            message: the message.
            begin: called when the host is about to get it; what is cancelled before has changed nothing.
            look: whether the chat may hold an answer that the journal does not know of.
        """
        answer = Answer()
        try:
            await self.run_to_end(message.row, self._answer(message, answer, begin, look=look))
            # Not where this is cancelled: what was planned by then is sent after the next start, files and all.
            for run_id in answer.runs:
                await self.outputs.discard(run_id)
        finally:
            for run_id in answer.runs:
                self.outputs.release(run_id)

    async def take_up(self, row: InboundRow) -> bool:
        """Take up a message under which a process died: finish what was being sent, or own up.

        Returns:
            Whether it has to run again.
        """
        return await self.run_to_end(row, self._take_up(row)) is True

    async def found_in_chat(self, row: InboundRow) -> bool:
        """End a message whose answer stands in the chat already, and return whether it does.

        The journal may be older than the chat: a restored backup, or messages of the history that an earlier
        installation has answered.
        """
        if row.retried:
            return False
        try:
            found = await self.outbox.sender.answered_in_chat(row)
        except ApiError as error:
            self.log.warning("the chat could not be searched for an answer to %s: %s", row.message_id, error)
            return False
        if found:
            self.log.info("message %s has an answer in the chat already", row.message_id)
            await self.journal.messages.settle([row.id], RowState.ANSWERED, detail="found in the chat")
        return found

    async def run_to_end(self, row: InboundRow, work: Awaitable[_T]) -> _T | None:
        """Do a message's work and return what it returns; where it fails, end the message and return ``None``."""
        try:
            return await work
        except ApiError as error:
            await self.outbox.give_up(row, str(error))
        except Exception:  # the lane boundary: one message's failure ends there
            self.log.exception("the work on message %s broke", row.message_id)
            await self._end_broken(row)
        return None

    async def _end_broken(self, row: InboundRow) -> None:
        """End a message whose work broke: with the end it was about to have, else with the notice."""
        for recorded in await self.journal.messages.unfinished(row.account):
            if recorded.id != row.id:
                continue
            try:
                if recorded.ending:
                    await self.outbox.resume(recorded)
                    return
            except Exception:  # the same boundary: what broke the work may break its end too
                self.log.exception("its end broke too")
            await self._notify(row, self.config.texts.failed, "the turn broke, see the log")

    async def _take_up(self, row: InboundRow) -> bool:
        """Finish or end the row if it can be; return whether it has to run again."""
        shown = await self.outbox.resume(row)
        if row.ending:
            return False
        if shown:
            await self._notify(row, self.config.texts.cut_off, "a process died in the middle of the answer")
            return False
        if row.attempt >= (MOST_LOOKS if self.runs.outlive_us else MOST_ATTEMPTS):
            await self._notify(row, self.config.texts.failed, f"{row.attempt} processes died while it ran")
            return False
        return True

    async def _answer(self, message: Addressed, answer: Answer, begin: Begin, *, look: bool) -> None:
        row = message.row
        if look and await self.found_in_chat(row):
            return
        self.log.info("got runtime, checking dispatch fn: true")
        self.log.info("route resolved: agentId=%s sessionKey=%s", self._agent_id(row), row.session_key)
        if (unready := await self.runs.ready()) is not None:
            await self._conclude(row, "", unready, answer)
            return
        taken_up = row.run_id != "" and self.runs.outlive_us
        run_id = row.run_id if taken_up else self.clock.new_id()
        # of the run id, so that a run that is taken up after a restart has the mark it began with
        asked = await self._asked(message, mark_of(run_id))
        answer.mark = asked.mark
        if self.config.quote_replies == "first":
            said = render(message.payload).text
            quoted = quote(row.message_id, row.message_seq, row.from_uid, asked.name, said)
            answer.quote = json.dumps(quoted, ensure_ascii=False)
        turn = self._turn(row, asked, run_id, row.attempt + 1, taken_up=taken_up)
        end = await self._attempt(row, turn, answer, begin)
        if end.status == SKIPPED and self.config.guard.enabled:
            self.log.warning("the host skipped the turn (%s); once more", end.detail)
            turn = self._turn(row, asked, self.clock.new_id(), row.attempt + 2)
            end = await self._attempt(row, turn, answer, begin)
        await self._conclude(row, turn.run_id, end, answer)

    async def _asked(self, message: Addressed, mark: str) -> "_Asked":
        """Return what a message says, with its files and what was said around it."""
        row, payload = message.row, message.payload
        quoted = await self._quoted(row, payload.reply)
        rendered = render(payload, own_name=self.identity.name, mark=mark, quoted=quoted)
        known, notes, files = await asyncio.gather(
            self.roster.asked(row.channel, row.from_uid),
            self.notes.of(row.channel, mark),
            self.media.take(row.id, rendered.files),
        )
        shown = known.people if row.channel.type != ChannelType.PERSON else {}
        context = (await self.context.block(row, known.names, mark), rendered.quote)
        told = remarked(files.text, files.mark, mark)
        return _Asked(
            text="\n\n".join(part for part in (rendered.text, told) if part),
            mark=mark,
            notes="\n\n".join(part for part in (people_block(shown, mark), notes) if part),
            context="\n\n".join(part for part in context if part),
            name=label(known.names.get(row.from_uid, ""), NAME_LENGTH),
            media=files.media,
        )

    async def _quoted(self, row: InboundRow, reply: Reply | None) -> Quoted | None:
        """Return the message somebody answers as it was said, ``None`` where only their client tells."""
        if reply is None or not reply.message_id:
            return None
        said = await self.journal.said.find(row.account, row.channel, reply.message_id)
        payload = parse_payload(said.payload) if said else None
        if said is None or payload is None or payload.problem is not None:
            return None
        return Quoted(uid=said.from_uid if said.from_uid != self.identity.uid else "", payload=payload)

    async def _attempt(self, row: InboundRow, turn: Turn, answer: Answer, begin: Begin) -> RunEnd:
        """Make the session ready and run the turn once."""
        if self.config.guard.enabled and turn.run_id != row.run_id:
            await self.guard.prepare(row)
        answer.runs.append(turn.run_id)
        attempt = _Attempt(turns=self, row=row, run_id=turn.run_id, answer=answer, begin_work=begin)
        end = await self.runs.run(turn, self.budget_s, self.slots, attempt)
        self.log.info("turn ended status=%s%s", end.status, f" ({end.detail})" if end.detail else "")
        if self.measures is not None:
            self.measures.ended(end.status)
        if end.status == Status.DONE:
            await self.journal.episodes.clear_failures(row.session_key)
        return end

    async def _conclude(self, row: InboundRow, run_id: str, end: RunEnd, answer: Answer) -> None:
        """Check that something became visible, and end the row by what did."""
        texts = self.config.texts
        text = visible_text(end, answer.mark)
        if end.status == SKIPPED:
            await self._if_guarded(row, texts.failed, f"the host skipped the turn: {end.detail}")
        elif end.status != Status.DONE:
            await self._conclude_failure(row, run_id, end, text, answer)
        elif said := answer.new([text, *end.media] if text else end.media, texts.file_failed):
            await self.presence.ready(row.channel)
            await self.outbox.conclude(row, run_id, said, RowState.ANSWERED, quote=answer.take_quote())
        elif self.outbox.has_refused(run_id):
            await self.presence.ready(row.channel)
            await self.outbox.conclude(row, run_id, [], RowState.ANSWERED)
        elif answer.shown or (end.text.strip() == SILENT_REPLY and self.config.silent_replies == "allow"):
            await self.journal.messages.settle(
                [row.id], RowState.ANSWERED, detail="" if answer.shown else SILENT_REPLY
            )
        else:
            await self._if_guarded(row, texts.empty, "the answer was empty")

    async def _conclude_failure(
        self, row: InboundRow, run_id: str, end: RunEnd, text: str, answer: Answer
    ) -> None:
        """Show what a failed run had written, with a mark, and then that it failed."""
        texts = self.config.texts
        by_status: dict[str, str] = {Status.TIMEOUT: texts.timeout, Status.KILLED: STOPPED_TEXT}
        notice = by_status.get(end.status, texts.failed)
        if text:
            await self._notify(row, [text, notice], end.detail, run_id, answer.take_quote())
        else:
            await self._notify(row, notice, end.detail, run_id)

    async def _if_guarded(self, row: InboundRow, text: str, detail: str) -> None:
        """Send the notice; with the guard switched off, stay as silent as a host without one."""
        if self.config.guard.enabled:
            await self._notify(row, text, detail)
        else:
            await self.outbox.give_up(row, f"{detail} (guard disabled)")

    async def _notify(
        self, row: InboundRow, said: Said, detail: str, run_id: str = "", quote: str = ""
    ) -> None:
        """End a message with a notice, the last of what is said."""
        await self.presence.ready(row.channel)
        try:
            await self.outbox.conclude(row, run_id, said, RowState.NOTIFIED, detail, quote)
        except ApiError as error:
            await self.outbox.give_up(row, f"{detail}; the notice failed too: {error}")

    def _agent_id(self, row: InboundRow) -> str:
        return self.routing.route(self.config.account_id, row.channel).agent_id

    def _turn(  # one argument for each thing that tells one run of a message from another
        self, row: InboundRow, asked: "_Asked", run_id: str, attempt: int, *, taken_up: bool = False
    ) -> Turn:
        return Turn(
            run_id=run_id,
            session_key=row.session_key,
            agent_id=self._agent_id(row),
            account_id=self.config.account_id,
            channel=CHANNEL,
            conversation=conversation_kind(row.channel),
            channel_id=row.channel.id,
            message_id=row.message_id,
            sender=Sender(
                uid=row.from_uid, name=asked.name, is_owner=row.from_uid == self.identity.owner_uid
            ),
            text=asked.text,
            notes=asked.notes,
            context=asked.context,
            mark=asked.mark,
            media=asked.media,
            output=self.outputs.of(run_id),
            ticket=secrets.token_urlsafe(24),
            budget_s=self.budget_s,
            attempt=attempt,
            resumed=row.attempt > 0,
            lost_since_ms=row.since_ms if taken_up else 0,
        )


class _Attempt(Struct, frozen=True, kw_only=True):
    """One run of a message: an `Attempt` that records how far it is and posts its parts."""

    turns: Turns
    row: InboundRow
    run_id: str
    answer: Answer
    begin_work: Begin

    async def begin(self) -> None:
        await self.turns.outputs.make(self.run_id)
        self.begin_work()
        if self.turns.runs.outlive_us:  # the host may know the run after we are gone
            await self.turns.journal.messages.assign_run(self.row.id, self.run_id)
        self.turns.log.info("turn started runId=%s", self.run_id)

    async def taken(self) -> None:
        await self.turns.journal.messages.start_run(self.row.id, self.run_id)

    async def deliver(self, said: str | MediaItem) -> Sequence[str]:
        turns, ids = self.turns, list[str]()
        if pieces := self.answer.new([said], turns.config.texts.file_failed):
            await turns.presence.ready(self.row.channel)
            ids = await turns.outbox.reply(self.row, self.run_id, pieces, self.answer.take_quote())
            self.answer.shown += ids
        return ids


class _Asked(Struct, frozen=True, kw_only=True):
    """What a message says with its files, what was said around it, who says it, and the mark of what nobody said."""

    text: str
    mark: str
    notes: str
    context: str
    name: str
    media: tuple[MediaItem, ...]
