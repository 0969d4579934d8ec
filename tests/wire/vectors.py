"""The vectors of other implementations, and what most tests want of them."""

import json
from pathlib import Path
from typing import Any

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "fixtures/vectors/wukongim-vectors.json").read_text(encoding="utf-8")
)
FRAMES: dict[str, bytes] = {vector["name"]: bytes.fromhex(vector["hex"]) for vector in VECTORS["frames"]}
PLAINTEXTS: dict[str, str] = {v["name"]: v.get("plaintext_utf8", "") for v in VECTORS["frames"]}
