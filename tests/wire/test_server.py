from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from openclaw_channel_octo.errors import LocalProtocolError, RemoteProtocolError
from openclaw_channel_octo.testing.octo.wire_server import (
    Damage,
    Sent,
    ServerConnection,
)
from openclaw_channel_octo.wire.codec import encode
from openclaw_channel_octo.wire.crypto import KeyPair, SessionCipher
from openclaw_channel_octo.wire.packets import (
    Connack,
    Disconnect,
    Event,
    Flags,
    Packet,
    Ping,
    Pong,
    Recvack,
    Send,
    Sendack,
    Sub,
    Suback,
)
from openclaw_channel_octo.wire.state import ConnectionState
from tests.wire import vectors
from tests.wire.vectors import RECV

CLIENT = KeyPair.from_private_bytes(bytes(range(32)))
SERVER = KeyPair.from_private_bytes(bytes(range(32, 64)))
SALT = "0123456789abcdef"
CONNECT = replace(vectors.CONNECT, client_key=CLIENT.public_b64)


def new_server(**settings: Any) -> ServerConnection:
    return ServerConnection(key_pair=SERVER, salt=SALT, **settings)


def ready_server(**settings: Any) -> ServerConnection:
    server = new_server(**settings)
    server.receive(encode(CONNECT, 5))
    server.accept(2_000)
    server.outgoing()
    return server


def keyed(send: Send) -> Send:
    """Return the packet with the message key its wire payload needs."""
    return replace(send, msg_key=SessionCipher.agree(CLIENT, SERVER.public_b64, SALT).send_msg_key(send))


def sealed_send(text: bytes) -> Send:
    payload = SessionCipher.agree(CLIENT, SERVER.public_b64, SALT).encrypt(text)
    return keyed(
        Send(
            client_seq=3,
            client_msg_no="n",
            channel_id="u_alice",
            channel_type=1,
            payload=payload,
            flags=Flags.RED_DOT,
        )
    )


def test_a_connect_is_passed_on_even_when_it_arrives_in_pieces() -> None:
    server = new_server()
    data = encode(CONNECT, 5)
    assert server.receive(data[:10]) == []
    assert server.receive(data[10:]) == [CONNECT]
    assert server.state is ConnectionState.HANDSHAKING


def test_accepting_answers_with_key_salt_version_node_and_time_difference() -> None:
    server = new_server(node_id=7)
    server.receive(encode(CONNECT, 5))
    server.accept(2_500)
    expected = Connack(
        reason_code=1,
        time_diff=1_500,
        server_key=SERVER.public_b64,
        salt=SALT,
        server_version=5,
        node_id=7,
    )
    assert server.outgoing() == [encode(expected, 5)]
    assert server.outgoing() == []


@pytest.mark.parametrize("packet", [Ping(), Pong(), Recvack(message_id=1, message_seq=1)], ids=repr)
def test_a_first_packet_that_is_not_connect_closes_the_connection(packet: Packet) -> None:
    server = new_server()
    with pytest.raises(RemoteProtocolError, match="not CONNECT"):
        server.receive(encode(packet, 5))
    assert server.state is ConnectionState.CLOSED
    assert server.receive(encode(CONNECT, 5)) == []


def test_anything_behind_connect_in_the_same_read_closes_the_connection() -> None:
    with pytest.raises(RemoteProtocolError, match="follows CONNECT"):
        new_server().receive(encode(CONNECT, 5) + b"\x70")


def test_anything_between_connect_and_connack_closes_the_connection() -> None:
    server = new_server()
    server.receive(encode(CONNECT, 5))
    with pytest.raises(RemoteProtocolError, match="between CONNECT and CONNACK"):
        server.receive(b"\x70")


@pytest.mark.parametrize("key", ["", "AAAA", "!!!!"])
def test_a_client_key_that_is_no_key_closes_the_connection_unless_nothing_is_encrypted(key: str) -> None:
    data = encode(replace(CONNECT, client_key=key), 5)
    with pytest.raises(RemoteProtocolError, match="no keys"):
        new_server().receive(data)
    assert len(new_server(encrypt=False).receive(data)) == 1


@pytest.mark.parametrize(
    "packet",
    [
        Sub(sub_no="s", channel_id="c", channel_type=7, action=0),
        Event(id="", type="x", timestamp=0, data=b""),
        Disconnect(reason_code=0),
    ],
    ids=lambda packet: type(packet).__name__,
)
def test_packets_the_server_ignores_change_nothing(packet: Packet) -> None:
    server = ready_server()
    assert server.receive(encode(packet, 5) + b"\x70") == [Ping()]
    assert server.state is ConnectionState.READY


