"""What each call of the bot API does to the world and answers (octo-bot-api §2 to §4).

Over 350 lines: a handler for each call of one API.
"""

import json
import math
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web
from cachetools import TTLCache
from msgspec.structs import replace

from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.testing.octo import directory, refusals
from openclaw_channel_octo.testing.octo.engine import REGISTERED_AGAIN, Engine
from openclaw_channel_octo.testing.octo.management import ManagementCalls
from openclaw_channel_octo.testing.octo.payloads import rewritten
from openclaw_channel_octo.testing.octo.records import Switches
from openclaw_channel_octo.testing.octo.refusals import Envelope, Problem, Refusal
from openclaw_channel_octo.testing.octo.routes import ApiRequest, Route
from openclaw_channel_octo.testing.octo.storage import Storage
from openclaw_channel_octo.testing.octo.world import ChatGroup, ChatMessage, World
from openclaw_channel_octo.wire.packets import Flags

__all__ = ["ApiCalls"]

_COMMAND: Final = Flags.NO_PERSIST | Flags.SYNC_ONCE
_DEFAULT_PAGE: Final = 50
_LARGEST_PAGE: Final = 200
_MOST_READ_IDS: Final = 100
_FORWARDED_S: Final = 90.0
"""How long after the first typing call of a bot in a channel they reach people (octo-bot-api §3.1)."""
_TYPING_WINDOW_S: Final = 180.0
"""When it begins anew; a message sent does that too."""
_NUMERIC_SPACE: Final = re.compile(r"s\d+_")


