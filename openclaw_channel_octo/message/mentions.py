"""Mentions: which marked or hand-typed pieces of a text name an account (protocol §6.2)."""

import re
from collections.abc import Iterable
from itertools import islice

from openclaw_channel_octo.message.payload import Entity, Mention
from openclaw_channel_octo.message.text import utf16_length, utf16_slice

__all__ = [
    "ends_name",
    "is_word",
    "mentions_typed_name",
    "strip_leading_mention",
    "utf16_length",
    "utf16_slice",
    "valid_entities",
]

_AT = b"@\x00"
_SPACE = re.compile(r"\s*")

MOST_LOOKS = 5_000
"""Places looked at one by one where a name may have been typed."""

MOST_LEADING = 20
"""Mentions taken from the beginning of a text."""


def valid_entities(text: str, mention: Mention | None) -> tuple[Entity, ...]:
    """Return the entities that lie inside the text and start at an ``@`` (protocol §6.2).

    Args:
        text: what the offsets refer to.
        mention: the message's mention, if it has one.
    """
    if mention is None or not mention.entities:
        return ()
    units = text.encode("utf-16-le", "surrogatepass")  # once: entities may be many and the text long
    return tuple(entity for entity in mention.entities if _marks_an_at(units, entity))


def _marks_an_at(units: bytes, entity: Entity) -> bool:
    start, end = 2 * entity.offset, 2 * (entity.offset + entity.length)
    return 0 <= start < end <= len(units) and units[start : start + 2] == _AT


def mentions_typed_name(text: str, name: str) -> bool:
    """Return whether the text has ``@name`` written by hand, as a word of its own.

    Case counts. Letters, digits and ``_`` of any script beside it make it part of a longer word; on the
    right ``.`` and ``-`` do too, as in a domain (reference-behaviour §c.8.7). An empty name is never there.
    """
    word = f"@{name.strip()}"
    if word == "@" or word not in text:
        return False
    sign = re.escape(word)
    if re.search(rf"{sign}(?![\w.-])(?<!\w{sign})", text):
        return True
    places = islice(re.finditer(sign, text), MOST_LOOKS)  # beside a ½, which is \w and no letter
    return any(
        not is_word(text[place.start() - 1 : place.start()]) and ends_name(text, place.end())
        for place in places
    )


def strip_leading_mention(text: str, name: str, entities: Iterable[Entity] = ()) -> str:
    """Return the text behind up to `MOST_LEADING` mentions of one account, without surrounding white space.

    Args:
        text: a message's text.
        name: the account's display name; only a hand-typed ``@name`` that ends there counts.
        entities: valid entities of the same account, for clients that show another name.
    """
    lengths = {entity.offset: entity.length for entity in entities}
    word = f"@{name.strip()}"
    at = _skip_space(text, 0)
    units = at  # white space takes one unit for each character
    for _ in range(MOST_LEADING):
        if not text.startswith("@", at):
            break
        if marked := lengths.get(units):
            end = at + len(utf16_slice(text[at : at + marked], 0, marked) or word)
        elif word != "@" and text.startswith(word, at) and ends_name(text, at + len(word)):
            end = at + len(word)
        else:
            break
        end = _skip_space(text, end)
        units += utf16_length(text[at:end])
        at = end
    return text[at:].rstrip()


def _skip_space(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    return found.end() if found else start


def ends_name(text: str, end: int) -> bool:
    """Return whether a name that goes as far as ``end`` is not the beginning of a longer word or a domain."""
    following = text[end : end + 1]
    return not is_word(following) and following not in {".", "-"}


def is_word(character: str) -> bool:
    """Return whether one character, or none, continues a word. Signs such as ``½`` do not."""
    return character == "_" or character.isalpha() or character.isdecimal()
