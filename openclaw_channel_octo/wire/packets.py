"""The packets of the WuKongIM protocol as plain values, and the vocabularies they use (protocol §2)."""

from enum import IntEnum, IntFlag
from typing import ClassVar

from msgspec import Struct

from openclaw_channel_octo.values import SecretStruct

__all__ = [
    "HIGHEST_VERSION",
    "Connack",
    "Connect",
    "Disconnect",
    "Event",
    "Flags",
    "MessageFields",
    "Packet",
    "PacketType",
    "Ping",
    "Pong",
    "ReasonCode",
    "Recv",
    "Recvack",
    "Send",
    "Sendack",
    "Setting",
    "StreamPart",
    "Sub",
    "Suback",
]

HIGHEST_VERSION = 6
"""The newest protocol version the codec knows (protocol §2.4)."""


class PacketType(IntEnum):
    """The high nibble of the header byte (protocol §2.2). 0 and 13 to 15 are protocol errors."""

    CONNECT = 1
    CONNACK = 2
    SEND = 3
    SENDACK = 4
    RECV = 5
    RECVACK = 6
    PING = 7
    PONG = 8
    DISCONNECT = 9
    SUB = 10
    SUBACK = 11
    EVENT = 12


class ReasonCode(IntEnum):
    """Reasons in CONNACK, SENDACK, SUBACK and DISCONNECT (protocol §2.7); unknown codes stay integers."""

    UNKNOWN = 0
    SUCCESS = 1
    AUTH_FAILED = 2
    NOT_A_SUBSCRIBER = 3
    BLACKLISTED = 4
    NO_SUCH_CHANNEL = 5
    USER_NOT_ON_NODE = 6
    SENDER_OFFLINE = 7
    WRONG_MSG_KEY = 8
    PAYLOAD_DECODE_FAILED = 9
    FORWARDING_FAILED = 10
    SEND_NOT_ALLOWED = 11
    KICKED = 12
    NOT_IN_WHITELIST = 13
    TOKEN_LOOKUP_FAILED = 14
    SYSTEM_ERROR = 15
    INVALID_CHANNEL_ID = 16
    NODE_MATCH_ERROR = 17
    WRONG_NODE = 18
    BANNED = 19
    UNSUPPORTED_HEADER = 20
    CLIENT_KEY_EMPTY = 21
    RATE_LIMITED = 22
    UNSUPPORTED_CHANNEL_TYPE = 23
    CHANNEL_DISBANDED = 24
    SENDING_BANNED = 25
    CHANNEL_BEING_DELETED = 26
    UPGRADE_REQUIRED = 27
    IDEMPOTENCY_CONFLICT = 28
    MESSAGE_SEQ_EXHAUSTED = 29


class Flags(IntFlag):
    """The low nibble of the header byte of SEND, SENDACK, RECV and RECVACK (protocol §2.2)."""

    NONE = 0
    NO_PERSIST = 1
    RED_DOT = 2
    SYNC_ONCE = 4
    DUP = 8


class Setting(IntFlag):
    """The setting byte of SEND and RECV (protocol §2.6). Unnamed bits are kept."""

    NONE = 0
    STREAM = 0x02
    TOPIC = 0x08
    NO_ENCRYPT = 0x10
    SIGNAL = 0x20
    RECEIPT = 0x80


class Connect(SecretStruct, frozen=True, kw_only=True):
    """Client to server: who connects and with which key (protocol §2.5).

    Attributes:
        version: highest protocol version the client speaks.
        device_flag: 0 app, 1 web, 2 desktop; must be the one the token is registered for.
        device_id: any stable identifier of the installation.
        uid: the account.
        token: the account's secret; never shown in ``repr``.
        client_timestamp: Unix milliseconds.
        client_key: base64 of the 32-byte X25519 public key.
    """

    HIDDEN: ClassVar = frozenset({"token"})

    version: int
    device_flag: int
    device_id: str
    uid: str
    token: str
    client_timestamp: int
    client_key: str


class Connack(Struct, frozen=True, kw_only=True):
    """Server to client: the answer to CONNECT (protocol §2.5).

    Attributes:
        reason_code: 1 is success, see `ReasonCode`.
        time_diff: server clock minus ``Connect.client_timestamp``, milliseconds.
        server_key: base64 of the server's public key; empty when nothing is encrypted, and on failure.
        salt: its first 16 bytes are the initialisation vector; empty where ``server_key`` is.
        server_version: the version both sides use from here on; ``None`` where the packet does not say.
        node_id: the server's node in its cluster; ``None`` where the packet has none.
    """

    reason_code: int
    time_diff: int = 0
    server_key: str = ""
    salt: str = ""
    server_version: int | None = None
    node_id: int | None = None


