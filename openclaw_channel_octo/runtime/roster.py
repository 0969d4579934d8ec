"""Who is who in a conversation: display names, asked for when they are needed and remembered for an hour."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.errors import ApiError
from openclaw_channel_octo.ids import ChannelRef, ChannelType, split_thread
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.policy.gate import GatePolicy, is_bot
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.runtime.tasks import TaskSet

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


@dataclass(slots=True)
class _Known:
    names: Mapping[str, str]
    people: Mapping[str, str]
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
        self._known: OrderedDict[ChannelRef, _Known] = OrderedDict()
        self._asking: dict[ChannelRef, asyncio.Task[None]] = {}

    def warm(self, channel: ChannelRef, uid: str) -> None:
        """Begin to ask for the names of a conversation, if they are not known or ``uid`` is not among them."""
        place = _place(channel)
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
        place = _place(channel)
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
        known = self._known.get(_place(channel))
        return known.people if known else {}

    def _stale(self, place: ChannelRef, uid: str) -> bool:
        known = self._known.get(place)
        if known is None:
            return True
        age = self._clock.now() - known.at
        if not known.good:
            return age > UNKNOWN_FOR_S
        return age > KNOWN_FOR_S or (uid not in known.names and age > STRANGER_AFTER_S)

    async def _ask(self, place: ChannelRef) -> None:
        try:
            names, people = await self._fetch(place)
            good = True
        except ApiError as error:
            self._log.info("names in %s cannot be had: %s", place.id, error)
            before = self._known.get(place)
            names, people = (before.names, before.people) if before else ({}, {})
            good = False
        self._known[place] = _Known(names, people, self._clock.now(), good)
        self._known.move_to_end(place)
        while len(self._known) > CONVERSATIONS:
            self._known.popitem(last=False)

    async def _fetch(self, place: ChannelRef) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Return everybody's names, and people's."""
        if place.type == ChannelType.PERSON:
            person = {place.id: (await self._api.user_info(place.id)).name}
            return person, person
        members = await self._api.group_members(place.id)
        names = {member.uid: member.name for member in members}
        bots = {member.uid for member in members if member.robot or is_bot(member.uid, _NOBODY_KNOWN)}
        return names, {uid: name for uid, name in names.items() if uid not in bots}


def _place(channel: ChannelRef) -> ChannelRef:
    """Return whose people a conversation has: a thread's are its group's."""
    thread = split_thread(channel.id) if channel.type == ChannelType.THREAD else None
    return ChannelRef(thread.group_no, ChannelType.GROUP) if thread else channel


async def _wait(task: asyncio.Task[None]) -> None:
    await asyncio.wait({task})
