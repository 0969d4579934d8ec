"""Payloads of files the bot sends, and of the quote in an answer (octo-bot-api §4.3)."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from openclaw_channel_octo.message.payload import ContentType
from openclaw_channel_octo.message.text import file_name, single_line

__all__ = [
    "QUOTED_CHARS",
    "OutgoingFile",
    "ending",
    "file_note",
    "file_payload",
    "kind_of",
    "named",
    "quote",
    "rich_payload",
]

_KINDS: Mapping[str, ContentType] = MappingProxyType(
    dict.fromkeys(("png", "jpg", "jpeg", "webp", "bmp"), ContentType.IMAGE)
    | {"gif": ContentType.GIF}
    | dict.fromkeys(("mp4", "m4v", "mov", "webm"), ContentType.VIDEO)
    | dict.fromkeys(("ogg", "opus", "amr"), ContentType.VOICE)
)
"""What clients show or play in place; everything else is a file."""

_AUDIO = frozenset({"mp3", "wav", "aac", "flac", "ogg", "opus", "wma", "m4a", "amr"})
_ENDINGS: Mapping[str, str] = MappingProxyType(
    {
        "application/json": "json",
        "application/pdf": "pdf",
        "application/zip": "zip",
        "audio/aac": "aac",
        "audio/amr": "amr",
        "audio/mp4": "m4a",
        "audio/mpeg": "mp3",
        "audio/ogg": "ogg",
        "audio/wav": "wav",
        "audio/x-wav": "wav",
        "image/bmp": "bmp",
        "image/gif": "gif",
        "image/jpeg": "jpg",
        "image/png": "png",
        "image/webp": "webp",
        "text/csv": "csv",
        "text/html": "html",
        "text/markdown": "md",
        "text/plain": "txt",
        "video/mp4": "mp4",
        "video/quicktime": "mov",
        "video/webm": "webm",
    }
)
_LONGEST_ENDING = 12

PICTURE = "[图片]"
"""What servers write for a picture in the plain text of a message."""

QUOTED_CHARS = 200
"""Characters of a message that are shown in a quote of it."""


class OutgoingFile(Struct, frozen=True, kw_only=True):
    """A file that lies in the deployment's storage.

    Attributes:
        url: where people find it.
        name: what they see of its name.
        size: bytes.
        kind: how it is shown, see `kind_of`.
        width: pixels of a picture, 0 where unknown.
        height: likewise.
        seconds: length of a recording, 0 where unknown.
    """

    url: str
    name: str
    size: int
    kind: ContentType
    width: int = 0
    height: int = 0
    seconds: int = 0


def named(name: str, mime: str) -> str:
    """Return a file's name as people see it: no path, one line, with an ending if its type tells one.

    Args:
        name: as it was given, possibly empty or with a path.
        mime: its type, possibly empty.
    """
    shown = file_name(name) or "file"
    mime = mime.partition(";")[0].strip().lower()
    wanted, has = _ENDINGS.get(mime, ""), ending(shown)
    # A picture behind an address like render.php is still a picture.
    misnamed = mime.startswith(("image/", "audio/", "video/")) and has not in _KINDS and has not in _AUDIO
    return f"{shown}.{wanted}" if wanted and (misnamed or not has) else shown


def ending(name: str) -> str:
    """Return a file name's ending in lower case without its dot, empty where there is none."""
    stem, dot, last = name.rpartition(".")
    return last.lower() if dot and stem and last.isalnum() and len(last) <= _LONGEST_ENDING else ""


def kind_of(name: str, wanted: str = "") -> ContentType:
    """Return how a file is shown: as picture, animation, video, voice message, or as a file to be opened.

    Args:
        name: its ending decides.
        wanted: ``voice`` makes a voice message of any sound, which is a file otherwise; ``file`` of whatever is none.
    """
    last = ending(name)
    if wanted == "voice" and last in _AUDIO:
        return ContentType.VOICE
    return _KINDS.get(last, ContentType.FILE)


def file_payload(file: OutgoingFile) -> dict[str, Any]:
    """Return the message that shows a file; sizes that nobody knows are 0 (octo-bot-api §4.3)."""
    common = {"type": int(file.kind), "url": file.url, "name": file.name, "size": file.size}
    match file.kind:
        case ContentType.IMAGE | ContentType.GIF:
            return common | {"width": file.width, "height": file.height}
        case ContentType.VOICE:
            return common | {"timeTrad": file.seconds, "waveform": ""}
        case ContentType.VIDEO:
            shape = {"width": file.width, "height": file.height, "second": file.seconds}
            return common | shape | {"cover": ""}
        case _:
            return common | {"extension": ending(file.name)}


def rich_payload(text: str, pictures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one message with a text and pictures behind it (octo-bot-api §4.3).

    Args:
        text: may be empty.
        pictures: of `file_payload`, each with its width and height: clients lay out with them.
    """
    keys = ("url", "width", "height", "size", "name")
    blocks = [{"type": "text", "text": text}] if text else []
    blocks += [{"type": "image", **{key: picture[key] for key in keys}} for picture in pictures]
    plain = text + PICTURE * len(pictures)
    return {"type": int(ContentType.RICH_TEXT), "content": blocks, "plain": plain}


def file_note(text: str, name: str, reason: str) -> str:
    """Return the line that stands in the place of a file that could not be sent.

    Args:
        text: what the operator lets it begin with.
        name: the file's name; shown as code, so that nobody in it is called.
        reason: why, for people.
    """
    shown = single_line(name).replace("`", "'")
    return f"{text} `{shown}` ({reason})" if shown else f"{text} ({reason})"


def quote(message_id: str, seq: int, uid: str, name: str, text: str) -> dict[str, Any]:
    """Return the ``reply`` of a message that quotes another; clients show it from name and payload (octo-bot-api §4.3).

    Args:
        message_id: the quoted message's.
        seq: its number in the conversation.
        uid: who wrote it.
        name: display name, may be empty.
        text: what it says, cut at `QUOTED_CHARS`.
    """
    shown = text if len(text) <= QUOTED_CHARS else f"{text[:QUOTED_CHARS]}…"
    said = {"message_id": message_id, "root_message_id": message_id, "message_seq": seq}
    return {**said, "from_uid": uid, "from_name": name or uid, "payload": {"type": 1, "content": shown}}
