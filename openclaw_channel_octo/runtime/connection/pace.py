"""Reconnects of many bots to one server, spread over time: after its restart all of them are disconnected at once."""

from openclaw_channel_octo.clock import Clock

__all__ = ["LoginPace"]

AT_ONCE = 16
"""Bots that may reconnect at the same moment; as many then get to know their conversations side by side."""

PER_S = 50.0
"""Bots that may reconnect in a second after these."""


class LoginPace:
    """Gives each reconnect to one server its place in time, for all bots that are connected to it.

    Args:
        clock: time and jitter.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next_at = float("-inf")

    def next(self) -> float:
        """Return the seconds to wait before a reconnect that is due now, 0 for none; call it once for each."""
        now = self._clock.now()
        place = max(self._next_at, now - (AT_ONCE - 1) / PER_S)
        self._next_at = place + 1 / PER_S
        return max(0.0, place - now) * self._clock.jitter(0.75, 1.25)
