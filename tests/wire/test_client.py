from typing import Any

import pytest
from msgspec.structs import replace

from openclaw_channel_octo.errors import LocalProtocolError, RemoteProtocolError
from openclaw_channel_octo.testing.octo.wire_server import (
    Damage,
    ServerConnection,
)
from openclaw_channel_octo.wire.client import (
    ClientConnection,
    ConnectionState,
    Credentials,
)
from openclaw_channel_octo.wire.codec import encode
from openclaw_channel_octo.wire.crypto import KeyPair
from openclaw_channel_octo.wire.events import (
    Connected,
    ConnectionEvent,
    InboundMessage,
    Kicked,
    Pushed,
    Received,
    Rejected,
    Undecodable,
)
from openclaw_channel_octo.wire.packets import Connect, Event, Flags, Ping, Recv, Recvack, Setting
from tests.wire.vectors import FRAMES, VECTORS

CLIENT_KEY = bytes.fromhex(VECTORS["crypto"]["client_private_hex"])
SERVER_KEY = bytes.fromhex(VECTORS["crypto"]["server_private_hex"])
CREDENTIALS = Credentials(uid="27a1_bot", token="bf_secret", device_id="dev-1")
MESSAGE: dict[str, Any] = {
    "message_id": 1987654321098765432,
    "message_seq": 42,
    "client_msg_no": "c9f0a3d2",
    "from_uid": "u_小明",
    "channel_id": "g1",
    "channel_type": 2,
    "timestamp": 1767225600,
    "payload": b'{"type":1,"content":"hello"}',
}


def new_client(**changes: Any) -> ClientConnection:
    return ClientConnection(replace(CREDENTIALS, **changes), KeyPair.from_private_bytes(CLIENT_KEY))


def new_server(**settings: Any) -> ServerConnection:
    key_pair = KeyPair.from_private_bytes(SERVER_KEY)
    return ServerConnection(key_pair=key_pair, salt=VECTORS["crypto"]["salt"], **settings)


class Pair:
    """A client and a server wired back to back; bytes move only when a test says so."""

    def __init__(self, *, version: int = 5, **server_settings: Any) -> None:
        self.client = new_client(version=version)
        self.server = new_server(**server_settings)
        self.now = 100.0

    def open(self) -> Connected:
        self.connect()
        self.server.accept(1767225600108)
        (event,) = self.to_client()
        assert isinstance(event, Connected)
        return event

    def connect(self) -> Connect:
        self.client.connect(1767225600123, self.now)
        (event,) = self.to_server()
        assert isinstance(event, Connect)
        return event

    def to_client(self) -> list[ConnectionEvent]:
        return self.client.receive(b"".join(self.server.outgoing()), self.now)

    def to_server(self) -> list[Any]:
        return list(self.server.receive(self.client.outgoing()))


@pytest.fixture
def pair() -> Pair:
    """A pair whose session is open."""
    opened = Pair()
    opened.open()
    return opened


def test_the_client_introduces_itself_with_its_credentials_and_a_fresh_key() -> None:
    connect = Pair().connect()
    assert connect == Connect(
        version=5,
        device_flag=0,
        device_id="dev-1",
        uid="27a1_bot",
        token="bf_secret",
        client_timestamp=1767225600123,
        client_key=VECTORS["crypto"]["client_key_b64"],
    )


def test_a_token_never_shows_in_the_repr_of_credentials_or_connection() -> None:
    assert "bf_secret" not in repr(CREDENTIALS) + repr(new_client())


@pytest.mark.parametrize(
    ("announced", "server_highest", "negotiated", "node_id"),
    [(3, 5, 3, None), (4, 5, 4, 1001), (5, 5, 5, 1001), (6, 5, 5, 1001), (6, 6, 6, 1001)],
)
def test_both_sides_agree_on_a_version_and_deliver_in_it(
    announced: int, server_highest: int, negotiated: int, node_id: int | None
) -> None:
    pair = Pair(version=announced, max_version=server_highest)
    connected = pair.open()
    assert connected == Connected(
        server_version=negotiated, time_diff_ms=-15, node_id=node_id, encrypted=True
    )
    message_seq = 42 if negotiated < 6 else 1 << 32
    pair.server.deliver(Recv(**MESSAGE | {"message_seq": message_seq}))
    (event,) = pair.to_client()
    assert isinstance(event, Received)
    assert event.message == InboundMessage(**MESSAGE | {"message_seq": message_seq})
    pair.client.acknowledge(event.message.message_id, event.message.message_seq, event.message.flags)
    (acked,) = pair.to_server()
    assert acked == Recvack(message_id=MESSAGE["message_id"], message_seq=message_seq, flags=Flags.NONE)


