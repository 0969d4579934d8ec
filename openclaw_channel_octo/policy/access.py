"""Who may talk to a bot, and the codes with which people are let in to its direct messages (openclaw-host §3.4)."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

from openclaw_channel_octo.ids import ChannelRef, ChannelType, split_space, split_thread

__all__ = [
    "ALPHABET",
    "ANYONE",
    "CODE_LENGTH",
    "NOT_PAIRED",
    "AccessPolicy",
    "DmPolicy",
    "GroupAccess",
    "GroupPolicy",
    "new_code",
]

ANYONE = "*"
"""Entry of a list that stands for everybody, or for every group."""

NOT_PAIRED = "not paired"
"""Why a direct message of somebody is refused who can ask to be let in."""

ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Letters and digits that nobody takes for another one of them: no 0 and O, no 1, I and L."""

CODE_LENGTH = 8

DmPolicy = Literal["open", "pairing", "allowlist", "disabled"]
GroupPolicy = Literal["open", "allowlist", "disabled"]


class GroupAccess(Struct, frozen=True, kw_only=True):
    """What differs in one group.

    Attributes:
        enabled: whether the bot answers there at all.
        allow_from: who may talk to it there, whatever the policy; ``None`` leaves it to the policy.
        require_mention: whether a message there has to address the bot; ``None`` leaves it to what holds elsewhere.
        managers: people who may have the bot change it, beside those who may in every group.
    """

    enabled: bool = True
    allow_from: frozenset[str] | None = None
    require_mention: bool | None = None
    managers: frozenset[str] = frozenset()


class AccessPolicy(Struct, frozen=True, kw_only=True):
    """Who may talk to one bot; by default everybody. People are bare uids, in the case the server has them.

    The bot's owner may always talk to it.

    Attributes:
        dm: who may write to it directly.
        group: who may talk to it in groups and threads.
        allow_from: people allowed under the DM policies ``allowlist`` and ``pairing``.
        paired: people the owner has let in under the DM policy ``pairing``; this opens no group.
        group_allow_from: people allowed under the group policy ``allowlist``.
        groups: the only groups the bot answers in, with their threads; empty for all of them.
        block_from: blocked users.
        managers: people who may have the bot change groups they are in, and make new ones.
    """

    dm: DmPolicy = "open"
    group: GroupPolicy = "open"
    allow_from: frozenset[str] = frozenset()
    paired: frozenset[str] = frozenset()
    group_allow_from: frozenset[str] = frozenset()
    groups: Mapping[str, GroupAccess] = field(default_factory=dict)
    block_from: frozenset[str] = frozenset()
    managers: frozenset[str] = frozenset()

    def blocks(self, uid: str, owner_uid: str) -> bool:
        """Return whether somebody is blocked; their uid may carry a space prefix."""
        bare = split_space(uid)[1]
        return bare in self.block_from and bare != owner_uid

    def refusal(self, channel: ChannelRef, uid: str, owner_uid: str) -> str:
        """Return why somebody may not talk to the bot, empty when they may.

        Args:
            channel: the conversation.
            uid: who speaks, with or without a space prefix.
            owner_uid: whose bot it is, empty when unknown.
        """
        bare = split_space(uid)[1]
        if owner_uid and bare == owner_uid:
            return ""
        if channel.type == ChannelType.PERSON:
            return self._direct_refusal(bare)
        return self._group_refusal(channel, bare)

    def managers_of(self, group_no: str) -> frozenset[str]:
        """Return who, beside the bot's owner, may have the bot change a group they are in."""
        here = self.groups.get(group_no, self.groups.get(ANYONE))
        return self.managers | (here.managers if here is not None else frozenset())

    def requires_mention(self, group_no: str, otherwise: bool) -> bool:
        """Return whether a message in a group, or a thread of it, has to address the bot to be answered.

        Args:
            group_no: the group.
            otherwise: what holds where neither its entry nor that of all groups says so.
        """
        entries = (self.groups.get(group_no), self.groups.get(ANYONE))
        said = [entry.require_mention for entry in entries if entry is not None]
        return next((one for one in said if one is not None), otherwise)

    def _direct_refusal(self, uid: str) -> str:
        if self.dm == "disabled":
            return "direct messages are disabled"
        if self.dm == "open" or _listed(uid, self.allow_from):
            return ""
        if self.dm == "pairing":
            return "" if uid in self.paired else NOT_PAIRED
        return "not in allowFrom"

    def _group_refusal(self, channel: ChannelRef, uid: str) -> str:
        if self.group == "disabled":
            return "groups are disabled"
        thread = split_thread(channel.id) if channel.type == ChannelType.THREAD else None
        everywhere = self.groups.get(ANYONE)
        here = self.groups.get(thread.group_no if thread else channel.id, everywhere)
        if self.groups and here is None:
            return "the group is not in groups"
        if here is not None and not here.enabled:
            return "the group is switched off"
        lists = [group.allow_from for group in (here, everywhere) if group is not None]
        own = next((listed for listed in lists if listed is not None), None)
        if own is not None:
            return "" if _listed(uid, own) else "not in the group's allowFrom"
        if self.group == "open" or _listed(uid, self.group_allow_from):
            return ""
        return "not in groupAllowFrom"


def _listed(uid: str, people: frozenset[str]) -> bool:
    return ANYONE in people or uid in people


def new_code(chance: str) -> str:
    """Return a code.

    Args:
        chance: at least 20 hexadecimal digits nobody can guess.
    """
    left, code = int(chance, 16), ""
    for _ in range(CODE_LENGTH):
        left, letter = divmod(left, len(ALPHABET))
        code += ALPHABET[letter]
    return code
