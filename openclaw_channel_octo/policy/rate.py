"""How much the bot is asked: token buckets, one for each person or conversation."""

from cachetools import FIFOCache

__all__ = ["KEYS", "TokenBuckets"]

KEYS = 10_000
"""Buckets remembered; the one unused for longest is forgotten, and would be full again by then."""

_MINUTE_S = 60.0


class TokenBuckets:
    """Buckets that hold a minute's worth and refill evenly.

    Args:
        per_minute: size and refill of each bucket; 0 for no limit.
        keys: most buckets remembered.
    """

    def __init__(self, per_minute: int, keys: int = KEYS) -> None:
        self._size = float(per_minute)
        self._buckets: FIFOCache[str, tuple[float, float]] = FIFOCache(keys)

    def take(self, key: str, at_s: float) -> bool:
        """Take a token; return whether there was one.

        Args:
            key: whose bucket.
            at_s: when, in seconds of any clock; a time before the last one counts as that.
        """
        if not self._size:
            return True
        left, last_s = self._buckets.get(key, (self._size, at_s))
        now_s = max(at_s, last_s)
        left = min(self._size, left + (now_s - last_s) * self._size / _MINUTE_S)
        taken = left >= 1.0
        self._buckets[key] = (left - taken, now_s)
        return taken
