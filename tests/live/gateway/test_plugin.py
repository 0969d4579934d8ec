"""The plugin in a real gateway: what agents and operators say there arrives at the control socket."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.control.server import ControlServer
from tests.live.gateway.install import VERSIONS, CannotInstall
from tests.live.gateway.model import StubModel
from tests.live.gateway.rig import RealGateway

pytestmark = pytest.mark.skipif(
    not os.environ.get("OCTO_LIVE_GATEWAY"),
    reason="starts a real OpenClaw gateway from npm: set OCTO_LIVE_GATEWAY=1 or call `make test-gateway`",
)


@pytest.mark.parametrize("version", VERSIONS)
async def test_message_send_of_the_gateways_program_arrives(version: str, tmp_path: Path) -> None:
    sent: list[Mapping[str, Any]] = []

    async def send(params: Mapping[str, Any]) -> Any:
        sent.append(params)
        return {"message_ids": ["7001"], "target": params["target"], "reason": "as-named", "repeated": False}

    async def status(_: Mapping[str, Any]) -> Any:
        row = {"account": "helper", "uid": "helper_bot", "name": "Helper", "connected": True, "why": ""}
        return {"version": "1", "pid": 1, "accounts": [row]}

    server = ControlServer(tmp_path, SystemClock())
    server.register("operator.send", send)
    server.register("operator.status", status)
    await server.start()
    try:
        async with (
            StubModel() as model,
            RealGateway(version, model_url=model.url, control=tmp_path / "control.sock") as gateway,
        ):
            await gateway.openclaw("config", "validate")
            await gateway.openclaw("channels", "status", "--probe")
            command = "message send --channel octo --target group:g1 --message hello"
            await gateway.openclaw(*command.split())
    except CannotInstall as missing:
        pytest.skip(str(missing))
    finally:
        await server.stop()
    assert [(row["target"], row["text"]) for row in sent] == [("group:g1", "hello")]
