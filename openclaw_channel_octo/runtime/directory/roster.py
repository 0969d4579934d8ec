"""Who is who in a conversation: display names, asked for when they are needed and remembered for an hour."""

import asyncio
from collections.abc import Container, Mapping

from cachetools import FIFOCache
from msgspec import Struct

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.errors import ApiError
from openclaw_channel_octo.ids import ChannelRef, ChannelType, group_of
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.policy.gate import GatePolicy, is_bot
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.runtime.background import TaskSet

__all__ = ["Roster"]

KNOWN_FOR_S = 3_600.0
UNKNOWN_FOR_S = 30.0
"""How soon names are asked for again after the server did not tell them."""
STRANGER_AFTER_S = 60.0
"""Youngest list that is renewed because somebody is not on it."""
WAIT_S = 3.0
"""Longest a turn waits for names."""
CONVERSATIONS = 200
_NOBODY_KNOWN = GatePolicy()


class _Known(Struct):
    names: Mapping[str, str]
    people: Mapping[str, str]
    bots: frozenset[str]
    at: float
    good: bool


class Roster:
    """Names of the people one bot talks with, each conversation's on its own: nobody is looked up elsewhere.

    Args:
        api: the bot's API.
        tasks: owns the look-ups.
        clock: time.
        log: the bot's log.
    """

    def __init__(self, api: BotApi, tasks: TaskSet, clock: Clock, log: BotLog) -> None:
        self._api = api
        self._tasks = tasks
        self._clock = clock
        self._log = log
        self._known: FIFOCache[ChannelRef, _Known] = FIFOCache(CONVERSATIONS)
        self._bots: frozenset[str] = frozenset()
        self._asking: dict[ChannelRef, asyncio.Task[None]] = {}

    def warm(self, channel: ChannelRef, uid: str) -> None:
        """Begin to ask for the names of a conversation, if they are not known or ``uid`` is not among them."""
        place = group_of(channel)
        if place not in self._asking and self._stale(place, uid):
            task = self._asking[place] = self._tasks.start(self._ask(place), "roster")
            task.add_done_callback(lambda _: self._asking.pop(place, None))

    async def names(self, channel: ChannelRef, uid: str) -> Mapping[str, str]:
        """Return display names by uid of those who are in a conversation, as far as they are known soon.

        Args:
            channel: a group, a thread (whose people are its group's), or a direct conversation.
            uid: somebody who just wrote there.
        """
        self.warm(channel, uid)
        place = group_of(channel)
        if (asking := self._asking.get(place)) is not None:
            try:
                await within(self._clock, WAIT_S, _wait(asking))
            except TimeoutError:
                self._log.info("names in %s are not known yet", place.id)
        known = self._known.get(place)
        return known.names if known else {}

    def people(self, channel: ChannelRef) -> Mapping[str, str]:
        """Return the names of people that are known now, without asking for any.

        Bots are left out: one that an answer calls would answer in turn, and so on.
        """
        known = self._known.get(group_of(channel))
        return known.people if known else {}

    def confirmed_people(self, channel: ChannelRef) -> Container[str]:
        """Return who is a person in a conversation for certain: nobody where the last look failed."""
        known = self._known.get(group_of(channel))
        return known.people if known and known.good else ()

    def bots(self, channel: ChannelRef) -> Container[str]:
        """Return who is a bot in a conversation, as far as it is known now."""
        known = self._known.get(group_of(channel))
        return known.bots if known else ()

    @property
    def every_bot(self) -> Container[str]:
        """Everybody who is a bot in any conversation known now."""
        return self._bots

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
        age = self._clock.now() - known.at
        if not known.good:
            return age > UNKNOWN_FOR_S
        return age > KNOWN_FOR_S or (bool(uid) and uid not in known.names and age > STRANGER_AFTER_S)

    async def _ask(self, place: ChannelRef) -> None:
        try:
            found = await self._fetch(place)
        except ApiError as error:
            self._log.info("names in %s cannot be had: %s", place.id, error)
            before = self._known.get(place) or _Known({}, {}, frozenset(), 0.0, good=False)
            found = _Known(before.names, before.people, before.bots, self._clock.now(), good=False)
        self._known[place] = found
        self._bots = frozenset().union(*(known.bots for known in self._known.values()))

    async def _fetch(self, place: ChannelRef) -> _Known:
        if place.type == ChannelType.PERSON:
            person = {place.id: (await self._api.user_info(place.id)).name}
            return _Known(person, person, frozenset(), self._clock.now(), good=True)
        members = await self._api.group_members(place.id)
        names = {member.uid: member.name for member in members}
        bots = frozenset(one.uid for one in members if one.robot or is_bot(one.uid, _NOBODY_KNOWN))
        people = {uid: name for uid, name in names.items() if uid not in bots}
        return _Known(names, people, bots, self._clock.now(), good=True)


async def _wait(task: asyncio.Task[None]) -> None:
    await asyncio.wait({task})
