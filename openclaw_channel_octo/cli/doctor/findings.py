"""What the doctor finds: one line each, with what to do."""

from enum import IntEnum

from msgspec import Struct

__all__ = ["Finding", "Level", "error", "fine", "skipped", "warning"]


class Level(IntEnum):
    """How bad a finding is; the worst one is the exit code."""

    FINE = 0
    WARNING = 1
    ERROR = 2


class Finding(Struct, frozen=True):
    """One thing that was looked at.

    Attributes:
        level: how bad it is.
        subject: what was looked at, in a word or two.
        words: what was seen.
        advice: what to do about it, empty where there is nothing to do.
        skipped: whether it could not be looked at.
    """

    level: Level
    subject: str
    words: str
    advice: str = ""
    skipped: bool = False


def fine(subject: str, words: str) -> Finding:
    """Return a finding that is as it should be."""
    return Finding(Level.FINE, subject, words)


def warning(subject: str, words: str, advice: str) -> Finding:
    """Return a finding that keeps some messages from being answered, or soon will."""
    return Finding(Level.WARNING, subject, words, advice)


def error(subject: str, words: str, advice: str) -> Finding:
    """Return a finding that keeps a bot silent."""
    return Finding(Level.ERROR, subject, words, advice)


def skipped(subject: str, why: str) -> Finding:
    """Return a finding about what could not be looked at."""
    return Finding(Level.FINE, subject, f"not looked at: {why}", skipped=True)
