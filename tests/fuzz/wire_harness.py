"""Harnesses of the wire: framer and codec, client and server connection, unsealing."""

from collections.abc import Iterator, Sequence
from functools import cache
from random import Random

from msgspec.structs import replace

from openclaw_channel_octo.capture.format import Capture, FromServer, ToServer, read_capture
from openclaw_channel_octo.errors import CryptoError, LocalProtocolError, RemoteProtocolError
from openclaw_channel_octo.testing.octo.wire_server import Sent, ServerConnection
from openclaw_channel_octo.wire.buffer import MAX_BODY, MAX_RECV_BODY, Framer
from openclaw_channel_octo.wire.client import MAX_EARLY_BYTES, ClientConnection, ConnectionState, Credentials
from openclaw_channel_octo.wire.codec import decode, encode, frame
from openclaw_channel_octo.wire.crypto import KeyPair, SessionCipher
from openclaw_channel_octo.wire.events import Received, Undecodable
from openclaw_channel_octo.wire.packets import Connack, Connect, PacketType, Recv
from tests.fuzz.harness import FIXTURES, Harness
from tests.fuzz.mutation import changed
from tests.wire.vectors import FRAMES, RECV

CLIENT_KEYS = KeyPair.from_private_bytes(bytes(range(32)))
SERVER_KEYS = KeyPair.from_private_bytes(bytes(range(32, 64)))
SALT = "0123456789abcdef"
CREDENTIALS = [Credentials(uid="u", token="t", device_id="d", version=version) for version in range(1, 7)]
CIPHER = SessionCipher.agree(CLIENT_KEYS, SERVER_KEYS.public_b64, SALT)

LARGEST_FRAME = MAX_RECV_BODY + 5
"""A header byte, four of length, the longest body."""

