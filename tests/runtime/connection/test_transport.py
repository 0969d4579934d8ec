import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from openclaw_channel_octo.errors import TransportError
from openclaw_channel_octo.runtime.connection import transport as transport_module
from openclaw_channel_octo.runtime.connection.transport import Transport, open_websocket
from tests.tls import self_signed

PAGE = b"<html><body>502 Bad Gateway</body></html>"

Handler = Callable[[ServerConnection], Awaitable[None]]


async def echo(socket: ServerConnection) -> None:
    async for data in socket:
        await socket.send(data)


@asynccontextmanager
async def websocket_server(handler: Handler = echo) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, max_size=None, close_timeout=0) as server:
        (listening,) = server.sockets
        yield f"ws://127.0.0.1:{listening.getsockname()[1]}/ws"


@asynccontextmanager
async def connected(handler: Handler = echo) -> AsyncIterator[Transport]:
    async with websocket_server(handler) as url:
        socket = await open_websocket(url)
        yield socket
        await socket.close()


@asynccontextmanager
async def plain_server(answer: bytes | None) -> AsyncIterator[str]:
    """Serve something that is no WebSocket: ``answer`` to every request, or ``None`` for not a byte."""
    writers: list[asyncio.StreamWriter] = []

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.read(65_536)
        if answer is not None:
            writer.write(answer)
            writer.close()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for writer in writers:
        writer.transport.abort()
    await server.wait_closed()


def http(status: str, body: bytes, *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


async def test_bytes_go_both_ways_as_whole_messages() -> None:
    async with connected() as socket:
        await socket.send(b"\x70\x00")
        await socket.send(b"second")
        assert [await socket.receive(), await socket.receive()] == [b"\x70\x00", b"second"]


async def test_a_text_message_is_taken_as_its_bytes() -> None:
    async def say(socket: ServerConnection) -> None:
        await socket.send("{}")
        await socket.wait_closed()

    async with connected(say) as socket:
        assert await socket.receive() == b"{}"


async def test_a_message_as_large_as_the_largest_recv_is_taken() -> None:
    packet = bytes(1_386_875)
    async with connected() as socket:
        await socket.send(packet)
        assert await socket.receive() == packet


async def test_a_dropped_connection_is_told_by_the_next_receive_and_send() -> None:
    async def drop(socket: ServerConnection) -> None:
        socket.transport.abort()

    async with connected(drop) as socket:
        with pytest.raises(TransportError, match="the server closed the connection"):
            await socket.receive()
        with pytest.raises(TransportError, match="the connection is closed"):
            await socket.send(b"\x70\x00")


async def test_closing_wakes_whoever_reads_and_may_be_done_twice() -> None:
    async with connected() as socket:
        reading = asyncio.create_task(socket.receive())
        await asyncio.sleep(0)
        await socket.close()
        await socket.close()
        with pytest.raises(TransportError):
            await reading


async def test_closing_does_not_wait_for_a_server_that_never_answers() -> None:
    never = asyncio.Event()

    async def stall(_: ServerConnection) -> None:
        await never.wait()

    async with connected(stall) as socket:
        async with asyncio.timeout(5):
            await socket.close()
        with pytest.raises(TransportError):
            await socket.send(b"too late")
        never.set()


@pytest.mark.parametrize(
    "answer",
    [
        http("200 OK", PAGE, "Content-Type: text/html"),
        http("502 Bad Gateway", PAGE, "Content-Type: text/html"),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"",
    ],
    ids=["page", "error page", "another protocol", "nothing"],
)
async def test_what_is_no_websocket_server_is_a_transport_error_without_its_page(answer: bytes) -> None:
    async with plain_server(answer) as authority:
        with pytest.raises(
            TransportError, match=f"cannot open a WebSocket to ws://{authority}/ws: ."
        ) as told:
            await open_websocket(f"ws://{authority}/ws")
    assert "html" not in str(told.value)


async def test_a_server_that_never_answers_the_handshake_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "OPEN_TIMEOUT_S", 0.01)
    async with plain_server(None) as authority:
        with pytest.raises(TransportError, match="no answer within"):
            await open_websocket(f"ws://{authority}/ws")


async def test_a_port_nobody_listens_on_is_a_transport_error() -> None:
    async with plain_server(None) as authority:
        pass
    with pytest.raises(TransportError, match="cannot open a WebSocket"):
        await open_websocket(f"ws://{authority}/ws")


async def test_a_server_without_tls_behind_a_secure_address_is_a_transport_error() -> None:
    async with plain_server(PAGE) as authority:
        with pytest.raises(TransportError, match="cannot open a WebSocket to wss://") as told:
            await open_websocket(f"wss://{authority}/ws")
    assert isinstance(told.value.__cause__, ssl.SSLError | OSError | EOFError)


