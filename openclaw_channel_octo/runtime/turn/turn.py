"""One message's turn, from its lane to its visible end (design §4 step 5, §5 "After the turn").

Over 350 lines: the attempts at a turn, what a run reports on the way, and every end it can have.
"""

import json
import secrets
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from openclaw_channel_octo.errors import ApiError
from openclaw_channel_octo.fair import FairSlots
from openclaw_channel_octo.host.approvals import ApprovalsChanged
from openclaw_channel_octo.host.base import MediaItem, Sender, Turn
from openclaw_channel_octo.message.marks import mark_of
from openclaw_channel_octo.message.outgoing import quote
from openclaw_channel_octo.message.render import render
from openclaw_channel_octo.message.silence import SILENT_REPLY
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.runtime.delivery.extent import Extent
from openclaw_channel_octo.runtime.delivery.outbox import Outbox
from openclaw_channel_octo.runtime.delivery.outputs import Outputs
from openclaw_channel_octo.runtime.delivery.parts import Said
from openclaw_channel_octo.runtime.delivery.presence import Presence
from openclaw_channel_octo.runtime.delivery.underway import Stopped
from openclaw_channel_octo.runtime.received import Addressed
from openclaw_channel_octo.runtime.turn.answer import Answer
from openclaw_channel_octo.runtime.turn.approvals import ApprovalDesk
from openclaw_channel_octo.runtime.turn.conversation import Prompt, Prompts
from openclaw_channel_octo.runtime.turn.guard import SessionGuard
from openclaw_channel_octo.runtime.turn.kept_prompts import KeptPrompts
from openclaw_channel_octo.runtime.turn.lanes import Begin
from openclaw_channel_octo.runtime.turn.progress import Shown, mode_in
from openclaw_channel_octo.runtime.turn.runs import Runs
from openclaw_channel_octo.runtime.turn.stream import RunEnd, Stream, Told
from openclaw_channel_octo.session.key import CHANNEL, conversation_kind
from openclaw_channel_octo.session.status import SKIPPED, Status
from openclaw_channel_octo.store.records import InboundRow, NewPost
from openclaw_channel_octo.store.states import RowState

__all__ = ["Turns"]

_T = TypeVar("_T")

MOST_ATTEMPTS = 2
"""Runs a message gets in all when processes die under it."""

MOST_LOOKS = 10
"""Processes that may die under one run that a host keeps."""

CUT_MARK = " […]"
"""Behind the text of a run that was cut short."""


