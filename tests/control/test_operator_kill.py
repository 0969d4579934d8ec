"""A process that is killed while a gateway sends through it: the next one knows what was sent, and sends the rest."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.control.client import ask as ask_socket
from openclaw_channel_octo.errors import ControlError
from openclaw_channel_octo.testing import OctoDouble
from tests.runtime.rig import HELPER, TOKEN, Rig
from tests.until import PATIENCE_S, until

ROOT = Path(__file__).parents[2]
SAID = ["a" * 90, "b" * 90]
"""One message each, by ``replyChunk``."""


@asynccontextmanager
async def running(octo: OctoDouble, folder: Path, point: str = "", passage: int = 1) -> AsyncIterator[Any]:
    """Run the program, which dies at a passage of a point, and yield its process."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    if point:
        env |= {"CHAOS_POINT": point, "CHAOS_PASSAGE": str(passage)}
    await octo.wait_for(lambda: not octo.online(HELPER), timeout=PATIENCE_S)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.chaos.launcher", "run", "--config", str(folder / "octo.json")),
        env=env,
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await octo.wait_for(lambda: octo.online(HELPER), timeout=PATIENCE_S)
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.parametrize(
    ("point", "passage", "state", "there"),
    [
        ("before a message is sent", 1, "unsent", 0),
        ("after a message was accepted, before that is recorded", 1, "unsent", 1),
        ("after a chunk is recorded", 1, "unsent", 1),
        ("after a piece of an answer was accepted, before that is recorded", 2, "sent", 2),
    ],
)
async def test_a_send_is_told_truly_after_a_kill_and_its_key_sends_what_is_missing(
    rig: Rig, tmp_path: Path, point: str, passage: int, state: str, there: int
) -> None:
    config = rig.config(bots={"helper": TOKEN}, replyChunk=100)
    (tmp_path / "octo.json").write_text(json.dumps(config))

    async def ask(call: str, **params: str) -> Any:
        return await asyncio.to_thread(ask_socket, rig.state_dir, f"operator.{call}", {"key": "k1", **params})

    send = {"target": "group:g1", "text": "\n\n".join(SAID)}
    async with running(rig.octo, tmp_path, point, passage) as process:
        with pytest.raises(ControlError):
            await ask("send", **send)
        await process.wait()
    assert rig.said() == SAID[:there]
    async with running(rig.octo, tmp_path):
        ids = [line.message_id for line in rig.octo.chat(rig.group)]
        assert await ask("sent") == {"state": state, "message_ids": ids}
        sent = await ask("send", **send)
        assert rig.said() == SAID
        assert sent["message_ids"] == [line.message_id for line in rig.octo.chat(rig.group)]
        assert sent["repeated"] is (state == "sent")


async def test_a_part_of_an_answer_that_took_the_place_of_the_progress_is_known_by_its_key_after_a_kill(
    rig: Rig, tmp_path: Path
) -> None:
    slow = {"kind": "command", "command": ["sleep", str(PATIENCE_S)]}
    config = rig.config(agent=slow, streaming={"mode": "progress", "afterSeconds": 1})
    (tmp_path / "octo.json").write_text(json.dumps(config))
    send = {"target": "group:g1", "text": "hello", "key": "k1", "session": "agent:main:octo:group:g1"}

    async def ask(call: str, **params: str) -> Any:
        return await asyncio.to_thread(ask_socket, rig.state_dir, f"operator.{call}", params)

    async with running(rig.octo, tmp_path, "after it has, before that is recorded") as process:
        await rig.mention("go")
        await until(lambda: rig.sql("SELECT 1 FROM progress WHERE message_id != ''"))
        with pytest.raises(ControlError):
            await ask("send", **send)
        await process.wait()
    assert rig.said() == ["hello"]
    async with running(rig.octo, tmp_path):
        told = await ask("sent", key="k1")
        while told["state"] == "unknown":
            await asyncio.sleep(0.05)
            told = await ask("sent", key="k1")
        ids = [rig.octo.chat(rig.group)[1].message_id]
        assert told == {"state": "sent", "message_ids": ids}
        assert (await ask("send", **send))["repeated"]
        assert rig.said().count("hello") == 1
