"""Traffic made fit to be kept: tokens replaced, texts masked where that is wanted, everything else as it was.

A message inside the socket's encryption is decrypted with the connection's own key, cleaned, and encrypted again with a
message key that holds, so that a cleaned capture replays like the live traffic did (protocol §3).
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace
from pydantic import SecretStr

from openclaw_channel_octo.capture.format import Side
from openclaw_channel_octo.capture.socket import Seen, SocketReader
from openclaw_channel_octo.message.text import utf16_length
from openclaw_channel_octo.observe.logs import Secrets
from openclaw_channel_octo.policy.commands import ALIASES
from openclaw_channel_octo.policy.verdicts import VERDICTS
from openclaw_channel_octo.wire.codec import encode
from openclaw_channel_octo.wire.packets import Connect, Disconnect, Event, Packet, Recv, Send

__all__ = ["TOKEN", "Cleaner", "SocketCleaner"]

TOKEN: Final = "TOKEN"  # noqa: S105  # what stands in a capture in place of one
"""What a capture has in place of a secret (design §10)."""

_STRUCTURE: Final = frozenset(
    {
        # people and bots
        *(
            "creator",
            "creator_uid",
            "from_uid",
            "invisibles",
            "operator",
            "owner_uid",
            "robot_id",
            "sure_uid",
        ),
        *("to_uid", "uid", "uids", "updated_by", "visibles"),
        # places
        *("channel_id", "group_no", "owner_channel_id", "short_id", "space_id"),
        # messages
        *("client_answers", "client_msg_no", "client_ref", "message_id", "message_ids", "message_idstr"),
        *("root_message_id", "source_message_id"),
        # kinds and versions
        *("action", "agent_platform", "agent_version", "card_version", "cmd", "code", "event_type"),
        *("extension", "kind", "plugin_version", "profile", "type"),
    }
)
"""Keys whose texts are ids and kinds: without them a masked capture could not be replayed."""

_SCHEMES: Final = ("https://", "http://", "wss://", "ws://")
_DEEPEST: Final = 64
_NO_KEY: Final = "0" * 32
_DEEP: Final = "[nested too deeply]"


class Cleaner:
    """Cleans texts and JSON.

    Args:
        secrets: values to replace besides what looks like a token.
        mask_text: whether letters and digits of everything people and bots wrote become ``x``, names included. Ids,
            kinds, lengths in UTF-16 units, punctuation and the words that address the bot stay.
        own_name: the bot's display name, which decides whom a message addresses and is not masked.
    """

    def __init__(self, *secrets: SecretStr, mask_text: bool = False, own_name: str = "") -> None:
        self._secrets = Secrets(*secrets)
        self.masks = mask_text
        words = [word.replace("/", slash) for word in ALIASES for slash in "/／"]
        kept = sorted({*_SCHEMES, *words, *filter(None, [own_name])}, key=len, reverse=True)
        verdicts = "|".join(map(re.escape, sorted(VERDICTS, key=len, reverse=True)))
        approval = rf"\A(?:approve|批准)(?=\s)|(?<=\s)(?:{verdicts})(?=\s*\Z)"
        self._kept = re.compile("(" + "|".join([*map(re.escape, kept), approval]) + ")", re.IGNORECASE)

    def text(self, text: str) -> str:
        """Return a text that is no content, such as an id or an error's words, without secrets."""
        return self._secrets.hidden(text, TOKEN)

    def content(self, text: str) -> str:
        """Return what somebody wrote, without secrets and masked where that is wanted."""
        clean = self.text(text)
        if not self.masks:
            return clean
        parts = self._kept.split(clean)
        parts[::2] = [_masked(part) for part in parts[::2]]
        return "".join(parts)

    def json(self, value: Any, key: str = "", depth: int = 0) -> Any:
        """Return a JSON value with every text in it cleaned, also those that hold JSON or base64 of it.

        Args:
            value: any JSON value.
            key: under which name it stood.
            depth: how deep.
        """
        if depth > _DEEPEST:
            return _DEEP
        if isinstance(value, Mapping):
            return {
                self.text(str(name)): self.json(item, str(name), depth + 1) for name, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.json(item, key, depth + 1) for item in value]
        if not isinstance(value, str):
            return value
        if key == "payload":
            try:
                data = base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError):
                return self.content(value)
            return base64.b64encode(self.payload(data)).decode()
        if key == "content_edit":
            return self.payload(value.encode("utf-8", "replace")).decode("utf-8", "replace")
        return self.text(value) if key in _STRUCTURE else self.content(value)

    def payload(self, data: bytes) -> bytes:
        """Return a message's payload cleaned; bytes that are no JSON are a text like any other."""
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            text = data.decode("utf-8", "replace")
            clean = self.content(text)
            return data if clean == text else clean.encode("utf-8", "replace")
        clean = self.json(value)
        if clean == value:
            return data
        return json.dumps(clean, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


class SocketCleaner:
    """Cleans one connection's bytes in both directions, packet by packet.

    Bytes that hold nothing to clean come back as they were. Of a packet cut between two messages the whole comes with
    its end; bytes that are no packets come back empty, because nobody can tell what is in them.

    Args:
        cleaner: cleans what is inside.
        private_key: the connection's X25519 key, 32 bytes; with another one encrypted messages cannot be read, and are
            blanked where texts are masked.
    """

    def __init__(self, cleaner: Cleaner, private_key: bytes) -> None:
        self._cleaner = cleaner
        self._reader = SocketReader(private_key)
        self.connect: Connect | None = None
        """The CONNECT that was seen, without its token."""

    def clean(self, side: Side, data: bytes) -> bytes:
        """Return bytes that ``side`` sent, cleaned."""
        whole = not self._reader.pending(side)
        raw, clean = bytearray(), bytearray()
        for seen in self._reader.read(side, data):
            packet = self._cleaned(seen)
            raw += seen.raw
            clean += seen.raw if packet is seen.packet else encode(packet, self._reader.version)
        return data if whole and raw == data == clean else bytes(clean)

    def _cleaned(self, seen: Seen) -> Packet:
        """Return the packet itself where nothing in it has to change."""
        match seen.packet:
            case Connect() as connect:
                self.connect = replace(connect, token=TOKEN)
                return self.connect
            case Recv() | Send() as message:
                return self._message(message, seen)
            case Disconnect() as last if (reason := self._cleaner.text(last.reason)) != last.reason:
                return replace(last, reason=reason)
            case Event() as event if (data := self._cleaner.payload(event.data)) != event.data:
                return replace(event, data=data)
        return seen.packet

    def _message(self, packet: Recv | Send, seen: Seen) -> Recv | Send:
        """Return a message with its payload cleaned, and encrypted as it was."""
        blank = replace(packet, payload=b"", msg_key=_NO_KEY)
        if seen.plain is None:
            return blank if self._cleaner.masks else packet
        payload = self._cleaner.payload(seen.plain)
        if payload == seen.plain:
            return packet
        cipher = self._reader.cipher
        if cipher is None or not packet.msg_key:
            return replace(packet, payload=payload)
        if not seen.holds:  # it stays a message that cannot be verified
            return blank
        sealed = replace(packet, payload=cipher.encrypt(payload))
        key = cipher.recv_msg_key(sealed) if isinstance(sealed, Recv) else cipher.send_msg_key(sealed)
        return replace(sealed, msg_key=key)


def _masked(text: str) -> str:
    """Return ``text`` with ``x`` for every letter and digit, of the same length in UTF-16 units."""
    return "".join("x" * utf16_length(character) if character.isalnum() else character for character in text)
