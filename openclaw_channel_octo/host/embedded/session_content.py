"""What a session file holds, as bytes and as entries, and how a change of the file is noticed."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from openclaw_channel_octo.host.files import dump_json

__all__ = [
    "Content",
    "Stamp",
    "dump_content",
    "entry_text",
    "folded_names",
    "parse_content",
    "read_stamped",
    "stamp_from",
    "stamp_of",
]

Content = dict[str, Any]
"""Session key to entry, as the file has it."""

DEEPEST = 64
"""Most levels of objects and lists in the file; entries are copied level by level, on a stack that ends."""

Stamp = tuple[int, int, int, int]
"""Identity of a file's content, as far as the file system tells: device, inode, bytes, time of change in ns."""


def parse_content(raw: bytes) -> Content:
    """Return the content of a session file. Raises `ValueError` when it is none."""
    try:
        content = json.loads(raw.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError(f"a {type(content).__name__} where an object is expected")  # noqa: TRY004  # one error for all
    if _is_deep(content):
        raise ValueError("nested too deeply")
    key = content.get("sessionKey")
    return {key: content} if isinstance(key, str) else content


def _is_deep(content: Content) -> bool:
    level: list[Any] = [content]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return bool(level)


def folded_names(content: Content) -> dict[str, str]:
    """Return under which name a key may stand that is not there as it was asked for: case-folded, or inside."""
    names: dict[str, str] = {}
    for name in content:
        names.setdefault(name.casefold(), name)
    for name, entry in content.items():
        if isinstance(entry, dict) and (key := entry.get("sessionKey")):
            names.setdefault(str(key).casefold(), name)
    return names


def entry_text(name: str, entry: object) -> bytes:
    """Return one entry's lines without the braces around them."""
    return dump_json({name: entry}, indent=2)[2:-3]


def dump_content(texts: Iterable[bytes]) -> bytes:
    """Return the file's bytes, made of what `entry_text` gave for each entry."""
    joined = b",\n".join(texts)
    return b"{\n" + joined + b"\n}\n" if joined else b"{}\n"


def stamp_from(status: os.stat_result) -> Stamp:
    """Return the stamp of a file by its status."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def stamp_of(path: Path) -> Stamp | None:
    """Return the stamp of ``path``, ``None`` when there is no such file. Raises `OSError` otherwise."""
    try:
        return stamp_from(path.stat())
    except FileNotFoundError:
        return None


def read_stamped(path: Path) -> tuple[Stamp | None, bytes]:
    """Return stamp and content of ``path``; ``(None, b"")`` when there is no such file. Raises `OSError`."""
    try:
        with path.open("rb") as file:
            return stamp_from(os.fstat(file.fileno())), file.read()
    except FileNotFoundError:
        return None, b""
