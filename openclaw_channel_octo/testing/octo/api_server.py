"""The HTTP half of the double: records each call, puts faults in its way, checks the token, answers."""

import json
import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from msgspec.structs import replace

from openclaw_channel_octo.testing.octo import refusals
from openclaw_channel_octo.testing.octo.bot_api import ApiCalls
from openclaw_channel_octo.testing.octo.faults import (
    ErrorAnswer,
    Fault,
    FaultPlan,
    Hang,
    JsonAnswer,
    LoseAnswer,
    ProxyPage,
    RateLimit,
    Refuse,
    Slow,
)
from openclaw_channel_octo.testing.octo.records import RestCall, Switches
from openclaw_channel_octo.testing.octo.refusals import Problem, Refusal
from openclaw_channel_octo.testing.octo.routes import ApiRequest, Route
from openclaw_channel_octo.testing.octo.world import Account, World

__all__ = ["ApiServer"]

_PREFIXES: Final = ("", "/api")
"""The reference proxy offers the API at both (octo-bot-api §1.1)."""

_BEARER: Final = "Bearer "
_LIMIT_HEADERS: Final = {"X-RateLimit-Limit": "1000", "X-RateLimit-Scope": "ip"}
_NGINX_PAGE: Final = (
    "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n"
    "<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n<hr><center>nginx</center>\r\n"
    "</body>\r\n</html>\r\n"
)


class ApiServer:
    """Serves the bot API.

    Args:
        calls: what each call does.
        world: whose token is whose; its clock tells when calls arrive, and how slow `Slow` is.
        switches: the envelope of errors.
        changed: called after everything a test may wait for.
    """

    def __init__(
        self, calls: ApiCalls, world: World, switches: Switches, changed: Callable[[], None]
    ) -> None:
        self.calls: list[RestCall] = []
        self.faults = FaultPlan()
        self.routes = calls.routes()
        self._world = world
        self._switches = switches
        self._changed = changed

    def add_to(self, app: web.Application) -> None:
        """Register every route of the API, with and without the proxy's prefix."""
        for route in self.routes:
            for prefix in _PREFIXES:
                app.router.add_route(route.method, prefix + route.path, self._handler(route))

    def with_faults(self, name: str, handler: Handler) -> Handler:
        """Return a handler beside the API, such as the storage's, that meets the faults planned under a name."""

        async def handle(request: web.Request) -> web.StreamResponse:
            answer = await self._faulty(name, request, handler)
            self._changed()
            return web.Response() if answer is None else answer

        return handle

    def _handler(self, route: Route) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            try:
                return _json(route.handler(await self._authorised(route, request)))
            except Refusal as refusal:
                return self._error(refusal.problem, refusal.details)
            except web.HTTPNotFound as no_route:
                return web.Response(status=no_route.status, text=no_route.text)

        async def handle(request: web.Request) -> web.StreamResponse:
            call = await self._record(route, request)
            number = len(self.calls)
            self.calls.append(call)
            self._changed()
            response = await self._faulty(route.name, request, answer)
            self.calls[number] = replace(call, status=0 if response is None else response.status)
            self._changed()
            return web.Response() if response is None else response

        return handle

    async def _record(self, route: Route, request: web.Request) -> RestCall:
        bot = self._bot(request)
        try:
            body = json.loads(await request.read())
        except ValueError:
            body = None
        return RestCall(
            at=self._world.clock.now(),
            bot=bot.uid if bot else "",
            name=route.name,
            body=body,
            query={**request.query, **request.match_info},
        )

    async def _faulty(self, name: str, request: web.Request, handler: Handler) -> web.StreamResponse | None:
        """Return the answer to a call that meets the next fault of its name; ``None``: the connection is broken."""
        match fault := self.faults.take(name):
            case Hang():
                await self.faults.hang()
            case Slow(seconds=seconds):
                await self._world.clock.sleep(seconds)
        answer = self._prepared(fault)
        if answer is None and not isinstance(fault, Refuse):
            answer = await handler(request)
        if isinstance(fault, Refuse | LoseAnswer):
            if request.transport is not None:
                request.transport.abort()
            return None
        return answer

    def _prepared(self, fault: Fault | None) -> web.StreamResponse | None:
        """Return the answer a fault gives in place of the call's own."""
        match fault:
            case ProxyPage(status=status):
                return web.Response(status=status, text=_NGINX_PAGE, content_type="text/html")
            case JsonAnswer(body=body, status=status):
                return _json(body, status)
            case RateLimit(retry_after=retry_after):
                return self._rate_limited(retry_after)
            case ErrorAnswer(status=status, msg=msg, code=code):
                return self._error(Problem(msg, code, semantic=status, status=status))
            case _:
                return None

    async def _authorised(self, route: Route, request: web.Request) -> ApiRequest:
        """Return the request with its bot and its body; raise `Refusal` without them."""
        bot = self._bot(request)
        if bot is None:
            raise Refusal(_token_problem(route, request))
        body = _strict_json(await request.read()) if route.takes_json else {}
        return ApiRequest(bot=bot, body=body, query={**request.query, **request.match_info})

    def _bot(self, request: web.Request) -> Account | None:
        header = request.headers.get(hdrs.AUTHORIZATION, "")
        return self._world.bot_of(header.removeprefix(_BEARER)) if header.startswith(_BEARER) else None

    def _error(self, problem: Problem, details: Mapping[str, Any] | None = None) -> web.Response:
        return _json(problem.body(self._switches.envelope, details), problem.status)

    def _rate_limited(self, retry_after: int | None) -> web.Response:
        details = {"retry_after": 1 if retry_after is None else retry_after}
        answer = self._error(refusals.RATE_LIMITED, details)
        answer.headers["X-RateLimit-Remaining"] = "0"
        if retry_after is not None:
            answer.headers[hdrs.RETRY_AFTER] = str(retry_after)
        return answer


def _token_problem(route: Route, request: web.Request) -> Problem:
    if route.name != "register":
        return refusals.TOKEN_REFUSED
    known = request.headers.get(hdrs.AUTHORIZATION, "").startswith(_BEARER)
    return refusals.REGISTER_REFUSED if known else refusals.HEADER_MISSING


def _json(body: Any, status: int = HTTPStatus.OK) -> web.Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    headers = {**_LIMIT_HEADERS, "X-RateLimit-Remaining": "999"}
    return web.Response(status=status, text=text, content_type="application/json", headers=headers)


def _strict_json(data: bytes) -> dict[str, Any]:
    """Return the object a Go server would read; raise `Refusal` where it would read none."""
    try:
        value = json.loads(data, parse_constant=_not_json, parse_float=_finite, parse_int=_finite_int)
    except ValueError:
        raise Refusal(refusals.MALFORMED) from None
    if not isinstance(value, dict):
        raise Refusal(refusals.MALFORMED)
    return _as_go_reads(value) if b"\\u" in data else value


def _as_go_reads(value: dict[str, Any]) -> dict[str, Any]:
    """Return the object with U+FFFD for half a surrogate pair, as Go's reader does."""
    text = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass")
    read: dict[str, Any] = json.loads(text.decode("utf-16", "replace"))
    return read


def _not_json(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("a number no float64 holds")
    return number


def _finite_int(digits: str) -> int:
    _finite(digits)
    return int(digits)
