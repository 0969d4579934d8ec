"""What runs read from their transcripts and write into them; without a transcript they go on all the same. Blocking."""

import logging
from collections.abc import Sequence

from msgspec import Struct

from openclaw_channel_octo.host.embedded.transcript import Message, Transcript
from openclaw_channel_octo.host.files import sync_file

__all__ = ["HISTORY_MESSAGES", "Said", "add_all", "history"]

logger = logging.getLogger(__name__)

HISTORY_MESSAGES = 40
HISTORY_CHARACTERS = 100_000


class Said(Struct, frozen=True, kw_only=True):
    """A message on its way into a transcript; fields as in `Transcript.append`, with the transcript.

    Attributes:
        again: whether a run of the same inbound message, lost or failed, may have written it down already.
    """

    transcript: Transcript
    message: Message
    row_id: str
    now_ms: int
    sync: bool
    again: bool = False


def add_all(messages: Sequence[Said]) -> list[int | None]:
    """Add messages, and sync what asks for it behind the last, so that their files share the disk's work.

    Where one cannot be added, a warning says so.

    Returns:
        The size in bytes that each file had before, ``None`` where nothing was added.
    """
    sizes = [_add(each) for each in messages]
    for each, size in zip(messages, sizes, strict=True):
        if each.sync and size is not None:
            try:
                sync_file(each.transcript.path)
            except OSError as error:
                _warn(each.transcript, error)
    return sizes


def history(
    transcript: Transcript, end: int | None = None, *, messages: int = HISTORY_MESSAGES, asked: str = ""
) -> tuple[Message, ...]:
    """Return the end of the conversation, see `Transcript.history`; nothing, and a warning, where it cannot be read."""
    try:
        return transcript.history(messages=messages, characters=HISTORY_CHARACTERS, end=end, asked=asked)
    except OSError as error:
        _warn(transcript, error)
        return ()


def _add(said: Said) -> int | None:
    try:
        if said.again and said.transcript.was_asked_last(said.message.message_id):
            return None
        return said.transcript.append(said.message, row_id=said.row_id, now_ms=said.now_ms, sync=False)
    except OSError as error:
        _warn(said.transcript, error)
        return None


def _warn(transcript: Transcript, error: OSError) -> None:
    logger.warning("%s cannot be used (%s): the turn goes on without it", transcript.path, error.strerror)
