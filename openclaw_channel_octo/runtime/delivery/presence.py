"""Read receipts and typing indicators: what a person sees before the answer (design §4 "Presence")."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from contextvars import Context, copy_context

from cachetools import FIFOCache
from msgspec import Struct, field

from openclaw_channel_octo.clock import within
from openclaw_channel_octo.errors import ApiError
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.runtime.context import BotContext

__all__ = ["Presence"]

TYPING_EVERY_S = 5.0
"""Repeat of the typing sign; clients let it fade after 8 s (octo-bot-api §3.1)."""

TYPING_GAP_S = 3.0
"""Shortest time between two typing indicators of one conversation that new messages may cause."""

READY_WITHIN_S = 0.5
"""Longest time the first message of an answer waits for the receipt and the typing indicator."""

COMPLAINTS = 1_000
"""Conversations whose failure was logged and is remembered."""

RECEIPT_IDS = 100
"""Most message ids one receipt may carry (octo-bot-api §3.2)."""


class _Conversation(Struct):
    open: list[tuple[str, Context]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    receipts: asyncio.Task[None] | None = None
    typing: asyncio.Task[None] | None = None
    repeat: asyncio.Task[None] | None = None
    typed_at: float = float("-inf")
    refused: bool = False


class Presence(Struct, frozen=True):
    """Shows receipts and typing for one bot. Failures are logged once per conversation and forgotten.

    Attributes:
        context: what every part of the bot is made from.
    """

    context: BotContext
    _open: dict[ChannelRef, _Conversation] = field(default_factory=dict)
    _complained: FIFOCache[tuple[ChannelRef, str], None] = field(
        default_factory=lambda: FIFOCache(COMPLAINTS)
    )

    def begin(self, channel: ChannelRef, message_id: str) -> None:
        """Show that a message was read and is being worked on; every call needs one `end`."""
        talk = self._open.setdefault(channel, _Conversation())
        talk.open.append((message_id, copy_context()))
        talk.refused = False
        talk.unread.append(message_id)
        self.context.log.info("sending readReceipt+typing to channel=%s type=%d", channel.id, channel.type)
        if talk.receipts is None or talk.receipts.done():
            talk.receipts = self.context.tasks.start(self._send_receipts(channel, talk), "receipts")
        now = self.context.clock.now()
        if now - talk.typed_at >= TYPING_GAP_S:
            self._type(channel, talk, now, again=False)
        if talk.repeat is None or talk.repeat.done():
            talk.repeat = self.context.tasks.start(self._keep_typing(channel, talk), "typing")

    def end(self, channel: ChannelRef, message_id: str) -> None:
        """Tell that one message of the conversation has ended; the last one stops the typing."""
        talk = self._open[channel]
        del talk.open[[each for each, _ in talk.open].index(message_id)]
        if not talk.open:
            del self._open[channel]
            if talk.repeat is not None:
                talk.repeat.cancel()

    async def ready(self, channel: ChannelRef) -> None:
        """Return once the receipt and typing indicator under way have arrived, at most half a second later."""
        talk = self._open.get(channel)
        tasks = (talk.receipts, talk.typing) if talk else ()
        under_way = [task for task in tasks if task is not None and not task.done()]
        if not under_way:
            return
        with suppress(TimeoutError):
            await within(self.context.clock, READY_WITHIN_S, asyncio.wait(under_way))

    def again(self, channel: ChannelRef) -> None:
        """Type once more: a message of ours has just cleared the sign."""
        if talk := self._open.get(channel):
            self._type(channel, talk, self.context.clock.now())

    def _type(self, channel: ChannelRef, talk: _Conversation, now: float, *, again: bool = True) -> None:
        talk.typed_at = now
        if not talk.refused:
            talk.typing = self.context.tasks.start(self._show_typing(channel, talk, again=again), "typing")

    async def _show_typing(self, channel: ChannelRef, talk: _Conversation, *, again: bool) -> None:
        error = await self._quietly(channel, "typing", self.context.api.typing(channel, again=again))
        # Asking again changes nothing before somebody writes there again (octo-bot-api §3.1).
        talk.refused = error is not None and not error.retryable

    async def _keep_typing(self, channel: ChannelRef, talk: _Conversation) -> None:
        wait_s = TYPING_EVERY_S
        while True:
            await self.context.clock.sleep(wait_s)
            now = self.context.clock.now()
            if talk.typed_at + TYPING_EVERY_S <= now:
                _, oldest = talk.open[0]  # whose trace the log line carries
                oldest.run(self._type, channel, talk, now)
            wait_s = talk.typed_at + TYPING_EVERY_S - now

    async def _send_receipts(self, channel: ChannelRef, talk: _Conversation) -> None:
        while talk.unread:
            ids, talk.unread = talk.unread[:RECEIPT_IDS], talk.unread[RECEIPT_IDS:]
            await self._quietly(channel, "readReceipt", self.context.api.read_receipt(channel, ids))

    async def _quietly(self, channel: ChannelRef, what: str, call: Awaitable[None]) -> ApiError | None:
        """Make a call and return what went wrong."""
        try:
            await call
        except ApiError as error:
            if (channel, what) not in self._complained:
                self._complained[channel, what] = None
                self.context.log.warning("%s failed for channel=%s: %s", what, channel.id, error)
            return error
        self._complained.pop((channel, what), None)
        self.context.log.info("%s sent OK", what)
        if what == "typing" and self.context.metrics is not None:
            self.context.metrics.typed(channel)
        return None
