"""Messages of ours on their way to the chat: split, recorded, sent in order, never twice (design §7)."""

import asyncio
from functools import partial

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import AmbiguousOutcome, ApiError
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.message.payload import parse_payload
from openclaw_channel_octo.message.split import split_reply
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.runtime.backoff import Backoff
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.store.records import Chunk, ChunkState, InboundRow

__all__ = ["Outbox"]

TRIES = 5
"""Sends of one message before it is given up; with the waits between them about half a minute."""

LOOK_BACK = 50
"""Newest messages of a conversation searched for one whose send had no answer."""

LONG_TEXT = 50_000
"""Characters from which a text is split off the event loop, so that pings go on."""

_TEXT = 1


class Outbox:
    """Sends one bot's messages.

    Args:
        api: the bot's API.
        journal: where each chunk is recorded before and after it is sent.
        clock: time.
        chunk_limit: longest message in UTF-16 units.
        log: the bot's log.
    """

    def __init__(self, api: BotApi, journal: Journal, clock: Clock, chunk_limit: int, log: BotLog) -> None:
        self._api = api
        self._journal = journal
        self._clock = clock
        self._chunk_limit = chunk_limit
        self._log = log

    async def reply(self, row: InboundRow, run_id: str, text: str) -> list[str]:
        """Send a part of the answer to a message; return the ids of the messages it became.

        Raises:
            ApiError: a chunk could not be delivered; those behind it were not tried.
            StoreError: the journal did not take it.
        """
        split = partial(split_reply, text, self._chunk_limit)
        parts = split() if len(text) < LONG_TEXT else await asyncio.to_thread(split)
        chunks = await self._journal.plan_chunks(row.id, run_id, parts)
        return [await self._deliver_recorded(row.channel, chunk) for chunk in chunks]

    async def notice(self, channel: ChannelRef, text: str) -> str:
        """Send a notice; return its message id. Raises `ApiError` when it could not be delivered."""
        return await self._deliver(channel, Chunk(ref=self._clock.new_id(), text=text))

    async def announce(self, channel: ChannelRef, text: str) -> None:
        """Send a notice that nothing depends on: one try, no questions. Raises `ApiError`."""
        await self._send(channel, Chunk(ref=self._clock.new_id(), text=text))

    async def _deliver_recorded(self, channel: ChannelRef, chunk: Chunk) -> str:
        await self._journal.mark_chunk(chunk.ref, ChunkState.SENDING)
        try:
            message_id = await self._deliver(channel, chunk)
        except ApiError as error:
            await self._journal.mark_chunk(chunk.ref, ChunkState.DEAD, detail=str(error))
            raise
        await self._journal.mark_chunk(chunk.ref, ChunkState.SENT, message_id=message_id)
        return message_id

    async def _deliver(self, channel: ChannelRef, chunk: Chunk) -> str:
        """Send until it is certain that the message stands in the chat once, or cannot."""
        backoff = Backoff(self._clock, 1.0, 16.0)
        for attempt in range(1, TRIES + 1):
            try:
                return await self._send(channel, chunk)
            except AmbiguousOutcome as error:
                if attempt == TRIES:
                    raise
                self._log.warning("no answer to sendMessage, looking for the message: %s", error)
            except ApiError as error:
                if not error.retryable or attempt == TRIES:
                    raise
                self._log.warning("sendMessage will be tried again: %s", error)
                await self._clock.sleep(backoff.next())
                continue
            await self._clock.sleep(backoff.next())  # accepted messages take a moment to reach the history
            if found := await self._find(channel, chunk):
                return found
        raise AssertionError("the last attempt returns or raises")  # pragma: no cover

    async def _send(self, channel: ChannelRef, chunk: Chunk) -> str:
        payload = {"type": _TEXT, "content": chunk.text, "client_ref": chunk.ref}
        sent = await self._api.send_message(channel, payload)
        self._log.info(
            "deliver: channel=%s (%d chars) messageId=%s", channel.id, len(chunk.text), sent.message_id
        )
        return sent.message_id

    async def _find(self, channel: ChannelRef, chunk: Chunk) -> str:
        """Return the id of the message in the history, empty when it is not there.

        Raises:
            AmbiguousOutcome: the history could not be read, so sending again might double the message.
        """
        try:
            history = await self._api.sync_messages(channel, limit=LOOK_BACK)
        except ApiError as error:
            raise AmbiguousOutcome(
                "sendMessage", f"no answer, and the history is out of reach: {error}"
            ) from error
        for message in history:
            if parse_payload(message.payload).data.get("client_ref") == chunk.ref:
                return message.message_id
        return ""
