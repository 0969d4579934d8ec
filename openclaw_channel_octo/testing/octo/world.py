"""What the double knows: accounts, groups, who may talk where, and everything that was said."""

import itertools
import json
import math
from bisect import insort
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from msgspec import Struct, field

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.ids import ChannelRef, ChannelType, person_channel, split_thread
from openclaw_channel_octo.testing.octo import refusals
from openclaw_channel_octo.testing.octo.payloads import shown_text
from openclaw_channel_octo.testing.octo.records import ChatLine, RawMessage
from openclaw_channel_octo.testing.octo.refusals import Refusal
from openclaw_channel_octo.values import SecretStruct
from openclaw_channel_octo.wire.packets import Flags, Setting

__all__ = ["Account", "ChatGroup", "ChatMessage", "World"]

_FIRST_MESSAGE_ID: Final = 2_044_043_250_838_278_145
_MESSAGE_ID_STEP: Final = 1_000_002
"""Even: every id stays odd, a 63-bit integer, and so none survives a float64."""

_COMMAND: Final = Flags.NO_PERSIST | Flags.SYNC_ONCE


class Account(SecretStruct, frozen=True, kw_only=True):
    """A person or a bot.

    Attributes:
        uid: the id.
        name: display name.
        token: what opens a bot's REST calls and its socket; people may have one for a socket.
        is_bot: whether the bot API takes the token.
        owner: the person a bot belongs to, may be empty.
        stranger: whether nobody is this person's friend unless made so.
    """

    HIDDEN: ClassVar = frozenset({"token"})

    uid: str
    name: str
    token: str = ""
    is_bot: bool = False
    owner: str = ""
    stranger: bool = False

    @property
    def is_app_bot(self) -> bool:
        """Whether this is an App Bot, which may only talk in direct messages (octo-bot-api §1.2)."""
        return self.is_bot and self.token.startswith("app_")


class ChatGroup(Struct, kw_only=True):
    """A group.

    Attributes:
        group_no: its id.
        name: shown name.
        members: uid → role: 0 member, 1 owner, 2 manager; in order of joining.
        creator: the owner's uid.
        disbanded: whether messages no longer reach anybody.
    """

    group_no: str
    name: str
    members: dict[str, int]
    creator: str
    disbanded: bool = False


class ChatMessage(Struct, frozen=True, kw_only=True):
    """One message on its way to its recipients.

    Attributes:
        message_id: unique.
        message_seq: place in the conversation's log, 0 when it is not stored.
        client_msg_no: the sender's id of it.
        from_uid: the sender, empty for the system.
        to_uid: in a direct message the other side as the sender addressed it, else empty.
        conversation: where it belongs; for direct messages the internal id of the pair.
        timestamp: Unix seconds.
        payload: plaintext.
        flags: the header's bits for the recipients.
        setting: the setting byte.
        topic: for `Setting.TOPIC`.
    """

    message_id: int
    message_seq: int
    client_msg_no: str
    from_uid: str
    to_uid: str
    conversation: ChannelRef
    timestamp: int
    payload: bytes
    flags: Flags
    setting: Setting = Setting.NONE
    topic: str = ""

    def channel_for(self, recipient: str) -> ChannelRef:
        """Return the conversation as one recipient sees it (protocol §5.1)."""
        if self.conversation.type != ChannelType.PERSON:
            return self.conversation
        return ChannelRef(self.to_uid if recipient == self.from_uid else self.from_uid, ChannelType.PERSON)


