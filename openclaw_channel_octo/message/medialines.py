"""Files that an agent names in its answer, as OpenClaw's agents do: lines that begin with ``MEDIA:``."""

import re
from itertools import islice

from msgspec import Struct

from openclaw_channel_octo.message.text import code_spans, covered_by

__all__ = ["Named", "named_files"]

_LINE = re.compile(r"^[ \t]*MEDIA:[ \t]*(.*)", re.MULTILINE)
_ADDRESS = re.compile(r"(?:https?://|file://|data:)\S", re.IGNORECASE)
_PATH = re.compile(r"\.{0,2}/\S|[^\s:]+\.[A-Za-z0-9]{1,12}$")
_QUOTES = {"`": "`", '"': '"', "'": "'", "<": ">"}
_SHORTEST_QUOTED = 3

MOST_LINES = 1_000
"""Lines that are looked at; later ones stay as they are."""
MOST_NAMED = 100
"""Files taken out of one answer; far more than are sent."""


class Named(Struct, frozen=True):
    """An answer without the lines that name files.

    Attributes:
        text: what is left, possibly blank.
        sources: addresses and paths in order, each once.
    """

    text: str
    sources: tuple[str, ...]


def named_files(text: str) -> Named:
    """Take the files out of an answer.

    A line counts outside code, where what follows ``MEDIA:`` is an ``http``, ``https``, ``file`` or ``data``
    address or looks like a path, maybe in quotes; any other line stays as it is, and so does what comes behind
    `MOST_NAMED` files.
    """
    if "MEDIA:" not in text:
        return Named(text, ())
    in_code = covered_by(code_spans(text))
    kept: list[str] = []
    sources: list[str] = []
    end = 0
    for line in islice(_LINE.finditer(text), MOST_LINES):
        if len(sources) == MOST_NAMED:
            break
        source = _unquoted(line[1].rstrip(" \t"))
        names = _ADDRESS.match(source) or _PATH.match(source)
        if not names or in_code(line.start()):
            continue
        sources.append(source)
        kept.append(text[end : line.start()])
        end = min(line.end() + 1, len(text))
    return Named("".join([*kept, text[end:]]), tuple(dict.fromkeys(sources)))


def _unquoted(source: str) -> str:
    closing = _QUOTES.get(source[:1])
    return (
        source[1:-1].strip()
        if closing and len(source) >= _SHORTEST_QUOTED and source[-1] == closing
        else source
    )
