"""What the web pages of this machine share: who may ask, how answers look, where the pages' files are."""

import asyncio
import json
from collections.abc import Mapping
from http import HTTPStatus
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from pydantic import ValidationError

__all__ = ["as_json", "guarded", "mistakes", "no_strangers", "page_file", "refusal"]

BODY_WITHIN_S: Final = 10.0
"""Real seconds a request may take to send its body."""

_LARGEST_BODY: Final = 8 * 1024 * 1024

_LOCAL: Final = frozenset({"127.0.0.1", "localhost"})

_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}

_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    hdrs.CACHE_CONTROL: "no-store",
}


@web.middleware
async def no_strangers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse pages of other sites: browsers let them open sockets anywhere, and tests' tokens are known."""
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and _host_of(origin) not in _LOCAL:
        return refusal("pages of other sites have no business here", HTTPStatus.FORBIDDEN)
    return await handler(request)


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def guarded(handler: Handler, takes: str = "application/json", largest: int = _LARGEST_BODY) -> Handler:
    """Let programs of this machine and the page itself in, not the pages of other sites.

    Args:
        handler: answers.
        takes: the content type of a POST, one that browsers let no page of another site send unasked.
        largest: most bytes of its body.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        # Not request.host: for a request without one, that asks the name service, and everybody waits.
        if request.headers.get(hdrs.HOST, "").partition(":")[0] not in _LOCAL:
            return refusal("this address is not the double's", HTTPStatus.FORBIDDEN)
        if request.method != "POST":
            return await handler(request)
        if request.content_type != takes:
            return refusal(f"send it with Content-Type: {takes}", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        request = request.clone(client_max_size=largest)
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                await request.read()  # the handler gets the same bytes
        except web.HTTPRequestEntityTooLarge:
            return refusal(f"more than {largest // 2**20} MB", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except TimeoutError:
            return refusal(f"no whole body within {BODY_WITHIN_S:.0f} s", HTTPStatus.REQUEST_TIMEOUT)
        return await handler(request)

    return handle


def page_file(package: str, name: str) -> web.Response:
    """Return a file of a package's folder ``pages``, with headers that let the page load nothing from elsewhere.

    Raises:
        web.HTTPNotFound: there is no such file.
    """
    kind = _TYPES.get(PurePosixPath(name).suffix)
    file = files(package).joinpath("pages", name)
    if kind is None or "/" in name or not file.is_file():
        raise web.HTTPNotFound
    return web.Response(text=file.read_text("utf-8"), content_type=kind, headers=_HEADERS)


def as_json(value: Any) -> web.Response:
    """Return an answer that is JSON."""
    text = json.dumps(value)  # ASCII: a bot may have sent half an emoji, which UTF-8 has no form for
    return web.Response(text=text, content_type="application/json", headers={hdrs.CACHE_CONTROL: "no-store"})


def refusal(words: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> web.Response:
    """Return an answer that says why something was not done."""
    text = json.dumps({"ok": False, "error": words}, ensure_ascii=False)
    return web.Response(text=text, status=status, content_type="application/json")


def mistakes(error: ValidationError) -> str:
    """Return what is wrong with a body, each mistake with its place, without what was sent."""
    wrong = error.errors(include_url=False)
    return "; ".join(f"{'.'.join(map(str, each['loc'])) or 'the body'}: {each['msg']}" for each in wrong)
