"""Files that people send: fetched from where they lie, without being led anywhere else (reference-behaviour §2.4)."""

import asyncio
import logging
import os
import re
import socket
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from pydantic import SecretStr

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import OctoError
from openclaw_channel_octo.policy.urls import is_file_of, is_public, literal_address, media_url, origin_of

__all__ = ["FetchedFile", "MediaFetcher", "MediaRefused"]

_log = logging.getLogger(__name__)

REDIRECTS = 5
CHUNK = 256 * 1024
KEEP_S = 3_600.0
"""How long a fetched file stays on the disk."""
CONNECT_S = 10.0
SILENT_S = 20.0
"""Longest pause of a server in the middle of a file."""
_REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
_OK = 200
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}$")


class MediaRefused(OctoError):
    """A file was not fetched; the message is for people: short, and free of addresses of this network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedFile:
    """A file on this machine.

    Attributes:
        path: where it lies, mode 0600; it is swept away later.
        size: bytes.
        mime: its type as the server says, lower case, possibly empty.
    """

    path: Path
    size: int
    mime: str


class _Guarded(AbstractResolver):
    """Resolves names to public addresses only, except for the deployment's own origin."""

    def __init__(self, own: Callable[[str, int], bool], inner: AbstractResolver) -> None:
        self._own = own
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if not self._own(host, port) and not all(is_public(result["host"]) for result in found):
            raise OSError("not a public address")
        return found

    async def close(self) -> None:
        await self._inner.close()


class MediaFetcher:
    """Fetches files into a private folder.

    The bot's token goes to files of the API's own origin and nowhere else; redirects are followed one by one, each
    checked like the first address; nothing is unpacked on the way.

    Args:
        folder: where files go; made with mode 0700.
        api_url: base of the bot API.
        token: the bot's token.
        cdn_url: where the deployment keeps its files, if not with the API: relative addresses lie below it, and it may
            be inside the network.
        clock: for sweeping.
        max_bytes: largest file.
        resolver: finds addresses of names, the system's by default.
    """

    def __init__(  # noqa: PLR0913  # settings, each with a name at every call
        self,
        *,
        folder: Path,
        api_url: str,
        token: SecretStr,
        clock: Clock,
        max_bytes: int,
        cdn_url: str = "",
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._folder = folder
        self._api_url = api_url
        self._token = token
        self._clock = clock
        self._max_bytes = max_bytes
        self._files_url = cdn_url or f"{api_url}/file"
        self._own = frozenset(origin_of(url) for url in (api_url, cdn_url) if url)
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str, name: str) -> FetchedFile:
        """Fetch one file.

        Args:
            url: as the sender wrote it.
            name: the sender's name for it; only its ending is used.

        Raises:
            MediaRefused: it may not be fetched, is too large, or did not come.
        """
        address = media_url(url, self._files_url)
        if not address:
            raise MediaRefused("地址无效")
        try:
            return await self._follow(address, name)
        except MediaRefused:
            raise
        except TimeoutError:
            raise MediaRefused("超时") from None
        except (aiohttp.ClientError, OSError) as error:
            _log.info("a file was not fetched: %s", type(error).__name__)
            raise MediaRefused("下载失败") from None

    async def sweep(self) -> int:
        """Remove files that were fetched more than an hour ago, or by a process that died; return how many."""
        return await asyncio.to_thread(self._sweep)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _follow(self, url: str, name: str) -> FetchedFile:
        for _ in range(REDIRECTS + 1):
            self._check(url)
            async with self._opened().get(url, headers=self._headers(url), allow_redirects=False) as answer:
                if answer.status not in _REDIRECT_STATUSES:
                    return await self._take(answer, name)
                url = urljoin(url, answer.headers.get("Location", ""))
        raise MediaRefused("重定向过多")

    def _check(self, url: str) -> None:
        """Refuse what no resolver sees: other schemes, and addresses written out."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
            raise MediaRefused("地址无效")
        literal = literal_address(parts.hostname)
        if literal and not is_public(literal) and not self._is_own(url):
            raise MediaRefused("地址不允许访问")

    def _headers(self, url: str) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity"}
        if is_file_of(url, self._api_url):
            headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        return headers

    def _is_own(self, url: str) -> bool:
        return origin_of(url) in self._own

    def _is_own_host(self, host: str, port: int) -> bool:
        return any((host.lower(), port) == own[1:] for own in self._own)

    async def _take(self, answer: aiohttp.ClientResponse, name: str) -> FetchedFile:
        if answer.status != _OK:
            raise MediaRefused(f"下载失败: HTTP {answer.status}")
        if (answer.content_length or 0) > self._max_bytes:
            raise MediaRefused(self._too_large())
        path = await asyncio.to_thread(self._place, name)
        with ExitStack() as undo:
            undo.callback(path.unlink, missing_ok=True)
            size = await self._write(path, answer.content.iter_chunked(CHUNK))
            undo.pop_all()
        return FetchedFile(path=path, size=size, mime=answer.content_type.lower())

    async def _write(self, path: Path, chunks: AsyncIterator[bytes]) -> int:
        size = 0
        with path.open("wb") as file:
            async for chunk in chunks:
                size += len(chunk)
                if size > self._max_bytes:
                    raise MediaRefused(self._too_large())
                await asyncio.to_thread(_put, file, chunk)
        return size

    def _too_large(self) -> str:
        return f"超过最大下载限制 {self._max_bytes // (1024 * 1024)} MB"

    def _place(self, name: str) -> Path:
        """Make an empty private file whose name nobody else chose; only a harmless ending of theirs is kept."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        suffix = _SUFFIX.search(name)
        path = self._folder / f"{self._clock.new_id()}{suffix[0].lower() if suffix else ''}"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        return path

    def _sweep(self) -> int:
        old = self._clock.wall_ms() / 1000 - KEEP_S
        swept = 0
        for path in self._folder.glob("*") if self._folder.is_dir() else ():
            with suppress(FileNotFoundError):
                found = path.lstat()
                if stat.S_ISREG(found.st_mode) and found.st_mtime < old:
                    path.unlink()
                    swept += 1
        return swept

    def _opened(self) -> aiohttp.ClientSession:
        """Return the session, made on first use because it belongs to the running loop."""
        if self._session is None:
            resolver = _Guarded(self._is_own_host, self._resolver or aiohttp.ThreadedResolver())
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, limit=8),
                timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_S, sock_read=SILENT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


def _put(file: BinaryIO, chunk: bytes) -> None:
    file.write(chunk)
