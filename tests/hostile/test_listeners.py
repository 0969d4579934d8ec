"""Local programs and web pages that use up what the running program listens on."""

import asyncio
import json
import resource
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.control.health import Health
from openclaw_channel_octo.control.http import serve
from openclaw_channel_octo.control.prometheus import PrometheusMeter
from openclaw_channel_octo.control.server import CONNECTIONS, ControlServer
from openclaw_channel_octo.observe.listening import Bounds, HttpListener
from openclaw_channel_octo.runtime.channel import ChannelStatus
from openclaw_channel_octo.testing.octo.double import OctoDouble
from openclaw_channel_octo.testing.octo.remote import PREFIX, Remote
from openclaw_channel_octo.testing.web import local_web
from tests.runtime.rig import HELPER, Rig

HALF = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Half: "
WHOLE = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
ATTACKERS = 1_100

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(autouse=True)
def _descriptors() -> Iterator[None]:
    """Let this process be both sides of many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4_096 if hard == resource.RLIM_INFINITY else min(4_096, hard)
    if soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def clients(port: int, count: int, first: bytes) -> AsyncIterator[list[Client]]:
    """Connect many times, and say the same on each."""
    made: list[Client] = []
    try:
        for _ in range(count):
            made.append(await asyncio.open_connection("127.0.0.1", port))
            made[-1][1].write(first)
        yield made
    finally:
        for _, writer in made:
            writer.transport.abort()


async def ended(client: Client) -> bytes:
    """Return what a client was still told, once its connection is ended."""
    told = b""
    try:
        async with asyncio.timeout(60):
            while data := await client[0].read(65_536):
                told += data
    except ConnectionError:
        pass
    return told


async def left_open(made: list[Client]) -> int:
    """Return how many connections the server has kept."""
    for _ in range(50):  # what was accepted is seen to
        await asyncio.sleep(0)
    return sum(not vars(reader)["_eof"] and reader.exception() is None for reader, _ in made)


@asynccontextmanager
async def metrics(host: str = "127.0.0.1", names: tuple[str, ...] = ()) -> AsyncIterator[int]:
    health = Health(lambda: ChannelStatus(bots={}, turns={}, lanes={}, failing={}, trouble=""))
    listener = await serve(host, 0, names, health=health, metrics=PrometheusMeter())
    try:
        yield listener.port
    finally:
        await listener.close()


async def scraped(port: int, host: str = "localhost") -> int:
    """Return the status of one read of the metrics."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}/metrics", headers={"Host": host}) as answer,
    ):
        await answer.read()
        return answer.status


async def test_a_thousand_half_requests_cost_sixteen_connections_and_hold_up_nobody(fast_rig: Rig) -> None:
    await fast_rig.start(fast_rig.config())
    async with metrics() as port, clients(port, ATTACKERS, HALF) as made:
        assert await scraped(port) == 200
        await fast_rig.mentioned("hello")
        assert await left_open(made) < 16
    assert fast_rig.octo.online(HELPER) == 1


async def test_clients_that_never_read_their_answers_keep_nobody_out() -> None:
    async with metrics() as port, clients(port, 40, WHOLE * 200) as made:
        assert await scraped(port) == 200
        for client in made[:25]:
            await ended(client)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 1_000_000,
        b"GET /" + b"x" * 1_000_000,
        b"GET /metrics HTTP/1.1\r\n" + b"X-A: b\r\n" * 100_000,
        b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000,
        WHOLE * 10_000,
        b"\0" * 1_000_000,
    ],
    ids=["header", "line", "headers", "body", "requests", "no HTTP"],
)
async def test_more_than_a_scrape_needs_ends_the_connection(sent: bytes) -> None:
    async with metrics() as port, clients(port, 1, sent) as (client,):
        await ended(client)
        assert await scraped(port) == 200


@pytest.mark.parametrize("first", [b"", HALF])
async def test_a_head_has_to_be_there_in_time_however_slowly_it_comes(first: bytes) -> None:
    listener = HttpListener(web.Application(), Bounds(idle_s=0.05))
    await listener.start("127.0.0.1", 0)
    async with clients(listener.port, 1, first) as (client,):

        async def trickle() -> None:
            while first:
                client[1].write(b"x")
                await asyncio.sleep(0.005)

        slow = asyncio.create_task(trickle())
        assert await ended(client) == b""
        slow.cancel()
    await listener.close()


