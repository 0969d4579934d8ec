"""Who we are to a gateway: an Ed25519 device key and the token the gateway gave this device (openclaw-host §4.3)."""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.files import write_private_json

__all__ = ["DeviceFile", "DeviceIdentity", "signed_text"]


def signed_text(device_id: str, connect: Mapping[str, Any], *, signed_at: int, nonce: str) -> str:
    """Return what a device signs of its connect request, form ``v3`` (openclaw-host §4.3).

    Args:
        device_id: the device.
        connect: the request's parameters.
        signed_at: the challenge's time, Unix milliseconds.
        nonce: the challenge's nonce.
    """
    client, auth = connect["client"], connect["auth"]
    return "|".join(
        (
            "v3",
            device_id,
            client["id"],
            client["mode"],
            connect["role"],
            ",".join(connect["scopes"]),
            str(signed_at),
            auth.get("token") or auth.get("deviceToken") or "",
            nonce,
            client["platform"].lower(),
            "",  # ``client.deviceFamily``, which is not sent
        )
    )


class DeviceIdentity:
    """One device key.

    Args:
        key: its private half.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self.key = key
        raw = key.public_key().public_bytes_raw()
        self.id = hashlib.sha256(raw).hexdigest()
        self.public_key = _base64url(raw)

    def sign(self, connect: Mapping[str, Any], *, signed_at: int, nonce: str) -> dict[str, Any]:
        """Return the ``device`` block of a connect request; arguments as in `signed_text`."""
        proof = signed_text(self.id, connect, signed_at=signed_at, nonce=nonce)
        return {
            "id": self.id,
            "publicKey": self.public_key,
            "signature": _base64url(self.key.sign(proof.encode())),
            "signedAt": signed_at,
            "nonce": nonce,
        }


class DeviceFile:
    """Keeps the identity and the tokens gateways issued to it, mode 0600.

    Args:
        path: the file; made with a fresh identity where there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tokens: dict[str, str] = {}

    def load(self) -> DeviceIdentity:
        """Return the identity, made and stored at the first call.

        Raises:
            HostError: the file cannot be read or written, or holds something else.
        """
        try:
            content = json.loads(self._path.read_bytes())
            key = serialization.load_pem_private_key(content["privateKey"].encode(), password=None)
            self._tokens = {str(url): str(token) for url, token in content.get("tokens", {}).items()}
        except FileNotFoundError:
            identity = DeviceIdentity(Ed25519PrivateKey.generate())
            self._write(identity)
            return identity
        except OSError as error:
            raise HostError(f"{self._path} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise HostError(
                f"{self._path} is not the device identity it should be: move it away, "
                "and a new one is made that has to be paired again"
            )
        return DeviceIdentity(key)

    def token(self, url: str) -> str:
        """Return the token the gateway at ``url`` gave this device, empty when it gave none."""
        return self._tokens.get(url, "")

    def keep_token(self, identity: DeviceIdentity, url: str, token: str) -> None:
        """Store the token of the gateway at ``url``; an empty one forgets it. Raises `HostError`."""
        if self.token(url) == token:
            return
        self._tokens.pop(url, None)
        if token:
            self._tokens[url] = token
        self._write(identity)

    def _write(self, identity: DeviceIdentity) -> None:
        pem = identity.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        content: Mapping[str, Any] = {
            "version": 1,
            "deviceId": identity.id,
            "privateKey": pem.decode(),
            "tokens": self._tokens,
        }
        write_private_json(self._path, content)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
