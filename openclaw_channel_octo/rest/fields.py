"""What requests of the bot API consist of, checked before anything is sent (octo-bot-api §1.1, §4.1)."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from openclaw_channel_octo.config.base import names_host
from openclaw_channel_octo.errors import BadRequest, ConfigError, PayloadTooLarge
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.rest.calls import Call

__all__ = [
    "MAX_PAYLOAD_BYTES",
    "addressed",
    "checked_base",
    "checked_token",
    "encoded",
    "require_small",
    "segment",
]

MAX_PAYLOAD_BYTES = 256 * 1024
"""Largest payload as the server writes it; far below what kills the IM server (octo-bot-api §4.1)."""

_CONVERSATIONS = frozenset(ChannelType)


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


def addressed(call: Call, channel: ChannelRef) -> dict[str, Any]:
    """Return the fields that name a conversation; raise `BadRequest` for what the server would misunderstand."""
    if not channel.id.strip():
        raise BadRequest(call, "the channel id is empty; nothing was sent")
    if channel.type not in _CONVERSATIONS:
        raise BadRequest(call, f"channel type {channel.type} is no conversation of a bot; nothing was sent")
    return {"channel_id": channel.id, "channel_type": int(channel.type)}


def segment(call: Call, value: str) -> str:
    """Return an id as one segment of a path; raise `BadRequest` for an empty one."""
    if not value.strip(" ."):  # dots alone would climb to another route
        raise BadRequest(call, "the group number is empty")
    return quote(value, safe="")


def encoded(content: Mapping[str, Any]) -> bytes:
    """Return compact UTF-8 JSON; lone surrogates, which UTF-8 cannot hold, become question marks."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def require_small(call: Call, payload: Mapping[str, Any]) -> None:
    """Raise `PayloadTooLarge` for a payload that could harm the IM server (octo-bot-api §4.1)."""
    size = _stored_size(payload)
    if size > MAX_PAYLOAD_BYTES:
        detail = f"the payload takes {size} bytes as the server stores it, the limit is {MAX_PAYLOAD_BYTES}: "
        raise PayloadTooLarge(call, detail + "split the text or send it as a file")


def _stored_size(payload: Mapping[str, Any]) -> int:
    """Return the payload's bytes as the server encodes it anew, with six for each ``<``, ``>`` and ``&``."""
    written = encoded(payload)
    return len(written) + 5 * sum(written.count(char) for char in (b"<", b">", b"&"))
