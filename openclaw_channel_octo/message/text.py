"""Text the way the chat counts it and the way it may be shown inside one line."""

import re
import sys
from collections.abc import Callable, Iterable
from itertools import islice
from unicodedata import category

__all__ = [
    "CUT_MARK",
    "HIDDEN",
    "clip",
    "code_spans",
    "covered_by",
    "file_name",
    "has_content",
    "indented",
    "is_visible",
    "label",
    "readable",
    "single_line",
    "url_text",
    "utf16_length",
    "utf16_slice",
    "well_formed",
]

CUT_MARK = "… [已截断]"
"""Stands where `clip` or a list limit left something out."""

NAME_LIMIT = 200
"""Characters shown of a file name."""

_CODE = re.compile(r"(?P<fence>```|~~~).*?(?:(?P=fence)|\Z)|`[^`\n]*`", re.DOTALL)
HIDDEN = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
"""What changes a line without being seen: directions, zero widths, tags. Joiners stay: emoji and Persian need them."""
_BLANKS = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
_BLANK = re.compile(f"[{_BLANKS}]")
"""Letters and signs that show nothing: no name needs them, some old spellings in texts do."""
_SEEN = re.compile(rf"[^\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff{_BLANKS}]")
_FENCE = re.compile(r"^[ \t]*+(?:`{3,}+|~{3,}+)[ \t]*+[\w+#.-]*+[ \t]*+$", re.MULTILINE)
MOST_LOOKS = 10_000
"""Odd characters at the beginning of a text after which nobody looks for one that can be seen."""
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LINE_END = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_UNREADABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_OF_HEADERS = str.maketrans("[]【】:：", "()()  ")
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_IN_URLS = str.maketrans({" ": "%20", "[": "%5B", "]": "%5D"})


def code_spans(text: str) -> list[tuple[int, int]]:
    """Return where Markdown's code stands in a text, fences and inline: start and end of each piece, in order."""
    if "`" not in text and "~~~" not in text:
        return []
    return [found.span() for found in _CODE.finditer(text)]


def covered_by(spans: Iterable[tuple[int, int]]) -> Callable[[int], bool]:
    """Return a test whether a place lies in one of the spans.

    The spans come in order, none inside another, and so have the places that are asked for.
    """
    left = iter(spans)
    start = end = 0

    def covers(place: int) -> bool:
        nonlocal start, end
        while end <= place:
            start, end = next(left, (sys.maxsize, sys.maxsize))
        return start <= place

    return covers


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
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", _PAIR.sub(_joined, text))
    return text


def single_line(text: str, limit: int = NAME_LIMIT) -> str:
    """Return at most ``limit`` characters of the text on one line, without control and bidi characters."""
    visible = _BLANK.sub("", HIDDEN.sub("", _CONTROL.sub(" ", text[: 4 * limit])))
    line = " ".join(visible.split())
    return line if len(line) <= limit else f"{line[:limit]}…"


def label(text: str, limit: int = NAME_LIMIT) -> str:
    """Return a name somebody chose, fit for a header or before a colon: one line without brackets and colons."""
    return " ".join(single_line(text, limit).translate(_OF_HEADERS).split())


def file_name(name: str) -> str:
    """Return a file name fit for display: no path, one line, no brackets, at most 200 characters, possibly empty."""
    last = label(re.split(r"[/\\]", name)[-1])
    return last if last.strip(". ") else ""


def url_text(url: str, limit: int) -> str:
    """Return an address as one word that no bracket and no space ends, cut at ``limit`` characters."""
    return single_line(url, limit).translate(_IN_URLS)


def readable(text: str) -> str:
    """Return the text with every kind of line end as a newline and U+FFFD for control characters."""
    return _UNREADABLE.sub("\ufffd", _LINE_END.sub("\n", text))


def is_visible(text: str) -> bool:
    """Return whether anything of the text can be seen; a mark that combines with nothing cannot."""
    return any(
        found[0].isprintable() and category(found[0])[0] != "M"
        for found in islice(_SEEN.finditer(text), MOST_LOOKS)
    )


def has_content(text: str) -> bool:
    """Return whether an answer shows anything beside code fences."""
    return is_visible(_FENCE.sub("", text))


def indented(text: str, margin: str = "  ") -> str:
    """Return the text with every line after the first set in, so that none of them can pass for a line of ours.

    What cannot be seen is left out: nobody tells an agent what people do not read.
    """
    return HIDDEN.sub("", readable(text)).replace("\n", f"\n{margin}")


def clip(text: str, limit: int) -> str:
    """Return the text, cut and marked where it takes more than ``limit`` bytes of UTF-8."""
    raw = text.encode()
    return text if len(raw) <= limit else raw[:limit].decode("utf-8", "ignore") + CUT_MARK


def _joined(pair: re.Match[str]) -> str:
    return _utf16(pair[0]).decode("utf-16-le")


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")
