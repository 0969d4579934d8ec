"""Which addresses may be fetched for a stranger: none that lies inside anybody's network (reference-behaviour §2.4)."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

__all__ = ["is_file_of", "is_public", "literal_address", "media_url", "origin_of"]

_PREVIEW = ("file/preview/", "file/")
_FILE_PATHS = ("/file/", "/v1/file/", "/v1/bot/file/", "/v1/botfile/")
_PORTS = {"http": 80, "https": 443}
_EMBEDDED = (
    ip_network("64:ff9b::/96"),
    ip_network("64:ff9b:1::/48"),
    ip_network("2002::/16"),
    ip_network("::/96"),
)
"""IPv6 ranges that carry an IPv4 address: NAT64, 6to4 and the old compatible form."""


def media_url(url: str, files_url: str) -> str:
    """Return the absolute address of a file a message names, empty where it names none that can be fetched.

    Args:
        url: as the sender wrote it; ``file/preview/`` and ``file/`` before a relative one are left out
            (reference-behaviour §c.5).
        files_url: what relative ones lie below, without a trailing slash.
    """
    url = url.strip()
    if not url or not url.isprintable() or " " in url or "\\" in url:
        return ""
    try:
        parts = urlsplit(url)
        absolute = bool(parts.scheme or parts.netloc)
        if absolute:
            plain = parts.scheme in _PORTS and not parts.username and not parts.password
            return url if plain and parts.hostname and parts.port != 0 else ""
    except ValueError:
        return ""
    path = url.lstrip("/")
    for prefix in _PREVIEW:
        if path.startswith(prefix):
            path = path[len(prefix) :]
            break
    return f"{files_url}/{path}" if path and ".." not in path.split("?")[0].split("/") else ""


def origin_of(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of an ``http`` or ``https`` URL, lower case, ports filled in."""
    parts = urlsplit(url)
    return (
        parts.scheme.lower(),
        (parts.hostname or "").lower(),
        parts.port or _PORTS.get(parts.scheme.lower(), 0),
    )


def is_file_of(url: str, api_url: str) -> bool:
    """Return whether a URL is a file of the API itself, for which a bot shows its token.

    Other calls of the API are none: a person could have them made, and read what they answer, by sending their address.
    """
    below = urlsplit(url).path.removeprefix(urlsplit(api_url).path)
    return (
        origin_of(url) == origin_of(api_url)
        and below.startswith(_FILE_PATHS)
        and ".." not in below.split("/")
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
    return found.is_global and not found.is_multicast and not found.is_reserved


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if any(address in network for network in _EMBEDDED) and int(address) > 1:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None
