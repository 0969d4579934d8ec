"""Targets as agents write them, and the conversation each one means (reference-behaviour §g.3, §g.4)."""

import re
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from openclaw_channel_octo.errors import TargetError
from openclaw_channel_octo.ids import ChannelRef, ChannelType, sides_of_compound, split_space, split_thread
from openclaw_channel_octo.message.mentions import addressed

__all__ = [
    "PARENT_SCOPE",
    "Destination",
    "Resolution",
    "Target",
    "calling",
    "destination",
    "is_bare",
    "parse_target",
]

PARENT_SCOPE = "parent"
"""The one scope there is: the group itself, although the turn runs in one of its threads."""

_KINDS = {
    "octo": None,
    "group": ChannelType.GROUP,
    "channel": ChannelType.GROUP,
    "user": ChannelType.PERSON,
}
_PREFIX = re.compile(rf"(?ai:({'|'.join(_KINDS)})):")
_PREFIXES = re.compile(rf"\s*(?:{_PREFIX.pattern}\s*)*")
_ID = re.compile(r"[\w.-]{1,200}")
_LONGEST_UID = 1_000
"""Characters of a uid with all the prefixes it may carry."""
_SHOWN = 80
_FORMS = "a target is group:<id>, group:<id>____<thread>, group:<id>@<uid>,<uid>, user:<uid>, or a bare id"
_PAIR = 2


