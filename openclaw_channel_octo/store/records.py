"""Rows of the journal as plain values."""

from enum import StrEnum

from msgspec import Struct

from openclaw_channel_octo.ids import ChannelRef

__all__ = [
    "Chunk",
    "ChunkState",
    "InboundRow",
    "Ledger",
    "NewInbound",
    "Part",
    "RowState",
    "SaidBefore",
    "SaidRow",
]


class RowState(StrEnum):
    """Life of an inbound message: received → queued → running → one of the ends."""

    RECEIVED = "received"
    QUEUED = "queued"
    RUNNING = "running"
    ANSWERED = "answered"
    NOTIFIED = "notified"
    CONTEXT = "context"
    DEAD = "dead"


class ChunkState(StrEnum):
    """Life of one message of a reply."""

    PLANNED = "planned"
    SENDING = "sending"
    SENT = "sent"
    DEAD = "dead"


class NewInbound(Struct, frozen=True, kw_only=True):
    """A message about to be recorded.

    Attributes:
        account: the bot it reached.
        message_id: the server's id; with ``account`` it names the message for good.
        message_seq: its number in the conversation, 0 for one the server did not store.
        client_msg_no: the sender's id of it.
        from_uid: who sent it, possibly empty.
        channel: the conversation as a bot answers into it.
        timestamp: Unix seconds as the server pushed it.
        payload: the decrypted payload, bytes.
        decision: what the gate said.
        reason: why.
        session_key: the conversation's session, empty for messages that start no turn.
        trace: short id that every log line of the message carries.
        state: ``received`` for messages that address the bot, an end for all others.
        detail: why it ended, for an operator.
    """

    account: str
    message_id: str
    message_seq: int
    client_msg_no: str
    from_uid: str
    channel: ChannelRef
    timestamp: int
    payload: bytes
    decision: str
    reason: str
    session_key: str
    trace: str
    state: RowState
    detail: str = ""


class InboundRow(Struct, frozen=True, kw_only=True):
    """A recorded message that addresses the bot.

    Attributes:
        id: the row's number; rows of one conversation run in this order.
        account: the bot.
        message_id: the server's id of the message.
        message_seq: its number in the conversation.
        from_uid: who sent it.
        channel: the conversation.
        payload: the decrypted payload, bytes.
        decision: ``turn``, ``command`` or ``refused``.
        reason: why the gate decided so.
        session_key: the conversation's session.
        trace: short id for log lines.
        attempt: runs started for it so far.
        state: where it stands.
        ending: the end it has once its planned chunks are sent; empty while more may be planned.
        run_id: its last run, empty before the first.
        since_ms: when it came to stand where it stands, Unix milliseconds; for a running row, when its run began.
        breaks: how often an unexpected error ended its handling.
        retried: whether an operator asked for another answer to it.
    """

    id: int
    account: str
    message_id: str
    message_seq: int
    from_uid: str
    channel: ChannelRef
    payload: bytes
    decision: str
    reason: str
    session_key: str
    trace: str
    attempt: int
    state: RowState
    ending: str = ""
    run_id: str = ""
    since_ms: int = 0
    breaks: int = 0
    retried: bool = False


class Part(Struct, frozen=True, kw_only=True):
    """What one message of a reply is to be.

    Attributes:
        text: what it says; for a file its name, for an operator.
        file: a file that is still to be uploaded, as JSON for whoever uploads it; empty for text.
        payload: the message that shows the file once it is uploaded, JSON.
        reply: the quote it begins with, JSON; empty for none.
    """

    text: str
    file: str = ""
    payload: str = ""
    reply: str = ""


class Chunk(Part, frozen=True, kw_only=True):
    """One message of a reply.

    Attributes:
        ref: our id of it, sent along as ``client_ref`` so that it can be found again.
        state: where it stands.
        since_ms: when it came to stand there, Unix milliseconds.
        message_id: the server's id once it was accepted.
        run_id: the run that wrote it, empty for a notice.
        detail: why it was given up.
    """

    ref: str
    state: ChunkState = ChunkState.PLANNED
    since_ms: int = 0
    message_id: str = ""
    run_id: str = ""
    detail: str = ""


class Ledger(Struct, frozen=True, kw_only=True):
    """What is remembered of a session's failed runs.

    Attributes:
        announced: episodes already announced.
        failures: failed runs in a row.
    """

    announced: frozenset[str]
    failures: int


class SaidRow(Struct, frozen=True):
    """An earlier message of a conversation.

    Attributes:
        seq: its number there.
        from_uid: who sent it.
        payload: the decrypted payload, bytes.
        to_bot: whether it was meant for the bot.
    """

    seq: int
    from_uid: str
    payload: bytes
    to_bot: bool = False


class SaidBefore(Struct, frozen=True):
    """What was said in a conversation before one of its messages.

    Attributes:
        said: oldest first.
        answered: number of the last message before it that was answered, 0 for none.
        begins: number of the first message the journal knows of the conversation.
        reset: whether somebody asked the bot to forget what was said until then.
    """

    said: tuple[SaidRow, ...]
    answered: int
    begins: int
    reset: bool
