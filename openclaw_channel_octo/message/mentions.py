"""Mentions: whom a message names, and which ``@name`` of an agent's text names somebody there (protocol §6.2)."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from msgspec import Struct

from openclaw_channel_octo.message.payload import Entity, Mention
from openclaw_channel_octo.message.split import split_reply
from openclaw_channel_octo.message.text import code_spans, covered_by, single_line, utf16_length

__all__ = [
    "MOST_MENTIONS",
    "Addressed",
    "addressed",
    "mentions_typed_name",
    "named_uids",
    "split_addressed",
    "valid_entities",
    "without_mentions",
]

MOST_TYPED = 5_000
"""Places looked at one by one where a name may have been typed."""

MOST_TYPED_AROUND = 20
"""Hand-typed mentions taken from the beginning of a text, and as many from its end."""

MOST_MENTIONS = 50
"""People one message may call; more are shown as text."""

MOST_LOOKS = 300
"""Places of one text where somebody may be called; what comes later is text."""

LONGEST_NAME = 64
"""Characters of a name that can be written without its uid."""

EVERYONE = frozenset(
    ["all", "everyone", "everybody", "here", "channel", "所有人", "全体成员", "全体", "全员", "大家", "全員"]
)
"""Words that mean everybody, whoever is named so."""

_PLACE = re.compile(r"(?<![A-Za-z0-9_])@|@\[")
"""Where a mention may begin; other letters before it are looked at one by one."""
_MARK = re.compile(r"@\[([^\[\]:\n]{1,128}):([^\[\]\n]{1,128})\]")
_EVERYONE = re.compile(r"@(?:all|All|所有人)")
_PRIVATE_USE = range(0xE000, 0xF8FF)
_AT = b"@\x00"
_SEVERAL = 2


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


def named_uids(text: str, mention: Mention | None) -> frozenset[str]:
    """Return the accounts a message names, none where it calls everybody (protocol §6.2, reference-behaviour §c.8).

    They are those of its valid entities; where it has none, of its ``uids``.

    Args:
        text: what the offsets refer to.
        mention: the message's mention, if it has one.
    """
    if mention is None or mention.all or mention.humans:
        return frozenset()
    return frozenset(entity.uid for entity in valid_entities(text, mention)) or frozenset(mention.uids)


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
    places = islice(re.finditer(sign, text), MOST_TYPED)  # beside a ½, which is \w and no letter
    return any(
        not _is_word(text[place.start() - 1 : place.start()]) and _ends_name(text, place.end())
        for place in places
    )


def without_mentions(text: str, name: str, entities: Iterable[Entity] = ()) -> str:
    """Return a text without the mentions of one account around what is said, and without surrounding white space.

    Args:
        text: a message's text.
        name: the account's display name; up to `MOST_TYPED_AROUND` hand-typed ``@name`` on either side are taken off.
        entities: valid entities of the same account, which are taken out wherever they stand: clients may show
            another name there.
    """
    text = _without_entities(text, entities).strip()
    word = f"@{name.strip()}"
    if word == "@":
        return text
    for _ in range(MOST_TYPED_AROUND):
        if not (text.startswith(word) and _ends_name(text, len(word))):
            break
        text = text[len(word) :].lstrip()
    for _ in range(MOST_TYPED_AROUND):
        before = text.removesuffix(word)
        if before == text or _is_word(before[-1:]):
            break
        text = before.rstrip()
    return text


def _without_entities(text: str, entities: Iterable[Entity]) -> str:
    """Return the text with a space in the place of each entity."""
    spans = sorted((entity.offset, entity.offset + entity.length) for entity in entities)
    if not spans:
        return text
    units = text.encode("utf-16-le", "surrogatepass")
    parts, end = list[bytes](), 0
    for start, stop in spans:
        parts.append(units[2 * end : 2 * start])  # nothing where they overlap
        end = max(end, stop)
    parts.append(units[2 * end :])
    return b" \0".join(parts).decode("utf-16-le", "replace")


class _Span(Struct, frozen=True):
    """A mention in an agent's text: where it stands, whom it names (nobody: empty), and what people see."""

    start: int
    end: int
    uid: str
    shown: str


class Addressed(Struct, frozen=True):
    """A message as it is sent.

    Attributes:
        text: with every mention as people see it.
        mention: the payload's ``mention`` block, empty where nobody is named.
    """

    text: str
    mention: Mapping[str, Any]


def addressed(text: str, names: Mapping[str, str], *, everyone: bool = False) -> Addressed:
    """Return an agent's text as a message of a conversation.

    ``@[uid:name]`` names a member by uid, ``@name`` one by a display name that only they have; both count only for
    people of this conversation and outside code. ``@all`` calls all of them where that is allowed. Names are chosen
    by their owners, so ``@name`` calls nobody where it can be read in two ways ("@Ann Lee" where Ann and Ann Lee are
    there); a name that ends in anything but a letter, a digit or a picture, that is somebody else's uid, or that means
    everybody, counts only behind its uid.

    Args:
        text: what the agent wrote.
        names: display names of the conversation's members by uid.
        everyone: whether the text may call everybody; bots are never among them (octo-bot-api §4.3).
    """
    parts: list[str] = []
    entities: list[dict[str, Any]] = []
    units = end = 0
    spans = _spans(text, names)
    for span in spans:
        before = text[end : span.start]
        units += utf16_length(before)
        length = utf16_length(span.shown)
        if span.uid and len(entities) < MOST_MENTIONS:
            entities.append({"uid": span.uid, "offset": units, "length": length})
        parts += [before, span.shown]
        units += length
        end = span.end
    uids = list(dict.fromkeys(entity["uid"] for entity in entities))
    mention: dict[str, Any] = {"uids": uids, "entities": entities} if entities else {}
    if everyone and _calls_everyone(text, spans):
        mention["humans"] = 1
    return Addressed("".join([*parts, text[end:]]), mention)


