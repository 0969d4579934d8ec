"""What an agent of a real gateway asks leave for, decided in the chat (decision 0051)."""

import os
import re
from pathlib import Path

import pytest

from openclaw_channel_octo.config.model import Texts
from tests.live.gateway.deployment import Cell, Deployment, deployed
from tests.live.gateway.install import VERSIONS, CannotInstall

pytestmark = pytest.mark.skipif(
    not os.environ.get("OCTO_LIVE_GATEWAY"),
    reason="starts a real OpenClaw gateway from npm: set OCTO_LIVE_GATEWAY=1 or call `make test-gateway`",
)

ASKING = {"tools": {"exec": {"host": "gateway", "security": "full", "ask": "always"}}}
"""Every command of an agent needs leave."""
COMMAND = "echo from the tool"
TEXTS = Texts()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_command_runs_where_it_is_allowed_in_the_chat_and_does_not_where_it_is_denied(
    version: str, tmp_path: Path
) -> None:
    try:
        async with deployed(version, tmp_path / "state", config=ASKING) as deployment:
            await deployment.warm()
            await deployment.start(timeout_s=300.0, approvals=True)
            await decided(deployment, "/approve {} once", TEXTS.approval_once, "from the tool")
            await decided(deployment, "/deny {}", TEXTS.approval_denied, "denied")
            await deployment.stop()
            await deployment.start(timeout_s=300.0)
            cell = Cell(deployment)
            await cell.mention("/approve 12 once")
            assert await cell.until(1) == [TEXTS.approvals_off]
    except CannotInstall as missing:
        pytest.skip(str(missing))


async def decided(deployment: Deployment, words: str, template: str, outcome: str) -> None:
    """Let the agent ask for leave in a group of its own, and people decide it with these words."""
    cell = Cell(deployment)
    await cell.mention("[stub:tool] run it")
    (asked,) = await cell.until(1, within_s=120.0)
    assert f"```\n{COMMAND}\n```" in asked
    found = re.search(r"/approve (\w+) once", asked)
    assert found is not None
    await cell.mention(words.format(found[1]))
    said = await cell.until(3, within_s=120.0)
    assert template.replace("%s", found[1]) in said[1:]
    assert any(line.startswith("echo:") for line in said[1:])
    results = [
        str(message["content"])
        for request in deployment.model.requests
        for message in request.messages
        if message["role"] == "tool"
    ]
    assert outcome in results[-1]
    assert len(await cell.quiet()) == 3
