"""WebSockets that stay with the server they were opened to."""

import logging
from urllib.parse import urljoin, urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, InvalidURI, SecurityError

__all__ = ["quiet", "same_origin_connect"]

quiet = logging.getLogger(__name__)
"""Drops frames: the library's debug lines would print tokens and messages."""
quiet.setLevel(logging.ERROR)

_PORTS = {"ws": 80, "wss": 443}


class same_origin_connect(connect):  # noqa: N801  # used like the function it stands for
    """`websockets.connect`, except that a redirect to another scheme, host or port is not followed.

    Whoever is found there would be sent the token, which the operator meant for this server alone.

    Raises:
        SecurityError: there is such a redirect, or one that leads nowhere; names origins, without path and query.
    """

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Return where to go on, or the error to raise."""
        here = _origin(self.uri)
        try:
            found = super().process_redirect(exc)
            if not isinstance(exc, InvalidStatus) or found is exc:
                return exc
            there = _origin(urljoin(self.uri, exc.response.headers["Location"]))
        except (InvalidURI, LookupError, ValueError):  # no address, several at once, no port
            return SecurityError(f"{here} redirects to what is no WebSocket address")
        if isinstance(found, str) and there == here:
            return found
        return SecurityError(
            f"{here} redirects to {there}, another server, which is not followed: "
            "if that one is meant, configure its address"
        )


def _origin(url: str) -> str:
    """Return an address without path and query, its port written out."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return (
        f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{parts.port or _PORTS.get(parts.scheme, 0)}"
    )
