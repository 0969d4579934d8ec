"""A run of the embedded host."""

import asyncio
import logging

from openclaw_channel_octo.host.base import Activity, Delta, Turn, TurnEvent
from openclaw_channel_octo.host.embedded.agents import PartEnd, ToolUse
from openclaw_channel_octo.host.embedded.seat import Seat
from openclaw_channel_octo.session.status import Status

__all__ = ["Run"]

logger = logging.getLogger(__name__)


class Run:
    """A run under way, from its turn to what it has written.

    Args:
        turn: what is run.
        now_ms: when it began, Unix milliseconds.
        seat: the agent that answers.
    """

    task: asyncio.Task[None]

    def __init__(self, turn: Turn, now_ms: int, seat: Seat) -> None:
        self.turn = turn
        self.seat = seat
        self.is_cut = self.is_filtered = False
        self.started_at = self.last_progress_at = now_ms
        self.events: asyncio.Queue[TurnEvent | None] = asyncio.Queue()
        self.stopped: asyncio.Future[Status] = asyncio.get_running_loop().create_future()
        self._thinking = seat.thinking()
        self._pieces: list[str] = []
        self._stands_apart = False

    @property
    def written(self) -> str:
        """What the agent has written so far, without the thinking that is left out."""
        return "".join(self._pieces)

    def take(self, piece: str, now_ms: int) -> None:
        """Take a piece of the answer; what comes after the run was stopped is dropped."""
        if self.stopped.done():
            return
        self.last_progress_at = now_ms
        if isinstance(piece, ToolUse):
            self.events.put_nowait(Activity(str(piece)))
            return
        if isinstance(piece, PartEnd):
            self.close()
            self._thinking = self.seat.thinking()
            self._stands_apart = bool(self._pieces)
            return
        self._write(self._thinking.feed(piece) if self._thinking else piece)

    def close(self) -> None:
        """End a part of the answer: what was held back, because thinking could have followed, belongs to it."""
        if self._thinking is None:
            return
        self._write(self._thinking.end())
        if self._thinking.is_thinking:
            logger.warning("run %s ended inside its thinking, which nobody is shown", self.turn.run_id)

    def _write(self, text: str) -> None:
        if self._stands_apart and (text := text.lstrip()):
            text, self._stands_apart = f"\n\n{text}", False
        if text:
            self._pieces.append(text)
            self.events.put_nowait(Delta(text, is_clean=self.seat.says_clean))

    def stop(self, status: Status) -> None:
        """Ask the run to end with ``status``; the first request counts."""
        if not self.stopped.done():
            self.stopped.set_result(status)
