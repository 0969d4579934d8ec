"""Answers cut into messages of bounded length: at a paragraph, else a line, else a word, else anywhere."""

import re
import unicodedata
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice, takewhile

from msgspec import Struct
from msgspec.structs import replace

from openclaw_channel_octo.message.tables import Table, begins_block, quote_mark, tables
from openclaw_channel_octo.message.text import utf16_length, well_formed

__all__ = ["MINIMUM_LIMIT", "split_reply"]

MINIMUM_LIMIT = 16
"""Smallest limit: an opened and closed code fence with something inside has to fit."""

_FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})(.*)")
_BLANK_LINES = re.compile(r"(?:[^\S\n]{0,2}\n)+")
"""White space up to the next visible line, in a text that `_tidy` gave: no more of it stands behind a line."""
_WORD_END = re.compile(r"[ \t\u3000]+|(?<=[。！？；：，、])")
_SPACES = re.compile(r"[ \t\u3000]*")
_ITEM = re.compile(r"^[ ]{0,3}\d{1,9}[.)][ \t]", re.MULTILINE)
_HARD_BREAK_SPACES = 2
_TOP_LEVEL_INDENT = 3
_LEAST_ROOM = 8
"""A fence, opened and closed again, leaves at least one part in so many of a message to its code."""
_MOST_REPEATED = 2
"""The header of a table takes at most one part in so many of a message that goes on with it; so does a quote's mark of
what is left then."""
_MARKER = 16
"""Characters behind a window that tell whether a list or the like would begin at its end."""
_JOINER = "\u200d"
_REGIONAL = "".join(map(chr, range(0x1F1E6, 0x1F200)))


