"""Messages on their way to their end: how far their answers are, and how a person ends one of them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from msgspec import Struct, field

from openclaw_channel_octo.errors import RequestDenied, StoreError
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.store.records import Chunk, InboundRow, Part

__all__ = ["STOPPED", "Stopped", "Underway", "UnderwayMessages"]

STOPPED = "stopped by a person"
"""The detail of a message that somebody stopped, and of what was not sent of its answer."""


class Stopped(RequestDenied):
    """Somebody has stopped the message that was worked on."""

    def __init__(self) -> None:
        super().__init__("somebody has stopped this turn; nothing more was sent")


class Underway(Struct, eq=False, kw_only=True):
    """A message that is worked on.

    Attributes:
        row: the message.
        planned: messages its answer consists of so far.
        sent: how many of them have come to their end.
        accepted: message ids by the refs of chunks that the server has taken and the journal does not know as sent.
        stopped: set once somebody has stopped it: what people read in place of the rest, once that is planned;
            ``None`` where the message had its end already.
    """

    row: InboundRow
    planned: int = 0
    sent: int = 0
    accepted: dict[str, str] = field(default_factory=dict)
    stopped: asyncio.Future[Chunk | None] | None = None
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Let what the calling task does for the message be ended by a stop. Raises `Stopped` where it was."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # coroutines run in tasks
        self._tasks.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if self.stopped is None or task.uncancel():
                raise
            raise Stopped from None
        finally:
            self._tasks.discard(task)

    def end_work(self) -> "asyncio.Future[Chunk | None]":
        """End what tasks do for the message; return what `stopped` is from now on."""
        self.stopped = asyncio.get_running_loop().create_future()
        for task in self._tasks:
            task.cancel(STOPPED)
        return self.stopped

    def require(self) -> None:
        """Raise `CancelledError` where somebody has stopped it: nothing is planned behind their stop."""
        if self.stopped is not None:
            raise asyncio.CancelledError(STOPPED)


class UnderwayMessages(Struct, frozen=True):
    """The messages that are worked on, of all bots of a process."""

    _by_row: dict[int, Underway] = field(default_factory=dict)

    @contextmanager
    def begun(self, row: InboundRow) -> Iterator[Underway]:
        """Let a message be looked at and stopped while the calling task works on it; see `Underway.working`."""
        found = self._by_row[row.id] = Underway(row=row)
        try:
            with found.working():
                yield found
        finally:
            del self._by_row[row.id]

    def of(self, row: InboundRow) -> Underway | None:
        """Return the message of a row, ``None`` where nobody works on it, or it is none that can be stopped."""
        return self._by_row.get(row.id)

    def in_session(self, session_key: str) -> Underway | None:
        """Return the message that is worked on in a session."""
        return next((one for one in self._by_row.values() if one.row.session_key == session_key), None)

    async def stop(
        self, session_key: str, journal: Journal, text: str, end_run: Callable[[], Awaitable[None]]
    ) -> bool:
        """End the work on a session's message; return whether there was any.

        Nothing more of its answer is planned from the call on, and nothing of it is sent by a later process once this
        returns. Whoever does the work ends the message with the text.

        Args:
            session_key: the session.
            journal: records it.
            text: what people read in place of the rest.
            end_run: ends the run, if the host has one, before the session's next message has its turn.

        Raises:
            StoreError: the journal did not take it.
        """
        found = self.in_session(session_key)
        if found is None or found.stopped is not None:
            return False
        told = found.end_work()
        notice: Chunk | None = None
        try:
            notice = await journal.deliveries.stop(
                found.row.id, dict(found.accepted), Part(text=text), STOPPED
            )
            await end_run()
        except StoreError as error:
            told.set_exception(error)
            raise
        finally:
            if not told.done():  # nor was whoever waits for it cancelled
                told.set_result(notice)
        return notice is not None
