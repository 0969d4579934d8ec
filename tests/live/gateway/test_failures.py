"""The failure table of the gateway host: what a person in the group sees when something breaks, on real gateways."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.gateway.deployment import BUDGET_S, Cell, Deployment, deployed
from tests.live.gateway.install import BEFORE_THE_FIX, VERSIONS, CannotInstall
from tests.live.gateway.table import record
from tests.runtime.rig import RESTART

pytestmark = pytest.mark.skipif(
    not os.environ.get("OCTO_LIVE_GATEWAY"),
    reason="starts a real OpenClaw gateway from npm: set OCTO_LIVE_GATEWAY=1 or call `make test-gateway`",
)

FAILED = "⚠️ Something went wrong while I was working on that. Please try again."
TIMEOUT = "⚠️ That took too long, so I stopped."
STOPPED = "⏹️ Stopped."
LONG_S = 120.0
"""What a turn may take where a gateway dies under it."""
SOON_S = 5.0
"""Longest time from a run's end to what people see of it."""
CUT_S = BUDGET_S + 5.0
"""When the plugin ends a run itself that the gateway did not end by then."""


SIDE_BY_SIDE = 3
"""Cells at once: a gateway with more work than processors ends its runs too late for the times looked at here."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table.

    Attributes:
        title: what happens.
        play: lets it happen in a group of its own.
    """

    title: str
    play: Callable[[Deployment, Cell], Awaitable[None]]


async def played(slots: asyncio.Semaphore, case: Case, deployment: Deployment, cell: Cell) -> None:
    """Let a case happen once there is room for it."""
    async with slots:
        await case.play(deployment, cell)


def answer_to(text: str) -> str:
    """Return what the stub answers a mention."""
    return f"echo: [Ann (ann)] @Helper {text}"


def announced(deployment: Deployment) -> bool | None:
    """Return whether a restart is announced; a row of 2026.5.22 may say ``done`` after a run that failed."""
    return None if deployment.gateway.version == BEFORE_THE_FIX else True


async def and_then(cell: Cell, *, restart: bool | None) -> None:
    """Mention the bot again: it answers, after the restart line if ``restart``; ``None`` leaves that open."""
    before = len(cell.seen)
    await cell.mention("and now? [stub:ok]")
    after = (await cell.until(before + 1))[before:]
    told = after == [RESTART]
    if told:
        after = (await cell.until(before + 2))[before + 1 :]
    assert restart is None or told == restart
    assert len(after) == 1
    assert after[0].startswith("echo: ")
    assert after[0].endswith("and now? [stub:ok]")


async def refused(deployment: Deployment, cell: Cell) -> None:
    await cell.mention("break [stub:http400]")
    assert await cell.until(1) == [FAILED]
    assert cell.after_the_model("break [stub:http400]") < SOON_S
    await and_then(cell, restart=announced(deployment))


async def empty(deployment: Deployment, cell: Cell) -> None:
    await cell.mention("say nothing [stub:empty]")
    assert await cell.until(1) == [FAILED]
    await and_then(cell, restart=announced(deployment))


async def hanging(deployment: Deployment, cell: Cell) -> None:
    await cell.mention("hang [stub:hang]")
    assert await cell.until(1) == [TIMEOUT]
    assert cell.seen[0].after_s < CUT_S + SOON_S
    await and_then(cell, restart=announced(deployment))


async def hanging_with_history(deployment: Deployment, cell: Cell) -> None:
    await cell.mention("hello")
    assert await cell.until(1) == [answer_to("hello")]
    await cell.mention("hang [stub:hang]")
    *_, seen = await cell.until(2)
    assert seen in {TIMEOUT, FAILED}  # 2026.5.22 may fail over its own session file as it ends the run
    await and_then(cell, restart=announced(deployment))


async def hanging_and_two_more(deployment: Deployment, cell: Cell) -> None:
    await cell.mention("hang [stub:hang]")
    await asyncio.sleep(3)
    await cell.mention("second")
    await cell.mention("third")
    wanted = [TIMEOUT, answer_to("second"), answer_to("third")]
    async with asyncio.timeout(60):
        while answer_to("third") not in await cell.quiet(0.2):
            pass
    assert [text for text in cell.texts if text != RESTART] == wanted
    assert cell.texts.count(RESTART) == 1 or announced(deployment) is None


async def two_more_while_a_good_one_runs(deployment: Deployment, cell: Cell) -> None:
    await cell.mention("slow [stub:slow 4]")
    await cell.mention("second")
    await cell.mention("third")
    wanted = [answer_to(text) for text in ("slow [stub:slow 4]", "second", "third")]
    assert await cell.until(3) == wanted


async def aborted_elsewhere(deployment: Deployment, cell: Cell) -> None:
    await cell.mention("wait [stub:hang]")
    await until_asked(deployment, "wait")
    await asyncio.sleep(2.5)  # 2026.5.22 does not end a run that is aborted the moment its model is asked
    (run_id,) = deployment.runs(cell.session_key)
    await deployment.host.connection.call("sessions.abort", {"key": cell.session_key, "runId": run_id})
    assert await cell.until(1) == [STOPPED]
    assert cell.after_the_model("wait [stub:hang]") < 2.5 + SOON_S
    await and_then(cell, restart=None)


