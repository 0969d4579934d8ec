"""What hosts and agents can have a bot change in groups and threads (docs/decisions/0054)."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial

from msgspec import Struct

from openclaw_channel_octo.config.texts import Texts
from openclaw_channel_octo.errors import (
    ApiError,
    BadRequest,
    NotFound,
    TargetError,
)
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.message.text import is_visible, single_line
from openclaw_channel_octo.policy.authority import Requester
from openclaw_channel_octo.rest.calls import Call
from openclaw_channel_octo.rest.management import MAX_THREAD_NAME, CreatedGroup
from openclaw_channel_octo.rest.models import GroupNotes, ThreadInfo
from openclaw_channel_octo.runtime.actions.audit import Record
from openclaw_channel_octo.runtime.actions.changes import Changes, shown
from openclaw_channel_octo.runtime.actions.reach import Reach
from openclaw_channel_octo.runtime.actions.refusals import explained
from openclaw_channel_octo.runtime.actions.rights import ChangeRights
from openclaw_channel_octo.runtime.actions.types import ActionContext
from openclaw_channel_octo.runtime.turn.runs import OpenRun

__all__ = ["AddedMembers", "GroupManagement", "WrittenNotes"]

MAX_GROUP_NAME = 100
"""Characters of a group's name."""

_GROUP, _THREAD = ChannelType.GROUP, ChannelType.THREAD


class WrittenNotes(Struct, frozen=True, kw_only=True):
    """Notes that were written.

    Attributes:
        version: what they are now.
        overwritten: versions of others that were written in the same moment, and are gone.
    """

    version: int
    overwritten: int = 0


class AddedMembers(Struct, frozen=True, kw_only=True):
    """What became of people who were to be put into a group.

    Attributes:
        added: uids of those who are in it now and were not before.
        left_out: uids of those who are not: bots, people outside the space, and ids nobody has.
    """

    added: tuple[str, ...]
    left_out: tuple[str, ...]


