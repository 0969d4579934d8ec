"""Files that an agent names in its answer, as OpenClaw's agents do: lines that begin with ``MEDIA:``."""

import re
from collections.abc import Collection, Iterator
from itertools import islice
from urllib.parse import unquote

from msgspec import Struct

from openclaw_channel_octo.message.text import code_spans, covered_by

__all__ = ["Named", "Source", "named_files"]

_UNSEEN = "\u200b\u2060\ufeff"
_BLANK = rf"(?:[^\S\r\n]|[{_UNSEEN}])"
_ITEM = rf"(?:(?:[-*+•]|\d{{1,9}}[.)]){_BLANK}(?:{_BLANK}*+\[[ xX]\]{_BLANK})?+|\#{{1,6}}{_BLANK}|>)"
_OPENING, _CLOSING = "*_`~\"'([<“‘「『（【《", "*_`~\"')]>”’」』）】》"
_LINE = re.compile(
    rf"(?:^|(?<=\r)){_BLANK}*+(?P<item>(?:{_ITEM}{_BLANK}*+)*+)"
    rf"(?P<marks>[{re.escape(_OPENING)}]*+)MEDIA(?P<closed>[*_`~]*+)(?P<colon>[:：])(?P<rest>[^\r\n]*+)(?:\r?\n|\r)?",
    re.MULTILINE,
)
"""A line that may name files: as it is, a heading, an item of a list, quoted, bold, as code, in brackets or quotes."""
_MIRRORED = str.maketrans(_OPENING, _CLOSING)
_STOPS = "，；、。！？…"
_GAP = rf"\s,;{_STOPS}{_UNSEEN}"
"""What separates files: white space and punctuation, after which no name goes on unless it is known so."""
_START = rf"(?:(?:[A-Za-z][A-Za-z0-9+.-]*://|data:|file:)[^{_GAP}]|~?\.{{0,2}}/[^{_GAP}])"
_ADDRESS = re.compile(_START, re.IGNORECASE)
"""How an address or a path begins."""
_WEB = re.compile(r"https?:|data:", re.IGNORECASE)
_WORD = re.compile(rf"{_START}(?:[^{_GAP}]++|[,;](?!\Z|[{_GAP}]|{_START}))*+|[^{_GAP}]++", re.IGNORECASE)
_BETWEEN = re.compile(rf"(?:[{_GAP}]++|MEDIA[:：])*+")
_QUOTED = re.compile(
    r"(?:(\*\*|[\"'`])(?P<text>.+?)\1|<(?P<inside>[^>]+)>|!?\[[^\[\]]*\]\(<?(?P<link>[^()<>]+)>?\)"
    rf"|[“‘「『【《](?P<paired>[^“”‘’「」『』【】《》]+)[”’」』】》])(?=[{_GAP}.]|\Z)"
)
_NEXT = re.compile(rf"MEDIA[:：]|[\"'`<]|\*\*|{_START}", re.IGNORECASE)
"""What a word begins with that belongs to the next file."""
_ENDING = re.compile(r"[^\s./]\.(?=[0-9]*[A-Za-z])[A-Za-z0-9]{1,12}\Z")
_FILE_SCHEME = re.compile(r"file:(?://(?:localhost(?=/))?)?", re.IGNORECASE)

MOST_LINES = 1_000
"""Lines that are looked at; later ones stay as they are."""
MOST_NAMED = 100
"""Files taken from one answer, far more than are sent; lines behind them are taken out without one."""
MOST_WORDS = 32
"""Words of a name that is written without quotes."""


class Source(Struct, frozen=True):
    """A file as it was named: an address or a path, relative to the run's folder; empty where a line names none."""

    address: str


class Named(Struct, frozen=True):
    """An answer without the lines that name files.

    Attributes:
        parts: texts and files in order, no two texts side by side, none of them empty.
    """

    parts: tuple[str | Source, ...]

    @property
    def text(self) -> str:
        """What is left without the files, possibly blank."""
        return "".join(part for part in self.parts if isinstance(part, str))

    @property
    def sources(self) -> tuple[str, ...]:
        """Addresses and paths in order, each once."""
        return tuple(dict.fromkeys(part.address for part in self.parts if isinstance(part, Source)))


class _Piece(Struct, frozen=True):
    """A piece of what stands behind ``MEDIA:``.

    Attributes:
        text: the piece, of a file that is known its name.
        is_file: whether it looks like one.
        is_sure: whether it cannot be prose.
    """

    text: str
    is_file: bool = True
    is_sure: bool = False