async def stopped_in_the_chat(deployment: Deployment, cell: Cell) -> None:
    await cell.mention("hello")
    assert await cell.until(1) == [answer_to("hello")]
    await cell.mention("wait [stub:hang] for me")
    await until_asked(deployment, "for me")
    await cell.mention("/stop")
    assert sorted((await cell.until(3))[1:]) == ["Stopping.", STOPPED]
    await and_then(cell, restart=None)


async def broken_model_server(deployment: Deployment, cell: Cell) -> None:
    await cell.mention("break [stub:http500]")
    (seen,) = await cell.until(1)
    assert seen in {FAILED, TIMEOUT}
    assert cell.seen[0].after_s < CUT_S + SOON_S
    await and_then(cell, restart=None)


async def killed_and_taken_up(deployment: Deployment, cell: Cell) -> None:
    await cell.mention("long [stub:hang]")
    await until_asked(deployment, "long")
    await deployment.gateway.kill()
    asked = len(deployment.model.requests)
    await deployment.gateway.start()
    async with asyncio.timeout(60):
        while len(deployment.model.requests) == asked:  # it may have asked before it says that it is ready
            await deployment.model.next_request()
    deployment.model.release()
    (seen,) = await cell.until(1)
    assert seen.startswith("echo:")
    assert len(await cell.quiet()) == 1
    await and_then(cell, restart=False)


async def killed_with_mentions_meanwhile(deployment: Deployment, cell: Cell) -> None:
    await cell.mention("hello")
    assert await cell.until(1) == [answer_to("hello")]
    await deployment.gateway.kill()
    await cell.mention("first")
    await cell.mention("second")
    await asyncio.sleep(1)
    await deployment.gateway.start()
    assert await cell.until(3) == [answer_to(text) for text in ("hello", "first", "second")]
    assert len(await cell.quiet()) == 3


async def stopped_gently(deployment: Deployment, cell: Cell) -> None:
    await cell.mention("hello")
    assert await cell.until(1) == [answer_to("hello")]
    await cell.mention("stopping [stub:slow 5]")
    await until_asked(deployment, "stopping")
    await deployment.gateway.terminate(60)
    await cell.mention("while down")
    await deployment.gateway.start()
    texts = await cell.until(3, within_s=90)
    assert len(texts) == 3
    assert "stopping" in texts[1]
    assert texts[2] == answer_to("while down")
    assert len(await cell.quiet()) == 3


async def plugin_restarted(deployment: Deployment, cell: Cell) -> None:
    await cell.mention("patience [stub:slow 5]")
    await until_asked(deployment, "patience")
    await deployment.stop()
    await deployment.start(timeout_s=LONG_S)
    assert await cell.until(1) == [answer_to("patience [stub:slow 5]")]
    assert len(await cell.quiet()) == 1
    assert [request.seconds for request in deployment.model.requests if "patience" in request.text] == [5.0]
    await and_then(cell, restart=False)


async def until_asked(deployment: Deployment, word: str) -> None:
    """Wait until the model was asked something with this word in it."""
    async with asyncio.timeout(30):
        while not any(word in request.text for request in deployment.model.requests):
            await deployment.model.next_request()


TOGETHER = (
    Case("the model answers HTTP 400", refused),
    Case("the model answers HTTP 500", broken_model_server),
    Case("the answer is empty", empty),
    Case("the turn hangs", hanging),
    Case("the turn hangs in a session with history", hanging_with_history),
    Case("the turn hangs, two more mentions 3 s later", hanging_and_two_more),
    Case("two more mentions while a good turn runs", two_more_while_a_good_one_runs),
    Case("somebody stops the turn in the chat", stopped_in_the_chat),
)
"""Happen side by side in one gateway; a turn may take 20 s."""


ONE_BY_ONE = (
    Case("somebody aborts the run in the gateway", aborted_elsewhere),
    Case("the plugin is stopped and started during a turn", plugin_restarted),
    Case("two mentions while the gateway is down", killed_with_mentions_meanwhile),
    Case("the gateway is killed during a turn and started again", killed_and_taken_up),
    Case("the gateway is stopped during a turn and started again, a mention meanwhile", stopped_gently),
)
"""Each needs the gateway for itself; a turn may take 120 s."""


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_failure_ends_in_one_answer_or_one_notice_and_the_next_mention_is_answered(
    version: str, tmp_path: Path
) -> None:
    try:
        async with deployed(version, tmp_path) as deployment:
            await deployment.warm()
            await deployment.start()
            cells = [(case, Cell(deployment)) for case in TOGETHER]
            slots = asyncio.Semaphore(SIDE_BY_SIDE)
            await asyncio.gather(*(played(slots, case, deployment, cell) for case, cell in cells))
            await deployment.stop()
            await deployment.start(timeout_s=LONG_S)
            for case in ONE_BY_ONE:
                cells.append((case, Cell(deployment)))
                await case.play(deployment, cells[-1][1])
            record(version, [(case.title, cell.seen) for case, cell in cells])
    except CannotInstall as missing:
        pytest.skip(str(missing))
