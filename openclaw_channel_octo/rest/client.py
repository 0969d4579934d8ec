"""The bot API client: one bot, one token, one server (octo-bot-api §1).

Over 350 lines: a method for each call of one API, and the attempt they share.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Self, TypeVar

from pydantic import SecretStr, TypeAdapter

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import ApiError, BadRequest
from openclaw_channel_octo.ids import ChannelRef, ChannelType, split_thread
from openclaw_channel_octo.rest import fields, models
from openclaw_channel_octo.rest.answers import (
    Answer,
    Exchange,
    body_of,
    read_aside,
    too_large,
    unanswered,
)
from openclaw_channel_octo.rest.calls import POLICIES, Call
from openclaw_channel_octo.rest.fields import MAX_PAYLOAD_BYTES
from openclaw_channel_octo.rest.history import Part, in_parts
from openclaw_channel_octo.rest.network import timeout
from openclaw_channel_octo.rest.origin import Origin
from openclaw_channel_octo.rest.reasons import reason_of
from openclaw_channel_octo.rest.retry import RetryBudget

__all__ = ["MAX_FILE_BYTES", "MAX_HISTORY_ROWS", "MAX_PAYLOAD_BYTES", "MAX_READ_IDS", "BotApi"]

MAX_FILE_BYTES = 100 * 1024 * 1024
"""Largest file the server signs an upload for, this size included (octo-bot-api §2.10)."""
MAX_HISTORY_ROWS = 200
"""Largest page of history (octo-bot-api §2.4)."""
MAX_READ_IDS = 100
"""Most message ids one read receipt takes (octo-bot-api §3.2)."""

_MAX_VERSION_CHARS = 50
_USER_AGENT = "openclaw-channel-octo"

_log = logging.getLogger(__name__)
T = TypeVar("T")


class BotApi:
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

    def __init__(  # noqa: PLR0913  # where it speaks to, how, and who watches
        self,
        *,
        base_url: str,
        token: SecretStr,
        clock: Clock,
        origin: Origin | None = None,
        timeout_s: float = 30.0,
        tap: Callable[[Exchange], None] | None = None,
        on_attempt: Callable[[str, str], None] | None = None,
    ) -> None:
        self._on_attempt = on_attempt or _not_told
        self._base = fields.checked_base(base_url)
        self._token = fields.checked_token(token)
        self._clock = clock
        self._origin = origin or Origin()
        self._owns_origin = origin is None
        self._tap = tap
        # The connection ends in its own time-out first, so that a total one means the request was on its way.
        self._timeout = timeout(total=timeout_s, connect=timeout_s / 3)

    def __repr__(self) -> str:
        return f"BotApi({self._base!r})"

    async def __aenter__(self) -> Self:
        """Return itself; connections are opened by the first call."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections, unless other bots share them."""
        if self._owns_origin:
            await self._origin.close()

    async def pause(self, seconds: float) -> bool:
        """Wait until any call to the server succeeds, at most ``seconds``; return whether one did."""
        return await self._origin.pause(self._clock, seconds)

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
        fields.require_small(Call.SEND, payload)
        body = fields.addressed(Call.SEND, channel) | {"payload": dict(payload)}
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
        fields.require_small(Call.EDIT, payload)
        content = fields.encoded(payload).decode()
        body = fields.addressed(Call.EDIT, channel) | {"message_id": message_id, "content_edit": content}
        await self._call(Call.EDIT, "/v1/bot/message/edit", models.ACKNOWLEDGED, body=body)

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
        body = fields.addressed(Call.TYPING, channel)
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
        body = fields.addressed(Call.READ_RECEIPT, channel) | {"message_ids": list(message_ids)}
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
        place = fields.addressed(Call.SYNC, channel)

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
        path = f"/v1/bot/groups/{fields.segment(Call.GROUP_INFO, group_no)}"
        return await self._call(Call.GROUP_INFO, path, models.GROUP_INFO)

    async def group_members(self, group_no: str) -> list[models.GroupMember]:
        """Return all members of a group, the owner first (octo-bot-api §2.7)."""
        path = f"/v1/bot/groups/{fields.segment(Call.GROUP_MEMBERS, group_no)}/members"
        return await self._call(Call.GROUP_MEMBERS, path, models.GROUP_MEMBERS)

    async def notes(self, channel: ChannelRef) -> models.GroupNotes:
        """Return what a group or a thread has written down for its bots (octo-bot-api §2.7, §2.8).

        Raises:
            PermissionDenied: the bot is not a member.
            NotFound: the server has no such notes.
        """
        thread = split_thread(channel.id) if channel.type == ChannelType.THREAD else None
        group_no = fields.segment(Call.NOTES, thread.group_no if thread else channel.id)
        place = f"/threads/{fields.segment(Call.NOTES, thread.short_id)}" if thread else ""
        return await self._call(Call.NOTES, f"/v1/bot/groups/{group_no}{place}/md", models.NOTES)

    async def threads(self, group_no: str) -> list[models.ThreadInfo]:
        """Return a group's active threads, at most 100 (octo-bot-api §2.8)."""
        path = f"/v1/bot/groups/{fields.segment(Call.THREADS, group_no)}/threads"
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
        path = f"/v1/bot/groups/{fields.segment(Call.MENTION_PREF, group_no)}/mention_pref"
        return await self._call(Call.MENTION_PREF, path, models.MENTION_PREFERENCE)

    async def user_info(self, uid: str) -> models.UserInfo:
        """Return a profile; an unknown uid is `NotFound` (octo-bot-api §2.9)."""
        return await self._call(Call.USER_INFO, "/v1/bot/user/info", models.USER_INFO, params={"uid": uid})

    async def _call(  # noqa: PLR0913  # what is asked, and how it waits
        self,
        call: Call,
        path: str,
        shape: TypeAdapter[T],
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        first: bool = False,
        within_s: float | None = None,
    ) -> T:
        """Make attempts until one succeeds or the call's policy ends; a call with a body is a POST."""
        data = None if body is None else fields.encoded(body)
        budget = RetryBudget(POLICIES[call], self._clock, within_s)
        slot = partial(self._origin.slot, call, self._turns(call, path, body or params or {}), first=first)
        while True:
            try:
                async with slot():
                    raw = await self._attempt(call, path, data, params, budget)
                answer = await read_aside(call, raw, shape)
            except ApiError as error:
                self._on_attempt(call, type(error).__name__)
                wait_s = budget.wait_after(error)
                if wait_s is None:
                    raise
                _log.debug("%s, next attempt in %.1f s", error, wait_s)
            else:
                self._on_attempt(call, "ok")
                self._origin.succeeded()
                return answer
            await self._clock.sleep(wait_s)

    async def _attempt(  # what is asked, and what it may still spend
        self,
        call: Call,
        path: str,
        data: bytes | None,
        params: Mapping[str, str] | None,
        budget: RetryBudget,
    ) -> Answer:
        import aiohttp  # noqa: PLC0415  # see rest.network

        # Raised outside the handlers: aiohttp's errors hold the request, and with it the token.
        try:
            return await budget.limited(self._exchange(path, data, params, call))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            failure = unanswered(call, self._reason(error), may_have_arrived=False)
        except (aiohttp.ClientError, OSError) as error:
            failure = unanswered(call, self._reason(error), may_have_arrived=True)
        self._show(path, data, params, 0, b"")
        raise failure

    async def _exchange(
        self, path: str, data: bytes | None, params: Mapping[str, str] | None, call: Call
    ) -> Answer:
        async with self._origin.session().request(
            "GET" if data is None else "POST",
            f"{self._base}{path}",
            params=params,
            data=data,
            headers=self._headers(),
            timeout=self._timeout,
            allow_redirects=False,
        ) as response:
            body = await body_of(response, POLICIES[call].max_answer_bytes)
            if body is None:
                self._show(path, data, params, 0, b"")
                raise too_large(call, response.status)
            if response.status >= HTTPStatus.BAD_REQUEST:  # an error's words may quote the request
                body = body.replace(self._token.get_secret_value().encode(), b"***")
            self._show(path, data, params, response.status, body)
            return Answer(response.status, response.headers, body)

    def _show(  # what an exchange consists of
        self, path: str, data: bytes | None, params: Mapping[str, str] | None, status: int, answer: bytes
    ) -> None:
        if self._tap is not None:
            method = "GET" if data is None else "POST"
            sent = data or b""
            self._tap(
                Exchange(
                    method=method, path=path, query=params or {}, body=sent, status=status, response=answer
                )
            )

    def _turns(self, call: Call, path: str, asked: Mapping[str, Any]) -> tuple[str, str, str]:
        """Return what takes turns at a slot: the bot, direct conversations and groups, the conversation."""
        direct = call is Call.USER_INFO or asked.get("channel_type") == ChannelType.PERSON
        about = asked.get("channel_id") or asked.get("uid") or path
        return f"{id(self):x}", "direct" if direct else "group", str(about)

    def _headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self._token.get_secret_value()}",
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": _USER_AGENT,
        }

    def _reason(self, error: Exception) -> str:
        return f"{reason_of(error)} at {self._base}; check apiUrl and the network"


def _not_told(_call: str, _outcome: str) -> None:
    """Tell nobody."""
