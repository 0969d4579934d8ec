"""What a bot knows of its conversations besides their messages: who is there, what they agreed on, what they noted."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any

from cachetools import LRUCache
from msgspec import Struct, field
from msgspec.structs import replace

from openclaw_channel_octo.clock import within
from openclaw_channel_octo.errors import ApiError
from openclaw_channel_octo.ids import ChannelRef, ChannelType, group_of
from openclaw_channel_octo.message.payload import ContentType, Payload
from openclaw_channel_octo.policy.gate import DecisionKind, GatePolicy, is_bot
from openclaw_channel_octo.runtime.background import together
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.runtime.directory.group_docs import GroupDocs
from openclaw_channel_octo.runtime.directory.groups import Groups, MentionPreferences
from openclaw_channel_octo.runtime.received import Outcome

__all__ = ["ConversationDirectory", "Members", "Roster"]

NOTES_EVENTS = ("group_md_", "thread_md_")
"""Beginnings of the events that tell of changed notes (octo-bot-api §5.4)."""

PREFERENCE_EVENT = "mention_pref_updated"
MEMBER_COMMAND = "memberUpdate"
MEMBER_TYPES = frozenset({1001, 1002, 1003, 1005, 1007, 1008, 1021})
"""System messages after which other people, or people with other names, are in a group (octo-bot-api §5.3)."""

RENAMED = 1005
"""The one of them after which the group may have another name."""

LOOK_WITHIN_S = 5.0
"""Longest wait for what is asked about all groups together."""

GROUPS_AT_ONCE = 4
"""Groups looked at side by side after a connect."""

GROUPS_AT_FIRST = 40
"""Groups looked at after a connect, the ones heard last; others are once somebody speaks there."""

KNOWN_FOR_S = 3_600.0
UNKNOWN_FOR_S = 30.0
"""How soon names are asked for again after the server did not tell them."""
STRANGER_AFTER_S = 60.0
"""Youngest list that is renewed because somebody is not on it."""
WAIT_S = 3.0
"""Longest a turn waits for names."""
NAMES = 200_000
"""Names known at most, of all conversations together: some 60 MB; those longest not needed are forgotten."""
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
        context: what every part of the bot is made from.
    """

    context: BotContext
    _known: LRUCache[ChannelRef, Members] = field(default_factory=lambda: LRUCache(NAMES, _room_of))
    every_bot: frozenset[str] = frozenset()
    """Everybody who was a bot in any conversation."""
    _asking: dict[ChannelRef, asyncio.Task[None]] = field(default_factory=dict)

    def known(self, channel: ChannelRef) -> Members:
        """Return who is known now to be in a conversation; a thread's people are its group's."""
        return self._known.get(group_of(channel)) or _NOBODY

    def warm(self, channel: ChannelRef, uid: str) -> asyncio.Task[None] | None:
        """Begin to ask for the names of a conversation, if they are not known or ``uid`` is not among them.

        Returns:
            The task that asks, ``None`` where none does.
        """
        place = group_of(channel)
        if place not in self._asking and self._stale(place, uid):
            task = self._asking[place] = self.context.tasks.start(self._ask(place), "roster")
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
                await within(self.context.clock, WAIT_S, asyncio.wait({asking}))
            except TimeoutError:
                self.context.log.info("names in %s are not known yet", group_of(channel).id)
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
        age = self.context.clock.now() - known.at
        if not known.good:
            return age > UNKNOWN_FOR_S
        return age > KNOWN_FOR_S or (bool(uid) and uid not in known.names and age > STRANGER_AFTER_S)

    async def _ask(self, place: ChannelRef) -> None:
        try:
            found = await self._fetch(place)
        except ApiError as error:
            self.context.log.info("names in %s cannot be had: %s", place.id, error)
            found = replace(self.known(place), good=False)
        found.at = self.context.clock.now()
        self._known[place] = found
        self.every_bot |= found.bots

    async def _fetch(self, place: ChannelRef) -> Members:
        if place.type == ChannelType.PERSON:
            person = {place.id: (await self.context.api.user_info(place.id)).name}
            return Members(person, person, good=True)
        members = await self.context.api.group_members(place.id)
        names = {member.uid: member.name for member in members}
        bots = frozenset(one.uid for one in members if one.robot or is_bot(one.uid, _NOBODY_KNOWN))
        people = {uid: name for uid, name in names.items() if uid not in bots}
        return Members(names, people, bots, good=True)


def _room_of(members: Members) -> int:
    return min(1 + len(members.names), NAMES)