class _Fence(Struct, frozen=True, kw_only=True):
    """A code fence: its whole first line, the line that closes it, and how far it stands in.

    ``mark`` is that of the quote it stands in, ``rest_of`` the same where a window begins with the rest of a line.
    """

    opening: str
    closing: str
    indent: int
    mark: str
    rest_of: str = ""

    def left_by(self, line: str) -> bool:
        """Return whether a line is outside of the quote, which ends the code as well."""
        return quote_mark(line).count(">") < self.mark.count(">")

    def mark_of(self, line: str) -> str:
        """Return the mark of the quote at the start of a line of code; what stands behind it is code."""
        found = re.match(rf"(?:[ ]{{0,3}}>[ ]?){{{self.mark.count('>')}}}", line)
        return found[0] if found else ""


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

    A code fence open at a cut is closed there and opened again in the next message, in a quote with its ``>``; one
    that the writer left open is closed at the end. A fence line that leaves too little of a message to its code counts
    as plain text.
    A table that is cut goes on below its header again, unless that takes more than half a message; a line of a quote
    that is cut goes on with its ``>``. No line is cut where its rest would begin a list, a heading or a quote, if there
    is another place; where an item of a numbered list goes on, a blank line stands before the next one. Only white
    space is lost, at cuts and at line ends. Blank text gives no message.

    Raises:
        ValueError: the limit is below `MINIMUM_LIMIT`.
    """
    if limit < MINIMUM_LIMIT:
        raise ValueError(f"limit must be at least {MINIMUM_LIMIT} UTF-16 units, not {limit}")
    whole = _tidy(text)
    found = deque(_tables(whole, limit))
    chunks: list[str] = []
    fence: _Fence | None = None
    start, line, in_item = _skip(_BLANK_LINES, whole, 0), 0, False
    while start < len(whole):
        while found and found[0].end <= start:
            found.popleft()
        reopened = (
            f"{fence.opening}\n{fence.rest_of}" if fence else _repeated(whole, line, start, found, limit)
        )
        in_item = in_item and not begins_block(whole, start)
        room = limit - utf16_length(reopened) - in_item
        window = whole[start : start + room + 1]  # a character takes at least one unit
        torn = _torn(found, start, start + room)
        end, fence = _cut(
            window, fence, limit, room, torn, whole[start + room + 1 : start + room + 1 + _MARKER]
        )
        if body := window[:end].rstrip():
            chunks.append(reopened + (_apart(body) if in_item else body) + _closing(fence))
        after = _skip(_BLANK_LINES, whole, start + end)
        in_item = fence is None and _ends_in_item(whole[start:after], in_item)
        gap = whole[start + end : after]
        start, line = after, whole.rfind("\n", start, after) + 1 or line
        if fence and fence.mark and ("\n\n" in gap or fence.left_by(whole[line : line + limit])):
            fence = None
        if fence:
            fence = replace(fence, rest_of=fence.mark if start > line else "")
    return chunks


def _tidy(text: str) -> str:
    """Return the text with plain line ends and no white space behind lines but Markdown's hard break."""
    lines = well_formed(text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(_without_tail(line) for line in lines).rstrip()


def _without_tail(line: str) -> str:
    visible = line.rstrip()
    return line if visible and len(line) - len(visible) <= _HARD_BREAK_SPACES else visible


def _tables(whole: str, limit: int) -> Iterable[Table]:
    """Return the tables whose header can be repeated."""
    if "|" not in whole or "-" not in whole:
        return ()
    lines = _lines(whole, None, limit)
    found = tables(whole, ((line.start, line.end) for line in lines if not (line.before or line.after)))
    return (table for table in found if utf16_length(table.head) < limit // _MOST_REPEATED)


def _repeated(whole: str, line: int, start: int, found: Sequence[Table], limit: int) -> str:
    """Return what a chunk begins with so that a table or a quote goes on in it.

    Args:
        whole: the answer.
        line: start of the line that the chunk begins in.
        start: where the chunk begins.
        found: the tables that do not end before it.
        limit: longest message in UTF-16 units.
    """
    head = f"{found[0].head}\n" if found and found[0].continues(start) else ""
    mark = quote_mark(whole[line : min(start, line + limit)])
    return head + mark if len(mark) <= (limit - utf16_length(head)) // _MOST_REPEATED else head


def _ends_in_item(text: str, in_item: bool) -> bool:
    """Return whether a chunk, with the white space behind it, ends inside an item of a numbered list."""
    _, blank, last = text.rpartition("\n\n")
    return _ITEM.search(last) is not None or (in_item and not blank)


def _apart(body: str) -> str:
    """Put a blank line between the rest of an item and the next one, which would be its text otherwise.

    In CommonMark a list that does not begin with 1 needs it behind other text.
    """
    rest, blank, others = body.partition("\n\n")
    found = _ITEM.search(rest)
    return f"{rest[: found.start()]}\n{rest[found.start() :]}{blank}{others}" if found else body


def _torn(found: Iterable[Table], start: int, end: int) -> Collection[int]:
    """Return the places in a window that are between the header of a table, its rule and its first row."""
    near = takewhile(lambda table: table.header_end <= end, found)
    return {
        place - start for table in near for place in (table.header_end, table.rule_end) if place < table.end
    }


def _cut(
    window: str, fence: _Fence | None, limit: int, room: int, torn: Collection[int], ahead: str
) -> tuple[int, _Fence | None]:
    """Return where the chunk that starts a window ends, and the fence that is open there.

    Args:
        window: what is left of the answer, at most ``room + 1`` characters of it.
        fence: the fence open at its start.
        limit: longest message in UTF-16 units.
        room: units this chunk may take, the closing of a fence included.
        torn: ends of lines behind which no chunk ends.
        ahead: the answer's next characters.
    """
    lines = list(_lines(window, fence, limit))
    last = lines[-1]
    if len(window) <= room and _fits(last, room):
        return len(window), last.after
    whole = lines if ahead[:1] in {"", "\n"} else lines[:-1]  # the window may end inside the last one
    ends = [line for line in whole if _fits(line, room) and _may_end(window, line, torn)]
    paragraphs = [line for line in ends if line.after is None and window.startswith("\n\n", line.end)]
    if ends:
        best = (paragraphs or ends)[-1]
        return best.end, best.after
    first = next((line for line in lines if _may_end(window, line, torn)), lines[-1])
    return _cut_inside(window, first, limit, room, ahead)


def _lines(window: str, fence: _Fence | None, limit: int) -> Iterator[_Line]:
    start, units = 0, 0
    rest_of = fence.rest_of if fence else ""
    for text in window.split("\n"):
        visible = text.rstrip()
        after = _fence_after(visible if start else rest_of + visible, fence, limit)
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
    if fence is not None and fence.left_by(line):
        fence = None
    mark = quote_mark(line) if fence is None else fence.mark_of(line)
    match = _FENCE.fullmatch(line, len(mark))
    if match is None:
        return fence
    indent, marker, info = match.groups()
    if fence is None:
        opened = _Fence(opening=line, closing=mark + indent + marker, indent=len(indent), mark=mark)
        taken = utf16_length(line) + utf16_length(opened.closing) + len(mark) + len("\n\n")
        return None if ("`" in marker and "`" in info) or taken > limit - limit // _LEAST_ROOM else opened
    closes = (
        marker.startswith(fence.closing[len(fence.mark) :].strip())
        and not info.strip()
        and len(indent) <= max(_TOP_LEVEL_INDENT, fence.indent)
    )
    return None if closes else fence


def _closing(fence: _Fence | None) -> str:
    return f"\n{fence.closing}" if fence else ""


def _fits(line: _Line, room: int) -> bool:
    return line.units + len(_closing(line.after)) <= room


def _may_end(window: str, line: _Line, torn: Collection[int]) -> bool:
    return not line.opens and line.end not in torn and bool(window[line.start : line.end].strip())


def _cut_inside(window: str, line: _Line, limit: int, room: int, ahead: str) -> tuple[int, _Fence | None]:
    """Cut within the first line that is too long for a chunk; only what cannot end one may stand before it."""
    units = room - len(_closing(line.before))
    end = len(window.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore"))
    if end <= line.start:
        return end, line.before
    rest_of = line.before.rest_of if line.before and not line.start else ""
    mark = line.before.mark_of(window[line.start : end]) if line.before and not rest_of else ""
    floor = line.start + len(mark)
    breaks = (line.start + match.start() for match in _WORD_END.finditer(window[line.start : end + 1]))
    visible = end - len(window[floor:end].lstrip())
    words = [at for at in breaks if visible < at <= end]
    if line.before is None:
        words = _within_text(window + ahead, words) or words
    end = words[-1] if words else _cluster_start(window, line.start, end)
    shortened = window[line.start : end].rstrip()
    fence = (
        _fence_after(rest_of + shortened, line.before, limit) if line.before else None
    )  # cut short, code may end it
    return _skip(_SPACES, window, end), fence


def _within_text(text: str, places: Sequence[int]) -> list[int]:
    """Return the last of the places behind which a line could begin and still be text."""
    good = (at for at in reversed(places) if not begins_block(text, _skip(_SPACES, text, at)))
    return list(islice(good, 1))


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
