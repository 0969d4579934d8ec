"""Files of answers: found, described, put into the deployment's storage (octo-bot-api §2.10)."""

import asyncio
import base64
import binascii
import io
import json
import wave
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from msgspec import Struct, convert, to_builtins

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.config.texts import Reason
from openclaw_channel_octo.errors import ApiError, FileTypeRefused
from openclaw_channel_octo.host.base import MediaItem
from openclaw_channel_octo.message.outgoing import OutgoingFile, file_payload, kind_of, named
from openclaw_channel_octo.message.payload import ContentType
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.rest.client import MAX_FILE_BYTES
from openclaw_channel_octo.rest.media import MediaFetcher, MediaRefused
from openclaw_channel_octo.rest.media_folder import MediaFolder
from openclaw_channel_octo.rest.upload import SourceChanged, Uploader
from openclaw_channel_octo.runtime.delivery.open_beneath import (
    FileRefused,
    OpenFile,
    folder_root,
    open_beneath,
)
from openclaw_channel_octo.runtime.delivery.outputs import Outputs
from openclaw_channel_octo.store.records import Part

__all__ = ["KEPT_S", "SWEEP_EVERY_S", "Attachments"]

WITHIN_S = 300.0
"""Longest time one file may take, to be fetched and to be uploaded."""

MEGABYTE = 1024 * 1024

MAX_DATA_BYTES = 10 * MEGABYTE
"""Largest file inside a ``data:`` address."""

INVALID = Reason("file_address")
NO_ROOM = Reason("file_no_room")
UNNAMED = Reason("file_unnamed")
TOO_LARGE_DATA = Reason("file_too_large", f"{MAX_DATA_BYTES // MEGABYTE} MB")

SWEEP_EVERY_S = 3_600.0
"""Time between two sweeps of what lost answers left behind."""

KEPT_S = 86_400.0
"""How long files of an answer stay that a process left behind: the next start sends them."""

HEAD = 1024 * 1024
"""Bytes looked at to tell a picture's size; a camera's own picture may stand before it."""

_PICTURES = (b"\x89PNG", b"\xff\xd8", b"GIF8", b"RIFF", b"BM")
"""How pictures begin whose header is read; nothing that would have to be parsed as a document."""


class _Found(Struct, frozen=True):
    """A file that is at hand, and the type its server gave it."""

    source: OpenFile
    mime: str = ""


