"""Rows of the journal as plain values."""

from msgspec import Struct

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store.states import ChunkState, RowState

__all__ = [
    "Chunk",
    "InboundRow",
    "Ledger",
    "NewInbound",
    "NewPost",
    "Part",
    "Post",
    "ProgressRow",
    "SaidBefore",
    "SaidRow",
    "StoredMessage",
]


class StoredMessage(Struct, frozen=True, kw_only=True):
    """What is known of every message.

    Attributes:
        account: the bot it reached.
        message_id: the server's id; with ``account`` it names the message for good.
        message_seq: its number in the conversation, 0 for one the server did not store.
        from_uid: who sent it, possibly empty.
        payload: the decrypted payload, bytes.
        decision: what the gate said, for a message that addresses the bot ``turn``, ``command`` or ``refused``.
        reason: why.
        session_key: the conversation's session, empty for messages that start no turn.
        trace: short id that every log line of the message carries.
        state: where it stands.
    """

    account: str
    message_id: str
    message_seq: int
    from_uid: str
    payload: bytes
    decision: str
    reason: str
    session_key: str
    trace: str
    state: RowState


class NewInbound(StoredMessage, frozen=True, kw_only=True):
    """A message about to be recorded: ``received`` if it addresses the bot, any other with an end.

    Attributes:
        channel: the conversation as a bot answers into it.
        client_msg_no: the sender's id of it.
        timestamp: Unix seconds as the server pushed it.
        detail: why it ended, for an operator.
    """

    channel: ChannelRef
    client_msg_no: str
    timestamp: int
    detail: str = ""


class InboundRow(StoredMessage, frozen=True, kw_only=True):
    """A recorded message that addresses the bot.

    Attributes:
        id: the row's number; rows of one conversation run in this order.
        channel: the conversation.
        attempt: runs started for it so far.
        ending: the end it has once its planned chunks are sent; empty while more may be planned.
        run_id: its last run, empty before the first.
        since_ms: when it came to stand where it stands, Unix milliseconds; for a running row, when its run began.
        breaks: how often an unexpected error ended its handling.
        retried: whether an operator asked for another answer to it.
    """

    id: int
    channel: ChannelRef
    attempt: int
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
        replaces: the message of ours it is put in place of by an edit; empty for one that is sent.
    """

    ref: str
    state: ChunkState = ChunkState.PLANNED
    since_ms: int = 0
    message_id: str = ""
    run_id: str = ""
    detail: str = ""
    replaces: str = ""


class ProgressRow(Struct, frozen=True, kw_only=True):
    """A message that shows the progress of a turn and may still say so.

    Attributes:
        ref: our id of it, sent along as ``client_ref``.
        message_id: the server's id, empty until it is known.
        began_at: when the turn began, Unix milliseconds.
        planned_at: when it was planned, Unix milliseconds.
        is_passed: whether something that belongs before the answer stands behind it.
    """

    ref: str
    message_id: str
    began_at: int
    planned_at: int
    is_passed: bool = False


class NewPost(Struct, frozen=True, kw_only=True):
    """A send with a key, about to be planned.

    Attributes:
        account: the bot.
        key: names the send for good, together with ``account``.
        digest: of the request, to tell another one with the same key.
        channel: where it goes.
        reason: why there, a `message.target.Resolution`.
    """

    account: str
    key: str
    digest: str
    channel: ChannelRef
    reason: str


class Post(NewPost, frozen=True, kw_only=True):
    """A send that is planned.

    Attributes:
        id: its number.
        planned_ms: when it was planned, Unix milliseconds.
        chunks: its messages in order; none where an answer that is too long says them in a file.
    """

    id: int
    planned_ms: int
    chunks: tuple[Chunk, ...] = ()

    @property
    def message_ids(self) -> tuple[str, ...]:
        """Ids of those of its messages that are sent."""
        return tuple(chunk.message_id for chunk in self.chunks if chunk.message_id)


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
        begins: number of the first message the journal knows of the conversation; 0 behind an answer or a reset.
        reset: whether somebody asked the bot to forget what was said until then.
    """

    said: tuple[SaidRow, ...]
    answered: int
    begins: int
    reset: bool
