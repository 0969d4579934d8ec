"""Time and randomness as things that are passed in, so that tests move time instead of waiting for it."""

import asyncio
import random
import time
import uuid
from typing import Protocol


class Clock(Protocol):
    """What the running parts know of time and chance."""

    def now(self) -> float:
        """Return monotonic seconds, for deadlines."""
        ...

    def wall_ms(self) -> int:
        """Return Unix time in milliseconds, for records and the handshake."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds`` of this clock."""
        ...

    def jitter(self, low: float, high: float) -> float:
        """Return a random factor between ``low`` and ``high``."""
        ...

    def new_id(self) -> str:
        """Return a fresh random id, 32 hexadecimal characters."""
        ...


class SystemClock:
    """The machine's clock and its random source."""

    def now(self) -> float:
        """Return ``time.monotonic()`` in seconds."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """Return Unix time in milliseconds."""
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running event loop."""
        await asyncio.sleep(seconds)

    def jitter(self, low: float, high: float) -> float:
        """Return a factor drawn evenly from ``low`` to ``high``; spreads load, protects nothing."""
        return random.uniform(low, high)  # noqa: S311  # jitter, not a secret

    def new_id(self) -> str:
        """Return a random UUID as 32 hexadecimal characters."""
        return uuid.uuid4().hex
