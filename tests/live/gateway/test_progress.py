"""What people see of a turn that takes long in a real gateway."""

import asyncio
import os
from pathlib import Path

import pytest

from openclaw_channel_octo.testing.octo.records import ChatLine
from tests.live.gateway.deployment import Deployment, deployed
from tests.live.gateway.install import VERSIONS, CannotInstall
from tests.live.gateway.test_failures import LONG_S, answer_to
from tests.runtime.rig import HELPER

pytestmark = pytest.mark.skipif(
    not os.environ.get("OCTO_LIVE_GATEWAY"),
    reason="starts a real OpenClaw gateway from npm: set OCTO_LIVE_GATEWAY=1 or call `make test-gateway`",
)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_turn_shows_the_tool_it_uses_and_becomes_its_answer_in_one_message(
    version: str, tmp_path: Path
) -> None:
    try:
        async with deployed(version, tmp_path) as deployment:
            await deployment.start(timeout_s=LONG_S, streaming={"mode": "text", "afterSeconds": 1})
            seen, answer = await watched(deployment, "[stub:toolslow 20] look")
    except CannotInstall as missing:
        pytest.skip(str(missing))
    assert any("⏳" in text and "`exec`" in text for text in seen), seen
    assert not any("echo from the tool" in text for text in seen)
    assert seen[-1] == answer_to(answer)


async def watched(deployment: Deployment, text: str) -> tuple[list[str], str]:
    """Mention the bot; return what stood in its one message after each other, and what it was asked."""
    rig, where, seen = deployment.rig, deployment.group(), list[str]()

    def lines() -> list[ChatLine]:
        return [line for line in deployment.octo.chat(where) if line.from_uid == HELPER]

    def ended() -> bool:
        assert len(lines()) <= 1
        seen.extend(line.text for line in lines() if line.text not in seen)
        return rig.rows().get(message_id, ("",))[0] == "answered"

    message_id = await rig.mention(text, where=where)
    async with asyncio.timeout(3 * LONG_S):
        while not ended():  # noqa: ASYNC110  # the journal wakes nobody
            await asyncio.sleep(0.1)
    ended()
    return seen, text
