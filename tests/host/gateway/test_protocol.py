"""The client's side of a connection: let in, refused, gaps, and that nothing a stranger sends breaks it."""

import itertools
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.errors import HostRefused, HostUnavailable
from openclaw_channel_octo.host.gateway.frames import Event, Fault, Response, parse_frame
from openclaw_channel_octo.host.gateway.identity import DeviceIdentity
from openclaw_channel_octo.host.gateway.protocol import Gap, GatewayProtocol, Hello, Login, release_of
from tests.host.gateway.transcripts import SCENARIOS, frames

CHALLENGE: dict[str, Any] = {
    "type": "event",
    "event": "connect.challenge",
    "payload": {"nonce": "n-1", "ts": 1_795_000_000_000},
}


REFUSALS = {
    f"s7-auth-{name}" for name in ("bad-client-id", "bad-token", "device-badsig", "no-auth", "proto-3")
}


def protocol(login: Login | None = None, identity: DeviceIdentity | None = None) -> GatewayProtocol:
    ids = itertools.count(1)
    login = login or Login(scopes=("operator.read", "operator.write"), token="t-1")
    return GatewayProtocol(login, identity, lambda: f"id-{next(ids)}")


def challenged(**kwargs: Any) -> tuple[GatewayProtocol, dict[str, Any]]:
    connection = protocol(**kwargs)
    assert connection.receive(json.dumps(CHALLENGE)) == ()
    (message,) = connection.to_send()
    return connection, json.loads(message)


def test_the_first_frame_is_a_connect_of_protocol_4_that_answers_the_challenge() -> None:
    connection, connect = challenged(identity=DeviceIdentity(Ed25519PrivateKey.generate()))
    assert connect["method"] == "connect"
    assert (connect["params"]["minProtocol"], connect["params"]["maxProtocol"]) == (4, 4)
    assert connect["params"]["client"]["id"] == "gateway-client"
    assert connect["params"]["auth"] == {"token": "t-1"}
    assert connect["params"]["device"]["nonce"] == "n-1"
    assert connect["params"]["device"]["signedAt"] == CHALLENGE["payload"]["ts"]
    assert connection.to_send() == []


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_recorded_frame_of_a_real_gateway_is_understood(scenario: str) -> None:
    connection = protocol()
    happenings: list[Any] = []
    for direction, frame in frames(scenario):
        if direction == "in":
            ours = frame["type"] == "res" and not connection.answered
            happenings += connection.receive(
                json.dumps({**frame, "id": connection._connect_id} if ours else frame)
            )
    refused = scenario in REFUSALS
    assert isinstance(happenings[0], Fault if refused else Hello)
    assert not [one for one in happenings if isinstance(one, Gap)]
    if isinstance(hello := happenings[0], Hello):
        assert hello.version == "2026.9.6"
        assert {"agent", "agent.wait", "sessions.describe", "chat.history"} <= hello.methods
        assert hello.default_agent == "main"
        assert hello.uptime_ms > 0


@pytest.mark.parametrize(
    ("scenario", "what_to_do"),
    [
        ("s7-auth-bad-token", "compare host.token"),
        ("s7-auth-no-auth", "set host.token"),
        ("s7-auth-proto-3", "2026.5.22 or later"),
        ("s7-auth-device-badsig", "check both clocks"),
    ],
)
def test_a_recorded_refusal_says_what_the_operator_has_to_do(scenario: str, what_to_do: str) -> None:
    refusal = next(
        frame for direction, frame in frames(scenario) if direction == "in" and frame["type"] == "res"
    )
    answer = parse_frame(json.dumps(refusal))
    assert isinstance(answer, Response)
    assert answer.fault is not None
    error = answer.fault.error("connecting")
    assert isinstance(error, HostRefused)
    assert what_to_do in str(error)


def test_a_device_that_is_not_paired_is_told_the_command_that_approves_it() -> None:
    details = {"code": "PAIRING_REQUIRED", "reason": "not-paired", "requestId": "132ed972"}
    fault = Fault(code="NOT_PAIRED", message="pairing required", details=details)
    assert str(fault.error("connecting")).endswith("openclaw devices approve 132ed972")


@pytest.mark.parametrize(
    "fault",
    [
        Fault(code="FORBIDDEN", details={"code": "MISSING_SCOPE", "missingScope": "operator.admin"}),
        Fault(code="INVALID_REQUEST", message="missing scope: operator.admin"),
    ],
    ids=["2026.9.6", "2026.5.22"],
)
def test_a_missing_scope_is_named(fault: Fault) -> None:
    error = fault.error("sessions.reset")
    assert isinstance(error, HostRefused)
    assert "operator.admin" in str(error)


def test_a_gateway_that_is_starting_is_waited_for() -> None:
    connection, connect = challenged()
    error = {"code": "UNAVAILABLE", "message": "gateway starting", "retryable": True, "retryAfterMs": 500}
    (refused,) = connection.receive(
        json.dumps(
            {
                "type": "res",
                "id": connect["id"],
                "ok": False,
                "error": {**error, "details": {"reason": "startup-sidecars"}},
            }
        )
    )
    assert isinstance(refused, Fault)
    assert refused.retry_after_ms == 500
    assert isinstance(refused.error("connecting"), HostUnavailable)


def test_lost_events_are_told_before_the_event_that_shows_it() -> None:
    connection = protocol()
    seen = [
        connection.receive(json.dumps({"type": "event", "event": "tick", "payload": {}, "seq": seq}))
        for seq in (4, 5, 9)
    ]
    assert [len(happenings) for happenings in seen] == [1, 1, 2]
    assert seen[2][0] == Gap(3)
    assert isinstance(seen[2][1], Event)


@pytest.mark.parametrize("message", ["", "null", "[]", '"x"', "{}", '{"type": 1}', "[" * 100_000, b"\xff"])
def test_what_is_no_frame_is_a_value_error(message: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # its kind is the contract
        protocol().receive(message)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["res", "event", "req"])},
        optional={
            "id": JSON,
            "ok": JSON,
            "event": JSON,
            "payload": JSON,
            "error": JSON,
            "seq": JSON,
        },
    )
)
def test_a_frame_with_anything_in_it_is_taken_without_an_exception(frame: dict[str, Any]) -> None:
    connection, connect = challenged()
    for happening in connection.receive(json.dumps(frame)):
        if isinstance(happening, Response) and happening.fault is not None:
            assert str(happening.fault.error("asking"))
    connection.receive(json.dumps({**frame, "type": "res", "id": connect["id"]}))


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("2026.9.6", (2026, 9, 6)), ("2026.10.1-2", (2026, 10, 1)), ("", ()), ("dev", ()), ("1.x", ())],
)
def test_releases_compare_as_numbers(version: str, numbers: tuple[int, ...]) -> None:
    assert release_of(version) == numbers