async def test_a_close_waits_for_no_client() -> None:
    async with AsyncExitStack() as left:
        async with metrics() as port:
            made = await left.enter_async_context(clients(port, 10, WHOLE * 200))
        for client in made:
            await ended(client)
        assert [client[0].at_eof() for client in made] == [True] * 10


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9464", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1", 200),
        ("[::1]:9464", 200),
        ("bots.internal", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("localhost@evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("10.0.0.1", 403),
        ("[::1", 403),
        ("", 403),
    ],
)
async def test_a_web_page_cannot_read_the_metrics_by_a_name_of_its_own(host: str, status: int) -> None:
    async with metrics(names=("Bots.internal",)) as port:
        assert await scraped(port, host) == status


@pytest.mark.parametrize(("host", "status"), [("10.0.0.1:9464", 200), ("[fe80::1]", 200), ("evil.test", 403)])
async def test_where_every_address_is_listened_on_any_address_is_known_and_no_name(
    host: str, status: int
) -> None:
    async with metrics("0.0.0.0") as port:
        assert await scraped(port, host) == status


async def test_a_thousand_half_lines_on_the_control_socket_hold_up_no_turn(fast_rig: Rig) -> None:
    await fast_rig.start(fast_rig.config())
    server = ControlServer(fast_rig.state_dir, SystemClock())
    await server.start()
    path = str(fast_rig.state_dir / "control.sock")
    made: list[Client] = []
    try:
        for _ in range(ATTACKERS):
            made.append(await asyncio.open_unix_connection(path))
            made[-1][1].write(b'{"v": 1, "call": "pi')
        await fast_rig.mentioned("hello")
        assert await left_open(made) <= CONNECTIONS
        for _, writer in made:
            writer.transport.abort()
        while "busy" in (answer := await pinged(path)):
            pass
        assert json.loads(answer)["ok"]
    finally:
        for _, writer in made:
            writer.transport.abort()
        await server.stop()


async def pinged(path: str) -> str:
    """Return what the control socket answers."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b'{"v": 1, "call": "ping", "id": 1}\n')
    answer = await reader.readline()
    writer.transport.abort()
    return answer.decode()


@asynccontextmanager
async def double(bounds: Bounds) -> AsyncIterator[OctoDouble]:
    clock = SystemClock()
    octo = OctoDouble(clock, also=lambda octo, app: Remote(octo, clock).add_to(app), bounds=bounds)
    async with octo:
        yield octo


@asynccontextmanager
async def knocking(bounds: Bounds, first: bytes) -> AsyncIterator[Client]:
    """Connect to the page of a double once, and say something."""
    async with double(bounds) as octo, clients(int(octo.api_url.rpartition(":")[2]), 1, first) as (client,):
        yield client


async def test_half_requests_to_a_page_neither_keep_it_shut_nor_throw_a_bot_off(tmp_path: Path) -> None:
    async with double(Bounds(connections=16, received=sys.maxsize)) as octo:
        rig = Rig(octo, tmp_path / "state", SystemClock())
        await rig.start(rig.config())
        port = int(octo.api_url.rpartition(":")[2])
        async with clients(port, 200, HALF), aiohttp.ClientSession() as http:
            async with http.get(f"{octo.api_url}{PREFIX}/state") as answer:
                assert answer.status == 200
            await rig.mentioned("hello")
        assert [call.name for call in octo.calls].count("register") == 1  # never thrown off
        await rig.stop()


async def test_where_all_are_served_one_more_is_turned_away() -> None:
    async with double(Bounds(connections=2)) as octo:
        port = int(octo.api_url.rpartition(":")[2])
        stream = f"GET {PREFIX}/changes HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        async with clients(port, 2, stream) as served:
            for reader, _ in served:
                assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            async with clients(port, 1, stream) as (late,):
                assert await ended(late) == b""
            assert await left_open(served) == 2


POST = (
    f"POST {PREFIX}/do/say HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
)


async def test_a_page_does_not_wait_for_a_body_that_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_web, "BODY_WITHIN_S", 0.05)
    async with knocking(Bounds(), f"{POST}100\r\n\r\n{{".encode()) as client:
        assert b"408" in await client[0].readline()


async def test_a_page_takes_no_huge_body() -> None:
    size = 9 * 1024 * 1024
    body = f"{POST}{size}\r\n\r\n".encode() + b" " * size
    async with knocking(Bounds(received=sys.maxsize), body) as client:
        assert b"413" in await client[0].readline()


async def test_a_request_without_a_host_is_refused_by_a_page_without_asking_the_name_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def asked() -> str:
        raise AssertionError("the name service was asked")

    monkeypatch.setattr("socket.getfqdn", asked)
    async with knocking(Bounds(), f"GET {PREFIX}/state HTTP/1.0\r\n\r\n".encode()) as client:
        assert b"403" in (await ended(client)).splitlines()[0]
