"""Pages of history whose messages are too large for one answer."""

from collections.abc import Awaitable, Callable

from msgspec import Struct
from msgspec.structs import replace

from openclaw_channel_octo.rest.answers import AnswerTooLarge
from openclaw_channel_octo.rest.models import HistoryMessage

__all__ = ["Part", "in_parts"]

_FEWER = 4
"""The part of the rows asked for next time, where the answer is too large."""


class Part(Struct, frozen=True):
    """What is asked for (octo-bot-api §2.4).

    Attributes:
        start: first sequence number, inclusive; 0 with ``end`` 0 for the newest rows.
        end: where to stop, exclusive; 0 for no bound.
        limit: most rows.
        pull_up: from ``start`` towards newer messages, else towards older ones.
    """

    start: int
    end: int
    limit: int
    pull_up: bool = True

    @property
    def fields(self) -> dict[str, int]:
        """The fields of the request."""
        return {
            "start_message_seq": self.start,
            "end_message_seq": self.end,
            "limit": self.limit,
            "pull_mode": int(self.pull_up),
        }


async def in_parts(
    ask: Callable[[Part], Awaitable[list[HistoryMessage]]], wanted: Part
) -> list[HistoryMessage]:
    """Return what is wanted, ascending, in as few requests as the size of the messages allows.

    Raises:
        ApiError: what ``ask`` raises; `AnswerTooLarge` only where a single message is too large.
    """
    rows: list[HistoryMessage] = []
    part = wanted
    upwards = wanted.pull_up and bool(wanted.start or wanted.end)  # without both, the newest rows are meant
    while True:
        part = replace(part, limit=min(part.limit, wanted.limit - len(rows)))
        try:
            found = await ask(part)
        except AnswerTooLarge:
            if part.limit == 1:
                raise
            part = replace(part, limit=max(1, part.limit // _FEWER))
            continue
        rows = rows + found if upwards else found + rows
        following = _behind(part, found, upwards=upwards)
        if following is None or len(rows) >= wanted.limit:
            return rows
        part = following


def _behind(part: Part, found: list[HistoryMessage], *, upwards: bool) -> Part | None:
    """Return what comes next in the same direction, ``None`` where there is nothing."""
    numbers = [
        row.message_seq for row in found if row.message_seq > 0
    ]  # of an unreadable row it may be unknown
    if len(found) < part.limit or not numbers:
        return None
    if upwards:
        start = numbers[-1] + 1
        return replace(part, start=start) if start > part.start else None
    start = numbers[0] - 1
    if start <= part.end or (part.start and start >= part.start):
        return None
    return replace(part, start=start, pull_up=False)
