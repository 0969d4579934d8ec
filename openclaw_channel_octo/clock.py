"""Time and randomness as things that are passed in, so that tests move time instead of waiting for it."""

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable
from functools import partial
from typing import Protocol, TypeVar

__all__ = ["Backoff", "Clock", "SystemClock", "before", "within"]

_T = TypeVar("_T")
_JITTER = 0.25


class Clock(Protocol):
    """What the running parts know of time and chance."""

    def now(self) -> float:
        """Return monotonic seconds, for deadlines."""
        ...

    def wall_ms(self) -> int:
        """Return Unix time in milliseconds, for records and the handshake."""
        ...

    async def sleep(self, seconds: float, /) -> None:
        """Return after ``seconds`` of this clock."""
        ...

    def jitter(self, low: float, high: float, /) -> float:
        """Return a random factor between ``low`` and ``high``."""
        ...

    def new_id(self) -> str:
        """Return a fresh random id, 32 hexadecimal characters."""
        ...


class SystemClock:
    """The machine's clock and its random source."""

    now = staticmethod(time.monotonic)
    """Monotonic seconds."""
    sleep = staticmethod(asyncio.sleep)
    """Sleeps on the running event loop."""
    jitter = staticmethod(random.uniform)
    """A factor drawn evenly; spreads load, protects nothing."""
    new_id = staticmethod(partial(secrets.token_hex, 16))
    """A random id that nobody can guess."""

    def wall_ms(self) -> int:
        """Return Unix time in milliseconds."""
        return time.time_ns() // 1_000_000


async def within(clock: Clock, seconds: float, work: Awaitable[_T]) -> _T:
    """Return what ``work`` returns, or cancel it after ``seconds`` of the clock.

    Raises:
        TimeoutError: the time was up; ``work`` has ended by then, its clean-up included.
    """
    if clock.sleep is asyncio.sleep:  # the loop's own timer does, and costs no task
        async with asyncio.timeout(seconds):
            return await work
    return await before(clock.sleep(seconds), work)


async def before(alarm: Awaitable[object], work: Awaitable[_T]) -> _T:
    """Return what ``work`` returns, or cancel it when ``alarm`` returns first. Raises `TimeoutError` then."""
    is_over = False
    async with asyncio.timeout(None) as limit:

        def expire(_: object) -> None:
            if not is_over:  # it may be on its way when the work ends
                limit.reschedule(0)

        timer = asyncio.ensure_future(alarm)
        timer.add_done_callback(expire)
        try:
            return await work
        finally:
            is_over = True
            timer.cancel()


class Backoff:
    """Doubling waits with ±25 % jitter (protocol §4.9).

    Args:
        clock: gives the jitter.
        first: seconds of the first wait.
        cap: longest wait in seconds.
    """

    def __init__(self, clock: Clock, first: float, cap: float) -> None:
        self._clock = clock
        self._first = first
        self._cap = cap
        self._attempts = 0

    def next(self) -> float:
        """Return the seconds to wait now; each call doubles the next one up to the cap."""
        wait = min(self._cap, self._first * 2.0 ** min(self._attempts, 30))
        self._attempts += 1
        return wait * self._clock.jitter(1 - _JITTER, 1 + _JITTER)

    def reset(self) -> None:
        """Begin again with the first wait."""
        self._attempts = 0
