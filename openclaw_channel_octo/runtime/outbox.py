"""Messages of ours on their way to the chat: split, recorded, sent in order, never twice (design §7)."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from msgspec.structs import replace

from openclaw_channel_octo.clock import Backoff, Clock
from openclaw_channel_octo.errors import AmbiguousOutcome, ApiError, BadRequest, RateLimited
from openclaw_channel_octo.host.base import MediaItem
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.message.address import addressed, split_addressed
from openclaw_channel_octo.message.outgoing import file_note
from openclaw_channel_octo.message.payload import Payload, parse_payload
from openclaw_channel_octo.message.text import utf16_length
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.runtime.attachments import Attachments
from openclaw_channel_octo.runtime.jail import FileRefused
from openclaw_channel_octo.runtime.measures import Measures
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.store.records import Chunk, ChunkState, InboundRow, Part, RowState

__all__ = ["Outbox", "Said"]

Said = str | MediaItem | Sequence[str | MediaItem]
"""What an answer, or a part of it, consists of: texts and files in order."""

TRIES = 8
"""Steps, sends and searches together, before a message is given up; with the waits between them over a minute."""

LONGEST_HINT_S = 60.0
"""Longest wait a server can ask for before a message is sent again; people wait eight minutes at most."""

LOOK_BACK = 100
"""Newest messages of a conversation searched for one whose send had no answer."""

CLOCK_SLACK_S = 60
"""How far the server's clock may be behind ours when a message is recognised by its content."""

HEARD = 1_000
"""Own messages whose echo is remembered."""

LONG_TEXT = 50_000
"""Characters from which a text is split off the event loop, so that pings go on."""

LOST = "its process died before the answer came"
"""Detail of a chunk whose send was interrupted."""

REF_KEY = "client_ref"
"""Key of the payload that carries our id of a message through the server."""

_TEXT = 1

_V = TypeVar("_V")