def split_addressed(text: str, names: Mapping[str, str], limit: int) -> list[str]:
    """Return an answer cut into messages, none of them in the middle of a mention that fits into one.

    Mentions stay as the agent wrote them, for `addressed`. Raises as `split_reply`.
    """
    chunks = split_reply(text, limit)
    if len(chunks) < _SEVERAL and "\r" not in text:
        return chunks
    spans = _spans(text, names)
    if (
        not spans
        or any(ord(character) in _PRIVATE_USE for character in text)
        or len(spans) > len(_PRIVATE_USE)
    ):
        return chunks
    whole: dict[str, str] = {}
    parts: list[str] = []
    end = 0
    for number, span in enumerate(spans):
        sign = chr(_PRIVATE_USE[number])
        whole[sign] = text[span.start : span.end]
        parts += [text[end : span.start], sign * utf16_length(whole[sign])]
        end = span.end
    chunks = split_reply("".join([*parts, text[end:]]), limit)
    return [re.sub(r"([\ue000-\uf8fe])\1*", lambda found: whole[found[1]], chunk) for chunk in chunks]


def _spans(text: str, names: Mapping[str, str]) -> Sequence[_Span]:
    """Return the mentions of a text in order, none inside another."""
    in_code = covered_by(code_spans(text))
    found: list[_Span] = []
    end = 0
    for span in _candidates(text, names):
        if span.start >= end and not in_code(span.start):
            found.append(span)
            end = span.end
    return found


def _calls_everyone(text: str, spans: Sequence[_Span]) -> bool:
    """Return whether ``@all`` stands in a text, as a word of its own, outside code and other mentions."""
    in_code = covered_by(code_spans(text))
    in_mention = covered_by((span.start, span.end) for span in spans)
    return any(
        _ends_name(text, found.end())
        and not _is_word(text[found.start() - 1 : found.start()])
        and not in_code(found.start())
        and not in_mention(found.start())
        for found in islice(_EVERYONE.finditer(text), MOST_LOOKS)
    )


def _candidates(text: str, names: Mapping[str, str]) -> Iterator[_Span]:
    uids: Mapping[str, str] | None = None
    lengths: Sequence[int] = ()
    for place in islice(_PLACE.finditer(text), MOST_LOOKS):
        at = place.start()
        if marked := _MARK.match(text, at):
            uid, name = marked[1].strip(), single_line(marked[2])
            known = names.get(uid, "")
            yield _Span(at, marked.end(), uid if uid in names else "", f"@{single_line(known) or name}")
        elif not _is_word(text[at - 1 : at] if at else ""):
            if uids is None:
                uids = _uids_by_name(names)
                lengths = sorted({*map(len, uids), *map(len, EVERYONE)})
            words = [word for word in _words(text, at + 1, lengths) if word in uids or _means_everyone(word)]
            if len(words) > 1:  # nobody knows which of them is meant
                yield _Span(at, at + 1 + len(words[-1]), "", f"@{words[-1]}")
            elif words and (uid := uids.get(words[0], "")):
                yield _Span(at, at + 1 + len(words[0]), uid, f"@{words[0]}")


def _words(text: str, start: int, lengths: Sequence[int]) -> Iterator[str]:
    """Yield what stands at a place in each of the lengths, where a name may end behind it; shortest first."""
    for length in lengths:
        if start + length <= len(text) and _ends_name(text, start + length):
            yield text[start : start + length]


def _means_everyone(word: str) -> bool:
    return word.casefold() in EVERYONE


def _uids_by_name(names: Mapping[str, str]) -> dict[str, str]:
    """Return what can be read as a name, and whom it calls: nobody (empty) where that is not clear."""
    counts = Counter(names.values())
    owners = {uid.casefold(): uid for uid in names}
    return {
        name: uid
        if counts[name] == 1 and owners.get(name.casefold(), uid) == uid and not _means_everyone(name)
        else ""
        for uid, name in names.items()
        if _can_be_written(name)
    }


def _can_be_written(name: str) -> bool:
    """Return whether a name stands in a sentence with a clear end; one that does not is written with its uid."""
    if not 0 < len(name) <= LONGEST_NAME:
        return False
    last = name.rstrip("\ufe0f")[-1:]  # how pictures end that may also be shown as text
    if not last.isalnum() and (last.isascii() or not _is_picture_or_vowel(last)):
        return False
    plain = name.isascii() and name.isprintable() and "  " not in name and name[0] != " "
    return plain or name == single_line(name)


def _is_picture_or_vowel(character: str) -> bool:
    return (
        unicodedata.category(character) in {"Mn", "Mc", "Me", "So"}
        or "\U0001f3fb" <= character <= "\U0001f3ff"
    )


def _ends_name(text: str, end: int) -> bool:
    """Return whether a name that goes as far as ``end`` is not the beginning of a longer word or a domain."""
    following = text[end : end + 1]
    return not _is_word(following) and following not in {".", "-"}


def _is_word(character: str) -> bool:
    """Return whether one character, or none, continues a word. Signs such as ``½`` do not."""
    return character == "_" or character.isalpha() or character.isdecimal()
