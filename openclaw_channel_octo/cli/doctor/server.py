"""Whether an Octo server stands at an address: tells a wrong `apiUrl` from a wrong token, which is not sent."""

import asyncio
import json
import socket
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from openclaw_channel_octo.cli.doctor.findings import Finding, error
from openclaw_channel_octo.clock import SystemClock, within
from openclaw_channel_octo.rest.network import open_session, reason_of, timeout

if TYPE_CHECKING:
    import aiohttp

__all__ = ["check_server"]

NAME_WITHIN_S = 5.0
ANSWER_WITHIN_S = 10.0
ELSEWHERE_WITHIN_S = 3.0
"""Longest wait for the answer of an address that is only guessed."""

MOST_BYTES = 64 * 1024
SUBJECT = "server"
PATH = "/v1/bot/groups"
_PLAIN = "check apiUrl (host and port), and whether the server and the network are up"


class _Answer(Struct, frozen=True):
    """What an address answers to a request without a token.

    Attributes:
        status: HTTP status.
        is_page: whether it is a web page.
        words: the server's words where it is an Octo server, which gives them in ``msg`` (octo-bot-api §1.4); else
            ``None``.
        moved: where it redirects to, empty where it does not.
    """

    status: int
    is_page: bool
    words: str | None
    moved: str


async def check_server(url: str) -> Finding | None:
    """Return why no Octo server answers at an ``apiUrl``, ``None`` where one does.

    Args:
        url: the address, as it is configured.
    """
    import aiohttp  # noqa: PLC0415  # see rest.network

    if unknown := await _name(url):
        return error(SUBJECT, unknown, "check apiUrl and the name service of this machine")
    async with open_session(limit=0) as session:
        try:
            answer = await _ask(session, url, ANSWER_WITHIN_S)
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            return await _no_answer(url, problem)
        if answer.words is None:
            return await _another(session, url, answer)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        words = f"{url} fails (HTTP {answer.status}): {answer.words}"
        return error(SUBJECT, words, "the server's own log says why; ask who runs it")
    return None


async def _name(url: str) -> str:
    """Return why the host of an address cannot be found, empty when it can."""
    host = urlsplit(url).hostname or ""
    looking = asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    try:
        await within(SystemClock(), NAME_WITHIN_S, looking)
    except TimeoutError:
        return f"the name {host} is not told within {NAME_WITHIN_S:.0f} s"
    except OSError:
        return f"the name {host} is not known here"
    return ""


async def _ask(session: "aiohttp.ClientSession", url: str, within_s: float) -> _Answer:
    """Return what an address answers. Raises `aiohttp.ClientError`, `OSError`, `ValueError`."""
    asking = session.get(f"{url}{PATH}", timeout=timeout(total=within_s), allow_redirects=False)
    async with asking as answer:
        body = await _beginning(answer)
        is_page = "html" in answer.headers.get("Content-Type", "") or body.lstrip().startswith(b"<")
        return _Answer(answer.status, is_page, _words(body), answer.headers.get("Location", ""))


async def _beginning(answer: "aiohttp.ClientResponse") -> bytes:
    try:
        return await answer.content.readexactly(MOST_BYTES)
    except asyncio.IncompleteReadError as whole:
        return whole.partial


def _words(body: bytes) -> str | None:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    words = told.get("msg") if isinstance(told, dict) else None
    return words if isinstance(words, str) else None


async def _no_answer(url: str, problem: Exception) -> Finding:
    """Return what keeps an address from answering at all."""
    certificate = isinstance(getattr(problem, "certificate_error", None), ssl.SSLCertVerificationError)
    cause = getattr(problem, "os_error", None)
    if certificate:
        advice = (
            "have the server's certificate put right, write the name it holds into apiUrl, or name the authority "
            "that signed it in SSL_CERT_FILE"
        )
        return error(SUBJECT, f"{url}: {reason_of(problem)}", advice)
    if isinstance(cause, ssl.SSLError):
        plain = url.replace("https:", "http:", 1)
        return error(
            SUBJECT,
            f"{url}: {reason_of(problem)}",
            f'is that port one for HTTPS? for plain HTTP: "apiUrl": "{plain}"',
        )
    if isinstance(problem, TimeoutError):
        return error(SUBJECT, f"{url} does not answer within {ANSWER_WITHIN_S:.0f} s", _PLAIN)
    if await _speaks_tls(url):
        return _https_only(url)
    return error(SUBJECT, f"{url} does not answer: {reason_of(problem)}", _PLAIN)


async def _speaks_tls(url: str) -> bool:
    """Return whether the port of an ``http`` address takes a TLS handshake; nothing is sent over it."""
    parts = urlsplit(url)
    if parts.scheme != "http":
        return False
    unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    try:
        opening = asyncio.open_connection(parts.hostname, parts.port or 80, ssl=unchecked)
        _, writer = await within(SystemClock(), ELSEWHERE_WITHIN_S, opening)
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    return True


def _https_only(url: str) -> Finding:
    secure = url.replace("http:", "https:", 1)
    return error(SUBJECT, f"{url} takes HTTPS only", f'set "apiUrl": "{secure}"')


async def _another(session: "aiohttp.ClientSession", url: str, answer: _Answer) -> Finding:
    """Return what to do about an address where something else answers."""
    if answer.moved:
        advice = f"set apiUrl to the final address: {answer.moved.partition('?')[0].removesuffix(PATH)}"
        return error(SUBJECT, f"{url} redirects elsewhere (HTTP {answer.status})", advice)
    if answer.is_page and answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        words = f"a proxy answers for {url} (HTTP {answer.status}): the Octo server behind it is away"
        return error(SUBJECT, words, "ask who runs the server, or check the path of apiUrl")
    if answer.status == HTTPStatus.BAD_REQUEST and await _speaks_tls(url):
        return _https_only(url)
    what = "a web page" if answer.is_page else "something else"
    words = f"{url} is no Octo API: it answers with {what} (HTTP {answer.status})"
    if found := await _elsewhere(session, url):
        return error(SUBJECT, words, f'set "apiUrl": "{found}", where there is one')
    return error(SUBJECT, words, "check apiUrl: host, port and path (/api behind the usual proxy)")


async def _elsewhere(session: "aiohttp.ClientSession", url: str) -> str:
    """Return the address on the same server where an Octo API answers, empty where none is found."""
    import aiohttp  # noqa: PLC0415  # see rest.network

    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    for place in dict.fromkeys((f"{url}/api", f"{origin}/api", origin)):
        if place == url:
            continue
        try:
            answer = await _ask(session, place, ELSEWHERE_WITHIN_S)
        except (aiohttp.ClientError, OSError, ValueError):
            continue
        if answer.words is not None:
            return place
    return ""
