"""Calls of the bot API that change groups and threads (octo-bot-api §2.7, §2.8), and their answers."""

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import quote

from pydantic import BeforeValidator, TypeAdapter

from openclaw_channel_octo.errors import BadRequest, PayloadTooLarge
from openclaw_channel_octo.ids import ChannelRef, ChannelType, split_thread
from openclaw_channel_octo.rest.attempts import Caller
from openclaw_channel_octo.rest.calls import Call
from openclaw_channel_octo.rest.fields import Id, Model, Number, listed
from openclaw_channel_octo.rest.models import ACKNOWLEDGED, ThreadInfo

__all__ = [
    "MAX_MEMBERS",
    "MAX_NOTES_BYTES",
    "MAX_THREAD_NAME",
    "CreatedGroup",
    "ManagementCalls",
    "notes_path",
    "segment",
]

MAX_MEMBERS = 200
"""Most people of one call (octo-bot-api §2.7)."""

MAX_NOTES_BYTES = 10_240
"""Largest GROUP.md or THREAD.md in UTF-8, unless the deployment says otherwise (octo-bot-api §2.7)."""

MAX_THREAD_NAME = 100
"""Characters of a thread's name (octo-bot-api §2.8)."""

_Uids = Annotated[tuple[Id, ...], BeforeValidator(listed)]


class CreatedGroup(Model):
    """A group that was made (octo-bot-api §2.7).

    Attributes:
        group_no: its number.
        skipped_members: uids that were not put into it, such as people outside the bot's space.
    """

    group_no: Id
    skipped_members: _Uids = ()


class _Written(Model):
    version: Number = 0


class _Added(Model):
    skipped_bots: _Uids = ()


_ADDED: TypeAdapter[_Added] = TypeAdapter(_Added)
_CREATED_GROUP: TypeAdapter[CreatedGroup] = TypeAdapter(CreatedGroup)
_CREATED_THREAD: TypeAdapter[ThreadInfo] = TypeAdapter(ThreadInfo)
_WRITTEN: TypeAdapter[_Written] = TypeAdapter(_Written)


