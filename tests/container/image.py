"""What a Dockerfile says."""

import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["ROOT", "instructions"]

ROOT = Path(__file__).parents[2]


def instructions(file: Path) -> Iterator[tuple[str, str]]:
    """Yield each instruction and what stands behind it, continued lines joined."""
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if line:
            kind, _, words = line.partition(" ")
            yield kind, words
