"""What a terminal shows of a program's output in the end: without colours and titles, progress lines drawn over.

The control functions are those of ECMA-48 that command line programs use. The screen is as wide and as high as the
output, so that no line is wrapped or scrolled away (docs/decisions/0039).
"""

import re
import unicodedata
from functools import lru_cache

__all__ = ["screen_text"]

_MOVE = (
    r"\x1b(?:\[(?P<numbers>[0-9;]*+)(?P<final>[@A-HJ-MPXade`fsu])"
    r"|\[\?(?:47|1047|1049)(?P<other>[hl])|(?P<escape>[78cDEM]))"
)
"""A sequence that changes where something is shown."""
_SEQUENCE = (
    r"\x1b(?:\][^\x07\x1b\n]*+(?:\x07|\x1b\\)?|[PX^_](?:[^\x1b]*+\x1b\\|[^\x1b\n]*+)"
    r"|\[[0-?]*+[ -/]*+[@-~]?|[ -/]*+[0-~]?)"
)
"""Any sequence, also one that breaks off; a title that nothing ends goes to the end of its line."""
_NOTHING = r"[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9f]"
_IDLE = re.compile(rf"(?!{_MOVE}){_SEQUENCE}|{_NOTHING}")
_MOVING = re.compile(r"[\x08\x1b]|\r(?!\n)")
_TOKEN = re.compile(rf"(?P<text>[^\x08-\x0d\x1b]++)|(?P<control>[\x08-\x0d])|{_MOVE}")

MOST_WORK = 100_000_000
"""Most work for one output, in cells of ASCII that are read: some seconds. What comes behind is shown line by line."""
TOKEN_COST = 250
"""Work of a piece of text or a control function."""
WIDE_COST = 60
"""Work of reading a cell that is not ASCII."""
BLANK_COST = 100
"""Work of a cell or row that is blank because the cursor went beyond it; few bytes ask for many of them."""
FARTHEST = 500
"""Columns the cursor can be moved to where the line is shorter."""
LOWEST = 50
"""Rows it can be moved to where there are fewer."""
HIGHEST_NUMBER = 9_999
TAB = 8


def screen_text(text: str) -> str:
    """Return what a terminal shows of an output at its end; an output that steers none comes back as it is.

    A line feed goes to the beginning of the next line, as in a terminal that reads from a program. Work and memory are
    bounded: see `MOST_WORK`.
    """
    text = _IDLE.sub("", text)
    first = _MOVING.search(text)
    if first is None:
        return text
    begin = text.rfind("\n", 0, first.start()) + 1
    screen = _Screen(text[:begin].replace("\r\n", "\n").split("\n"))
    for token in _TOKEN.finditer(text, begin):
        if screen.work > MOST_WORK:
            rest = re.sub(_MOVE, "", text[token.start() :]).replace("\x08", "").replace("\r\n", "\n")
            return f"{screen.shown()}{rest}".replace("\r", "\n")
        screen.take(token)
    return screen.shown()


