"""What every model of the configuration has in common, and addresses in it."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

__all__ = ["FrozenModel", "HttpBase", "WsUrl", "is_host", "names_host"]


class FrozenModel(BaseModel):
    """Base of the models: camelCase in files, snake_case in Python, nothing coerced, no input in errors."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        defer_build=True,
        validate_by_alias=True,
        validate_by_name=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        strict=True,
    )


def is_host(name: str) -> bool:
    """Return whether a name or IP address can be looked up.

    An empty part between its dots, or one of more than 63 characters, breaks what looks it up.
    """
    try:
        return bool(name.encode("idna"))
    except UnicodeError:
        return False


def names_host(url: str) -> bool:
    """Return whether a URL names a host that can be looked up, and no port that there cannot be."""
    try:
        parts = urlsplit(url)
        return is_host(parts.hostname or "") and parts.port != 0
    except ValueError:
        return False


def _url(url: str, *schemes: str) -> str:
    expected = " or ".join(f"{scheme}://" for scheme in schemes)
    wanted = f"must be a URL that begins with {expected} and names a host"
    if not names_host(url):
        raise ValueError(f"{wanted}: 1 to 63 characters between its dots, its port from 1 to 65535")
    parts = urlsplit(url)
    if parts.scheme not in schemes or not url.isprintable() or " " in url:
        raise ValueError(wanted)
    if "@" in parts.netloc or parts.fragment:
        raise ValueError("must carry no user name, password or fragment")
    return url


def _http_base(url: str) -> str:
    if "?" in _url(url, "http", "https"):
        raise ValueError("must carry no query: paths are appended to it")
    return url.rstrip("/")


HttpBase = Annotated[str, AfterValidator(_http_base)]
"""An ``http`` or ``https`` address that paths are appended to."""

WsUrl = Annotated[str, AfterValidator(lambda url: _url(url, "ws", "wss"))]
"""A ``ws`` or ``wss`` address."""
