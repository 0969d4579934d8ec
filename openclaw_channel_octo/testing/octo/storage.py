"""The file storage beside the server: signed uploads and plain downloads (octo-bot-api §2.10)."""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote

from aiohttp import hdrs, web
from msgspec import Struct, field

from openclaw_channel_octo.testing.octo.refusals import FILE_TYPE, MALFORMED, Refusal

__all__ = ["MAX_FILE_BYTES", "Storage", "StoredFile"]

MAX_FILE_BYTES: Final = 100 * 1024 * 1024
"""Largest upload that is signed."""

_TYPES: Final = {
    "csv": "text/csv",
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "md": "text/markdown",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "ogg": "audio/ogg",
    "pdf": "application/pdf",
    "png": "image/png",
    "txt": "text/plain",
    "wav": "audio/wav",
    "webp": "image/webp",
    "zip": "application/zip",
}


_HARMLESS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
}
"""No script of a file runs, whatever the file is: it lies on the address of the pages."""


class StoredFile(Struct, frozen=True, kw_only=True):
    """A file in the storage.

    Attributes:
        content: its bytes.
        content_type: what a download says it is.
        name: file name.
    """

    content: bytes
    content_type: str
    name: str


class Storage(Struct):
    """What was uploaded, and what may be.

    Attributes:
        files: by key, the path below the server's address.
    """

    files: dict[str, StoredFile] = field(default_factory=dict)
    _signed: dict[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    """By key, the file's name and the headers its upload has to have."""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def presign(self, base_url: str, filename: str, file_size: str) -> dict[str, Any]:
        """Return a signed upload; raises `Refusal` for a type or size the server does not take."""
        size = int(file_size) if file_size.isdecimal() else 0
        if not 1 <= size <= MAX_FILE_BYTES:
            raise Refusal(MALFORMED, "fileSize")
        extension = PurePosixPath(filename).suffix.removeprefix(".").lower()
        if extension not in _TYPES:
            raise Refusal(FILE_TYPE, "filename")
        key = self._new_key(extension)
        headers: dict[str, str] = {
            hdrs.CONTENT_TYPE: _TYPES[extension],
            hdrs.CONTENT_DISPOSITION: _disposition(filename),
            hdrs.CONTENT_LENGTH: str(size),
        }
        self._signed[key] = (filename, headers)
        return {
            "method": "PUT",
            "uploadUrl": f"{base_url}/{key}?X-Amz-Signature=signed",
            "downloadUrl": f"{base_url}/{key}",
            "contentType": headers[hdrs.CONTENT_TYPE],
            "contentDisposition": headers[hdrs.CONTENT_DISPOSITION],
            "key": key,
            "expiresIn": 1800,
            "expiredTime": 1_779_001_800,
            "maxFileSize": size,
        }

    def put(self, name: str, content: bytes) -> str:
        """Store a file as a person's client would have uploaded it; return its key."""
        extension = PurePosixPath(name).suffix.removeprefix(".").lower()
        key = self._new_key(extension or "bin")
        self.files[key] = StoredFile(
            content=content, content_type=_TYPES.get(extension, "application/octet-stream"), name=name
        )
        return key

    def size(self) -> int:
        """Return the bytes of all files."""
        return sum(len(file.content) for file in self.files.values())

    async def take_upload(self, request: web.Request) -> web.Response:
        """Take an upload if every signed header is exactly as signed, else answer 403."""
        key = request.path.removeprefix("/")
        name, headers = self._signed.get(key, ("", None))
        content = await request.read()
        if hdrs.AUTHORIZATION in request.headers:
            return _xml_error(400, "InvalidRequest")
        if not headers or any(request.headers.get(header) != value for header, value in headers.items()):
            return _xml_error(403, "SignatureDoesNotMatch")
        self.files[key] = StoredFile(content=content, content_type=headers[hdrs.CONTENT_TYPE], name=name)
        return web.Response()

    async def give_download(self, request: web.Request) -> web.Response:
        """Give a file to anybody who knows its address."""
        file = self.files.get(request.path.removeprefix("/"))
        if file is None:
            return _xml_error(404, "NoSuchKey")
        headers = {**_HARMLESS, hdrs.CONTENT_DISPOSITION: _disposition(file.name)}
        return web.Response(body=file.content, content_type=file.content_type, headers=headers)

    def _new_key(self, extension: str) -> str:
        number = next(self._numbers)
        return f"chat/1779000000/{number:032x}/{number:032x}.{extension}"


def _disposition(name: str) -> str:
    return f"inline; filename*=UTF-8''{quote(name, safe='', errors='replace')}"


def _xml_error(status: int, code: str) -> web.Response:
    return web.Response(status=status, text=f"<Code>{code}</Code>", content_type="application/xml")
