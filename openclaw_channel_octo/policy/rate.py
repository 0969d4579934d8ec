"""How much a bot is asked: tokens for each person and conversation, and a count of bots that answer each other."""

from collections import deque

from cachetools import FIFOCache, LRUCache
from msgspec import Struct

from openclaw_channel_octo.ids import ChannelRef

__all__ = ["CONVERSATIONS", "KEYS", "LoopCounter", "LoopLimits", "TokenBuckets"]

KEYS = 10_000
"""Buckets remembered; the one unused for longest is forgotten, and would be full again by then."""

CONVERSATIONS = 1_000
"""Conversations remembered, the latest ones."""

OTHERS = 50
"""Other bots counted in one conversation, the latest ones."""

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


class LoopLimits(Struct, frozen=True, kw_only=True):
    """When two bots are stopped.

    Attributes:
        events: turns one other bot may set off within the window while no person speaks; 0 for any number.
        window_s: seconds.
        cooldown_s: seconds after which it is listened to again, unless a person spoke before.
    """

    events: int = 6
    window_s: float = 600.0
    cooldown_s: float = 600.0


class LoopCounter:
    """Counts turns that another bot sets off, for each pair and conversation of one bot.

    Args:
        limits: when to stop.
    """

    def __init__(self, limits: LoopLimits) -> None:
        self._limits = limits
        self._seen: LRUCache[ChannelRef, LRUCache[str, deque[float]]] = LRUCache(CONVERSATIONS)

    def person(self, channel: ChannelRef) -> None:
        """Note that a person spoke: whatever bots do there from now on is counted anew."""
        self._seen.pop(channel, None)

    def admit(self, channel: ChannelRef, bot: str, at_s: float) -> bool:
        """Return whether another bot's message may set off a turn, and count it if so.

        Args:
            channel: where.
            bot: the other bot's uid.
            at_s: when, in seconds of any clock that never goes back.
        """
        limits = self._limits
        if not limits.events:
            return True
        others = self._seen.setdefault(channel, LRUCache(OTHERS))
        turns = others.setdefault(bot, deque(maxlen=limits.events))
        stopped = len(turns) == limits.events and at_s - turns[-1] < limits.cooldown_s
        if stopped and turns[-1] - turns[0] < limits.window_s:
            return False
        turns.append(at_s)
        return True
