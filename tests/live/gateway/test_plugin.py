"""The plugin in a real gateway: what operators and agents say there arrives through the bots, once."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.model import GatewayHostConfig
from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.configure import gateway_from_config
from openclaw_channel_octo.host.plugin.files import PLUGIN
from openclaw_channel_octo.testing import ScriptedHost
from openclaw_channel_octo.testing.octo.double import OctoDouble
from tests.cli.asking import controlled
from tests.live.gateway.install import CURRENT, VERSIONS, CannotInstall
from tests.live.gateway.model import StubModel
from tests.live.gateway.rig import RealGateway
from tests.runtime.rig import Rig

pytestmark = pytest.mark.skipif(
    not os.environ.get("OCTO_LIVE_GATEWAY"),
    reason="starts a real OpenClaw gateway from npm: set OCTO_LIVE_GATEWAY=1 or call `make test-gateway`",
)


Call = Callable[..., Awaitable[Any]]
CALL_S = 120.0
"""How long a call may take: the machine is busy."""


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_gateways_own_words_arrive_and_a_stopped_program_is_told_of(
    version: str, tmp_path: Path
) -> None:
    async with OctoDouble() as octo:
        rig = Rig(octo, tmp_path, SystemClock())
        await rig.start(rig.config(), ScriptedHost())
        control = rig.state_dir / "control.sock"
        try:
            async with (
                StubModel() as model,
                RealGateway(version, model_url=model.url, control=control) as gateway,
                connected(gateway, tmp_path) as call,
            ):
                async with controlled(rig, "gateway"):
                    await judged(gateway)
                    await sends(gateway, call, rig)
                await away(call)
                async with controlled(rig, "gateway"):
                    await back(call, rig, version)
        except CannotInstall as missing:
            pytest.skip(str(missing))
        finally:
            await rig.stop()


@asynccontextmanager
async def connected(gateway: RealGateway, folder: Path) -> AsyncIterator[Call]:
    """Give what calls the gateway's methods as an operator does."""
    settings = GatewayHostConfig(
        url=gateway.url, token=SecretStr(gateway.token), state_dir=folder / "operator"
    )
    host = gateway_from_config(settings)
    await host.start()
    try:
        async with asyncio.timeout(CALL_S):
            await host.connection.ready()

        async def call(method: str, **params: Any) -> Any:
            async with asyncio.timeout(CALL_S):
                return await host.connection.call(method, params)

        yield call
    finally:
        await host.stop()


async def judged(gateway: RealGateway) -> None:
    """Have the gateway's program look at the plugin."""
    assert "Config valid" in await gateway.openclaw("config", "validate")
    assert "channel: octo" in await gateway.openclaw("plugins", "inspect", PLUGIN)
    status = await gateway.openclaw("channels", "status", "--probe")
    assert "Octo helper (helper): enabled, configured, running, connected, works" in status


async def sends(gateway: RealGateway, call: Call, rig: Rig) -> None:
    """Send to a group, to the same by its name, to a person, and where the bot is not."""
    (group,) = json.loads(
        await gateway.openclaw("directory", "groups", "list", "--channel", "octo", "--json")
    )
    assert group["id"] == "group:g1"
    command = ("message", "send", "--channel", "octo", "--target", group["name"], "--message", "by name")
    await gateway.openclaw(*command)
    await send(call, "group:g1", "by id")
    await send(call, "user:ann", "to a person")
    assert rig.said() == ["by name", "by id"]
    assert rig.said(rig.dm) == ["to a person"]
    with pytest.raises(HostError, match="not a member of this group"):
        await send(call, "group:elsewhere", "nobody reads this")


async def away(call: Call) -> None:
    """Send while the bots' program is away."""
    with pytest.raises(HostError, match="openclaw-octo does not run: nothing answers at"):
        await send(call, "group:g1", "too early")
    status = await call("channels.status", probe=True)
    (account,) = status["channelAccounts"]["octo"]
    assert (account["connected"], "openclaw-octo does not run" in account["lastError"]) == (False, True)


async def back(call: Call, rig: Rig, version: str) -> None:
    """Send once the program is back; what the newer gateway has kept arrives too, once."""
    await send(call, "group:g1", "back again")
    kept = ["too early"] if version == CURRENT else []
    await rig.octo.wait_for(lambda: len(rig.said()) >= 3 + len(kept), timeout=CALL_S)
    await asyncio.sleep(10)  # longer than the gateway waits before it repeats what it keeps
    assert sorted(rig.said()) == sorted(["by name", "by id", "back again", *kept])


async def send(call: Call, target: str, text: str) -> Any:
    return await call("send", channel="octo", to=target, message=text, idempotencyKey=f"{target} {text}")
