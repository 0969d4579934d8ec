"""Where counts and durations go; `openclaw_channel_octo.control.prometheus` collects them (docs/operations.md)."""

from typing import Protocol

__all__ = ["Meter"]


class Meter(Protocol):
    """Takes counts and durations. Names are those of docs/operations.md without prefix and unit."""

    def count(self, name: str, **labels: str) -> None:
        """Add one to a counter."""
        ...

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Add a duration to a histogram."""
        ...
