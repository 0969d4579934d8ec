"""How long to wait before the next attempt."""

from openclaw_channel_octo.clock import Clock

__all__ = ["Backoff"]

_JITTER = 0.25


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
