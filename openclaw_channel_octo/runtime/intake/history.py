"""The server's history as the runtime reads it: which conversations there are, and what was said in them."""

import asyncio
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from openclaw_channel_octo.errors import Unavailable
from openclaw_channel_octo.ids import ChannelRef, ChannelType, split_space
from openclaw_channel_octo.message.payload import REF_KEY, parse_payload
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.policy.gate import Identity
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.rest.models import HistoryMessage
from openclaw_channel_octo.runtime.directory.groups import Groups
from openclaw_channel_octo.wire.events import InboundMessage, Received
from openclaw_channel_octo.wire.packets import Flags, Setting

__all__ = ["FETCH_WITHIN_S", "PAGE", "FillEnd", "HistoryPage", "MissedHistory"]

PAGE = 200
"""Messages asked for at once, the most the server gives (octo-bot-api §2.4)."""

AT_ONCE = 4
"""Conversations read at the same time; once as many failed, those that wait for their turn give up too."""

FIRST_LOOK = 50
"""Messages looked at in a conversation nobody here has heard of."""


FETCH_WITHIN_S = 10.0
"""Longest time one reading may take once the server is asked; a wait for a free slot is not counted."""


class HistoryPage(Struct, frozen=True):
    """A part of a conversation.

    Attributes:
        messages: those that can be read, ascending.
        found: how many there are, readable or not; fewer than `PAGE` where there are no more behind them.
        last: number of the last of these.
    """

    messages: Sequence[Received]
    found: int
    last: int


class FillEnd(Struct, frozen=True):
    """The end of a conversation.

    Attributes:
        after: number of the message before the first of ``messages``; what lies there needs no answer.
        messages: what was said since, ascending.
    """

    after: int
    messages: Sequence[Received]


class MissedHistory:
    """Reads what the bot could have heard, a few conversations at a time. Every method raises `ApiError`.

    Args:
        api: the bot's API.
        groups: lists the bot's groups.
        identity: who the bot is in the chat.
        log: the bot's log.
    """

    def __init__(self, api: BotApi, groups: Groups, identity: Identity, log: BotLog) -> None:
        self._api = api
        self._groups = groups
        self._identity = identity
        self._log = log
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._failures = 0

    async def conversations(self) -> list[ChannelRef]:
        """Return the conversations that can be listed: the bot's groups and the one with its owner."""
        listed = await self._groups.groups()
        groups = [ChannelRef(group.group_no, ChannelType.GROUP) for group in listed]
        owner = self._identity.owner_uid
        return groups + ([ChannelRef(owner, ChannelType.PERSON)] if owner else [])

    async def page(
        self, channel: ChannelRef, start: int, before: int | None, within_s: float = FETCH_WITHIN_S
    ) -> HistoryPage:
        """Return up to `PAGE` messages numbered from ``start`` and below ``before``, ascending.

        Args:
            channel: the conversation.
            start: the first number, at least 1.
            before: the first number that is not wanted, ``None`` for everything there is.
            within_s: longest time it may take once the server is asked, seconds.
        """
        rows = await self._read(channel, start=start, end=before or 0, limit=PAGE, within_s=within_s)
        return HistoryPage(_received(channel, rows), len(rows), _last(rows))

    async def went_back(self, channel: ChannelRef, cursor: int) -> bool:
        """Return whether a conversation's newest message has a number below ``cursor``, and warn of it."""
        newest = _last(await self._read(channel, limit=1, within_s=FETCH_WITHIN_S))
        if newest >= cursor:
            return False
        self._log.warning(
            "the server's numbers of channel=%s went back from %d to %d: was it restored from an older copy, or"
            " wiped? The conversation is taken up anew; nothing is answered twice",
            channel.id,
            cursor,
            newest,
        )
        return True

    async def ending(self, channel: ChannelRef, since: int) -> FillEnd:
        """Return what was said since the bot itself last spoke, at most the newest `FIRST_LOOK` messages.

        What this package has sent does not count as that: it names what it answers, and says nothing about the rest.

        Args:
            channel: the conversation.
            since: Unix seconds; older messages are left alone.
        """
        found = await self._read(channel, limit=FIRST_LOOK, within_s=FETCH_WITHIN_S)
        rows = [row for row in found if row.message_id]
        seen = [row for row in rows if row.timestamp < since or self._is_anothers_answer(row)]
        after = seen[-1].message_seq if seen else rows[0].message_seq - 1 if rows else 0
        return FillEnd(after, _received(channel, [row for row in rows if row.message_seq > after]))

    def _is_anothers_answer(self, row: HistoryMessage) -> bool:
        """Return whether it was sent in the bot's name by something that does not tell what it answers."""
        own = self._identity.uid in {row.from_uid, split_space(row.from_uid)[1]}
        return own and REF_KEY not in parse_payload(row.payload).data

    async def _read(self, channel: ChannelRef, *, limit: int, **asked: Any) -> list[HistoryMessage]:
        """Return what the API says once there is a slot.

        Whoever waits for a slot while the server fails one reading after the other does not ask it too.
        """
        failures = self._failures
        async with self._slots:
            if self._failures - failures >= AT_ONCE:
                raise Unavailable("messages/sync", "the history is not asked, because it fails for others")
            try:
                rows = await self._api.sync_messages(channel, limit=limit, **asked)
            except Unavailable:
                self._failures += 1
                raise
            self._failures = 0
            if unreadable := sum(not row.message_id for row in rows):
                self._log.warning(
                    "%d messages in the history of channel=%s cannot be read and are skipped",
                    unreadable,
                    channel.id,
                )
            return rows


def _last(rows: Sequence[HistoryMessage]) -> int:
    return max((row.message_seq for row in rows), default=0)


def _received(channel: ChannelRef, rows: Sequence[HistoryMessage]) -> list[Received]:
    """Return what can be read as if it had just arrived; the channel is the one that was asked for."""
    return [_one_received(channel, row) for row in rows if row.message_id]


def _one_received(channel: ChannelRef, row: HistoryMessage) -> Received:
    flags = Flags.NONE
    if row.no_persist:
        flags |= Flags.NO_PERSIST
    if row.red_dot:
        flags |= Flags.RED_DOT
    if row.sync_once:
        flags |= Flags.SYNC_ONCE
    return Received(
        message=InboundMessage(
            message_id=int(row.message_id),
            message_seq=row.message_seq,
            client_msg_no=row.client_msg_no,
            from_uid=row.from_uid,
            channel_id=channel.id,
            channel_type=channel.type,
            timestamp=row.timestamp,
            payload=row.payload,
            setting=Setting(row.setting),
            flags=flags,
        )
    )
