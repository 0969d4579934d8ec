"""Faults a test can put in the way of the next calls."""

import asyncio
from collections import deque
from typing import Any, Final

from msgspec import Struct, field

__all__ = [
    "ANY_CALL",
    "ErrorAnswer",
    "Fault",
    "FaultPlan",
    "Hang",
    "JsonAnswer",
    "LoseAnswer",
    "ProxyPage",
    "RateLimit",
    "Refuse",
    "Slow",
]

ANY_CALL: Final = "*"
"""In `FaultPlan.add`: every call that has no fault of its own."""


class ErrorAnswer(Struct, frozen=True, kw_only=True):
    """The server's own error, in the envelope the double is set to; nothing is done.

    Attributes:
        status: HTTP status.
        msg: the human text.
        code: what follows ``err.server.bot_api.`` in the newer envelope.
    """

    status: int
    msg: str = "操作失败"
    code: str = "query_failed"


class ProxyPage(Struct, frozen=True):
    """An HTML page of the proxy in front, as nginx answers for its own rate limit (octo-bot-api §1.5)."""

    status: int = 503


class RateLimit(Struct, frozen=True):
    """429 with the server's rate-limit headers.

    Attributes:
        retry_after: whole seconds for ``Retry-After``; ``None`` leaves the header out.
    """

    retry_after: int | None = 1


class JsonAnswer(Struct, frozen=True):
    """Any JSON in place of the real answer; nothing is done.

    Attributes:
        body: what is answered, ``None`` for ``null``.
        status: HTTP status.
    """

    body: Any
    status: int = 200


class Hang(Struct, frozen=True):
    """Nothing happens until `OctoDouble.release`; then the call goes on as if nothing had been."""


class Slow(Struct, frozen=True):
    """The call goes on after some time of the double's clock.

    Attributes:
        seconds: how long it waits.
    """

    seconds: float


class LoseAnswer(Struct, frozen=True):
    """The call is carried out, then the connection breaks in place of the answer."""


class Refuse(Struct, frozen=True):
    """The connection breaks before the server does anything."""


Fault = ErrorAnswer | ProxyPage | RateLimit | JsonAnswer | Hang | Slow | LoseAnswer | Refuse


class FaultPlan(Struct):
    """Which faults the next calls meet, first come, first served."""

    _planned: dict[str, deque[Fault]] = field(default_factory=dict)
    _standing: dict[str, Fault] = field(default_factory=dict)
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, call: str, fault: Fault, times: int | None) -> None:
        """Let the next ``times`` calls of that name meet ``fault``; ``None`` for all until `clear`."""
        if times is None:
            self._standing[call] = fault
        else:
            self._planned.setdefault(call, deque()).extend([fault] * times)

    def take(self, call: str) -> Fault | None:
        """Return the fault this call meets, if any."""
        for name in (call, ANY_CALL):
            if self._planned.get(name):
                return self._planned[name].popleft()
            if name in self._standing:
                return self._standing[name]
        return None

    def clear(self, call: str | None) -> None:
        """Forget the faults of one call, or of all; what hangs keeps hanging."""
        plans: tuple[dict[str, Any], ...] = (self._planned, self._standing)
        for plan in plans:
            if call is None:
                plan.clear()
            else:
                plan.pop(call, None)

    async def hang(self) -> None:
        """Wait until `release`."""
        await self._released.wait()

    def release(self) -> None:
        """Let every call that hangs go on; later ones hang again."""
        self._released.set()
        self._released = asyncio.Event()
