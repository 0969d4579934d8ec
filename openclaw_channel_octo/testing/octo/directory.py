"""What the double tells of threads and names (octo-bot-api §2.7, §2.8)."""

from collections.abc import Mapping
from typing import Any, Final

from openclaw_channel_octo.ids import split_thread
from openclaw_channel_octo.testing.octo.world import ChatGroup, World

__all__ = ["named_targets", "thread_rows"]

_DEFAULT_FOUND: Final = 20
_MOST_FOUND: Final = 50


def thread_rows(world: World, group: ChatGroup) -> list[dict[str, Any]]:
    """Return a group's threads that are not deleted."""
    threads = [(channel_id, split_thread(channel_id)) for channel_id, alive in world.threads.items() if alive]
    return [
        {
            "short_id": thread.short_id,
            "group_no": group.group_no,
            "group_name": group.name,
            "channel_id": channel_id,
            "channel_type": 5,
            "name": world.thread_names[channel_id],
            "creator_uid": group.creator,
            "status": 1,
        }
        for channel_id, thread in threads
        if thread and thread.group_no == group.group_no
    ]


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
