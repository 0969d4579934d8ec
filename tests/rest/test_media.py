"""Files of strangers: what is fetched, what is not, and where the bot's token goes; proved by what the servers saw."""

import asyncio
import gzip
import os
import resource
import socket
import stat
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from pydantic import SecretStr

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.rest.media import Budget, FetchedFile, MediaFetcher, MediaRefused
from openclaw_channel_octo.rest.media_folder import MediaFolder, ending_of
from tests.serving import serving

TOKEN = "bf_0123456789abcdef"
LIMIT = 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 100


class Site:
    """A server on loopback that remembers what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.redirects: dict[str, str] = {}
        self.hanging = False
        self._more = asyncio.Event()
        self.url = ""

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def asked(self, times: int) -> None:
        """Wait until the server was asked so many times."""
        async with asyncio.timeout(60):
            while len(self.seen) < times:
                self._more.clear()
                await self._more.wait()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.path_qs, request.headers.get("Authorization", "")))
        self._more.set()
        if self.hanging:
            await asyncio.Event().wait()
        if (target := self.redirects.get(request.path)) is not None:
            return web.Response(status=302, headers={"Location": target} if target else {})
        return await self._given(request)

    async def _given(self, request: web.Request) -> web.StreamResponse:
        match request.path.rpartition("/")[2]:
            case "a.png":
                return web.Response(body=PNG, content_type="image/png")
            case "odd":
                return web.Response(body=PNG, headers={"Content-Type": f"{unquote(request.query_string)}"})
            case "empty":
                return web.Response()
            case "short":
                return await self._short(request)
            case "big":
                return web.Response(body=b"x" * (LIMIT + 1))
            case "endless":
                return await self._endless(request)
            case "bomb":
                packed = gzip.compress(b"0" * 50_000_000)
                return web.Response(body=packed, headers={"Content-Encoding": "gzip"})
            case _:
                raise web.HTTPNotFound

    async def _short(self, request: web.Request) -> web.StreamResponse:
        """Promise more than there is, and hang up."""
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"x" * 10)
        if request.transport is not None:
            request.transport.close()
        return response

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65_536)
        except (ConnectionResetError, asyncio.CancelledError):
            return response


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    server = Site()
    async with serving("/{path:.*}", server.answer) as server.url:
        yield server


class Names(AbstractResolver):
    """Knows a few names; what it says is public is reached on loopback all the same."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = known

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        result: ResolveResult = {
            "hostname": host,
            "host": self._known[host],
            "port": port,
            "family": socket.AF_INET,
            "proto": 0,
            "flags": 0,
        }
        return [result]

    async def close(self) -> None:
        """There is nothing to close."""


@asynccontextmanager
async def fetcher(
    folder: Path, api: str, names: Mapping[str, str] | None = None, cdn: str = ""
) -> AsyncIterator[MediaFetcher]:
    found = MediaFetcher(
        folder=MediaFolder(folder / "media", SystemClock()),
        api_url=api,
        token=SecretStr(TOKEN),
        max_bytes=LIMIT,
        cdn_url=cdn,
        resolver=Names(names) if names is not None else None,
    )
    try:
        yield found
    finally:
        await found.close()


@pytest.fixture
async def api() -> AsyncIterator[Site]:
    async with site() as server:
        yield server


@pytest.fixture
async def found(tmp_path: Path, api: Site) -> AsyncIterator[MediaFetcher]:
    async with fetcher(tmp_path, api.url) as one:
        yield one


async def refused(found: MediaFetcher, url: str) -> str:
    with pytest.raises(MediaRefused) as error:
        await found.fetch(url, "x.png")
    return str(error.value)


async def test_a_file_of_the_api_is_fetched_with_the_token_into_a_private_place(
    tmp_path: Path, api: Site, found: MediaFetcher
) -> None:
    file = await found.fetch("file/preview/chat/a.png", "../../etc/a.PNG")
    assert api.seen == [("/file/chat/a.png", f"Bearer {TOKEN}")]
    assert file.path.read_bytes() == PNG
    assert (file.size, file.mime) == (len(PNG), "image/png")
    assert file.path.parent == tmp_path / "media"
    assert file.path.suffix == ".png"
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700


async def test_another_call_of_the_api_never_gets_the_token(api: Site, found: MediaFetcher) -> None:
    await refused(found, f"{api.url}/v1/bot/groups")
    assert api.seen == [("/v1/bot/groups", "")]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/a.png",
        "http://[::ffff:127.0.0.1]:{port}/a.png",
        "http://localhost:{port}/a.png",
        "http://2130706433:{port}/a.png",
        "http://0x7f.1:{port}/a.png",
        "http://127.1:{port}/a.png",
        "http://0177.0.0.1:{port}/a.png",
        "http://127.0.0.1.:{port}/a.png",
        "http://localhost.:{port}/a.png",
        "http://ⓛocalhost:{port}/a.png",
        "http://１２７.0.0.1:{port}/a.png",
        "http://127。0。0。1:{port}/a.png",
        "http://0:{port}/a.png",
        "http://[::]:{port}/a.png",
        "http://[::ffff:127.0.0.1%25lo]:{port}/a.png",
    ],
)
async def test_nothing_inside_the_network_is_asked(tmp_path: Path, url: str) -> None:
    async with site() as inside, fetcher(tmp_path, "http://octo.example:1") as found:
        assert await refused(found, url.format(port=inside.port)) in {
            "地址不允许访问",
            "地址无效",
            "下载失败",
        }
        assert inside.seen == []


