"""Counts of the bots and the state of the channel for Prometheus; needs the extra ``metrics`` (docs/metrics.md)."""

from collections.abc import Callable, Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from openclaw_channel_octo.observe.metrics import Meter
from openclaw_channel_octo.runtime.channel import ChannelStatus
from openclaw_channel_octo.runtime.connection.supervisor import LinkState

__all__ = ["PrometheusMeter"]

BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""From a typing sign on a good day to the default budget of a turn."""

_COUNTERS = {
    "messages": ("Messages received or fetched, by what the gate said", "decision"),
    "turns": ("Turns, by how they ended", "status"),
    "announcements": ("Restarts of failed sessions people were told of",),
    "rest_calls": ("Attempts at calls of the bot API, by ok or the error's name", "call", "outcome"),
}
"""Help text and labels besides the account."""

_HISTOGRAMS = {
    "receive_to_typing": "From a message's arrival to the first typing sign",
    "receive_to_reply": "From a message's arrival to the first message of its answer, or to its notice",
}


class PrometheusMeter(Meter):
    """Collects counts and durations in a registry of its own.

    Attributes:
        content_type: the form of `text`.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._counters = {
            name: Counter(f"octo_{name}", text, ("account", *labels), registry=registry)
            for name, (text, *labels) in _COUNTERS.items()
        }
        self._histograms = {
            name: Histogram(f"octo_{name}_seconds", text, ("account",), buckets=BUCKETS_S, registry=registry)
            for name, text in _HISTOGRAMS.items()
        }

    def watch(self, status: Callable[[], ChannelStatus]) -> None:
        """Also show the state that ``status`` returns at the moment the metrics are read."""
        self._registry.register(_State(status))

    def count(self, name: str, **labels: str) -> None:
        """Add one to a counter."""
        self._counters[name].labels(**labels).inc()

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Add a duration to a histogram."""
        self._histograms[name].labels(**labels).observe(seconds)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)


class _State(Collector):
    """The state of a channel as gauges. Sessions are no labels: they are without number, and tell who talks."""

    def __init__(self, status: Callable[[], ChannelStatus]) -> None:
        self._status = status

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        status = self._status()
        running = [run.account_id for run in status.turns.values()]
        waiting = list(status.lanes.values())
        text = "1 for the state a bot's connection is in; no-token: not readable; ending: removed"
        states = GaugeMetricFamily("octo_connection_state", text, labels=("account", "state"))
        turns = GaugeMetricFamily("octo_turns_running", "Turns under way", labels=("account",))
        for name, bot in status.bots.items():
            for state in LinkState:
                states.add_metric((name, state.value), float(bot.state is state))
            turns.add_metric((name,), running.count(name))
        reloads = CounterMetricFamily(
            "octo_reloads", "Times the configuration was read again", labels=("result",)
        )
        reloads.add_metric(("done",), status.reloads.done)
        reloads.add_metric(("refused",), status.reloads.refused)
        yield from (states, turns, reloads)
        for gauge, text, value in (
            ("lanes", "Conversations with work", len(waiting)),
            ("lane_waiting", "Messages that wait behind a turn, in all lanes", sum(waiting)),
            ("lane_longest", "Messages that wait in the longest lane", max(waiting, default=0)),
            (
                "last_reload_refused",
                "1 where the configuration was wrong the last time",
                bool(status.reloads.problems),
            ),
            ("journal_waiting", "1 while the journal cannot be written", bool(status.trouble)),
        ):
            yield GaugeMetricFamily(f"octo_{gauge}", text, float(value))
