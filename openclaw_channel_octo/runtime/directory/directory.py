"""What a bot knows of its conversations besides their messages: who is there, what they agreed on, what they noted."""

import asyncio
from collections.abc import Sequence
from itertools import islice
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.errors import ApiError
from openclaw_channel_octo.ids import ChannelRef, ChannelType, group_of
from openclaw_channel_octo.message.payload import ContentType, Payload
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.policy.gate import DecisionKind, GatePolicy
from openclaw_channel_octo.runtime.background import together
from openclaw_channel_octo.runtime.directory.group_docs import GroupDocs
from openclaw_channel_octo.runtime.directory.groups import Groups
from openclaw_channel_octo.runtime.directory.mention_preferences import MentionPreferences
from openclaw_channel_octo.runtime.directory.roster import Roster
from openclaw_channel_octo.runtime.received import Outcome

__all__ = ["ConversationDirectory"]

NOTES_EVENTS = ("group_md_", "thread_md_")
"""Beginnings of the events that tell of changed notes (octo-bot-api §5.4)."""

PREFERENCE_EVENT = "mention_pref_updated"
MEMBER_COMMAND = "memberUpdate"
MEMBER_TYPES = frozenset({1001, 1002, 1003, 1005, 1007, 1008, 1021})
"""System messages after which other people, or people with other names, are in a group (octo-bot-api §5.3)."""

LOOK_WITHIN_S = 5.0
"""Longest wait for what is asked about all groups together."""

GROUPS_AT_ONCE = 4
"""Groups looked at side by side after a connect."""

GROUPS_AT_FIRST = 50
"""Groups looked at after a connect, the ones heard last; others are once somebody speaks there."""


class ConversationDirectory(Struct, frozen=True, kw_only=True):
    """What is known around messages, kept fresh by what arrives.

    Attributes:
        settings: what the gate knows of every conversation.
        places: the bot's groups.
        roster: who is there.
        preferences: who is answered without a mention.
        notes: what members keep for the bot.
        clock: time.
        log: the bot's log.
    """

    settings: GatePolicy
    places: Groups
    roster: Roster
    preferences: MentionPreferences
    notes: GroupDocs
    clock: Clock
    log: BotLog

    def policy(self, channel: ChannelRef) -> GatePolicy:
        """Return what the gate has to know for a message of a conversation; never waits."""
        if channel.type == ChannelType.PERSON:
            return replace(self.settings, known_bots=self.roster.every_bot)
        agreed = self.preferences.agreed(group_of(channel).id)
        people = self.roster.confirmed_people(channel) if agreed else ()
        return replace(self.settings, known_bots=self.roster.bots(channel), no_mention=people)

    def needs_mention(self, channel: ChannelRef) -> bool:
        """Return whether not everything said in a conversation is for the bot."""
        if channel.type == ChannelType.PERSON:
            return True
        return self.settings.require_mention and not self.preferences.agreed(group_of(channel).id)

    def observe(self, outcome: Outcome) -> None:
        """Note what a received message tells of its conversation."""
        payload = outcome.payload
        if payload is None or outcome.channel.type == ChannelType.PERSON:
            return
        if outcome.decision.kind is DecisionKind.CONTROL:
            self._observe_signal(outcome.channel, payload)
        elif outcome.decision.kind is DecisionKind.CONTEXT:
            self.roster.warm(outcome.channel, outcome.message.from_uid)
            self.preferences.warm(group_of(outcome.channel).id)

    async def refresh(self, latest: Sequence[ChannelRef] = ()) -> None:
        """Ask for what has to be known before people speak, within `LOOK_WITHIN_S`; the rest comes later.

        Args:
            latest: conversations, the ones heard last first.
        """
        self.notes.forget()
        self.preferences.doubt()
        self.places.doubt()
        try:
            await within(self.clock, LOOK_WITHIN_S, self._look(latest))
        except TimeoutError:
            self.log.info("not all groups could be looked at in %.0f s", LOOK_WITHIN_S)

    async def _look(self, latest: Sequence[ChannelRef]) -> None:
        slots = asyncio.Semaphore(GROUPS_AT_ONCE)

        async def look_at(group_no: str) -> None:
            async with slots:
                asking = self.preferences.warm(group_no)
                await self.roster.names(ChannelRef(group_no, ChannelType.GROUP), "")
                if asking is not None:
                    await asyncio.wait({asking})

        try:
            listed = [group.group_no for group in await self.places.groups()]
        except ApiError as error:
            self.log.info("the groups cannot be listed now: %s", error)
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
        elif payload.type == ContentType.COMMAND and payload.data.get("cmd") == MEMBER_COMMAND:
            self.roster.changed(ChannelRef(_group_no(payload.data.get("param")), ChannelType.GROUP))


def _group_no(param: Any) -> str:
    """Return the group a command names; its packet may come over another channel (octo-bot-api §5.5)."""
    found = param.get("group_no") if isinstance(param, dict) else None
    return found if isinstance(found, str) else ""
