"""What a run tells, on its way to whoever started it."""

import asyncio

from openclaw_channel_octo.host.base import Interrupted, TurnEvent, Waiting

__all__ = ["RunEvents"]


class RunEvents(asyncio.Queue[TurnEvent | None]):
    """Events of one run in order, ``None`` behind the last."""

    def __init__(self) -> None:
        super().__init__()
        self._waits = self._interrupted = False

    def wait(self, *, waits: bool) -> None:
        """Tell whether the run stands still; nothing is told twice."""
        if waits != self._waits:
            self._waits = waits
            self.put_nowait(Waiting(waits))

    def interrupt(self, *, is_so: bool) -> None:
        """Tell whether the run may have ended with its gateway; nothing is told twice."""
        if is_so != self._interrupted:
            self._interrupted = is_so
            self.put_nowait(Interrupted(is_so))