async def test_a_name_that_leads_inside_is_not_followed(tmp_path: Path) -> None:
    names = {"rebound.example": "127.0.0.1"}
    async with site() as inside, fetcher(tmp_path, "http://octo.example:1", names) as found:
        await refused(found, f"http://rebound.example:{inside.port}/a.png")
        assert inside.seen == []


async def test_every_redirect_is_checked_and_carries_no_token_elsewhere(tmp_path: Path) -> None:
    async with site() as api, site() as inside, fetcher(tmp_path, api.url) as found:
        api.redirects = {"/file/out": f"{inside.url}/a.png", "/file/in": f"{api.url}/file/a.png"}
        await refused(found, "file/out")
        assert inside.seen == []
        file = await found.fetch("file/in", "a.png")
        assert file.size == len(PNG)
        assert {token for _, token in api.seen} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize("path", ["file/%2e%2e/v1/bot/groups", "{api}/file/%2e%2e/v1/bot/groups"])
async def test_a_path_that_climbs_out_of_the_files_never_gets_the_token(tmp_path: Path, path: str) -> None:
    async with site() as api, fetcher(tmp_path, f"{api.url}/api") as found:
        await refused(found, path.format(api=f"{api.url}/api"))
        assert TOKEN not in str(api.seen)


async def test_after_a_redirect_to_elsewhere_the_token_stays_at_home(tmp_path: Path) -> None:
    names = {"away.example": "1.1.1.1"}
    async with site() as api, site() as away, fetcher(tmp_path, api.url, names) as found:
        found._own |= {("http", "127.0.0.1", away.port)}  # stands for a server of the open internet
        api.redirects = {"/file/out": f"{away.url}/back"}
        away.redirects = {"/back": f"{api.url}/file/a.png"}
        await found.fetch("file/out", "a.png")
        assert away.seen == [("/back", "")]
        assert api.seen == [("/file/out", f"Bearer {TOKEN}"), ("/file/a.png", "")]


@pytest.mark.parametrize(
    "location",
    [
        "",
        "http://[::1",
        "http://x:99999/",
        "file:///etc/passwd",
        "gopher://x/",
        "http://u:p@x/",
        "//2130706433/",
    ],
)
async def test_a_redirect_to_nowhere_is_refused(location: str, api: Site, found: MediaFetcher) -> None:
    api.redirects = {"/file/x": location}
    assert await refused(found, "file/x") == "重定向地址无效"
    assert len(api.seen) == 1


async def test_redirects_in_a_circle_end(api: Site, found: MediaFetcher) -> None:
    api.redirects = {"/file/x": "/file/x"}
    assert await refused(found, "file/x") == "重定向过多"
    assert len(api.seen) == 6


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("file/big", "超过最大下载限制 1 MB"),
        ("file/endless", "超过最大下载限制 1 MB"),
        ("file/gone", "下载失败: HTTP 404"),
        ("file/empty", "文件为空"),
        ("file/short", "下载失败"),
        ("file:///etc/passwd", "地址无效"),
        ("", "地址无效"),
    ],
)
async def test_what_cannot_be_had_says_why_and_leaves_nothing_behind(
    tmp_path: Path, path: str, why: str, found: MediaFetcher
) -> None:
    assert await refused(found, path) == why
    assert list((tmp_path / "media").glob("*")) == []


async def test_packed_content_nobody_asked_for_is_refused_and_never_unpacked(
    tmp_path: Path, found: MediaFetcher
) -> None:
    assert await refused(found, "file/bomb") == "下载失败: 服务器返回了压缩内容"
    assert list((tmp_path / "media").glob("*")) == []


async def test_files_of_one_message_share_a_budget(tmp_path: Path, found: MediaFetcher) -> None:
    budget = Budget(len(PNG) + 1)
    await found.fetch("file/a.png", "a", budget)
    with pytest.raises(MediaRefused, match="合计超过下载限制"):
        await found.fetch("file/a.png", "b", budget)
    assert len(list((tmp_path / "media").glob("*"))) == 1


async def test_a_full_folder_takes_no_more_until_it_is_swept(
    monkeypatch: pytest.MonkeyPatch, found: MediaFetcher
) -> None:
    monkeypatch.setattr("openclaw_channel_octo.rest.media_folder.FULL_BYTES", len(PNG) + 1)
    file = await found.fetch("file/a.png", "a")
    assert await refused(found, "file/a.png") == "暂时没有存储空间，请稍后重发"
    os.utime(file.path, (0, 0))
    await found.sweep()
    await found.fetch("file/a.png", "a")


