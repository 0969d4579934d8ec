"""Octo in memory, for very many bots and simulated days: sockets, bot API and history without a file handle."""

import asyncio
import json
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct
from pydantic import SecretStr

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.errors import AmbiguousOutcome, ApiError, NotFound, TransportError, Unavailable
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.rest.attempts import Origin
from openclaw_channel_octo.rest.models import (
    Group,
    GroupMember,
    GroupNotes,
    HistoryMessage,
    MentionPreference,
    Registration,
    SentMessage,
    UserInfo,
)
from openclaw_channel_octo.testing.octo.wire_server import ServerEvent
from openclaw_channel_octo.wire.packets import Connect, Flags, Recv
from tests.runtime.connection.scripted_wire import Ends

HISTORY_ROWS = 16
CALL_WITHIN_S = 30.0
FIRST_MESSAGE_ID = 2_044_043_250_838_278_145
_T = TypeVar("_T")


class Stuck(Struct, frozen=True):
    """A fault: the call gets no answer until `MemoryAccount.release`.

    Attributes:
        done: whether the server carries it out before it falls silent.
    """

    done: bool = False


Fault = ApiError | Stuck
"""What a call can meet; an `AmbiguousOutcome` comes after the deed, every other error in its place."""


class MemorySocket(Ends):
    """A connection of an account."""

    def __init__(self, account: "MemoryAccount") -> None:
        super().__init__()
        self._account = account

    def took(self, event: ServerEvent) -> None:
        if isinstance(event, Connect):
            self._account.connect(self, event.token)

    async def close(self) -> None:
        if not self.closed:
            self._account.sockets -= 1
        await super().close()

    def push(self, row: HistoryMessage) -> None:
        """Send a RECV."""
        if self.mute or self.closed or self.dropped:
            return
        recv = Recv(
            message_id=int(row.message_id),
            message_seq=row.message_seq,
            client_msg_no=row.client_msg_no,
            from_uid=row.from_uid,
            channel_id=row.channel_id,
            channel_type=row.channel_type,
            timestamp=row.timestamp,
            payload=row.payload,
            flags=Flags.RED_DOT,
        )
        self.server.deliver(recv)
        self.flush()


