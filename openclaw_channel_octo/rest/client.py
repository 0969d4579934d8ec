"""The bot API client: one bot, one token, one server (octo-bot-api §1)."""

from collections.abc import Mapping, Sequence
from typing import Any

from openclaw_channel_octo.errors import BadRequest, PayloadTooLarge
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.rest import models
from openclaw_channel_octo.rest.attempts import encoded
from openclaw_channel_octo.rest.calls import Call
from openclaw_channel_octo.rest.history import Part, in_parts
from openclaw_channel_octo.rest.management import ManagementCalls, notes_path, segment

__all__ = ["MAX_FILE_BYTES", "MAX_HISTORY_ROWS", "MAX_PAYLOAD_BYTES", "MAX_READ_IDS", "BotApi"]

MAX_PAYLOAD_BYTES = 256 * 1024
"""Largest payload as the server writes it; far below what kills the IM server (octo-bot-api §4.1)."""
MAX_FILE_BYTES = 100 * 1024 * 1024
"""Largest file the server signs an upload for, this size included (octo-bot-api §2.10)."""
MAX_HISTORY_ROWS = 200
"""Largest page of history (octo-bot-api §2.4)."""
MAX_READ_IDS = 100
"""Most message ids one read receipt takes (octo-bot-api §3.2)."""

_MAX_VERSION_CHARS = 50
_CONVERSATIONS = frozenset(ChannelType)


