"""What a fake gateway says, in the shape of recorded frames (openclaw-host §4)."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "FAULTS",
    "METHODS",
    "agent_event",
    "assistant_row",
    "changed",
    "chat_event",
    "fault",
    "hello",
    "missing_scope",
    "outcome",
    "scope_of",
    "user_row",
]

METHODS = (
    "agent",
    "agent.wait",
    "agents.list",
    "chat.abort",
    "chat.history",
    "sessions.abort",
    "sessions.describe",
    "sessions.list",
    "sessions.reset",
    "sessions.subscribe",
)
"""What a fake gateway can be asked."""

FAULTS: Mapping[str, Mapping[str, Any]] = {
    "token": {
        "code": "INVALID_REQUEST",
        "message": "unauthorized: gateway token mismatch (provide gateway auth token)",
        "details": {"code": "AUTH_TOKEN_MISMATCH", "authReason": "token_mismatch"},
    },
    "no token": {
        "code": "NOT_PAIRED",
        "message": "device identity required",
        "details": {"code": "DEVICE_IDENTITY_REQUIRED"},
    },
    "pairing": {
        "code": "NOT_PAIRED",
        "message": "pairing required: device is not approved yet",
        "details": {"code": "PAIRING_REQUIRED", "reason": "not-paired", "requestId": "request-1"},
    },
    "signature": {
        "code": "INVALID_REQUEST",
        "message": "device nonce mismatch",
        "details": {"code": "DEVICE_AUTH_NONCE_MISMATCH", "reason": "device-nonce-mismatch"},
    },
    "protocol": {
        "code": "INVALID_REQUEST",
        "message": "protocol mismatch",
        "details": {"code": "PROTOCOL_MISMATCH", "expectedProtocol": 4},
    },
    "starting": {
        "code": "UNAVAILABLE",
        "message": "gateway starting; retry shortly",
        "retryable": True,
        "retryAfterMs": 500,
        "details": {"reason": "startup-sidecars"},
    },
    "restarting": {
        "code": "UNAVAILABLE",
        "message": "agent unavailable during gateway restart",
        "retryable": True,
        "retryAfterMs": 1000,
        "details": {"method": "agent", "reason": "gateway-restarting", "phase": "accepting"},
    },
}
"""Errors of a real gateway by what they are about."""


def fault(code: str, message: str) -> dict[str, Any]:
    """Return an error block."""
    return {"code": code, "message": message}


def scope_of(method: str) -> str:
    """Return the scope a method needs."""
    if method == "sessions.reset":
        return "operator.admin"
    writes = method in {"agent", "agent.wait", "chat.abort", "sessions.abort"}
    return "operator.write" if writes else "operator.read"


def missing_scope(scope: str) -> dict[str, Any]:
    """Return the error about a scope the connection does not have."""
    details = {"code": "MISSING_SCOPE", "missingScope": scope, "requiredScopes": [scope]}
    return {"code": "FORBIDDEN", "message": f"missing scope: {scope}", "details": details}


def hello(
    *, version: str, boot_id: str, uptime_ms: int, scopes: Sequence[str], device_token: str, agent_id: str
) -> dict[str, Any]:
    """Return the payload of ``hello-ok``; an empty boot id is left out, as before 2026.9."""
    server = {"version": version, "connId": "connection"} | ({"bootId": boot_id} if boot_id else {})
    auth: dict[str, Any] = {"role": "operator", "scopes": list(scopes)}
    if device_token:
        auth |= {"deviceToken": device_token}
    return {
        "type": "hello-ok",
        "protocol": 4,
        "server": server,
        "features": {
            "methods": list(METHODS),
            "events": ["agent", "chat", "sessions.changed", "tick", "shutdown"],
        },
        "snapshot": {
            "uptimeMs": uptime_ms,
            "sessionDefaults": {"defaultAgentId": agent_id, "mainKey": "main"},
        },
        "auth": auth,
        "policy": {"maxPayload": 26_214_400, "maxBufferedBytes": 52_428_800, "tickIntervalMs": 30_000},
    }


def outcome(run_id: str, text: str) -> dict[str, Any]:
    """Return the last answer of a run that ended well."""
    payloads = [{"text": text, "mediaUrl": None}] if text else []
    return {
        "runId": run_id,
        "status": "ok",
        "summary": "completed",
        "result": {"payloads": payloads, "meta": {}},
    }


def agent_event(run_id: str, key: str, stream: str, data: Mapping[str, Any], at_ms: int) -> dict[str, Any]:
    """Return the payload of an ``agent`` event."""
    return {"runId": run_id, "sessionKey": key, "stream": stream, "data": dict(data), "ts": at_ms}


def chat_event(run_id: str, key: str, state: str, text: str = "", **more: Any) -> dict[str, Any]:
    """Return the payload of a ``chat`` event; ``text`` is the answer so far."""
    said = {"message": {"role": "assistant", "content": [{"type": "text", "text": text}]}} if text else {}
    return {"runId": run_id, "sessionKey": key, "state": state, **said, **more}


def changed(key: str, row: Mapping[str, Any], at_ms: int, **why: Any) -> dict[str, Any]:
    """Return the payload of a ``sessions.changed`` event."""
    return {"sessionKey": key, "ts": at_ms, **why, "session": dict(row), "status": row.get("status")}


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
