"""Waiting for what sets no event: files, other threads and processes, a channel seen from outside."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

__all__ = ["PATIENCE_S", "until"]

PATIENCE_S = 60.0
"""Real seconds, for machines that do other things too."""

_T = TypeVar("_T")


async def until(
    condition: Callable[[], _T | None], what: str | Callable[[], object] = "what was waited for"
) -> _T:
    """Return what a condition returns as soon as that is true.

    Args:
        condition: is asked again every few milliseconds.
        what: for the message of the `AssertionError` after a minute in vain; made only then where it is a function.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not (value := condition()):  # noqa: ASYNC110  # see above
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"never came: {what() if callable(what) else what}") from None
    return value
