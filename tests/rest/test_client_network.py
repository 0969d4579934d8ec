"""What only a real socket can show: redirects, broken connections, headers and paths as they arrive."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from openclaw_channel_octo.errors import AmbiguousOutcome, BadAnswer, Unavailable
from tests.rest.conftest import GROUP, TOKEN, new_api
from tests.serving import serving
from tests.tls import self_signed

TEXT = {"type": 1, "content": "hello"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Octo:
    """A loopback server that remembers what it was asked and answers with ``handler``."""

    def __init__(self, handler: Handler) -> None:
        self.asked: list[web.Request] = []
        self.bodies: list[bytes] = []
        self._handler = handler

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        self.bodies.append(await request.read())
        return await self._handler(request)


@asynccontextmanager
async def octo_with(handler: Handler) -> AsyncIterator[tuple[Octo, str]]:
    octo = Octo(handler)
    async with serving("/{path:.*}", octo.answer) as url:
        yield octo, url


async def accept(_: web.Request) -> web.StreamResponse:
    return web.json_response({"message_id": 2044043250838278144})


async def test_the_token_travels_in_exactly_the_header_the_server_wants() -> None:
    async with octo_with(accept) as (octo, base), new_api(base) as api:
        await api.send_message(GROUP, TEXT)

    headers = octo.asked[0].headers
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"] == "openclaw-channel-octo"
    assert TOKEN not in str(octo.asked[0].rel_url)


@pytest.mark.parametrize("slash", ["", "/", "//"])
@pytest.mark.parametrize("prefix", ["", "/api", "/deep/er"])
async def test_a_prefix_of_the_address_is_kept(prefix: str, slash: str) -> None:
    async with octo_with(accept) as (octo, base), new_api(f"{base}{prefix}{slash}") as api:
        await api.send_message(GROUP, TEXT)

    assert octo.asked[0].path == f"{prefix}/v1/bot/sendMessage"


async def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    async def one_group(_: web.Request) -> web.StreamResponse:
        return web.json_response({"group_no": "g"})

    async with octo_with(one_group) as (octo, base), new_api(base) as api:
        await api.group_info("../x?y=1#z")

    assert octo.asked[0].raw_path == "/v1/bot/groups/..%2Fx%3Fy=1%23z"
    assert not octo.asked[0].query


async def test_a_uid_travels_whole_in_the_query() -> None:
    async def one_user(request: web.Request) -> web.StreamResponse:
        return web.json_response({"uid": request.query["uid"]})

    async with octo_with(one_user) as (_, base), new_api(base) as api:
        assert (await api.user_info("a&b=c d/ü")).uid == "a&b=c d/ü"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_nobody_else_learns_the_token(status: int) -> None:
    async with octo_with(accept) as (elsewhere, other):

        async def redirect(_: web.Request) -> web.StreamResponse:
            return web.Response(status=status, headers={"Location": f"{other}/v1/bot/sendMessage"})

        async with octo_with(redirect) as (octo, base), new_api(base) as api:
            with pytest.raises(BadAnswer, match="redirect"):
                await api.send_message(GROUP, TEXT)

    assert len(octo.asked) == 1
    assert elsewhere.asked == []


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with octo_with(accept) as (proxy, proxy_url), octo_with(accept) as (octo, base):
        monkeypatch.setenv("http_proxy", proxy_url)
        async with new_api(base) as api:
            await api.send_message(GROUP, TEXT)

    assert proxy.asked == []
    assert len(octo.asked) == 1


async def test_a_refused_connection_is_unavailable() -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else can answer there
        taken.bind(("127.0.0.1", 0))
        async with new_api(f"http://127.0.0.1:{taken.getsockname()[1]}") as api:
            with pytest.raises(Unavailable, match="Connection refused"):
                await api.send_message(GROUP, TEXT)


async def test_a_certificate_nobody_knows_is_named(tmp_path: Path) -> None:
    server = TestServer(web.Application(), host="127.0.0.1", scheme="https")
    await server.start_server(ssl=self_signed(tmp_path))
    async with new_api(str(server.make_url("/"))) as api:
        with pytest.raises(Unavailable, match="certificate is not trusted here") as told:
            await api.send_message(GROUP, TEXT)
    await server.close()
    assert "SSL_CERT_FILE" in str(told.value)


async def hang_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def half(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b'{"message_id":')
    assert request.transport is not None
    request.transport.close()
    return response


@pytest.mark.parametrize("lose", [hang_up, half], ids=["before the answer", "inside the answer"])
async def test_a_connection_that_is_lost_is_ambiguous_and_nothing_is_sent_twice(lose: Handler) -> None:
    async with octo_with(lose) as (octo, base), new_api(base) as api:
        with pytest.raises(AmbiguousOutcome, match="may have been carried out"):
            await api.send_message(GROUP, TEXT)

    assert len(octo.asked) == 1


async def test_an_answer_that_is_no_http_is_ambiguous() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, new_api(f"http://127.0.0.1:{port}") as api:
        with pytest.raises(AmbiguousOutcome) as caught:
            await api.send_message(GROUP, TEXT)

    assert TOKEN not in repr(caught.value.__context__)


async def test_large_bodies_pass_in_both_directions() -> None:
    text = "ü" * 100_000

    async def both(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("sync"):
            return web.json_response({"messages": [{"message_id": 7, "payload": "QUFB" * 400_000}]})
        return await accept(request)

    async with octo_with(both) as (octo, base), new_api(base) as api:
        await api.send_message(GROUP, {"type": 1, "content": text})
        history = await api.sync_messages(GROUP)

    assert text.encode() in octo.bodies[0]
    assert history[0].payload == b"AAA" * 400_000


async def test_a_cancelled_call_ends_at_once_as_cancelled() -> None:
    reached = asyncio.Event()

    async def never(_: web.Request) -> web.StreamResponse:
        reached.set()
        await asyncio.Event().wait()
        return web.Response()

    async with octo_with(never) as (_, base), new_api(base) as api:
        call = asyncio.create_task(api.send_message(GROUP, TEXT))
        await reached.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
