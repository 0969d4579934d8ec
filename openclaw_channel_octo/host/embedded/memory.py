"""What a run reads from its transcript and writes into it; without a transcript it goes on all the same. Blocking."""

import logging

from openclaw_channel_octo.host.base import Turn
from openclaw_channel_octo.host.embedded.transcript import Message, Transcript

__all__ = ["HISTORY_MESSAGES", "history", "record", "record_request"]

logger = logging.getLogger(__name__)

HISTORY_MESSAGES = 40
HISTORY_CHARACTERS = 100_000


def history(transcript: Transcript, messages: int = HISTORY_MESSAGES, asked: str = "") -> tuple[Message, ...]:
    """Return the end of the conversation, see `Transcript.history`; nothing where it cannot be read."""
    if not messages:
        return ()
    try:
        return transcript.history(messages=messages, characters=HISTORY_CHARACTERS, asked=asked)
    except OSError as error:
        _warn(transcript, error)
        return ()


def record_request(transcript: Transcript, turn: Turn, *, row_id: str, now_ms: int) -> None:
    """Write down what is asked, unless a run of the same message did that was lost or failed."""
    request = Message(
        role="user",
        text=turn.text,
        sender=turn.sender.name,
        context=turn.context,
        mark=turn.mark,
        message_id=turn.message_id,
    )
    try:
        again = turn.attempt > 1 and transcript.was_asked_last(turn.message_id)
    except OSError:
        again = False  # writing will say what is wrong
    if not again:
        record(transcript, request, row_id=row_id, now_ms=now_ms)


def record(transcript: Transcript, message: Message, *, row_id: str, now_ms: int) -> None:
    """Write a message down; the parameters are those of `Transcript.append`."""
    try:
        transcript.append(message, row_id=row_id, now_ms=now_ms)
    except OSError as error:
        _warn(transcript, error)


def _warn(transcript: Transcript, error: OSError) -> None:
    logger.warning("%s cannot be used (%s): the turn goes on without it", transcript.path, error.strerror)
