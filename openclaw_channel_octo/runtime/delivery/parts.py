"""What an answer says, as the messages it becomes: split, bounded, with a file of all of it where it is too long."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from openclaw_channel_octo.host.base import MediaItem
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.message.mentions import addressed, split_addressed
from openclaw_channel_octo.message.tail import tail
from openclaw_channel_octo.message.text import utf16_length
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.runtime.delivery.attachments import Attachments
from openclaw_channel_octo.runtime.delivery.extent import Extent
from openclaw_channel_octo.store.records import Part

__all__ = ["WHOLE_NAME", "Parts", "Said"]

Said = str | MediaItem | Sequence[str | MediaItem | Part]
"""What an answer, or a part of it, consists of: texts, files, and files that are uploaded already, in order."""

WHOLE_NAME = "full-text.txt"
"""Name of the file with the whole of an answer that is too long for messages."""

LONG_TEXT = 50_000
"""Characters from which a text is split off the event loop, so that pings go on."""

_Split = tuple[str, Sequence[str]]


class Parts(Struct, frozen=True, kw_only=True):
    """Turns what one bot says into parts of answers.

    Attributes:
        context: what every part of the bot is made from.
        files: plans files of answers.
        people: tells the names of those whom a message in a conversation can call, by uid.
    """

    context: BotContext
    files: Attachments
    people: Callable[[ChannelRef], Mapping[str, str]]

    def extent(self) -> Extent:
        """Return the extent of an answer that says nothing yet."""
        return Extent(most=self.context.config.max_reply_messages)

    async def more(self, channel: ChannelRef, run_id: str, said: Said, extent: Extent) -> list[Part]:
        """Return the parts of a piece of an answer that may go on.

        Args:
            channel: where it is said.
            run_id: the run that wrote it, empty for none.
            said: texts and files in order.
            extent: of the answer.
        """
        pieces = await self._pieces(channel, said, extent)
        parts, _ = await self._taken(pieces, run_id, extent, keep=1)
        return _quoting(extent, parts)

    async def last(
        self, channel: ChannelRef, run_id: str, said: Said, extent: Extent, notice: str = ""
    ) -> list[Part]:
        """Return the parts an answer ends with; where it is too long, the file with all of it is one of them.

        Args:
            channel: where it is said.
            run_id: as in `more`.
            said: as in `more`, maybe nothing.
            extent: of the answer.
            notice: what stands behind it, whole and however much was said.
        """
        pieces = await self._pieces(channel, said, extent)
        behind = [Part(text=text) for text in await self._split(channel, notice)]
        messages = sum(len(piece[1]) for piece in pieces if isinstance(piece, tuple))
        fits = messages + len(behind) <= extent.left
        parts, at = await self._taken(pieces, run_id, extent, keep=len(behind) + (not fits))
        if extent.cut:
            parts.insert(at, await self._whole(channel, extent))
        return [*_quoting(extent, parts), *behind]

    async def _pieces(
        self, channel: ChannelRef, said: Said, extent: Extent
    ) -> list[_Split | MediaItem | Part]:
        pieces = [said] if isinstance(said, str | MediaItem) else said
        return [
            piece
            if isinstance(piece, MediaItem | Part)
            else (piece, await self._split(channel, piece, extent.left))
            for piece in pieces
        ]

    async def _taken(
        self, pieces: Sequence[_Split | MediaItem | Part], run_id: str, extent: Extent, keep: int
    ) -> tuple[list[Part], int]:
        """Return the parts that are sent, and at which place the text breaks off."""
        parts: list[Part] = []
        at = 0
        for piece in pieces:
            if isinstance(piece, MediaItem):
                parts.append(await self.files.plan(piece, run_id))
                continue
            if isinstance(piece, Part):
                parts.append(piece)
                continue
            was_cut = extent.cut
            parts += [Part(text=text) for text in extent.take(*piece, keep)]
            at = at if was_cut else len(parts)
        return parts, at

    async def _split(self, channel: ChannelRef, text: str, most: int | None = None) -> list[str]:
        split = partial(_split, text, self.people(channel), self.context.config.reply_chunk, most)
        return split() if len(text) < LONG_TEXT else await asyncio.to_thread(split)

    async def _whole(self, channel: ChannelRef, extent: Extent) -> Part:
        """Return the file with all that was said; where it cannot be sent, the end and how much is missing is."""
        whole, instead = await asyncio.to_thread(self._written_out, extent, self.people(channel))
        return await self.files.keep(WHOLE_NAME, whole, instead)

    def _written_out(self, extent: Extent, people: Mapping[str, str]) -> tuple[str, str]:
        left_out, said = self.context.config.texts.left_out, extent.whole
        room = self.context.config.reply_chunk - utf16_length(left_out % len(said)) - len("\n\n")
        end = tail(said, room, extent.shown)
        missing = max(1, len(said) + extent.lost - extent.shown - len(end))
        whole = addressed(said, people).text
        if extent.lost:
            whole = f"{whole}\n\n{left_out % extent.lost}"
        return whole, f"{left_out % missing}\n\n{end}".rstrip()


def _split(text: str, people: Mapping[str, str], limit: int, most: int | None) -> list[str]:
    """Split a text; where it is more than ``most`` messages, return at least one more than that."""
    window = len(text) if most is None else (most + 1) * limit
    if len(text) > window:  # the rest need not be looked at, unless the beginning is blank
        messages = split_addressed(text[:window], people, limit)
        if most is not None and len(messages) > most:
            return messages
    return split_addressed(text, people, limit)


def _quoting(extent: Extent, parts: Sequence[Part]) -> list[Part]:
    """Return the parts, the first of an answer with its quote at the beginning."""
    first = [replace(part, reply=extent.take_quote()) for part in parts[:1]]
    return [*first, *parts[1:]]
