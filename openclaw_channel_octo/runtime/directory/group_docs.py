"""What a group or thread has written down for its bots: GROUP.md and THREAD.md, fetched when a turn needs them."""

from cachetools import FIFOCache
from msgspec import Struct, field

from openclaw_channel_octo.clock import within
from openclaw_channel_octo.errors import ApiError, NotFound, PermissionDenied
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.message.history import notes_block
from openclaw_channel_octo.runtime.context import BotContext

__all__ = ["GroupDocs"]

FRESH_FOR_S = 600.0
"""How long notes are believed that no event called old."""
RETRY_S = 30.0
"""How soon they are asked for again after the server did not tell them."""
WAIT_S = 3.0
"""Longest a turn waits for them."""
CONVERSATIONS = 500


class _Kept(Struct, frozen=True):
    content: str
    until: float


class GroupDocs(Struct, eq=False):
    """The notes of one bot's groups and threads. A thread has its own, never its group's.

    Attributes:
        context: what every part of the bot is made from.
    """

    context: BotContext
    _kept: FIFOCache[ChannelRef, _Kept] = field(default_factory=lambda: FIFOCache(CONVERSATIONS))
    _changes: int = 0

    async def of(self, channel: ChannelRef, mark: str = "") -> str:
        """Return a conversation's notes as a block for an agent, empty where there are none or they cannot be had.

        Args:
            channel: the conversation.
            mark: the run's.
        """
        if channel.type == ChannelType.PERSON:
            return ""
        kept = self._kept.get(channel)
        if kept is None or kept.until <= self.context.clock.now():
            kept = await self._fetched(channel, kept)
        return notes_block(kept.content, mark) if kept.content else ""

    def changed(self, channel: ChannelRef) -> None:
        """Note that somebody changed a conversation's notes: they are fetched anew for its next turn."""
        self._changes += 1
        self._kept.pop(channel, None)

    def forget(self) -> None:
        """Fetch all notes anew: changes may have been missed."""
        self._changes += 1
        self._kept.clear()

    async def _fetched(self, channel: ChannelRef, before: _Kept | None) -> _Kept:
        changes = self._changes
        content, good_for_s = before.content if before else "", RETRY_S
        try:
            notes = await within(self.context.clock, WAIT_S, self.context.api.notes(channel))
            content, good_for_s = notes.content, FRESH_FOR_S
        except (NotFound, PermissionDenied):
            content, good_for_s = "", FRESH_FOR_S
        except (ApiError, TimeoutError) as error:
            self.context.log.info(
                "the notes of channel=%s cannot be had: %s", channel.id, str(error) or "no answer"
            )
        kept = _Kept(content, self.context.clock.now() + good_for_s)
        if changes == self._changes:  # else what was read may be older than the change
            self._kept[channel] = kept
        return kept
