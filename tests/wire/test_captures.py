"""Real traffic through the client: every recorded connection is replayed with its own keys."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
import pytest

from openclaw_channel_octo.wire.buffer import Framer
from openclaw_channel_octo.wire.client import ClientConnection, ConnectionState, Credentials
from openclaw_channel_octo.wire.codec import decode
from openclaw_channel_octo.wire.crypto import KeyPair
from openclaw_channel_octo.wire.events import Connected, ConnectionEvent, Kicked, Pushed, Received
from openclaw_channel_octo.wire.packets import Connect, PacketType

CAPTURES = sorted((Path(__file__).parents[2] / "fixtures/wukongim").glob("*.wkcap"))


@dataclass
class Recording:
    """One recorded connection: what went in and out, whole WebSocket messages in order."""

    private_key: bytes
    inbound: list[bytes] = field(default_factory=list)
    outbound: list[bytes] = field(default_factory=list)

    def frames(self, kind: PacketType) -> list[bytes]:
        return [data for data in self.inbound + self.outbound if data[0] >> 4 == kind]


def read(path: Path) -> tuple[dict[str, Any], list[Recording]]:
    with path.open("rb") as file:
        header, *records = msgpack.Unpacker(file, max_buffer_size=1 << 26, max_bin_len=1 << 24)
    keys = iter(header["client_private_keys"])
    recordings: list[Recording] = []
    for _, stream, direction, data in records:
        if stream != "ws":
            continue
        if direction == "ctl" and data["event"] == "open":
            recordings.append(Recording(next(keys)))
        elif direction == "in":
            recordings[-1].inbound.append(data)
        elif direction == "out":
            recordings[-1].outbound.append(data)
    return header, recordings


def recorded_connect(recording: Recording) -> Connect:
    connect = decode(*next(Framer().frames(recording.outbound[0])), 5)
    assert isinstance(connect, Connect)
    return connect


def client_of(recording: Recording) -> ClientConnection:
    connect = recorded_connect(recording)
    credentials = Credentials(
        uid=connect.uid,
        token=connect.token,
        device_id=connect.device_id,
        device_flag=connect.device_flag,
        version=connect.version,
    )
    client = ClientConnection(credentials, KeyPair.from_private_bytes(recording.private_key))
    client.connect(connect.client_timestamp, now=0.0)
    return client


def chunks(recording: Recording, size: int | None) -> Iterator[bytes]:
    if size is None:
        yield from recording.inbound
        return
    data = b"".join(recording.inbound)
    for start in range(0, len(data), size):
        yield data[start : start + size]


def replay(recording: Recording, size: int | None) -> tuple[list[ConnectionEvent], bytes]:
    """Return the events of a recording and the acknowledgements the client sends, in order."""
    client = client_of(recording)
    assert client.outgoing() == recording.outbound[0]
    events: list[ConnectionEvent] = []
    acks = bytearray()
    for chunk in chunks(recording, size):
        for event in client.receive(chunk, now=1.0):
            events.append(event)
            if isinstance(event, Received):
                client.acknowledge(event.message.message_id, event.message.message_seq, event.message.flags)
        acks += client.outgoing()
    return events, bytes(acks)


@pytest.fixture(scope="module", params=CAPTURES, ids=lambda path: path.stem)
def capture(request: pytest.FixtureRequest) -> tuple[dict[str, Any], list[Recording]]:
    return read(request.param)


@pytest.mark.parametrize("size", [None, 61], ids=["as recorded", "61 bytes at a time"])
def test_every_recorded_message_verifies_and_is_acknowledged_as_it_was(
    capture: tuple[dict[str, Any], list[Recording]], size: int | None
) -> None:
    _, recordings = capture
    for recording in recordings:
        events, acks = replay(recording, size)
        kinds = {
            kind: sum(isinstance(event, kind) for event in events)
            for kind in (Connected, Received, Pushed, Kicked)
        }
        assert kinds == {
            Connected: len(recording.frames(PacketType.CONNACK)),
            Received: len(recording.frames(PacketType.RECV)),
            Pushed: len(recording.frames(PacketType.EVENT)),
            Kicked: len(recording.frames(PacketType.DISCONNECT)),
        }
        assert sum(kinds.values()) == len(events)
        recorded_acks = b"".join(recording.frames(PacketType.RECVACK))
        assert not recorded_acks or acks == recorded_acks


def test_what_people_wrote_comes_out_of_the_decrypted_payloads(
    capture: tuple[dict[str, Any], list[Recording]],
) -> None:
    header, recordings = capture
    messages = {
        event.message.client_msg_no: event.message
        for recording in recordings
        for event in replay(recording, None)[0]
        if isinstance(event, Received)
    }
    for number, label in header.get("labels", {}).items():
        if number in messages and label["text"] is not None:
            assert json.loads(messages[number].payload)["content"] == label["text"]


@pytest.mark.parametrize("name", ["kicked-by-other-device", "kicked-by-register"])
def test_a_kicked_connection_ignores_whatever_comes_later(name: str) -> None:
    (path,) = (path for path in CAPTURES if path.stem == name)
    recording = read(path)[1][0]
    client = client_of(recording)
    events = client.receive(b"".join(recording.inbound), now=1.0)
    assert isinstance(events[-1], Kicked)
    assert events[-1].reason == 12
    assert client.state is ConnectionState.CLOSED
    assert client.receive(b"".join(recording.inbound), now=2.0) == []


def test_a_client_that_announces_version_4_gets_version_4() -> None:
    (path,) = (path for path in CAPTURES if path.stem == "connect-v4")
    events, _ = replay(read(path)[1][0], None)
    assert isinstance(events[0], Connected)
    assert events[0].server_version == 4
    assert events[0].node_id == 1001
    assert events[0].encrypted
