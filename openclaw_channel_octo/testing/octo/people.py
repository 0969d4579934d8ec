"""The people of the double: who there is, what they say, and what they see."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.testing.octo.bot_api import ApiCalls
from openclaw_channel_octo.testing.octo.engine import Engine
from openclaw_channel_octo.testing.octo.payloads import text_payload
from openclaw_channel_octo.testing.octo.records import ChatLine, Switches
from openclaw_channel_octo.testing.octo.world import Account, ChatGroup, World

__all__ = ["People"]

_NOT_A_FRIEND: Final = "请先添加好友后再与我对话"
_OWNER, _MEMBER = 1, 0


class People(Switches):
    """The part of `OctoDouble` that is about people and conversations.

    Args:
        world: who is who and what was said.
        engine: delivers.
        calls: for the commands people's clients send.
    """

    def __init__(self, world: World, engine: Engine, calls: ApiCalls) -> None:
        super().__init__()
        self._world = world
        self._engine = engine
        self._calls = calls

    def add_person(self, uid: str, name: str, *, token: str = "", stranger: bool = False) -> None:
        """Add a person.

        Args:
            uid: the id.
            name: display name.
            token: lets a test connect a socket as this person.
            stranger: nobody's friend: a bot is written to but cannot answer (octo-bot-api §4.2).
        """
        self._world.accounts[uid] = Account(uid=uid, name=name, token=token, stranger=stranger)
        if token:
            self._engine.tokens[uid] = token

    def add_bot(self, uid: str, token: str, *, name: str = "", owner: str = "") -> None:
        """Add a bot; the IM server knows its token already, as after a start of the Octo server.

        Args:
            uid: the id.
            token: for REST and socket; with ``app_`` before it the bot is an App Bot.
            name: display name, the uid where none is given.
            owner: the person it belongs to.
        """
        self._world.accounts[uid] = Account(uid=uid, name=name or uid, token=token, is_bot=True, owner=owner)
        self._engine.tokens[uid] = token

    def change_token(self, uid: str, token: str) -> None:
        """Give a bot another token, as ``/revoke`` does: the old one is refused and its sockets are kicked."""
        self._world.accounts[uid] = replace(self._world.account(uid), token=token)
        self._engine.tokens.pop(uid, None)
        self._engine.kick(uid, "")

    def add_group(self, group_no: str, members: Iterable[str], *, name: str = "") -> ChannelRef:
        """Add a group whose first member is its owner; return its channel."""
        uids = list(dict.fromkeys(members))
        roles = {self._world.account(uid).uid: _MEMBER for uid in uids}
        if uids:
            roles[uids[0]] = _OWNER
        self._world.groups[group_no] = ChatGroup(
            group_no=group_no, name=name or group_no, members=roles, creator=uids[0] if uids else ""
        )
        return ChannelRef(group_no, ChannelType.GROUP)

    def add_thread(self, group_no: str, short_id: str, *, name: str = "") -> ChannelRef:
        """Add a thread of a group, with the group's members; return its channel."""
        channel = ChannelRef(f"{self._group(group_no).group_no}____{short_id}", ChannelType.THREAD)
        self._world.threads[channel.id] = True
        self._world.thread_names[channel.id] = name or short_id
        return channel

    async def write_notes(self, author: str, channel: ChannelRef, content: str, event: str = "") -> None:
        """Write a group's GROUP.md or a thread's THREAD.md; its members are told by an event (octo-bot-api §5.4).

        Args:
            author: who writes.
            channel: the group or thread.
            content: all of it.
            event: the event's type where it is not the usual one, such as ``group_md_deleted``.
        """
        _, version = self._world.notes.get(channel.id, ("", 0))
        self._world.notes[channel.id] = (content, version + 1)
        kind = "thread_md_updated" if channel.type == ChannelType.THREAD else "group_md_updated"
        told = {"type": event or kind, "version": version + 1, "updated_by": author}
        await self.say(author, channel, {"type": 1, "content": "GROUP.md updated", "event": told})

    def agree_no_mention(self, group: ChannelRef, *, on: bool = True) -> None:
        """Let a group's bots answer without a mention, or not any more; nobody is told."""
        (self._world.no_mention.add if on else self._world.no_mention.discard)(group.id)

    async def prefer_no_mention(self, author: str, group: ChannelRef, *, on: bool = True) -> None:
        """Do the same as a person in the client: an event tells the bots (octo-bot-api §5.4)."""
        self.agree_no_mention(group, on=on)
        event = {"type": "mention_pref_updated", "group_no": group.id}
        await self.say(author, group, {"type": 1, "content": "mention preference", "event": event})

    def delete_thread(self, thread: ChannelRef) -> None:
        """Delete a thread: bots' messages to it are accepted and reach nobody (octo-bot-api §2.8)."""
        self._world.threads[thread.id] = False

    def add_member(self, group_no: str, uid: str) -> None:
        """Put an account into a group."""
        self._group(group_no).members[self._world.account(uid).uid] = _MEMBER

    def make_admin(self, group_no: str, bot: str, *, on: bool = True) -> None:
        """Make a bot an admin of a group, as its owner does in the client, or take that back (octo-bot-api §9)."""
        change = self._world.admins.add if on else self._world.admins.discard
        change((self._group(group_no).group_no, bot))

    def is_archived(self, thread: ChannelRef) -> bool:
        """Return whether a thread was archived and nobody has spoken in it since."""
        return thread.id in self._world.archived

    def thread_members(self, thread: ChannelRef) -> frozenset[str]:
        """Return who joined a thread."""
        return frozenset(self._world.thread_members.get(thread.id, ()))

    def members(self, group_no: str) -> list[str]:
        """Return the uids of a group's members."""
        return list(self._group(group_no).members)

    def notes(self, channel: ChannelRef) -> str:
        """Return GROUP.md of a group or THREAD.md of a thread."""
        return self._world.notes.get(channel.id, ("", 0))[0]

    def remove_member(self, group_no: str, uid: str) -> None:
        """Take an account out of a group; nobody is told (octo-bot-api §5.3)."""
        self._group(group_no).members.pop(uid, None)

    def disband(self, group_no: str) -> None:
        """Disband a group: nothing reaches its members any more."""
        self._group(group_no).disbanded = True

    def befriend(self, bot: str, uid: str) -> None:
        """Make a bot and a person friends."""
        self._world.strangers.discard((bot, uid))
        self._world.friends.add((bot, uid))

    def unfriend(self, bot: str, uid: str) -> None:
        """End a friendship."""
        self._world.friends.discard((bot, uid))
        self._world.strangers.add((bot, uid))

    async def say(
        self,
        from_uid: str,
        channel: ChannelRef,
        content: str | Mapping[str, Any],
        *,
        mention: Sequence[str] = (),
    ) -> str:
        """Send a message as a person (or another bot's client, or the system) and return its id.

        Args:
            from_uid: the sender; empty for the system.
            channel: where; for a direct message the other side's uid.
            content: a text, or a whole payload that is sent as it is.
            mention: uids picked from the member list; their ``@Name`` is put before the text unless it is in it.

        Raises:
            ValueError: the sender is not in the group, or there are mentions to put into a whole payload.
        """
        self._check_membership(from_uid, channel)
        payload = self._payload(channel, content, mention)
        encoded = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        message = self._world.compose(from_uid, channel, encoded)
        self._engine.post(message)
        other = self._world.accounts.get(channel.id) if channel.type == ChannelType.PERSON else None
        if other and other.is_bot and from_uid and not self._world.are_friends(other, from_uid):
            await self.say(other.uid, ChannelRef(from_uid, ChannelType.PERSON), _NOT_A_FRIEND)
        return str(message.message_id)

    async def start_typing(self, from_uid: str, channel: ChannelRef) -> None:
        """Let a person's client say that its user is typing (octo-bot-api §3.1)."""
        self._check_membership(from_uid, channel)
        param = {
            "from_uid": from_uid,
            "from_name": self._world.account(from_uid).name,
            "channel_id": from_uid if channel.type == ChannelType.PERSON else channel.id,
            "channel_type": channel.type,
        }
        self._calls.command(channel, "typing", param)

    def typing_at(self, bot: str, channel: ChannelRef) -> float | None:
        """Return when clients were last told that a bot is typing; ``None`` where it has spoken since.

        Args:
            bot: the bot's uid.
            channel: the conversation as the bot addresses it.
        """
        return self._calls.typing_at.get((bot, channel))

    def accounts(self) -> list[Account]:
        """Return everybody, people and bots, in the order they were added."""
        return list(self._world.accounts.values())

    def channels(self) -> list[tuple[ChannelRef, str, list[str]]]:
        """Return groups and threads, each with its name and the uids of its members."""
        found = [
            (ChannelRef(group.group_no, ChannelType.GROUP), group.name, list(group.members))
            for group in self._world.groups.values()
        ]
        for channel_id in (name for name, alive in self._world.threads.items() if alive):
            channel = ChannelRef(channel_id, ChannelType.THREAD)
            if group := self._world.group_of(channel):
                found.append((channel, f"thread in {group.name}", list(group.members)))
        return found

    def chat(
        self,
        channel: ChannelRef,
        other: str = "",
        *,
        after: int = 0,
        until: int | None = None,
        limit: int | None = None,
    ) -> list[ChatLine]:
        """Return a conversation as people see it, oldest line first.

        Args:
            channel: a group, a thread, or one side of direct conversations.
            other: the other side; without it every direct conversation of ``channel.id`` is shown.
            after: only lines with a greater ``message_seq``.
            until: only lines with at most this ``message_seq``; ``None`` for all.
            limit: at most so many, the newest, at least 1; ``None`` for all.
        """
        return self._world.lines(channel, other, after=after, until=until, limit=limit)

    def _payload(
        self, channel: ChannelRef, content: str | Mapping[str, Any], mention: Sequence[str]
    ) -> Mapping[str, Any]:
        if not isinstance(content, str):
            if mention:
                raise ValueError("mentions are put into texts only; put them into the payload yourself")
            return content
        payload = text_payload(content, [(uid, self._world.account(uid).name) for uid in mention])
        if channel.type == ChannelType.PERSON and self._world.space_id:
            payload["space_id"] = self._world.space_id
        return payload

    def _check_membership(self, uid: str, channel: ChannelRef) -> None:
        if channel.type == ChannelType.PERSON:
            return
        group = self._world.group_of(channel)
        if group is None or (uid and uid not in group.members):
            raise ValueError(f"{uid!r} is no member of {channel.id!r}: call add_group or add_member first")

    def _group(self, group_no: str) -> ChatGroup:
        if group_no not in self._world.groups:
            raise KeyError(f"no group {group_no!r}: call add_group first")
        return self._world.groups[group_no]
