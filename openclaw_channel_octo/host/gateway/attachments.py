"""Pictures of a message as a gateway takes them: in the request, as base64, and only pictures (openclaw-host §4.8)."""

import base64
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from openclaw_channel_octo.host.base import MediaItem

__all__ = ["UNSUPPORTED", "attachments", "picture_type"]

_log = logging.getLogger(__name__)

UNSUPPORTED = "UnsupportedAttachmentError"
"""In the words of a gateway whose model takes no pictures."""
LARGEST_PICTURE = 6 * 1024 * 1024
LARGEST_TOGETHER = 18 * 1024 * 1024
"""Bytes a gateway takes in one request, a little below its own limits (``policy.attachments``)."""
_KINDS = frozenset({"image", "gif", "file"})
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def attachments(media: Sequence[MediaItem]) -> list[Mapping[str, str]]:
    """Return the pictures among a message's files, in order, as far as they fit; reads them from the disk.

    What a file is, its first bytes say: neither its name nor its server is believed.
    """
    found: list[Mapping[str, str]] = []
    room = LARGEST_TOGETHER
    for item in media:
        if item.path is None or item.kind not in _KINDS or (item.size or 0) > min(LARGEST_PICTURE, room):
            continue
        data = _read(item.path)
        if mime := picture_type(data):
            room -= len(data)
            content = base64.b64encode(data).decode()
            found.append({"type": "image", "mimeType": mime, "fileName": item.path.name, "content": content})
    return found


def picture_type(data: bytes) -> str:
    """Return the MIME type of a picture by its first bytes, empty for anything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((mime for signature, mime in _SIGNATURES if data.startswith(signature)), "")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        _log.warning("%s cannot be read any more (%s): the turn goes on without it", path, error.strerror)
        return b""
