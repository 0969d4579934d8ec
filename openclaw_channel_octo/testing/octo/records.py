"""What the double takes from a test and hands back to it: plain values."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from msgspec import Struct

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing.octo.refusals import Envelope
from openclaw_channel_octo.testing.octo.wire_server import Damage
from openclaw_channel_octo.wire.packets import Event, Flags, Setting

__all__ = ["Ack", "ChatLine", "RawEvent", "RawMessage", "RestCall", "Split", "Switches"]


class RestCall(Struct, frozen=True, kw_only=True):
    """One request of the bot API.

    Attributes:
        at: the double's clock when it arrived, seconds.
        bot: uid of the bot whose token came with it, empty for a refused token.
        name: the call, such as ``sendMessage``.
        body: the request's JSON; ``None`` where there was none, or no JSON.
        query: the query parameters and those of the path.
        status: HTTP status of the answer; ``None`` while there is none, 0 when there will be none.
    """

    at: float
    bot: str
    name: str
    body: Any = None
    query: Mapping[str, str]
    status: int | None = None


class Ack(Struct, frozen=True, kw_only=True):
    """One RECVACK.

    Attributes:
        at: the double's clock when it arrived, seconds.
        uid: whose connection it came from.
        message_id: as a string.
        message_seq: as acknowledged.
        flags: the packet's header bits.
    """

    at: float
    uid: str
    message_id: str
    message_seq: int
    flags: Flags


class ChatLine(Struct, frozen=True, kw_only=True):
    """One message of a conversation as people see it: edits applied, commands left out.

    Attributes:
        message_id: as a string.
        message_seq: its place in the conversation's log.
        timestamp: Unix seconds.
        from_uid: the sender, empty for the system.
        name: the sender's display name.
        text: what is shown: the text, or the type in brackets.
        payload: the payload's JSON object as last edited, empty where it is none.
        edited: whether the sender changed it.
        read_by: uids of the bots that sent a read receipt for it.
    """

    message_id: str
    message_seq: int
    timestamp: int
    from_uid: str
    name: str
    text: str
    payload: Mapping[str, Any]
    edited: bool = False
    read_by: frozenset[str] = frozenset()


class RawMessage(Struct, frozen=True, kw_only=True):
    """A RECV exactly as a test wants it, for `OctoDouble.inject`.

    Attributes:
        from_uid: the sender, may be empty.
        channel: the conversation as the recipient sees it; the id may be empty.
        payload: plaintext bytes, JSON or not.
        message_id: ``None`` for the next one.
        message_seq: ``None`` for the conversation's next one, 0 if ``flags`` say that it is not stored.
        client_msg_no: ``None`` for a fresh one.
        timestamp: Unix seconds, ``None`` for the double's clock.
        flags: the header's bits.
        setting: the setting byte.
        topic: sent only with `Setting.TOPIC`.
        damage: a fault to put into the encryption.
    """

    from_uid: str
    channel: ChannelRef
    payload: bytes
    message_id: int | None = None
    message_seq: int | None = None
    client_msg_no: str | None = None
    timestamp: int | None = None
    flags: Flags = Flags.RED_DOT
    setting: Setting = Setting.NONE
    topic: str = ""
    damage: Damage | None = None


RawEvent = Event
"""An EVENT packet for `OctoDouble.inject`."""


class Split(StrEnum):
    """How packets that go out are put into WebSocket messages."""

    WHOLE = "whole"
    """One packet in each message, as servers do (protocol §14)."""
    BYTEWISE = "bytewise"
    """One byte in each message."""
    COALESCED = "coalesced"
    """Everything that waits in one message."""

    def cut(self, packets: Sequence[bytes]) -> list[bytes]:
        """Return the WebSocket messages that carry ``packets``."""
        match self:
            case Split.WHOLE:
                return list(packets)
            case Split.BYTEWISE:
                return [bytes((byte,)) for packet in packets for byte in packet]
            case Split.COALESCED:
                return [b"".join(packets)] if packets else []


class Switches:
    """What a test may switch on a double, at any time."""

    def __init__(self) -> None:
        self.api_url = ""
        """Where the bot API is; ``api_url + "/api"`` serves it too, as behind the reference proxy."""
        self.ws_url = ""
        """Where the socket is."""
        self.ws_url_override: str | None = None
        """What ``register`` answers in place of `ws_url`, such as an address nobody reaches."""
        self.envelope = Envelope.S
        """Which generation of the server errors look like (octo-bot-api §1.4)."""
        self.dropped_keys: frozenset[str] = frozenset()
        """Keys of payloads that do not survive `sendMessage`, as with a server that rebuilds them."""
        self.split = Split.WHOLE
        """How outgoing packets are put into WebSocket messages."""
        self.login_refusal: int | None = None
        """Reason of the CONNACK that refuses every login, as servers other than 2.2.4 say it; ``None`` for none."""
