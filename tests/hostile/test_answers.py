"""An API server whose answers are too much: no answer holds up the loop, none is read past its bound."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.errors import ApiError, BadAnswer
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.rest.answers import Exchange
from openclaw_channel_octo.rest.client import BotApi

GROUP = ChannelRef("g1", 2)
MANY = 100_000
KEYS = ",".join(f'"k{number}":1' for number in range(MANY))
TURNS = 20
"""Turns of another task while a large answer is read; a loop that is held up gives it one or two."""


class Greedy:
    """A server that answers with as much as is taken, and a task beside it that wants its turn too."""

    def __init__(self) -> None:
        self.body = b""
        self.endless = False
        self.written = 0
        self.broken = asyncio.Event()
        self.turns = 0
        self.received = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if not self.endless:
            return web.Response(body=self.body, content_type="application/json")
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b" " * 65_536)
                self.written += 65_536
        finally:
            self.broken.set()

    def tap(self, _: Exchange) -> None:
        """Begin to count: the body is there, it is read from here on."""
        self.turns, self.received = 0, True

    async def beside(self) -> None:
        while True:
            await asyncio.sleep(0.001)
            self.turns += 1


@asynccontextmanager
async def greedy() -> AsyncIterator[tuple[Greedy, BotApi]]:
    server = Greedy()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    async with TestServer(app, host="127.0.0.1") as running:
        base = str(running.make_url("/")).rstrip("/")
        token = SecretStr("bf_" + "0f" * 16)
        async with BotApi(base_url=base, token=token, clock=SystemClock(), tap=server.tap) as api:
            beside = asyncio.create_task(server.beside())
            yield server, api
            beside.cancel()


@pytest.mark.parametrize(
    ("body", "usable"),
    [
        pytest.param(f'[{{"group_no":"g",{KEYS}}}]', True, id="one group of 100,000 fields"),
        pytest.param("[" + ",".join(['{"group_no":"g"}'] * 70_000) + "]", True, id="70,000 groups"),
        pytest.param("[" + "{}," * 300_000 + "{}]", False, id="300,000 rows without a number"),
        pytest.param("[" + "1," * 500_000 + "1]", False, id="500,000 numbers in place of rows"),
    ],
)
async def test_an_answer_of_megabytes_leaves_the_loop_to_others_while_it_is_read(
    body: str, *, usable: bool
) -> None:
    async with greedy() as (server, api):
        server.body = body.encode()
        if usable:
            assert (await api.groups())[0].group_no == "g"
        else:
            with pytest.raises(BadAnswer):
                await api.groups()
        assert server.received
        assert server.turns >= TURNS


CALLS: dict[str, Callable[[BotApi], object]] = {
    "receipt": lambda api: api.read_receipt(GROUP, ["7"]),
    "typing": lambda api: api.typing(GROUP),
    "send": lambda api: api.send_message(GROUP, {"type": 1}),
    "register": lambda api: api.register(),
    "groups": lambda api: api.groups(),
    "members": lambda api: api.group_members("g1"),
    "history": lambda api: api.sync_messages(GROUP, limit=1),
    "notes": lambda api: api.notes(GROUP),
}


@pytest.mark.parametrize("call", CALLS)
async def test_an_answer_without_end_is_an_error_and_its_connection_is_closed(call: str) -> None:
    async with greedy() as (server, api):
        server.endless = True
        asked = CALLS[call](api)
        assert asyncio.iscoroutine(asked)
        with pytest.raises(ApiError, match=r"the answer is larger than [0-9]+ bytes"):
            await asked
        async with asyncio.timeout(60):
            await server.broken.wait()
        assert server.written < 32 * 1024 * 1024
