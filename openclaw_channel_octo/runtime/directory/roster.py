"""Who is who in a conversation: display names, asked for when they are needed and remembered for an hour."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

from cachetools import FIFOCache
from msgspec import Struct, field
from msgspec.structs import replace

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.errors import ApiError
from openclaw_channel_octo.ids import ChannelRef, ChannelType, group_of
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.policy.gate import GatePolicy, is_bot
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.runtime.background import TaskSet

__all__ = ["Members", "Roster"]

KNOWN_FOR_S = 3_600.0
UNKNOWN_FOR_S = 30.0
"""How soon names are asked for again after the server did not tell them."""
STRANGER_AFTER_S = 60.0
"""Youngest list that is renewed because somebody is not on it."""
WAIT_S = 3.0
"""Longest a turn waits for names."""
CONVERSATIONS = 200
_NOBODY_KNOWN = GatePolicy()


class Members(Struct):
    """Who is in a conversation.

    Attributes:
        names: display names by uid, of people and bots.
        people: the same of people only: a bot that an answer calls would answer in turn, and so on.
        bots: uids of the bots.
        good: whether the last look succeeded, so that nobody who is missing is there.
        at: when that was, in seconds of the clock.
    """

    names: Mapping[str, str] = MappingProxyType({})
    people: Mapping[str, str] = MappingProxyType({})
    bots: frozenset[str] = frozenset()
    good: bool = False
    at: float = 0.0


_NOBODY = Members()


class Roster(Struct, eq=False):
    """Names of the people one bot talks with, each conversation's on its own: nobody is looked up elsewhere.

    Attributes:
        api: the bot's API.
        tasks: owns the look-ups.
        clock: time.
        log: the bot's log.
    """

    api: BotApi
    tasks: TaskSet
    clock: Clock
    log: BotLog
    _known: FIFOCache[ChannelRef, Members] = field(default_factory=lambda: FIFOCache(CONVERSATIONS))
    every_bot: frozenset[str] = frozenset()
    """Everybody who is a bot in any conversation known now."""
    _asking: dict[ChannelRef, asyncio.Task[None]] = field(default_factory=dict)

    def known(self, channel: ChannelRef) -> Members:
        """Return who is known now to be in a conversation; a thread's people are its group's."""
        found = self._known.get(channel)
        if found is None and channel.type == ChannelType.THREAD:
            found = self._known.get(group_of(channel))
        return found or _NOBODY

    def people(self, channel: ChannelRef) -> Mapping[str, str]:
        """Return the names of the people of `known`."""
        return self.known(channel).people

    def warm(self, channel: ChannelRef, uid: str) -> asyncio.Task[None] | None:
        """Begin to ask for the names of a conversation, if they are not known or ``uid`` is not among them.

        Returns:
            The task that asks, ``None`` where none does.
        """
        place = group_of(channel)
        if place not in self._asking and self._stale(place, uid):
            task = self._asking[place] = self.tasks.start(self._ask(place), "roster")
            task.add_done_callback(lambda _: self._asking.pop(place, None))
        return self._asking.get(place)

    async def asked(self, channel: ChannelRef, uid: str) -> Members:
        """Return who is in a conversation, as far as it is known soon.

        Args:
            channel: as in `known`.
            uid: somebody who just wrote there.
        """
        if (asking := self.warm(channel, uid)) is not None:
            try:
                await within(self.clock, WAIT_S, asyncio.wait({asking}))
            except TimeoutError:
                self.log.info("names in %s are not known yet", group_of(channel).id)
        return self.known(channel)

    def changed(self, channel: ChannelRef) -> None:
        """Note that people came or left: the list of a conversation that is known is fetched anew."""
        place = group_of(channel)
        if (known := self._known.get(place)) is not None:
            known.at = float("-inf")
            self.warm(place, "")

    def _stale(self, place: ChannelRef, uid: str) -> bool:
        known = self._known.get(place)
        if known is None:
            return True
        age = self.clock.now() - known.at
        if not known.good:
            return age > UNKNOWN_FOR_S
        return age > KNOWN_FOR_S or (bool(uid) and uid not in known.names and age > STRANGER_AFTER_S)

    async def _ask(self, place: ChannelRef) -> None:
        try:
            found = await self._fetch(place)
        except ApiError as error:
            self.log.info("names in %s cannot be had: %s", place.id, error)
            found = replace(self.known(place), good=False)
        found.at = self.clock.now()
        self._known[place] = found
        self.every_bot = frozenset().union(*(known.bots for known in self._known.values()))

    async def _fetch(self, place: ChannelRef) -> Members:
        if place.type == ChannelType.PERSON:
            person = {place.id: (await self.api.user_info(place.id)).name}
            return Members(person, person, good=True)
        members = await self.api.group_members(place.id)
        names = {member.uid: member.name for member in members}
        bots = frozenset(one.uid for one in members if one.robot or is_bot(one.uid, _NOBODY_KNOWN))
        people = {uid: name for uid, name in names.items() if uid not in bots}
        return Members(names, people, bots, good=True)
