"""The frames of the gateway protocol, version 4: JSON objects, one in each text message (openclaw-host §4.1)."""

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from openclaw_channel_octo.errors import HostError, HostRefused, HostUnavailable
from openclaw_channel_octo.host.fields import mapping, number, text

__all__ = ["Event", "Fault", "Response", "parse_frame"]


class Fault(Struct, frozen=True, kw_only=True):
    """Why the gateway did not do what it was asked (openclaw-host §4.1).

    Attributes:
        code: the error's code, such as ``UNAVAILABLE``.
        message: the gateway's words; may name people's texts, so only for the operator's log.
        details: the error's details; their ``code`` or ``reason`` tells faults of one code apart.
        retryable: whether the gateway says that waiting helps.
        retry_after_ms: how long it asks to wait, in milliseconds.
    """

    code: str
    message: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    retryable: bool = False
    retry_after_ms: int = 0

    @property
    def reason(self) -> str:
        """What tells this fault apart: the details' code or reason, else the code itself."""
        return text(self.details.get("code")) or text(self.details.get("reason")) or self.code

    def error(self, doing: str) -> HostError:
        """Return the fault as an error that says what to do.

        Args:
            doing: what was asked for, the subject of the sentence.
        """
        if self.retryable:
            return HostUnavailable(f"{doing}: the gateway is restarting ({self.reason})")
        # 2026.5.22 says a missing scope in words only.
        scope = text(self.details.get("missingScope")) or self.message.partition("missing scope: ")[2]
        remedy = _REMEDIES.get(self.reason, "")
        if scope:
            remedy = (
                f"the gateway did not grant the scope {scope}: "
                "add it to host.scopes, and approve the device again if the gateway asks for it"
            )
        elif self.reason in {"PAIRING_REQUIRED", "NOT_PAIRED"}:
            remedy = (
                "the gateway does not know this device yet: run on its machine: "
                f"openclaw devices approve {text(self.details.get('requestId')) or '--latest'}"
            )
        if remedy:
            return HostRefused(f"{doing}: {remedy}")
        return HostError(f"{doing}: {self.message or self.reason} ({self.reason})")


_WRONG = (
    "the gateway refuses the {0}: compare host.{0}, or gateway.auth.{0} in its openclaw.json, with its own"
)
_NONE = "the gateway wants a {0}: set host.{0}, or let host.openclawConfig point to its openclaw.json"
_UNSET = "the gateway itself has no {0}: set gateway.auth.{0} in its openclaw.json"
_SIGNATURE = "the gateway refuses this device's signature: check both clocks, else move the device file away"
_REMEDIES: Mapping[str, str] = {
    "AUTH_TOKEN_MISSING": _NONE.format("token"),
    "AUTH_TOKEN_MISMATCH": _WRONG.format("token"),
    "AUTH_TOKEN_NOT_CONFIGURED": _UNSET.format("token"),
    "AUTH_DEVICE_TOKEN_MISMATCH": _WRONG.format("token"),
    "AUTH_PASSWORD_MISSING": _NONE.format("password"),
    "AUTH_PASSWORD_MISMATCH": _WRONG.format("password"),
    "AUTH_PASSWORD_NOT_CONFIGURED": _UNSET.format("password"),
    "AUTH_RATE_LIMITED": "the gateway saw too many wrong tokens from here: correct host.token, then wait some minutes",
    "AUTH_REQUIRED": _NONE.format("token"),
    "AUTH_UNAUTHORIZED": _WRONG.format("token"),
    "DEVICE_IDENTITY_REQUIRED": _NONE.format("token"),
    "DEVICE_AUTH_INVALID": _SIGNATURE,
    "DEVICE_AUTH_SIGNATURE_INVALID": _SIGNATURE,
    "DEVICE_AUTH_SIGNATURE_EXPIRED": _SIGNATURE,
    "DEVICE_AUTH_NONCE_MISMATCH": _SIGNATURE,
    "DEVICE_AUTH_PUBLIC_KEY_INVALID": _SIGNATURE,
    "DEVICE_AUTH_DEVICE_ID_MISMATCH": _SIGNATURE,
    "PROTOCOL_MISMATCH": "the gateway does not speak protocol 4: run release 2026.5.22 or later there",
}


class Response(Struct, frozen=True, kw_only=True):
    """The gateway's answer to a request; some requests get two.

    Attributes:
        id: of the request.
        payload: what it brings, empty where it brings no object.
        items: what it brings, empty where that is no list.
        fault: why it failed, ``None`` when it did not.
    """

    id: str
    payload: Mapping[str, Any]
    items: tuple[Any, ...] = ()
    fault: Fault | None = None


class Event(Struct, frozen=True, kw_only=True):
    """Something the gateway tells unasked.

    Attributes:
        name: the event's name.
        payload: what it says, empty where it says no object.
        seq: its number on this connection, ``None`` where it has none.
    """

    name: str
    payload: Mapping[str, Any]
    seq: int | None = None


def parse_frame(message: str | bytes) -> Response | Event | None:
    """Return the frame in a message, ``None`` for a kind this client has no use for.

    Raises:
        ValueError: the message is no frame at all.
    """
    try:
        frame = json.loads(message)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(frame, Mapping) or not isinstance(frame.get("type"), str):
        raise ValueError("no frame")  # noqa: TRY004  # a wrong content, not a wrong type of argument
    match frame["type"]:
        case "res":
            return _response(frame)
        case "event":
            name, payload = text(frame.get("event")), mapping(frame.get("payload"))
            return Event(name=name, payload=payload, seq=number(frame.get("seq")))
        case _:
            return None


def _response(frame: Mapping[str, Any]) -> Response:
    fault = None
    if frame.get("ok") is not True:
        error = mapping(frame.get("error"))
        fault = Fault(
            code=text(error.get("code")) or "UNKNOWN",
            message=text(error.get("message")),
            details=mapping(error.get("details")),
            retryable=error.get("retryable") is True,
            retry_after_ms=max(0, number(error.get("retryAfterMs")) or 0),
        )
    payload = frame.get("payload")
    items = tuple(payload) if isinstance(payload, list) else ()
    return Response(id=text(frame.get("id")), payload=mapping(payload), items=items, fault=fault)