class MemoryAccount:
    """One bot, the group, the thread and the person it talks to, and what goes wrong for it.

    Args:
        octo: where it belongs.
        number: makes its ids.
    """

    def __init__(self, octo: "MemoryOcto", number: int) -> None:
        self.uid = f"bot{number}_bot"
        self.token = f"bf_{number:016d}"
        self.group = ChannelRef(f"group{number}", ChannelType.GROUP)
        self.thread = ChannelRef(f"{self.group.id}____2039626171074744320", ChannelType.THREAD)
        self.direct = ChannelRef("ann", ChannelType.PERSON)
        self.lose = 0
        """How many of the next messages are stored without being pushed."""
        self.token_known = True
        self.down_until = 0.0
        """Until when no socket can be opened."""
        self.faults: dict[str, list[Fault]] = {}
        """What the next calls of the bot API meet, by name."""
        self.stuck: dict[str, Stuck] = {}
        """What every call meets for which no fault was planned, by name."""
        self.traffic: Counter[str] = Counter()
        """How often it tried to connect, and made each call of the bot API."""
        self.under_way = 0
        """Calls of the bot API that have no answer yet."""
        self.edits: dict[str, bytes] = {}
        """By message id, the payload that the bot put in place of the first."""
        self.sockets = 0
        """Sockets the bot has opened and not closed."""
        self.open_ends: Counter[str] = Counter()
        """Texts people still wait for."""
        self.unexpected: list[str] = []
        """Texts nobody asked for, or that were said twice."""
        self._octo = octo
        self._socket: MemorySocket | None = None
        self._rows: dict[ChannelRef, deque[HistoryMessage]] = {}
        self._released = asyncio.Event()

    @property
    def online(self) -> bool:
        """Whether its connection is up and alive."""
        return self._socket is not None and not self._socket.mute

    def connect(self, socket: MemorySocket, token: str) -> None:
        """Answer a CONNECT; one with a wrong token gets no answer at all."""
        if token != self.token or not self.token_known:
            socket.mute = True
            return
        if self._socket is not None:
            self._socket.mute = True
        self._socket = socket
        socket.server.accept(self._octo.clock.wall_ms())

    def opened(self) -> MemorySocket:
        """Return a new socket, or raise `TransportError` while the server is down."""
        self.traffic["connect"] += 1
        if self._octo.clock.now() < self.down_until:
            raise TransportError("nothing answers")
        self.sockets += 1
        return MemorySocket(self)

    def say(self, text: str, *, ends_with: str = "") -> None:
        """Let a person write into the group; with ``ends_with`` the bot is mentioned and has to say that."""
        if ends_with:
            self.open_ends[ends_with] += 1
            self.address(text, self.group)
        else:
            self._post("ann", self.group, {"type": 1, "content": text})

    def address(self, text: str, channel: ChannelRef) -> str:
        """Let a person write to the bot; return the message id."""
        payload = {"type": 1, "content": f"@Helper {text}", "mention": {"uids": [self.uid]}}
        return self._post("ann", channel, payload)

    def chat(self, channel: ChannelRef) -> Sequence[HistoryMessage]:
        """Return what stands in a conversation, oldest first."""
        return tuple(self._rows.get(channel, ()))

    def seen(self, channel: ChannelRef) -> Sequence[HistoryMessage]:
        """Return the same with its edits, as people see it and the history does not tell it."""
        return [
            row.model_copy(update={"payload": self.edits.get(row.message_id, row.payload)})
            for row in self.chat(channel)
        ]

    def edit(self, message_id: str, payload: Mapping[str, Any]) -> None:
        """Put another payload in place of a message's."""
        if not any(row.message_id == message_id for rows in self._rows.values() for row in rows):
            raise NotFound("editMessage", "there is no such message", status=400)
        self.edits[message_id] = json.dumps(payload).encode()

    def release(self) -> None:
        """Let every call go on that is stuck; later ones are stuck again."""
        self._released.set()
        self._released = asyncio.Event()

    async def until_released(self) -> None:
        """Return after the next `release`."""
        await self._released.wait()

    def repeat_last(self) -> None:
        """Push the newest message once more."""
        if self._socket is not None and self.chat(self.group):
            self._socket.push(self.chat(self.group)[-1])

    def break_connection(self) -> None:
        if self._socket is not None:
            self._socket.drop()

    def fall_silent(self) -> None:
        if self._socket is not None:
            self._socket.mute = True

    def kick(self) -> None:
        if self._socket is not None and not self._socket.mute:
            self._socket.server.disconnect(text="login in other device")
            self._socket.flush()
            self._socket.mute = True

    def send_garbage(self) -> None:
        if self._socket is not None:
            self._socket.push_bytes(b"\xf0\x00")

    def forget_token(self) -> None:
        self.token_known = False
        self.break_connection()

    def go_down(self, seconds: float) -> None:
        self.down_until = self._octo.clock.now() + seconds
        self.break_connection()

    def history(self, channel: ChannelRef, start: int, end: int, limit: int) -> list[HistoryMessage]:
        rows = self.chat(channel)
        if start == end == 0:
            return list(rows)[-limit:]
        found = [row for row in rows if start <= row.message_seq and (not end or row.message_seq < end)]
        return found[:limit]

    def receive(self, channel: ChannelRef, payload: Mapping[str, Any]) -> str:
        """Take what the bot says; return its message id."""
        text = self._octo.end_of(str(payload["content"]))
        if text not in self._octo.announcements:
            if not self.open_ends[text]:
                self.unexpected.append(text)
            self.open_ends[text] -= 1
            self.open_ends = +self.open_ends
        return self._post(self.uid, channel, payload)

    def _post(self, from_uid: str, channel: ChannelRef, payload: Mapping[str, Any]) -> str:
        rows = self._rows.setdefault(channel, deque(maxlen=self._octo.history_rows))
        seq = rows[-1].message_seq + 1 if rows else 1
        row = HistoryMessage(
            message_id=str(self._octo.next_message_id()),
            message_seq=seq,
            client_msg_no=f"{self.uid}-{channel.type}-{seq}",
            from_uid=from_uid,
            channel_id=channel.id,
            channel_type=int(channel.type),
            timestamp=self._octo.clock.wall_ms() // 1000,
            payload=json.dumps(payload).encode(),
        )
        rows.append(row)
        if self.lose:
            self.lose -= 1
        elif self._socket is not None:
            self._socket.push(row)
        return row.message_id


