"""Sends with a key: what answers no message and is still sent once, whatever dies meanwhile (decision 0048)."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from weakref import WeakValueDictionary

from msgspec import Struct, field
from msgspec.structs import replace

from openclaw_channel_octo.errors import (
    AmbiguousOutcome,
    ApiError,
    BadRequest,
    OctoError,
    SendFailed,
    Unavailable,
)
from openclaw_channel_octo.host.base import MediaItem
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.runtime.delivery.open_beneath import FileRefused
from openclaw_channel_octo.runtime.delivery.outbox import Outbox
from openclaw_channel_octo.store.posts import Posts as PostTable
from openclaw_channel_octo.store.records import Chunk, NewPost, Part, Post
from openclaw_channel_octo.store.states import ChunkState

__all__ = ["Answering", "Posted", "Posts"]

PASSING = frozenset(
    {"file_upload", "file_slow", "file_no_room", "file_not_fetched", "file_lost", "file_shrank"}
)
"""Reasons (`Reason.key`) for which a file is not sent now and may be later."""

Answering = Callable[[Sequence[str | Part], NewPost], Awaitable[Sequence[str]]]
"""Sends texts and uploaded files as a part of the answer of a run under way; returns the ids of their messages."""


class Posted(Struct, frozen=True, kw_only=True):
    """What became of a send.

    Attributes:
        message_ids: of its messages that stand in the chat, in order.
        state: ``sent``; ``unsent``, so that it may be sent; or ``unknown`` while that cannot be told.
        repeated: whether an earlier call with its key had sent it.
    """

    message_ids: tuple[str, ...] = ()
    state: str = "sent"
    repeated: bool = False


class Posts(Struct, frozen=True, eq=False):
    """Sends of one bot with a key, one after the other in each conversation.

    Attributes:
        outbox: sends.
        began_ms: when this process began with the bot, Unix milliseconds.
    """

    outbox: Outbox
    began_ms: int
    _orders: WeakValueDictionary[ChannelRef, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    _under_way: Counter[str] = field(default_factory=Counter)

    async def send(
        self,
        post: NewPost,
        said: Sequence[str | MediaItem],
        *,
        run_id: str = "",
        reply: str = "",
        answering: Answering | None = None,
    ) -> Posted:
        """Send texts and files, all or nothing of what can be known before; the same key sends nothing twice.

        Every file is uploaded before anything is planned, so that one that cannot be sent keeps all of it back. What
        an earlier call, or an earlier process, left unsent of the same key is sent now.

        Args:
            post: what it is.
            said: texts and files in order.
            run_id: the run whose folder files may lie in, empty for none.
            reply: the quote it begins with, JSON; empty for none.
            answering: where it is a part of an answer: sends that.

        Raises:
            SendFailed: it was not sent, or not to its end.
            StoreError: the journal did not take it.
        """
        order = self._orders.setdefault(post.channel, asyncio.Lock())
        self._under_way[post.key] += 1
        try:
            async with order:
                known = await self._posts.find(post.account, post.key)
                if known is None:
                    return await self._first(post, said, run_id, reply, answering)
                if known.digest != post.digest:
                    taken = "this key was used for another message; nothing was sent"
                    raise SendFailed(BadRequest("sendMessage", taken))
                return await self._again(known)
        finally:
            self._under_way[post.key] -= 1
            if not self._under_way[post.key]:
                del self._under_way[post.key]

    async def look(self, account: str, key: str) -> Posted:
        """Return what became of a send, without sending anything; the chat is asked where the journal cannot tell.

        Raises:
            StoreError: the journal cannot be read.
        """
        if self._under_way[key]:
            return Posted(state="unknown")
        post = await self._posts.find(account, key)
        if post is None:
            return Posted(state="unsent")
        try:
            post = await self._looked_for(post)
        except ApiError as error:
            self.outbox.context.log.warning("what became of a send cannot be told: %s", error)
            return Posted(message_ids=post.message_ids, state="unknown")
        return Posted(message_ids=post.message_ids, state="sent" if _is_sent(post) else "unsent")

    @property
    def _posts(self) -> PostTable:
        return self.outbox.context.journal.posts

    async def _first(
        self,
        post: NewPost,
        said: Sequence[str | MediaItem],
        run_id: str,
        reply: str,
        answering: Answering | None,
    ) -> Posted:
        ready = await self._uploaded(said, run_id)
        if answering is not None:
            try:
                return Posted(message_ids=tuple(await answering(ready, post)))
            except OctoError as error:
                raise SendFailed(error) from error
        parts = await self.outbox.parts.last(post.channel, "", ready, self.outbox.parts.extent())
        parts = [replace(parts[0], reply=reply), *parts[1:]]
        parts = [await self._whole(part) for part in parts]
        chunks = await self._posts.plan(post, parts)
        return Posted(message_ids=await self._deliver(post.channel, chunks))

    async def _again(self, known: Post) -> Posted:
        try:
            known = await self._looked_for(known)
        except ApiError as error:
            raise SendFailed(_uncertain(error), known.message_ids) from error
        if _is_sent(known):
            return Posted(message_ids=known.message_ids, repeated=True)
        return Posted(message_ids=await self._deliver(known.channel, known.chunks))

    async def _uploaded(self, said: Sequence[str | MediaItem], run_id: str) -> list[str | Part]:
        """Return what is said with its files uploaded. Raises `SendFailed` where one cannot be sent."""
        ready: list[str | Part] = []
        for piece in said:
            if isinstance(piece, str):
                ready.append(piece)
                continue
            part = await self.outbox.files.plan(piece, run_id)
            try:
                ready.append(await self._with_payload(part))
            except FileRefused as error:
                why = f"{part.text or 'the file'} cannot be sent: {error}; nothing was sent"
                kind = Unavailable if error.reason.key in PASSING else BadRequest
                raise SendFailed(kind("sendMessage", why)) from error
            finally:
                await self.outbox.files.release(part.file)
        return ready

    async def _whole(self, part: Part) -> Part:
        """Return a part as it can be sent: the file with a text that is too long uploaded, or the text's end."""
        if not part.file:
            return part
        try:
            return await self._with_payload(part)
        except FileRefused:
            return Part(text=self.outbox.files.instead(part.file), reply=part.reply)
        finally:
            await self.outbox.files.release(part.file)

    async def _with_payload(self, part: Part) -> Part:
        return replace(part, file="", payload=json.dumps(await self.outbox.files.payload(part.file)))

    async def _looked_for(self, post: Post) -> Post:
        """Return a send with those of its messages marked as sent that the chat shows. Raises `ApiError`.

        No history shows what was put in the place of another message (octo-bot-api §2.4). That is done once more
        when the message it answers is taken up, and cannot be told before.
        """
        chunks = list(post.chunks)
        for number, chunk in enumerate(chunks):
            if chunk.state is ChunkState.SENDING and chunk.replaces:
                raise AmbiguousOutcome("editMessage", "the message it answers is not taken up yet")
            if chunk.state in {ChunkState.SENDING, ChunkState.DEAD}:
                wanted = replace(chunk, since_ms=post.planned_ms)
                message_id = await self.outbox.sender.find_posted(post.channel, wanted)
                state = ChunkState.SENT if message_id else ChunkState.DEAD
                await self._mark(chunk, state, message_id, "" if message_id else "it is not in the chat")
                chunks[number] = replace(chunk, state=state, message_id=message_id)
        return replace(post, chunks=tuple(chunks))

    async def _deliver(self, channel: ChannelRef, chunks: Sequence[Chunk]) -> tuple[str, ...]:
        ids: list[str] = []
        for chunk in chunks:
            if chunk.state is ChunkState.SENT:
                ids.append(chunk.message_id)
                continue
            if chunk.state is not ChunkState.SENDING:
                await self._mark(chunk, ChunkState.SENDING)
            try:
                message_id = await self.outbox.sender.deliver(channel, chunk)
            except ApiError as error:
                if not isinstance(error, AmbiguousOutcome):
                    await self._mark(chunk, ChunkState.DEAD, detail=str(error))
                raise SendFailed(error, ids) from error
            await self._mark(chunk, ChunkState.SENT, message_id)
            ids.append(message_id)
        return tuple(ids)

    async def _mark(self, chunk: Chunk, state: ChunkState, message_id: str = "", detail: str = "") -> None:
        deliveries = self.outbox.context.journal.deliveries
        await deliveries.mark(chunk.ref, state, message_id=message_id, detail=detail)


def _is_sent(post: Post) -> bool:
    return all(chunk.state is ChunkState.SENT for chunk in post.chunks)


def _uncertain(error: ApiError) -> AmbiguousOutcome:
    return AmbiguousOutcome(error.call, f"an earlier send cannot be looked for: {error.detail}")