def named_files(text: str, names: Collection[str] = ()) -> Named:
    """Take the files out of an answer.

    A line counts outside code fences. Behind ``MEDIA:`` stand addresses, paths or names, separated by spaces, commas or
    semicolons, maybe in quotes; text behind them stays. A name with spaces ends where a file in ``names`` is called so,
    else behind its ending (``.png``). Where a space follows the colon and nothing looks like a file, the line is prose
    and stays. What is named but does not exist is in the result all the same, so that whoever sends it says so.

    Args:
        text: the answer.
        names: files in the run's folder, as they may be named.
    """
    if "MEDIA" not in text:
        return Named((text,) if text else ())
    # A span that begins in the line itself is the line in backticks, not a fence around it.
    in_fence = covered_by((start + 1, end) for start, end in code_spans(text))
    parts: list[str | Source] = []
    kept: list[str] = []
    end = count = 0
    for line in islice(_LINE.finditer(text), MOST_LINES):
        pieces = [] if in_fence(line.start()) else _pieces_of(line, names)
        if not pieces:
            continue
        kept.append(text[end : line.start()])
        end = line.end()
        for piece in pieces:
            if not piece.is_file:
                kept.append(f"{piece.text}\n")
            elif count < MOST_NAMED:
                count += 1
                parts += filter(None, ["".join(kept), Source(piece.text)])
                kept.clear()
    parts += filter(None, ["".join([*kept, text[end:]])])
    return Named(tuple(parts))


def _pieces_of(line: re.Match[str], names: Collection[str]) -> list[_Piece]:
    """Return what a line names, nothing where it is prose."""
    rest, marks = line["rest"].rstrip(_UNSEEN).rstrip(), line["marks"]
    closing = marks[::-1].translate(_MIRRORED)
    if line["closed"] != closing or not closing:
        if line["closed"]:
            return []
        if rest.startswith(closing):
            rest = rest[len(closing) :]
        elif _ends_with(ended := rest.rstrip(f".,;{_STOPS}"), marks, closing):
            rest = ended[: -len(closing)]
        else:
            return []
    if _skip(rest, 0) == len(rest):
        return [] if marks or line["item"] else [_Piece("")]
    pieces = list(islice(_pieces(rest, names), MOST_NAMED))
    attached = line["colon"] == ":" and not rest[0].isspace()
    if not (attached or pieces[0].is_sure or all(piece.is_file for piece in pieces)):
        return []
    first = pieces[0].text if pieces[0].is_sure else pieces[0].text.rstrip(f",;{_STOPS}")
    return [_Piece(first), *pieces[1:]]


def _ends_with(rest: str, marks: str, closing: str) -> bool:
    """Return whether what closes the line stands at its end only, beside pairs of brackets in a name."""
    if marks != closing:
        others = re.escape(marks + closing)
        rest = re.sub(rf"{re.escape(marks)}[^{others}]*+{re.escape(closing)}", "", rest)
    return rest.endswith(closing) and rest.count(closing) == 1


def _pieces(rest: str, names: Collection[str]) -> Iterator[_Piece]:
    at = _skip(rest, 0)
    while at < len(rest):
        piece, end = _piece(rest, at, names)
        yield piece
        at = _skip(rest, end)


def _piece(rest: str, at: int, names: Collection[str]) -> tuple[_Piece, int]:
    """Return the piece that begins at a place, and where it ends."""
    words = list(islice(_WORD.finditer(rest, at), MOST_WORDS))
    for end in (len(rest), *(word.end() for word in reversed(words))) if names else ():
        if name := _known(rest[at:end], names):
            return _Piece(name, is_sure=True), end
    if quoted := _QUOTED.match(rest, at):
        inside = next(filter(None, quoted.group("text", "inside", "link", "paired"))).strip()
        name = _known(inside, names)
        sure = bool(name or _ADDRESS.match(inside) or _ENDING.search(inside))
        return _Piece(name or inside, is_sure=sure), quoted.end()
    begins = bool(_ADDRESS.match(rest, at))
    # Text keeps its full stop.
    end = words[-1].end() if begins and len(words) < MOST_WORDS else len(rest)
    for number, word in enumerate(words):
        if number and _NEXT.match(rest, word.start()):
            end = words[number - 1].end()
            break
        if _ENDING.search(word[0]):
            return _Piece(rest[at : word.end()], is_sure=begins or not number), word.end()
    if begins and _WEB.match(rest, at):
        end = words[0].end()
    return _Piece(rest[at:end], is_file=begins, is_sure=begins), end


def _known(text: str, names: Collection[str]) -> str:
    """Return the name of a file in the run's folder, however it is spelled; empty where there is none."""
    plain = _FILE_SCHEME.sub("", text, count=1)
    for spelling in (text, text.rstrip(".!?"), plain, unquote(plain), plain.replace("\\", "")):
        name = spelling.removeprefix("./")
        if name in names:
            return f"./{name}" if ":" in name.partition("/")[0] else name  # no address
    return ""


def _skip(rest: str, at: int) -> int:
    found = _BETWEEN.match(rest, at)
    return found.end() if found else at
