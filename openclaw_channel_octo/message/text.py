"""Text the way the chat counts it and the way it may be shown inside one line."""

import re

__all__ = ["CUT_MARK", "clip", "file_name", "single_line", "utf16_length", "utf16_slice", "well_formed"]

CUT_MARK = "… [已截断]"
"""Stands where `clip` or a list limit left something out."""

NAME_LIMIT = 200
"""Characters shown of a file name."""

_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def utf16_length(text: str) -> int:
    """Return the length in UTF-16 code units, as the chat counts offsets and limits (protocol §6.2)."""
    return len(_utf16(text)) // 2


def utf16_slice(text: str, offset: int, length: int) -> str | None:
    """Return ``length`` UTF-16 units of the text from ``offset`` on.

    ``None`` when the range is empty or reaches outside the text. Half a surrogate pair at an edge comes back
    as U+FFFD.
    """
    units = _utf16(text)
    end = offset + length
    if offset < 0 or length <= 0 or 2 * end > len(units):
        return None
    return units[2 * offset : 2 * end].decode("utf-16-le", "replace")


def well_formed(text: str) -> str:
    r"""Return the text with every lone surrogate replaced by U+FFFD.

    JSON may hold ``"\ud83d"`` on its own; such a string cannot be stored or sent as UTF-8. The length in
    UTF-16 units stays the same.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return _utf16(text).decode("utf-16-le", "replace")
    return text


def single_line(text: str, limit: int = NAME_LIMIT) -> str:
    """Return at most ``limit`` characters of the text on one line, without control and bidi characters."""
    visible = _BIDI.sub("", _CONTROL.sub(" ", text[: 4 * limit]))
    line = " ".join(visible.split())
    return line if len(line) <= limit else f"{line[:limit]}…"


def file_name(name: str) -> str:
    """Return a file name fit for display: no path, one line, at most 200 characters, possibly empty."""
    last = single_line(re.split(r"[/\\]", name)[-1])
    return last if last.strip(". ") else ""


def clip(text: str, limit: int) -> str:
    """Return the text, cut and marked where it takes more than ``limit`` bytes of UTF-8."""
    raw = text.encode()
    return text if len(raw) <= limit else raw[:limit].decode("utf-8", "ignore") + CUT_MARK


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")