async def test_files_on_their_way_at_once_do_not_pass_the_folders_bound_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: MediaFetcher
) -> None:
    monkeypatch.setattr("openclaw_channel_octo.rest.media_folder.FULL_BYTES", 2 * len(PNG) + 1)
    fetches = [found.fetch("file/a.png", "a") for _ in range(8)]
    ended = await asyncio.gather(*fetches, return_exceptions=True)
    assert [type(end) for end in ended].count(MediaRefused) == 6
    kept = [end for end in ended if isinstance(end, FetchedFile)]
    assert {file.path for file in kept} == set((tmp_path / "media").glob("*"))
    await found.remove(kept[0])
    await found.fetch("file/a.png", "a")  # what was removed has given its room back
    await refused(found, "file/empty")
    assert await refused(found, "file/a.png") == "暂时没有存储空间，请稍后重发"


@pytest.mark.parametrize(
    ("header", "mime"),
    [
        ("image/png; charset*", "image/png"),
        ("image/png; a*0=b; a*1=c;;", "image/png"),
        ("Image/PNG;", "image/png"),
        ("; charset=utf-8", ""),
        ("no type at all", "no type at all"),
    ],
)
async def test_a_type_that_no_parser_takes_keeps_no_file_away(
    header: str, mime: str, api: Site, found: MediaFetcher
) -> None:
    assert (await found.fetch(f"{api.url}/file/odd?{quote(header)}", "a.png")).mime == mime


def test_bytes_that_could_not_be_written_leave_no_file_and_take_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openclaw_channel_octo.rest.media_folder.FULL_BYTES", len(PNG))
    folder = MediaFolder(tmp_path / "media", SystemClock())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(PNG) - 1, limits[1]))  # the disk ends in the middle of it
    try:
        with pytest.raises(OSError, match="too large"):
            folder.write(PNG)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    kept = folder.write(PNG)
    assert [kept] == list((tmp_path / "media").glob("*"))
    with pytest.raises(OSError, match="the folder is full"):
        folder.write(b"x")
    assert [kept] == list((tmp_path / "media").glob("*"))


async def test_a_file_that_is_still_needed_is_not_swept(found: MediaFetcher) -> None:
    file = await found.fetch("file/a.png", "a")
    os.utime(file.path, (0, 0))
    assert await found.keep([file.path])
    assert await found.sweep() == 0
    file.path.unlink()
    assert not await found.keep([file.path])


@pytest.mark.parametrize(
    ("name", "mime", "segment", "ending"),
    [
        ("photo.PNG", "text/plain", "x.exe", ".png"),
        ("", "image/jpeg", "x", ".jpg"),
        ("photo", "application/octet-stream", "季度.pdf", ".pdf"),
        ("../../a\0", "", "", ""),
        ("a.sh\n", "", "", ""),
        ("a." + "x" * 300, "made/up", "a.b c", ""),
    ],
)
def test_a_fetched_file_is_called_by_the_senders_ending_else_by_its_type_or_address(
    name: str, mime: str, segment: str, ending: str
) -> None:
    assert ending_of(name, mime, segment) == ending


async def test_a_server_that_is_not_there_is_a_failure_without_its_address(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else can answer there
        taken.bind(("127.0.0.1", 0))
        async with fetcher(tmp_path, f"http://127.0.0.1:{taken.getsockname()[1]}") as found:
            assert await refused(found, "file/a.png") == "下载失败"


async def test_a_link_in_the_place_of_the_folder_is_neither_written_to_nor_swept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "precious").mkdir(mode=0o755)
    (tmp_path / "precious" / "old.txt").write_text("kept")
    os.utime(tmp_path / "precious" / "old.txt", (0, 0))
    (tmp_path / "media").symlink_to(tmp_path / "precious")
    folder = MediaFolder(tmp_path / "media", SystemClock())
    assert [folder.sweep(), folder.sweep()] == [0, 0]
    with pytest.raises(OSError, match="ot a directory"):
        folder.write(PNG)
    assert [path.name for path in (tmp_path / "precious").iterdir()] == ["old.txt"]
    assert caplog.text.count("is not swept") == 1


async def test_old_files_are_swept_and_young_ones_and_links_stay(tmp_path: Path, found: MediaFetcher) -> None:
    old, young = await found.fetch("file/a.png", "a"), await found.fetch("file/a.png", "b")
    hour_ago = time.time() - 3_700
    os.utime(old.path, (hour_ago, hour_ago))
    target = tmp_path / "outside"
    target.write_text("mine")
    (tmp_path / "media" / "link").symlink_to(target)
    assert await found.sweep() == 1
    assert not old.path.exists()
    assert young.path.exists()
    assert target.read_text() == "mine"


async def test_the_deployments_own_file_server_may_lie_inside_and_gets_no_token(tmp_path: Path) -> None:
    async with site() as api, site() as cdn, fetcher(tmp_path, api.url, cdn=f"{cdn.url}/bucket") as found:
        api.redirects = {"/file/a.png": f"{cdn.url}/elsewhere/a.png"}
        await found.fetch("file/preview/a.png", "a.png")
        await found.fetch(f"{api.url}/file/a.png", "a.png")
        assert cdn.seen == [("/bucket/a.png", ""), ("/elsewhere/a.png", "")]
        assert api.seen == [("/file/a.png", f"Bearer {TOKEN}")]
