"""Where counts and durations go; `openclaw_channel_octo.control.prometheus` collects them (docs/operations.md)."""

__all__ = ["NO_METER", "Meter"]


class Meter:
    """Takes counts and durations, and drops them. Names are those of docs/operations.md without prefix and unit."""

    def count(self, name: str, **labels: str) -> None:
        """Add one to a counter."""

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Add a duration to a histogram."""


NO_METER = Meter()
"""Where no metrics are collected."""
