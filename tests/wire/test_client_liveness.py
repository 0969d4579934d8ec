"""When the client pings, and when it gives the server up."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.wire.client import ClientConnection, ConnectionState, Timers
from openclaw_channel_octo.wire.codec import encode
from openclaw_channel_octo.wire.events import Silent
from openclaw_channel_octo.wire.packets import Connack
from tests.wire.vectors import RECV

MakeClient = Callable[..., ClientConnection]


def test_a_ping_is_one_byte_every_thirty_seconds_and_not_before_connack(make_client: MakeClient) -> None:
    client = make_client(ready=False)
    assert client.deadline() == 8.0
    client.receive(encode(Connack(reason_code=1), 5), now=5.0)
    assert client.deadline() == 35.0
    assert client.tick(34.9) == []
    assert client.outgoing() == b""
    assert client.tick(35.0) == []
    assert client.outgoing() == b"\x70"
    client.receive(b"\x80", now=35.1)
    assert client.deadline() == 65.0
    client.tick(65.0)
    assert client.outgoing() == b"\x70"


def test_seventy_seconds_without_a_byte_are_silence_and_end_the_connection(make_client: MakeClient) -> None:
    client = make_client(ready=True)
    for now in (30.0, 60.0):
        assert client.tick(now) == []
    assert client.deadline() == 70.0
    assert client.tick(70.5) == [Silent(seconds=70.5)]
    assert client.state is ConnectionState.CLOSED
    assert client.deadline() is None
    assert client.tick(200.0) == []
    assert client.receive(b"\x80", now=200.0) == []


@pytest.mark.parametrize(
    "data", [b"\x80", encode(RECV, 5), b"\x50"], ids=["pong", "message", "half a packet"]
)
def test_any_inbound_byte_proves_life(make_client: MakeClient, data: bytes) -> None:
    client = make_client(ready=True)
    client.tick(30.0)
    client.receive(data, now=50.0)
    client.tick(60.0)
    client.tick(90.0)
    assert client.deadline() == 120.0
    assert client.tick(119.9) == []
    assert client.tick(120.0) == [Silent(seconds=70.0)]


def test_no_bytes_prove_nothing(make_client: MakeClient) -> None:
    client = make_client(ready=True)
    client.tick(60.0)
    client.receive(b"", now=69.0)
    assert client.tick(70.0) == [Silent(seconds=70.0)]


def test_an_owner_that_did_not_read_for_a_while_does_not_hold_it_against_the_server(
    make_client: MakeClient,
) -> None:
    client = make_client(ready=True)
    client.tick(60.0)
    client.touch(now=69.0)
    assert client.tick(75.0) == []
    assert client.state is ConnectionState.READY
    client.touch(now=10.0)
    client.tick(90.0)
    assert client.deadline() == 120.0


def test_a_connack_that_does_not_come_within_eight_seconds_is_silence(make_client: MakeClient) -> None:
    client = make_client(ready=False)
    client.receive(b"\x80", now=7.0)
    assert client.tick(7.9) == []
    assert client.tick(8.0) == [Silent(seconds=8.0)]
    assert client.state is ConnectionState.CLOSED


def test_the_timers_can_be_set(make_client: MakeClient) -> None:
    client = make_client(
        ready=False, timers=Timers(ping_interval=1.0, silence_limit=2.5, connack_timeout=0.5)
    )
    assert client.deadline() == 0.5
    client.receive(encode(Connack(reason_code=1), 5), now=0.25)
    assert client.deadline() == 1.25
    client.tick(1.25)
    assert client.deadline() == 2.25
    client.tick(2.25)
    assert client.deadline() == 2.75


@given(start=st.floats(0, 1e9), steps=st.integers(1, 6))
def test_a_tick_at_the_deadline_always_moves_the_deadline_on(
    make_client: MakeClient, start: float, steps: int
) -> None:
    client = make_client(ready=True)
    client.receive(b"\x80", now=start)
    for _ in range(steps):
        deadline = client.deadline()
        if deadline is None:
            break
        client.tick(deadline)
        later = client.deadline()
        assert later is None or later > deadline