class ConversationDirectory(Struct, eq=False, kw_only=True):
    """What is known around messages, kept fresh by what arrives.

    Attributes:
        context: what every part of the bot is made from.
        settings: what the gate knows of every conversation, of the bot's settings now.
        groups: the bot's groups.
        roster: who is there.
        preferences: who is answered without a mention.
        notes: what members keep for the bot.
        commands: returns the commands of the agent host now, by each word for them.
    """

    context: BotContext
    settings: GatePolicy
    groups: Groups
    roster: Roster
    preferences: MentionPreferences
    notes: GroupDocs
    commands: Callable[[], Mapping[str, str]]

    def policy(self, channel: ChannelRef) -> GatePolicy:
        """Return what the gate has to know for a message of a conversation; never waits."""
        if channel.type == ChannelType.PERSON:
            return replace(self.settings, known_bots=self.roster.every_bot, commands=self.commands())
        group = group_of(channel)
        known = self.roster.known(group)
        agreed = known.good and self.preferences.agreed.get(group.id)
        return replace(
            self.settings,
            require_mention=self._required(group.id),
            known_bots=known.bots,
            no_mention=known.people if agreed else (),
            commands=self.commands(),
        )

    def people(self, channel: ChannelRef) -> Mapping[str, str]:
        """Return the names of those whom a message there can call, by uid: of nobody in a direct conversation."""
        return {} if channel.type == ChannelType.PERSON else self.roster.known(channel).people

    def needs_mention(self, channel: ChannelRef) -> bool:
        """Return whether not everything said in a conversation is for the bot."""
        if channel.type == ChannelType.PERSON:
            return True
        group_no = group_of(channel).id
        return self._required(group_no) and not self.preferences.agreed.get(group_no)

    def _required(self, group_no: str) -> bool:
        return self.settings.access.requires_mention(group_no, self.settings.require_mention)

    def observe(self, outcome: Outcome) -> None:
        """Note what a received message tells of its conversation."""
        payload = outcome.payload
        if payload is None or outcome.channel.type == ChannelType.PERSON:
            return
        if outcome.decision.kind is DecisionKind.CONTROL:
            self._observe_signal(outcome.channel, payload)
        elif outcome.decision.kind is DecisionKind.CONTEXT:
            group_no = group_of(outcome.channel).id
            counts = self.preferences.agreed.get(group_no)  # whether a stranger's next word is for the bot
            self.roster.warm(outcome.channel, outcome.message.from_uid if counts else "")
            self.preferences.warm(group_no)

    async def refresh(self, latest: Sequence[ChannelRef] = ()) -> None:
        """Ask for what has to be known before people speak, within `LOOK_WITHIN_S`; the rest comes later.

        Args:
            latest: conversations, the ones heard last first.
        """
        self.notes.forget()
        self.preferences.doubt()
        self.groups.doubt()
        try:
            await within(self.context.clock, LOOK_WITHIN_S, self._look(latest))
        except TimeoutError:
            self.context.log.info("not all groups could be looked at in %.0f s", LOOK_WITHIN_S)

    async def _look(self, latest: Sequence[ChannelRef]) -> None:
        slots = asyncio.Semaphore(GROUPS_AT_ONCE)

        async def look_at(group_no: str) -> None:
            async with slots:
                asking = self.preferences.warm(group_no)
                await self.roster.asked(ChannelRef(group_no, ChannelType.GROUP), "")
                if asking is not None:
                    await asyncio.wait({asking})

        try:
            listed = [group.group_no for group in await self.groups.groups()]
        except ApiError as error:
            self.context.log.info("the groups cannot be listed now: %s", error)
            return
        known = frozenset(listed)
        spoken = [group_of(ref).id for ref in latest if ref.type != ChannelType.PERSON]
        first = dict.fromkeys([*(group_no for group_no in spoken if group_no in known), *listed])
        await together(look_at(group_no) for group_no in islice(first, GROUPS_AT_FIRST))

    def _observe_signal(self, channel: ChannelRef, payload: Payload) -> None:
        event = payload.event_type or ""
        if event.startswith(NOTES_EVENTS):
            self.notes.changed(channel)
        elif event == PREFERENCE_EVENT:
            self.preferences.changed(group_of(channel).id)
        elif payload.type in MEMBER_TYPES:
            self.roster.changed(channel)
            if payload.type == RENAMED:
                self.groups.doubt()
        elif payload.type == ContentType.COMMAND and payload.data.get("cmd") == MEMBER_COMMAND:
            self.roster.changed(ChannelRef(_group_no(payload.data.get("param")), ChannelType.GROUP))


def _group_no(param: Any) -> str:
    """Return the group a command names; its packet may come over another channel (octo-bot-api §5.5)."""
    found = param.get("group_no") if isinstance(param, dict) else None
    return found if isinstance(found, str) else ""
