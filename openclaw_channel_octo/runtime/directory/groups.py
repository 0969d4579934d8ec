"""Where a bot is and who is there, as the server tells it now."""

import asyncio
from collections.abc import Collection, Sequence

from msgspec import Struct, field

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import ApiError
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.rest.models import Group, GroupMember

__all__ = ["Groups"]

GROUPS_FOR_S = 60.0
"""How long the list of groups is believed; a bare id of a newer group is taken for a person's until then."""

LIST_WITHIN_S = 10.0
"""Longest time the list may take once the server is asked."""


class Groups(Struct, eq=False):
    """The groups of one bot and the people in them. Every method raises `ApiError`.

    Attributes:
        api: the bot's API.
        clock: time.
    """

    api: BotApi
    clock: Clock
    _groups: Sequence[Group] = ()
    _until: float = float("-inf")
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def doubt(self) -> None:
        """Ask for the groups anew when they are needed: changes may have been missed."""
        self._until = float("-inf")

    async def groups(self) -> Sequence[Group]:
        """Return the groups the bot is in; several who ask at once ask the server once."""
        async with self._asking:
            if self.clock.now() >= self._until:
                self._groups = await self.api.groups(within_s=LIST_WITHIN_S)
                self._until = self.clock.now() + GROUPS_FOR_S
        return self._groups

    async def members(self, group_no: str) -> list[GroupMember]:
        """Return who is in a group at this moment; never from memory, because permission depends on it."""
        return await self.api.group_members(group_no)

    async def groups_with(self, uid: str, among: Collection[str]) -> frozenset[str]:
        """Return in which groups a person is; groups whose members cannot be had are left out."""

        async def is_in(group_no: str) -> bool:
            try:
                return any(one.uid == uid and not one.robot for one in await self.members(group_no))
            except ApiError:
                return False

        wanted = sorted(set(among))
        found = await asyncio.gather(*map(is_in, wanted))
        return frozenset(group_no for group_no, inside in zip(wanted, found, strict=True) if inside)