STRINGS = [b"\x00\x00", b"\x00\x01a", b"\x7f\xff", b"\x80\x00", b"\xff\xff", b"\x00\x03\xe4\xbd\xa0"]
NUMBERS = [b"\x00" * 8, b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\x80" + b"\x00" * 7, b"\x00\x00\x00\x01"]
TOKENS = [*STRINGS, *NUMBERS, *(bytes((kind << 4,)) for kind in range(16))]

FROM_CLIENTS = {
    PacketType.SEND,
    PacketType.RECVACK,
    PacketType.PING,
    PacketType.DISCONNECT,
    PacketType.SUB,
}

Frame = tuple[int, bytes]


@cache
def captures() -> Sequence[Capture]:
    """Return every recording of the fixtures but the one that is large."""
    files = sorted((FIXTURES / "wukongim").glob("*.wkcap"))
    return [read_capture(file) for file in files if file.stat().st_size < 200_000]


def frames_of(stream: bytes) -> list[Frame]:
    """Return the frames of a sound stream."""
    return list(Framer().frames(stream))


@cache
def recorded(kind: type[FromServer | ToServer]) -> list[Frame]:
    """Return what was recorded in one direction, each frame once."""
    found = {
        one: None
        for capture in captures()
        for record in capture.records
        if isinstance(record, kind) and isinstance(record.data, bytes)
        for one in frames_of(record.data)
    }
    return list(found)


@cache
def vectors() -> list[Frame]:
    """Return the frames other implementations agree on."""
    return [one for stream in FRAMES.values() for one in frames_of(stream)]


def stream_of(rng: Random, frames: Sequence[Frame]) -> bytes:
    """Return one to four frames, some with a changed body under a true length, some with a false one."""
    parts = []
    bodies = [body for _, body in frames]
    for header, body in rng.choices(frames, k=rng.randrange(1, 5)):
        kind = rng.random()
        data = changed(rng, body, TOKENS, bodies) if kind < 0.7 else body
        flags = rng.randrange(16) if kind < 0.2 else header & 15
        parts.append(frame(header >> 4, flags, data[:MAX_BODY]))
    stream = b"".join(parts)
    return changed(rng, stream, TOKENS, [stream]) if rng.random() < 0.3 else stream


def chunks(stream: bytes, mode: int) -> Iterator[bytes]:
    """Cut a stream as a network may: whole, in small pieces, or at frames where it can be cut there."""
    if mode % 4 == 0:
        yield stream
    elif mode % 4 == 1:
        size = 1 if len(stream) < 300 else 61
        yield from (stream[at : at + size] for at in range(0, len(stream), size))
    else:
        framer, start = Framer(), 0
        for end in _frame_ends(framer, stream):
            yield stream[start:end]
            start = end
        yield stream[start:]


def _frame_ends(framer: Framer, stream: bytes) -> Iterator[int]:
    try:
        for _ in framer.frames(stream):
            yield len(stream) - len(framer)
    except RemoteProtocolError:
        return


def make_codec(rng: Random) -> bytes:
    return rng.randbytes(1) + stream_of(rng, vectors())


def check_codec(data: bytes) -> None:
    """Every packet that can be read can be written and read again as the same."""
    version = data[0] % 7 if data else 0
    framer = Framer()
    try:
        for chunk in chunks(data[1:], data[0] >> 4 if data else 0):
            for one in framer.frames(chunk):
                _check_packet(*one, version)
            assert len(framer) <= LARGEST_FRAME
    except RemoteProtocolError:
        return


def _check_packet(header: int, body: bytes, version: int) -> None:
    packet = decode(header, body, version)
    try:
        again = encode(packet, version)
    except LocalProtocolError:
        return  # replacement characters take more bytes than what they replace
    ((header, body),) = frames_of(again)
    assert decode(header, body, version) == packet


def make_client(rng: Random) -> bytes:
    head = rng.randbytes(2)
    frames = recorded(FromServer) if rng.random() < 0.5 else [*vectors(), *_sealed()]
    return head + stream_of(rng, frames)


@cache
def _sealed() -> list[Frame]:
    """Return messages under the keys the encrypted client of `check_client` has."""
    found = []
    for text in (b"{}", b'{"type":1,"content":"hi"}', b"x" * 300):
        plain = replace(RECV, payload=CIPHER.encrypt(text))
        found += frames_of(encode(replace(plain, msg_key=CIPHER.recv_msg_key(plain)), 5))
    return found


def check_client(data: bytes) -> None:
    """A client takes any bytes, keeps little of them, and ends closed or goes on."""
    mode, choice = (data[0], data[1]) if len(data) > 1 else (0, 0)
    client = ClientConnection(CREDENTIALS[choice % 6], CLIENT_KEYS)
    client.connect(1_767_225_600_123, 0.0)
    client.outgoing()
    if mode & 0x30:
        client.receive(_connack(5, encrypted=mode & 0xF0 == 0xF0), 0.5)
    now = 1.0
    try:
        for chunk in chunks(data[2:], mode):
            now += choice / 16
            _serve(client, chunk, now)
    except RemoteProtocolError:
        assert client.state is ConnectionState.CLOSED
        assert client.receive(data, now) == []


@cache
def _connack(version: int, *, encrypted: bool) -> bytes:
    keys = (SERVER_KEYS.public_b64, SALT) if encrypted else ("", "")
    return encode(
        Connack(reason_code=1, server_version=version, node_id=1, server_key=keys[0], salt=keys[1]), version
    )


def _serve(client: ClientConnection, chunk: bytes, now: float) -> None:
    acknowledged = 0
    for event in client.receive(chunk, now):
        if isinstance(event, Received):
            one = event.message
            client.acknowledge(one.message_id, one.message_seq, one.flags)
            acknowledged += 1
        elif isinstance(event, Undecodable):
            assert event.problem
    client.tick(now)
    assert len(client.outgoing()) <= 32 * (acknowledged + 1)
    assert len(client._framer) <= LARGEST_FRAME
    assert client._early_bytes <= MAX_EARLY_BYTES
    deadline = client.deadline()
    assert (deadline is None) == (client.state is ConnectionState.CLOSED)


@cache
def _from_clients() -> tuple[list[bytes], list[Frame]]:
    """Return every recorded CONNECT, and what clients say after it."""
    said = [*recorded(ToServer), *vectors()]
    connects = [frame(1, 0, body) for header, body in said if header >> 4 == PacketType.CONNECT]
    return connects, [one for one in said if one[0] >> 4 in FROM_CLIENTS]


def make_server(rng: Random) -> bytes:
    connects, said = _from_clients()
    first = rng.choice(connects)
    if rng.random() < 0.2:
        first = changed(rng, first, TOKENS, connects)
    return rng.randbytes(1) + first + stream_of(rng, said)


def check_server(data: bytes) -> None:
    """A server takes any bytes, answers what it must, and ends closed or goes on."""
    mode = data[0] if data else 0
    encrypted = mode & 0xE0 == 0xE0
    server = ServerConnection(key_pair=SERVER_KEYS, salt=SALT, encrypt=encrypted, max_version=1 + mode % 6)
    try:
        for chunk in chunks(data[1:], 2 + mode % 3):
            events = server.receive(chunk)
            for event in events:
                if isinstance(event, Connect):
                    _accept(server)
                elif isinstance(event, Sent):
                    server.confirm(event.send, message_id=1, message_seq=1)
            assert len(server.outgoing()) <= len(events)
            assert len(server._framer) <= LARGEST_FRAME
    except RemoteProtocolError:
        assert server.state is ConnectionState.CLOSED
        assert server.receive(data) == []


def _accept(server: ServerConnection) -> None:
    try:
        server.accept(1_767_225_600_999)
    except LocalProtocolError:
        server.reject(2)  # the client's clock is beyond what a difference can say


def make_unsealing(rng: Random) -> bytes:
    if rng.random() < 0.3:
        return CIPHER.encrypt(rng.randbytes(rng.randrange(80)))
    payloads = _payloads()
    return changed(rng, rng.choice(payloads), [b"=", b"==", b"\n", b"AAAA", b"\x00"], payloads)


@cache
def _payloads() -> list[bytes]:
    bodies = [decode(header, body, 5) for header, body in recorded(FromServer) if header >> 4 == 5]
    return [packet.payload for packet in bodies if isinstance(packet, Recv)]


def check_unsealing(data: bytes) -> None:
    """Unsealing gives bytes or says that it cannot; a refusal leaves the next message readable."""
    try:
        plain = CIPHER.decrypt(data)
    except CryptoError:
        plain = b"after a refusal"
    assert len(plain) <= max(16, len(data))
    assert CIPHER.decrypt(CIPHER.encrypt(plain)) == plain


HARNESSES = (
    Harness(name="codec", make=make_codec, check=check_codec, share=20),
    Harness(name="client", make=make_client, check=check_client, share=20),
    Harness(name="server", make=make_server, check=check_server, share=12),
    Harness(name="unsealing", make=make_unsealing, check=check_unsealing, share=20),
)
