"""The recorded conversations with a real gateway, as tests read them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[3] / "fixtures" / "openclaw-gateway"
SCENARIOS = sorted(file.stem for file in FOLDER.glob("*.jsonl"))


def frames(scenario: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield direction (``in`` towards the client, ``out``) and frame, in order."""
    for line in (FOLDER / f"{scenario}.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["dir"] in {"in", "out"}:
            yield record["dir"], record["frame"]


def answers(scenario: str, method: str) -> Iterator[tuple[Mapping[str, Any], list[Mapping[str, Any]]]]:
    """Yield the parameters of every request of ``method``, and its answers."""
    asked: dict[str, tuple[Mapping[str, Any], list[Mapping[str, Any]]]] = {}
    for direction, frame in frames(scenario):
        if direction == "out" and frame["method"] == method:
            asked[frame["id"]] = (frame["params"], [])
        elif frame["type"] == "res" and frame["id"] in asked:
            asked[frame["id"]][1].append(frame)
    yield from asked.values()
