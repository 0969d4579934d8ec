"""The rig starts real gateways of both releases; skipped unless asked for."""

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.live.gateway.install import VERSIONS, CannotInstall
from tests.live.gateway.model import Mode, StubModel
from tests.live.gateway.rig import RealGateway

pytestmark = pytest.mark.skipif(
    not os.environ.get("OCTO_LIVE_GATEWAY"),
    reason="starts a real OpenClaw gateway from npm: set OCTO_LIVE_GATEWAY=1 or call `make test-gateway`",
)
_GROUP = "agent:main:octo:group:g1"


@pytest.fixture
async def model() -> AsyncIterator[StubModel]:
    async with StubModel() as stub:
        yield stub


@pytest.fixture(params=VERSIONS)
async def gateway(request: pytest.FixtureRequest, model: StubModel) -> AsyncIterator[RealGateway]:
    try:
        async with RealGateway(request.param, model_url=model.url) as running:
            yield running
    except CannotInstall as missing:
        pytest.skip(str(missing))


async def test_a_turn_gets_the_models_words_and_another_one_after_a_kill(
    gateway: RealGateway, model: StubModel
) -> None:
    async with _client(gateway) as client:
        assert await _texts(client, "good morning") == ["echo: good morning"]
    await gateway.kill()
    assert gateway.pid is None
    await gateway.start()
    async with _client(gateway) as client:
        assert await _texts(client, "good evening") == ["echo: good evening"]
        assert (await _turn(client, "look it up [stub:tool]"))["ok"]
        refused = await _turn(client, "and now [stub:http400]")
    assert refused["error"]["code"] == "UNAVAILABLE"
    modes = [request.mode for request in model.requests]
    assert modes[:3] == [Mode.OK, Mode.OK, Mode.TOOL]
    assert modes[-1] is Mode.HTTP_400


async def test_a_gateway_that_is_left_leaves_no_process_and_no_file(model: StubModel) -> None:
    try:
        async with RealGateway(VERSIONS[0], model_url=model.url) as gateway:
            processes = _processes(gateway)
            assert gateway.pid in processes
    except CannotInstall as missing:
        pytest.skip(str(missing))
    assert not gateway.folder.exists()
    assert not _processes(gateway)


def _processes(gateway: RealGateway) -> set[int]:
    """Return the processes that were given the gateway's state folder, wherever they moved to since."""
    mark = f"OPENCLAW_STATE_DIR={gateway.state_dir}".encode()
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.add(int(entry.name))
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
    return found


@asynccontextmanager
async def _client(gateway: RealGateway) -> AsyncIterator[ClientConnection]:
    async with connect(gateway.url, max_size=None) as socket:
        challenge = json.loads(await socket.recv())
        assert challenge["event"] == "connect.challenge"
        who = {"id": "gateway-client", "version": "0.1.0", "platform": "linux", "mode": "backend"}
        hello = await _last_answer(
            socket,
            "connect",
            minProtocol=4,
            maxProtocol=4,
            client=who,
            role="operator",
            scopes=["operator.read", "operator.write"],
            caps=[],
            auth={"token": gateway.token},
        )
        assert hello["payload"]["server"]["version"] == gateway.version
        yield socket


async def _texts(client: ClientConnection, text: str) -> list[str]:
    answer = await _turn(client, text)
    assert answer["ok"], answer["error"]
    return [payload["text"] for payload in answer["payload"]["result"]["payloads"]]


async def _turn(client: ClientConnection, text: str) -> dict[str, Any]:
    key = str(uuid.uuid4())
    return await _last_answer(
        client, "agent", message=text, sessionKey=_GROUP, idempotencyKey=key, deliver=False
    )


async def _last_answer(client: ClientConnection, method: str, /, **params: Any) -> dict[str, Any]:
    """Return the answer to a request; the first of two only says that a run was accepted."""
    asked = str(uuid.uuid4())
    await client.send(json.dumps({"type": "req", "id": asked, "method": method, "params": params}))
    async with asyncio.timeout(60):
        async for text in client:
            frame: dict[str, Any] = json.loads(text)
            accepted = frame.get("payload", {}).get("status") == "accepted"
            if frame["type"] == "res" and frame["id"] == asked and not accepted:
                return frame
    raise ConnectionError("the gateway closed the connection before its answer")
