"""A gateway with the plugin is killed again and again: every mention has one end, whoever finds the words first."""

import asyncio
import os
from pathlib import Path

import pytest

from openclaw_channel_octo.testing.octo.double import OctoDouble
from tests.cli.asking import controlled
from tests.live.gateway.deployment import Cell, Deployment
from tests.live.gateway.install import CURRENT, CannotInstall
from tests.live.gateway.model import StubModel
from tests.live.gateway.rig import RealGateway

pytestmark = pytest.mark.skipif(
    not os.environ.get("OCTO_LIVE_GATEWAY"),
    reason="starts a real OpenClaw gateway from npm: set OCTO_LIVE_GATEWAY=1 or call `make test-gateway`",
)

KILLS, GROUPS = 6, 7
SLOW_S = 8
"""How long the model takes: a gateway that is killed dies under these turns."""
END_S = 240.0
"""How long the ends of a round may take: the gateway starts in it."""
QUIET_S = 15.0
"""How long nothing more may come behind the last end: the gateway repeats what it could not deliver."""


@pytest.mark.parametrize("timeout_s", [20.0, 600.0], ids=["a short budget", "the default budget"])
async def test_six_kills_under_42_mentions_leave_none_without_an_end_and_none_with_two(
    tmp_path: Path, timeout_s: float
) -> None:
    control = tmp_path / "control.sock"
    try:
        async with (
            StubModel() as model,
            OctoDouble() as octo,
            RealGateway(CURRENT, model_url=model.url, run_budget_s=60, control=control) as gateway,
        ):
            deployment = Deployment(octo, gateway, model, tmp_path)
            try:
                await deployment.warm()
                await deployment.start(timeout_s=timeout_s)
                async with controlled(deployment.rig, "gateway"):
                    await killed(deployment)
            finally:
                await deployment.stop()
    except CannotInstall as missing:
        pytest.skip(str(missing))


async def killed(deployment: Deployment) -> None:
    """Kill the gateway under mentions and judge what people saw."""
    cells = [Cell(deployment) for _ in range(GROUPS)]
    model = deployment.model
    for number in range(1, KILLS + 1):
        asked = len(model.requests)
        for cell in cells:
            await cell.mention(f"[stub:slow {SLOW_S}] {number}")
        async with asyncio.timeout(END_S):
            while len(model.requests) == asked:
                await model.next_request()
        await asyncio.sleep(1)
        await deployment.gateway.kill()
        await deployment.gateway.start()
        for cell in cells:
            await cell.until(number, within_s=END_S)
    await cells[0].quiet(QUIET_S)
    seen = {cell.where.id: await cell.quiet(0.1) for cell in cells}
    wrong = {group: texts for group, texts in seen.items() if len(texts) != KILLS}
    assert wrong == {}, deployment.gateway.log_tail(100)