def test_a_message_arrives_verified_and_decrypted_with_all_its_fields(pair: Pair) -> None:
    pair.server.deliver(
        Recv(**MESSAGE, flags=Flags.RED_DOT, setting=Setting.TOPIC | Setting.STREAM, topic="t")
    )
    assert pair.to_client() == [
        Received(
            at=pair.now,
            message=InboundMessage(
                **MESSAGE, flags=Flags.RED_DOT, setting=Setting.TOPIC | Setting.STREAM, topic="t"
            ),
        )
    ]


def test_a_system_message_without_sender_and_channel_arrives(pair: Pair) -> None:
    pair.server.deliver(Recv(**MESSAGE | {"from_uid": "", "channel_id": "", "message_seq": 0}))
    (event,) = pair.to_client()
    assert isinstance(event, Received)
    assert (event.message.from_uid, event.message.channel_id) == ("", "")


@pytest.mark.parametrize("bits", range(16))
def test_an_acknowledgement_carries_the_messages_flags_without_dup(bits: int, pair: Pair) -> None:
    pair.server.deliver(Recv(**MESSAGE, flags=Flags(bits)))
    (event,) = pair.to_client()
    assert isinstance(event, Received)
    pair.client.acknowledge(event.message.message_id, event.message.message_seq, event.message.flags)
    assert pair.to_server() == [
        Recvack(message_id=MESSAGE["message_id"], message_seq=42, flags=Flags(bits & 0b0111))
    ]


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (Damage.MSG_KEY, "the message key does not match"),
        (Damage.CIPHERTEXT, "the encrypted payload is not a whole number of blocks"),
    ],
)
def test_a_damaged_message_is_reported_without_its_payload_and_can_be_acknowledged(
    damage: Damage, problem: str, pair: Pair
) -> None:
    pair.server.deliver(Recv(**MESSAGE, flags=Flags.RED_DOT), damage)
    (event,) = pair.to_client()
    identity = {name: value for name, value in MESSAGE.items() if name not in {"payload", "timestamp"}}
    assert event == Undecodable(**identity, flags=Flags.RED_DOT, problem=problem)
    pair.client.acknowledge(MESSAGE["message_id"], MESSAGE["message_seq"], Flags.RED_DOT)
    assert pair.to_server() == [
        Recvack(message_id=MESSAGE["message_id"], message_seq=42, flags=Flags.RED_DOT)
    ]


def test_a_damaged_message_leaves_the_ones_around_it_alone(pair: Pair) -> None:
    for damage in (None, Damage.MSG_KEY, None, Damage.CIPHERTEXT, None):
        pair.server.deliver(Recv(**MESSAGE), damage)
    kinds = [type(event) for event in pair.to_client()]
    assert kinds == [Received, Undecodable, Received, Undecodable, Received]


def test_payloads_are_plain_when_the_server_sends_no_key() -> None:
    pair = Pair(encrypt=False)
    assert not pair.open().encrypted
    pair.server.deliver(Recv(**MESSAGE))
    assert pair.to_client() == [Received(at=pair.now, message=InboundMessage(**MESSAGE))]


def test_the_no_encrypt_bit_does_not_stop_an_encrypted_payload_from_being_decrypted(pair: Pair) -> None:
    pair.server.deliver(Recv(**MESSAGE, setting=Setting.NO_ENCRYPT))
    assert pair.to_client() == [
        Received(at=pair.now, message=InboundMessage(**MESSAGE, setting=Setting.NO_ENCRYPT))
    ]


@pytest.mark.parametrize(
    ("setting", "msg_key", "accepted"),
    [
        (Setting.NO_ENCRYPT, "", True),
        (Setting.NO_ENCRYPT, "0" * 32, False),
        (Setting.NONE, "", False),
        (Setting.RECEIPT, "", False),
    ],
)
def test_a_plain_payload_on_an_encrypted_connection_needs_the_bit_and_an_empty_key(
    setting: Setting, msg_key: str, pair: Pair, *, accepted: bool
) -> None:
    (event,) = pair.client.receive(encode(Recv(**MESSAGE, setting=setting, msg_key=msg_key), 5), pair.now)
    assert isinstance(event, Received) is accepted
    assert isinstance(event, Undecodable) is not accepted


