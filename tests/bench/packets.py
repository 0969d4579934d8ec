"""RECV packet to verified, decrypted, parsed message, against the crypto alone and a path as other bots have it."""

import base64
import json
from hashlib import md5
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from openclaw_channel_octo.message.payload import parse_payload
from openclaw_channel_octo.testing.octo.wire_server import ServerConnection
from openclaw_channel_octo.wire.client import ClientConnection, Credentials
from openclaw_channel_octo.wire.crypto import KeyPair, SessionCipher
from openclaw_channel_octo.wire.events import Received
from openclaw_channel_octo.wire.packets import Flags, Recv
from tests.bench.measure import Row, cpu_seconds

ROUNDS = 200
"""How often each piece of work is measured; whole buffers a tenth as often."""

SALT = "0123456789abcdef"
OURS, THEIRS = (KeyPair.from_private_bytes(bytes([number]) * 32) for number in (1, 2))
PAYLOAD = json.dumps(
    {"type": 1, "content": "@Helper what is the state of the build?", "mention": {"uids": ["helper_bot"]}}
).encode()


def connected() -> tuple[ClientConnection, ServerConnection]:
    """Return both ends of a connection after the handshake."""
    client = ClientConnection(Credentials(uid="helper_bot", token="t", device_id="d"), OURS)
    server = ServerConnection(key_pair=THEIRS, salt=SALT)
    client.connect(0, 0.0)
    server.receive(client.outgoing())
    server.accept(0)
    for data in server.outgoing():
        client.receive(data, 0.0)
    return client, server


def packets(server: ServerConnection, count: int, payload: bytes = PAYLOAD) -> list[bytes]:
    """Return RECV packets as the server writes them."""
    for number in range(count):
        recv = Recv(
            message_id=2_044_043_250_838_278_145 + number,
            message_seq=number + 1,
            client_msg_no=f"4f0c{number}",
            from_uid="ann",
            channel_id="group-1",
            channel_type=2,
            timestamp=1_700_000_000,
            payload=payload,
            flags=Flags.RED_DOT,
        )
        server.deliver(recv)
    return server.outgoing()


def receive(client: ClientConnection, data: list[bytes]) -> int:
    """Take packets as the link does; return how many messages came out."""
    return sum(
        parse_payload(event.message.payload) is not None
        for packet in data
        for event in client.receive(packet, 0.0)
        if isinstance(event, Received)
    )


def shared_cipher() -> SessionCipher:
    """Return the cipher both ends have agreed on."""
    return SessionCipher.agree(OURS, THEIRS.public_b64, SALT)


def straightforward(key: bytes, iv: bytes, data: list[bytes]) -> int:
    """Take packets as existing clients do: copied buffers, a cipher each time, no message key (protocol §11)."""
    buffer, found = b"", 0
    for packet in data:
        buffer += packet
        size, at = 0, 1
        while True:
            size |= (buffer[at] & 0x7F) << (7 * (at - 1))
            at += 1
            if buffer[at - 1] < 0x80:
                break
        body, buffer = buffer[at : at + size], buffer[at + size :]
        message = _fields(body)
        decryptor = Cipher(AES(key), CBC(iv)).decryptor()
        padded = decryptor.update(base64.b64decode(message.pop("payload"))) + decryptor.finalize()
        message["payload"] = json.loads(padded[: -padded[-1]])
        found += 1
    return found


def fresh_ciphers(key: bytes, iv: bytes, sign: bytes, sealed: bytes, count: int) -> None:
    """Do what cannot be left out, as libraries mean it to be done: a new cipher for what begins at the vector."""
    padded_sign = sign + bytes(-len(sign) % 16)
    for _ in range(count):
        signed = Cipher(AES(key), CBC(iv)).encryptor().update(padded_sign)
        md5(base64.b64encode(signed), usedforsecurity=False).hexdigest()
        padded = Cipher(AES(key), CBC(iv)).decryptor().update(base64.b64decode(sealed))
        json.loads(padded[: -padded[-1]])


def _fields(body: bytes) -> dict[str, Any]:
    message: dict[str, Any] = {"setting": body[0]}
    at = 1

    def text() -> str:
        nonlocal at
        size = int.from_bytes(body[at : at + 2], "big")
        at += 2 + size
        return body[at - size : at].decode()

    def number(size: int) -> int:
        nonlocal at
        at += size
        return int.from_bytes(body[at - size : at], "big")

    message["msg_key"], message["from_uid"], message["channel_id"] = text(), text(), text()
    message["channel_type"], message["expire"] = number(1), number(4)
    message["client_msg_no"] = text()
    message["message_id"], message["message_seq"], message["timestamp"] = number(8), number(4), number(4)
    message["payload"] = body[at:]
    return message


def _key_and_vector() -> tuple[bytes, bytes]:
    secret = OURS.shared_secret(THEIRS.public_b64)
    return md5(base64.b64encode(secret), usedforsecurity=False).hexdigest()[:16].encode(), SALT.encode()


def run(scale: int) -> list[Row]:
    """Measure with ``scale`` packets, 10,000 for a real run."""
    client, server = connected()
    data = packets(server, scale)
    key, iv = _key_and_vector()
    assert receive(client, data) == straightforward(key, iv, data) == scale
    cipher = shared_cipher()
    sealed = cipher.encrypt(PAYLOAD)
    sign = b"2044043250838278145123404f0c1231700000000anngroup-12" + sealed

    piece = data[: max(1, scale // 100)]

    def crypto() -> None:
        for _ in piece:
            md5(cipher.encrypt(sign), usedforsecurity=False).hexdigest()
            json.loads(cipher.decrypt(sealed))

    ours, floor, fresh, theirs = (
        taken * 1e6 / len(piece)
        for taken in cpu_seconds(
            lambda: receive(client, piece),
            crypto,
            lambda: fresh_ciphers(key, iv, sign, sealed, len(piece)),
            lambda: straightforward(key, iv, piece),
            rounds=ROUNDS,
        )
    )
    whole, part = b"".join(data), b"".join(piece)
    large, small = cpu_seconds(
        lambda: receive(client, [whole]),
        lambda: [receive(client, [part]) for _ in range(len(data) // len(piece))],
        rounds=ROUNDS // 10,
    )
    return [
        Row(
            what="packet → verified, decrypted, parsed message",
            floor="decrypting, checking the key and JSON alone, a cipher made for each",
            ours=ours,
            base=fresh,
            unit="µs",
            most=1.5,
        ),
        Row(
            what="the same",
            floor="these alone, with ciphers like ours that serve a whole connection",
            ours=ours,
            base=floor,
            unit="µs",
            most=1.5,
        ),
        Row(
            what="the same",
            floor="a straightforward path without the key check",
            ours=ours,
            base=theirs,
            unit="µs",
            most=1.0,
        ),
        Row(
            what=f"{scale:,} packets in one buffer, each",
            floor=f"{len(piece):,} packets in one buffer, each",
            ours=large * 1e6 / scale,
            base=small * 1e6 / scale,
            unit="µs",
            most=1.2,
        ),
    ]
