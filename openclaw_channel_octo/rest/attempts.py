"""How a call is made: when its turn comes, what is sent, and when it is tried again (octo-bot-api §1.1, §1.5, §10).

Over 350 lines: the tries of one call share its turn, its budget and its session.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self, TypeVar

from msgspec import Struct
from pydantic import SecretStr, TypeAdapter

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.errors import ApiError, NotFound, RateLimited, Unavailable
from openclaw_channel_octo.fair import FairSlots
from openclaw_channel_octo.ids import ChannelType
from openclaw_channel_octo.rest.answers import (
    Answer,
    Exchange,
    ProxyRefusal,
    read_aside,
    too_large,
    unanswered,
)
from openclaw_channel_octo.rest.calls import MAX_SHORT_BYTES, POLICIES, Call, CallPolicy, Queue
from openclaw_channel_octo.rest.network import checked_base, checked_token, open_session, reason_of, timeout

if TYPE_CHECKING:
    import aiohttp

__all__ = ["AT_ONCE", "Caller", "Origin", "RetryBudget", "encoded"]

AT_ONCE = 16
"""Requests of each queue on their way at the same time."""

_USER_AGENT = "openclaw-channel-octo"
_LONGEST_HINT_S = 10.0
_LONGEST_WAIT_S = 15.0
_FIRST_BACKOFF_S = 0.5

_log = logging.getLogger(__name__)
T = TypeVar("T")


class Origin:
    """Shares connections to one server between bots, and keeps each kind of request within its bound.

    Receipts with typing indicators, messages and reads have a bound each, so that none of them waits behind another:
    a typing indicator never stands behind the history that many bots fetch after the server came back. Within a
    bound bots take turns, and so do the conversations of each.
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._slots = {queue: FairSlots(AT_ONCE) for queue in Queue}
        self._success: asyncio.Event | None = None

    def slot(
        self, call: Call, path: Sequence[str] = ("", "", ""), *, first: bool = False
    ) -> AbstractAsyncContextManager[None]:
        """Return what one attempt of ``call`` holds while it is on its way.

        Args:
            call: what is asked.
            path: the bot, the kind of conversation and the conversation it is about; see `FairSlots`.
            first: whether it goes before others of its queue.
        """
        return self._slots[POLICIES[call].queue].slot(path, first=first)

    def is_full(self, call: Call) -> bool:
        """Return whether ``call`` would have to wait for others of its kind."""
        return self._slots[POLICIES[call].queue].is_full

    def succeeded(self) -> None:
        """Note that a call of any bot succeeded: every `pause` ends."""
        if self._success is not None:
            self._success.set()
            self._success = None

    async def pause(self, clock: Clock, seconds: float) -> bool:
        """Wait until a call of any bot succeeds, at most ``seconds`` of the clock; return whether one did.

        All who wait go on at once; the slots bound what they ask.
        """
        if self._success is None:
            self._success = asyncio.Event()
        try:
            return await within(clock, seconds, self._success.wait())
        except TimeoutError:
            return False

    def session(self) -> "aiohttp.ClientSession":
        """Return the session, made on first use because it belongs to the running loop."""
        if self._session is None:
            self._session = open_session(limit=0)  # the slots are the limit
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


