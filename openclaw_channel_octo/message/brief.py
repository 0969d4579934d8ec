"""Payloads of messages that nobody asked the bot to answer, cut to what may be shown of them around others."""

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from msgspec import Struct

from openclaw_channel_octo.message.history import MESSAGE_BYTES
from openclaw_channel_octo.message.payload import Payload
from openclaw_channel_octo.message.text import clip, well_formed

__all__ = ["WHOLE_BYTES", "brief"]

WHOLE_BYTES = 4 * MESSAGE_BYTES
"""Largest payload that is kept as it is."""

_TEXT_BYTES = 8 * MESSAGE_BYTES
_VALUES = 1_000
_ITEMS = 64
_DEPTH = 16
_NUMBER_BITS = 1_024
_KEY_BYTES = 64
_FIRST = ("type", "content", "plain", "mention", "mention_uids", "event", "reply", "message_id", "from_uid")
"""Read before other keys, so that these cannot use up the room."""

_NOTHING: Any = object()


def brief(raw: bytes, payload: Payload) -> bytes:
    """Return a payload with its texts and lists cut where it is large; what was readable stays so.

    Args:
        raw: the payload's bytes.
        payload: what they say.

    Returns:
        ``raw`` itself up to `WHOLE_BYTES`, else some 20 kB at most: type, mention and ids of the reply
        with the beginnings of the texts. Of what is no JSON object, the beginning.
    """
    if len(raw) <= WHOLE_BYTES:
        return raw
    if payload.problem is not None:
        return raw[:MESSAGE_BYTES]
    kept = _Room(_VALUES, _TEXT_BYTES).of(payload.data, _DEPTH)
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()


class _Room(Struct):
    """What may still be kept.

    Attributes:
        values: how many values.
        size: bytes of texts and keys.
    """

    values: int
    size: int

    def of(self, value: object, depth: int) -> Any:
        """Return what is kept of a value, `_NOTHING` where there is no room for any of it."""
        if self.values <= 0 or depth <= 0:
            return _NOTHING
        self.values -= 1
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, list | tuple):
            items = (self.of(item, depth - 1) for item in islice(value, _ITEMS))
            return [item for item in items if item is not _NOTHING]
        return self._number(value) if isinstance(value, int) else value

    def _number(self, value: int) -> Any:
        digits = value.bit_length() // 3
        if value.bit_length() > _NUMBER_BITS or digits > self.size:
            return _NOTHING
        self.size -= digits
        return value

    def _text(self, value: str) -> str:
        most = min(MESSAGE_BYTES, max(0, self.size))
        text = clip(well_formed(value[: most + 1]), most)  # a character takes a byte at least
        self.size -= len(text.encode())
        return text

    def _mapping(self, value: Mapping[str, object], depth: int) -> dict[str, Any]:
        kept = {}
        for key in islice(_keys(value), _ITEMS):
            found = self.of(value[key], depth - 1)
            if found is not _NOTHING and len(key) <= _KEY_BYTES:
                self.size -= len(key)
                kept[well_formed(key)] = found
        return kept


def _keys(value: Mapping[str, object]) -> Iterable[str]:
    yield from (key for key in _FIRST if key in value)
    yield from (key for key in value if key not in _FIRST)
