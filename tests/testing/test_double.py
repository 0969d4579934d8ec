"""The double as a whole: waiting, telling what happened, closing."""

import asyncio
import subprocess
import sys

import pytest

from openclaw_channel_octo.errors import TransportError
from openclaw_channel_octo.runtime.connection.transport import open_websocket
from openclaw_channel_octo.testing import NotReached, OctoDouble
from tests.testing.clients import ANN, GROUP, HELPER, Api, Sockets


async def test_waiting_returns_what_the_predicate_finds_as_soon_as_it_is_there(octo: OctoDouble) -> None:
    waiting = asyncio.create_task(octo.wait_for(lambda: octo.chat(GROUP)))
    await asyncio.sleep(0)
    assert not waiting.done()

    await octo.say(ANN, GROUP, "one")

    assert [line.text for line in await waiting] == ["one"]


async def test_several_may_wait_and_one_may_give_up(octo: OctoDouble) -> None:
    first = asyncio.create_task(octo.wait_for(lambda: octo.chat(GROUP)))
    second = asyncio.create_task(octo.wait_for(lambda: octo.chat(GROUP)))
    await asyncio.sleep(0)

    first.cancel()
    await octo.say(ANN, GROUP, "one")

    assert await second
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_what_is_never_reached_fails_with_the_last_calls_but_not_their_text(
    octo: OctoDouble, api: Api, sockets: Sockets
) -> None:
    await sockets.connected()
    await api.send(GROUP, {"type": 1, "content": "private"})
    await api.get("/v1/bot/user/info?uid=x", "bf_wrong")

    with pytest.raises(NotReached) as caught:
        await octo.wait_for(lambda: False, timeout=0.001)

    assert str(caught.value).splitlines() == [
        "not reached within 0.001 s; online: helper_bot; the last 2 of 2 calls:",
        "  sendMessage of helper_bot: 200",
        "  userInfo of nobody: 401",
    ]


async def test_connections_are_counted_while_they_live(octo: OctoDouble, sockets: Sockets) -> None:
    assert octo.online(HELPER) == 0
    socket = await sockets.connected()
    assert octo.online(HELPER) == 1

    await socket.close()

    await octo.wait_for(lambda: not octo.online(HELPER))


async def test_leaving_closes_every_connection_and_the_port() -> None:
    async with OctoDouble() as octo:
        octo.add_bot(HELPER, "bf_1")
        async with Sockets(octo) as sockets:
            socket = await sockets.connected(token="bf_1")
            octo.freeze()
            await octo.__aexit__()

            assert await socket.ended()
    with pytest.raises(TransportError):
        await open_websocket(octo.ws_url)


async def test_two_doubles_live_side_by_side() -> None:
    async with OctoDouble() as first, OctoDouble() as second:
        assert first.api_url != second.api_url


def test_a_process_that_uses_the_double_ends_without_a_warning() -> None:
    source = """
import asyncio
from openclaw_channel_octo.runtime.connection.transport import open_websocket
from openclaw_channel_octo.testing import OctoDouble

async def main():
    asyncio.get_running_loop().slow_callback_duration = 60  # a busy machine is no warning
    async with OctoDouble() as octo:
        transport = await open_websocket(octo.ws_url)
    await transport.close()

asyncio.run(main(), debug=True)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source], capture_output=True, text=True, timeout=30, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