class Outbox:
    """Sends one bot's messages.

    Args:
        api: the bot's API.
        own_uid: the bot's uid.
        journal: where each chunk is recorded before and after it is sent.
        clock: time.
        chunk_limit: longest message in UTF-16 units.
        people: tells the names of people, by uid, that are known of a conversation; an answer can call only these.
        files: uploads files of answers.
        everyone: whether answers may call everybody in a group.
        file_failed: how the line begins that stands in the place of a file that could not be sent.
        log: the bot's log.
        measures: told of answers that were sent.
    """

    def __init__(  # noqa: PLR0913  # it stands between chat, disk and time
        self,
        *,
        api: BotApi,
        own_uid: str,
        journal: Journal,
        clock: Clock,
        chunk_limit: int,
        people: Callable[[ChannelRef], Mapping[str, str]],
        files: Attachments,
        everyone: bool,
        file_failed: str,
        log: BotLog,
        measures: Measures,
    ) -> None:
        self._measures = measures
        self._api = api
        self._own_uid = own_uid
        self._journal = journal
        self._clock = clock
        self._chunk_limit = chunk_limit
        self._people = people
        self._files = files
        self._everyone = everyone
        self._file_failed = file_failed
        self._log = log
        self._heard: OrderedDict[str, str] = OrderedDict()
        self._accepted: OrderedDict[str, None] = OrderedDict()
        self._notes: OrderedDict[str, str] = OrderedDict()

    async def reply(self, row: InboundRow, run_id: str, said: Said, quote: str = "") -> list[str]:
        """Send a part of the answer to a message; return the ids of the messages it became.

        Args:
            row: the message.
            run_id: the run that wrote it, empty for a notice.
            said: texts and files in order; a file that cannot be sent becomes a line that says why.
            quote: the quote the first of them begins with, JSON; empty for none.

        Raises:
            ApiError: a chunk could not be delivered; those behind it were not tried.
            StoreError: the journal did not take it.
        """
        parts = _quoting(quote, await self._parts(row.channel, run_id, said))
        return await self._deliver_all(row, await self._journal.plan_chunks(row.id, run_id, parts))

    async def conclude(
        self, row: InboundRow, run_id: str, said: Said, ending: RowState, detail: str = "", quote: str = ""
    ) -> str:
        """Send the last part of an answer, or the notice in its place, and end the row; return its message id.

        Raises as `reply` does.
        """
        parts = _quoting(quote, await self._parts(row.channel, run_id, said))
        chunks = await self._journal.plan_chunks(row.id, run_id, parts, ending)
        ids = await self._deliver_all(row, chunks)
        await self._settle(row, ending, ids, detail)
        return ids[-1]

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
        now_ms = self._clock.wall_ms()
        ids = []
        parts = await self._parts(channel, run_id, said)
        try:
            for part in parts:
                chunk = Chunk(ref=self._clock.new_id(), text=part.text, file=part.file, since_ms=now_ms)
                ids.append(await self._deliver(channel, await self._ready(chunk), uncertain=False))
                self._name_note(chunk.ref, ids[-1])
        finally:
            for part in parts:
                await self._files.spent(part.file)
        return ids

    async def edit(self, channel: ChannelRef, message_id: str, text: str) -> None:
        """Put another text in the place of one of the bot's messages.

        Raises:
            ApiError: it is too long for one message, not the bot's own, or not there.
        """
        if utf16_length(text) > self._chunk_limit:
            raise BadRequest(
                "editMessage", f"more than {self._chunk_limit} characters do not fit one message"
            )
        await self._api.edit_message(channel, message_id, self._text_payload(channel, text))

    def missing_file(self, message_id: str) -> str:
        """Return why a message of ours is a line in the place of a file, empty for every other message."""
        return self._notes.get(message_id, "")

    async def finish(self, row: InboundRow) -> bool:
        """Take up what an earlier process had begun to send for a row.

        Returns:
            Whether people have seen a part of it. A row whose last chunks were planned is ended by this.

        Raises:
            ApiError: a chunk could not be delivered.
        """
        ids: list[str] = []
        for chunk in await self._journal.chunks(row.id):
            match chunk.state:
                case ChunkState.SENT:
                    ids.append(chunk.message_id)
                case ChunkState.SENDING if row.ending:
                    ids.append(await self._deliver_recorded(row, chunk, uncertain=True))
                case ChunkState.SENDING:
                    ids += await self._recognise(row.channel, chunk)
                case ChunkState.PLANNED if row.ending:
                    ids.append(await self._deliver_recorded(row, chunk))
        if row.ending:
            await self._settle(row, RowState(row.ending), ids, "")
        else:
            await self._journal.drop_unsent(row.id)
        return bool(ids)

    async def announce(self, channel: ChannelRef, text: str) -> None:
        """Send a notice that nothing depends on: one try, no questions. Raises `ApiError`."""
        await self._send(channel, Chunk(ref=self._clock.new_id(), text=text))

    async def answered_in_chat(self, row: InboundRow) -> bool:
        return False

    def heard(self, payload: Payload | None, message_id: int) -> None:
        """Note one of our own messages that came back over the socket: it stands in the chat."""
        ref = payload.data.get(REF_KEY) if payload else None
        if isinstance(ref, str):
            _remember(self._heard, ref, str(message_id))

    async def _parts(self, channel: ChannelRef, run_id: str, said: Said) -> list[Part]:
        parts: list[Part] = []
        for piece in [said] if isinstance(said, str | MediaItem) else said:
            if isinstance(piece, MediaItem):
                parts.append(await self._files.plan(piece, run_id))
            else:
                parts += [Part(text=text) for text in await self._split(channel, piece)]
        return parts

    async def _ready(self, chunk: Chunk) -> Chunk:
        """Return a chunk as it can be sent: its file uploaded, or a line in its place."""
        if not chunk.file:
            return chunk
        try:
            payload = json.dumps(await self._files.payload(chunk.file))
        except FileRefused as refused:
            return self._without_file(chunk, str(refused))
        except Exception:  # noqa: BLE001  # the file boundary: what stands behind the file is sent all the same
            self._log.exception("a file of the answer broke")
            return self._without_file(chunk, "it could not be sent")
        return replace(chunk, file="", payload=payload)

    def _without_file(self, chunk: Chunk, reason: str) -> Chunk:
        self._log.warning("a file of the answer is not sent: %s", reason)
        _remember(self._notes, chunk.ref, reason)
        note = file_note(self._file_failed, chunk.text, reason)
        return replace(chunk, text=note, file="", payload="")

    def _name_note(self, ref: str, message_id: str) -> None:
        """Let a line in the place of a file be known by its message id."""
        if reason := self._notes.pop(ref, ""):
            _remember(self._notes, message_id, reason)

    async def _split(self, channel: ChannelRef, text: str) -> list[str]:
        split = partial(split_addressed, text, self._members(channel), self._chunk_limit)
        return split() if len(text) < LONG_TEXT else await asyncio.to_thread(split)

    def _members(self, channel: ChannelRef) -> Mapping[str, str]:
        """Return whom a message there can call: nobody in a direct conversation."""
        return {} if channel.type == ChannelType.PERSON else self._people(channel)

    async def _settle(self, row: InboundRow, ending: RowState, ids: list[str], detail: str) -> None:
        notice_id = ids[-1] if ids and ending is RowState.NOTIFIED else ""
        await self._journal.settle([row.id], ending, notice_id=notice_id, detail=detail)

    async def _recognise(self, channel: ChannelRef, chunk: Chunk) -> list[str]:
        """Return the id of a chunk that an earlier process may have sent; one that is not there is given up."""
        backoff = Backoff(self._clock, 1.0, 16.0)
        for attempt in range(1, TRIES + 1):
            await self._clock.sleep(backoff.next())
            try:
                message_id = await self._search(channel, chunk)
            except ApiError as error:
                if not error.retryable or attempt == TRIES:
                    raise
                continue
            state = ChunkState.SENT if message_id else ChunkState.DEAD
            await self._journal.mark_chunk(chunk.ref, state, message_id=message_id, detail=LOST)
            return [message_id] if message_id else []
        return []

    async def _deliver_all(self, row: InboundRow, chunks: Sequence[Chunk]) -> list[str]:
        """Send chunks in their order; those behind one that cannot be sent never are, nor are their files kept."""
        try:
            return [await self._deliver_recorded(row, chunk) for chunk in chunks]
        except ApiError:
            for chunk in chunks:
                await self._files.spent(chunk.file)
            raise

    async def _deliver_recorded(self, row: InboundRow, chunk: Chunk, *, uncertain: bool = False) -> str:
        if chunk.file:
            file, chunk = chunk.file, await self._ready(chunk)
            await self._journal.revise_chunk(chunk.ref, chunk)
            await self._files.spent(file)
        if not uncertain:
            await self._journal.mark_chunk(chunk.ref, ChunkState.SENDING)
        try:
            message_id = await self._deliver(row.channel, chunk, uncertain=uncertain)
        except ApiError as error:
            await self._journal.mark_chunk(chunk.ref, ChunkState.DEAD, detail=str(error))
            raise
        self._measures.replied(row.id)
        self._name_note(chunk.ref, message_id)
        await self._journal.mark_chunk(chunk.ref, ChunkState.SENT, message_id=message_id)
        return message_id

    async def _deliver(self, channel: ChannelRef, chunk: Chunk, *, uncertain: bool) -> str:
        """Send until it is certain that the message stands in the chat once, or cannot."""
        backoff = Backoff(self._clock, 1.0, 16.0)
        problem: ApiError = AmbiguousOutcome("sendMessage", LOST)
        for _ in range(TRIES):
            try:
                if not uncertain:
                    return await self._send(channel, chunk)
                await self._clock.sleep(
                    backoff.next()
                )  # an accepted message takes a moment to reach the history
                if found := await self._search(channel, chunk):
                    return found
                uncertain = False
            except AmbiguousOutcome as error:
                problem, uncertain = error, True
                self._log.warning("%s; looking for the message in the chat", error)
            except ApiError as error:
                if not error.retryable:
                    raise
                problem = error
                self._log.warning("%s; once more", error)
                hint_s = error.retry_after if isinstance(error, RateLimited) else 0.0
                await self._clock.sleep(max(backoff.next(), min(hint_s, LONGEST_HINT_S)))
        raise problem

    async def _send(self, channel: ChannelRef, chunk: Chunk) -> str:
        payload = json.loads(chunk.payload) if chunk.payload else self._text_payload(channel, chunk.text)
        if chunk.reply:
            payload["reply"] = json.loads(chunk.reply)
        sent = await self._api.send_message(channel, payload | {REF_KEY: chunk.ref})
        _remember(self._accepted, sent.message_id, None)
        what = "file" if chunk.payload else f"{len(chunk.text)} chars"
        self._log.info("deliver: channel=%s (%s) messageId=%s", channel.id, what, sent.message_id)
        return sent.message_id

    def _text_payload(self, channel: ChannelRef, text: str) -> dict[str, Any]:
        everyone = self._everyone and channel.type != ChannelType.PERSON
        message = addressed(text, self._members(channel), everyone=everyone)
        mention = {"mention": message.mention} if message.mention else {}
        return {"type": _TEXT, "content": message.text, **mention}

    async def _search(self, channel: ChannelRef, chunk: Chunk) -> str:
        """Return the id of a message that may have been sent, empty when it is not in the chat. Raises `ApiError`."""
        if heard := self._heard.get(chunk.ref):
            return heard
        since_s = chunk.since_ms // 1000 - CLOCK_SLACK_S
        wire_text = addressed(chunk.text, self._members(channel)).text
        url = json.loads(chunk.payload)["url"] if chunk.payload else ""
        alike = ""
        for message in await self._api.sync_messages(channel, limit=LOOK_BACK):
            payload = parse_payload(message.payload)
            if payload.data.get(REF_KEY) == chunk.ref:
                return message.message_id
            ours = message.from_uid == self._own_uid and message.timestamp >= since_s
            keyless = REF_KEY not in payload.data and message.message_id not in self._accepted
            same = payload.data.get("url") == url if url else payload.text == wire_text
            if ours and keyless and same:
                alike = message.message_id
        return alike


def _quoting(quote: str, parts: Sequence[Part]) -> list[Part]:
    """Return the parts with a quote at the beginning of the first."""
    first = [replace(part, reply=quote) for part in parts[:1]]
    return [*first, *parts[1:]]


def _remember(kept: OrderedDict[str, _V], key: str, value: _V) -> None:
    kept[key] = value
    while len(kept) > HEARD:
        kept.popitem(last=False)
