"""Ids of the chat and how they are taken apart (protocol §5)."""

import re
from enum import IntEnum
from functools import lru_cache
from zlib import crc32

from msgspec import Struct

__all__ = [
    "ChannelRef",
    "ChannelType",
    "ThreadId",
    "group_of",
    "peer_of_compound",
    "person_channel",
    "sides_of_compound",
    "split_space",
    "split_thread",
]


class ChannelType(IntEnum):
    """Channel types a bot converses in (protocol §2.9). Others stay plain integers."""

    PERSON = 1
    GROUP = 2
    THREAD = 5


class ChannelRef(Struct, frozen=True):
    """A conversation of the chat.

    Attributes:
        id: group number, thread id (``group____short``) or the peer's bare uid.
        type: a `ChannelType`, or another integer of the protocol.
    """

    id: str
    type: int


class ThreadId(Struct, frozen=True):
    """A thread's channel id taken apart."""

    group_no: str
    short_id: str


CONVERSATIONS = 1_000
"""Conversations whose group is remembered: it is asked for several times for each message."""

_THREAD_SEPARATOR = "____"
_COMMAND_SUFFIX = "____cmd"
_HEX_SPACE = re.compile(r"s([0-9a-f]{32})_(.+)", re.DOTALL)


def split_thread(channel_id: str) -> ThreadId | None:
    """Return the parts of ``group____short``, ``None`` for anything else (protocol §5.2)."""
    if channel_id.endswith(_COMMAND_SUFFIX):
        return None
    group_no, _, short_id = channel_id.partition(_THREAD_SEPARATOR)
    if not group_no or not short_id or _THREAD_SEPARATOR in short_id:
        return None
    return ThreadId(group_no, short_id)


@lru_cache(CONVERSATIONS)
def group_of(channel: ChannelRef) -> ChannelRef:
    """Return the group a thread belongs to; any other conversation is its own (octo-bot-api §2.8)."""
    thread = split_thread(channel.id) if channel.type == ChannelType.THREAD else None
    return ChannelRef(thread.group_no, ChannelType.GROUP) if thread else channel


def split_space(uid: str, known_spaces: tuple[str, ...] = ()) -> tuple[str, str]:
    """Return ``(space id, bare uid)``; the space is empty for a bare uid (protocol §5.3).

    Args:
        uid: an id that may carry the ``s<space>_`` prefix.
        known_spaces: space ids that are not 32 hexadecimal characters.
    """
    for space in sorted(known_spaces, key=len, reverse=True):
        prefix = f"s{space}_"
        if uid.startswith(prefix) and len(uid) > len(prefix):
            return space, uid[len(prefix) :]
    match = _HEX_SPACE.fullmatch(uid)
    return (match.group(1), match.group(2)) if match else ("", uid)


def person_channel(first: str, second: str) -> str:
    """Return the server's internal id of the direct conversation of two uids (protocol §5.1).

    The uid with the larger CRC-32 comes first; on a tie the lexicographically larger one, as on the v3 line.
    """
    low, high = sorted((first, second), key=lambda uid: (crc32(uid.encode()), uid))
    return f"{high}@{low}"


def sides_of_compound(channel_id: str, own_uid: str) -> list[str]:
    """Return the bare uids in the id of a direct conversation: two for ``a@b``, else one; three say that it is none.

    Space prefixes are dropped; our own half shows which space ids to expect (octo-bot-api §5.1).
    """
    halves = channel_id.split("@", 2)
    tail = f"_{own_uid}"
    spaces = tuple(half[1 : -len(tail)] for half in halves if half.startswith("s") and half.endswith(tail))
    return [split_space(half, tuple(filter(None, spaces)))[1] for half in halves]


def peer_of_compound(channel_id: str, own_uid: str) -> str:
    """Return the other side of ``a@b`` seen from ``own_uid``; an id without ``@`` comes back bare."""
    sides = sides_of_compound(channel_id, own_uid)
    return next((side for side in sides if side not in {"", own_uid}), sides[0])
