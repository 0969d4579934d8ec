"""What a fake gateway says, in the shape of recorded frames, and what it asks of a device (openclaw-host §4)."""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

__all__ = [
    "CLIENT_IDS",
    "CLIENT_MODES",
    "FAULTS",
    "METHODS",
    "agent_event",
    "assistant_row",
    "changed",
    "chat_event",
    "close_code",
    "device_fault",
    "fault",
    "hello",
    "history",
    "listing",
    "missing_scope",
    "outcome",
    "scope_of",
    "user_row",
]

METHODS = (
    "agent",
    "agent.wait",
    "agents.list",
    "channels.status",
    "chat.abort",
    "chat.history",
    "health",
    "sessions.abort",
    "sessions.describe",
    "sessions.list",
    "sessions.recover",
    "sessions.reset",
    "sessions.subscribe",
)
"""What a fake gateway can be asked."""
CLIENT_IDS = frozenset(
    {
        "cli",
        "fingerprint",
        "gateway-client",
        "node-host",
        "openclaw-android",
        "openclaw-control-ui",
        "openclaw-ios",
        "openclaw-linux",
        "openclaw-macos",
        "openclaw-probe",
        "openclaw-tui",
        "openclaw-worker",
        "test",
        "webchat",
        "webchat-ui",
    }
)
"""Names a client may go by (openclaw-host §4.2)."""
CLIENT_MODES = frozenset({"backend", "cli", "node", "probe", "test", "ui", "webchat", "worker"})
"""Modes a client may name (openclaw-host §4.2)."""
_BAD_PARAMS = "invalid connect params: at /client/{}: must be equal to one of the allowed values"


