"""What was said around a message: from the journal, and from the server's history where the journal is young."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from cachetools import FIFOCache
from msgspec import Struct, field
from msgspec.structs import replace

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.errors import ApiError
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.message.history import MESSAGE_BYTES, Said, history_block
from openclaw_channel_octo.message.marks import mark_of, remarked
from openclaw_channel_octo.message.payload import parse_payload
from openclaw_channel_octo.message.render import render
from openclaw_channel_octo.message.text import clip
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.policy.gate import DecisionKind, Envelope, GatePolicy, Identity, decide
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.rest.models import HistoryMessage
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.store.records import InboundRow

__all__ = ["EarlierMessages"]

PAGE = 100
"""Older messages asked for at once, once for each conversation."""
WAIT_S = 3.0
"""Longest a turn waits for them."""
CONVERSATIONS = 200
"""Conversations whose older messages are remembered."""

_TALK = frozenset({DecisionKind.CONTEXT, DecisionKind.TURN})


class _Older(Struct, frozen=True):
    """What the server's history holds from before the journal began; lines of the channel carry a mark of its own."""

    said: tuple[Said, ...] = ()
    answered: int = 0
    mark: str = ""


class EarlierMessages(Struct, frozen=True, kw_only=True):
    """Tells agents what was said before a message, and which of it they have answered already.

    Attributes:
        config: the bot's settings.
        identity: who the bot is.
        policy: what the gate has to know of a conversation.
        api: the bot's API.
        journal: the record of messages.
        clock: time.
        log: the bot's log.
    """

    config: BotConfig
    identity: Identity
    policy: Callable[[ChannelRef], GatePolicy]
    api: BotApi
    journal: Journal
    clock: Clock
    log: BotLog
    _older: FIFOCache[ChannelRef, _Older] = field(default_factory=partial(FIFOCache, CONVERSATIONS))

    async def block(self, row: InboundRow, names: Mapping[str, str], mark: str = "") -> str:
        """Return what was said in a group or thread before a message, as one block; empty where there is nothing.

        Args:
            row: the message, which is never in it, as the bot's own answers are not.
            names: display names by uid.
            mark: the run's.
        """
        limit = self.config.history_limit
        if row.channel.type == ChannelType.PERSON or not limit:
            return ""
        before = await self.journal.said.before(row.account, row.channel, row.message_seq, limit)
        access, owner = self.config.access, self.identity.owner_uid
        said = [
            _said(found.seq, found.from_uid, found.payload, mark, to_bot=found.to_bot)
            for found in before.said
            if not access.blocks(found.from_uid, owner)  # they may have been blocked since
        ]
        older = _Older()
        told = before.answered or before.reset  # then the session remembers what was said before, or must not
        if 2 * len(said) < limit and not told:
            older = await self._before(row.channel, before.begins)
        earlier = [replace(each, text=remarked(each.text, older.mark, mark)) for each in older.said]
        return history_block([*earlier, *said][-limit:], names, older.answered, mark)

    async def _before(self, channel: ChannelRef, begins: int) -> _Older:
        """Return what was said before the journal's first message of a conversation, asked for once."""
        if begins <= 1:
            return _Older()
        if (found := self._older.get(channel)) is None:
            asked = self.api.sync_messages(channel, start=begins - 1, limit=PAGE, pull_up=False)
            try:
                found = self._judged(channel, await within(self.clock, WAIT_S, asked))
            except (ApiError, TimeoutError) as error:
                self.log.info(
                    "older messages of channel=%s cannot be had: %s", channel.id, str(error) or "no answer"
                )
                return _Older()
            self._older[channel] = found
        return found

    def _judged(self, channel: ChannelRef, rows: Sequence[HistoryMessage]) -> _Older:
        said: list[Said] = []
        answered, mark = 0, mark_of(self.clock.new_id())
        policy = self.policy(channel)
        for row in rows:
            envelope = Envelope(from_uid=row.from_uid, channel_id=channel.id, channel_type=channel.type)
            kind = decide(envelope, parse_payload(row.payload), self.identity, lambda: policy).kind
            if kind is DecisionKind.ECHO:
                answered = row.message_seq
            elif kind in _TALK:
                said.append(_said(row.message_seq, row.from_uid, row.payload, mark))
        return _Older(tuple(said[-self.config.history_limit :]), answered, mark)


def _said(seq: int, uid: str, payload: bytes, mark: str, *, to_bot: bool = False) -> Said:
    text = clip(render(parse_payload(payload), mark=mark).text, MESSAGE_BYTES)
    return Said(uid, text, seq=seq, to_bot=to_bot)