class GroupManagement:
    """Changes groups and threads for one requester; `AgentActions.manage`.

    The bot's owner and operators may change every group the bot is in, people listed as ``managers`` the group they ask
    in; nobody else, and no other bot. What members notice is followed by a line in the conversation that says who
    asked. Nothing is repeated by itself: a change whose outcome is unknown raises `AmbiguousOutcome`.

    All methods raise what those of `AgentActions` do; `PermissionDenied` says what the bot itself may not.

    Args:
        bot: the bot.
        requester: for whom.
        run: the run whose agent asks, ``None`` for an operator.
        reach: finds conversations for the requester.
        recorded: records a request before anything is done for it.
    """

    def __init__(
        self,
        bot: ActionContext,
        requester: Requester,
        run: OpenRun | None,
        reach: Reach,
        recorded: Callable[[str], AbstractAsyncContextManager[Record]],
    ) -> None:
        self._bot, self._requester = bot, requester
        self._reach, self._recorded = reach, recorded
        self._rights = ChangeRights(bot=bot, requester=requester, reach=reach)
        self._changes = Changes(bot=bot, requester=requester, run=run)
        self._api = bot.context.api

    @property
    def may_change(self) -> bool:
        """Whether the requester may have anything changed at all; an agent that may not needs no tools for it."""
        return not self._rights.refusal("", self._requester.group_no)

    async def notes(self, target: str) -> GroupNotes:
        """Return GROUP.md of a group or THREAD.md of a thread as it is now; words of members: untrusted.

        Args:
            target: the group or thread.
        """
        async with self._recorded("notes") as record:
            named = await self._reach.reach_group(target, record)
            found = await self._api.notes(named.channel)
            record.detail = f"version {found.version}"
            return found

    async def write_notes(self, target: str, text: str, version: int) -> WrittenNotes:
        """Put another text in the place of GROUP.md or THREAD.md.

        Servers take whatever comes last. So the version is compared before; a change in the moment between is told.

        Args:
            target: the group or thread.
            text: the whole new text; empty for none, which a thread's cannot be.
            version: the one it replaces, from `notes`; 0 where there was none.

        Raises:
            BadRequest: somebody has changed it since.
        """
        async with self._recorded("write-notes") as record, self._bot.checking:
            named, _ = await self._rights.changeable(target, record, _GROUP, _THREAD)
            found = await self._api.notes(named.channel)
            if found.version != version:
                raise BadRequest(
                    Call.WRITE_NOTES,
                    f"it is at version {found.version}, not {version}: somebody has changed it since; "
                    "read it again; nothing was changed",
                )
            is_thread = named.channel.type == _THREAD
            if is_thread and not text.strip():
                raise BadRequest(Call.WRITE_NOTES, "THREAD.md cannot be empty; nothing was changed")
            if text == found.content:
                return WrittenNotes(version=version)
            name = "THREAD.md" if is_thread else "GROUP.md"
            writing = partial(self._api.write_notes, named.channel, text)
            try:
                written = await self._changes.make(
                    record, writing, named.channel, self._texts.notes_changed, name
                )
            finally:
                self._bot.directory.notes.changed(named.channel)
            record.detail = f"version {written}{record.detail}"
            return WrittenNotes(version=written, overwritten=max(0, written - version - 1))

    async def create_group(self, name: str, members: Sequence[str] = ()) -> CreatedGroup:
        """Make a group with the bot in it; the person who asks becomes its owner, for an operator the bot's owner.

        Args:
            name: of no other group the requester shares with the bot, so that a repetition makes no second one.
            members: uids of people; for a manager only of those who are in a group with them and the bot.
        """
        async with self._recorded("create-group") as record, self._bot.checking:
            self._reach.require_open()
            self._rights.require("")
            name = _named(name, MAX_GROUP_NAME, Call.CREATE_GROUP)
            creator = self._requester.uid or self._bot.context.identity.owner_uid
            uids = _distinct([creator, *members])
            self._bot.directory.groups.doubt()
            there = await self._rights.known_groups()
            if twin := next((group for group in there if group.name.casefold() == name.casefold()), None):
                raise BadRequest(
                    Call.CREATE_GROUP,
                    f"there is a group of this name already, group:{twin.group_no}: use that, or choose another name; "
                    "nothing was created",
                )
            await self._rights.require_known(uids)
            try:
                made = await self._changes.make(
                    record,
                    partial(self._api.create_group, name, uids, creator),
                    lambda made: ChannelRef(made.group_no, _GROUP),
                    self._texts.group_created,
                )
            finally:
                self._bot.directory.groups.doubt()
            record.target = f"group:{made.group_no}"
            record.detail = f"{len(uids)} people{record.detail}"
            return made

    async def rename_group(self, group: str, name: str) -> None:
        """Give a group another name.

        Args:
            group: the group.
            name: at most 100 characters on one line.
        """
        async with self._recorded("rename-group") as record:
            named, _ = await self._rights.changeable(group, record, _GROUP)
            name = _named(name, MAX_GROUP_NAME, Call.RENAME_GROUP)
            renaming = partial(self._api.rename_group, named.group_no, name)
            await self._changes.make(record, renaming, named.channel, self._texts.group_renamed)
            record.detail = f"renamed{record.detail}"
            self._bot.directory.groups.doubt()

    async def add_members(self, group: str, uids: Sequence[str]) -> AddedMembers:
        """Put people into a group; nobody asks them first.

        Args:
            group: the group.
            uids: of people; for a manager only of those who are in a group with them and the bot.
        """
        async with self._recorded("add-members") as record:
            named, members = await self._rights.changeable(group, record, _GROUP)
            before = {one.uid for one in members}
            wanted = [uid for uid in _distinct(uids) if uid not in before]
            if not wanted:
                raise BadRequest(
                    Call.ADD_MEMBERS, "all of them are in the group already; nothing was changed"
                )
            await self._rights.require_known(wanted)
            names = await self._changes.names(wanted)
            adding = partial(self._api.add_members, named.group_no, wanted)
            bots = await self._changes.make(record, adding, named.channel, self._texts.members_added, names)
            self._bot.directory.roster.changed(named.channel)
            there = await self._now_in(named.group_no) or {*wanted}.difference(bots)
            added = tuple(uid for uid in wanted if uid in there)
            record.detail = f"{len(added)} added{record.detail}"
            return AddedMembers(added=added, left_out=tuple(uid for uid in wanted if uid not in there))

    async def remove_members(self, group: str, uids: Sequence[str]) -> None:
        """Put members out of a group, and with a person the bots they brought. They lose access at once.

        The group's owner and managers, the bot's owner and the bot itself stay.

        Args:
            group: the group.
            uids: each of a member.
        """
        async with self._recorded("remove-members") as record:
            named, members = await self._rights.changeable(group, record, _GROUP)
            wanted = _distinct(uids)
            self._rights.require_removable(wanted, members)
            names = await self._changes.names(wanted)
            removing = partial(self._api.remove_members, named.group_no, wanted)
            await self._changes.make(record, removing, named.channel, self._texts.members_removed, names)
            self._bot.directory.roster.changed(named.channel)
            record.detail = f"{len(wanted)} removed{record.detail}"

    async def create_thread(self, group: str, name: str) -> ThreadInfo:
        """Open a thread in a group.

        Args:
            group: the group.
            name: of no other active thread there, so that a repetition opens no second one; at most 100 characters.
        """
        async with self._recorded("create-thread") as record, self._bot.checking:
            named, _ = await self._rights.changeable(group, record, _GROUP)
            name = _named(name, MAX_THREAD_NAME, Call.CREATE_THREAD)
            there = await self._api.threads(named.group_no)
            if twin := next((one for one in there if one.name.casefold() == name.casefold()), None):
                raise BadRequest(
                    Call.CREATE_THREAD,
                    f"there is a thread of this name already, group:{twin.channel_id}: use that, or choose another "
                    "name; nothing was created",
                )
            opening = partial(self._api.create_thread, named.group_no, name)
            made = await self._changes.make(
                record, opening, lambda made: ChannelRef(made.channel_id, _THREAD), self._texts.thread_created
            )
            record.target, record.detail = f"group:{made.channel_id}", f"opened{record.detail}"
            return made

    async def archive_thread(self, thread: str) -> None:
        """Take a thread from the list of active ones; the next message there brings it back.

        Args:
            thread: the thread; never the one the turn runs in, which its answer would open again.
        """
        async with self._recorded("archive-thread") as record:
            named = await self._rights.thread(thread, record)
            if named.channel == self._reach.here:
                raise TargetError("the answer here would open this thread again: ask from its group")
            active = {one.channel_id: one.name for one in await self._api.threads(named.group_no)}
            if named.channel.id not in active:
                raise NotFound(Call.ARCHIVE_THREAD, "the group has no active thread of this id")
            name = shown(active[named.channel.id])
            archiving = partial(self._api.archive_thread, named.channel)
            group = ChannelRef(named.group_no, _GROUP)
            await self._changes.make(record, archiving, group, self._texts.thread_archived, name)
            record.detail = f"archived{record.detail}"

    async def join_thread(self, thread: str) -> None:
        """Put the bot on a thread's list of members; it hears and answers there without that."""
        async with self._recorded("join-thread") as record:
            joined = await self._rights.thread(thread, record)
            await explained(self._api.join_thread(joined.channel))

    async def leave_thread(self, thread: str) -> None:
        """Take the bot from a thread's list of members; it goes on to hear what is said there."""
        async with self._recorded("leave-thread") as record:
            left = await self._rights.thread(thread, record)
            await explained(self._api.leave_thread(left.channel))

    @property
    def _texts(self) -> Texts:
        return self._bot.context.config.texts

    async def _now_in(self, group_no: str) -> set[str]:
        """Return the uids of a group's members, of nobody where they cannot be had: what was done stays done."""
        try:
            return {one.uid for one in await self._bot.directory.groups.members(group_no)}
        except ApiError:
            return set()


def _distinct(uids: Sequence[str]) -> list[str]:
    return [uid for uid in dict.fromkeys(map(str.strip, uids)) if uid]


def _named(name: str, most: int, call: Call) -> str:
    """Return a name as it is sent. Raises `BadRequest` for one nobody could read."""
    name = name.strip()
    if not is_visible(name) or single_line(name, most + 1) != name or len(name) > most:
        raise BadRequest(call, f"a name is one line of 1 to {most} characters; nothing was changed")
    return name