class BotApi(ManagementCalls):
    """Calls the bot API of one Octo server with one bot's token.

    Every method raises a child of `ApiError`; which calls are repeated first, and when, is the table in
    `openclaw_channel_octo.rest.calls`. The token travels only in requests to ``base_url``: redirects are not
    followed, proxies and credentials of the environment are not used.

    Args:
        base_url: the server's ``http`` or ``https`` address, with a path prefix where there is one.
        token: the bot token.
        clock: waits and their jitter.
        origin: the server as other bots use it too, an own one by default; the caller's is not closed here.
        timeout_s: seconds one attempt may take, a third of it for the connection.
        tap: is shown every attempt with its answer, secrets included.
        on_attempt: is told of every attempt: the call, and ``ok`` or the name of the error.

    Raises:
        ConfigError: ``base_url`` is no such address, or the token cannot be one.
    """

    async def register(self, agent_version: str = "", plugin_version: str = "") -> models.Registration:
        """Fetch the credentials for the IM server (octo-bot-api §2.1).

        The server kicks every live connection of this bot: call it only while disconnected.

        Args:
            agent_version: the host's version, shown to the bot's owner; cut at 50 characters.
            plugin_version: this plugin's version, likewise.

        Raises:
            AuthError: the token is wrong; trying again does not help.
        """
        versions = {"agent_version": agent_version, "plugin_version": plugin_version}
        said = {key: version[:_MAX_VERSION_CHARS] for key, version in versions.items() if version}
        body = {"agent_platform": "OpenClaw"} | said
        return await self._call(Call.REGISTER, "/v1/bot/register", models.REGISTRATION, body=body)

    async def send_message(self, channel: ChannelRef, payload: Mapping[str, Any]) -> models.SentMessage:
        """Send a message; the server takes it as it is (octo-bot-api §4.1, §4.3).

        Ids inside ``payload`` must be strings: the server rounds integers above 2**53.

        Raises:
            PayloadTooLarge: nothing was sent.
            Unavailable: the request did not reach the server; sending again is safe.
            AmbiguousOutcome: the message may exist; look for it in the echo or in history first.
            PermissionDenied: the bot is not a member, not a friend, or the group is disbanded.
        """
        _require_small(Call.SEND, payload)
        body = _addressed(Call.SEND, channel) | {"payload": dict(payload)}
        return await self._call(Call.SEND, "/v1/bot/sendMessage", models.SENT_MESSAGE, body=body)

    async def edit_message(self, channel: ChannelRef, message_id: str, payload: Mapping[str, Any]) -> None:
        """Put a whole new payload in the place of one of the bot's own messages (octo-bot-api §2.5).

        A message that was sent a moment ago may not be stored yet: it is tried three times within some two seconds.

        Args:
            channel: where the message stands.
            message_id: decimal digits.
            payload: complete, ``type`` included; ids in it must be strings.

        Raises:
            PayloadTooLarge: nothing was sent.
            NotFound: there is no such message here.
            PermissionDenied: it is not the bot's own, or the bot is not in the conversation any more.
        """
        await self._edit(Call.EDIT, channel, message_id, payload)

    async def edit_progress(self, channel: ChannelRef, message_id: str, payload: Mapping[str, Any]) -> None:
        """Do what `edit_message` does with one try, in a queue of its own; see there.

        Raises:
            ApiError: as `edit_message`; `Unavailable` also where it may have been done.
        """
        await self._edit(Call.PROGRESS, channel, message_id, payload)

    async def _edit(
        self, call: Call, channel: ChannelRef, message_id: str, payload: Mapping[str, Any]
    ) -> None:
        _require_small(call, payload)
        content = encoded(payload).decode()
        body = _addressed(call, channel) | {"message_id": message_id, "content_edit": content}
        await self._call(call, "/v1/bot/message/edit", models.ACKNOWLEDGED, body=body)

    async def presign_upload(self, name: str, size: int) -> models.UploadTicket:
        """Ask where and how a file is to be put (octo-bot-api §2.10).

        Args:
            name: file name; its ending decides about the type, and whether the server takes it.
            size: bytes, 1 to `MAX_FILE_BYTES`.

        Raises:
            FileTypeRefused: the server takes no files with this ending.
        """
        if not 1 <= size <= MAX_FILE_BYTES:
            raise BadRequest(Call.PRESIGN, f"a file of {size} bytes, 1 to {MAX_FILE_BYTES} can be sent")
        params = {"filename": name, "fileSize": str(size)}
        return await self._call(Call.PRESIGN, "/v1/bot/upload/presigned", models.UPLOAD_TICKET, params=params)

    async def typing(self, channel: ChannelRef, *, again: bool = False) -> None:
        """Show the bot as typing for some seconds; never repeated by itself (octo-bot-api §3.1).

        Args:
            channel: where.
            again: whether people have seen it a moment ago: it lets the first indicators of other conversations pass.
        """
        body = _addressed(Call.TYPING, channel)
        await self._call(Call.TYPING, "/v1/bot/typing", models.ACKNOWLEDGED, body=body, first=not again)

    async def read_receipt(self, channel: ChannelRef, message_ids: Sequence[str]) -> None:
        """Mark messages as read by the bot; never repeated by itself (octo-bot-api §3.2).

        Args:
            channel: where they were received.
            message_ids: decimal digits, at most 100 of them.
        """
        if len(message_ids) > MAX_READ_IDS:
            raise BadRequest(
                Call.READ_RECEIPT, f"{len(message_ids)} ids in one receipt, at most {MAX_READ_IDS} are taken"
            )
        body = _addressed(Call.READ_RECEIPT, channel) | {"message_ids": list(message_ids)}
        await self._call(Call.READ_RECEIPT, "/v1/bot/readReceipt", models.ACKNOWLEDGED, body=body, first=True)

    async def sync_messages(  # each with a name at every call
        self,
        channel: ChannelRef,
        *,
        start: int = 0,
        end: int = 0,
        limit: int = 50,
        pull_up: bool = True,
        within_s: float | None = None,
    ) -> list[models.HistoryMessage]:
        """Return stored messages of a conversation, ascending by ``message_seq`` (octo-bot-api §2.4).

        With ``start`` and ``end`` both 0 these are the newest ``limit``. Fewer rows than ``limit`` mean that
        there are no more in that direction. Large messages are fetched a few at a time.

        Args:
            channel: the conversation; for a direct one the peer's uid.
            start: first sequence number wanted, inclusive.
            end: where to stop, exclusive; 0 for no bound.
            limit: rows per page, 1 to 200.
            pull_up: from ``start`` towards newer messages, else towards older ones.
            within_s: seconds each request may take once it is on its way, its repetitions included.
        """
        if not 1 <= limit <= MAX_HISTORY_ROWS:
            raise BadRequest(Call.SYNC, f"a page of {limit} rows, 1 to {MAX_HISTORY_ROWS} are possible")
        place = _addressed(Call.SYNC, channel)

        async def ask(part: Part) -> list[models.HistoryMessage]:
            history = await self._call(
                Call.SYNC,
                "/v1/bot/messages/sync",
                models.HISTORY,
                body=place | part.fields,
                within_s=within_s,
            )
            return history.messages

        return await in_parts(ask, Part(start, end, limit, pull_up))

    async def groups(self, *, within_s: float | None = None) -> list[models.Group]:
        """Return the groups the bot is in, disbanded ones included (octo-bot-api §2.7).

        Args:
            within_s: as in `sync_messages`.
        """
        return await self._call(Call.GROUPS, "/v1/bot/groups", models.GROUPS, within_s=within_s)

    async def group_info(self, group_no: str) -> models.GroupInfo:
        """Return a group's own data; a group the bot is not in is an error (octo-bot-api §2.7)."""
        path = f"/v1/bot/groups/{segment(Call.GROUP_INFO, group_no)}"
        return await self._call(Call.GROUP_INFO, path, models.GROUP_INFO)

    async def group_members(self, group_no: str) -> list[models.GroupMember]:
        """Return all members of a group, the owner first (octo-bot-api §2.7)."""
        path = f"/v1/bot/groups/{segment(Call.GROUP_MEMBERS, group_no)}/members"
        return await self._call(Call.GROUP_MEMBERS, path, models.GROUP_MEMBERS)

    async def notes(self, channel: ChannelRef) -> models.GroupNotes:
        """Return what a group or a thread has written down for its bots (octo-bot-api §2.7, §2.8).

        Raises:
            PermissionDenied: the bot is not a member.
            NotFound: the server has no such notes.
        """
        return await self._call(Call.NOTES, notes_path(Call.NOTES, channel), models.NOTES)

    async def threads(self, group_no: str) -> list[models.ThreadInfo]:
        """Return a group's active threads, at most 100 (octo-bot-api §2.8)."""
        path = f"/v1/bot/groups/{segment(Call.THREADS, group_no)}/threads"
        return await self._call(Call.THREADS, path, models.THREADS)

    async def named_targets(self, name: str, limit: int = 20) -> models.NamedTargets:
        """Return the bot's groups and threads that a name may mean; `NotFound` on older servers (octo-bot-api §2.7)."""
        params = {"name": name, "kind": "all", "limit": str(limit)}
        return await self._call(Call.RESOLVE, "/v1/bot/resolve/targets", models.TARGETS, params=params)

    async def mention_preference(self, group_no: str) -> models.MentionPreference:
        """Return whether a group wants this bot to answer without a mention (octo-bot-api §2.7).

        Raises:
            NotFound: the server is too old to know.
        """
        path = f"/v1/bot/groups/{segment(Call.MENTION_PREF, group_no)}/mention_pref"
        return await self._call(Call.MENTION_PREF, path, models.MENTION_PREFERENCE)

    async def user_info(self, uid: str) -> models.UserInfo:
        """Return a profile; an unknown uid is `NotFound` (octo-bot-api §2.9)."""
        return await self._call(Call.USER_INFO, "/v1/bot/user/info", models.USER_INFO, params={"uid": uid})


def _addressed(call: Call, channel: ChannelRef) -> dict[str, Any]:
    """Return the fields that name a conversation; raise `BadRequest` for what the server would misunderstand."""
    if not channel.id.strip():
        raise BadRequest(call, "the channel id is empty; nothing was sent")
    if channel.type not in _CONVERSATIONS:
        raise BadRequest(call, f"channel type {channel.type} is no conversation of a bot; nothing was sent")
    return {"channel_id": channel.id, "channel_type": int(channel.type)}


def _require_small(call: Call, payload: Mapping[str, Any]) -> None:
    """Raise `PayloadTooLarge` for a payload that could harm the IM server (octo-bot-api §4.1)."""
    size = _stored_size(payload)
    if size > MAX_PAYLOAD_BYTES:
        detail = f"the payload takes {size} bytes as the server stores it, the limit is {MAX_PAYLOAD_BYTES}: "
        raise PayloadTooLarge(call, detail + "split the text or send it as a file")


def _stored_size(payload: Mapping[str, Any]) -> int:
    """Return the payload's bytes as the server encodes it anew, with six for each ``<``, ``>`` and ``&``."""
    written = encoded(payload)
    return len(written) + 5 * sum(written.count(char) for char in (b"<", b">", b"&"))
