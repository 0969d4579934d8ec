"""Tables and quotes of Markdown, as far as a cut through them changes what they mean (GitHub Flavored Markdown)."""

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

__all__ = ["Table", "begins_block", "quote_mark", "tables"]

_QUOTE = re.compile(r"(?:[ ]{0,3}>[ ]?)*+")
_RULE = re.compile(r"[ \t]*+\|?[ \t]*+:?-++:?[ \t]*+(?:\|[ \t]*+:?-++:?[ \t]*+)*+\|?[ \t]*+")
_CELL_END = re.compile(r"(?<!\\)\|")
_BLOCK = re.compile(
    r"[ ]{0,3}(?:(?:[-*+]|\d{1,9}[.)]|#{1,6})(?:[ \t]|$)|>|(?:[-*_][ \t]*+){3,}$)", re.MULTILINE
)


class Table(Struct, frozen=True, kw_only=True):
    """A table and where it stands in a text.

    Attributes:
        head: its header and the rule below, two lines.
        header_end: where the header ends; a cut there makes text of the table.
        rule_end: where the rule ends.
        end: where the last row ends.
    """

    head: str
    header_end: int
    rule_end: int
    end: int

    def continues(self, place: int) -> bool:
        """Return whether a row, or the rest of one, begins at a place."""
        return self.rule_end < place < self.end


def tables(text: str, lines: Iterable[tuple[int, int]]) -> Iterator[Table]:
    """Yield the tables of a text, in order.

    Args:
        text: Markdown.
        lines: start and end of the lines that are not code, in order.
    """
    found: Table | None = None
    above = (0, -1)
    for start, end in lines:
        line, is_next = text[start:end], start == above[1] + 1
        if found is not None and is_next and _is_row(line, found):
            found = Table(head=found.head, header_end=found.header_end, rule_end=found.rule_end, end=end)
        else:
            if found is not None:
                yield found
            found = None
            if is_next and _is_head(text[slice(*above)], line):
                head = text[above[0] : end]
                found = Table(head=head, header_end=above[1], rule_end=end, end=end)
        above = (start, end)
    if found is not None:
        yield found


def begins_block(text: str, place: int) -> bool:
    """Return whether a line that began at a place would be an item, a heading, a quote or a rule, and no text."""
    return _BLOCK.match(text, place) is not None


def quote_mark(line: str) -> str:
    """Return what makes a line one of a quote, empty where it is none."""
    found = _QUOTE.match(line)
    return found[0] if found else ""


def _is_head(header: str, rule: str) -> bool:
    mark = quote_mark(rule)
    rule = rule[len(mark) :]
    if "|" not in rule or not _RULE.fullmatch(rule) or quote_mark(header).strip() != mark.strip():
        return False
    return _cells(header[len(quote_mark(header)) :]) == _cells(rule)


def _cells(row: str) -> int:
    return len(_CELL_END.split(row.strip().removeprefix("|").removesuffix("|")))


def _is_row(line: str, table: Table) -> bool:
    mark = quote_mark(line)
    row = line[len(mark) :]
    return bool(row.strip()) and mark.strip() == quote_mark(table.head).strip() and not begins_block(row, 0)
