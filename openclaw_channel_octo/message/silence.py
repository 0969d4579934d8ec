"""``NO_REPLY``: how an agent says that it chooses to say nothing (openclaw-host §3.6)."""

import re
from collections.abc import Sequence

from msgspec import Struct

__all__ = ["SILENT_REPLY", "Spoken", "without_silence"]

SILENT_REPLY = "NO_REPLY"

_WORD = "".join(rf"[{letter}{chr(ord(letter) + 0xFEE0)}]" for letter in SILENT_REPLY).replace("[_", r"\\?[_")
"""The token, also in full-width letters and with Markdown's escape."""
_UNSEEN = "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe0f\ufeff"
_EMOJI = "\u2600-\u27bf\u2b50-\u2bff\U0001f000-\U0001faff"
_TAG = rf"</?(?!{_WORD})[a-z][^<>\n]{{0,99}}>"
_AROUND = rf"(?:{_TAG}|[^\w{_EMOJI}]|_)*"
"""What models put around the token: white space, emphasis, quotes, code, full stops, HTML; an emoji is said."""
_MENTION = re.compile(_WORD, re.IGNORECASE)
_ALONE = re.compile(rf"{_AROUND}(?:{_WORD}{_AROUND})+", re.IGNORECASE)
_ENVELOPE = re.compile(rf'\s*\{{\s*"action"\s*:\s*"{_WORD}"\s*\}}\s*', re.IGNORECASE)
_ITEM = re.compile(r"\s*(?:[-+*>]|\d+[.)])\s")
"""Begins an item of a list or a quote: part of a text that talks about the token."""
_GLUED = re.compile(
    rf"[\s{_UNSEEN}]*(?:{_WORD}(?=[^\Wa-z_])|(?i:{_AROUND}{_WORD})[*{_UNSEEN} \t]*(?=[{_EMOJI}]))"
)
_LAST = re.compile(rf"{_WORD}(?=(?:[\s*.!…。！．{_UNSEEN}]|(?i:</[a-z]+>))*\Z)")
_OPENED = re.compile(r"<[a-z][^<>\n]{0,99}>\Z", re.IGNORECASE)
_FOLLOWS = re.compile(rf"[ \t*{_UNSEEN}{_EMOJI}.!?…。！？~，、；]|[^\W\x00-\x7f]")
"""What the token follows as a word of its own; Chinese puts no space between words."""
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
    last = _LAST.search(text)
    if last is None:
        return text
    before = text[: last.start()]
    opened = _OPENED.search(before, max(0, len(before) - 100))
    plain = before[: opened.start()] if opened else before
    rest = plain.rstrip(" \t*\u200b\ufeff")
    if rest[-1:] in _TALK or not (opened or _FOLLOWS.match(before, len(before) - 1)):
        return text
    return rest


def _tokens(lines: Sequence[str]) -> int:
    """Return how many lines at the beginning are blank or the token, 0 where none is the token."""
    found = 0
    for number, line in enumerate(lines, 1):
        if _ALONE.fullmatch(line) and not _ITEM.match(line):
            found = number
        elif line.strip():
            break
    return found
