"""Connections over HTTP. aiohttp comes with the first bot: importing it takes longer than all of this package."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver

__all__ = ["open_session", "timeout"]


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