@pytest.mark.parametrize("version", [4, 5, 6])
def test_messages_that_overtake_connack_are_delivered_after_it_in_order(version: int) -> None:
    pair = Pair(version=version, max_version=6)
    pair.connect()
    pair.server.deliver(Recv(**MESSAGE))
    pair.server.push(Event(id="e", type="stream.delta", timestamp=1, data=b"{}"))
    assert pair.to_client() == []
    pair.server.deliver(Recv(**MESSAGE | {"message_id": 2}))
    pair.server.accept(1767225600123)
    pair.server.deliver(Recv(**MESSAGE | {"message_id": 3}))
    connected, first, pushed, second, third = pair.to_client()
    assert isinstance(connected, Connected)
    assert pushed == Pushed(event=Event(id="e", type="stream.delta", timestamp=1, data=b"{}"))
    ids = [event.message.message_id for event in (first, second, third) if isinstance(event, Received)]
    assert ids == [MESSAGE["message_id"], 2, 3]


@pytest.mark.parametrize("reason", [0, 2, 15, 19, 21, 27, 200])
def test_a_rejection_is_reported_with_its_reason_and_ends_the_connection(reason: int) -> None:
    pair = Pair()
    pair.connect()
    pair.server.reject(reason)
    assert pair.to_client() == [Rejected(reason=reason)]
    assert pair.client.state is ConnectionState.CLOSED
    assert pair.client.receive(FRAMES["recv_v5_dm"], now=101.0) == []


def test_a_kick_ends_the_connection_and_later_bytes_mean_nothing(pair: Pair) -> None:
    pair.server.deliver(Recv(**MESSAGE))
    pair.server.disconnect(12, "login in other device")
    late = encode(Recv(**MESSAGE), 5) + b"\x00 and no protocol at all"
    first, kicked = pair.client.receive(b"".join(pair.server.outgoing()) + late, pair.now)
    assert isinstance(first, Received)
    assert kicked == Kicked(reason=12, text="login in other device")
    assert pair.client.state is ConnectionState.CLOSED
    assert pair.client.receive(late, pair.now) == []
    assert pair.client.deadline() is None
    assert pair.client.tick(1e9) == []


def test_the_server_answers_a_ping_by_itself(pair: Pair) -> None:
    pair.client.tick(pair.now + 30.0)
    assert pair.to_server() == [Ping()]
    assert pair.server.outgoing() == [b"\x80"]


def test_a_packet_of_1_4_megabytes_is_accepted_and_one_above_two_mebibytes_ends_the_connection(
    pair: Pair,
) -> None:
    large = b"x" * 1_040_000
    pair.server.deliver(Recv(**MESSAGE | {"payload": large}))
    (event,) = pair.to_client()
    assert isinstance(event, Received)
    assert event.message.payload == large
    with pytest.raises(RemoteProtocolError, match="above the limit"):
        pair.client.receive(bytes.fromhex("5081808001"), pair.now)
    assert pair.client.state is ConnectionState.CLOSED


def test_ten_thousand_messages_in_one_chunk_all_arrive(pair: Pair) -> None:
    for number in range(10_000):
        pair.server.deliver(Recv(**MESSAGE | {"message_id": number}))
    ids = [event.message.message_id for event in pair.to_client() if isinstance(event, Received)]
    assert ids == list(range(10_000))


def test_acknowledging_before_the_session_is_our_mistake_and_after_its_end_harmless() -> None:
    pair = Pair()
    pair.connect()
    with pytest.raises(LocalProtocolError):
        pair.client.acknowledge(1, 1, Flags.NONE)
    pair.server.disconnect()
    pair.to_client()
    pair.client.acknowledge(1, 1, Flags.NONE)
    assert pair.client.outgoing() == b""


def test_a_connection_is_used_once_and_in_order() -> None:
    client = new_client()
    with pytest.raises(LocalProtocolError):
        client.receive(b"\x80", now=0.0)
    client.connect(0, now=0.0)
    with pytest.raises(LocalProtocolError):
        client.connect(0, now=1.0)


def test_credentials_that_do_not_fit_the_packet_leave_the_connection_new() -> None:
    client = new_client(uid="u" * 40_000)
    with pytest.raises(LocalProtocolError):
        client.connect(0, now=0.0)
    assert client.state is ConnectionState.NEW
    assert client.outgoing() == b""


@pytest.mark.parametrize("version", [0, 7])
def test_a_version_that_must_not_be_announced_is_refused(version: int) -> None:
    with pytest.raises(LocalProtocolError, match="1 to 6"):
        new_client(version=version)
