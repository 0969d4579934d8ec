"""The plugin in a real gateway: what operators and agents say there arrives through the bots, once."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.control.calls import register_calls
from openclaw_channel_octo.control.server import ControlServer
from openclaw_channel_octo.host.plugin.files import PLUGIN
from openclaw_channel_octo.testing import ScriptedHost
from openclaw_channel_octo.testing.octo.double import OctoDouble
from tests.live.gateway.install import VERSIONS, CannotInstall
from tests.live.gateway.model import StubModel
from tests.live.gateway.rig import GatewayFailed, RealGateway
from tests.runtime.rig import Rig

pytestmark = pytest.mark.skipif(
    not os.environ.get("OCTO_LIVE_GATEWAY"),
    reason="starts a real OpenClaw gateway from npm: set OCTO_LIVE_GATEWAY=1 or call `make test-gateway`",
)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_gateways_own_words_arrive_and_a_stopped_program_is_told_of(
    version: str, tmp_path: Path
) -> None:
    async with OctoDouble() as octo:
        rig = Rig(octo, tmp_path, SystemClock())
        await rig.start(rig.config(), ScriptedHost())
        server = ControlServer(rig.state_dir, SystemClock())
        register_calls(server, rig.channel, "gateway")
        await server.start()
        try:
            async with (
                StubModel() as model,
                RealGateway(version, model_url=model.url, control=rig.state_dir / "control.sock") as gateway,
            ):
                await judged(gateway)
                await sends(gateway, rig)
                await server.stop()
                await stopped(gateway, rig)
        except CannotInstall as missing:
            pytest.skip(str(missing))
        finally:
            await server.stop()
            await rig.stop()


async def judged(gateway: RealGateway) -> None:
    """Have the gateway's program look at the plugin."""
    assert "Config valid" in await gateway.openclaw("config", "validate")
    await gateway.openclaw("plugins", "doctor")
    assert "channel: octo" in await gateway.openclaw("plugins", "inspect", PLUGIN)
    status = await gateway.openclaw("channels", "status", "--probe")
    assert "Octo default: enabled, configured, running, connected, works" in status


async def sends(gateway: RealGateway, rig: Rig) -> None:
    """Send to a group, to the same by its name, to a person, and where the bot is not."""
    groups = await gateway.openclaw("directory", "groups", "list", "--channel", "octo", "--json")
    assert "group:g1" in groups
    await send(gateway, "group:g1", "by id")
    await send(gateway, groups.partition('"name": "')[2].partition('"')[0], "by name")
    await send(gateway, "user:ann", "to a person")
    assert rig.said() == ["by id", "by name"]
    assert rig.said(rig.dm) == ["to a person"]
    with pytest.raises(GatewayFailed, match="elsewhere|not in"):
        await send(gateway, "group:elsewhere", "nobody reads this")


async def stopped(gateway: RealGateway, rig: Rig) -> None:
    """Send while the bots' program is away: told, and neither kept nor repeated once it is back."""
    with pytest.raises(GatewayFailed, match="openclaw-octo does not run: nothing answers at"):
        await send(gateway, "group:g1", "too early")
    assert "openclaw-octo does not run" in await gateway.openclaw("channels", "status", "--probe")
    server = ControlServer(rig.state_dir, SystemClock())
    register_calls(server, rig.channel, "gateway")
    await server.start()
    try:
        await send(gateway, "group:g1", "back again")
        await asyncio.sleep(10)  # longer than the gateway waits before it repeats what it kept
    finally:
        await server.stop()
    assert rig.said() == ["by id", "by name", "back again"]


async def send(gateway: RealGateway, target: str, text: str) -> Any:
    return await gateway.openclaw(
        "message", "send", "--channel", "octo", "--target", target, "--message", text
    )
