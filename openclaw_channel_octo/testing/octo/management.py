"""What calls that change groups and threads do to the double's world (octo-bot-api §2.7, §2.8, §9)."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiohttp import web

from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.testing.octo import directory, refusals
from openclaw_channel_octo.testing.octo.engine import Engine
from openclaw_channel_octo.testing.octo.records import Switches
from openclaw_channel_octo.testing.octo.refusals import Envelope, Refusal
from openclaw_channel_octo.testing.octo.routes import ApiRequest, Route
from openclaw_channel_octo.testing.octo.world import ChatGroup, World
from openclaw_channel_octo.wire.packets import Flags

__all__ = ["ManagementCalls"]

_MOST_MEMBERS: Final = 200
_MOST_NOTES_BYTES: Final = 10_240
_LONGEST_NAME: Final = 100
_OWNER, _MEMBER = 1, 0
_FIRST_GROUP: Final = 0x9B1E0000000000000000000000000000
_FIRST_THREAD: Final = 2_044_043_250_838_270_000
_GROUP_PATH: Final = "/v1/bot/groups/{group_no}"
_THREAD_PATH: Final = f"{_GROUP_PATH}/threads/{{short_id}}"


class ManagementCalls:
    """The calls by which a bot changes groups and threads.

    Args:
        world: who is who.
        engine: delivers what the server tells of a change.
        switches: which generation of the server this is.
    """

    def __init__(self, world: World, engine: Engine, switches: Switches) -> None:
        self._world, self._engine, self._switches = world, engine, switches

    def routes(self) -> tuple[Route, ...]:
        """Return every call there is."""
        return (
            Route("PUT", f"{_GROUP_PATH}/md", "writeGroupMd", self.write_notes, takes_json=True),
            Route("PUT", f"{_THREAD_PATH}/md", "writeGroupMd", self.write_notes, takes_json=True),
            Route("POST", "/v1/bot/createGroup", "createGroup", self.create_group, takes_json=True),
            Route("PUT", f"{_GROUP_PATH}/info", "renameGroup", self.change_info, takes_json=True),
            Route("POST", f"{_GROUP_PATH}/members/add", "addMembers", self.add_members, takes_json=True),
            Route(
                "POST", f"{_GROUP_PATH}/members/remove", "removeMembers", self.remove_members, takes_json=True
            ),
            Route("POST", f"{_GROUP_PATH}/threads", "createThread", self.create_thread, takes_json=True),
            Route("POST", f"{_THREAD_PATH}/archive", "archiveThread", self.archive_thread),
            Route("POST", f"{_THREAD_PATH}/join", "joinThread", self.join_thread),
            Route("POST", f"{_THREAD_PATH}/leave", "leaveThread", self.leave_thread),
        )

    def write_notes(self, request: ApiRequest) -> Any:
        """Write GROUP.md or THREAD.md and tell every bot of it, the writer too (octo-bot-api §5.4)."""
        group = self._admins_group(request)
        short_id = request.query.get("short_id", "")
        content = request.body.get("content")
        if not isinstance(content, str) or (short_id and not content.strip()):
            raise Refusal(refusals.BAD_FIELD, "content")
        if len(content.encode()) > _MOST_NOTES_BYTES:
            raise Refusal(refusals.NOTES_TOO_LARGE, "content")
        channel = self._thread(group, short_id) if short_id else ChannelRef(group.group_no, ChannelType.GROUP)
        version = self._world.notes.get(channel.id, ("", 0))[1] + 1
        self._world.notes[channel.id] = (content, version)
        event = {"type": "thread_md_updated" if short_id else "group_md_updated", "version": version}
        event |= {"updated_by": request.bot.uid}
        event |= {"group_no": group.group_no, "short_id": short_id} if short_id else {}
        bots = [uid for uid in group.members if self._world.account(uid).is_bot]
        said = {"type": 1, "content": "GROUP.md updated", "event": event, "mention": {"uids": bots}}
        self._say(request.bot.uid, channel, said, flags=Flags.NONE)
        return {"version": version}

    def create_group(self, request: ApiRequest) -> Any:
        """Make a group of people with the bot as a member; who does not exist is left out."""
        if request.bot.is_app_bot:
            raise Refusal(refusals.NO_GROUPS)
        people, _ = self._people(request.body)
        creator = request.body.get("creator") or people[0]
        if not isinstance(creator, str) or creator not in self._world.accounts:
            raise Refusal(refusals.NO_USER)
        group_no = f"{_FIRST_GROUP + len(self._world.groups):032x}"
        name = str(request.body.get("name") or "group")
        roles = {creator: _OWNER} | dict.fromkeys([uid for uid in people if uid != creator], _MEMBER)
        self._world.groups[group_no] = group = ChatGroup(
            group_no=group_no, name=name, members=roles | {request.bot.uid: _MEMBER}, creator=creator
        )
        self._tell(group, 1001, "{0}创建了群聊", [creator])
        return {"group_no": group_no, "name": name}

    def change_info(self, request: ApiRequest) -> Any:
        """Give a group another name."""
        group = self._admins_group(request)
        name = request.body.get("name")
        if not isinstance(name, str):
            raise Refusal(refusals.BAD_FIELD)
        group.name = name
        self._tell(group, 1005, f'{{0}}修改群名为"{name}"', [request.bot.uid], data={"name": name})
        return {"ok": True}

    def add_members(self, request: ApiRequest) -> Any:
        """Put people into a group; any bot in it may."""
        group = self._inside(request)
        people, bots = self._people(request.body)
        new = [uid for uid in people if uid not in group.members]
        group.members |= dict.fromkeys(new, _MEMBER)
        if new:
            self._tell(group, 1002, "{0}加入群聊", new)
        return {"ok": True, "added": len(new)} | ({"skipped_bots": bots} if bots else {})

    def remove_members(self, request: ApiRequest) -> Any:
        """Put people out of a group, and the bots they brought; the newer server keeps owner and managers."""
        group = self._admins_group(request)
        uids = [uid for uid in self._uids(request.body) if uid != request.bot.uid]
        if self._switches.envelope is Envelope.N and any(group.members.get(uid) for uid in uids):
            raise Refusal(refusals.PRIVILEGED)
        gone = [uid for uid in uids if uid in group.members]
        brought = [uid for uid in group.members if self._world.account(uid).owner in gone]
        if gone:
            self._tell(group, 1003, "{0}被移除群聊", gone)
        for uid in (*gone, *brought):
            group.members.pop(uid, None)
        return {"ok": True, "removed": len(gone)}

    def create_thread(self, request: ApiRequest) -> Any:
        """Open a thread; its group is told by a message."""
        group = directory.own_group(self._world, request.bot, request.query["group_no"])
        name = request.body.get("name")
        if not isinstance(name, str) or not 1 <= len(name) <= _LONGEST_NAME:
            raise Refusal(refusals.BAD_FIELD, "name")
        short_id = str(_FIRST_THREAD + len(self._world.threads))
        channel_id = f"{group.group_no}____{short_id}"
        self._world.threads[channel_id] = True
        self._world.thread_names[channel_id] = name
        self._world.thread_creators[channel_id] = request.bot.uid
        self._world.thread_members[channel_id] = {request.bot.uid}
        self._say(
            "",
            ChannelRef(group.group_no, ChannelType.GROUP),
            {
                "type": 1100,
                "content": f"{request.bot.name} 创建了子区「{name}」",
                "from_uid": request.bot.uid,
                "short_id": short_id,
                "channel_id": channel_id,
                "channel_type": 5,
                "thread_name": name,
            },
        )
        return directory.thread_row(self._world, group, short_id)

    def archive_thread(self, request: ApiRequest) -> Any:
        """Archive a thread; the older server has no such route, and nobody is told why it is refused."""
        if self._switches.envelope is Envelope.S:
            raise web.HTTPNotFound(text="404 page not found")
        group, thread = self._of_thread(request)
        creator = self._world.thread_creators.get(thread.id, group.creator)
        admin = (group.group_no, request.bot.uid) in self._world.admins
        if not self._world.threads.get(thread.id) or not (admin or creator == request.bot.uid):
            raise Refusal(refusals.NOT_STORED)
        self._world.archived.add(thread.id)
        return {"status": 200}

    def join_thread(self, request: ApiRequest) -> Any:
        """Put the bot on a thread's list of members."""
        _, thread = self._of_thread(request)
        self._world.thread_members.setdefault(thread.id, set()).add(request.bot.uid)
        return {"status": 200}

    def leave_thread(self, request: ApiRequest) -> Any:
        """Take the bot from it; who opened the thread stays."""
        _, thread = self._of_thread(request)
        if self._world.thread_creators.get(thread.id) == request.bot.uid:
            raise Refusal(refusals.NOT_STORED)
        self._world.thread_members.get(thread.id, set()).discard(request.bot.uid)
        return {"status": 200}

    def _inside(self, request: ApiRequest) -> ChatGroup:
        if request.bot.is_app_bot:
            raise Refusal(refusals.NO_GROUPS)
        group = self._world.groups.get(request.query["group_no"])
        if group is None or request.bot.uid not in group.members:
            raise Refusal(refusals.NOT_INSIDE)
        if group.disbanded and self._switches.envelope is Envelope.N:
            raise Refusal(refusals.GROUP_GONE)
        return group

    def _admins_group(self, request: ApiRequest) -> ChatGroup:
        group = self._inside(request)
        if (group.group_no, request.bot.uid) not in self._world.admins:
            raise Refusal(refusals.NOT_GROUP_ADMIN)
        return group

    def _of_thread(self, request: ApiRequest) -> tuple[ChatGroup, ChannelRef]:
        group = directory.own_group(self._world, request.bot, request.query["group_no"])
        return group, self._thread(group, request.query["short_id"])

    def _thread(self, group: ChatGroup, short_id: str) -> ChannelRef:
        channel = ChannelRef(f"{group.group_no}____{short_id}", ChannelType.THREAD)
        if channel.id not in self._world.threads:
            raise Refusal(refusals.NOT_STORED)
        return channel

    def _uids(self, body: Mapping[str, Any]) -> list[str]:
        uids = body.get("members")
        if not isinstance(uids, list) or not uids or not all(isinstance(uid, str) for uid in uids):
            raise Refusal(refusals.BAD_FIELD, "members")
        if len(uids) > _MOST_MEMBERS:
            raise Refusal(refusals.MEMBERS_LIMIT, "members")
        return uids

    def _people(self, body: Mapping[str, Any]) -> tuple[list[str], list[str]]:
        """Return the people and the bots among the accounts that exist."""
        known = [account for uid in self._uids(body) if (account := self._world.accounts.get(uid))]
        people = [account.uid for account in known if not account.is_bot]
        if not people:
            raise Refusal(refusals.NO_PEOPLE)
        return people, [account.uid for account in known if account.is_bot]

    def _tell(
        self, group: ChatGroup, kind: int, content: str, about: Iterable[str], **more: Mapping[str, Any]
    ) -> None:
        extra = [{"uid": uid, "name": self._world.account(uid).name} for uid in about]
        channel = ChannelRef(group.group_no, ChannelType.GROUP)
        self._say("", channel, {"type": kind, "content": content, "extra": extra, **more})

    def _say(
        self, from_uid: str, channel: ChannelRef, payload: Mapping[str, Any], flags: Flags = Flags.RED_DOT
    ) -> None:
        encoded = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        self._engine.post(self._world.compose(from_uid, channel, encoded, flags=flags))
