"""Requests of a gateway's agents, read from what the gateway sends."""

from typing import Any

import pytest
from hypothesis import given

from openclaw_channel_octo.host.approvals import Approval
from openclaw_channel_octo.host.gateway.approvals import approval_of
from tests.strategies import JSON

EXEC = {
    "approvalKind": "exec",
    "id": "16473bb8-a8ea-4a5f-bdf1-f0a782b629b4",
    "request": {
        "command": "echo from the tool",
        "cwd": "/work",
        "nodeId": None,
        "host": "gateway",
        "warningText": None,
        "commandAnalysis": {"commandCount": 1, "riskKinds": [], "warningLines": ["Contains eval"]},
        "allowedDecisions": ["allow-once", "deny", "later"],
        "agentId": "main",
        "resolvedPath": "/usr/bin/echo",
        "envKeys": ["A", "B"],
        "sessionKey": "agent:main:octo:group:g2",
    },
    "createdAtMs": 1796071338595,
    "expiresAtMs": 1796073138595,
}
"""As 2026.9.6 sent it, without what is not read."""


def test_a_request_of_a_real_gateway_is_read() -> None:
    assert approval_of(EXEC) == Approval(
        id="16473bb8-a8ea-4a5f-bdf1-f0a782b629b4",
        what="echo from the tool",
        agent_id="main",
        where=("cwd=/work", "program=/usr/bin/echo", "host=gateway", "env=A B"),
        warnings=("Contains eval",),
        choices=("allow-once", "deny"),
        expires_ms=1796073138595,
    )


@pytest.mark.parametrize("missing", ["id", "request", "expiresAtMs"])
def test_what_nobody_could_decide_is_no_request(missing: str) -> None:
    assert approval_of({**EXEC, missing: None}) is None


@given(JSON)
def test_any_request_is_read_or_is_none(value: Any) -> None:
    for payload in ({**EXEC, "request": value}, {"id": value, "request": value, "expiresAtMs": value}):
        found = approval_of(payload)
        assert found is None or (found.what and found.choices)
