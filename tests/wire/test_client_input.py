"""What the client makes of the bytes a server sends: cut anywhere, early, unexpected, or broken."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from openclaw_channel_octo.errors import RemoteProtocolError
from openclaw_channel_octo.wire.client import MAX_EARLY_PACKETS, ClientConnection, ConnectionState
from openclaw_channel_octo.wire.codec import encode
from openclaw_channel_octo.wire.events import Connected, ConnectionEvent, Kicked, Pushed, Received, Rejected
from openclaw_channel_octo.wire.packets import (
    Connack,
    Disconnect,
    Event,
    Packet,
    Ping,
    Pong,
    Sendack,
    Sub,
    Suback,
)
from tests.wire.vectors import CONNECT, FRAMES, PLAINTEXTS, RECV, VECTORS

MakeClient = Callable[..., ClientConnection]


def events_of(make_client: MakeClient, stream: bytes, cuts: list[int]) -> list[ConnectionEvent]:
    client = make_client(ready=False)
    events = []
    for size in cuts:
        events += client.receive(stream[:size], now=1.0)
        stream = stream[size:]
    return events + client.receive(stream, now=1.0)


def stream_chunks(vector: dict[str, Any]) -> list[bytes]:
    if "chunks_hex" in vector:
        return [bytes.fromhex(chunk) for chunk in vector["chunks_hex"]]
    data, size = bytes.fromhex(vector["bytes_hex"]), vector["chunk_size"]
    return [data[start : start + size] for start in range(0, len(data), size)]


KIND_OF_EVENT = {"connack": Connected, "recv": Received, "event": Pushed, "disconnect": Kicked}


@pytest.mark.parametrize("vector", VECTORS["streams"], ids=lambda vector: vector["name"])
def test_a_stream_gives_the_same_events_in_every_chunking_of_the_vectors(
    make_client: MakeClient, vector: dict[str, Any]
) -> None:
    chunks = stream_chunks(vector)
    events = events_of(make_client, b"".join(chunks), [len(chunk) for chunk in chunks])
    telling = [name for name in vector["frames"] if name.split("_")[0] in KIND_OF_EVENT]
    assert [type(event) for event in events] == [KIND_OF_EVENT[name.split("_")[0]] for name in telling]
    received = [event.message.payload.decode() for event in events if isinstance(event, Received)]
    assert received == [PLAINTEXTS[name] for name in telling if name.startswith("recv")]


@given(cuts=st.lists(st.integers(0, 300), max_size=30))
def test_a_stream_gives_the_same_events_however_it_is_cut(make_client: MakeClient, cuts: list[int]) -> None:
    names = VECTORS["streams"][0]["frames"]
    stream = b"".join(FRAMES[name] for name in names)
    assert events_of(make_client, stream, cuts) == events_of(make_client, stream, [])


@pytest.mark.parametrize("ready", [False, True])
@given(data=st.binary(max_size=400))
def test_arbitrary_bytes_raise_nothing_but_a_protocol_error(
    make_client: MakeClient, data: bytes, *, ready: bool
) -> None:
    client = make_client(ready=ready)
    try:
        client.receive(data, now=1.0)
    except RemoteProtocolError:
        assert client.state is ConnectionState.CLOSED
        assert client.receive(data, now=1.0) == []


@given(position=st.integers(0, 2_000), value=st.integers(0, 255), size=st.integers(1, 2_000))
def test_a_valid_stream_with_a_wrong_byte_raises_nothing_but_a_protocol_error(
    make_client: MakeClient, position: int, value: int, size: int
) -> None:
    stream = bytearray(b"".join(FRAMES[name] for name in VECTORS["streams"][0]["frames"]))
    stream[position % len(stream)] = value
    with suppress(RemoteProtocolError):
        events_of(make_client, bytes(stream), [size])


def test_only_so_many_packets_may_overtake_connack(make_client: MakeClient) -> None:
    event = encode(Event(id="", type="x", timestamp=0, data=b""), 5)
    client = make_client(ready=False)
    assert client.receive(event * MAX_EARLY_PACKETS, now=1.0) == []
    with pytest.raises(RemoteProtocolError, match="before CONNACK"):
        client.receive(event, now=1.0)
    assert client.state is ConnectionState.CLOSED


def test_only_four_mebibytes_may_overtake_connack(make_client: MakeClient) -> None:
    recv = encode(replace(RECV, payload=bytes(1024 * 1024)), 5)
    client = make_client(ready=False)
    assert client.receive(recv * 3, now=1.0) == []
    with pytest.raises(RemoteProtocolError, match="before CONNACK"):
        client.receive(recv, now=1.0)


@pytest.mark.parametrize("name", ["connack_authfail_v3line", "connack_authfail_v1line"])
def test_rejections_of_other_server_lines_are_understood(make_client: MakeClient, name: str) -> None:
    assert make_client(ready=False).receive(FRAMES[name], now=1.0) == [Rejected(reason=2)]


@pytest.mark.parametrize(
    ("server_key", "salt"),
    [("AAAA", "0123456789abcdef"), (VECTORS["crypto"]["server_key_b64"], "0123456789abcde")],
    ids=["bad key", "short salt"],
)
def test_a_server_key_or_salt_that_cannot_be_used_fails_the_connection(
    make_client: MakeClient, server_key: str, salt: str
) -> None:
    client = make_client(ready=False)
    connack = Connack(reason_code=1, server_version=5, server_key=server_key, salt=salt)
    with pytest.raises(RemoteProtocolError, match="no keys can be agreed"):
        client.receive(encode(connack, 5), now=1.0)
    assert client.state is ConnectionState.CLOSED


@pytest.mark.parametrize(("ready", "fault"), [(False, "version 7"), (True, "second CONNACK")])
def test_a_version_nobody_knows_or_a_second_connack_fails_the_connection(
    make_client: MakeClient, *, ready: bool, fault: str
) -> None:
    connack = encode(Connack(reason_code=1, server_version=5 if ready else 7), 5)
    with pytest.raises(RemoteProtocolError, match=fault):
        make_client(ready=ready).receive(connack, now=1.0)


def test_a_kick_before_connack_is_a_kick(make_client: MakeClient) -> None:
    assert make_client(ready=False).receive(encode(Disconnect(reason_code=12), 5), now=1.0) == [
        Kicked(reason=12, text="")
    ]


@pytest.mark.parametrize(
    "packet",
    [
        Pong(),
        Ping(),
        Sendack(message_id=1, message_seq=1, client_seq=1, reason_code=1, client_msg_no="tail"),
        Sub(sub_no="s", channel_id="c", channel_type=7, action=0),
        Suback(sub_no="s", channel_id="c", channel_type=7, action=0, reason_code=1),
        CONNECT,
    ],
    ids=lambda packet: type(packet).__name__,
)
@pytest.mark.parametrize("ready", [False, True])
def test_well_framed_packets_without_use_for_a_bot_are_ignored(
    make_client: MakeClient, packet: Packet, *, ready: bool
) -> None:
    client = make_client(ready=ready)
    state = client.state
    assert client.receive(encode(packet, 5), now=1.0) == []
    assert client.state is state
    assert client.outgoing() == b""