class World(Struct):
    """The state of the whole chat.

    Attributes:
        clock: timestamps of messages.
        space_id: stamped into direct messages, empty for a deployment without spaces.
        accounts: by uid.
        groups: by group number.
        threads: channel ids of the threads there are; ``False`` for a deleted one.
        thread_names: their names.
        thread_creators: who opened them; the group's creator where it is not told.
        thread_members: who joined them, by channel id.
        archived: the threads that were archived and not spoken in since.
        admins: pairs of group number and bot that its owner made an admin.
        notes: by channel id, what a group or thread keeps for its bots, and its version.
        no_mention: groups whose bots may answer without a mention.
        log: stored messages of each conversation, ascending by sequence number.
        edits: by message id, the payload the sender put in place of the first.
        readers: by message id, who sent a read receipt.
        friends: pairs of bot and person that became friends.
        strangers: pairs that are friends no more.
    """

    clock: Clock
    space_id: str
    accounts: dict[str, Account] = field(default_factory=dict)
    groups: dict[str, ChatGroup] = field(default_factory=dict)
    threads: dict[str, bool] = field(default_factory=dict)
    thread_names: dict[str, str] = field(default_factory=dict)
    thread_creators: dict[str, str] = field(default_factory=dict)
    thread_members: dict[str, set[str]] = field(default_factory=dict)
    archived: set[str] = field(default_factory=set)
    admins: set[tuple[str, str]] = field(default_factory=set)
    notes: dict[str, tuple[str, int]] = field(default_factory=dict)
    no_mention: set[str] = field(default_factory=set)
    log: dict[ChannelRef, list[ChatMessage]] = field(default_factory=dict)
    edits: dict[int, bytes] = field(default_factory=dict)
    readers: dict[int, set[str]] = field(default_factory=dict)
    friends: set[tuple[str, str]] = field(default_factory=set)
    strangers: set[tuple[str, str]] = field(default_factory=set)
    _message_ids: Iterator[int] = field(
        default_factory=lambda: itertools.count(_FIRST_MESSAGE_ID, _MESSAGE_ID_STEP)
    )
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _by_id: dict[int, ChatMessage] = field(default_factory=dict)

    def account(self, uid: str) -> Account:
        """Return an account. Raises `KeyError` naming the uid that was never added."""
        if uid not in self.accounts:
            raise KeyError(f"no account {uid!r}: call add_person or add_bot first")
        return self.accounts[uid]

    def bot_of(self, token: str) -> Account | None:
        """Return the bot a REST token belongs to."""
        return next((one for one in self.accounts.values() if one.is_bot and one.token == token), None)

    def conversation(self, channel: ChannelRef, speaker: str) -> ChannelRef:
        """Return where something lands that ``speaker`` says in ``channel``."""
        if channel.type != ChannelType.PERSON:
            return channel
        return ChannelRef(person_channel(speaker, channel.id), ChannelType.PERSON)

    def group_of(self, channel: ChannelRef) -> ChatGroup | None:
        """Return the group a group or thread channel belongs to."""
        thread = split_thread(channel.id) if channel.type == ChannelType.THREAD else None
        return self.groups.get(thread.group_no if thread else channel.id)

    def recipients(self, message: ChatMessage) -> list[str]:
        """Return everybody a message goes to, its sender included."""
        if message.conversation.type == ChannelType.PERSON:
            return [uid for uid in (message.from_uid, message.to_uid) if uid]
        group = self.group_of(message.conversation)
        deleted = self.threads.get(message.conversation.id) is False
        return [] if group is None or group.disbanded or deleted else list(group.members)

    def are_friends(self, bot: Account, uid: str) -> bool:
        """Return whether the bot may write to a person (octo-bot-api §9)."""
        pair = (bot.uid, uid)
        if pair in self.friends or bot.owner == uid:
            return True
        person = self.accounts.get(uid)
        return person is not None and not person.stranger and pair not in self.strangers

    def check_access(self, bot: Account, channel: ChannelRef) -> None:
        """Raise `Refusal` where the bot may not send, type, or read (octo-bot-api §9)."""
        if channel.type == ChannelType.PERSON:
            if not self.are_friends(bot, channel.id):
                raise Refusal(refusals.NOT_STARTED if bot.is_app_bot else refusals.NOT_A_FRIEND)
            return
        if bot.is_app_bot:
            raise Refusal(refusals.DIRECT_ONLY)
        if channel.type == ChannelType.THREAD and split_thread(channel.id) is None:
            raise Refusal(refusals.NO_THREAD, "channel_id")
        group = self.group_of(channel)
        if group is None or bot.uid not in group.members:
            raise Refusal(refusals.NOT_A_MEMBER, "channel_id")

    def compose(
        self,
        from_uid: str,
        channel: ChannelRef,
        payload: bytes,
        *,
        flags: Flags = Flags.RED_DOT,
        client_msg_no: str | None = None,
    ) -> ChatMessage:
        """Return a new message with its ids; it is not in the log yet.

        Args:
            from_uid: the sender, empty for the system.
            channel: where, as the sender addresses it.
            payload: plaintext.
            flags: the header's bits; what is not persisted gets no sequence number.
            client_msg_no: the sender's id of it, ``None`` for a fresh one.
        """
        raw = RawMessage(
            from_uid=from_uid, channel=channel, payload=payload, flags=flags, client_msg_no=client_msg_no
        )
        return self.raw(from_uid, raw)

    def raw(self, recipient: str, raw: RawMessage) -> ChatMessage:
        """Return the message an injected RECV stands for; what is ``None`` in it is filled in.

        Args:
            recipient: whose connection it is for.
            raw: as the test wants it.
        """
        conversation = self.conversation(raw.channel, recipient)
        direct = conversation.type == ChannelType.PERSON
        seq = raw.message_seq
        if seq is None:
            seq = 0 if raw.flags & _COMMAND else self._next_seq(conversation)
        return ChatMessage(
            message_id=next(self._message_ids) if raw.message_id is None else raw.message_id,
            message_seq=seq,
            client_msg_no=f"{next(self._numbers):032x}" if raw.client_msg_no is None else raw.client_msg_no,
            from_uid=raw.from_uid,
            to_uid=(raw.channel.id if raw.from_uid == recipient else recipient) if direct else "",
            conversation=conversation,
            timestamp=self.clock.wall_ms() // 1000 if raw.timestamp is None else raw.timestamp,
            payload=raw.payload,
            flags=raw.flags,
            setting=raw.setting,
            topic=raw.topic,
        )

    def store(self, message: ChatMessage) -> None:
        """Put a message into its conversation's log, in order of sequence numbers; a known one stays."""
        if message.message_id in self._by_id:
            return
        log = self.log.setdefault(message.conversation, [])
        insort(log, message, key=lambda row: row.message_seq)
        self._by_id[message.message_id] = message
        self.archived.discard(message.conversation.id)

    def roll_back(self, conversation: ChannelRef, seq: int) -> None:
        """Drop a conversation's messages numbered above ``seq``."""
        log = self.log.get(conversation, [])
        for row in log:
            if row.message_seq > seq:
                del self._by_id[row.message_id]
        self.log[conversation] = [row for row in log if row.message_seq <= seq]

    def message(self, message_id: int) -> ChatMessage | None:
        """Return a stored message by its id."""
        return self._by_id.get(message_id)

    def history(
        self, conversation: ChannelRef, *, start: int, end: int, limit: int, upwards: bool
    ) -> list[ChatMessage]:
        """Return a page of a conversation's log, ascending (octo-bot-api §2.4).

        Args:
            conversation: which log.
            start: first sequence number, inclusive.
            end: bound, exclusive; 0 for none.
            limit: most rows.
            upwards: towards newer messages, else towards older ones.
        """
        log = self.log.get(conversation, [])
        if start == 0 and end == 0:
            return log[-limit:]
        if upwards:
            return [row for row in log if start <= row.message_seq and (end == 0 or row.message_seq < end)][
                :limit
            ]
        return [row for row in log if end < row.message_seq <= start][-limit:]

    def lines(
        self,
        channel: ChannelRef,
        other: str,
        *,
        after: int = 0,
        until: int | None = None,
        limit: int | None = None,
    ) -> list[ChatLine]:
        """Return a conversation as people see it; see `OctoDouble.chat`."""
        if channel.type != ChannelType.PERSON:
            rows = self.log.get(channel, [])
        elif other:
            rows = self.log.get(self.conversation(channel, other), [])
        else:
            direct = (log for key, log in self.log.items() if key.type == ChannelType.PERSON)
            mine = (row for log in direct for row in log if channel.id in (row.from_uid, row.to_uid))
            rows = sorted(mine, key=lambda row: row.message_id)
        last = math.inf if until is None else until
        shown = [row for row in rows if not row.flags & _COMMAND and after < row.message_seq <= last]
        return [self._line(row) for row in (shown if limit is None else shown[-limit:])]

    def _next_seq(self, conversation: ChannelRef) -> int:
        log = self.log.get(conversation)
        return log[-1].message_seq + 1 if log else 1

    def _line(self, row: ChatMessage) -> ChatLine:
        payload = _json_object(self.edits.get(row.message_id, row.payload))
        sender = self.accounts.get(row.from_uid)
        return ChatLine(
            message_id=str(row.message_id),
            message_seq=row.message_seq,
            timestamp=row.timestamp,
            from_uid=row.from_uid,
            name=sender.name if sender else row.from_uid,
            text=shown_text(payload),
            payload=payload,
            edited=row.message_id in self.edits,
            read_by=frozenset(self.readers.get(row.message_id, ())),
        )


def _json_object(payload: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(payload)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
