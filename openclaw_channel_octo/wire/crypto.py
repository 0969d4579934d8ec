"""Key agreement, payload encryption and message keys (protocol §3).

This is the protocol's own obfuscation: MD5, one initialisation vector for a whole connection, no
authentication besides the message key. Confidentiality comes from TLS.
"""

import binascii
from hashlib import md5
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from openclaw_channel_octo.errors import CryptoError
from openclaw_channel_octo.wire.packets import Recv, Send, Setting

__all__ = ["KeyPair", "SessionCipher"]

_KEY_SIZE: Final = 32
_BLOCK: Final = 16
_NO_ENCRYPT: Final = int(Setting.NO_ENCRYPT)
_PADDINGS: Final = tuple(bytes((size,)) * size for size in range(_BLOCK + 1))


class KeyPair:
    """An X25519 key pair; every connection needs a fresh one (protocol §3.1)."""

    __slots__ = ("_private", "public_b64")

    def __init__(self, private: X25519PrivateKey) -> None:
        self._private = private
        self.public_b64: str = _to_base64(private.public_key().public_bytes_raw()).decode()
        """Base64 of the 32-byte public key, as CONNECT and CONNACK carry it."""

    @classmethod
    def from_private_bytes(cls, private: bytes) -> Self:
        """Return the pair of a private key.

        Args:
            private: 32 bytes from a cryptographic random source.

        Raises:
            CryptoError: it is not 32 bytes.
        """
        if len(private) != _KEY_SIZE:
            raise CryptoError("a private key has to be 32 bytes")
        return cls(X25519PrivateKey.from_private_bytes(private))

    def shared_secret(self, peer_public_b64: str) -> bytes:
        """Return the 32-byte secret shared with the owner of another public key.

        Raises:
            CryptoError: the other key is not the base64 of 32 bytes, or is a point without a secret.
        """
        peer = _from_base64(peer_public_b64.encode(errors="replace"))
        if len(peer) != _KEY_SIZE:
            raise CryptoError("the peer's public key is not 32 bytes")
        try:
            return self._private.exchange(X25519PublicKey.from_public_bytes(peer))
        except ValueError:
            raise CryptoError("the peer's public key gives no shared secret") from None


class SessionCipher:
    """The keys of one connection.

    One AES-CBC context each way serves every message, although each message starts from the same vector: a
    context costs ten times what the blocks of a chat message cost. A block put in front of a message leads
    the running chain back to the vector.

    Args:
        key: 16 bytes of AES key.
        iv: 16 bytes every message starts from.
    """

    __slots__ = ("_decryptor", "_encryptor", "_iv", "_rewind", "_unencrypted_iv")

    def __init__(self, key: bytes, iv: bytes) -> None:
        cipher = Cipher(AES(key), CBC(iv))
        self._iv = iv
        self._encryptor = cipher.encryptor()
        self._decryptor = cipher.decryptor()
        # Decryption mixes the vector in once; mixed in again, what is left is the block that encrypts to it.
        self._unencrypted_iv = int.from_bytes(self._decryptor.update(iv)) ^ int.from_bytes(iv)
        self._rewind = self._block_before(iv)

    @classmethod
    def agree(cls, key_pair: KeyPair, peer_public_b64: str, salt: str) -> Self:
        """Return the cipher both sides arrive at (protocol §3.1).

        Args:
            key_pair: ours.
            peer_public_b64: the other side's public key, base64.
            salt: from CONNACK, at least 16 bytes; longer ones are cut.

        Raises:
            CryptoError: the key or the salt is unusable.
        """
        iv = salt.encode(errors="replace")[:_BLOCK]
        if len(iv) < _BLOCK:
            raise CryptoError("the salt is shorter than 16 bytes")
        secret = key_pair.shared_secret(peer_public_b64)
        return cls(_md5_hex(_to_base64(secret))[:_BLOCK].encode(), iv)

    def encrypt(self, plaintext: bytes) -> bytes:
        """Return the wire payload: base64 of the ciphertext (protocol §3.2)."""
        padding = _PADDINGS[_BLOCK - len(plaintext) % _BLOCK]
        ciphertext = self._encryptor.update(self._rewind + plaintext + padding)
        self._rewind = self._block_before(ciphertext[-_BLOCK:])
        return _to_base64(ciphertext[_BLOCK:])

    def decrypt(self, payload: bytes) -> bytes:
        """Return the plaintext of a wire payload.

        Raises:
            CryptoError: not strict base64, not whole blocks, or padding that is not PKCS#7 (protocol §3.5).
        """
        ciphertext = _from_base64(payload)
        if not ciphertext or len(ciphertext) % _BLOCK:
            raise CryptoError("the encrypted payload is not a whole number of blocks")
        padded = self._decryptor.update(self._iv + ciphertext)
        size = padded[-1]
        if not 1 <= size <= _BLOCK or not padded.endswith(_PADDINGS[size]):
            raise CryptoError("the decrypted payload has wrong padding")
        return padded[_BLOCK:-size]

    def open(self, recv: Recv) -> bytes:
        """Return the plaintext of a RECV by the rules of protocol §3.5.

        Raises:
            CryptoError: none of them applies.
        """
        if self.recv_msg_key(recv) == recv.msg_key:
            return self.decrypt(recv.payload)
        if not recv.msg_key and recv.setting & _NO_ENCRYPT:
            return recv.payload
        raise CryptoError("the message key does not match")

    def _block_before(self, last: bytes) -> bytes:
        """Return the block that leads the encryption back to the vector after the ciphertext ``last``."""
        return (self._unencrypted_iv ^ int.from_bytes(last)).to_bytes(_BLOCK)

    def recv_msg_key(self, recv: Recv) -> str:
        """Return the message key a RECV has to carry (protocol §3.3)."""
        sign = (
            f"{recv.message_id}{recv.message_seq}{recv.client_msg_no}{recv.timestamp}"
            f"{recv.from_uid}{recv.channel_id}{recv.channel_type}"
        )
        return _md5_hex(self.encrypt(sign.encode() + recv.payload))

    def send_msg_key(self, send: Send) -> str:
        """Return the message key a SEND has to carry (protocol §3.3)."""
        sign = f"{send.client_seq}{send.client_msg_no}{send.channel_id}{send.channel_type}"
        return _md5_hex(self.encrypt(sign.encode() + send.payload))


def _to_base64(data: bytes) -> bytes:
    return binascii.b2a_base64(data, newline=False)


def _from_base64(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        raise CryptoError("not valid base64") from None


def _md5_hex(data: bytes) -> str:
    return md5(data, usedforsecurity=False).hexdigest()
