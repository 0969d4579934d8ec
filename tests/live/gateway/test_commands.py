"""Commands of a real gateway in the chat: what people read, and which model really answers."""

import os
from pathlib import Path

import pytest

from openclaw_channel_octo.config.texts import Texts
from tests.live.gateway.deployment import Cell, deployed
from tests.live.gateway.install import BEFORE_THE_FIX, VERSIONS, CannotInstall
from tests.live.gateway.test_failures import LONG_S, answer_to

pytestmark = pytest.mark.skipif(
    not os.environ.get("OCTO_LIVE_GATEWAY"),
    reason="starts a real OpenClaw gateway from npm: set OCTO_LIVE_GATEWAY=1 or call `make test-gateway`",
)

TEXTS = Texts()
LIMITS = {"contextWindow": 128_000, "maxTokens": 4096, "input": ["text"]}
CONFIG = {
    "models": {
        "providers": {
            "stub": {
                "models": [
                    {"id": "stub-1", "name": "stub-1", **LIMITS},
                    {"id": "stub-2", "name": "Stub Two", "reasoning": True, **LIMITS},
                ]
            }
        }
    },
    "agents": {"defaults": {"models": {"stub/stub-1": {}, "stub/stub-2": {"alias": "two"}}}},
    # as where the gateway has an owner: without the second line it takes no command of a bot
    "commands": {
        "ownerAllowFrom": ["discord:123456789012345678"],
        "allowFrom": {"*": ["gateway-client"]},
    },
}


async def asked(cell: Cell, text: str) -> str:
    """Mention the bot and return its next answer."""
    count = len(cell.texts)
    await cell.mention(text)
    answers = await cell.until(count + 1, within_s=LONG_S)
    assert len(answers) == count + 1, text
    return answers[-1]


@pytest.mark.parametrize("version", VERSIONS)
async def test_models_levels_and_context_of_a_session_are_told_and_changed_from_the_chat(
    version: str, tmp_path: Path
) -> None:
    try:
        async with deployed(version, tmp_path, config=CONFIG) as deployment:
            await deployment.start(timeout_s=LONG_S)
            cell = Cell(deployment)
            assert await asked(cell, "/models") == "Models:\n- stub/stub-1\n- stub/stub-2"
            assert await asked(cell, "/model two") == "Model from now on: stub/stub-2"
            assert await asked(cell, "/think high") == "Thinking from now on: high"
            assert await asked(cell, "hello") == answer_to("hello")
            assert deployment.model.requests[-1].model == "stub-2"
            status = await asked(cell, "/status")
            assert "Session: done\n" in status
            assert "Model: stub/stub-2\nContext: " in status
            assert "Model: stub/stub-2\nContext: " in await asked(cell, "/context")
            assert await asked(cell, "/model nope") == TEXTS.model_unknown
            assert await asked(cell, "/verbose on") == TEXTS.host_refuses
            compacted = TEXTS.host_refuses if version == BEFORE_THE_FIX else TEXTS.compacted
            assert await asked(cell, "/compact") == compacted
            assert await asked(cell, "/new") == TEXTS.reset
            assert await asked(cell, "/model") == "Model: stub/stub-2"
            assert (await asked(cell, "/think")).startswith("Thinking: high (of off, ")
            assert await asked(cell, "anew") == answer_to("anew")
            assert deployment.model.requests[-1].model == "stub-2"
            await changed_under_a_run(cell)
            assert await asked(cell, "once more") == answer_to("once more")
            assert deployment.model.requests[-1].model == "stub-1"
    except CannotInstall as missing:
        pytest.skip(str(missing))


async def changed_under_a_run(cell: Cell) -> None:
    """Take the model back while a turn runs: the command is answered first, the turn all the same."""
    count = len(cell.texts)
    await cell.mention("long [stub:slow 20]")
    await cell.quiet(5.0)
    await cell.mention("/model default")
    answers = (await cell.until(count + 2, within_s=LONG_S))[count:]
    assert sorted(answers) == sorted(["Model from now on: stub/stub-1", answer_to("long [stub:slow 20]")])
