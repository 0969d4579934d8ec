"""Counting what happens, for whoever collects it; nothing here knows who does (docs/operations.md)."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

__all__ = ["NO_METER", "Gauge", "Meter"]


class Gauge(Struct, frozen=True):
    """A value at the moment somebody asks.

    Attributes:
        name: the metric's name without prefix.
        help: what it is.
        labels: names of its labels.
        values: label values to value.
    """

    name: str
    help: str
    labels: tuple[str, ...]
    values: Mapping[tuple[str, ...], float]


class Meter(Protocol):
    """Takes counts and durations. Names are those of docs/operations.md without prefix and unit."""

    def count(self, name: str, **labels: str) -> None:
        """Add one to a counter."""
        ...

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Add a duration to a histogram."""
        ...


class _NoMeter:
    """Counts nothing."""

    def count(self, name: str, **labels: str) -> None:
        """Forget it."""

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Forget it."""


NO_METER: Meter = _NoMeter()
"""Where nobody collects."""
