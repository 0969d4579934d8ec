"""The groups of a bot: where it is, who is there, and which of them are answered without a mention."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress

from cachetools import FIFOCache
from msgspec import Struct, field

from openclaw_channel_octo.clock import within
from openclaw_channel_octo.errors import ApiError, NotFound
from openclaw_channel_octo.rest.models import Group, GroupMember
from openclaw_channel_octo.runtime.context import BotContext

__all__ = ["Groups", "MentionPreferences"]

NAMES_FOR_S, NEW_AFTER_S = 600.0, 10.0
"""How old a group's name may be; youngest list that is renewed because a group is not on it."""
NAME_WITHIN_S = 3.0
"""Longest a turn waits for it."""
GROUPS_FOR_S = 60.0
"""How long the list of groups is believed; a bare id of a newer group is taken for a person's until then."""

LIST_WITHIN_S = 10.0
"""Longest time the list may take once the server is asked."""

FRESH_FOR_S = 600.0
"""How soon an answer is asked for again once somebody talks in the group; changes are told by an event besides."""
RETRY_S = 30.0
"""The same after the server did not tell it."""
REMEMBERED = 20_000
ROUTE_MISSING = ""
"""The server's code where it knows no such call at all; an unknown group has one (octo-bot-api §1.4)."""


class Groups(Struct, eq=False):
    """The groups of one bot and the people in them. Every method raises `ApiError`.

    Attributes:
        context: what every part of the bot is made from.
    """

    context: BotContext
    _groups: Sequence[Group] = ()
    _until: float = float("-inf")
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _naming: "asyncio.Task[None] | None" = None
    _failed_until: float = float("-inf")

    def doubt(self) -> None:
        """Ask for the groups anew when they are needed: changes may have been missed."""
        self._until = float("-inf")

    @property
    def names(self) -> dict[str, str]:
        """The groups' names by their id, as the server told them last; asks nobody."""
        return {group.group_no: group.name for group in self._groups if group.name}

    async def groups(self) -> Sequence[Group]:
        """Return the groups the bot is in; several who ask at once ask the server once."""
        async with self._asking:
            if self.context.clock.now() >= self._until:
                self._groups = await self.context.api.groups(within_s=LIST_WITHIN_S)
                self._until = self.context.clock.now() + GROUPS_FOR_S
        return self._groups

    def warm(self, group_no: str) -> None:
        """Begin to ask for the groups' names where this group's is old, or not known."""
        listed_at = self._until - GROUPS_FOR_S
        again_at = listed_at + (NAMES_FOR_S if group_no in self.names else NEW_AFTER_S)
        if self._naming is None and self.context.clock.now() >= max(again_at, self._failed_until):
            self._naming = self.context.tasks.start(self._list(), "group names")

    async def name(self, group_no: str) -> str:
        """Return a group's name as it is known soon, empty where it is not; raises nothing."""
        self.warm(group_no)
        known = group_no in self.names and self._until > float("-inf")
        if self._naming is not None and not known:
            with suppress(TimeoutError):
                await within(self.context.clock, NAME_WITHIN_S, asyncio.wait({self._naming}))
        return self.names.get(group_no, "")

    async def _list(self) -> None:
        self.doubt()
        try:
            await self.groups()
        except ApiError as error:
            self._failed_until = self.context.clock.now() + RETRY_S
            self.context.log.info("the groups' names cannot be had: %s", error)
        finally:
            self._naming = None

    async def members(self, group_no: str) -> list[GroupMember]:
        """Return who is in a group at this moment; never from memory, because permission depends on it."""
        return await self.context.api.group_members(group_no)

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


class MentionPreferences(Struct, eq=False):
    """The preferences of one bot's groups, remembered because the gate waits for nobody.

    Whatever is not known for certain means that a mention is needed.

    Attributes:
        context: what every part of the bot is made from.
        agreed: whether people of a group are answered without a mention, as far as it is known now.
    """

    context: BotContext
    agreed: FIFOCache[str, bool] = field(default_factory=lambda: FIFOCache(REMEMBERED))
    _fresh_until: FIFOCache[str, float] = field(default_factory=lambda: FIFOCache(REMEMBERED))
    _asking: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _unknown_to_server: bool = False

    def warm(self, group_no: str) -> "asyncio.Task[None] | None":
        """Begin to ask for a group's preference unless it is fresh; return the task that does, if one does."""
        fresh = self._fresh_until.get(group_no, 0.0) > self.context.clock.now()
        if not (fresh or self._unknown_to_server or group_no in self._asking):
            task = self._asking[group_no] = self.context.tasks.start(self._ask(group_no), "preference")
            task.add_done_callback(lambda done: self._asked(group_no, done))
        return self._asking.get(group_no)

    def changed(self, group_no: str) -> None:
        """Note that a group has changed its mind: until it is known again, a mention is needed."""
        self.agreed.pop(group_no, None)
        self._fresh_until.pop(group_no, None)
        self._asking.pop(group_no, None)
        self.warm(group_no)

    def doubt(self) -> None:
        """Ask everything anew when it is needed: changes may have been missed, and the server may be another one."""
        self._unknown_to_server = False
        self._asking.clear()
        self._fresh_until.clear()

    def _asked(self, group_no: str, task: "asyncio.Task[None]") -> None:
        if self._asking.get(group_no) is task:
            del self._asking[group_no]

    async def _ask(self, group_no: str) -> None:
        agreed, good_for_s = False, FRESH_FOR_S
        try:
            agreed = (await self.context.api.mention_preference(group_no)).effective
        except NotFound as error:
            if error.code == ROUTE_MISSING and not self._unknown_to_server:
                self._unknown_to_server = True
                self.context.log.debug(
                    "the server knows no mention preferences: mentions are needed everywhere"
                )
        except ApiError as error:
            good_for_s = RETRY_S
            self.context.log.info("the mention preference of group %s cannot be had: %s", group_no, error)
        if self._asking.get(group_no) is asyncio.current_task():  # else it may be older than a change
            self.agreed[group_no] = agreed
            self._fresh_until[group_no] = self.context.clock.now() + good_for_s
