"""Connections over HTTP. aiohttp comes with the first bot: importing it takes longer than all of this package."""

import os
import socket
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from openclaw_channel_octo.config.base import names_host
from openclaw_channel_octo.errors import ConfigError

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver

__all__ = ["checked_base", "checked_token", "open_session", "reason_of", "timeout"]

_UNTRUSTED = "its certificate is not trusted here ({}; the variable SSL_CERT_FILE names others to trust)"


def timeout(**seconds: float | None) -> "aiohttp.ClientTimeout":
    """Return the limits of a request, by their names in `aiohttp.ClientTimeout`."""
    import aiohttp  # noqa: PLC0415  # see above

    return aiohttp.ClientTimeout(**seconds)  # type: ignore[arg-type]  # one of its fields is no number of seconds


def open_session(
    limit: int, *, per_host: int = 0, resolver: "AbstractResolver | None" = None, **settings: Any
) -> "aiohttp.ClientSession":
    """Return a session of the running loop, without cookies and without proxies and credentials of the environment.

    Args:
        limit: connections at once, 0 for any number.
        per_host: connections to one server at once, 0 for any number.
        resolver: finds addresses, asked anew for every connection; ``None`` for the system's, remembered a while.
        settings: others of `aiohttp.ClientSession`.
    """
    import aiohttp  # noqa: PLC0415  # see above

    connector = aiohttp.TCPConnector(
        limit=limit, limit_per_host=per_host, resolver=resolver, use_dns_cache=resolver is None
    )
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, **settings
    )


def checked_base(base_url: str) -> str:
    """Return the address without a trailing slash; paths are appended, never joined (octo-bot-api §1.1).

    Raises `ConfigError` for what is none.
    """
    parts = urlsplit(base_url) if names_host(base_url) else None
    if (
        parts is None
        or parts.scheme not in {"http", "https"}
        or parts.username
        or parts.password
        or parts.query
        or parts.fragment
    ):
        raise ConfigError(
            "apiUrl must be http://host[:port][/prefix] or https://…, without user, query or fragment"
        )
    return base_url.rstrip("/")


def checked_token(token: SecretStr) -> SecretStr:
    """Return the token if it can travel in a header, else raise `ConfigError`."""
    text = token.get_secret_value()
    if not text or " " in text or not (text.isascii() and text.isprintable()):
        raise ConfigError("the bot token is empty, or holds a space or another character no token has")
    return token


def reason_of(error: BaseException) -> str:
    """Return why a connection failed, in words an operator can act on, without an address and what was sent.

    Args:
        error: of this library's HTTP client or of the system; the class is named where it has no words.
    """
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    match cause:
        case ssl.SSLCertVerificationError():
            return _UNTRUSTED.format(cause.verify_message)
        case ssl.SSLError():
            return f"no TLS connection can be made ({(cause.reason or 'no reason given').replace('_', ' ').lower()})"
        case socket.gaierror(errno=socket.EAI_AGAIN):
            return "the name service does not answer"
        case socket.gaierror():
            return "the server's name is not known here"
        case OSError(errno=int(number)) if number > 0:
            return os.strerror(number)
        case TimeoutError():
            return "no answer in time"
        case _:
            return type(error).__name__