class MemoryApi:
    """The bot API of one bot, as far as the runtime uses it.

    Args:
        account: whose.
        clock: time.
        origin: told of calls that succeed.
    """

    def __init__(self, account: MemoryAccount, clock: Clock, origin: Origin) -> None:
        self._account = account
        self._clock = clock
        self._origin = origin

    async def register(self) -> Registration:
        def registered() -> Registration:
            self._account.kick()
            self._account.token_known = True
            return Registration(
                robot_id=self._account.uid,
                name="Helper",
                im_token=SecretStr(self._account.token),
                ws_url=f"ws://octo.test/{self._account.uid}",
                owner_uid="ann",
            )

        return await self._call("register", registered)

    async def send_message(self, channel: ChannelRef, payload: Mapping[str, Any]) -> SentMessage:
        return await self._call(
            "sendMessage", lambda: SentMessage(message_id=self._account.receive(channel, payload))
        )

    async def edit_message(self, channel: ChannelRef, message_id: str, payload: Mapping[str, Any]) -> None:
        await self._call("editMessage", lambda: self._account.edit(message_id, payload))

    edit_progress = edit_message

    def is_full(self, call: str) -> bool:
        return False

    async def typing(self, channel: ChannelRef, *, again: bool = False) -> None:  # as the API
        await self._call("typing", lambda: None)

    async def read_receipt(self, channel: ChannelRef, message_ids: Sequence[str]) -> None:
        await self._call("readReceipt", lambda: None)

    async def sync_messages(
        self,
        channel: ChannelRef,
        *,
        start: int = 0,
        end: int = 0,
        limit: int = 50,
        within_s: float | None = None,
    ) -> list[HistoryMessage]:
        return await self._call(
            "messages/sync", lambda: self._account.history(channel, start, end, limit), within_s
        )

    async def groups(self, *, within_s: float | None = None) -> list[Group]:
        return await self._call("groups", lambda: [Group(group_no=self._account.group.id)], within_s)

    async def group_members(self, group_no: str) -> list[GroupMember]:
        return await self._call("members", lambda: [GroupMember(uid="ann", name="Ann")])

    async def mention_preference(self, group_no: str) -> MentionPreference:
        return await self._call("mentionPref", MentionPreference)

    async def notes(self, channel: ChannelRef) -> GroupNotes:
        return await self._call("groupMd", GroupNotes)

    async def user_info(self, uid: str) -> UserInfo:
        return await self._call("user/info", lambda: UserInfo(uid=uid, name="Ann"))

    async def pause(self, seconds: float) -> bool:
        return await self._origin.pause(self._clock, seconds)

    async def close(self) -> None:
        """There is nothing to close."""

    async def _call(self, call: str, do: Callable[[], _T], within_s: float | None = None) -> _T:
        """Make a call as the server does it, or meet the fault that waits for it."""
        account = self._account
        account.traffic[call] += 1
        account.under_way += 1
        try:
            waiting = account.faults.get(call)
            fault = waiting.pop(0) if waiting else account.stuck.get(call)
            answer = await self._met(call, do, fault, within_s or CALL_WITHIN_S)
        finally:
            account.under_way -= 1
        self._origin.succeeded()
        return answer

    async def _met(self, call: str, do: Callable[[], _T], fault: Fault | None, within_s: float) -> _T:
        match fault:
            case Stuck(done=True):
                answer = do()
                await self._get_stuck(call, within_s)
                return answer
            case Stuck():
                await self._get_stuck(call, within_s)
            case AmbiguousOutcome():
                do()
                raise fault
            case ApiError():
                raise fault
        return do()

    async def _get_stuck(self, call: str, within_s: float) -> None:
        try:
            await within(self._clock, within_s, self._account.until_released())
        except TimeoutError:
            raise (
                AmbiguousOutcome(call, "no answer") if call == "sendMessage" else unavailable(call)
            ) from None


class MemoryOcto:
    """Every bot and what they share.

    Args:
        clock: time.
        bots: how many there are.
        announcements: texts that say nothing about a single message.
        history_rows: messages of one conversation that the history keeps.
    """

    def __init__(
        self, clock: Clock, bots: int, announcements: frozenset[str], *, history_rows: int = HISTORY_ROWS
    ) -> None:
        self.clock = clock
        self.end_of: Callable[[str], str] = str
        """Tells a text that ends a message without what else it says."""
        self.history_rows = history_rows
        self.announcements = announcements
        self.accounts = [MemoryAccount(self, number) for number in range(bots)]
        self._by_uid = {account.uid: account for account in self.accounts}
        self._by_token = {account.token: account for account in self.accounts}
        self._message_id = FIRST_MESSAGE_ID

    async def open(self, url: str) -> MemorySocket:
        """Open a socket as `open_websocket` does."""
        return self._by_uid[url.rpartition("/")[2]].opened()

    def api(
        self, *, base_url: str, token: SecretStr, clock: Clock, origin: Origin, **_watchers: object
    ) -> MemoryApi:
        """Make a bot's API as `BotApi` is made."""
        return MemoryApi(self._by_token[token.get_secret_value()], clock, origin)

    def next_message_id(self) -> int:
        self._message_id += 2
        return self._message_id


def lost_answer() -> ApiError:
    """Return the error of a message that was accepted before its connection broke."""
    return AmbiguousOutcome("sendMessage", "the connection broke")


def unavailable(call: str) -> ApiError:
    """Return the error of a call nobody carried out."""
    return Unavailable(call, "a proxy answered in its place", status=503)
