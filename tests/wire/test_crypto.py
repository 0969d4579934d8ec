from base64 import b64decode, b64encode
from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.errors import CryptoError
from openclaw_channel_octo.wire.crypto import KeyPair, SessionCipher
from openclaw_channel_octo.wire.packets import Recv, Send
from tests.wire.vectors import VECTORS as ALL

VECTORS = ALL["crypto"]
CLIENT = KeyPair.from_private_bytes(bytes.fromhex(VECTORS["client_private_hex"]))
SERVER = KeyPair.from_private_bytes(bytes.fromhex(VECTORS["server_private_hex"]))


@pytest.fixture
def cipher() -> SessionCipher:
    return SessionCipher.agree(CLIENT, SERVER.public_b64, VECTORS["salt"])


def by_name(vectors: list[dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", vectors, ids=lambda vector: vector["name"])


def test_public_keys_and_the_shared_secret_are_those_of_other_implementations() -> None:
    assert CLIENT.public_b64 == VECTORS["client_key_b64"]
    assert SERVER.public_b64 == VECTORS["server_key_b64"]
    assert CLIENT.shared_secret(SERVER.public_b64).hex() == VECTORS["shared_secret_hex"]
    assert SERVER.shared_secret(CLIENT.public_b64).hex() == VECTORS["shared_secret_hex"]


@by_name(VECTORS["payloads"])
def test_a_payload_is_encrypted_and_decrypted_as_other_implementations_do(
    vector: dict[str, Any], cipher: SessionCipher
) -> None:
    plaintext = bytes.fromhex(vector["plaintext_hex"])
    assert cipher.encrypt(plaintext).decode() == vector["payload_ascii"]
    assert cipher.decrypt(vector["payload_ascii"].encode()) == plaintext


def test_every_message_starts_from_the_same_vector_whatever_came_before(cipher: SessionCipher) -> None:
    for _ in range(3):
        for vector in VECTORS["payloads"]:
            assert cipher.encrypt(vector["plaintext_utf8"].encode()).decode() == vector["payload_ascii"]
            assert cipher.decrypt(vector["payload_ascii"].encode()) == vector["plaintext_utf8"].encode()


@given(messages=st.lists(st.binary(max_size=100), min_size=1, max_size=5))
def test_ciphertexts_are_plain_aes_cbc_with_pkcs7_for_every_message(messages: list[bytes]) -> None:
    cipher = SessionCipher.agree(SERVER, CLIENT.public_b64, VECTORS["salt"])
    reference = Cipher(AES(VECTORS["aes_key_ascii"].encode()), CBC(VECTORS["aes_iv_ascii"].encode()))
    for message in messages:
        size = 16 - len(message) % 16
        expected = reference.encryptor().update(message + bytes((size,)) * size)
        payload = cipher.encrypt(message)
        assert payload == b64encode(expected)
        assert cipher.decrypt(payload) == message


def test_a_long_salt_is_cut_to_16_bytes(cipher: SessionCipher) -> None:
    long = SessionCipher.agree(CLIENT, SERVER.public_b64, VECTORS["salt_long"])
    assert long.encrypt(b"hello") == cipher.encrypt(b"hello")


@pytest.mark.parametrize("salt", ["", "0123456789abcde"])
def test_a_short_salt_is_refused(salt: str) -> None:
    with pytest.raises(CryptoError, match="salt"):
        SessionCipher.agree(CLIENT, SERVER.public_b64, salt)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("", id="empty"),
        pytest.param("!!!!", id="no base64"),
        pytest.param("é", id="no ascii"),
        pytest.param("\ud800", id="surrogate"),
        pytest.param("AAAA", id="too short"),
        pytest.param(SERVER.public_b64.rstrip("="), id="no padding"),
        pytest.param(SERVER.public_b64 + "\n", id="newline"),
        pytest.param(SERVER.public_b64.replace("/", "_").replace("+", "-") + "-", id="url-safe"),
        pytest.param("A" * 43 + "=", id="zero point"),
    ],
)
def test_a_peer_key_that_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(CryptoError):
        SessionCipher.agree(CLIENT, key, VECTORS["salt"])


def test_a_private_key_has_to_be_32_bytes() -> None:
    with pytest.raises(CryptoError, match="32 bytes"):
        KeyPair.from_private_bytes(b"short")


@by_name(VECTORS["invalid_payloads"])
def test_a_payload_that_is_not_strictly_valid_is_refused(
    vector: dict[str, Any], cipher: SessionCipher
) -> None:
    with pytest.raises(CryptoError):
        cipher.decrypt(vector["payload_ascii"].encode())


@pytest.mark.parametrize("mangle", ["\n{}", "{}\n", "{}=", " {}", "{}AAAA", "-{}"])
def test_base64_with_anything_around_it_is_refused(mangle: str, cipher: SessionCipher) -> None:
    with pytest.raises(CryptoError):
        cipher.decrypt(mangle.format(VECTORS["payloads"][0]["payload_ascii"]).encode())


@pytest.mark.parametrize("ending", [b"\x00", b"\x11", b"\x03\x02\x03", b"\x02\x01\x02"])
def test_every_padding_byte_is_checked(ending: bytes, cipher: SessionCipher) -> None:
    first_block = b64decode(cipher.encrypt(ending.rjust(16, b"x")))[:16]
    with pytest.raises(CryptoError, match="padding"):
        cipher.decrypt(b64encode(first_block))


def test_a_failed_decryption_leaves_the_next_message_readable(cipher: SessionCipher) -> None:
    for vector in VECTORS["invalid_payloads"]:
        with pytest.raises(CryptoError):
            cipher.decrypt(vector["payload_ascii"].encode())
        assert cipher.decrypt(cipher.encrypt(b"next")) == b"next"


@given(payload=st.binary(max_size=100))
def test_arbitrary_payloads_decrypt_or_raise_a_crypto_error(payload: bytes) -> None:
    cipher = SessionCipher.agree(CLIENT, SERVER.public_b64, VECTORS["salt"])
    with suppress(CryptoError):
        cipher.decrypt(payload)


def test_the_message_key_of_a_recv_is_that_of_other_implementations(cipher: SessionCipher) -> None:
    vector = VECTORS["recv_msgkey"]
    fields = vector["fields"]
    recv = Recv(
        message_id=fields["messageID"],
        message_seq=fields["messageSeq"],
        client_msg_no=fields["clientMsgNo"],
        from_uid=fields["fromUID"],
        channel_id=fields["channelID"],
        channel_type=fields["channelType"],
        timestamp=fields["timestamp"],
        payload=vector["payload_ascii"].encode(),
    )
    assert cipher.recv_msg_key(recv) == vector["msg_key"]


def test_the_message_key_of_a_send_is_that_of_other_implementations(cipher: SessionCipher) -> None:
    vector = VECTORS["send_msgkey"]
    fields = vector["fields"]
    send = Send(
        client_seq=fields["clientSeq"],
        client_msg_no=fields["clientMsgNo"],
        channel_id=fields["channelID"],
        channel_type=fields["channelType"],
        payload=vector["payload_ascii"].encode(),
    )
    assert cipher.send_msg_key(send) == vector["msg_key"]


def test_a_cipher_shows_no_key() -> None:
    shown = repr(SessionCipher.agree(CLIENT, SERVER.public_b64, VECTORS["salt"])) + repr(CLIENT)
    assert VECTORS["aes_key_ascii"] not in shown
    assert VECTORS["client_private_hex"] not in shown