class Attachments(Struct, eq=False, kw_only=True):
    """Turns files of answers into messages.

    Attributes:
        uploader: puts them into the storage.
        fetcher: gets those that lie elsewhere; one that shows no token.
        spool: folder of files that are on their way, the fetcher's too.
        roots: folders of the operator from which files may be sent now.
        outputs: the folders of the runs.
        clock: time.
        log: the bot's log.
    """

    uploader: Uploader
    fetcher: MediaFetcher
    spool: MediaFolder
    roots: Sequence[Path]
    outputs: Outputs
    clock: Clock
    log: BotLog

    async def plan(self, item: MediaItem, run_id: str) -> Part:
        """Return a file as a part of an answer, with all that another process needs to send it.

        Args:
            item: the file, by ``path`` or ``url``.
            run_id: the run whose folder it may lie in, and relative paths do; empty outside a run.
        """
        source = str(item.path) if item.path is not None else item.url.strip()
        output = str(self.outputs.folder / run_id) if run_id else ""
        noted = {"source": source, "kind": item.kind, "mime": item.mime, "output": output}
        if source[:5].lower() == "data:":
            noted |= await asyncio.to_thread(self._spooled, source)
            source = ""
        elif not source:
            noted |= _refused(UNNAMED)
        noted["name"] = named(item.name or _last_step(source), noted["mime"])
        return Part(text=noted["name"], file=json.dumps(noted))

    async def keep(self, name: str, text: str, instead: str) -> Part:
        """Write a text into a file and return that as a part of an answer, as `plan` does; it is on the disk then.

        Args:
            name: of the file, as people see it.
            text: its content.
            instead: what is sent where the file cannot be, see `instead`.
        """
        noted = {"source": "", "kind": "file", "output": "", "name": name, "instead": instead}
        noted |= await asyncio.to_thread(self._kept, text.encode(errors="replace"), "text/plain")
        return Part(text=name, file=json.dumps(noted))

    def instead(self, file: str) -> str:
        """Return the text that is sent where a file cannot be; empty for one whose absence is to be explained."""
        return str(json.loads(file).get("instead", ""))

    def shown_as(self, file: str) -> ContentType:
        """Return how a file will be shown as far as its name tells, before it is fetched."""
        noted = json.loads(file)
        return kind_of(noted["name"], noted["kind"])

    async def payload(self, file: str) -> dict[str, Any]:
        """Upload a file; return the message that shows it.

        Args:
            file: of the part that `plan` returned.

        Raises:
            FileRefused: it cannot be sent; its reason is for people.
        """
        noted: dict[str, str] = json.loads(file)
        if refused := noted.get("refused"):
            raise FileRefused(convert(json.loads(refused), Reason))
        try:
            return await within(self.clock, WITHIN_S, self._payload(noted))
        except TimeoutError:
            raise FileRefused(Reason("file_slow")) from None
        except MediaRefused as error:
            raise FileRefused(error.reason) from None
        except SourceChanged as error:
            raise FileRefused(error.reason) from None
        except FileTypeRefused:
            raise FileRefused(Reason("file_type")) from None
        except ApiError as error:
            self.log.warning("a file was not uploaded: %s", error)
            raise FileRefused(Reason("file_upload")) from None

    async def release(self, file: str) -> None:
        """Remove what was kept of a file until its message was made.

        Args:
            file: of the part that `plan` returned; empty for a part without one.
        """
        noted: dict[str, str] = json.loads(file or "{}")
        if noted.get("spooled"):
            size = int(noted.get("size", "0"))
            await asyncio.to_thread(self.spool.remove, Path(noted["source"]), size)

    async def close(self) -> None:
        """Close the connections."""
        await self.uploader.close()
        await self.fetcher.close()

    async def sweep(self) -> None:
        """Remove what lost answers left behind."""
        await self.fetcher.sweep()
        await self.outputs.sweep()

    async def _payload(self, noted: Mapping[str, str]) -> dict[str, Any]:
        async with self._at_hand(noted) as found:
            if not found.source.size:
                raise FileRefused(Reason("file_empty"))
            if found.source.size > MAX_FILE_BYTES:
                raise FileRefused(Reason("file_too_large", f"{MAX_FILE_BYTES // MEGABYTE} MB"))
            name = named(noted["name"], found.mime)
            kind = kind_of(name, noted["kind"])
            width, height, seconds = await asyncio.to_thread(_measured, found.source, kind, name)
            url = await self._upload(name, found.source)
            return file_payload(
                OutgoingFile(
                    url=url,
                    name=name,
                    size=found.source.size,
                    kind=kind,
                    width=width,
                    height=height,
                    seconds=seconds,
                )
            )

    async def _upload(self, name: str, source: OpenFile) -> str:
        """Upload under the file's own name, a text whose type the server does not take as ``.txt``."""
        try:
            return await self.uploader.upload(name, source)
        except FileTypeRefused:
            # Never a program: the server refuses those on purpose.
            if not await asyncio.to_thread(_is_text, source):
                raise
        return await self.uploader.upload(f"{name}.txt", source)

    @asynccontextmanager
    async def _at_hand(self, noted: Mapping[str, str]) -> AsyncIterator[_Found]:
        """Open the file, fetching it where it is not here. Raises `FileRefused` and `MediaRefused`."""
        source, output = noted["source"], noted["output"]
        scheme = source.partition(":")[0].lower()
        if scheme in {"http", "https"}:
            fetched = await self.fetcher.fetch(source, noted["name"])
            try:
                with open_beneath(str(fetched.path), [folder_root(self.spool.path)]) as file:
                    yield _Found(file, fetched.mime)
            finally:
                await self.fetcher.remove(fetched)
            return
        path = _local(source) if scheme == "file" else source
        roots = [*map(folder_root, self.roots), *([self.outputs.root(output)] if output else [])]
        if noted.get("spooled"):
            roots = [folder_root(self.spool.path)]
        elif output and not path.startswith("/"):
            path = f"{output}/{path}"
        with open_beneath(path, roots) as file:
            yield _Found(file)

    def _spooled(self, address: str) -> dict[str, str]:
        """Write the content of a ``data:`` address into a file of ours; return what `plan` notes of it."""
        head, comma, body = address[5:].partition(",")
        mime, *options = head.split(";")
        if not comma or len(body) > 2 * MAX_DATA_BYTES:
            return _refused(TOO_LARGE_DATA if comma else INVALID)
        try:
            raw = unquote_to_bytes(body)
            content = base64.b64decode(raw, validate=True) if "base64" in options else raw
        except (binascii.Error, ValueError):
            return _refused(INVALID)
        if len(content) > MAX_DATA_BYTES:
            return _refused(TOO_LARGE_DATA)
        return self._kept(content, mime)

    def _kept(self, content: bytes, mime: str) -> dict[str, str]:
        """Write a content into a file of ours; return what `plan` notes of it."""
        try:
            path = self.spool.write(content)
        except OSError as error:
            self.log.warning("a file of an answer was not kept: %s", error.strerror)
            return _refused(NO_ROOM) | {"mime": mime}
        return {"source": str(path), "spooled": "yes", "size": str(len(content)), "mime": mime}


def _refused(reason: Reason) -> dict[str, str]:
    """Return what `Attachments.plan` notes of a file that will not be sent."""
    return {"source": "", "refused": json.dumps(to_builtins(reason))}


def _local(address: str) -> str:
    parts = urlsplit(address)
    return unquote(parts.path) if parts.netloc in {"", "localhost"} else ""


def _last_step(source: str) -> str:
    """Return the file name at the end of a path or an address."""
    with suppress(ValueError):
        is_address = ":" in source.partition("/")[0]
        return PurePosixPath(unquote(urlsplit(source).path) if is_address else source).name
    return ""


def _is_text(source: OpenFile) -> bool:
    head = source.head(8192)
    if b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"  # the piece ends inside a character
    return True


def _measured(source: OpenFile, kind: ContentType, name: str) -> tuple[int, int, int]:
    """Return a picture's width and height and a recording's seconds, 0 for whatever is not known."""
    head = source.head(HEAD)
    if kind in {ContentType.IMAGE, ContentType.GIF} and head.startswith(_PICTURES):
        import imagesize  # noqa: PLC0415  # see runtime.preload

        width, height = imagesize.get(io.BytesIO(head))
        return (int(width), int(height), 0) if width > 0 and height > 0 else (0, 0, 0)
    if kind is ContentType.VOICE and name.lower().endswith(".wav"):
        with (
            suppress(wave.Error, EOFError, ZeroDivisionError, RuntimeError),
            wave.open(io.BytesIO(head)) as sound,
        ):
            return 0, 0, max(1, round(sound.getnframes() / sound.getframerate()))
    return 0, 0, 0
