"""Payloads of messages: bytes a stranger sent, read into a few fields that are safe to use (protocol §6)."""

import json
from collections.abc import Mapping
from enum import IntEnum
from itertools import islice
from typing import Any, ClassVar

import msgspec
from msgspec import Struct, field
from pydantic import Field, ValidationError

from openclaw_channel_octo.message.lenient import IdText, LenientModel, Object, Text
from openclaw_channel_octo.message.text import well_formed
from openclaw_channel_octo.values import SecretStruct

__all__ = [
    "ANSWERS_KEY",
    "PROGRESS_KEY",
    "REF_KEY",
    "SYSTEM_TYPES",
    "ContentType",
    "Entity",
    "Mention",
    "Payload",
    "Reply",
    "parse_payload",
    "read_payload",
]

REF_KEY = "client_ref"
"""Key of the payload that carries our id of a message through the server."""

ANSWERS_KEY = "client_answers"
"""Key of the payload that carries the id of the message it answers."""

PROGRESS_KEY = "client_progress"
"""Key of the payload that carries the id of the message whose progress is shown, until the answer takes its place."""

ENTITY_LIMIT = 1_000
"""Entities looked at in one message; a mebibyte of them would cost seconds."""


class ContentType(IntEnum):
    """Content types a bot has to tell apart (protocol §6.1, octo-bot-api §4.3)."""

    TEXT = 1
    IMAGE = 2
    GIF = 3
    VOICE = 4
    VIDEO = 5
    LOCATION = 6
    CONTACT = 7
    FILE = 8
    FORWARD = 11
    VECTOR_STICKER = 12
    EMOJI_STICKER = 13
    RICH_TEXT = 14
    ORGANISATION_INVITE = 16
    CARD = 17
    DOCUMENT = 18
    SCREENSHOT = 20
    SUMMARY = 21
    CONTENT_ERROR = 97
    DECRYPTION_ERROR = 98
    COMMAND = 99


SYSTEM_TYPES = frozenset({*range(1000, 1010), 1020, 1021, 1022, 1100, 1200, 1201, 1202, 2000, 9989})
"""Messages the server writes about the conversation (protocol §6.1, octo-bot-api §5.3)."""


class Entity(LenientModel):
    """A marked piece of ``content`` that stands for an account (protocol §6.2).

    Attributes:
        uid: the account.
        offset: first UTF-16 unit, the ``@``.
        length: UTF-16 units, the ``@`` included.
    """

    uid: str
    offset: int
    length: int


def _entities(value: object) -> tuple[Entity, ...]:
    """Return the items that have the shape of an entity."""
    if not value or not isinstance(value, list | tuple):
        return ()
    found: list[Entity] = []
    for item in islice(value, ENTITY_LIMIT):
        try:
            found.append(Entity.model_validate(item))
        except ValidationError:
            continue  # one broken entity says nothing about the others
    return tuple(found)


class Mention(Struct, frozen=True, kw_only=True):
    """Whom a message addresses (protocol §6.2).

    Attributes:
        uids: accounts named by id.
        entities: marked pieces of the text; their offsets are unchecked, see `mentions.valid_entities`.
        all: everyone, in the words of older clients.
        humans: every person.
        ais: every bot.
    """

    uids: tuple[str, ...] = ()
    entities: tuple[Entity, ...] = ()
    all: bool = False
    humans: bool = False
    ais: bool = False


class Reply(LenientModel):
    """The message a message answers, as its sender's client quoted it (protocol §6.3).

    Attributes:
        message_id: the quoted message's id, possibly empty.
        from_uid: who wrote it, possibly empty.
        from_name: that account's display name, possibly empty.
        payload: the quoted payload, unread; may nest further quotes.
    """

    message_id: IdText = ""
    from_uid: Text = ""
    from_name: Text = ""
    payload: Object = Field(default_factory=dict)


class Payload(SecretStruct, frozen=True, kw_only=True):
    """A payload, read leniently: what has the wrong shape counts as absent.

    Attributes:
        type: content type, one of `ContentType`, `SYSTEM_TYPES` or another integer; ``None`` when it is none.
        text: ``content`` where it is a string.
        plain: the server's plain text of rich text and cards.
        mention: whom the message addresses.
        reply: the message it answers.
        event_type: the ``event`` object's type, empty for an event without one, ``None`` without an event.
        data: the whole JSON object, empty for a bad payload. Its values are unchecked.
        problem: why this is a bad payload, in words for an operator.
    """

    HIDDEN: ClassVar = frozenset({"data"})

    type: int | None = None
    text: str = ""
    plain: str = ""
    mention: Mention | None = None
    reply: Reply | None = None
    event_type: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None


_WHITESPACE = " \t\n\r"
"""What may stand around a JSON text."""

_decode = msgspec.json.Decoder().decode
_TOLERANT = json.JSONDecoder(parse_constant=lambda _name: None)
"""Reads NaN and the infinities as absent, and half a surrogate pair as it is."""


def parse_payload(raw: bytes) -> Payload:
    """Read a message's payload bytes. Never raises; a payload that is no JSON object has a ``problem``."""
    try:
        data = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _parse_tolerantly(raw)
    return read_payload(data) if isinstance(data, dict) else _no_object()


def _parse_tolerantly(raw: bytes) -> Payload:
    """Read what other clients accept beside JSON; tell what is wrong with the rest."""
    try:
        text = raw.decode().strip(_WHITESPACE)
        data, end = _TOLERANT.raw_decode(text)
    except UnicodeDecodeError:
        return Payload(problem="payload is not UTF-8")
    except ValueError:
        return Payload(problem="payload is not readable JSON")
    except RecursionError:
        return Payload(problem="payload is nested too deeply")
    if end != len(text):
        return Payload(problem="payload is not readable JSON")
    return read_payload(data) if isinstance(data, dict) else _no_object()


def _no_object() -> Payload:
    return Payload(problem="payload is not a JSON object")


def read_payload(data: dict[str, Any]) -> Payload:
    """Read a payload that is a JSON object already, such as a quoted or a forwarded one. Never raises."""
    get = data.get
    kind, reply, event = get("type"), get("reply"), get("event")
    return Payload(
        type=kind if type(kind) is int else None,
        text=_text(get("content")),
        plain=_text(get("plain")),
        mention=_mention(get("mention"), get("mention_uids")),
        reply=Reply.model_validate(reply) if isinstance(reply, dict) else None,
        event_type=_text(event.get("type")) if isinstance(event, dict) else None,
        data=data,
    )


def _text(value: object) -> str:
    return well_formed(value) if isinstance(value, str) else ""


def _mention(value: object, beside: object) -> Mention | None:
    """Return the mention, with the ids that images and files carry beside it (octo-bot-api §4.3)."""
    more = _strings(beside)
    if not isinstance(value, dict):
        return Mention(uids=more) if more else None
    get = value.get
    return Mention(
        uids=_strings(get("uids")) + more,
        entities=_entities(get("entities")),
        all=_is_flag(get("all")),
        humans=_is_flag(get("humans")),
        ais=_is_flag(get("ais")),
    )


def _is_flag(value: object) -> bool:
    """Return whether a flag is on: ``true`` or the integer 1, nothing else (reference-behaviour §c.8)."""
    return isinstance(value, int) and value == 1  # True is an int equal to 1


def _strings(value: object) -> tuple[str, ...]:
    """Return the strings of a list, without lone surrogates; none when it is no list."""
    if not value or not isinstance(value, list | tuple):
        return ()
    return tuple([well_formed(item) for item in value if isinstance(item, str)])
