"""One message of ours into the chat: sent once, looked for where that is uncertain, tried again where it may help."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cachetools import FIFOCache
from msgspec import Struct, field

from openclaw_channel_octo.clock import Backoff, Clock
from openclaw_channel_octo.errors import AmbiguousOutcome, ApiError, RateLimited
from openclaw_channel_octo.ids import ChannelRef, ChannelType, split_space
from openclaw_channel_octo.message.mentions import addressed
from openclaw_channel_octo.message.payload import ANSWERS_KEY, REF_KEY, Payload, parse_payload
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.rest.answers import ProxyRefusal
from openclaw_channel_octo.rest.client import MAX_HISTORY_ROWS, BotApi
from openclaw_channel_octo.rest.models import HistoryMessage
from openclaw_channel_octo.store.records import Chunk, InboundRow

__all__ = ["HEARD", "Sender"]

TRIES = 8
"""Tries of a message before it is given up; with the waits between them over a minute."""

LONGEST_HINT_S = 60.0
"""Longest wait a server can ask for before a message is sent again; people wait eight minutes at most."""

STORED_AFTER_S = 1.0
"""How long an accepted message may take to reach the history."""

LOOK_WITHIN_S = 10.0
"""Longest time a page of the history may take before a message is answered without it."""

LOOK_BACK = 100
"""Newest messages of a conversation searched for one whose send had no answer."""

CLOCK_SLACK_S = 60
"""How far the server's clock may be behind ours when a message is recognised by its content."""

HEARD = 1_000
"""Own messages whose echo is remembered."""

LOST = "its process died before the answer came"
"""What became of a send that was interrupted."""

_TEXT = 1


class Sender(Struct, frozen=True, kw_only=True):
    """Sends messages of one bot, whatever they are part of.

    Attributes:
        api: the bot's API.
        own_uid: the bot's uid.
        clock: time.
        people: tells the names of those whom a message in a conversation can call, by uid.
        everyone: returns whether messages may call everybody in a group.
        log: the bot's log.
    """

    api: BotApi
    own_uid: str
    clock: Clock
    people: Callable[[ChannelRef], Mapping[str, str]]
    everyone: Callable[[], bool]
    log: BotLog
    _heard: FIFOCache[str, str] = field(default_factory=lambda: FIFOCache(HEARD))
    _answered: FIFOCache[str, None] = field(default_factory=lambda: FIFOCache(HEARD))
    _accepted: FIFOCache[str, None] = field(default_factory=lambda: FIFOCache(HEARD))
    _trying: "dict[str, _Tries]" = field(default_factory=dict)

    @property
    def unsent(self) -> Mapping[str, int]:
        """Since when the API fails for a message that waits to be sent: Unix milliseconds by session key."""
        since: dict[str, int] = {}
        for tries in self._trying.values():
            if tries.failing_since_ms:
                known = since.get(tries.session_key, tries.failing_since_ms)
                since[tries.session_key] = min(known, tries.failing_since_ms)
        return since

    async def edit(self, channel: ChannelRef, message_id: str, text: str) -> None:
        """Put another text in the place of one of the bot's messages. Raises `ApiError`."""
        await self.api.edit_message(channel, message_id, self._text_payload(channel, text))

    async def send(self, channel: ChannelRef, chunk: Chunk, row: InboundRow | None = None) -> str:
        """Send a message with one try and return its id. Raises `ApiError`."""
        payload = json.loads(chunk.payload) if chunk.payload else self._text_payload(channel, chunk.text)
        if chunk.reply:
            payload["reply"] = json.loads(chunk.reply)
        payload[REF_KEY] = chunk.ref
        if row is not None:
            payload[ANSWERS_KEY] = row.message_id
        sent = await self.api.send_message(channel, payload)
        self._accepted[sent.message_id] = None
        what = "file" if chunk.payload else f"{len(chunk.text)} chars"
        self.log.info("deliver: channel=%s (%s) messageId=%s", channel.id, what, sent.message_id)
        return sent.message_id

    async def deliver(
        self, channel: ChannelRef, chunk: Chunk, row: InboundRow | None = None, *, uncertain: bool = False
    ) -> str:
        """Send until it is certain that a message stands in the chat once, or cannot; return its id.

        Args:
            channel: where.
            chunk: the message.
            row: the message it answers, ``None`` for one that answers none.
            uncertain: whether it may have been sent already.

        Raises:
            ApiError: it could not be delivered.
        """
        with self._tries(chunk, row) as tries:
            if uncertain:
                await self.clock.sleep(STORED_AFTER_S)
            while True:
                try:
                    if uncertain and (found := await self._search(channel, chunk)):
                        return found
                    uncertain = False
                    return await self.send(channel, chunk, row)
                except ApiError as error:
                    uncertain = uncertain or isinstance(error, AmbiguousOutcome)
                    await tries.next(error)

    async def find_sent(self, row: InboundRow, chunk: Chunk) -> str:
        """Return the id of a message that an earlier process may have sent, empty where it is not in the chat.

        Raises:
            ApiError: the chat cannot be read.
        """
        with self._tries(chunk, row) as tries:
            await self.clock.sleep(STORED_AFTER_S)
            while True:
                try:
                    return await self._search(row.channel, chunk)
                except ApiError as error:
                    await tries.next(error)

    def on_echo(self, payload: Payload | None, message_id: int) -> None:
        """Note one of our own messages that stands in the chat."""
        ref = payload.data.get(REF_KEY) if payload else None
        if isinstance(ref, str):
            self._heard[ref] = str(message_id)
        answered = payload.data.get(ANSWERS_KEY) if payload else None
        if isinstance(answered, str):
            self._answered[answered] = None

    async def answered_in_chat(self, row: InboundRow) -> bool:
        """Return whether a later message of ours in the conversation names a message as the one it answers.

        What came back over the socket is known, the rest is read from the history. A message without a number is
        in no history.

        Raises:
            ApiError: the history cannot be read.
        """
        start = row.message_seq + 1
        while row.message_id not in self._answered and row.message_seq > 0:
            page = await self.api.sync_messages(
                row.channel, start=start, limit=MAX_HISTORY_ROWS, within_s=LOOK_WITHIN_S
            )
            for message in page:
                if message.message_id and self._is_ours(message):
                    self.on_echo(parse_payload(message.payload), int(message.message_id))
            last = max((message.message_seq for message in page), default=0)
            if len(page) < MAX_HISTORY_ROWS or last < start:
                break
            start = last + 1
        return row.message_id in self._answered

    def _text_payload(self, channel: ChannelRef, text: str) -> dict[str, Any]:
        """Return the payload of a text in a conversation."""
        everyone = self.everyone() and channel.type != ChannelType.PERSON
        message = addressed(text, self.people(channel), everyone=everyone)
        mention = {"mention": message.mention} if message.mention else {}
        return {"type": _TEXT, "content": message.text, **mention}

    @contextmanager
    def _tries(self, chunk: Chunk, row: InboundRow | None) -> "Iterator[_Tries]":
        tries = _Tries(self.api, self.clock, self.log, row.session_key if row else "")
        if tries.session_key:
            self._trying[chunk.ref] = tries
        try:
            yield tries
        finally:
            self._trying.pop(chunk.ref, None)

    async def _search(self, channel: ChannelRef, chunk: Chunk) -> str:
        """Return the id of a message that may have been sent, empty when it is not in the chat. Raises `ApiError`."""
        if heard := self._heard.get(chunk.ref):
            return heard
        since_s = chunk.since_ms // 1000 - CLOCK_SLACK_S
        wire_text = addressed(chunk.text, self.people(channel)).text
        url = json.loads(chunk.payload).get("url", "") if chunk.payload else ""
        alike = ""
        for message in await self.api.sync_messages(channel, limit=LOOK_BACK):
            payload = parse_payload(message.payload)
            if payload.data.get(REF_KEY) == chunk.ref:
                return message.message_id
            ours = self._is_ours(message) and message.timestamp >= since_s
            keyless = REF_KEY not in payload.data and message.message_id not in self._accepted
            same = payload.data.get("url") == url if url else payload.text == wire_text
            if ours and keyless and same:
                alike = message.message_id
        return alike

    def _is_ours(self, message: HistoryMessage) -> bool:
        return self.own_uid in {message.from_uid, split_space(message.from_uid)[1]}


