"""Metrics as Prometheus reads them, over HTTP; needs the extra ``metrics`` (docs/operations.md)."""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator

from aiohttp import web
from aiohttp.http import HttpProcessingError
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from openclaw_channel_octo.observe.listening import Bounds, HttpListener, only_known_hosts
from openclaw_channel_octo.observe.metrics import Gauge

__all__ = ["PrometheusMeter", "serve_metrics"]

BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""From a typing sign on a good day to the default budget of a turn."""


class PrometheusMeter:
    """Collects what is counted."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._counters = {
            "messages": self._counter("messages", "Messages received, by what the gate said", "decision"),
            "turns": self._counter("turns", "Turns, by how they ended", "status"),
            "announcements": self._counter(
                "announcements", "Restarts of failed sessions people were told of"
            ),
            "rest_calls": self._counter("rest_calls", "Attempts at calls of the bot API", "call", "outcome"),
        }
        self._histograms = {
            "receive_to_typing": self._histogram("receive_to_typing", "From a message to the typing sign"),
            "receive_to_reply": self._histogram(
                "receive_to_reply", "From a message to the first message of its answer, or to its notice"
            ),
        }

    def watch(self, gauges: Callable[[], Iterable[Gauge]]) -> None:
        """Also show what ``gauges`` returns at the moment somebody reads."""
        self._registry.register(_Now(gauges))

    def count(self, name: str, **labels: str) -> None:
        """Add one to a counter."""
        self._counters[name].labels(**labels).inc()

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Add a duration to a histogram."""
        self._histograms[name].labels(**labels).observe(seconds)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(f"octo_{name}", words, ("account", *labels), registry=self._registry)

    def _histogram(self, name: str, words: str) -> Histogram:
        return Histogram(
            f"octo_{name}_seconds", words, ("account",), buckets=BUCKETS_S, registry=self._registry
        )


class _Now(Collector):
    """Asks for the gauges whenever somebody reads the metrics."""

    def __init__(self, gauges: Callable[[], Iterable[Gauge]]) -> None:
        self._gauges = gauges

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the registry need not ask for values to learn the names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Return the values of this moment."""
        for gauge in self._gauges():
            family = GaugeMetricFamily(f"octo_{gauge.name}", gauge.help, labels=gauge.labels)
            for labels, value in gauge.values.items():
                family.add_metric(labels, value)
            yield family


async def serve_metrics(
    meter: PrometheusMeter, host: str, port: int, names: Collection[str] = ()
) -> HttpListener:
    """Answer ``GET /metrics`` until the returned listener is closed; it knows its port.

    Args:
        meter: what is shown.
        host: the address to listen on.
        port: 0 for any free one.
        names: host names under which it may be asked besides the address and those of loopback.

    Raises:
        OSError: nothing can listen there.
    """

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=meter.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application(middlewares=[only_known_hosts(host, names)])
    app.router.add_get("/metrics", answer)
    listener = HttpListener(app, Bounds(), logger=_server_logger())
    await listener.start(host, port)
    return listener


def _server_logger() -> logging.Logger:
    """Return a logger without what strangers send that is no HTTP: anybody could fill the log with it."""
    logger = logging.getLogger("openclaw_channel_octo.observe.prometheus.server")
    logger.addFilter(_is_of_ours)
    return logger


def _is_of_ours(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
