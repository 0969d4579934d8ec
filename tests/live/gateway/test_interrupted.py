"""A gateway with the plugin is killed again and again: every mention has one end, whoever finds the words first."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

import pytest

from openclaw_channel_octo.config.texts import Texts
from openclaw_channel_octo.testing.octo.double import OctoDouble
from tests.live.gateway.deployment import Cell, Deployment
from tests.live.gateway.install import CURRENT, CannotInstall
from tests.live.gateway.model import StubModel
from tests.live.gateway.rig import RealGateway

pytestmark = pytest.mark.skipif(
    not os.environ.get("OCTO_LIVE_GATEWAY"),
    reason="starts a real OpenClaw gateway from npm: set OCTO_LIVE_GATEWAY=1 or call `make test-gateway`",
)

BUDGETS_S = (20.0, 600.0)
"""What a turn may take: a budget that ends while the gateway is away, and the default."""
KILLS_EACH = 3
ASKED = (
    "[stub:slow 8]",
    "[stub:slow 8]",
    "[stub:toolslow 8]",
    "[stub:toolslow 8]",
    "[stub:slow 2]",
    "[stub:ok]",
    "[stub:ok]",
)
"""What the mention of each group asks of the model: some have their answer just before the gateway dies."""
UNDER_WAY_S = 30.0
"""How long the runs of a round get to reach the model, all of them on a machine that is not busy."""
END_S = 480.0
"""How long the ends of a round may take: the gateway starts in it."""
QUIET_S = 15.0
"""How long nothing more may come behind the last end: the gateway repeats what it could not deliver."""


async def test_six_kills_under_42_mentions_leave_none_without_an_end_and_none_with_two(
    tmp_path: Path,
) -> None:
    control = tmp_path / "control.sock"
    try:
        async with (
            StubModel() as model,
            OctoDouble() as octo,
            RealGateway(CURRENT, model_url=model.url, run_budget_s=60, control=control) as gateway,
        ):
            deployment = Deployment(octo, gateway, model, tmp_path)
            cells: list[Cell] = []
            try:
                await deployment.warm()
                model.numbers = True
                cells = [Cell(deployment) for _ in ASKED]
                for budget_s, first in zip(BUDGETS_S, (1, 1 + KILLS_EACH), strict=True):
                    await deployment.start(timeout_s=budget_s)
                    for number in range(first, first + KILLS_EACH):
                        await killed(deployment, cells, number)
                    await cells[0].quiet(QUIET_S)
                    for cell in cells:
                        await cell.quiet(0.1)
                    await deployment.stop()
            finally:
                await deployment.stop()
            wrong = {cell.where.id: cell.texts for cell in cells if len(ends(cell)) != 6}
            assert wrong == {}, gateway.log_tail(100)
    except CannotInstall as missing:
        pytest.skip(str(missing))


async def killed(deployment: Deployment, cells: list[Cell], number: int) -> None:
    """Kill the gateway under the mention of this number in every group; return when each has an end."""
    model = deployment.model
    asked = len(model.requests)
    for cell, wish in zip(cells, ASKED, strict=True):
        await cell.mention(f"{wish} {number}")
    with suppress(TimeoutError):
        async with asyncio.timeout(UNDER_WAY_S):
            while len(model.requests) < asked + len(ASKED):
                await model.next_request()
    assert len(model.requests) > asked
    await asyncio.sleep(1)
    await deployment.gateway.kill()
    await deployment.gateway.start()
    async with asyncio.timeout(END_S):
        for cell in cells:
            while len(ends(cell)) < number:
                await cell.quiet(0.2)


def ends(cell: Cell) -> list[str]:
    """Return what people saw that ends a mention: everything but that a session failed before."""
    return [said for said in cell.texts if said != Texts().restarting]