async def test_a_certificate_nobody_knows_is_named_and_not_the_address_blamed(tmp_path: Path) -> None:
    async with serve(echo, "127.0.0.1", 0, ssl=self_signed(tmp_path)) as server:
        (listening,) = server.sockets
        url = f"wss://127.0.0.1:{listening.getsockname()[1]}/ws"
        with pytest.raises(TransportError, match="certificate is not trusted here") as told:
            await open_websocket(url)
    assert "SSL_CERT_FILE" in str(told.value)


async def test_a_redirect_to_a_page_is_named_and_not_the_address_blamed() -> None:
    async with plain_server(http("302 Found", b"", "Location: http://octo.test/login?token=x")) as authority:
        with pytest.raises(TransportError, match="redirects to what is no WebSocket address") as told:
            await open_websocket(f"ws://{authority}/ws")
    assert "token" not in str(told.value)


@pytest.mark.parametrize(
    "places",
    [
        ["ws://octo.test:1\u00b2/ws"],
        ["ws://octo.test:99999/ws"],
        ["ws://[::1/ws"],
        ["/one", "/two"],
        ["file:///etc/passwd"],
    ],
)
async def test_a_redirect_that_leads_nowhere_is_one_line(places: list[str]) -> None:
    headers = [f"Location: {place}" for place in places]
    async with plain_server(http("302 Found", b"", *headers)) as authority:
        with pytest.raises(TransportError, match="redirects to what is no WebSocket address"):
            await open_websocket(f"ws://{authority}/ws?token=hidden-thing")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_a_redirect_to_another_server_is_refused_and_both_are_named(status: int) -> None:
    calls: list[str] = []

    async def thief(socket: ServerConnection) -> None:
        calls.append("asked")

    async with websocket_server(thief) as there:
        location = f"Location: {there}?token=hidden-thing"
        async with plain_server(http(f"{status} Moved", b"", location)) as authority:
            with pytest.raises(TransportError) as told:
                await open_websocket(f"ws://{authority}/ws?token=hidden-thing")
    assert f"ws://{authority} redirects to {there.removesuffix('/ws')}, another server" in str(told.value)
    assert "hidden-thing" not in str(told.value)
    assert calls == []


@pytest.mark.parametrize("change", ["scheme", "host", "port"])
async def test_each_part_of_an_origin_counts(change: str) -> None:
    async with plain_server(None) as free:
        port = free.partition(":")[2]
    other = {"scheme": "wss://127.0.0.1:{}/", "host": "ws://127.0.0.2:{}/", "port": f"ws://127.0.0.1:{port}/"}
    async with plain_server(b"") as authority:
        pass
    answer = http("302 Found", b"", f"Location: {other[change].format(authority.partition(':')[2])}")

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve_one, "127.0.0.1", int(authority.partition(":")[2])):
        with pytest.raises(TransportError, match="another server, which is not followed"):
            await open_websocket(f"ws://{authority}/ws")


async def test_a_redirect_within_the_server_is_followed() -> None:
    async def elsewhere(connection: ServerConnection, request: Request) -> Response | None:
        if request.path == "/there":
            return None
        return Response(302, "Found", Headers(Location="/there"), b"")

    async with serve(echo, "127.0.0.1", 0, process_request=elsewhere, close_timeout=0) as server:
        (listening,) = server.sockets
        socket = await open_websocket(f"ws://127.0.0.1:{listening.getsockname()[1]}/ws")
        await socket.send(b"hello")
        assert await socket.receive() == b"hello"
        await socket.close()


@pytest.mark.parametrize(
    "url", ["http://octo.test/ws", "ws://", "", "octo.test:5200", "ws://octo.test:port/"]
)
async def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(TransportError, match="is no WebSocket address"):
        await open_websocket(url)


@pytest.mark.parametrize("scheme", ["ws", "http"])
async def test_no_error_and_no_log_line_shows_the_query_of_an_address(
    scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with plain_server(http("403 Forbidden", PAGE)) as authority:
        with pytest.raises(TransportError) as told:
            await open_websocket(f"{scheme}://{authority}/ws?token=hidden-thing")
    assert "hidden-thing" not in str(told.value)
    assert "hidden-thing" not in caplog.text


async def test_frames_are_not_logged_even_at_debug_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with connected() as socket:
        await socket.send(b"secret words")
        await socket.receive()
        await socket.close()
    ours = [record for record in caplog.records if record.name != "websockets.server"]
    assert not [record for record in ours if "secret" in record.getMessage()]


async def test_opening_can_be_cancelled() -> None:
    async with plain_server(None) as authority:
        opening = asyncio.create_task(open_websocket(f"ws://{authority}/ws"))
        for _ in range(20):
            await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
