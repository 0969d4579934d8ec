"""``NO_REPLY``: how an agent says that it chooses to say nothing (openclaw-host §3.6)."""

import re
from collections.abc import Sequence

from msgspec import Struct

__all__ = ["SILENT_REPLY", "Spoken", "without_silence"]

SILENT_REPLY = "NO_REPLY"

_WORD = r"NO\\?_REPLY"
_AROUND = r"[\s!-/:-@\[-`{-~“”‘’「」『』（）。！…，、]*"
"""White space and marks that models put around the token: emphasis, quotes, code, full stops."""
_MENTION = re.compile(_WORD, re.IGNORECASE)
_ALONE = re.compile(rf"{_AROUND}(?:{_WORD}{_AROUND})+", re.IGNORECASE)
_ENVELOPE = re.compile(rf'\s*\{{\s*"action"\s*:\s*"{_WORD}"\s*\}}\s*', re.IGNORECASE)
_ITEM = re.compile(r"\s*(?:[-+*>]|\d+[.)])\s")
"""Begins an item of a list or a quote: part of a text that talks about the token."""
_GLUED = re.compile(r"\s*NO_REPLY(?=[^\Wa-z_])")
_SENTENCE_ENDS = frozenset(".!?…。！？~")
_TALK = frozenset(":：-+>")
"""Behind these the token is talked about: what follows a colon, an item of a list, a quote."""


class Spoken(Struct, frozen=True):
    """What an agent says beside that it says nothing.

    Attributes:
        text: the rest of its text; all of it where it does not decline.
        is_declined: whether there is no more than the token.
    """

    text: str
    is_declined: bool = False


def without_silence(text: str) -> Spoken:
    """Take the token out of a text.

    It counts in any case, also repeated and with marks around it, where it is alone or alone on the first or last
    lines; in capitals also with the text glued to it, and as the last word. Anywhere else it is talked about.
    """
    if not _MENTION.search(text):
        return Spoken(text)
    if _ALONE.fullmatch(text) or _ENVELOPE.fullmatch(text):
        return Spoken("", is_declined=True)
    lines = text.split("\n")
    first = _tokens(lines)
    last = len(lines) - _tokens(lines[::-1])
    rest = "\n".join(lines[first:last])
    if glued := _GLUED.match(rest):
        rest = rest[glued.end() :]
    return Spoken(_without_last_word(rest))


def _without_last_word(text: str) -> str:
    """Return the text without the token as its last word."""
    words = text.rstrip().rstrip("*")
    if not words.endswith(SILENT_REPLY):
        return text
    before = words.removesuffix(SILENT_REPLY)
    rest = before.rstrip(" \t*")
    follows = rest != before or rest[-1:] in _SENTENCE_ENDS
    return rest if follows and rest[-1:] not in _TALK else text


def _tokens(lines: Sequence[str]) -> int:
    """Return how many lines at the beginning are blank or the token, 0 where none is the token."""
    found = 0
    for number, line in enumerate(lines, 1):
        if _ALONE.fullmatch(line) and not _ITEM.match(line):
            found = number
        elif line.strip():
            break
    return found
