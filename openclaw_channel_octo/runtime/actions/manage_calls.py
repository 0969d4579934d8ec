"""Calls of agents that change groups and threads, with parameters that a program or a model writes."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from openclaw_channel_octo.message.history import document_block
from openclaw_channel_octo.message.marks import unmarked
from openclaw_channel_octo.rest.management import MAX_MEMBERS
from openclaw_channel_octo.runtime.actions.actions import AgentActions
from openclaw_channel_octo.runtime.actions.call import AgentCall, Effect, Name, Text

__all__ = ["MANAGEMENT_CALLS"]

_Group = Annotated[Name, Field(description="Id of the group, never of a thread.")]
_Thread = Annotated[Name, Field(description="group:ID____THREAD")]
_Document = Annotated[Name, Field(description="The group, or the thread.")]
_Uid = Annotated[Name, Field(max_length=200)]
_Uids = Annotated[list[_Uid], Field(min_length=1, max_length=MAX_MEMBERS, description="Uids; look them up.")]

_DONE = {"done": True}


class _Notes(AgentCall):
    """Read GROUP.md of a group, or THREAD.md of a thread, and its version."""

    effect = Effect.READS

    target: _Document

    async def answer(self, outbound: AgentActions) -> Any:
        """See `GroupManagement.notes`."""
        found = await outbound.manage.notes(self.target)
        block = document_block(found.content, found.version, outbound.mark)
        return {"version": found.version, "block": block, "content": found.content}

    @staticmethod
    def brief(answer: Any) -> Any:
        """Leave out the words: the block has them, marked as data."""
        return {name: value for name, value in answer.items() if name != "content"}


class _WriteNotes(AgentCall):
    """Replace GROUP.md or THREAD.md, what every bot there reads with each message. Read it first."""

    effect = Effect.REPLACES

    target: _Document
    text: Annotated[Text, Field(description="The whole new text, Markdown, 10 kB at most.")]
    version: Annotated[int, Field(ge=0, description="The version that you have read.")]

    async def answer(self, outbound: AgentActions) -> Any:
        """See `GroupManagement.write_notes`."""
        text = unmarked(self.text, outbound.mark)
        written = await outbound.manage.write_notes(self.target, text, self.version)
        return {"version": written.version, "overwritten": written.overwritten}


class _CreateGroup(AgentCall):
    """Make a group of people with you in it. The person who asks becomes its owner."""

    effect = Effect.ADDS

    name: Name
    members: Annotated[
        list[_Uid],
        Field(
            default_factory=list, max_length=MAX_MEMBERS, description="Uids of further people; look them up."
        ),
    ]

    async def answer(self, outbound: AgentActions) -> Any:
        """See `GroupManagement.create_group`."""
        made = await outbound.manage.create_group(unmarked(self.name, outbound.mark), self.members)
        return {"group": made.group_no, "left_out": list(made.skipped_members)}


class _RenameGroup(AgentCall):
    """Rename a group. Threads cannot be renamed."""

    effect = Effect.REPLACES

    group: _Group
    name: Name

    async def answer(self, outbound: AgentActions) -> Any:
        """See `GroupManagement.rename_group`."""
        await outbound.manage.rename_group(self.group, unmarked(self.name, outbound.mark))
        return _DONE


class _AddMembers(AgentCall):
    """Add people to a group."""

    effect = Effect.ADDS

    group: _Group
    uids: _Uids

    async def answer(self, outbound: AgentActions) -> Any:
        """See `GroupManagement.add_members`."""
        done = await outbound.manage.add_members(self.group, self.uids)
        return {"added": list(done.added), "left_out": list(done.left_out)}


class _RemoveMembers(AgentCall):
    """Remove people from a group; they lose access at once."""

    effect = Effect.CHANGES

    group: _Group
    uids: _Uids

    async def answer(self, outbound: AgentActions) -> Any:
        """See `GroupManagement.remove_members`."""
        await outbound.manage.remove_members(self.group, self.uids)
        return _DONE


class _CreateThread(AgentCall):
    """Open a thread in a group."""

    effect = Effect.ADDS

    group: _Group
    name: Name

    async def answer(self, outbound: AgentActions) -> Any:
        """See `GroupManagement.create_thread`."""
        made = await outbound.manage.create_thread(self.group, unmarked(self.name, outbound.mark))
        return {"thread": made.channel_id, "name": made.name}


class _OfThread(AgentCall):
    thread: _Thread


class _ArchiveThread(_OfThread):
    """Archive a thread; the next message in it brings it back."""

    effect = Effect.REPLACES

    async def answer(self, outbound: AgentActions) -> Any:
        """See `GroupManagement.archive_thread`."""
        await outbound.manage.archive_thread(self.thread)
        return _DONE


class _JoinThread(_OfThread):
    """Become a member of a thread."""

    effect = Effect.ADDS

    async def answer(self, outbound: AgentActions) -> Any:
        """See `GroupManagement.join_thread`."""
        await outbound.manage.join_thread(self.thread)
        return _DONE


class _LeaveThread(_OfThread):
    """Leave a thread."""

    effect = Effect.REPLACES

    async def answer(self, outbound: AgentActions) -> Any:
        """See `GroupManagement.leave_thread`."""
        await outbound.manage.leave_thread(self.thread)
        return _DONE


MANAGEMENT_CALLS: Mapping[str, type[AgentCall]] = {
    "notes": _Notes,
    "write_notes": _WriteNotes,
    "create_group": _CreateGroup,
    "rename_group": _RenameGroup,
    "add_members": _AddMembers,
    "remove_members": _RemoveMembers,
    "create_thread": _CreateThread,
    "archive_thread": _ArchiveThread,
    "join_thread": _JoinThread,
    "leave_thread": _LeaveThread,
}
"""The calls by name; a part of `calls.AGENT_CALLS`."""
