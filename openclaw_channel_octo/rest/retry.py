"""Whether and how long to wait before a call is tried again (octo-bot-api §1.5, §10)."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.errors import ApiError, NotFound, RateLimited, Unavailable
from openclaw_channel_octo.rest.answers import ProxyRefusal
from openclaw_channel_octo.rest.calls import CallPolicy

__all__ = ["RetryBudget"]

_LONGEST_HINT_S = 10.0
_LONGEST_WAIT_S = 15.0
_FIRST_BACKOFF_S = 0.5

_T = TypeVar("_T")


class RetryBudget:
    """What one call may still spend on further attempts.

    Args:
        policy: how often the call may be repeated.
        clock: time and jitter.
        within_s: seconds the call may take from the moment its first attempt is on its way, ``None`` for no limit.
    """

    def __init__(self, policy: CallPolicy, clock: Clock, within_s: float | None = None) -> None:
        self._clock = clock
        self._jitter = clock.jitter
        self._within_s = within_s
        self._deadline: float | None = None
        self._may_appear = policy.may_appear
        self._limits_left = policy.on_limit
        self._failures_left = policy.on_failure
        self._backoff_s = _FIRST_BACKOFF_S
        self._waited_s = 0.0

    async def limited(self, attempt: Coroutine[Any, Any, _T]) -> _T:
        """Return what an attempt that has its slot returns. Raises `TimeoutError` once the call's time is over."""
        if self._within_s is None:
            return await attempt
        if self._deadline is None:
            self._deadline = self._clock.now() + self._within_s
        return await within(self._clock, max(0.0, self._deadline - self._clock.now()), attempt)

    def wait_after(self, error: ApiError) -> float | None:
        """Return the seconds to wait before the next attempt, ``None`` when ``error`` is the final word.

        A rate limit is waited for as long as it asks, never less, and not at all when it asks for more than
        10 s; all waits of a call together stay within 15 s.
        """
        match error:
            case RateLimited(retry_after=hint_s) | ProxyRefusal(retry_after=hint_s):
                wait_s = self._after_limit(hint_s)
            case Unavailable():
                wait_s = self._after_failure()
            case NotFound() if self._may_appear:
                wait_s = self._after_failure()
            case _:
                return None
        if wait_s is None or self._waited_s + wait_s > _LONGEST_WAIT_S:
            return None
        if self._deadline is not None and self._clock.now() + wait_s >= self._deadline:
            return None
        self._waited_s += wait_s
        return wait_s

    def _after_limit(self, hint_s: float) -> float | None:
        if not self._limits_left or hint_s > _LONGEST_HINT_S:
            return None
        self._limits_left -= 1
        return hint_s * self._jitter(1.0, 1.25)

    def _after_failure(self) -> float | None:
        if not self._failures_left:
            return None
        self._failures_left -= 1
        wait_s = self._backoff_s * self._jitter(0.75, 1.25)
        self._backoff_s *= 2
        return wait_s