class RetryBudget(Struct, eq=False):
    """What one call may still spend on further attempts.

    Attributes:
        policy: how often the call may be repeated.
        clock: time and jitter.
        within_s: seconds the call may take from the moment its first attempt is on its way, ``None`` for no limit.
    """

    policy: CallPolicy
    clock: Clock
    within_s: float | None = None
    _deadline: float | None = None
    _limits: int = 0
    _failures: int = 0
    _waited_s: float = 0.0

    async def limited(self, attempt: Coroutine[Any, Any, T]) -> T:
        """Return what an attempt that has its slot returns. Raises `TimeoutError` once the call's time is over."""
        if self.within_s is None:
            return await attempt
        if self._deadline is None:
            self._deadline = self.clock.now() + self.within_s
        return await within(self.clock, max(0.0, self._deadline - self.clock.now()), attempt)

    def wait_after(self, error: ApiError) -> float | None:
        """Return the seconds to wait before the next attempt, ``None`` when ``error`` is the final word.

        A rate limit is waited for as long as it asks, never less, and not at all when it asks for more than
        10 s; all waits of a call together stay within 15 s.
        """
        match error:
            case RateLimited(retry_after=hint_s) | ProxyRefusal(retry_after=hint_s):
                wait_s = self._after_limit(hint_s)
            case Unavailable():
                wait_s = self._after_failure()
            case NotFound() if self.policy.may_appear:
                wait_s = self._after_failure()
            case _:
                return None
        if wait_s is None or self._waited_s + wait_s > _LONGEST_WAIT_S:
            return None
        if self._deadline is not None and self.clock.now() + wait_s >= self._deadline:
            return None
        self._waited_s += wait_s
        return wait_s

    def _after_limit(self, hint_s: float) -> float | None:
        if self._limits == self.policy.on_limit or hint_s > _LONGEST_HINT_S:
            return None
        self._limits += 1
        return hint_s * self.clock.jitter(1.0, 1.25)

    def _after_failure(self) -> float | None:
        if self._failures == self.policy.on_failure:
            return None
        self._failures += 1
        return _FIRST_BACKOFF_S * 2.0 ** (self._failures - 1) * self.clock.jitter(0.75, 1.25)


class _Request(Struct, frozen=True):
    """What is sent."""

    call: Call
    method: str
    path: str
    params: Mapping[str, str]
    body: bytes | None