class ApiCalls:
    """The calls a User Bot and an App Bot can make.

    Args:
        world: who is who and what was said, and its clock.
        engine: delivers.
        storage: keeps uploaded files.
        switches: what a test may switch.
    """

    def __init__(self, world: World, engine: Engine, storage: Storage, switches: Switches) -> None:
        self._world = world
        self._engine = engine
        self._storage = storage
        self._switches = switches
        self._typing_since = TTLCache[tuple[str, ChannelRef], float](
            math.inf, _TYPING_WINDOW_S, world.clock.now
        )
        self.typing_at: dict[tuple[str, ChannelRef], float] = {}
        """When clients were last told that a bot is typing, by its uid and the channel as it addresses it."""

    def routes(self) -> tuple[Route, ...]:
        """Return every call there is."""
        return (
            Route("POST", "/v1/bot/register", "register", self.register),
            Route("POST", "/v1/bot/sendMessage", "sendMessage", self.send_message, takes_json=True),
            Route("POST", "/v1/bot/typing", "typing", self.typing, takes_json=True),
            Route("POST", "/v1/bot/readReceipt", "readReceipt", self.read_receipt, takes_json=True),
            Route("POST", "/v1/bot/heartbeat", "heartbeat", self.fine),
            Route("POST", "/v1/bot/events", "events", self.events, takes_json=True),
            Route("POST", "/v1/bot/events/{event_id}/ack", "ackEvent", self.fine),
            Route("POST", "/v1/bot/messages/sync", "messages/sync", self.sync, takes_json=True),
            Route("POST", "/v1/bot/message/edit", "editMessage", self.edit, takes_json=True),
            Route("GET", "/v1/bot/groups", "groups", self.groups),
            Route("GET", "/v1/bot/groups/{group_no}", "groupInfo", self.group_info),
            Route("GET", "/v1/bot/groups/{group_no}/members", "groupMembers", self.group_members),
            Route("GET", "/v1/bot/groups/{group_no}/md", "groupMd", self.notes),
            Route("GET", "/v1/bot/groups/{group_no}/threads/{short_id}/md", "groupMd", self.notes),
            Route("GET", "/v1/bot/groups/{group_no}/threads", "threads", self.threads),
            Route("GET", "/v1/bot/resolve/targets", "resolveTargets", self.named_targets),
            Route("GET", "/v1/bot/groups/{group_no}/mention_pref", "mentionPref", self.mention_pref),
            Route("GET", "/v1/bot/user/info", "userInfo", self.user_info),
            Route("GET", "/v1/bot/upload/presigned", "presignUpload", self.presign_upload),
            *ManagementCalls(self._world, self._engine, self._switches).routes(),
        )

    def register(self, request: ApiRequest) -> Any:
        """Give the IM credentials and kick every live connection of the bot (octo-bot-api §2.1)."""
        bot = request.bot
        self._engine.tokens[bot.uid] = bot.token
        self._engine.kick(bot.uid, REGISTERED_AGAIN)
        return {
            "robot_id": bot.uid,
            "name": bot.name,
            "im_token": bot.token,
            "ws_url": self._switches.ws_url_override or self._switches.ws_url,
            "api_url": self._switches.api_url,
            "owner_uid": bot.owner,
            "owner_channel_id": bot.owner,
        }

    def send_message(self, request: ApiRequest) -> Any:
        """Deliver a message to everybody in the channel, the bot itself included (octo-bot-api §4)."""
        channel = _channel(request.body)
        payload = request.body.get("payload")
        if payload is None or payload == {}:
            raise Refusal(refusals.PAYLOAD_MISSING, "payload")
        if not isinstance(payload, dict):
            raise Refusal(refusals.MALFORMED, "payload")
        self._world.check_access(request.bot, channel)
        group = self._world.group_of(channel)
        if group and group.disbanded and self._switches.envelope is Envelope.N:
            raise Refusal(refusals.DISBANDED, "channel_id")
        message = self._world.compose(
            request.bot.uid,
            channel,
            rewritten(self._stored(channel, payload)),
        )
        message = replace(message, client_msg_no=f"{message.client_msg_no}0")
        self._engine.post(message)
        self._typing_since.pop((request.bot.uid, channel), None)
        self.typing_at.pop((request.bot.uid, channel), None)
        return {"message_id": message.message_id, "client_msg_no": message.client_msg_no, "message_seq": 0}

    def typing(self, request: ApiRequest) -> Any:
        """Show the bot as typing, unless the throttle swallows it (octo-bot-api §3.1)."""
        channel = _channel(request.body)
        bot = request.bot.uid
        self._world.check_access(request.bot, channel)
        now = self._world.clock.now()
        if now - self._typing_since.setdefault((bot, channel), now) < _FORWARDED_S:
            self.typing_at[bot, channel] = now
            shown = bot if channel.type == ChannelType.PERSON else channel.id
            self.command(
                channel, "typing", {"from_uid": bot, "channel_id": shown, "channel_type": channel.type}
            )
        return self.fine(request)

    def read_receipt(self, request: ApiRequest) -> Any:
        """Note which messages the bot has read (octo-bot-api §3.2)."""
        channel = _channel(request.body, default_type=ChannelType.PERSON)
        ids = request.body.get("message_ids") or []
        if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
            raise Refusal(refusals.MALFORMED, "message_ids")
        if len(ids) > _MOST_READ_IDS:
            raise Refusal(refusals.TOO_MANY_IDS, "message_ids")
        self._world.check_access(request.bot, channel)
        for message_id in ids:
            if message_id.isdecimal() and self._world.message(int(message_id)):
                self._world.readers.setdefault(int(message_id), set()).add(request.bot.uid)
        return self.fine(request)

    def fine(self, request: ApiRequest) -> Any:  # noqa: ARG002  # a handler's signature
        """Answer that there is nothing to say."""
        return {"status": 200}

    def events(self, request: ApiRequest) -> Any:
        """Answer the event queue, which is always empty here (octo-bot-api §2.3)."""
        _number(request.body, "event_id")
        _number(request.body, "limit")
        return {"status": 1, "results": []}

    def sync(self, request: ApiRequest) -> Any:
        """Return a page of history; the answer's own range is zeroes, as the server's is (octo-bot-api §2.4)."""
        channel = _channel(request.body)
        limit = _number(request.body, "limit")
        self._world.check_access(request.bot, channel)
        rows = self._world.history(
            self._world.conversation(channel, request.bot.uid),
            start=_number(request.body, "start_message_seq"),
            end=_number(request.body, "end_message_seq"),
            limit=min(limit if limit > 0 else _DEFAULT_PAGE, _LARGEST_PAGE),
            upwards=_number(request.body, "pull_mode") == 1,
        )
        messages = [_history_row(row) for row in rows]
        return {"start_message_seq": 0, "end_message_seq": 0, "pull_mode": 0, "messages": messages}

    def edit(self, request: ApiRequest) -> Any:
        """Put another payload in place of an own message's (octo-bot-api §2.5)."""
        channel = _channel(request.body)
        message_id = _text(request.body, "message_id", refusals.MALFORMED)
        content = _text(request.body, "content_edit", refusals.MALFORMED)
        self._world.check_access(request.bot, channel)
        message = self._world.message(int(message_id)) if message_id.isdecimal() else None
        if message is None or message.conversation != self._world.conversation(channel, request.bot.uid):
            raise Refusal(refusals.NO_MESSAGE, "message_id")
        if message.from_uid != request.bot.uid:
            raise Refusal(refusals.NOT_OWN, "message_id")
        if self._world.edits.get(message.message_id) != content.encode():
            self._world.edits[message.message_id] = content.encode()
            self.command(channel, "syncMessageExtra", None)
        return self.fine(request)

    def groups(self, request: ApiRequest) -> Any:
        """Return the bot's groups, ``null`` when there is none (octo-bot-api §2.7)."""
        space = {"space_id": self._world.space_id} if self._world.space_id else {}
        mine = [group for group in self._world.groups.values() if request.bot.uid in group.members]
        return [{"group_no": group.group_no, "name": group.name} | space for group in mine] or None

    def group_info(self, request: ApiRequest) -> Any:
        """Return a group's own data (octo-bot-api §2.7)."""
        group = self._group(request)
        return {
            "group_no": group.group_no,
            "name": group.name,
            "notice": "",
            "creator": group.creator,
            "status": 2 if group.disbanded else 1,
            "created_at": "2026-05-18 10:00:00",
        }

    def group_members(self, request: ApiRequest) -> Any:
        """Return a group's members, the owner first; ``null`` for an empty roster (octo-bot-api §2.7)."""
        group = self._group(request)
        ordered = sorted(group.members, key=lambda uid: (group.members[uid] != 1, group.members[uid] != 2))  # noqa: PLR2004  # roles: 1 owner, 2 manager
        return [self._member(uid, group.members[uid]) for uid in ordered] or None

    def notes(self, request: ApiRequest) -> Any:
        """Return GROUP.md or THREAD.md (octo-bot-api §2.7, §2.8)."""
        group = self._group(request)
        short_id = request.query.get("short_id", "")
        content, version = self._world.notes.get(
            f"{group.group_no}____{short_id}" if short_id else group.group_no, ("", 0)
        )
        return {"content": content, "version": version, "updated_at": None, "updated_by": ""}

    def threads(self, request: ApiRequest) -> Any:
        """Return a group's threads (octo-bot-api §2.8)."""
        return directory.thread_rows(self._world, self._group(request))

    def named_targets(self, request: ApiRequest) -> Any:
        """Return what a name may mean; the older server has no such route (octo-bot-api §2.7)."""
        if self._switches.envelope is Envelope.S:
            raise web.HTTPNotFound(text="404 page not found")
        return directory.named_targets(self._world, request.bot.uid, request.query)

    def mention_pref(self, request: ApiRequest) -> Any:
        """Return whether the bot may answer in a group without a mention (octo-bot-api §2.7)."""
        agreed = self._group(request).group_no in self._world.no_mention
        return {"no_mention": int(agreed), "group_allow_no_mention": 1, "effective": agreed}

    def user_info(self, request: ApiRequest) -> Any:
        """Return a profile (octo-bot-api §2.9)."""
        uid = _NUMERIC_SPACE.sub("", request.query.get("uid", ""), count=1)
        account = self._world.accounts.get(uid)
        if account is None:
            raise Refusal(refusals.NO_USER)
        return {"uid": uid, "name": account.name, "avatar": f"{self._switches.api_url}/users/{uid}/avatar"}

    def presign_upload(self, request: ApiRequest) -> Any:
        """Return where and how a file is to be put (octo-bot-api §2.10)."""
        return self._storage.presign(
            self._switches.api_url, request.query.get("filename", ""), request.query.get("fileSize", "")
        )

    def command(self, channel: ChannelRef, name: str, param: Mapping[str, Any] | None) -> None:
        """Send a command that is not stored, from the system, to a channel (octo-bot-api §5.5)."""
        content: dict[str, Any] = {"cmd": name, "type": 99}
        if param is not None:
            content["param"] = dict(param)
        payload = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        self._engine.post(self._world.compose("", channel, payload, flags=_COMMAND))

    def _stored(self, channel: ChannelRef, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what stays of a payload; a direct message gets its space, whatever the bot wrote there."""
        kept = {key: value for key, value in payload.items() if key not in self._switches.dropped_keys}
        if channel.type == ChannelType.PERSON:
            kept.pop("space_id", None)
            kept |= {"space_id": self._world.space_id} if self._world.space_id else {}
        return kept

    def _group(self, request: ApiRequest) -> ChatGroup:
        return directory.own_group(self._world, request.bot, request.query["group_no"])

    def _member(self, uid: str, role: int) -> dict[str, Any]:
        account = self._world.account(uid)
        member = {
            "uid": uid,
            "name": account.name,
            "role": role,
            "robot": int(account.is_bot),
            "created_at": "2026-05-18 10:00:00",
        }
        owner = self._world.accounts.get(account.owner)
        return member | ({"owner_uid": owner.uid, "owner_name": owner.name} if owner else {})


def _history_row(message: ChatMessage) -> dict[str, Any]:
    direct = message.conversation.type == ChannelType.PERSON
    return {
        "header": {"no_persist": 0, "red_dot": int(Flags.RED_DOT in message.flags), "sync_once": 0},
        "setting": int(message.setting),
        "message_idstr": str(message.message_id),
        "message_id": message.message_id,
        "message_seq": message.message_seq,
        "client_msg_no": message.client_msg_no,
        "expire": 0,
        "from_uid": message.from_uid,
        "to_uid": "",
        "channel_id": message.to_uid if direct else message.conversation.id,
        "channel_type": message.conversation.type,
        "timestamp": message.timestamp,
        "payload": b64encode(message.payload).decode(),
        "is_deleted": 0,
        "voice_status": 0,
    }


def _channel(body: Mapping[str, Any], default_type: int = 0) -> ChannelRef:
    channel_id = _text(body, "channel_id", refusals.CHANNEL_ID_MISSING)
    channel_type = _number(body, "channel_type") or default_type
    if not channel_type:
        raise Refusal(refusals.CHANNEL_TYPE_MISSING, "channel_type")
    return ChannelRef(channel_id, channel_type)


def _text(body: Mapping[str, Any], name: str, missing: Problem) -> str:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise Refusal(refusals.MALFORMED, name)
    if not value or not value.strip():
        raise Refusal(missing, name)
    return value


def _number(body: Mapping[str, Any], name: str) -> int:
    value = body.get(name)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refusal(refusals.MALFORMED, name)
    return value