class Target(Struct, frozen=True):
    """A conversation somebody named, and whom to call there.

    Attributes:
        channel: the conversation; a direct one by the peer's bare uid.
        mentions: uids of people to be mentioned, without repetition; empty for a direct conversation.
    """

    channel: ChannelRef
    mentions: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the target in the form that `parse_target` takes without knowing any group."""
        if self.channel.type == ChannelType.PERSON:
            return f"user:{self.channel.id}"
        suffix = f"@{','.join(self.mentions)}" if self.mentions else ""
        return f"group:{self.channel.id}{suffix}"

    @property
    def group_no(self) -> str:
        """The group the conversation belongs to, empty for a direct one."""
        if self.channel.type == ChannelType.PERSON:
            return ""
        thread = split_thread(self.channel.id)
        return thread.group_no if thread else self.channel.id


class Resolution(StrEnum):
    """Why a message goes where it goes (reference-behaviour §g.4)."""

    THREAD_CONTEXT_REWRITE = "thread-context-rewrite"
    """The group was named from inside one of its threads: the message stays in the thread."""
    EXPLICIT_PARENT_SCOPE = "explicit-parent-scope"
    """The group itself, on demand."""
    EXPLICIT_TARGET = "explicit-target"
    """A thread that was named."""
    PASSTHROUGH = "passthrough"
    """A group or a person, as named."""


class Destination(Struct, frozen=True):
    """Where a message goes, and why."""

    target: Target
    reason: Resolution

    @property
    def rewritten(self) -> bool:
        """Whether it goes somewhere else than was written."""
        return self.reason is Resolution.THREAD_CONTEXT_REWRITE


def parse_target(text: str, *, groups: Collection[str] = (), own_uid: str = "") -> Target:
    """Return the conversation a target names.

    Prefixes may be stacked (``group:octo:<id>``) and written in any case. A bare id is a thread if it contains
    ``____``, a group if it is in ``groups``, else a person. Compound ids of direct conversations (``a@b``) and
    space prefixes are reduced to the peer's uid.

    Args:
        text: what was written.
        groups: group numbers known to the bot; only a bare id needs them, see `is_bare`.
        own_uid: the bot.

    Raises:
        TargetError: it is empty, contradicts itself, or names nothing that can be written to.
    """
    rest, kinds = _peeled(text)
    if not rest:
        raise TargetError(f"the target is empty: {_FORMS}")
    if len(kinds) > 1:
        raise TargetError(f"the target {_shown(text)} says both group and person: {_FORMS}")
    kind = kinds.pop() if kinds else _kind_of_bare(rest, groups)
    if kind is ChannelType.PERSON:
        return Target(ChannelRef(_peer(rest, own_uid), ChannelType.PERSON))
    return _group_target(rest)


def is_bare(text: str) -> bool:
    """Return whether only the groups a bot is in can tell what a target means."""
    rest, kinds = _peeled(text)
    return rest != "" and not kinds and "____" not in rest


def destination(
    target: Target, *, here: ChannelRef | None = None, thread_id: str | int | None = None, scope: str = ""
) -> Destination:
    """Return where a message to ``target`` goes.

    From inside a thread a message to its group stays in the thread, unless ``scope`` is `PARENT_SCOPE`: naming the
    group there is nearly always meant as "here", and what is said in a thread is not for its group. Direct
    conversations are never changed.

    Args:
        target: what was named.
        here: the conversation of the turn, ``None`` outside of turns.
        thread_id: a thread to join, short (``<thread>``) or whole; counts only with a bare group it belongs to.
        scope: `PARENT_SCOPE`, or anything else for none.

    Raises:
        TargetError: ``thread_id`` cannot be one.
    """
    if scope == PARENT_SCOPE and target.channel.type != ChannelType.PERSON:
        parent = ChannelRef(target.group_no, ChannelType.GROUP)
        return Destination(replace(target, channel=parent), Resolution.EXPLICIT_PARENT_SCOPE)
    target = _joined(target, thread_id)
    if target.channel.type == ChannelType.GROUP and here is not None and here.type == ChannelType.THREAD:
        thread = split_thread(here.id)
        if thread is not None and thread.group_no == target.channel.id:
            return Destination(replace(target, channel=here), Resolution.THREAD_CONTEXT_REWRITE)
    named_thread = target.channel.type == ChannelType.THREAD
    return Destination(target, Resolution.EXPLICIT_TARGET if named_thread else Resolution.PASSTHROUGH)


def calling(text: str, uids: Sequence[str], people: Mapping[str, str]) -> str:
    """Return a text that calls people at its beginning, those left out that it calls anyway; see `addressed`.

    Args:
        text: what is to be sent.
        uids: whom to call.
        people: display names of those who can be called there, by uid.

    Raises:
        TargetError: somebody is not among them.
    """
    if strangers := [uid for uid in uids if uid not in people]:
        raise TargetError(
            f"nobody of that conversation can be called as {', '.join(strangers)}; nothing was sent"
        )
    there = addressed(text, people).mention.get("uids", ())
    return " ".join([*(f"@[{uid}:{uid}]" for uid in uids if uid not in there), text])


def _peeled(text: str) -> tuple[str, set[ChannelType]]:
    """Return what stands behind all prefixes, and the kinds they name."""
    found = _PREFIXES.match(text)
    end = found.end() if found else 0
    named = {_KINDS[prefix.lower()] for prefix in _PREFIX.findall(text, 0, end)}
    return text[end:].rstrip(), {kind for kind in named if kind is not None}


def _kind_of_bare(rest: str, groups: Collection[str]) -> ChannelType:
    place = rest.partition("@")[0]
    return ChannelType.GROUP if "____" in place or place in groups else ChannelType.PERSON


def _peer(rest: str, own_uid: str) -> str:
    sides = sides_of_compound(rest, own_uid)
    if len(sides) > 1 and (len(sides) != _PAIR or not own_uid or own_uid not in sides):
        raise TargetError(
            f"{_shown(rest)} is no direct conversation of this bot; to mention people write group:<id>@<uid>"
        )
    uid = next((side for side in sides if side != own_uid), own_uid)
    while len(uid) <= _LONGEST_UID and (bare := split_space(uid)[1]) != uid:
        uid = bare
    if uid == own_uid:
        raise TargetError("the target is the bot itself")
    return _checked(uid)


def _group_target(rest: str) -> Target:
    place, _, called = rest.partition("@")
    place = _checked(place.strip())
    thread = split_thread(place)
    if "____" in place and thread is None:
        raise TargetError(f"{_shown(place)} is no thread: its id is <group>____<thread>")
    uids = (split_space(uid.strip())[1] for uid in called.split(","))
    mentions = tuple(dict.fromkeys(_checked(uid) for uid in uids if uid))
    return Target(ChannelRef(place, ChannelType.THREAD if thread else ChannelType.GROUP), mentions)


def _joined(target: Target, thread_id: str | int | None) -> Target:
    short = "" if thread_id is None else str(thread_id).strip()
    if not short or target.channel.type != ChannelType.GROUP:
        return target
    if "____" in short:
        thread = split_thread(short)
        if thread is None or thread.group_no != target.channel.id:
            return target
        short = thread.short_id
    return replace(
        target, channel=ChannelRef(f"{target.channel.id}____{_checked(short)}", ChannelType.THREAD)
    )


def _checked(name: str) -> str:
    if not _ID.fullmatch(name):
        raise TargetError(f"{_shown(name)} is no id of a group, thread or person: {_FORMS}")
    return name


def _shown(text: str) -> str:
    return ascii(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
