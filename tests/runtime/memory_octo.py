"""Octo in memory, for very many bots and simulated days: sockets, bot API and history without a file handle."""

import asyncio
import json
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import SecretStr

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import AmbiguousOutcome, ApiError, TransportError, Unavailable
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.rest.models import (
    Group,
    GroupMember,
    HistoryMessage,
    MentionPreference,
    Notes,
    Registration,
    SentMessage,
    UserInfo,
)
from openclaw_channel_octo.rest.origin import Origin
from openclaw_channel_octo.wire.crypto import KeyPair
from openclaw_channel_octo.wire.packets import Flags
from openclaw_channel_octo.wire.server import ConnectRequested, ServerConnection

HISTORY_ROWS = 16
FIRST_MESSAGE_ID = 2_044_043_250_838_278_145
_KEYS = KeyPair.from_private_bytes(bytes(range(32)))
_SALT = "0123456789abcdef"


class MemorySocket:
    """Both ends of one connection; the client's end is a `Transport`."""

    def __init__(self, account: "MemoryAccount") -> None:
        self.server = ServerConnection(key_pair=_KEYS, salt=_SALT)
        self.mute = False
        """Whether nothing is read or answered any more, on a socket that stays open."""
        self._account = account
        self._arriving: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._open = True

    async def send(self, data: bytes) -> None:
        if not self._open:
            raise TransportError("the connection is closed")
        if self.mute:
            return
        for event in self.server.receive(data):
            if isinstance(event, ConnectRequested):
                self._account.connect(self, event.connect.token)
        self.flush()

    async def receive(self) -> bytes:
        data = await self._arriving.get()
        if data is None:
            raise TransportError("the server closed the connection")
        return data

    async def close(self) -> None:
        self.drop()

    def drop(self) -> None:
        """End the connection without a word."""
        self._open = False
        self._arriving.put_nowait(None)

    def push(self, row: HistoryMessage) -> None:
        """Send a RECV."""
        if self.mute or not self._open:
            return
        self.server.deliver(
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
        self.flush()

    def push_bytes(self, data: bytes) -> None:
        """Send bytes that are no packet."""
        self._arriving.put_nowait(data)

    def flush(self) -> None:
        for packet in self.server.outgoing():
            self._arriving.put_nowait(packet)


class MemoryAccount:
    """One bot, the group it is in, and what goes wrong for it.

    Args:
        octo: where it belongs.
        number: makes its ids.
    """

    def __init__(self, octo: "MemoryOcto", number: int) -> None:
        self.uid = f"bot{number}_bot"
        self.token = f"bf_{number:016d}"
        self.group = ChannelRef(f"group{number}", ChannelType.GROUP)
        self.lose = 0
        """How many of the next messages are stored without being pushed."""
        self.token_known = True
        self.down_until = 0.0
        """Until when no socket can be opened."""
        self.faults: dict[str, list[ApiError]] = {}
        """Errors of the next calls of the bot API, by name; an `AmbiguousOutcome` comes after the deed."""
        self.traffic: Counter[str] = Counter()
        """How often it tried to connect, to register, and to show that it is typing."""
        self.open_ends: Counter[str] = Counter()
        """Texts people still wait for."""
        self.unexpected: list[str] = []
        """Texts nobody asked for, or that were said twice."""
        self._octo = octo
        self._socket: MemorySocket | None = None
        self._rows: deque[HistoryMessage] = deque(maxlen=HISTORY_ROWS)
        self._said_last = 0

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
        return MemorySocket(self)

    def say(self, text: str, *, ends_with: str = "") -> None:
        """Let a person write into the group; with ``ends_with`` the bot is mentioned and has to say that."""
        payload: dict[str, Any] = {"type": 1, "content": text}
        if ends_with:
            payload = {"type": 1, "content": f"@Helper {text}", "mention": {"uids": [self.uid]}}
            self.open_ends[ends_with] += 1
        self._post("ann", payload)

    def repeat_last(self) -> None:
        """Push the newest message once more."""
        if self._socket is not None and self._rows:
            self._socket.push(self._rows[-1])

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

    def history(self, start: int, end: int, limit: int) -> list[HistoryMessage]:
        if start == end == 0:
            return list(self._rows)[-limit:]
        found = [row for row in self._rows if start <= row.message_seq and (not end or row.message_seq < end)]
        return found[:limit]

    def receive(self, payload: Mapping[str, Any]) -> str:
        """Take what the bot says; return its message id."""
        text = str(payload["content"])
        if text not in self._octo.announcements:
            if not self.open_ends[text]:
                self.unexpected.append(text)
            self.open_ends[text] -= 1
            self.open_ends = +self.open_ends
        return self._post(self.uid, payload)

    def _post(self, from_uid: str, payload: Mapping[str, Any]) -> str:
        seq = self._rows[-1].message_seq + 1 if self._rows else 1
        row = HistoryMessage(
            message_id=str(self._octo.next_message_id()),
            message_seq=seq,
            client_msg_no=f"{self.uid}-{seq}",
            from_uid=from_uid,
            channel_id=self.group.id,
            channel_type=int(self.group.type),
            timestamp=self._octo.clock.wall_ms() // 1000,
            payload=json.dumps(payload).encode(),
        )
        self._rows.append(row)
        if self.lose:
            self.lose -= 1
        elif self._socket is not None:
            self._socket.push(row)
        return row.message_id


class MemoryApi:
    """The bot API of one bot, as far as the runtime uses it.

    Args:
        account: whose.
    """

    def __init__(self, account: MemoryAccount) -> None:
        self._account = account

    async def register(self) -> Registration:
        self._account.traffic["register"] += 1
        self._account.kick()
        self._account.token_known = True
        return Registration(
            robot_id=self._account.uid,
            name="Helper",
            im_token=SecretStr(self._account.token),
            ws_url=f"ws://octo.test/{self._account.uid}",
            owner_uid="ann",
        )

    async def send_message(self, channel: ChannelRef, payload: Mapping[str, Any]) -> SentMessage:
        fault = self._fault("sendMessage")
        if isinstance(fault, Unavailable):
            raise fault
        message_id = self._account.receive(payload)
        if fault is not None:
            raise fault
        return SentMessage(message_id=message_id)

    async def typing(self, channel: ChannelRef, *, again: bool = False) -> None:  # as the API
        self._account.traffic["typing"] += 1
        self._raise("typing")

    async def read_receipt(self, channel: ChannelRef, message_ids: Sequence[str]) -> None:
        self._raise("readReceipt")

    async def sync_messages(
        self, channel: ChannelRef, *, start: int = 0, end: int = 0, limit: int = 50
    ) -> list[HistoryMessage]:
        self._raise("messages/sync")
        return self._account.history(start, end, limit) if channel == self._account.group else []

    async def groups(self) -> list[Group]:
        self._raise("groups")
        return [Group(group_no=self._account.group.id)]

    async def group_members(self, group_no: str) -> list[GroupMember]:
        self._raise("members")
        return [GroupMember(uid="ann", name="Ann")]

    async def mention_preference(self, group_no: str) -> MentionPreference:
        self._raise("mentionPref")
        return MentionPreference()

    async def notes(self, channel: ChannelRef) -> Notes:
        self._raise("groupMd")
        return Notes()

    async def user_info(self, uid: str) -> UserInfo:
        self._raise("user/info")
        return UserInfo(uid=uid, name="Ann")

    async def close(self) -> None:
        """There is nothing to close."""

    def _fault(self, call: str) -> ApiError | None:
        waiting = self._account.faults.get(call)
        return waiting.pop(0) if waiting else None

    def _raise(self, call: str) -> None:
        if (fault := self._fault(call)) is not None:
            raise fault


class MemoryOcto:
    """Every bot and what they share.

    Args:
        clock: time.
        bots: how many there are.
        announcements: texts that say nothing about a single message.
    """

    def __init__(self, clock: Clock, bots: int, announcements: frozenset[str]) -> None:
        self.clock = clock
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
        return MemoryApi(self._by_token[token.get_secret_value()])

    def next_message_id(self) -> int:
        self._message_id += 2
        return self._message_id


def lost_answer() -> ApiError:
    """Return the error of a message that was accepted before its connection broke."""
    return AmbiguousOutcome("sendMessage", "the connection broke")


def unavailable(call: str) -> ApiError:
    """Return the error of a call nobody carried out."""
    return Unavailable(call, "a proxy answered in its place", status=503)