@pytest.mark.parametrize(
    "packet",
    [
        CONNECT,
        Connack(reason_code=1),
        Sendack(message_id=1, message_seq=1, client_seq=1, reason_code=1),
        RECV,
        Pong(),
        Suback(sub_no="s", channel_id="c", channel_type=7, action=0, reason_code=1),
    ],
    ids=lambda packet: type(packet).__name__,
)
def test_packets_only_a_server_sends_or_a_second_connect_close_the_connection(packet: Packet) -> None:
    server = ready_server()
    with pytest.raises(RemoteProtocolError, match="must not send"):
        server.receive(encode(packet, 5))
    assert server.state is ConnectionState.CLOSED


def test_a_ping_with_flag_bits_closes_the_connection() -> None:
    with pytest.raises(RemoteProtocolError, match="JSON"):
        ready_server().receive(b"\x7b")


def test_acknowledgements_and_pings_in_one_read_come_out_in_order() -> None:
    server = ready_server()
    ack = encode(Recvack(message_id=7, message_seq=1, flags=Flags.NO_PERSIST | Flags.SYNC_ONCE), 5)
    acked = Recvack(message_id=7, message_seq=1, flags=Flags.NO_PERSIST | Flags.SYNC_ONCE)
    assert server.receive(ack + b"\x70" + ack) == [acked, Ping(), acked]
    assert server.outgoing() == [b"\x80"]


def test_every_packet_is_its_own_message() -> None:
    server = ready_server()
    server.deliver(RECV)
    server.push(Event(id="e", type="x", timestamp=1, data=b""))
    server.disconnect(12, "login in other device")
    assert [packet[0] >> 4 for packet in server.outgoing()] == [5, 12, 9]


def test_a_message_delivered_twice_is_the_same_bytes() -> None:
    server = ready_server()
    server.deliver(RECV)
    server.push(Event(id="e", type="x", timestamp=1, data=b""))
    server.deliver(RECV)
    first, _, second = server.outgoing()
    assert first == second


def test_a_message_of_the_client_is_decrypted_and_confirmed() -> None:
    server = ready_server()
    send = sealed_send(b"hello")
    assert server.receive(encode(send, 5)) == [Sent(send=send, plaintext=b"hello")]
    server.confirm(send, message_id=9, message_seq=4)
    expected = Sendack(message_id=9, message_seq=4, client_seq=3, reason_code=1, flags=Flags.RED_DOT)
    assert server.outgoing() == [encode(expected, 5)]


def test_a_message_of_the_client_that_does_not_verify_or_decrypt_is_reported() -> None:
    server = ready_server()
    send = sealed_send(b"hello")
    (wrong_key,) = server.receive(encode(replace(send, msg_key="0" * 32), 5))
    (broken,) = server.receive(encode(keyed(replace(send, payload=b"no base64!")), 5))
    assert isinstance(wrong_key, Sent)
    assert isinstance(broken, Sent)
    assert (wrong_key.plaintext, wrong_key.problem) == (None, "the message key does not match")
    assert (broken.plaintext, broken.problem) == (None, "not valid base64")


def test_a_message_of_the_client_is_taken_as_it_is_when_nothing_is_encrypted() -> None:
    server = ready_server(encrypt=False)
    send = Send(client_seq=1, client_msg_no="n", channel_id="c", channel_type=1, payload=b"plain")
    assert server.receive(encode(send, 5)) == [Sent(send=send, plaintext=b"plain")]


def test_nothing_can_be_said_before_connect_or_after_the_end() -> None:
    server = new_server()
    with pytest.raises(LocalProtocolError):
        server.accept(0)
    with pytest.raises(LocalProtocolError):
        server.deliver(RECV)
    with pytest.raises(LocalProtocolError):
        server.reject(2)
    server = ready_server()
    server.disconnect()
    with pytest.raises(LocalProtocolError):
        server.deliver(RECV)
    with pytest.raises(LocalProtocolError):
        server.disconnect()
    assert server.receive(b"\x70") == []


def test_a_session_is_accepted_once() -> None:
    with pytest.raises(LocalProtocolError):
        ready_server().accept(0)


@pytest.mark.parametrize("damage", list(Damage))
def test_without_encryption_there_is_nothing_to_damage(damage: Damage) -> None:
    with pytest.raises(LocalProtocolError, match="damage"):
        ready_server(encrypt=False).deliver(RECV, damage)


@pytest.mark.parametrize("make", [new_server, ready_server])
@given(data=st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_but_a_protocol_error(make: Any, data: bytes) -> None:
    server = make()
    try:
        server.receive(data)
    except RemoteProtocolError:
        assert server.state is ConnectionState.CLOSED
