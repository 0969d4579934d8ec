"""Who may have a bot read and send outside of an answer (reference-behaviour §g.4, §i, §2.5).

The rule: a bot does for a person what that person could do without it. The decision is docs/decisions/0012.
"""

from collections.abc import Collection
from enum import StrEnum

from msgspec import Struct

from openclaw_channel_octo.ids import ChannelRef, ChannelType, group_of

__all__ = ["Requester", "Role", "change_refusal", "needs_roster", "refusal"]


class Role(StrEnum):
    """What somebody who asks is to the bot."""

    OPERATOR = "operator"
    """Who runs the program, or a job of theirs: nobody in the chat."""
    GATEWAY = "gateway"
    """An agent of the operator's gateway in a session that is no conversation's, such as a job of its timetable."""
    CONVERSATION = "conversation"
    """An agent that speaks in its own conversation, and nobody there has asked it to."""
    OWNER = "owner"
    PERSON = "person"
    BOT = "bot"


class Requester(Struct, frozen=True, kw_only=True):
    """For whom a bot is to do something.

    Attributes:
        role: what they are to the bot.
        uid: who they are, empty for an operator.
        conversation: where they asked, ``None`` for an operator.
    """

    role: Role
    uid: str = ""
    conversation: ChannelRef | None = None

    @classmethod
    def operator(cls) -> "Requester":
        """Return the one who runs the program; for jobs nobody in the chat asked for."""
        return cls(role=Role.OPERATOR)

    @property
    def name(self) -> str:
        """The uid, or ``operator`` and the like where it is nobody in the chat: for records."""
        return self.uid or self.role.value

    @property
    def unbounded(self) -> bool:
        """Whether they may reach every conversation of the bot."""
        return self.role in {Role.OPERATOR, Role.GATEWAY, Role.OWNER}

    @property
    def bound(self) -> bool:
        """Whether they reach the one conversation they are in and nothing else."""
        return self.role in {Role.BOT, Role.CONVERSATION}

    @property
    def manages_all(self) -> bool:
        """Whether they may have every group changed that the bot may change: nobody beside these two roles."""
        return self.role in {Role.OPERATOR, Role.OWNER}

    @property
    def group_no(self) -> str:
        """The group they asked in, or in a thread of; empty elsewhere."""
        if self.conversation is None or self.conversation.type == ChannelType.PERSON:
            return ""
        return group_of(self.conversation).id


def needs_roster(requester: Requester, channel: ChannelRef) -> bool:
    """Return whether the members of the conversation's group decide."""
    if requester.unbounded or requester.bound or channel == requester.conversation:
        return False
    return channel.type in {ChannelType.GROUP, ChannelType.THREAD}


def refusal(requester: Requester, channel: ChannelRef, people: Collection[str] | None = None) -> str:
    """Return why a conversation is out of reach for somebody, empty when it is not.

    Conversations are compared by kind and id: a person's uid that is also a group's number opens nothing.

    Args:
        requester: for whom.
        channel: the conversation.
        people: uids of the people in its group where `needs_roster` asks for them, ``None`` when they cannot be had.
    """
    if requester.unbounded or channel == requester.conversation:
        return ""
    if requester.role is Role.BOT:
        return "another bot may only use the conversation it writes in"
    if requester.role is Role.CONVERSATION:
        return "an agent that nobody has asked may only use its own conversation"
    if channel.type == ChannelType.PERSON:
        own = requester.uid != "" and channel.id == requester.uid
        return "" if own else "a direct conversation is open only to the person in it and to the bot's owner"
    if channel.type not in {ChannelType.GROUP, ChannelType.THREAD}:
        return "this is no conversation of people"
    if people is None:
        return "the group's members cannot be looked up, so only the bot's owner may; try again later"
    return "" if requester.uid in people else "whoever asks has to be in that group, or be the bot's owner"


def change_refusal(requester: Requester, group_no: str, managers: Collection[str]) -> str:
    """Return why somebody may not have the bot change a group, empty when they may (docs/decisions/0054).

    Whether they are in the group is another question.

    Args:
        requester: for whom.
        group_no: the group, empty for a new one.
        managers: uids of the people who are listed for it.
    """
    if requester.manages_all:
        return ""
    if requester.role is Role.BOT:
        return "another bot may not have groups or threads changed"
    if not requester.uid or requester.uid not in managers:
        return (
            "only the bot's owner, and people its operator has listed as managers, may have groups or threads changed; "
            "nothing was done"
        )
    if group_no and group_no != requester.group_no:
        return "a manager may have a group changed only from inside that group; nothing was done"
    return ""