class ManagementCalls(Caller):
    """The part of `BotApi` that changes groups and threads.

    None of these calls is repeated after it may have arrived; that is an `AmbiguousOutcome` then. For the bot's rights
    see octo-bot-api §9: renaming, removing and writing notes need the bot to be an admin of the group, else they raise
    `PermissionDenied`.
    """

    async def write_notes(self, channel: ChannelRef, content: str) -> int:
        """Put another text in the place of GROUP.md or THREAD.md; the last writer wins (octo-bot-api §2.7, §2.8).

        Args:
            channel: the group or thread.
            content: the whole text; of a thread it cannot be blank.

        Returns:
            The version it has become.

        Raises:
            PayloadTooLarge: more than `MAX_NOTES_BYTES`; nothing was sent.
        """
        size = len(content.encode("utf-8", "replace"))
        if size > MAX_NOTES_BYTES:
            detail = f"the text has {size} bytes, the limit is {MAX_NOTES_BYTES}; nothing was changed"
            raise PayloadTooLarge(Call.WRITE_NOTES, detail)
        path = notes_path(Call.WRITE_NOTES, channel)
        written = await self._call(Call.WRITE_NOTES, path, _WRITTEN, body={"content": content}, method="PUT")
        return written.version

    async def create_group(self, name: str, members: Sequence[str], creator: str) -> CreatedGroup:
        """Make a group in the bot's space with the bot as a member (octo-bot-api §2.7).

        Args:
            name: display name.
            members: uids of people, 1 to `MAX_MEMBERS`; the server leaves bots out.
            creator: uid of the person who becomes its owner, empty for the first of ``members``.
        """
        body = {"name": name, "members": _few(Call.CREATE_GROUP, members)} | (
            {"creator": creator} if creator else {}
        )
        return await self._call(Call.CREATE_GROUP, "/v1/bot/createGroup", _CREATED_GROUP, body=body)

    async def rename_group(self, group_no: str, name: str) -> None:
        """Give a group another name (octo-bot-api §2.7)."""
        path = f"/v1/bot/groups/{segment(Call.RENAME_GROUP, group_no)}/info"
        await self._call(Call.RENAME_GROUP, path, ACKNOWLEDGED, body={"name": name}, method="PUT")

    async def add_members(self, group_no: str, uids: Sequence[str]) -> Sequence[str]:
        """Put people into a group; the server leaves out bots, and who is outside the space (octo-bot-api §2.7).

        Returns:
            Uids of the bots that were left out.
        """
        path = f"/v1/bot/groups/{segment(Call.ADD_MEMBERS, group_no)}/members/add"
        body = {"members": _few(Call.ADD_MEMBERS, uids)}
        return (await self._call(Call.ADD_MEMBERS, path, _ADDED, body=body)).skipped_bots

    async def remove_members(self, group_no: str, uids: Sequence[str]) -> None:
        """Put people out of a group, and with them the bots they brought (octo-bot-api §2.7)."""
        path = f"/v1/bot/groups/{segment(Call.REMOVE_MEMBERS, group_no)}/members/remove"
        body = {"members": _few(Call.REMOVE_MEMBERS, uids)}
        await self._call(Call.REMOVE_MEMBERS, path, ACKNOWLEDGED, body=body)

    async def create_thread(self, group_no: str, name: str) -> ThreadInfo:
        """Open a thread in a group (octo-bot-api §2.8)."""
        path = f"/v1/bot/groups/{segment(Call.CREATE_THREAD, group_no)}/threads"
        return await self._call(Call.CREATE_THREAD, path, _CREATED_THREAD, body={"name": name})

    async def archive_thread(self, thread: ChannelRef) -> None:
        """Archive a thread; any later message opens it again (octo-bot-api §2.8).

        Raises:
            NotFound: the server is too old to archive threads for bots.
        """
        await self._thread(Call.ARCHIVE_THREAD, thread, "archive")

    async def join_thread(self, thread: ChannelRef) -> None:
        """Put the bot on a thread's list of members (octo-bot-api §2.8)."""
        await self._thread(Call.JOIN_THREAD, thread, "join")

    async def leave_thread(self, thread: ChannelRef) -> None:
        """Take the bot from a thread's list of members; who opened the thread cannot leave (octo-bot-api §2.8)."""
        await self._thread(Call.LEAVE_THREAD, thread, "leave")

    async def _thread(self, call: Call, thread: ChannelRef, verb: str) -> None:
        await self._call(call, f"{_thread_path(call, thread)}/{verb}", ACKNOWLEDGED, body={})


def segment(call: Call, value: str) -> str:
    """Return an id as one segment of a path; raise `BadRequest` for an empty one."""
    if not value.strip(" ."):  # dots alone would climb to another route
        raise BadRequest(call, "the group number is empty")
    return quote(value, safe="")


def notes_path(call: Call, channel: ChannelRef) -> str:
    """Return the path of GROUP.md or THREAD.md. Raises `BadRequest`."""
    if channel.type == ChannelType.THREAD:
        return f"{_thread_path(call, channel)}/md"
    return f"/v1/bot/groups/{segment(call, channel.id)}/md"


def _thread_path(call: Call, channel: ChannelRef) -> str:
    thread = split_thread(channel.id)
    if thread is None:
        raise BadRequest(call, "this is no thread")
    return f"/v1/bot/groups/{segment(call, thread.group_no)}/threads/{segment(call, thread.short_id)}"


def _few(call: Call, uids: Sequence[str]) -> list[str]:
    if not 1 <= len(uids) <= MAX_MEMBERS:
        raise BadRequest(call, f"{len(uids)} people, 1 to {MAX_MEMBERS} are possible")
    return list(uids)
