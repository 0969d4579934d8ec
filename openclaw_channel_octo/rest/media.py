"""Files that people send: fetched from where they lie, without being led anywhere else (reference-behaviour §2.4)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from pydantic import SecretStr
from yarl import URL

from openclaw_channel_octo.config.texts import Reason
from openclaw_channel_octo.errors import OctoError
from openclaw_channel_octo.policy.urls import (
    fetchable,
    is_file_of,
    is_public,
    literal_address,
    media_url,
    origin_of,
    redirected,
)
from openclaw_channel_octo.rest.media_folder import MediaFolder, ending_of
from openclaw_channel_octo.rest.network import open_session, timeout

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver

__all__ = ["Budget", "FetchedFile", "MediaFetcher", "MediaRefused"]

_log = logging.getLogger(__name__)

REDIRECTS = 5
CHUNK = 256 * 1024
CONNECT_S = 10.0
SILENT_S = 20.0
"""Longest pause of a server in the middle of a file."""
FROM_ONE_SERVER, AT_ONCE = 8, 64
"""Files on their way to one bot: a server that keeps us waiting holds up its own files only."""
MEGABYTE = 1024 * 1024
_REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
_OK = 200
_NOT_FETCHED = Reason("file_not_fetched")


class MediaRefused(OctoError):
    """A file was not fetched; the message is short, and free of addresses of this network.

    Args:
        why: as agents know it from the reference (reference-behaviour §c.5).
        reason: the same for people.
    """

    def __init__(self, why: str, reason: Reason = _NOT_FETCHED) -> None:
        super().__init__(why)
        self.reason = reason


class FetchedFile(Struct, frozen=True, kw_only=True):
    """A file on this machine.

    Attributes:
        path: where it lies, mode 0600; it is swept away later.
        size: bytes.
        mime: its type as the server says, lower case, possibly empty.
    """

    path: Path
    size: int
    mime: str


class Budget(Struct):
    """Bytes that the files of one message may still take together."""

    left: int

    def take(self, size: int) -> None:
        """Take some. Raises `MediaRefused` where there are not enough."""
        if size > self.left:
            raise MediaRefused("本条消息的文件合计超过下载限制")
        self.left -= size


class MediaFetcher:
    """Fetches files into a private folder.

    The bot's token goes to files of the API's own origin and nowhere else, and no longer once a redirect has left it;
    redirects are followed one by one, each checked like the first address; nothing is unpacked on the way.

    Args:
        folder: where files go.
        api_url: base of the bot API.
        token: the bot's token; ``None`` for addresses that an agent names: what the bot may see is not for every chat
            it writes to, so the API is a server like any other then.
        cdn_url: where the deployment keeps its files, if not with the API: relative addresses lie below it, and it may
            be inside the network.
        max_bytes: largest file.
        resolver: finds addresses of names, the system's by default.
    """

    def __init__(  # settings, each with a name at every call
        self,
        *,
        folder: MediaFolder,
        api_url: str,
        token: SecretStr | None,
        max_bytes: int,
        cdn_url: str = "",
        resolver: "AbstractResolver | None" = None,
    ) -> None:
        from openclaw_channel_octo.rest.resolver import (  # noqa: PLC0415  # see rest.network
            GuardedResolver,
            SystemResolver,
        )

        self._folder = folder
        self._api = URL(api_url)
        self.token = token
        self._max_bytes = max_bytes
        self._files_url = (cdn_url or f"{api_url}/file").rstrip("/")
        self._own = frozenset(origin_of(URL(url)) for url in (api_url if token else "", cdn_url) if url)
        self._resolver = GuardedResolver(self._is_own_host, resolver or SystemResolver())
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str, name: str, budget: Budget | None = None) -> FetchedFile:
        """Fetch one file.

        Args:
            url: as the sender wrote it.
            name: the sender's name for it; only its ending is used.
            budget: what the files of the same message may take together; ``None`` for one file alone.

        Raises:
            MediaRefused: it may not be fetched, is too large, or did not come.
        """
        import aiohttp  # noqa: PLC0415  # see rest.network

        address = media_url(url, self._files_url)
        if address is None:
            raise MediaRefused("地址无效", Reason("file_address"))
        try:
            return await self._follow(address, name, budget or Budget(self._max_bytes))
        except MediaRefused:
            raise
        except TimeoutError:
            raise MediaRefused("超时", Reason("file_slow")) from None
        except (
            aiohttp.ClientError,
            OSError,
            ValueError,
        ) as error:  # ValueError: an answer no client can read
            _log.info("a file was not fetched: %s", type(error).__name__)
            raise MediaRefused("下载失败") from None

    async def keep(self, paths: Iterable[Path]) -> bool:
        """Keep files from being swept for another hour; return whether all of them are still there."""
        return await asyncio.to_thread(self._folder.keep, tuple(paths))

    async def remove(self, file: FetchedFile) -> None:
        """Remove a file that is needed no more."""
        await asyncio.to_thread(self._folder.remove, file.path, file.size)

    async def sweep(self) -> int:
        """Remove files nobody needed for an hour, whichever process left them; return how many."""
        return await asyncio.to_thread(self._folder.sweep)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
        await self._resolver.close()

    async def _follow(self, url: URL, name: str, budget: Budget) -> FetchedFile:
        at_home = True
        for _ in range(REDIRECTS + 1):
            self._check(url)
            at_home = at_home and is_file_of(url, self._api)
            headers = {"Accept-Encoding": "identity"}
            if at_home and self.token is not None:
                headers["Authorization"] = f"Bearer {self.token.get_secret_value()}"
            async with self._opened().get(url, headers=headers, allow_redirects=False) as answer:
                if answer.status not in _REDIRECT_STATUSES:
                    return await self._take(answer, name, budget)
                target = redirected(url, answer.headers.get("Location", ""))
            if target is None:
                raise MediaRefused("重定向地址无效", Reason("file_redirect"))
            url = target
        raise MediaRefused("重定向过多", Reason("file_redirects"))

    def _check(self, url: URL) -> None:
        """Refuse what no resolver sees: other schemes, and addresses written out."""
        if not fetchable(url):
            raise MediaRefused("地址无效", Reason("file_address"))
        literal = literal_address(url.raw_host or "")
        if literal and not is_public(literal) and origin_of(url) not in self._own:
            raise MediaRefused("地址不允许访问", Reason("file_address_private"))

    def _is_own_host(self, host: str, port: int) -> bool:
        return any((host.lower(), port) == own[1:] for own in self._own)

    async def _take(self, answer: "aiohttp.ClientResponse", name: str, budget: Budget) -> FetchedFile:
        if answer.status != _OK:
            raise MediaRefused(f"下载失败: HTTP {answer.status}", Reason("file_status", str(answer.status)))
        if answer.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise MediaRefused("下载失败: 服务器返回了压缩内容")
        if (answer.content_length or 0) > self._max_bytes:
            raise self._too_large()
        mime = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        path = await asyncio.to_thread(self._folder.place, ending_of(name, mime, answer.url.name))
        written = _Written()
        try:
            await self._write(path, answer.content.iter_chunked(CHUNK), budget, written)
        except BaseException:  # raised again: no half file stays, also where it is cancelled
            self._folder.remove(path, written.size)
            raise
        return FetchedFile(path=path, size=written.size, mime=mime)

    async def _write(
        self, path: Path, chunks: AsyncIterator[bytes], budget: Budget, written: "_Written"
    ) -> None:
        with path.open("wb") as file:
            async for chunk in chunks:
                if written.size + len(chunk) > self._max_bytes:
                    raise self._too_large()
                budget.take(len(chunk))
                if not self._folder.take(len(chunk)):
                    _log.warning(
                        "%s is full: files are refused until old ones are swept away", self._folder.path
                    )
                    raise MediaRefused("暂时没有存储空间，请稍后重发", Reason("file_no_room"))
                written.size += len(chunk)
                await asyncio.to_thread(file.write, chunk)
        if not written.size:
            raise MediaRefused("文件为空", Reason("file_empty"))

    def _too_large(self) -> MediaRefused:
        limit = f"{self._max_bytes // MEGABYTE} MB"
        return MediaRefused(f"超过最大下载限制 {limit}", Reason("file_too_large", limit))

    def _opened(self) -> "aiohttp.ClientSession":
        """Return the session, made on first use because it belongs to the running loop."""
        if self._session is None:
            self._session = open_session(
                limit=AT_ONCE,
                per_host=FROM_ONE_SERVER,
                resolver=self._resolver,
                timeout=timeout(total=None, sock_connect=CONNECT_S, sock_read=SILENT_S),
                auto_decompress=False,
            )
        return self._session


class _Written(Struct):
    """Bytes of a file for which room was taken."""

    size: int = 0
