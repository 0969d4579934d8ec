"""The content of ``sessions.json``: read with care, searched by key, written entry by entry (openclaw-host §2.1)."""

import json
from collections.abc import Mapping
from typing import Any

from openclaw_channel_octo.host.files import dump_json

__all__ = ["Content", "dump_content", "entry_text", "find", "folded_names", "parse_content"]

Content = dict[str, Any]
"""Session key to entry, as the file has it."""

DEEPEST = 64
"""Most levels of objects and lists in the file; entries are copied level by level, on a stack that ends."""


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


def find(content: Mapping[str, Any], key: str) -> str | None:
    """Return under which name the content has a session, ``None`` when it has none."""
    return key if key in content else folded_names(content).get(key.casefold())


def folded_names(content: Mapping[str, Any]) -> dict[str, str]:
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


def dump_content(texts: Mapping[str, bytes]) -> bytes:
    """Return the file's bytes, made of what `entry_text` gave for each entry."""
    return b"{\n" + b",\n".join(texts.values()) + b"\n}\n" if texts else b"{}\n"
