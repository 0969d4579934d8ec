"""The device's identity: the signature real gateways took, and a file nobody else reads."""

import base64
import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.gateway.identity import DeviceFile, DeviceIdentity, signed_text
from tests.host.gateway.transcripts import frames

CONNECT = {
    "client": {"id": "gateway-client", "mode": "backend", "platform": "linux"},
    "role": "operator",
    "scopes": ["operator.read"],
    "auth": {"token": "t"},
}


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_text_we_sign_is_the_one_a_real_gateway_verified() -> None:
    connect = next(frame["params"] for way, frame in frames("s7-auth-cli-device-v3") if way == "out")
    device = connect["device"]
    signed = signed_text(device["id"], connect, signed_at=device["signedAt"], nonce=device["nonce"])
    key = Ed25519PublicKey.from_public_bytes(decoded(device["publicKey"]))
    key.verify(decoded(device["signature"]), signed.encode())


def test_a_signature_verifies_with_the_public_key_sent_along() -> None:
    identity = DeviceIdentity(Ed25519PrivateKey.generate())
    device = identity.sign(CONNECT, signed_at=1, nonce="n")
    signed = signed_text(device["id"], CONNECT, signed_at=1, nonce="n")
    key = Ed25519PublicKey.from_public_bytes(decoded(device["publicKey"]))
    key.verify(decoded(device["signature"]), signed.encode())
    assert (device["signedAt"], device["nonce"]) == (1, "n")


def test_the_identity_survives_a_restart_in_a_file_of_mode_0600(tmp_path: Path) -> None:
    path = tmp_path / "state" / "device.json"
    first = DeviceFile(path).load()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert DeviceFile(path).load().id == first.id


def test_a_token_is_kept_for_each_gateway_and_can_be_forgotten(tmp_path: Path) -> None:
    file = DeviceFile(tmp_path / "device.json")
    identity = file.load()
    file.keep_token(identity, "ws://a", "token-a")
    file.keep_token(identity, "ws://b", "token-b")
    again = DeviceFile(tmp_path / "device.json")
    again.load()
    assert (again.token("ws://a"), again.token("ws://b"), again.token("ws://c")) == ("token-a", "token-b", "")
    again.keep_token(identity, "ws://a", "")
    assert json.loads((tmp_path / "device.json").read_text())["tokens"] == {"ws://b": "token-b"}


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", '{"privateKey": 1}', '{"privateKey": "x"}', '{"privateKey": null, "tokens": []}'],
)
def test_a_file_that_is_no_identity_is_refused_and_left_as_it_is(tmp_path: Path, content: str) -> None:
    path = tmp_path / "device.json"
    path.write_text(content)
    with pytest.raises(HostError, match="move it away"):
        DeviceFile(path).load()
    assert path.read_text() == content


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match=r"file/device\.json"):
        DeviceFile(tmp_path / "file" / "device.json").load()
