"""Where it is kept how far each conversation is complete."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store.journal import Journal

__all__ = ["Cursors", "JournalCursors"]


class Cursors(Protocol):
    """Where it is kept how far each conversation is complete."""

    async def load(self, ref: ChannelRef) -> int | None:
        """Return one conversation's cursor, ``None`` where nobody has heard of it."""
        ...

    async def save(self, moved: Mapping[ChannelRef, int]) -> None:
        """Keep cursors that moved on."""
        ...

    async def reset(self, ref: ChannelRef, seq: int) -> None:
        """Put one back."""
        ...


class JournalCursors(Struct, frozen=True):
    """One bot's cursors in the journal."""

    journal: Journal
    account: str

    async def load(self, ref: ChannelRef) -> int | None:
        """Return one conversation's cursor, ``None`` where nobody has heard of it. Raises `StoreError`."""
        return await self.journal.cursors.load(self.account, ref)

    async def save(self, moved: Mapping[ChannelRef, int]) -> None:
        """Keep cursors that moved on. Raises `StoreError`."""
        await self.journal.cursors.save(self.account, moved)

    async def reset(self, ref: ChannelRef, seq: int) -> None:
        """Put one back. Raises `StoreError`."""
        await self.journal.cursors.reset(self.account, ref, seq)