class _Tries(Struct, eq=False):
    """What is left of the tries of one message, and the waits between them.

    Attributes:
        api: tells when calls succeed again.
        clock: time.
        log: the bot's log.
        session_key: the session whose message waits.
    """

    api: BotApi
    clock: Clock
    log: BotLog
    session_key: str
    _backoff: Backoff | None = None
    _left: int = TRIES
    _woken: bool = False
    failing_since_ms: int = 0

    async def next(self, error: ApiError) -> None:
        """Return when the next try is due; raise ``error`` where there is none.

        A call that succeeds meanwhile ends the wait, but not what the server asked for. A try it led to does not
        count, and the wait behind one that failed all the same is not cut short: that call was no sign for this one.
        """
        self._left -= not self._woken
        if not self._left or not (error.retryable or isinstance(error, AmbiguousOutcome)):
            raise error
        self.failing_since_ms = self.failing_since_ms or self.clock.wall_ms()
        asked_s = _asked_s(error)
        self._backoff = self._backoff or Backoff(self.clock, 1.0, 16.0)
        rest_s = max(0.0, self._backoff.next() - asked_s)
        self.log.warning("%s; next try in %.0f s", error, asked_s + rest_s)
        await self.clock.sleep(asked_s)
        if self._woken:
            await self.clock.sleep(rest_s)
            self._woken = False
        else:
            self._woken = await self.api.pause(rest_s)


def _asked_s(error: ApiError) -> float:
    """Return the seconds that have to pass before the next try, whatever happens meanwhile."""
    match error:
        case RateLimited(retry_after=hint_s) | ProxyRefusal(retry_after=hint_s):
            return min(hint_s, LONGEST_HINT_S)
        case AmbiguousOutcome():
            return STORED_AFTER_S
    return 0.0