class Caller:
    """Makes the calls of one bot to one server; see `BotApi`."""

    def __init__(  # noqa: PLR0913  # where it speaks to, how, and who watches
        self,
        *,
        base_url: str,
        token: SecretStr,
        clock: Clock,
        origin: Origin | None = None,
        timeout_s: float = 30.0,
        tap: Callable[[Exchange], None] | None = None,
        on_attempt: Callable[[str, str], None] | None = None,
    ) -> None:
        self._on_attempt = on_attempt or (lambda _call, _outcome: None)
        self._base = checked_base(base_url)
        self._token = checked_token(token)
        self._clock = clock
        self._origin = origin or Origin()
        self._owns_origin = origin is None
        self._tap = tap
        # The connection ends in its own time-out first, so that a total one means the request was on its way.
        self._timeout = timeout(total=timeout_s, connect=timeout_s / 3)

    def __repr__(self) -> str:
        return f"BotApi({self._base!r})"

    def use_token(self, token: SecretStr) -> None:
        """Show another token from the next attempt on. Raises `ConfigError` for one that cannot be one."""
        self._token = checked_token(token)

    async def __aenter__(self) -> Self:
        """Return itself; connections are opened by the first call."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections, unless other bots share them."""
        if self._owns_origin:
            await self._origin.close()

    def is_full(self, call: Call) -> bool:
        """Return whether ``call`` would have to wait for others of its kind, also those of other bots."""
        return self._origin.is_full(call)

    async def pause(self, seconds: float) -> bool:
        """Wait until any call to the server succeeds, at most ``seconds``; return whether one did."""
        return await self._origin.pause(self._clock, seconds)

    async def _call(  # noqa: PLR0913  # what is asked, and how it waits
        self,
        call: Call,
        path: str,
        shape: TypeAdapter[T],
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        first: bool = False,
        within_s: float | None = None,
        method: str = "",
    ) -> T:
        """Make attempts until one succeeds or the call's policy ends; by default a call with a body is a POST."""
        method = method or ("GET" if body is None else "POST")
        asked = _Request(call, method, path, params or {}, None if body is None else encoded(body))
        budget = RetryBudget(POLICIES[call], self._clock, within_s)
        slot = partial(self._origin.slot, call, self._turns(call, path, body or asked.params), first=first)
        while True:
            try:
                async with slot():
                    raw = await self._attempt(asked, budget)
                answer = await read_aside(call, raw, shape)
            except ApiError as error:
                self._on_attempt(call, type(error).__name__)
                wait_s = budget.wait_after(error)
                if wait_s is None:
                    raise
                _log.debug("%s, next attempt in %.1f s", error, wait_s)
            else:
                self._on_attempt(call, "ok")
                self._origin.succeeded()
                return answer
            await self._clock.sleep(wait_s)

    async def _attempt(self, asked: _Request, budget: RetryBudget) -> Answer:
        import aiohttp  # noqa: PLC0415  # see rest.network

        # Raised outside the handlers: aiohttp's errors hold the request, and with it the token.
        try:
            return await budget.limited(self._exchange(asked))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            failure = unanswered(asked.call, self._reason(error), may_have_arrived=False)
        except (aiohttp.ClientError, OSError) as error:
            failure = unanswered(asked.call, self._reason(error), may_have_arrived=True)
        self._show(asked, 0, b"")
        raise failure

    async def _exchange(self, asked: _Request) -> Answer:
        async with self._origin.session().request(
            asked.method,
            f"{self._base}{asked.path}",
            params=asked.params,
            data=asked.body,
            headers={
                "Authorization": f"Bearer {self._token.get_secret_value()}",
                "Accept": "application/json",
                "Content-Type": "application/json",
                "User-Agent": _USER_AGENT,
            },
            timeout=self._timeout,
            allow_redirects=False,
            middlewares=(_sent_once,),
        ) as response:
            body = await _body_of(response, POLICIES[asked.call].max_answer_bytes)
            if body is None:
                self._show(asked, 0, b"")
                raise too_large(asked.call, response.status)
            if response.status >= HTTPStatus.BAD_REQUEST:  # an error's words may quote the request
                body = body.replace(self._token.get_secret_value().encode(), b"***")
            self._show(asked, response.status, body)
            return Answer(response.status, response.headers, body)

    def _show(self, asked: _Request, status: int, answer: bytes) -> None:
        if self._tap is not None:
            self._tap(
                Exchange(
                    method=asked.method,
                    path=asked.path,
                    query=asked.params,
                    body=asked.body or b"",
                    status=status,
                    response=answer,
                )
            )

    def _turns(self, call: Call, path: str, asked: Mapping[str, Any]) -> tuple[str, str, str]:
        """Return what takes turns at a slot: the bot, direct conversations and groups, the conversation."""
        direct = call is Call.USER_INFO or asked.get("channel_type") == ChannelType.PERSON
        about = asked.get("channel_id") or asked.get("uid") or path
        return f"{id(self):x}", "direct" if direct else "group", str(about)

    def _reason(self, error: Exception) -> str:
        return f"{reason_of(error)} at {self._base}; check apiUrl and the network"


def encoded(content: Mapping[str, Any]) -> bytes:
    """Return compact UTF-8 JSON; lone surrogates, which UTF-8 cannot hold, become question marks."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


async def _sent_once(
    request: "aiohttp.ClientRequest", handler: "aiohttp.ClientHandlerType"
) -> "aiohttp.ClientResponse":
    """Send a request; aiohttp sends one without an answer once more by itself unless it has another error's class."""
    import aiohttp  # noqa: PLC0415  # see rest.network

    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        failure = aiohttp.ClientConnectionError(str(error))
        failure.os_error = error  # type: ignore[attr-defined]  # where `reason_of` looks
        raise failure from None


async def _body_of(response: "aiohttp.ClientResponse", most: int) -> bytes | None:
    """Return the body, of an error its beginning; ``None`` for a success of more than ``most`` bytes.

    What is left of the body is not read.
    """
    failed = response.status >= HTTPStatus.MULTIPLE_CHOICES
    most = MAX_SHORT_BYTES if failed else most
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > most:
            return bytes(body[:most]) if failed else None
    return bytes(body)