class Turns(Struct, frozen=True, kw_only=True):
    """Answers messages for one bot. Every message handed in ends answered, notified or dead.

    Attributes:
        context: what every part of the bot is made from.
        runs: runs turns on the host.
        guard: makes the session ready.
        outbox: sends.
        presence: shows receipt and typing.
        outputs: folders for files of answers.
        prompts: tells what messages say, and what was said around them.
        kept_prompts: keeps what agents were given.
        approvals: tells people what agents ask leave for.
        slots: the bot's limit of runs at the same time.
    """

    context: BotContext
    runs: Runs
    guard: SessionGuard
    outbox: Outbox
    presence: Presence
    outputs: Outputs
    prompts: Prompts
    kept_prompts: KeptPrompts
    approvals: ApprovalDesk
    slots: FairSlots

    async def handle(self, message: Addressed, begin: Begin, *, look: bool = False) -> None:
        """Take one message to its end.

        Args:
            message: the message.
            begin: called when the host is about to get it; what is cancelled before has changed nothing.
            look: whether the chat may hold an answer that the journal does not know of.
        """
        answer = Answer(self.outbox.parts.extent())
        try:
            work = self._answer(message, answer, begin, look=look)
            await self.run_to_end(message.row, self._stoppable(message.row, work))
            # Not where this is cancelled: what was planned by then is sent after the next start, files and all.
            for run_id in answer.runs:
                await self.outputs.discard(run_id)
            self.outbox.progress.tidy(message.row)
        finally:
            for run_id in answer.runs:
                self.outputs.release(run_id)

    async def take_up(self, row: InboundRow) -> bool:
        """Take up a message under which a process died: finish what was being sent, or own up.

        Returns:
            Whether it has to run again.
        """
        runs_again = await self.run_to_end(row, self._stoppable(row, self._take_up(row))) is True
        if not runs_again:
            self.outbox.progress.tidy(row)
        return runs_again

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
            self.context.log.warning(
                "the chat could not be searched for an answer to %s: %s", row.message_id, error
            )
            return False
        if found:
            self.context.log.info("message %s has an answer in the chat already", row.message_id)
            await self.context.journal.messages.settle(
                [row.id], RowState.ANSWERED, detail="found in the chat"
            )
        return found

    async def run_to_end(self, row: InboundRow, work: Awaitable[_T]) -> _T | None:
        """Do a message's work and return what it returns; where it fails, end the message and return ``None``."""
        try:
            return await work
        except ApiError as error:
            await self.outbox.give_up(row, str(error))
        except Exception:  # the lane boundary: one message's failure ends there
            self.context.log.exception("the work on message %s broke", row.message_id)
            await self._end_broken(row)
        return None

    async def _stoppable(self, row: InboundRow, work: Awaitable[_T]) -> _T | None:
        """Do a message's work, unless a person stops it: then it ends with the text that says so."""
        with suppress(Stopped), self.outbox.underway.begun(row) as found:
            return await work
        await self.outbox.end_stopped(found)
        if self.context.metrics is not None:
            self.context.metrics.ended(Status.KILLED)
        return None

    async def _end_broken(self, row: InboundRow) -> None:
        """End a message whose work broke: with the end it was about to have, else with the notice."""
        for recorded in await self.context.journal.messages.unfinished(row.account):
            if recorded.id != row.id:
                continue
            try:
                if recorded.ending:
                    await self.outbox.resume(recorded)
                    return
            except Exception:  # the same boundary: what broke the work may break its end too
                self.context.log.exception("its end broke too")
            await self._notify(row, self.context.config.texts.failed, "the turn broke, see the log")

    async def _take_up(self, row: InboundRow) -> bool:
        """Finish or end the row if it can be; return whether it has to run again."""
        await self.outbox.progress.take_up(row)
        if shown := await self.outbox.resume(row):
            self.outbox.progress.passed(row)
        if row.ending:
            return False
        texts = self.context.config.texts
        if shown:
            notice, why = texts.cut_off, "a process died in the middle of the answer"
        elif row.attempt >= (MOST_LOOKS if self.runs.outlive_us else MOST_ATTEMPTS):
            notice, why = texts.failed, f"{row.attempt} processes died while it ran"
        else:
            return True
        self.context.log.warning("message %s gets no whole answer: %s", row.message_id, why)
        await self._notify(row, notice, why)
        return False

    async def _answer(self, message: Addressed, answer: Answer, begin: Begin, *, look: bool) -> None:
        row = message.row
        if look:
            if await self.found_in_chat(row):
                return
            await self.outbox.progress.adopt(row)
        await self.outbox.progress.take_up(row)
        agent_id = self.context.routing.route(row.account, row.channel).agent_id
        self.context.log.info("got runtime, checking dispatch fn: true")
        self.context.log.info("route resolved: agentId=%s sessionKey=%s", agent_id, row.session_key)
        if (unready := await self.runs.ready()) is not None:
            self.context.log.warning("message %s gets no turn: %s", row.message_id, unready.detail)
            await self._conclude(row, "", unready, answer)
            return
        taken_up = row.run_id != "" and self.runs.outlive_us
        run_id = row.run_id if taken_up else self.context.clock.new_id()
        # of the run id, so that a run that is taken up after a restart has the mark it began with
        prompt = await self.prompts.prompt(message, mark_of(run_id))
        answer.mark = prompt.mark
        if self.context.config.quote_replies == "first":
            said = render(message.payload).text
            quoted = quote(row.message_id, row.message_seq, row.from_uid, prompt.name, said)
            answer.extent.quote = json.dumps(quoted, ensure_ascii=False)
        turn = self._turn(row, prompt, agent_id, run_id)
        if taken_up:
            turn = replace(turn, lost_since_ms=row.since_ms)
        end = await self._attempt(row, turn, answer, begin)
        if end.status == SKIPPED and self.context.config.guard.enabled:
            self.context.log.warning("the host skipped the turn (%s); once more", end.detail)
            turn = replace(
                self._turn(row, prompt, agent_id, self.context.clock.new_id()), attempt=row.attempt + 2
            )
            end = await self._attempt(row, turn, answer, begin)
        await self._conclude(row, turn.run_id, end, answer)

    async def _attempt(self, row: InboundRow, turn: Turn, answer: Answer, begin: Begin) -> RunEnd:
        """Make the session ready and run the turn once."""
        if self.context.config.guard.enabled and turn.run_id != row.run_id:
            answer.failures = max(answer.failures, await self.guard.prepare(turn, row.channel))
        answer.runs.append(turn.run_id)
        await self.kept_prompts.before(row, turn)
        attempt = _Attempt(
            turns=self,
            row=row,
            run_id=turn.run_id,
            answer=answer,
            begin_work=begin,
            shown=self._shown(row, answer),
        )
        try:
            end = await self.runs.run(turn, self.context.budget_s, self.slots, attempt)
        except BaseException:  # raised again: what is shown of the turn goes on no more
            await self.outbox.progress.cut(row)
            raise
        await self.kept_prompts.after(row, turn, end, answer)
        log, in_order = self.context.log, end.status in {Status.DONE, Status.KILLED}
        write = log.info if in_order else log.warning
        write("turn ended status=%s%s", end.status, f" ({end.detail})" if end.detail else "")
        if self.context.metrics is not None:
            self.context.metrics.ended(end.status)
        return end

    def _shown(self, row: InboundRow, answer: Answer) -> Shown | None:
        """Return what is shown of the turn while it runs, ``None`` for nothing: also where people read a part of it."""
        config, roster = self.context.config, self.prompts.directory.roster
        mode = mode_in(config, row.channel, roster.known(row.channel), self.context.identity.uid)
        return None if mode == "off" or answer.shown else Shown(config=config, mode=mode, mark=answer.mark)

    async def _conclude(self, row: InboundRow, run_id: str, end: RunEnd, answer: Answer) -> None:
        """Check that something became visible, and end the row by what did."""
        texts = self.context.config.texts
        said = answer.said(end)
        mark = texts.content_filter if end.cut == "content filter" else texts.length_limit
        if end.cut:
            self.context.log.warning("the answer of run %s ends at a %s of its model", run_id, end.cut)
        if end.status == SKIPPED:
            failed = self.guard.failed_again(texts.failed, answer.failures)
            await self._if_guarded(row, failed, f"the host skipped the turn: {end.detail}")
        elif end.status != Status.DONE:
            await self._conclude_failure(row, run_id, end, answer.visible(end.text), answer)
        elif end.cut and not (said or answer.shown or answer.extent.cut or self.outbox.has_refused(run_id)):
            await self._if_guarded(row, mark, f"a {end.cut} ended the answer before it began")
        elif (
            (parts := answer.new([*said, mark] if end.cut else said, texts))
            or answer.extent.cut
            or self.outbox.has_refused(run_id)
        ):
            await self.before_answer(row, answer)
            await self.outbox.conclude(row, run_id, parts, extent=answer.extent)
        elif answer.shown or (answer.is_declined and self.context.config.silent_replies == "allow"):
            await self.context.journal.messages.settle(
                [row.id], RowState.ANSWERED, detail="" if answer.shown else SILENT_REPLY
            )
        else:
            await self.before_answer(row, answer)
            await self._if_guarded(row, texts.empty, "the answer was empty")

    async def before_answer(self, row: InboundRow, answer: Answer) -> None:
        """Return when a part of an answer may be sent: receipt and typing are there, and the restart it comes after."""
        await self.presence.ready(row.channel)
        if answer.failures and not answer.restart_told:
            answer.restart_told = True
            await self.guard.announce(row.channel)

    async def _conclude_failure(
        self, row: InboundRow, run_id: str, end: RunEnd, text: str, answer: Answer
    ) -> None:
        """Show what a failed run had written, with a mark, and then that it failed."""
        texts = self.context.config.texts
        by_status: dict[str, str] = {Status.TIMEOUT: texts.timeout, Status.KILLED: texts.stopped}
        notice = texts.too_long if end.too_long else by_status.get(end.status, texts.failed)
        if end.status != Status.KILLED:
            notice = self.guard.failed_again(notice, answer.failures)
        said = [text.rstrip() + CUT_MARK] if text else []
        await self._notify(row, notice, end.detail, run_id, said, answer.extent)

    async def _if_guarded(self, row: InboundRow, text: str, detail: str) -> None:
        """Send the notice; with the guard switched off, stay as silent as a host without one."""
        self.context.log.warning("message %s gets no answer: %s", row.message_id, detail)
        if self.context.config.guard.enabled:
            await self._notify(row, text, detail)
        else:
            await self.outbox.give_up(row, f"{detail} (guard disabled)")

    async def _notify(  # one argument for each thing that is known of an end
        self,
        row: InboundRow,
        notice: str,
        detail: str,
        run_id: str = "",
        said: Said = (),
        extent: Extent | None = None,
    ) -> None:
        """End a message with a notice, the last of what is said."""
        await self.presence.ready(row.channel)
        try:
            await self.outbox.conclude(row, run_id, said, detail, notice=notice, extent=extent)
        except ApiError as error:
            await self.outbox.give_up(row, f"{detail}; the notice failed too: {error}")

    def _turn(self, row: InboundRow, prompt: Prompt, agent_id: str, run_id: str) -> Turn:
        return Turn(
            run_id=run_id,
            session_key=row.session_key,
            agent_id=agent_id,
            account_id=self.context.config.account_id,
            channel=CHANNEL,
            conversation=conversation_kind(row.channel),
            channel_id=row.channel.id,
            message_id=row.message_id,
            sender=Sender(
                uid=row.from_uid, name=prompt.name, is_owner=row.from_uid == self.context.identity.owner_uid
            ),
            text=prompt.text,
            notes=prompt.notes,
            context=prompt.context,
            mark=prompt.mark,
            title=prompt.title,
            media=prompt.media,
            output=self.outputs.folder / run_id,
            ticket=secrets.token_urlsafe(24),
            budget_s=self.context.budget_s,
            attempt=row.attempt + 1,
            resumed=row.attempt > 0,
        )


