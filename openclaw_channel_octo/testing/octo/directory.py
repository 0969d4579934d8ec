"""What the double tells of threads and names (octo-bot-api §2.7, §2.8)."""

from collections.abc import Mapping
from typing import Any, Final

from openclaw_channel_octo.ids import split_thread
from openclaw_channel_octo.testing.octo import refusals
from openclaw_channel_octo.testing.octo.refusals import Refusal
from openclaw_channel_octo.testing.octo.world import Account, ChatGroup, World

__all__ = ["named_targets", "own_group", "thread_row", "thread_rows"]

_DEFAULT_FOUND: Final = 20
_MOST_FOUND: Final = 50


def own_group(world: World, bot: Account, group_no: str) -> ChatGroup:
    """Return a group the bot is in. Raises `Refusal`."""
    if bot.is_app_bot:
        raise Refusal(refusals.NO_GROUPS)
    group = world.groups.get(group_no)
    if group is None or bot.uid not in group.members:
        raise Refusal(refusals.NOT_A_MEMBER)
    return group


def thread_rows(world: World, group: ChatGroup) -> list[dict[str, Any]]:
    """Return a group's active threads."""
    threads = [(channel_id, split_thread(channel_id)) for channel_id, alive in world.threads.items() if alive]
    return [
        thread_row(world, group, thread.short_id)
        for channel_id, thread in threads
        if thread and thread.group_no == group.group_no and channel_id not in world.archived
    ]


def thread_row(world: World, group: ChatGroup, short_id: str) -> dict[str, Any]:
    """Return what the server tells of a thread."""
    channel_id = f"{group.group_no}____{short_id}"
    return {
        "short_id": short_id,
        "group_no": group.group_no,
        "group_name": group.name,
        "channel_id": channel_id,
        "channel_type": 5,
        "name": world.thread_names[channel_id],
        "creator_uid": world.thread_creators.get(channel_id, group.creator),
        "status": 2 if channel_id in world.archived else 1,
    }


def named_targets(world: World, uid: str, query: Mapping[str, str]) -> dict[str, Any]:
    """Return the groups and threads of a bot whose names contain what was asked for, exact names first."""
    asked = query.get("name", "").casefold()
    wanted = query.get("limit", "")
    limit = min(int(wanted) if wanted.isdecimal() else _DEFAULT_FOUND, _MOST_FOUND)
    mine = [group for group in world.groups.values() if uid in group.members]
    found = [_group_row(group) for group in mine]
    found += [
        {"kind": "thread", "parent_name": group.name} | row
        for group in mine
        for row in thread_rows(world, group)
    ]
    found = [row for row in found if asked in str(row["name"]).casefold()]
    found.sort(key=lambda row: str(row["name"]).casefold() != asked)
    return {"candidates": found[:limit], "total": len(found), "truncated": len(found) > limit}


def _group_row(group: ChatGroup) -> dict[str, Any]:
    return {
        "kind": "group",
        "channel_id": group.group_no,
        "channel_type": 2,
        "name": group.name,
        "group_no": group.group_no,
    }
