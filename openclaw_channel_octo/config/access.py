"""Who may talk to a bot, as it is configured (openclaw-host §3.4)."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from openclaw_channel_octo.config.base import FrozenModel
from openclaw_channel_octo.config.streaming import StreamingMode
from openclaw_channel_octo.ids import split_space
from openclaw_channel_octo.policy.access import ANYONE, AccessPolicy, DmPolicy, GroupAccess, GroupPolicy

__all__ = ["AccessSettings", "CommandSettings", "GroupSettings", "contradictions", "nobody_left"]

_LONGEST_ID = 200


def _entry(text: str) -> str:
    if not text or text.split() != [text]:
        raise ValueError("must be an id without spaces")
    if ":" in text:
        raise ValueError('must be a bare id, without a prefix such as "octo:" or "accessGroup:"')
    return text


def _text(entry: object) -> object:
    """Return a number as the text that people meant; files of OpenClaw hold ids in either form."""
    return str(entry) if isinstance(entry, int) and not isinstance(entry, bool) else entry


def _bare_uid(text: str) -> str:
    return split_space(_entry(text))[1]


def _person(text: str) -> str:
    if text == ANYONE:
        raise ValueError(
            'must name people: to shut everybody out, set dmPolicy and groupPolicy to "disabled"'
        )
    return _bare_uid(text)


def _manager(text: str) -> str:
    if text == ANYONE:
        raise ValueError("must name people: whoever is listed can have the bot remove members")
    return _bare_uid(text)


_TextOrNumber = BeforeValidator(_text, json_schema_input_type=str | int)
Uid = Annotated[str, Field(max_length=_LONGEST_ID), _TextOrNumber, AfterValidator(_bare_uid)]
Person = Annotated[str, Field(max_length=_LONGEST_ID), _TextOrNumber, AfterValidator(_person)]
GroupNo = Annotated[str, Field(max_length=_LONGEST_ID), AfterValidator(_entry)]
Uids = Annotated[tuple[Uid, ...], Field(strict=False)]
People = Annotated[tuple[Person, ...], Field(strict=False)]
Manager = Annotated[str, Field(max_length=_LONGEST_ID), _TextOrNumber, AfterValidator(_manager)]
Managers = Annotated[tuple[Manager, ...], Field(strict=False)]


class GroupSettings(FrozenModel):
    """What differs in one group.

    Attributes:
        enabled: whether the bot answers there at all.
        allow_from: who may talk to it there, whatever the policy; ``None`` leaves it to the policy.
        require_mention: whether a message there has to address the bot; ``None`` leaves it to the entry ``*``, and then
            to the account's own ``requireMention``.
        managers: people who may have the bot change this group, beside those of the account.
        streaming: what is shown of long turns there, however large the group is; ``None`` leaves it to the entry
            ``*``, and then to the account's own ``streaming``.
        approvers: people who may decide there what agents ask leave for, beside those of ``commands.approvers``.
    """

    enabled: bool = True
    allow_from: Uids | None = None
    require_mention: bool | None = None
    managers: Managers = ()
    streaming: StreamingMode | None = None
    approvers: People = ()


class CommandSettings(FrozenModel):
    """Who may command a bot beside its owner.

    Attributes:
        allow_from: people who may stop and reset where others take part; ``*`` is everybody.
        approvers: people who may decide what agents ask leave for, each by name.
    """

    allow_from: Uids = ()
    approvers: People = ()


class AccessSettings(FrozenModel):
    """Who may talk to a bot; by default everybody. The bot's owner always may.

    Lists hold uids as the server has them, with or without a space prefix; ``*`` stands for everybody.

    Attributes:
        dm_policy: who may write to it directly.
        allow_from: people allowed by the DM policies ``allowlist`` and ``pairing``.
        group_policy: who may talk to it in groups and threads.
        group_allow_from: people allowed by the group policy ``allowlist``; ``None`` for those of ``allow_from``.
        groups: the only groups it answers in, by group number; ``*`` stands for all others.
        block_from: blocked users: the bot ignores them, without a word.
        commands: see `CommandSettings`.
        managers: people who may have the bot change groups they are in, and make new ones; its owner always may.
    """

    dm_policy: DmPolicy = "open"
    allow_from: Uids = ()
    group_policy: GroupPolicy = "open"
    group_allow_from: Uids | None = None
    groups: Mapping[GroupNo, GroupSettings] = Field(default_factory=dict)
    block_from: People = ()
    commands: CommandSettings = Field(default_factory=CommandSettings)
    managers: Managers = ()

    @property
    def access(self) -> AccessPolicy:
        """What the gate goes by."""
        listed = self.allow_from if self.group_allow_from is None else self.group_allow_from
        return AccessPolicy(
            dm=self.dm_policy,
            group=self.group_policy,
            allow_from=frozenset(self.allow_from),
            group_allow_from=frozenset(listed),
            groups={
                group_no: GroupAccess(
                    enabled=group.enabled,
                    allow_from=None if group.allow_from is None else frozenset(group.allow_from),
                    require_mention=group.require_mention,
                    managers=frozenset(group.managers),
                )
                for group_no, group in self.groups.items()
            },
            block_from=frozenset(self.block_from),
            managers=frozenset(self.managers),
        )


def contradictions(settings: AccessSettings) -> Iterator[tuple[str, str]]:
    """Yield key and mistake where a list looks as if it shut people out and does not."""
    used_in_groups = settings.group_policy == "allowlist" and settings.group_allow_from is None
    if settings.dm_policy == "open" and _narrow(settings.allow_from) and not used_in_groups:
        yield (
            "allowFrom",
            'has no effect while dmPolicy is "open": set that to "allowlist", or add "*" here',
        )
    if settings.group_policy == "open" and _narrow(settings.group_allow_from or ()):
        yield (
            "groupAllowFrom",
            'has no effect while groupPolicy is "open": set that to "allowlist", or add "*" here',
        )


def nobody_left(settings: AccessSettings) -> Iterator[tuple[str, str]]:
    """Yield key and remark where nobody, or fewer than it looks like, are left, or a person is allowed and blocked."""
    access = settings.access
    if access.dm == "allowlist" and not access.allow_from:
        yield "allowFrom", 'is empty while dmPolicy is "allowlist": only the bot\'s owner may write to it'
    own_lists = any(group.allow_from for group in access.groups.values())
    if access.group == "allowlist" and not access.group_allow_from and not own_lists:
        yield (
            "groupAllowFrom",
            (
                'is empty while groupPolicy is "allowlist": only the bot\'s owner may talk to it in groups '
                '(to let in everybody of the groups in "groups", set groupPolicy to "open")'
            ),
        )
    if access.group == "open" and access.groups and ANYONE not in access.groups:
        yield (
            "groups",
            'are the only ones it answers in, although groupPolicy is "open": add "*": {} for all others',
        )
    for uid in sorted(access.block_from & (access.allow_from | access.group_allow_from | access.managers)):
        yield "blockFrom", f'blocks "{uid}", who is allowed elsewhere: blocked wins'


def _narrow(people: tuple[str, ...]) -> bool:
    return bool(people) and ANYONE not in people