class Send(Struct, frozen=True, kw_only=True):
    """Client to server: a message (protocol §2.5).

    Attributes:
        client_seq: unique in the connection, comes back in SENDACK.
        client_msg_no: unique for the message, reaches the receivers.
        channel_id: group, thread, or the peer's uid.
        channel_type: see protocol §2.9.
        payload: wire bytes: base64 ciphertext, or plain where nothing is encrypted.
        msg_key: integrity key over the wire payload, 32 hexadecimal characters or empty.
        expire: lifetime in seconds, 0 for ever; not sent before version 3.
        setting: bits that say which optional fields follow.
        flags: the header's bits.
        topic: sent only with `Setting.TOPIC`.
        stream_no: sent only with `Setting.STREAM` in versions 2 to 4.
    """

    client_seq: int
    client_msg_no: str
    channel_id: str
    channel_type: int
    payload: bytes
    msg_key: str = ""
    expire: int = 0
    setting: Setting = Setting.NONE
    flags: Flags = Flags.NONE
    topic: str = ""
    stream_no: str | None = None


class Sendack(Struct, frozen=True, kw_only=True):
    """Server to client: what became of a SEND (protocol §2.5).

    Attributes:
        message_id: the message's id, unique on the server.
        message_seq: its place in the channel's log, 0 when it was not stored.
        client_seq: copied from the SEND.
        reason_code: 1 is success, see `ReasonCode`.
        client_msg_no: copied from the SEND by the v3 line, empty on 2.2.
        flags: the header's bits; without meaning here.
    """

    message_id: int
    message_seq: int
    client_seq: int
    reason_code: int
    client_msg_no: str = ""
    flags: Flags = Flags.NONE


class StreamPart(Struct, frozen=True, kw_only=True):
    """Which part of a stream an old server's message is (protocol §2.5).

    Attributes:
        flag: whether it is the first, a middle or the last part.
        stream_no: the stream.
        stream_id: its place in the stream.
    """

    flag: int
    stream_no: str
    stream_id: int


class MessageFields(Struct, frozen=True, kw_only=True):
    """What a message has on the wire and behind it (protocol §2.5).

    Attributes:
        message_id: unique on the server.
        message_seq: place in the channel's log, 0 when it is not stored.
        client_msg_no: the sender's id of the message.
        from_uid: the sender; empty for the system account.
        channel_id: the conversation as the recipient sees it; may be empty.
        channel_type: see protocol §2.9.
        timestamp: Unix seconds.
        payload: its content; how it is written, each kind of message says.
        expire: lifetime in seconds, 0 for ever; not sent before version 3.
        setting: bits that say which optional fields are there.
        flags: the header's bits, to be handed back in the acknowledgement.
        topic: empty without `Setting.TOPIC`.
        stream: only with `Setting.STREAM`, in versions 2 to 4.
    """

    message_id: int
    message_seq: int
    client_msg_no: str
    from_uid: str
    channel_id: str
    channel_type: int
    timestamp: int
    payload: bytes
    expire: int = 0
    setting: Setting = Setting.NONE
    flags: Flags = Flags.NONE
    topic: str = ""
    stream: StreamPart | None = None


class Recv(MessageFields, frozen=True, kw_only=True):
    """Server to client: a message, its payload in wire bytes: base64 ciphertext, or plain where nothing is encrypted.

    Attributes:
        msg_key: integrity key over the wire payload, 32 hexadecimal characters or empty.
    """

    msg_key: str = ""


class Recvack(Struct, frozen=True, kw_only=True):
    """Client to server: a message has been taken over (protocol §2.5).

    Attributes:
        message_id: copied from the RECV.
        message_seq: copied from the RECV.
        flags: noPersist, redDot and syncOnce copied from the RECV.
    """

    message_id: int
    message_seq: int
    flags: Flags = Flags.NONE


class Ping(Struct, frozen=True, kw_only=True):
    """Client to server: are you there."""


class Pong(Struct, frozen=True, kw_only=True):
    """Server to client: the answer to PING."""


class Disconnect(Struct, frozen=True, kw_only=True):
    """Server to client: this connection is over (protocol §4.4).

    Attributes:
        reason_code: see `ReasonCode`; 12 is a kick.
        reason: the server's words, possibly empty.
    """

    reason_code: int
    reason: str = ""


class Sub(Struct, frozen=True, kw_only=True):
    """Client to server: subscribe to a channel; 1.x servers only (protocol §2.5).

    Attributes:
        sub_no: the client's id of the request.
        channel_id: the channel.
        channel_type: see protocol §2.9.
        action: 0 subscribe, 1 unsubscribe.
        param: free text.
        setting: the setting byte.
    """

    sub_no: str
    channel_id: str
    channel_type: int
    action: int
    param: str = ""
    setting: Setting = Setting.NONE


class Suback(Struct, frozen=True, kw_only=True):
    """Server to client: the answer to SUB (protocol §2.5).

    Attributes:
        sub_no: copied from the SUB.
        channel_id: copied from the SUB.
        channel_type: copied from the SUB.
        action: copied from the SUB.
        reason_code: 1 is success, see `ReasonCode`.
    """

    sub_no: str
    channel_id: str
    channel_type: int
    action: int
    reason_code: int


class Event(Struct, frozen=True, kw_only=True):
    """Server to client: something live that is never stored, acknowledged or sent again (protocol §7).

    Attributes:
        id: the event's id, may be empty.
        type: what happened, such as ``stream.delta``.
        timestamp: milliseconds by convention, as the sender wrote it.
        data: never encrypted.
    """

    id: str
    type: str
    timestamp: int
    data: bytes


Packet = Connect | Connack | Send | Sendack | Recv | Recvack | Ping | Pong | Disconnect | Sub | Suback | Event
