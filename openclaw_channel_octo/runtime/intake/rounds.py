"""When the history of each conversation is asked for what was never pushed: soon where people talk, else rarely."""

import math
from collections.abc import Collection, Sequence
from heapq import heappop, heappush
from itertools import count

from msgspec import Struct

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import ApiError
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.runtime.intake.history import MissedHistory

__all__ = ["LONGEST_S", "PASS_EVERY_S", "SOON_S", "Rounds"]

SOON_S = 180.0
"""How long after its last message a conversation is looked at; twice as long each time there was nothing new."""

LONGEST_S = 2_900.0
"""Longest time between two looks at a conversation, ±20 %: its turn comes within an hour."""

QUIET_AT_ONCE = 100
"""How many conversations in which nothing is said are looked at within `SOON_S`, unless `LONGEST_S` asks for more."""

RETRY_S = 30.0
"""Wait after a look that failed, ±50 %."""

PASS_EVERY_S = 2.0
"""Shortest time between two passes."""

LONGEST_PASS_S = 20.0
"""Longest one: how late after a connect the others follow those that are looked at at once."""

GROUPS_A_LISTING = 1_000
"""With each so many groups the list of them is asked for less often, by `SOON_S`; also while it stays the same."""


class _Planned(Struct):
    """One conversation.

    Attributes:
        due: when it is looked at.
        queued: the time of its place in the queue, never later than ``due``; infinite without one.
        every: seconds to the look after that.
        heard: when it was last known to be complete.
    """

    due: float = math.inf
    queued: float = math.inf
    every: float = SOON_S
    heard: float = -math.inf


_Queue = list[tuple[float, int, ChannelRef]]


class Rounds:
    """Plans the looks at one bot's conversations. Whoever takes one says afterwards what became of it.

    Args:
        history: lists conversations.
        clock: time and jitter.
        log: the bot's log.
    """

    def __init__(self, history: MissedHistory, clock: Clock, log: BotLog) -> None:
        self._history = history
        self._clock = clock
        self._log = log
        self.listed: frozenset[ChannelRef] = frozenset()
        """Conversations that were listed the last time."""
        self._list_at = -math.inf
        self._list_every = SOON_S
        self._planned: dict[ChannelRef, _Planned] = {}
        self._queue: _Queue = []
        self._numbers = count()

    def next_pass_s(self) -> float:
        """Return the seconds until conversations should be looked at again."""
        due = self._queue[0][0] if self._queue else math.inf
        return min(max(due - self._clock.now(), PASS_EVERY_S), LONGEST_PASS_S)

    @property
    def list_is_old(self) -> bool:
        """Whether the conversations should be listed again."""
        return self._clock.now() >= self._list_at

    async def list(self) -> None:
        """Plan looks at the conversations that can be listed."""
        wait_s = SOON_S
        try:
            listed = await self._history.conversations()
        except ApiError as error:
            self._log.warning("the bot's groups could not be listed: %s", error)
        else:
            if self.listed != (new := frozenset(listed)):
                self.listed, self._list_every = new, SOON_S
            wait_s = min(self._list_every * (1 + len(listed) // GROUPS_A_LISTING), LONGEST_S)
            self._list_every = min(2 * self._list_every, LONGEST_S)
            for ref in listed:
                self.add(ref)
        self._list_at = self._clock.now() + wait_s * self._clock.jitter(0.8, 1.2)

    def add(self, ref: ChannelRef) -> None:
        """Plan a look at a conversation as soon as possible, unless it is known."""
        if ref not in self._planned:
            one = self._planned[ref] = _Planned()
            self._plan(ref, one, self._clock.now())

    def drop(self, ref: ChannelRef) -> None:
        """Forget a conversation."""
        self._planned.pop(ref, None)

    def latest(self) -> Sequence[ChannelRef]:
        """Return the conversations, the ones heard last first, the others in the order they were added."""
        return sorted(self._planned, key=lambda ref: -self._planned[ref].heard)

    def recall(self, urgent: Collection[ChannelRef] = ()) -> None:
        """Look at all of them as soon as possible: ``urgent`` ones first, then those heard last."""
        self._queue.clear()
        self._list_every = SOON_S
        now = self._clock.now()
        for ref in dict.fromkeys([*(ref for ref in urgent if ref in self._planned), *self.latest()]):
            one = self._planned[ref]
            one.queued, one.every = math.inf, SOON_S
            self._plan(ref, one, now)

    def take(self) -> ChannelRef | None:
        """Return the conversation to be looked at now, ``None`` where there is none; it has no plan until told."""
        now = self._clock.now()
        while self._queue and self._queue[0][0] <= now:
            at, _, ref = heappop(self._queue)
            one = self._planned.get(ref)
            if one is None or one.queued != at:
                continue  # forgotten, or planned earlier since
            one.queued = math.inf
            if one.due <= now:
                return ref
            self._plan(ref, one, one.due)
        return None

    def heard(self, ref: ChannelRef) -> None:
        """Note that a conversation is complete up to now: a message came, and none before it is missing."""
        one = self._planned.setdefault(ref, _Planned())
        one.heard, one.every = self._clock.now(), SOON_S
        self._plan(ref, one, one.heard + SOON_S)

    def looked(self, ref: ChannelRef, *, done: bool, found: bool) -> None:
        """Note what came of a look: whether it could be done, and whether anything new was found."""
        if not done:
            self.failed(ref)
        elif found:
            self.heard(ref)
        else:
            self.quiet(ref)

    def quiet(self, ref: ChannelRef) -> None:
        """Note that there was nothing new."""
        if (one := self._planned.get(ref)) is not None:
            together_s = SOON_S * (1 + len(self._planned) // QUIET_AT_ONCE)
            wait_s = min(max(one.every, together_s), LONGEST_S)
            self._plan(ref, one, self._clock.now() + wait_s * self._clock.jitter(0.8, 1.2))
            one.every = min(2 * one.every, LONGEST_S)

    def failed(self, ref: ChannelRef) -> None:
        """Note that a conversation could not be looked at."""
        if (one := self._planned.get(ref)) is not None:
            self._plan(ref, one, self._clock.now() + RETRY_S * self._clock.jitter(0.5, 1.5))

    def _plan(self, ref: ChannelRef, one: _Planned, due: float) -> None:
        one.due = due
        if due < one.queued:
            one.queued = due
            heappush(self._queue, (due, next(self._numbers), ref))
