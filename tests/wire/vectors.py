"""The vectors of other implementations, and packets tests send with a change or without."""

import json
from pathlib import Path
from typing import Any

from openclaw_channel_octo.wire.packets import Connect, Recv

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "fixtures/vectors/wukongim-vectors.json").read_text(encoding="utf-8")
)
FRAMES: dict[str, bytes] = {vector["name"]: bytes.fromhex(vector["hex"]) for vector in VECTORS["frames"]}
PLAINTEXTS: dict[str, str] = {v["name"]: v.get("plaintext_utf8", "") for v in VECTORS["frames"]}

CONNECT = Connect(
    version=5,
    device_flag=0,
    device_id="d",
    uid="u",
    token="bf_secret",
    client_timestamp=1_000,
    client_key="",
)
RECV = Recv(
    message_id=7,
    message_seq=1,
    client_msg_no="no-1",
    from_uid="ann",
    channel_id="g1",
    channel_type=2,
    timestamp=1767225600,
    payload=b"{}",
)