class _Screen:
    """Rows of text, the one with the cursor as cells.

    A cell is a character with the marks that combine with it; behind a tab or a wide character stand empty ones.

    Args:
        rows: what is shown already; the cursor is at the beginning of the last one.
    """

    def __init__(self, rows: list[str]) -> None:
        self._rows = rows
        self._row = len(rows) - 1
        self._cells: list[str] = []
        self._column = 0
        self._saved = (0, 0)
        self._behind: tuple[list[str], int, int] | None = None
        """The ordinary screen and its cursor, while a program uses the other one."""
        self.work = 0
        """Work done so far, see `MOST_WORK`."""
        self._enter()

    def shown(self) -> str:
        """Return everything on the screen."""
        self._leave()
        return "\n".join(self._rows)

    def take(self, token: re.Match[str]) -> None:
        """Do what a piece of the output says."""
        self.work += TOKEN_COST
        if token["text"]:
            self._write(token["text"])
        elif token["control"]:
            self._control(token["control"])
        elif token["other"]:
            self._switch(to_other=token["other"] == "h")
        elif token["escape"]:
            self._escape(token["escape"])
        else:
            numbers = [min(int(number[-5:] or 0), HIGHEST_NUMBER) for number in token["numbers"].split(";")]
            self._function(token["final"], numbers)

    def _control(self, control: str) -> None:
        match control:
            case "\b":
                self._column = max(0, self._column - 1)
            case "\t":
                self._tab()
            case "\r":
                self._column = 0
            case _:
                self._go(self._row + 1, 0, scroll=True)

    def _escape(self, letter: str) -> None:
        match letter:
            case "7":
                self._saved = (self._row, self._column)
            case "8":
                self._go(*self._saved)
            case "c":
                self._erase_all()
                self._go(0, 0)
            case "M":
                self._go(self._row - 1, self._column)
            case "D":
                self._go(self._row + 1, self._column, scroll=True)
            case _:  # E
                self._go(self._row + 1, 0, scroll=True)

    def _function(self, final: str, numbers: list[int]) -> None:
        first = numbers[0]
        count = max(1, first)
        match final:
            case "A" | "B" | "F" | "E":
                down = count if final in "BE" else -count
                self._go(self._row + down, 0 if final in "EF" else self._column)
            case "C" | "a" | "D":
                self._go(self._row, self._column + (-count if final == "D" else count))
            case "G" | "`":
                self._go(self._row, count - 1)
            case "d" | "e":
                self._go(count - 1 if final == "d" else self._row + count, self._column)
            case "H" | "f":
                self._go(count - 1, max(1, (*numbers, 1)[1]) - 1)
            case "s" | "u":
                self._escape("7" if final == "s" else "8")
            case _:
                self._edit(final, first)

    def _edit(self, final: str, number: int) -> None:
        """Erase, insert or delete cells or rows."""
        cells, column, count = self._cells, self._column, max(1, number)
        self.work += len(cells)
        match final:
            case "J":
                self._erase(number)
            case "K":
                self._erase_in_row(number)
            case "L" | "M":
                self._shift_rows(count if final == "L" else -count)
            case _ if column < len(cells):
                self._part(column)
                if final == "@":
                    blanks = min(count, FARTHEST)
                    self.work += BLANK_COST * blanks
                    cells[column:column] = [" "] * blanks
                    return
                end = min(column + count, len(cells))
                self._part(end)
                cells[column:end] = [" "] * (end - column) if final == "X" else []

    def _erase(self, what: int) -> None:
        self.work += len(self._rows)
        match what:
            case 0:
                self._erase_in_row(0)
                del self._rows[self._row + 1 :]
            case 1:
                self._rows[: self._row] = [""] * self._row
                self._erase_in_row(1)
            case 2:
                self._erase_all()

    def _erase_all(self) -> None:
        self.work += len(self._rows)
        self._rows = [""] * (self._row + 1)
        self._cells = []

    def _erase_in_row(self, what: int) -> None:
        cells, column = self._cells, self._column
        match what:
            case 0:
                self._part(column)
                del cells[column:]
            case 1:
                end = min(column + 1, len(cells))
                self._part(end)
                cells[:end] = [" "] * end
            case 2:
                cells.clear()

    def _shift_rows(self, count: int) -> None:
        """Insert rows above the one with the cursor, or delete it and those below it."""
        self._leave()
        self.work += len(self._rows)
        if count > 0:
            blanks = min(count, LOWEST)
            self.work += BLANK_COST * blanks
            self._rows[self._row : self._row] = [""] * blanks
        else:
            del self._rows[self._row : self._row - count]
            if self._row >= len(self._rows):
                self._rows += [""] * (self._row + 1 - len(self._rows))
        self._column = 0
        self._enter()

    def _switch(self, *, to_other: bool) -> None:
        """Show the other screen, which is empty, or the ordinary one again."""
        if to_other == (self._behind is not None):
            return
        self._leave()
        if self._behind is None:
            self._behind = (self._rows, self._row, self._column)
            self._rows, self._row, self._column = [""], 0, 0
        else:
            self._rows, self._row, self._column = self._behind
            self._behind = None
        self._enter()

    def _go(self, row: int, column: int, *, scroll: bool = False) -> None:
        """Move the cursor; beyond the last row only as far as a screen goes, or where the screen scrolls."""
        lowest = max(len(self._rows), LOWEST) - 1
        row = max(0, row if scroll else min(row, lowest))
        if row != self._row:
            self._leave()
            if (missing := row + 1 - len(self._rows)) > 0:
                self.work += 0 if scroll else BLANK_COST * missing
                self._rows += [""] * missing
            self._row = row
            self._enter()
        self._column = max(0, min(column, max(len(self._cells), FARTHEST)))

    def _enter(self) -> None:
        row = self._rows[self._row]
        self._cells = _cells_of(row)
        self.work += len(row) * (1 if row.isascii() else WIDE_COST)

    def _leave(self) -> None:
        self._rows[self._row] = "".join(self._cells)

    def _tab(self) -> None:
        stop = self._column + TAB - self._column % TAB
        if self._column >= len(self._cells):
            self._pad()
            self._cells += ["\t", *[""] * (stop - self._column - 1)]
        self._column = stop

    def _write(self, text: str) -> None:
        self._pad()
        cells = _cells_of(text)
        while (
            self._column and cells and cells[0] and not _width(cells[0][0])
        ):  # marks combine with what is there
            self._combine(cells.pop(0))
        end = self._column + len(cells)
        self._part(self._column)
        self._part(end)
        self._cells[self._column : end] = cells
        self._column = end

    def _combine(self, mark: str) -> None:
        at = self._column - 1
        while at > 0 and not self._cells[at]:
            at -= 1
        if at >= 0:
            self._cells[at] += mark

    def _pad(self) -> None:
        if (missing := self._column - len(self._cells)) > 0:
            self.work += BLANK_COST * missing
            self._cells += [" "] * missing

    def _part(self, column: int) -> None:
        """Make blanks of a tab or a wide character that a column goes through."""
        cells = self._cells
        if column >= len(cells) or cells[column]:
            return
        start = end = column
        while start and not cells[start]:
            start -= 1
        while end < len(cells) and not cells[end]:
            end += 1
        cells[start:end] = [" "] * (end - start)


def _cells_of(text: str) -> list[str]:
    if text.isascii() and "\t" not in text:
        return list(text)
    cells: list[str] = []
    for character in text:
        width = TAB - len(cells) % TAB if character == "\t" else _width(character)
        if width or not cells:
            cells += [character, *[""] * (width - 1)]
        else:
            head = next(at for at in range(len(cells) - 1, -1, -1) if cells[at])
            cells[head] += character
    return cells


@lru_cache(maxsize=4_096)
def _width(character: str) -> int:
    """Return the columns a character takes; 0 for one that combines with what stands before it."""
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
