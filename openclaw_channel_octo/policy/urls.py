"""Which addresses may be fetched for a stranger: none that lies inside anybody's network (reference-behaviour §2.4).

Addresses are read once, into a `yarl.URL`, and judged in the very form in which they are asked for: what one parser
takes for a name (``１２７.0.0.1``, ``file/%2e%2e``), another turns into an address inside.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import unquote

from yarl import URL

__all__ = ["fetchable", "is_file_of", "is_public", "literal_address", "media_url", "origin_of", "redirected"]

URL_LENGTH = 8_192
"""Longest address that is fetched; signed ones have some thousand characters."""

_PREVIEW = ("file/preview/", "file/")
_FILE_PATHS = ("/file/", "/v1/file/", "/v1/bot/file/", "/v1/botfile/")
_SCHEMES = frozenset({"http", "https"})
_NUMBER = re.compile(r"(?:[0-9]+|0[xX][0-9A-Fa-f]*)")
_DECODINGS = 3
"""How many times a server might decode a path."""

_GLOBAL_V6 = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")
_INSIDE = (
    ip_network("192.0.0.0/24"),  # protocol assignments; one cloud's metadata
    ip_network("168.63.129.16/32"),  # another cloud's machine agent, in a public range
    ip_network("2001::/23"),  # protocol assignments, Teredo among them
    ip_network("3fff::/20"),  # documentation
)
"""Ranges that not every version of Python counts as private."""


def media_url(url: str, files_url: str) -> URL | None:
    """Return the absolute address of a file a message names, ``None`` where it names none that can be fetched.

    Args:
        url: as the sender wrote it; ``file/preview/`` and ``file/`` before a relative one are left out
            (reference-behaviour §c.5).
        files_url: what relative ones lie below, without a trailing slash.
    """
    url = url.strip()
    found = _parsed(url)
    if found is None or found.scheme or found.raw_host:
        return found if found is not None and fetchable(found) else None
    path = url.lstrip("/")
    for prefix in _PREVIEW:
        if path.startswith(prefix):
            path = path[len(prefix) :]
            break
    below = re.split(r"[?#]", path)[0]
    return None if not below or _climbs(below) else _parsed(f"{files_url}/{path}")


def redirected(url: URL, location: str) -> URL | None:
    """Return where a redirect leads, ``None`` where that cannot be fetched."""
    found = _parsed(location.strip())
    if found is None or not found.raw_path_qs:
        return None
    target = url.join(found)
    return target if fetchable(target) else None


def fetchable(url: URL) -> bool:
    """Return whether this is a plain HTTP address: no credentials, and no number in place of an address or a name.

    Resolvers read ``2130706433``, ``0177.0.0.1`` and ``127.1`` as addresses, which no check of an address sees.
    """
    host = url.raw_host or ""
    return (
        url.scheme in _SCHEMES
        and url.raw_user is None
        and url.raw_password is None
        and bool(url.port)
        and host.isascii()
        and (bool(literal_address(host)) or not _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]))
        and bool(host.strip("."))
    )


def origin_of(url: URL) -> tuple[str, str, int]:
    """Return scheme, host and port of an ``http`` or ``https`` address, lower case, ports filled in."""
    return url.scheme, (url.raw_host or "").lower(), url.port or 0


def is_file_of(url: URL, api_url: URL) -> bool:
    """Return whether an address is a file of the API itself, for which a bot shows its token.

    Other calls of the API are none: a person could have them made, and read what they answer, by sending their address.
    """
    base = api_url.raw_path.rstrip("/")
    return (
        origin_of(url) == origin_of(api_url)
        and url.raw_path.startswith(tuple(base + path for path in _FILE_PATHS))
        and not _climbs(url.raw_path)
    )


def literal_address(host: str) -> str:
    """Return a host that is an IP address itself, empty where it is a name."""
    try:
        return str(ip_address(host.strip("[]").partition("%")[0]))
    except ValueError:
        return ""


def is_public(address: str) -> bool:
    """Return whether an IP address belongs to the open internet: not private, link-local, loopback or metadata.

    An address inside an address (mapped, NAT64, 6to4) is judged by the inner one.
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        inner = _inner(found)
        if inner is not None:
            return is_public(str(inner))
        if found not in _GLOBAL_V6:
            return False
    special = any(found in network for network in _INSIDE) or found.is_multicast or found.is_reserved
    return found.is_global and not special


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None


def _parsed(url: str) -> URL | None:
    if not url or len(url) > URL_LENGTH or not url.isprintable() or " " in url or "\\" in url:
        return None
    try:
        return URL(url)
    except ValueError:
        return None


def _climbs(path: str) -> bool:
    """Return whether a path leaves its folder, however often a server may decode it."""
    for _ in range(_DECODINGS):
        if any(part.partition(";")[0] == ".." for part in re.split(r"[/\\]", path)):
            return True
        path = unquote(path)
    return False
