"""What an agent is told: what a message says, with its files, and what was said around it.

That comes from the journal, and from the server's history where the journal is young.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from cachetools import FIFOCache
from msgspec import Struct, field
from msgspec.structs import replace

from openclaw_channel_octo.clock import within
from openclaw_channel_octo.errors import ApiError
from openclaw_channel_octo.host.base import MediaItem
from openclaw_channel_octo.ids import ChannelRef, ChannelType, group_of, split_thread
from openclaw_channel_octo.message.history import MESSAGE_BYTES, Said, history_block, people_block
from openclaw_channel_octo.message.marks import mark_of, remarked
from openclaw_channel_octo.message.payload import Reply, parse_payload
from openclaw_channel_octo.message.render import Quoted, render
from openclaw_channel_octo.message.text import clip, label
from openclaw_channel_octo.policy.gate import DecisionKind, Envelope, decide
from openclaw_channel_octo.rest.models import HistoryMessage
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.runtime.directory.directory import ConversationDirectory
from openclaw_channel_octo.runtime.received import Addressed
from openclaw_channel_octo.runtime.turn.downloads import MediaDownloads
from openclaw_channel_octo.store.records import InboundRow

__all__ = ["Prompt", "Prompts"]

NAME_LENGTH = 64
"""Characters of a sender's name that a host is told."""

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


class Prompt(Struct, frozen=True, kw_only=True):
    """What an agent is told of a message.

    Attributes:
        text: what it says, with what its files say.
        mark: of the lines that nobody said.
        notes: who is there, and what the conversation keeps for the bot.
        context: what was said before, and what the message answers.
        name: the sender's.
        title: the conversation's.
        media: its files.
    """

    text: str
    mark: str
    notes: str
    context: str
    name: str
    title: str
    media: tuple[MediaItem, ...]


class Prompts(Struct, frozen=True, kw_only=True):
    """Tells agents what messages say, what was said before them, and which of it they have answered already.

    Attributes:
        context: what every part of the bot is made from.
        directory: knows the conversations.
        media: fetches files.
    """

    context: BotContext
    directory: ConversationDirectory
    media: MediaDownloads
    _older: FIFOCache[ChannelRef, _Older] = field(default_factory=partial(FIFOCache, CONVERSATIONS))

    async def prompt(self, message: Addressed, mark: str) -> Prompt:
        """Return what an agent is told of a message.

        Args:
            message: the message.
            mark: the run's.
        """
        row, payload = message.row, message.payload
        quoted = await self._quoted(row, payload.reply)
        rendered = render(payload, own_name=self.context.identity.name, mark=mark, quoted=quoted)
        # names and files are under way before the notes are waited for: side by side, without a task for each
        self.directory.roster.warm(row.channel, row.from_uid)
        if row.channel.type != ChannelType.PERSON:
            self.directory.groups.warm(group_of(row.channel).id)
        self.media.begin(row.id, rendered.files)
        notes = await self.directory.notes.of(row.channel, mark)
        known = await self.directory.roster.asked(row.channel, row.from_uid)
        files = await self.media.take(row.id, rendered.files)
        shown = known.people if row.channel.type != ChannelType.PERSON else {}
        context = (await self._earlier(row, known.names, mark), rendered.quote)
        told = remarked(files.text, files.mark, mark) if files.text else ""
        name = label(known.names.get(row.from_uid, ""), NAME_LENGTH)
        return Prompt(
            text="\n\n".join(part for part in (rendered.text, told) if part),
            mark=mark,
            notes="\n\n".join(part for part in (people_block(shown, mark), notes) if part),
            context="\n\n".join(part for part in context if part),
            name=name,
            title=name if row.channel.type == ChannelType.PERSON else await self._title(row.channel),
            media=files.media,
        )

    async def _title(self, channel: ChannelRef) -> str:
        """Return the name of a group, that of a thread with its number behind it; empty where it is not known."""
        name = label(await self.directory.groups.name(group_of(channel).id), NAME_LENGTH)
        thread = split_thread(channel.id) if channel.type == ChannelType.THREAD else None
        return f"{name} #{thread.short_id}" if name and thread else name

    async def _quoted(self, row: InboundRow, reply: Reply | None) -> Quoted | None:
        """Return the message somebody answers as it was said, ``None`` where only their client tells."""
        if reply is None or not reply.message_id:
            return None
        said = await self.context.journal.said.find(row.account, row.channel, reply.message_id)
        payload = parse_payload(said.payload) if said else None
        if said is None or payload is None or payload.problem is not None:
            return None
        return Quoted(
            uid=said.from_uid if said.from_uid != self.context.identity.uid else "", payload=payload
        )

    async def _earlier(self, row: InboundRow, names: Mapping[str, str], mark: str) -> str:
        """Return what was said in a group or thread before a message, the bot's own answers left out, as one block."""
        limit = self.context.config.history_limit
        if row.channel.type == ChannelType.PERSON or not limit:
            return ""
        before = await self.context.journal.said.before(row.account, row.channel, row.message_seq, limit)
        said = [
            _said(found.seq, found.from_uid, found.payload, mark, to_bot=found.to_bot)
            for found in before.said
            if not self.context.blocks(found.from_uid)  # they may have been blocked since
        ]
        older = _Older()
        told = before.answered or before.reset  # then the session remembers what was said before, or must not
        if 2 * len(said) < limit and not told:
            older = await self._before(row.channel, before.begins)
        earlier = [replace(each, text=remarked(each.text, older.mark, mark)) for each in older.said]
        shown = [*earlier, *said][-limit:]
        return history_block(shown, names, older.answered, mark) if shown else ""

    async def _before(self, channel: ChannelRef, begins: int) -> _Older:
        """Return what was said before the journal's first message of a conversation, asked for once."""
        if begins <= 1:
            return _Older()
        if (found := self._older.get(channel)) is None:
            asked = self.context.api.sync_messages(channel, start=begins - 1, limit=PAGE, pull_up=False)
            try:
                found = self._judged(channel, await within(self.context.clock, WAIT_S, asked))
            except (ApiError, TimeoutError) as error:
                self.context.log.info(
                    "older messages of channel=%s cannot be had: %s", channel.id, str(error) or "no answer"
                )
                return _Older()
            self._older[channel] = found
        return found

    def _judged(self, channel: ChannelRef, rows: Sequence[HistoryMessage]) -> _Older:
        said: list[Said] = []
        answered, mark = 0, mark_of(self.context.clock.new_id())
        policy = self.directory.policy(channel)
        for row in rows:
            envelope = Envelope(from_uid=row.from_uid, channel_id=channel.id, channel_type=channel.type)
            kind = decide(envelope, parse_payload(row.payload), self.context.identity, lambda: policy).kind
            if kind is DecisionKind.ECHO:
                answered = row.message_seq
            elif kind in _TALK:
                said.append(_said(row.message_seq, row.from_uid, row.payload, mark))
        return _Older(tuple(said[-self.context.config.history_limit :]), answered, mark)


def _said(seq: int, uid: str, payload: bytes, mark: str, *, to_bot: bool = False) -> Said:
    text = clip(render(parse_payload(payload), mark=mark).text, MESSAGE_BYTES)
    return Said(uid, text, seq=seq, to_bot=to_bot)
