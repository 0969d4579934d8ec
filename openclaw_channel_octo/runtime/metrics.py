"""What a bot counts: messages, turns, announcements, and how long people waited."""

from collections.abc import Sequence

from cachetools import FIFOCache
from msgspec import Struct, field

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.observe.metrics import Meter
from openclaw_channel_octo.policy.gate import ADDRESSED
from openclaw_channel_octo.runtime.received import Incoming, Outcome
from openclaw_channel_octo.session.status import SKIPPED, Status
from openclaw_channel_octo.wire.events import Received

__all__ = ["BotMetrics"]

PENDING = 2_000
"""Messages whose waiting time is taken at the same time; of more, the oldest are not measured."""

_ENDS = {*Status, SKIPPED}


class _Wait(Struct):
    since: float
    channel: ChannelRef
    typed: bool = False


class BotMetrics(Struct, frozen=True):
    """Counts for one bot.

    Attributes:
        meter: who collects.
        clock: measures waiting.
        account: the bot.
    """

    meter: Meter
    clock: Clock
    account: str
    _waits: FIFOCache[int, _Wait] = field(default_factory=lambda: FIFOCache(PENDING))

    def received(self, events: Sequence[Incoming], outcomes: Sequence[Outcome]) -> None:
        """Count messages by decision, and begin to measure those that get an answer."""
        for event, outcome in zip(events, outcomes, strict=True):
            self.meter.count("messages", account=self.account, decision=outcome.decision.kind.value)
            if (
                isinstance(event, Received)
                and event.at  # else it was fetched: how long people waited is not known
                and outcome.row is not None
                and outcome.decision.kind in ADDRESSED
            ):
                self._waits[outcome.row.id] = _Wait(event.at, outcome.channel)

    def typed(self, channel: ChannelRef) -> None:
        """Take the time to the first typing sign of every message that waited for it there."""
        for wait in self._waits.values():
            if wait.channel == channel and not wait.typed:
                wait.typed = True
                self._observe("receive_to_typing", wait)

    def replied(self, row_id: int) -> None:
        """Take the time to the first message of an answer, or of the notice in its place."""
        if (wait := self._waits.pop(row_id, None)) is not None:
            self._observe("receive_to_reply", wait)

    def forget(self, row_id: int) -> None:
        """Measure a message no longer: it has come to its end, also where that was no message of its own."""
        self._waits.pop(row_id, None)

    def ended(self, status: str) -> None:
        """Count a turn by how it ended."""
        known = str(status) if status in _ENDS else "other"
        self.meter.count("turns", account=self.account, status=known)

    def announced(self) -> None:
        """Count an announced restart."""
        self.meter.count("announcements", account=self.account)

    def called(self, call: str, outcome: str) -> None:
        """Count an attempt at a call of the bot API; ``outcome`` is ``ok`` or the error's name."""
        self.meter.count("rest_calls", account=self.account, call=call, outcome=outcome)

    def _observe(self, name: str, wait: _Wait) -> None:
        self.meter.observe(name, max(0.0, self.clock.now() - wait.since), account=self.account)
