"""Answers on their way to the chat: split, recorded, sent in order, never twice (design §7).

Over 350 lines: what is said as an answer, beside one and after a restart goes the same way.
"""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from typing import assert_never

from cachetools import FIFOCache
from msgspec import Struct, field
from msgspec.structs import asdict, replace

from openclaw_channel_octo.config.texts import Reason
from openclaw_channel_octo.errors import ApiError, BadRequest
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.message.outgoing import file_note
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.runtime.delivery.attachments import Attachments
from openclaw_channel_octo.runtime.delivery.extent import Extent
from openclaw_channel_octo.runtime.delivery.open_beneath import FileRefused
from openclaw_channel_octo.runtime.delivery.parts import Parts, Said
from openclaw_channel_octo.runtime.delivery.progress import Progress
from openclaw_channel_octo.runtime.delivery.sender import HEARD, LOST, Sender
from openclaw_channel_octo.runtime.delivery.underway import Underway, UnderwayMessages
from openclaw_channel_octo.store.records import Chunk, InboundRow, NewPost, Part
from openclaw_channel_octo.store.states import ChunkState, RowState

__all__ = ["Outbox"]

REFUSED = "a part was refused: "
"""How the detail begins of a message the chat does not take for what it is."""


class Outbox(Struct, frozen=True, kw_only=True):
    """Sends one bot's messages.

    Attributes:
        context: what every part of the bot is made from.
        sender: brings a message into the chat.
        files: uploads files of answers.
        parts: turns what is said into messages.
        progress: messages that show the progress of turns, and give way to their answers.
        underway: the messages that are worked on; nothing is planned for one that somebody has stopped.
    """

    context: BotContext
    sender: Sender
    files: Attachments
    parts: Parts
    progress: Progress
    underway: UnderwayMessages
    _notes: FIFOCache[str, str] = field(default_factory=lambda: FIFOCache(HEARD))
    _refused: FIFOCache[str, str] = field(default_factory=lambda: FIFOCache(HEARD))

    async def reply(
        self, row: InboundRow, run_id: str, said: Said, extent: Extent, post: NewPost | None = None
    ) -> list[str]:
        """Send a part of the answer to a message; return the ids of the messages it became.

        Args:
            row: the message.
            run_id: the run that wrote it, empty for a notice.
            said: texts and files in order; a file that cannot be sent becomes a line that says why.
            extent: of the answer so far: texts that are too many wait for `conclude`, which sends them as a file.
            post: the send with a key that this part is, ``None`` for none.

        Raises:
            ApiError: a chunk could not be delivered. Those behind it were sent all the same where it was refused for
                what it is (`ApiError.about_content`), and `conclude` tells people; else they were not tried.
            Stopped: somebody has stopped the message.
            StoreError: the journal did not take it.
        """
        found = self.underway.of(row)
        with found.working() if found else nullcontext():
            parts = await self.parts.more(row.channel, run_id, said, extent)
            chunks = await self._plan(row, run_id, parts, post=post)
            try:
                sent = await self._deliver_all(row, chunks)
                await self._record(sent)
            except ApiError as error:
                await self.context.journal.deliveries.drop_unsent(row.id, str(error))
                raise
        if sent.refused is not None:
            self._refused[run_id] = f"{REFUSED}{sent.refused}"
            raise sent.refused
        return sent.ids

    async def conclude(
        self,
        row: InboundRow,
        run_id: str,
        said: Said,
        detail: str = "",
        *,
        notice: str = "",
        extent: Extent | None = None,
    ) -> str:
        """Send the last part of an answer, and the notice behind it, and end the row; return the last message's id.

        An answer of which the chat did not take a part ends with a notice of that, and the row as ``notified``.

        Args:
            row: the message.
            run_id: the run that wrote the answer, empty for a notice.
            said: as in `reply`; may be empty where there is a notice, where `has_refused`, or where the extent is cut.
            detail: why it ends so, for an operator.
            notice: what people read behind it, however long that was; the row ends ``notified`` with it, else
                ``answered``.
            extent: of the answer so far, ``None`` where all of it comes now.

        Raises:
            ApiError: people were not told the end; the row is still open.
            StoreError: the journal did not take it.
        """
        extent = extent or self.parts.extent()
        parts = await self.parts.last(row.channel, run_id, said, extent, notice)
        ending = RowState.NOTIFIED if notice else RowState.ANSWERED
        refused = self._refused.pop(run_id, "")
        if refused and ending is RowState.ANSWERED:
            parts.append(Part(text=self.context.config.texts.part_refused))
            ending, detail = RowState.NOTIFIED, refused
        return await self._end(row, ending, await self._plan(row, run_id, parts, ending, detail))

    def has_refused(self, run_id: str) -> bool:
        """Return whether the chat did not take a part of what a run has said so far."""
        return run_id in self._refused

    async def post(self, channel: ChannelRef, said: Said, run_id: str = "") -> list[str]:
        """Send something that answers no message; return the ids of the messages it became.

        A send without an answer is looked for in the chat before it is repeated, as in `reply`; but nothing is
        recorded, so that a process that dies takes what was not sent along.

        Args:
            channel: where.
            said: as in `reply`.
            run_id: the run whose folder files may lie in, empty for none.

        Raises:
            ApiError: a part could not be delivered; those behind it were not tried.
        """
        now_ms = self.context.clock.wall_ms()
        ids = []
        parts = await self.parts.last(channel, run_id, said, self.parts.extent())
        try:
            for part in parts:
                chunk = Chunk(ref=self.context.clock.new_id(), since_ms=now_ms, **asdict(part))
                ids.append(await self.sender.deliver(channel, await self._ready(chunk)))
                self._name_note(chunk.ref, ids[-1])
        finally:
            for part in parts:
                await self.files.release(part.file)
        return ids

    def missing_file(self, message_id: str) -> str:
        """Return why a message of ours is a line in the place of a file, empty for every other message."""
        return self._notes.get(message_id, "")

    async def resume(self, row: InboundRow) -> bool:
        """Take up what an earlier process had begun to send for a row.

        Returns:
            Whether people have seen a part of it. A row whose last chunks were planned is ended by this.

        Raises:
            ApiError: people were not told the end; the row is still open.
        """
        chunks = await self.context.journal.deliveries.chunks(row.id)
        if row.ending:
            await self._end(row, RowState(row.ending), await self._recognised(row, chunks), resumed=True)
            return True
        shown = False
        for chunk in chunks:
            match chunk.state:
                case ChunkState.PLANNED:
                    pass
                case ChunkState.SENDING:
                    shown |= await self._was_sent(row, chunk)
                case ChunkState.SENT:
                    shown = True
                case ChunkState.DEAD:
                    if chunk.detail.startswith(REFUSED):
                        self._refused[chunk.run_id] = chunk.detail
                case _:
                    assert_never(chunk.state)
        await self.context.journal.deliveries.drop_unsent(row.id, "its run was lost")
        return shown

    async def end_stopped(self, found: Underway) -> None:
        """Send the notice that is planned where somebody has stopped a message, and end its row. Raises `ApiError`."""
        row, notice = found.row, await found.stopped if found.stopped else None
        if notice is None:
            return
        self.context.log.info("message %s was stopped by a person", row.message_id)
        for given_up in await self.context.journal.deliveries.chunks(row.id):
            await self.files.release(given_up.file)
        await self._end(row, RowState.NOTIFIED, [notice])

    async def announce(self, channel: ChannelRef, text: str) -> None:
        """Send a notice that nothing depends on: one try, no questions. Raises `ApiError`."""
        await self.sender.send(channel, Chunk(ref=self.context.clock.new_id(), text=text))

    async def give_up(self, row: InboundRow, detail: str) -> None:
        """End a message as a dead letter: nothing can be shown, the operator is told why."""
        self.context.log.error("dead letter: message %s got no answer: %s", row.message_id, detail)
        await self.context.journal.messages.settle([row.id], RowState.DEAD, detail=detail)

    async def _ready(self, chunk: Chunk) -> Chunk:
        """Return a chunk as it can be sent: its file uploaded, or a line in its place."""
        if not chunk.file:
            return chunk
        try:
            payload = json.dumps(await self.files.payload(chunk.file))
        except FileRefused as refused:
            return self._without_file(chunk, refused.reason)
        except Exception:  # the file boundary: what stands behind the file is sent all the same
            self.context.log.exception("a file of the answer broke")
            return self._without_file(chunk, Reason("file_not_sent"))
        return replace(chunk, file="", payload=payload)

    def _without_file(self, chunk: Chunk, reason: Reason) -> Chunk:
        self.context.log.warning("a file of the answer is not sent: %s", reason)
        texts = self.context.config.texts
        self._notes[chunk.ref] = reason.said(texts)
        note = file_note(texts.file_failed, chunk.text, reason.said(texts))
        note = self.files.instead(chunk.file) or note
        return replace(chunk, text=note, file="", payload="")

    def _name_note(self, ref: str, message_id: str) -> None:
        """Let a line in the place of a file be known by its message id."""
        if reason := self._notes.pop(ref, ""):
            self._notes[message_id] = reason

    async def _plan(
        self,
        row: InboundRow,
        run_id: str,
        parts: Sequence[Part],
        ending: RowState | None = None,
        detail: str = "",
        post: NewPost | None = None,
    ) -> list[Chunk]:
        """Record what is about to be sent; a file has to be uploaded before its message is."""
        at_once = bool(parts) and not parts[0].file
        if found := self.underway.of(row):
            found.require()
        return await self.context.journal.deliveries.plan(
            row.id, run_id, parts, ending, detail, sending=at_once, post=post
        )

    async def _recognised(self, row: InboundRow, chunks: Sequence[Chunk]) -> list[Chunk]:
        """Return chunks with those marked as sent that the chat shows though a journal older than it does not know."""
        known = list(chunks)
        planned = [number for number, chunk in enumerate(known) if chunk.state is ChunkState.PLANNED]
        if not planned or not await self.sender.answered_in_chat(row):
            return known
        for number in planned:
            chunk = known[number]
            message_id = await self.sender.find_sent(row, chunk)
            if not message_id:
                break
            await self.context.journal.deliveries.mark(chunk.ref, ChunkState.SENT, message_id=message_id)
            known[number] = replace(chunk, state=ChunkState.SENT, message_id=message_id)
        return known

    async def _was_sent(self, row: InboundRow, chunk: Chunk) -> bool:
        """Find out what became of a chunk an earlier process may have sent; one that is not there is given up."""
        look = self.progress.replaced if chunk.replaces else self.sender.find_sent
        message_id = await look(row, chunk)
        state = ChunkState.SENT if message_id else ChunkState.DEAD
        await self.context.journal.deliveries.mark(
            chunk.ref, state, message_id=message_id, detail="" if message_id else LOST
        )
        return bool(message_id)

    async def _end(
        self, row: InboundRow, ending: RowState, chunks: Sequence[Chunk], *, resumed: bool = False
    ) -> str:
        """Send a row's last chunks and end it; return the id of the last. Raises `ApiError` where that was not sent."""
        sent = await self._deliver_all(row, chunks, resumed=resumed)
        last_id = sent.ids[-1] if sent.ids else ""
        if sent.ids and not last_id:
            raise sent.refused or BadRequest(
                "sendMessage", "an earlier process could not tell people the end"
            )
        if sent.told:
            ending = RowState.NOTIFIED
        notice_id = last_id if ending is RowState.NOTIFIED else ""
        # the detail is in the plan
        await self.context.journal.messages.settle(
            [row.id], ending, sent=sent.unrecorded, notice_id=notice_id
        )
        return last_id

    async def _deliver_all(
        self, row: InboundRow, chunks: Sequence[Chunk], *, resumed: bool = False
    ) -> "_Sent":
        """Send chunks in their order, and behind them the notice where the journal wants one.

        Args:
            row: what they answer.
            chunks: as the journal has them.
            resumed: whether an earlier process may have sent the one it recorded as ``sending``.

        Raises:
            ApiError: a chunk cannot be sent, nor those behind it; their files are not kept.
        """
        under_way = self.underway.of(row) or Underway(row=row)
        under_way.planned += len(chunks)
        sent = _Sent(unrecorded=under_way.accepted)
        waiting = list(chunks)
        for chunk in waiting:  # the notice joins them
            await self._record(sent)
            try:
                await self._deliver_recorded(row, chunk, sent, resumed=resumed)
            except ApiError as error:
                if not error.about_content:
                    for unsent in waiting:
                        await self.files.release(unsent.file)
                    raise
                sent.ids.append("")
                sent.refused = error
                self.context.log.warning("%s; the rest of the answer is sent without it", error)
                reason = f"{REFUSED}{error}"
                notice = await self.context.journal.deliveries.refuse(
                    chunk.ref, reason, Part(text=self.context.config.texts.part_refused)
                )
                if notice is not None:
                    sent.told = True
                    waiting.append(notice)
                    under_way.planned += 1
            under_way.sent += 1
        return sent

    async def _deliver_recorded(self, row: InboundRow, chunk: Chunk, sent: "_Sent", *, resumed: bool) -> None:
        """Bring a chunk to its end; that it was sent is recorded with the next step. Raises `ApiError`."""
        match chunk.state:
            case ChunkState.SENT | ChunkState.DEAD:
                sent.ids.append(chunk.message_id)
                if chunk.message_id:
                    self.progress.passed(row)
                return
            case ChunkState.SENDING | ChunkState.PLANNED:
                planned = chunk.state is ChunkState.PLANNED
            case _:
                assert_never(chunk.state)
        if chunk.file:
            file, chunk = chunk.file, await self._ready(chunk)
            await self.context.journal.deliveries.revise(chunk.ref, chunk)
            await self.files.release(file)
        if planned:
            await self.context.journal.deliveries.mark(chunk.ref, ChunkState.SENDING)
        uncertain = resumed and not planned
        in_place = chunk.replaces or not uncertain
        message_id = await self.progress.replaced(row, chunk) if in_place else ""
        if not message_id:
            message_id = await self.sender.deliver(row.channel, chunk, row, uncertain=uncertain)
            self.progress.passed(row)
        if self.context.metrics is not None:
            self.context.metrics.replied(row.id)
        self._name_note(chunk.ref, message_id)
        sent.ids.append(message_id)
        sent.unrecorded[chunk.ref] = message_id

    async def _record(self, sent: "_Sent") -> None:
        """Record what was sent."""
        for ref, message_id in [*sent.unrecorded.items()]:
            await self.context.journal.deliveries.mark(ref, ChunkState.SENT, message_id=message_id)
            del sent.unrecorded[ref]


class _Sent(Struct):
    """What became of chunks.

    Attributes:
        ids: the message id of each, empty for one that was given up.
        unrecorded: message ids by the refs of chunks that the server accepted and the journal does not know as sent.
        refused: why the chat did not take one of them.
        told: whether a notice of that was planned and sent as the last of them.
    """

    ids: list[str] = field(default_factory=list)
    unrecorded: dict[str, str] = field(default_factory=dict)
    refused: ApiError | None = None
    told: bool = False
