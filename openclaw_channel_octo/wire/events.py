"""What a client connection tells its owner."""

from msgspec import Struct

from openclaw_channel_octo.wire.packets import Event, Flags, MessageFields, ReasonCode

__all__ = [
    "Connected",
    "ConnectionEvent",
    "InboundMessage",
    "Kicked",
    "Pushed",
    "Received",
    "Rejected",
    "Silent",
    "Undecodable",
    "reason_words",
]


class InboundMessage(MessageFields, frozen=True, kw_only=True):
    """A message whose key was verified, and whose payload is plaintext: a JSON object by convention only."""


class Connected(Struct, frozen=True, kw_only=True):
    """The session is up.

    Attributes:
        server_version: the negotiated protocol version.
        time_diff_ms: server clock minus ours at CONNECT, milliseconds.
        node_id: the server's node, ``None`` where it did not say.
        encrypted: whether payloads are encrypted.
    """

    server_version: int
    time_diff_ms: int
    node_id: int | None
    encrypted: bool


class Rejected(Struct, frozen=True, kw_only=True):
    """The server answered CONNECT with a failure; the connection is closed (protocol §4.3).

    Attributes:
        reason: a `ReasonCode`, or a code this package does not know.
    """

    reason: int


class Received(Struct, frozen=True, kw_only=True):
    """A message arrived. Acknowledge it once it is safe on this side (protocol §4.6).

    Attributes:
        message: what arrived.
        at: when, monotonic seconds of the clock the connection is given; 0 for one that was fetched.
    """

    message: InboundMessage
    at: float = 0.0


class Undecodable(Struct, frozen=True, kw_only=True):
    """A message whose key is wrong or that cannot be decrypted; nothing of its payload is passed on.

    Attributes:
        message_id: unique on the server.
        message_seq: place in the channel's log, 0 when it is not stored.
        flags: the header's bits, to be handed back should the message be acknowledged.
        client_msg_no: the sender's id of the message; unverified like every field here.
        from_uid: the sender.
        channel_id: the conversation.
        channel_type: see protocol §2.9.
        problem: what is wrong, safe to log.
    """

    message_id: int
    message_seq: int
    flags: Flags
    client_msg_no: str
    from_uid: str
    channel_id: str
    channel_type: int
    problem: str


class Pushed(Struct, frozen=True, kw_only=True):
    """An EVENT packet arrived; it is never acknowledged (protocol §7)."""

    event: Event


class Kicked(Struct, frozen=True, kw_only=True):
    """The server ended the session; close the transport at once, the server may not (protocol §4.4).

    Attributes:
        reason: a `ReasonCode`; 12 means the account is in use elsewhere or was registered again.
        text: the server's words, possibly empty.
    """

    reason: int
    text: str


class Silent(Struct, frozen=True, kw_only=True):
    """The server does not answer: close the transport (protocol §4.2).

    Attributes:
        seconds: how long nothing came, or how long CONNACK has been awaited.
    """

    seconds: float


def reason_words(reason: int, text: str = "") -> str:
    """Return why a server refused or ended a connection, in words.

    Args:
        reason: a `ReasonCode`, or a number no version of the protocol here has.
        text: the server's words; some servers put the number there (protocol §14).
    """
    known = reason in ReasonCode.__members__.values()
    named = f"reason {reason}, {ReasonCode(reason).name.lower().replace('_', ' ') if known else 'unknown'}"
    return f"{text} ({named})" if text and not text.isdecimal() else named


ConnectionEvent = Connected | Rejected | Received | Undecodable | Pushed | Kicked | Silent
