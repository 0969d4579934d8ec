"""Payloads as people's clients build them and as the server rewrites them."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any, Final

import imagesize

__all__ = ["attached", "file_payload", "rewritten", "shown_text", "text_beside_files", "text_payload"]

_EXACT: Final = 2**53
_PICTURES: Final = frozenset({"gif", "jpeg", "jpg", "png", "webp"})
_FILES: Final = {2: "picture", 3: "picture", 4: "voice message", 5: "video", 8: "file"}


def text_payload(text: str, mention: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """Return the payload of a text a person typed, with the people picked from the member list.

    Args:
        text: what was typed. A picked name that is not in it as ``@Name`` is put before it.
        mention: uid and display name of everybody picked.

    Returns:
        The payload; offsets and lengths are UTF-16 units and include the ``@`` (octo-bot-api §4.3).
    """
    missing = [f"@{name}" for _, name in mention if f"@{name}" not in text]
    content = " ".join(part for part in (*missing, text) if part)
    payload: dict[str, Any] = {"type": 1, "content": content}
    if mention:
        payload["mention"] = {
            "uids": [uid for uid, _ in mention],
            "entities": [
                {
                    "uid": uid,
                    "offset": _utf16_units(content[: content.index(f"@{name}")]),
                    "length": _utf16_units(f"@{name}"),
                }
                for uid, name in mention
            ],
        }
    return payload


def rewritten(payload: Mapping[str, Any]) -> bytes:
    """Return a payload as the server sends it on: keys sorted, integers gone through a float64.

    An integer above 2**53 comes back changed (octo-bot-api §1.3).
    """
    text = json.dumps(_through_float(payload), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def shown_text(payload: Any) -> str:
    """Return what people read: the text, rich text's plain form, which file it brings, else the type in brackets."""
    match payload:
        case {"type": 1, "content": str() as content}:
            return content
        case {"plain": str() as plain}:
            return plain
        case {"type": int() as kind, "name": str() as name} if name and kind in _FILES:
            return f"[{_FILES[kind]}: {name}]"
        case {"type": int() as kind} if kind in _FILES:
            return f"[{_FILES[kind]}]"
        case {"type": int() as kind}:
            return f"[{kind}]"
        case _:
            return "[?]"


def attached(payload: Any) -> list[Mapping[str, Any]]:
    """Return the files of a payload, each an object with its ``url`` (octo-bot-api §4.3)."""
    match payload:
        case {"type": int() as kind, "url": str()} if kind in _FILES:
            return [payload]
        case {"type": 14, "content": list() as blocks}:
            return [each for each in blocks if isinstance(each, dict) and isinstance(each.get("url"), str)]
        case _:
            return []


def text_beside_files(payload: Any) -> str:
    """Return what a payload with files says in words, empty for a file alone."""
    match payload:
        case {"type": 14, "content": list() as blocks}:
            texts = [each.get("text") for each in blocks if isinstance(each, dict)]
            return "\n".join(text for text in texts if isinstance(text, str))
        case {"caption": str() as caption}:
            return caption
        case _:
            return ""


def file_payload(url: str, name: str, content: bytes) -> dict[str, Any]:
    """Return the payload of an uploaded file as people's clients build it: a picture, or a file.

    Args:
        url: where it lies.
        name: its name.
        content: its bytes, which tell how large a picture is.
    """
    extension = PurePosixPath(name).suffix.removeprefix(".").lower()
    if extension not in _PICTURES:
        return {"type": 8, "url": url, "name": name, "size": len(content), "extension": extension}
    width, height = (max(0, int(side)) for side in imagesize.get(BytesIO(content)))
    return {"type": 2, "url": url, "name": name, "size": len(content), "width": width, "height": height}


def _through_float(value: Any) -> Any:
    match value:
        case bool():
            return value
        case int() if abs(value) > _EXACT:
            return int(Decimal(repr(float(value))))
        case float() if value.is_integer() and abs(value) <= _EXACT:
            return int(value)
        case dict():
            return {key: _through_float(item) for key, item in value.items()}
        case list():
            return [_through_float(item) for item in value]
        case _:
            return value


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