def fault(code: str, message: str, details: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return an error block."""
    return {"code": code, "message": message, **more} | ({"details": details} if details else {})


_TOKEN_HELP = {"canRetryWithDeviceToken": False, "recommendedNextStep": "update_auth_credentials"}

FAULTS: Mapping[str, Mapping[str, Any]] = {
    "first frame": fault("INVALID_REQUEST", "invalid handshake: first request must be connect"),
    "client id": fault("INVALID_REQUEST", _BAD_PARAMS.format("id")),
    "client mode": fault("INVALID_REQUEST", _BAD_PARAMS.format("mode")),
    "token": fault(
        "INVALID_REQUEST",
        "unauthorized: gateway token mismatch (provide gateway auth token)",
        {"code": "AUTH_TOKEN_MISMATCH", "authReason": "token_mismatch", **_TOKEN_HELP},
    ),
    "no token": fault("NOT_PAIRED", "device identity required", {"code": "DEVICE_IDENTITY_REQUIRED"}),
    "pairing": fault(
        "NOT_PAIRED",
        "pairing required: device is not approved yet",
        {"code": "PAIRING_REQUIRED", "reason": "not-paired", "requestId": "request-1"},
    ),
    "signature": fault(
        "INVALID_REQUEST",
        "device nonce mismatch",
        {"code": "DEVICE_AUTH_NONCE_MISMATCH", "reason": "device-nonce-mismatch"},
    ),
    "device id": fault(
        "INVALID_REQUEST",
        "device identity mismatch",
        {"code": "DEVICE_AUTH_DEVICE_ID_MISMATCH", "reason": "device-id-mismatch"},
    ),
    "signed text": fault(
        "INVALID_REQUEST",
        "device signature invalid",
        {"code": "DEVICE_AUTH_SIGNATURE_INVALID", "reason": "device-signature"},
    ),
    "protocol": fault(
        "INVALID_REQUEST",
        "protocol mismatch",
        {
            "code": "PROTOCOL_MISMATCH",
            "clientMinProtocol": 3,
            "clientMaxProtocol": 3,
            "expectedProtocol": 4,
            "minimumProbeProtocol": 3,
        },
    ),
    "starting": fault(
        "UNAVAILABLE",
        "gateway starting; retry shortly",
        {"reason": "startup-sidecars"},
        retryable=True,
        retryAfterMs=500,
    ),
    "restarting": fault(
        "UNAVAILABLE",
        "agent unavailable during gateway restart",
        {"method": "agent", "reason": "gateway-restarting", "phase": "accepting"},
        retryable=True,
        retryAfterMs=1000,
    ),
}
"""Errors of a real gateway by what they are about."""


def close_code(why: str) -> int:
    """Return the code a refused connection is closed with."""
    return {"starting": 1013, "protocol": 1002}.get(why, 1008)


def scope_of(method: str) -> str:
    """Return the scope a method needs."""
    if method == "sessions.reset":
        return "operator.admin"
    if "approval" in method:
        return "operator.approvals"
    writes = method in {"agent", "agent.wait", "chat.abort", "sessions.abort"}
    return "operator.write" if writes else "operator.read"


def missing_scope(scope: str) -> dict[str, Any]:
    """Return the error about a scope the connection does not have."""
    details = {"code": "MISSING_SCOPE", "missingScope": scope, "requiredScopes": [scope]}
    return fault("FORBIDDEN", f"missing scope: {scope}", details)


def hello(
    *,
    server: Mapping[str, Any],
    uptime_ms: int,
    auth: Mapping[str, Any],
    agent_id: str,
    methods: Sequence[str] = METHODS,
) -> dict[str, Any]:
    """Return the payload of ``hello-ok``."""
    return {
        "type": "hello-ok",
        "protocol": 4,
        "server": dict(server),
        "features": {
            "methods": list(methods),
            "events": ["connect.challenge", "agent", "chat", "sessions.changed", "tick", "shutdown"],
            "capabilities": [],
        },
        "snapshot": {
            "suspension": {"phase": "accepting"},
            "uptimeMs": uptime_ms,
            "sessionDefaults": {
                "defaultAgentId": agent_id,
                "mainKey": "main",
                "mainSessionKey": f"agent:{agent_id}:main",
                "scope": "per-sender",
            },
        },
        "auth": {"role": "operator", **auth},
        "policy": {"maxPayload": 26_214_400, "maxBufferedBytes": 52_428_800, "tickIntervalMs": 30_000},
    }


def outcome(run_id: str, text: str, media: str = "") -> dict[str, Any]:
    """Return the last answer of a run that ended well; ``media`` is where a file lies, empty for none."""
    payloads = [{"text": text, "mediaUrl": media or None}] if text or media else []
    return {
        "runId": run_id,
        "status": "ok",
        "summary": "completed",
        "result": {"payloads": payloads, "meta": {}},
    }


def agent_event(run_id: str, key: str, stream: str, data: Mapping[str, Any], at_ms: int) -> dict[str, Any]:
    """Return the payload of an ``agent`` event."""
    return {
        "runId": run_id,
        "sessionKey": key,
        "agentId": _agent_of(key),
        "stream": stream,
        "data": dict(data),
        "ts": at_ms,
    }


def chat_event(run_id: str, key: str, state: str, text: str = "", **more: Any) -> dict[str, Any]:
    """Return the payload of a ``chat`` event; ``text`` is the answer so far."""
    said = {"message": {"role": "assistant", "content": [{"type": "text", "text": text}]}} if text else {}
    return {
        "runId": run_id,
        "sessionKey": key,
        "agentId": _agent_of(key),
        "state": state,
        **said,
        **more,
    }


def changed(key: str, row: Mapping[str, Any], at_ms: int, **why: Any) -> dict[str, Any]:
    """Return the payload of a ``sessions.changed`` event."""
    status = row.get("status")
    return {
        "sessionKey": key,
        "agentId": _agent_of(key),
        "ts": at_ms,
        **why,
        "session": dict(row),
        "status": status,
        "hasActiveRun": status == "running",
    }


def user_row(text: str, run_id: str, at_ms: int, *, with_key: bool) -> dict[str, Any]:
    """Return what a question leaves in the history; only newer releases keep the run with it."""
    key = {"idempotencyKey": f"{run_id}:user"} if with_key else {}
    return {"role": "user", "content": text, "timestamp": at_ms, **key}


def assistant_row(text: str, at_ms: int) -> dict[str, Any]:
    """Return what an answer leaves in the history."""
    return {
        "role": "assistant",
        "content": [{"type": "text", "text": text}],
        "stopReason": "stop",
        "timestamp": at_ms,
    }


def listing(rows: Sequence[Mapping[str, Any]], params: Mapping[str, Any], at_ms: int) -> dict[str, Any]:
    """Return the answer to ``sessions.list``: the part of all rows that was asked for."""
    first = params.get("offset", 0)
    shown = rows[first : first + params.get("limit", 100)]
    return {
        "ts": at_ms,
        "sessions": list(shown),
        "count": len(shown),
        "totalCount": len(rows),
        "hasMore": first + len(shown) < len(rows),
    }


def history(
    row: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], params: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the answer to ``chat.history``: the newest lines of a session."""
    limit = params.get("limit", 200)
    return {
        "sessionKey": params["sessionKey"],
        "sessionId": row.get("sessionId", ""),
        "messages": list(lines[-limit:]),
        "pendingInputs": {"items": [], "total": 0},
        "hasMore": len(lines) > limit,
        "totalMessages": len(lines),
    }


def device_fault(params: Mapping[str, Any], device: Mapping[str, Any], nonce: str) -> str:
    """Return what is wrong with a device's proof, empty when it holds (openclaw-host §4.3)."""
    if device["nonce"] != nonce:
        return "signature"
    public_key = _unbase64url(device["publicKey"])
    if hashlib.sha256(public_key).hexdigest() != device["id"]:
        return "device id"
    return (
        "" if any(_verifies(public_key, device, text) for text in _proofs(params, device)) else "signed text"
    )


def _proofs(params: Mapping[str, Any], device: Mapping[str, Any]) -> tuple[str, str]:
    """Return the texts a device may have signed: form ``v3`` and form ``v2``."""
    auth, client = params["auth"], params["client"]
    token = auth.get("token") or auth.get("deviceToken") or ""
    told = (
        device["id"],
        client["id"],
        client["mode"],
        params["role"],
        ",".join(params["scopes"]),
        str(device["signedAt"]),
        token,
        device["nonce"],
    )
    where = (client["platform"].lower(), client.get("deviceFamily", "").lower())
    return "|".join(("v3", *told, *where)), "|".join(("v2", *told))


def _verifies(public_key: bytes, device: Mapping[str, Any], text: str) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(
            _unbase64url(device["signature"]), text.encode()
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def _unbase64url(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return b""


def _agent_of(key: str) -> str:
    return key.split(":")[1]