class _Attempt(Struct, frozen=True, kw_only=True):
    """One run of a message: an `Attempt` that records how far it is and posts its parts."""

    turns: Turns
    row: InboundRow
    run_id: str
    answer: Answer
    begin_work: Begin
    shown: Shown | None

    async def begin(self) -> None:
        await self.turns.outputs.make(self.run_id)
        self.begin_work()
        if self.shown is not None:
            after_s = self.turns.context.config.streaming.after_seconds
            quote = self.answer.extent.quote
            self.turns.outbox.progress.begin(self.row, self.shown, after_s, quote)
        if self.turns.runs.outlive_us:  # the host may know the run after we are gone
            await self.turns.context.journal.messages.assign_run(self.row.id, self.run_id)
        self.turns.context.log.info("turn started runId=%s", self.run_id)

    def watch(self, seen: Stream) -> None:
        if self.shown is not None:
            self.shown.seen = seen

    async def taken(self) -> None:
        await self.turns.context.journal.messages.start_run(self.row.id, self.run_id)

    async def interrupted(self, *, is_so: bool) -> None:
        await self.turns.context.journal.interruptions.note(self.row.id, interrupted=is_so)

    async def deliver(self, said: Told, post: NewPost | None = None) -> Sequence[str]:
        turns, ids = self.turns, list[str]()
        if isinstance(said, ApprovalsChanged):
            await turns.outbox.progress.passed_in(self.row.channel)  # the answer stands behind the request
            await turns.approvals.update(self.row, self.run_id, said)
            return ids
        given = [said] if isinstance(said, str | MediaItem) else said
        shown = (self.answer.visible(part) if isinstance(part, str) else part for part in given)
        if pieces := self.answer.new([part for part in shown if part], turns.context.config.texts):
            await turns.before_answer(self.row, self.answer)
            ids = await turns.outbox.reply(self.row, self.run_id, pieces, self.answer.extent, post)
            self.answer.shown += ids
        return ids
