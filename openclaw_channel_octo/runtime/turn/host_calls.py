"""Asking the host: somebody else's code, which may hang, or raise unexpected errors."""

import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.errors import HostError

__all__ = ["HOST_ANSWERS_S", "ask_host"]

HOST_ANSWERS_S = 60.0
"""Longest wait for a host that was asked about a session: a lane must not stand still for good."""

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


async def ask_host(
    clock: Clock, what: str, work: Coroutine[Any, Any, _T], seconds: float = HOST_ANSWERS_S
) -> _T:
    """Return what a host answers.

    Args:
        clock: time.
        what: what it was asked for, as its errors name it.
        work: the call.
        seconds: longest wait.

    Raises:
        HostError: the host says so, gives no answer in time, or breaks.
    """
    try:
        return await within(clock, seconds, work)
    except HostError:
        raise
    except TimeoutError:
        raise HostError(f"the host did not {what} within {seconds:.0f} s") from None
    except Exception as error:  # the host boundary: its mistakes are not ours
        _log.exception("the host broke when asked to %s", what)
        raise HostError(f"the host broke when asked to {what}: {type(error).__name__}") from error
