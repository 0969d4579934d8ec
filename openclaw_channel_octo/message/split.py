"""Answers cut into messages of bounded length: at a paragraph, else a line, else a word, else anywhere."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from msgspec import Struct

from openclaw_channel_octo.message.text import utf16_length, well_formed

__all__ = ["MINIMUM_LIMIT", "split_reply"]

MINIMUM_LIMIT = 16
"""Smallest limit: an opened and closed code fence with something inside has to fit."""

_FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})(.*)")
_BLANK_LINES = re.compile(r"(?:[^\S\n]{0,2}\n)+")
"""White space up to the next visible line, in a text that `_tidy` gave: no more of it stands behind a line."""
_WORD_END = re.compile(r"[ \t\u3000]+|(?<=[。！？；：，、])")
_SPACES = re.compile(r"[ \t\u3000]*")
_HARD_BREAK_SPACES = 2
_TOP_LEVEL_INDENT = 3
_LEAST_ROOM = 8
"""A fence, opened and closed again, leaves at least one part in so many of a message to its code."""
_JOINER = "\u200d"
_REGIONAL = "".join(map(chr, range(0x1F1E6, 0x1F200)))


class _Fence(Struct, frozen=True, kw_only=True):
    """A code fence: its whole first line, the line that closes it, and how far it stands in."""

    opening: str
    closing: str
    indent: int


class _Line(Struct, frozen=True, kw_only=True):
    """A line of a window, the fence open before and after it, and the window's UTF-16 units up to its end."""

    start: int
    end: int
    units: int
    before: _Fence | None
    after: _Fence | None

    @property
    def opens(self) -> bool:
        return self.before is None and self.after is not None


def split_reply(text: str, limit: int = 3500) -> list[str]:
    """Cut an answer into messages.

    Args:
        text: the answer, Markdown.
        limit: longest message in UTF-16 units.

    A code fence open at a cut is closed there and opened again in the next message; one that the writer left
    open is closed at the end. A fence line that leaves too little of a message to its code counts as plain text.
    Only white space is lost, at cuts and at line ends. Blank text gives no message.

    Raises:
        ValueError: the limit is below `MINIMUM_LIMIT`.
    """
    if limit < MINIMUM_LIMIT:
        raise ValueError(f"limit must be at least {MINIMUM_LIMIT} UTF-16 units, not {limit}")
    whole = _tidy(text)
    chunks: list[str] = []
    fence: _Fence | None = None
    start = _skip(_BLANK_LINES, whole, 0)
    while start < len(whole):
        reopened = f"{fence.opening}\n" if fence else ""
        room = limit - utf16_length(reopened)
        window = whole[start : start + room + 1]  # a character takes at least one unit
        end, fence = _cut(window, fence, limit, room)
        if body := window[:end].rstrip():
            chunks.append(reopened + body + _closing(fence))
        start = _skip(_BLANK_LINES, whole, start + end)
    return chunks


def _tidy(text: str) -> str:
    """Return the text with plain line ends and no white space behind lines but Markdown's hard break."""
    lines = well_formed(text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(_without_tail(line) for line in lines).rstrip()


def _without_tail(line: str) -> str:
    visible = line.rstrip()
    return line if visible and len(line) - len(visible) <= _HARD_BREAK_SPACES else visible


def _cut(window: str, fence: _Fence | None, limit: int, room: int) -> tuple[int, _Fence | None]:
    """Return where the chunk that starts a window ends, and the fence that is open there.

    Args:
        window: what is left of the answer, at most ``room + 1`` characters of it.
        fence: the fence open at its start.
        limit: longest message in UTF-16 units.
        room: units this chunk may take, the closing of a fence included.
    """
    lines = list(_lines(window, fence, limit))
    last = lines[-1]
    if len(window) <= room and _fits(last, room):
        return len(window), last.after
    ends = [line for line in lines if _fits(line, room) and not line.opens and _shown(window, line)]
    paragraphs = [line for line in ends if line.after is None and window.startswith("\n\n", line.end)]
    if ends:
        best = (paragraphs or ends)[-1]
        return best.end, best.after
    return _cut_inside(window, lines, limit, room)


def _lines(window: str, fence: _Fence | None, limit: int) -> Iterator[_Line]:
    start, units = 0, 0
    for text in window.split("\n"):
        visible = text.rstrip()
        after = _fence_after(visible, fence, limit)
        yield _Line(
            start=start,
            end=start + len(text),
            units=units + utf16_length(visible),
            before=fence,
            after=after,
        )
        start += len(text) + 1
        units += utf16_length(text) + 1
        fence = after


def _fence_after(line: str, fence: _Fence | None, limit: int) -> _Fence | None:
    """Return the fence that is open behind a line.

    As in CommonMark, but fences may stand in deeper, as they do inside nested lists.
    """
    match = _FENCE.fullmatch(line)
    if match is None:
        return fence
    indent, marker, info = match.groups()
    if fence is None:
        opened = _Fence(opening=line, closing=indent + marker, indent=len(indent))
        taken = utf16_length(line) + utf16_length(opened.closing) + len("\n\n")
        return None if ("`" in marker and "`" in info) or taken > limit - limit // _LEAST_ROOM else opened
    closes = (
        marker.startswith(fence.closing.strip())
        and not info.strip()
        and len(indent) <= max(_TOP_LEVEL_INDENT, fence.indent)
    )
    return None if closes else fence


def _closing(fence: _Fence | None) -> str:
    return f"\n{fence.closing}" if fence else ""


def _fits(line: _Line, room: int) -> bool:
    return line.units + len(_closing(line.after)) <= room


def _shown(window: str, line: _Line) -> bool:
    return bool(window[line.start : line.end].strip())


def _cut_inside(window: str, lines: Sequence[_Line], limit: int, room: int) -> tuple[int, _Fence | None]:
    """Cut within the first line that is too long for a chunk; only an opening fence may stand before it."""
    line = next((line for line in lines if not line.opens and _shown(window, line)), lines[-1])
    units = room - len(_closing(line.before))
    end = len(window.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore"))
    if end <= line.start:
        return end, line.before
    breaks = (line.start + match.start() for match in _WORD_END.finditer(window[line.start : end + 1]))
    visible = end - len(window[line.start : end].lstrip())
    words = [at for at in breaks if visible < at <= end]
    end = words[-1] if words else _cluster_start(window, line.start, end)
    shortened = window[line.start : end].rstrip()
    fence = _fence_after(shortened, line.before, limit) if line.before else None  # cut short, code may end it
    return _skip(_SPACES, window, end), fence


def _cluster_start(text: str, floor: int, end: int) -> int:
    """Return the last place up to ``end`` that is not inside what a reader sees as one character."""
    for at in range(end, floor, -1):
        if not _inside_cluster(text, at):
            return at
    return end


def _inside_cluster(text: str, at: int) -> bool:
    left, right = text[at - 1], text[at]
    if _JOINER in {left, right} or unicodedata.category(right) in {"Mn", "Mc", "Me"}:
        return True
    if "\U0001f3fb" <= right <= "\U0001f3ff" or "\U000e0020" <= right <= "\U000e007f":
        return True  # a skin tone, or the tail of a flag's tag sequence
    flags = len(text[:at]) - len(text[:at].rstrip(_REGIONAL))
    return right in _REGIONAL and flags % 2 == 1


def _skip(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start
