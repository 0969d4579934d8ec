"""`openclaw-octo status`: the bots at a glance, running or not."""

import asyncio
import json
import os
import pty
import re
import signal
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.host.base import Accepted, Block, Failed, Final
from openclaw_channel_octo.host.locks import OwnerLock
from openclaw_channel_octo.rest.media import MediaFetcher
from openclaw_channel_octo.testing.host import HANG, ScriptedHost, Step
from openclaw_channel_octo.testing.octo.faults import RateLimit
from tests.cli.asking import busy, command, controlled
from tests.programs import PROGRAM
from tests.runtime.rig import OTHER_TOKEN, TOKEN, Rig
from tests.until import until


async def told(rig: Rig, code: int = 0) -> dict[str, Any]:
    result = await command("status", "--store", rig.state_dir, "--json", code=code)
    found = json.loads(result.output)
    assert isinstance(found, dict)
    return found


async def test_a_running_turn_its_age_what_waits_and_the_last_failure_are_shown(fast_rig: Rig) -> None:
    host = ScriptedHost(
        [Failed("failed", "the model said no\x1b[2J")], [Accepted("r"), HANG, Final("at last")]
    )
    failed, running = await busy(fast_rig, host)
    async with controlled(fast_rig):
        found = await told(fast_rig)
        text = (await command("status", "--store", fast_rig.state_dir)).output
        host.release()
    bot = found["bots"]["helper"]
    assert found["running"]
    assert found["pid"] == os.getpid()
    assert bot["connection"]["state"] == "online"
    assert bot["journal"] == {"context": 2, "notified": 1, "queued": 1, "running": 1}
    assert bot["oldest_open"]["message_id"] == running
    assert bot["last_failure"]["message_id"] == failed
    assert [run["message_id"] for run in found["turns"].values()] == [running]
    assert list(found["lanes"].values()) == [1]

    assert re.search(r"helper: online for \d+ s", text)
    assert re.search(rf"works on message {running} for \d+ s, 1 waiting  agent:main:octo:group:g1", text)
    assert f"message {failed}, people were told: the model said no [2J" in text
    assert "\x1b" not in text
    assert not any(secret in text + json.dumps(found) for secret in (TOKEN, "first", "second"))


async def test_a_bot_that_is_not_online_is_told_with_the_reason(fast_rig: Rig) -> None:
    await fast_rig.start(fast_rig.config(bots={"helper": TOKEN, "stranger": OTHER_TOKEN[:-1]}))
    channel = fast_rig.channel
    await until(lambda: channel.status().bots["stranger"].state == "refused", "a refusal")
    async with controlled(fast_rig):
        found = await told(fast_rig, code=1)
    assert found["bots"]["helper"]["connection"]["state"] == "online"
    assert found["bots"]["stranger"]["connection"]["state"] == "refused"
    assert "ask its owner" in found["bots"]["stranger"]["connection"]["why"]


async def test_without_a_process_the_journal_is_shown_and_left_as_it_is(fast_rig: Rig) -> None:
    await fast_rig.start(fast_rig.config())
    await fast_rig.mentioned("hello")
    await fast_rig.stop()
    before = {path: path.stat().st_mtime_ns for path in fast_rig.state_dir.rglob("*") if path.is_file()}
    found = await told(fast_rig, code=1)
    assert not found["running"]
    assert found["bots"]["helper"] == {
        "connection": None,
        "journal": {"answered": 1, "context": 1},
        "oldest_open": None,
        "last_failure": None,
    }
    text = (await command("status", "--store", fast_rig.state_dir, code=1)).output
    assert text.startswith("No process runs these bots")
    assert before == {path: path.stat().st_mtime_ns for path in before}


async def test_a_process_that_cannot_be_asked_is_named(fast_rig: Rig) -> None:
    await fast_rig.start(fast_rig.config())
    await fast_rig.stop()
    owner = OwnerLock(fast_rig.state_dir / "host.lock")
    owner.acquire()
    found = await told(fast_rig, code=1)
    owner.release()
    assert f"process {os.getpid()} has this folder" in found["problem"]


async def test_a_folder_without_a_journal_is_one_clear_line(tmp_path: Path) -> None:
    result = await command("status", "--store", tmp_path, code=2)
    assert len(result.stderr.splitlines()) == 1
    assert "--store" in result.stderr


async def watch(rig: Rig, **settings: Any) -> Process:
    """Start a watch of a bot that has stopped, in a process of its own."""
    await rig.start(rig.config())
    await rig.stop()
    words = ("status", "--store", rig.state_dir, "--watch", "--every", "0.1")
    return await asyncio.create_subprocess_exec(PROGRAM, *words, stderr=PIPE, **settings)


async def test_watch_prints_frames_for_programs_and_ends_cleanly_on_ctrl_c(fast_rig: Rig) -> None:
    watching = await watch(fast_rig, stdout=PIPE)
    assert watching.stdout is not None
    frames = 0
    while frames < 3:
        frames += (await watching.stdout.readline()).startswith(b"No process runs")
    watching.send_signal(signal.SIGINT)
    out, err = await watching.communicate()
    assert (watching.returncode, err) == (0, b"")
    assert b"\x1b" not in out


async def test_watch_redraws_a_terminal(fast_rig: Rig) -> None:
    ours, theirs = pty.openpty()
    watching = await watch(fast_rig, stdout=theirs, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    frames: list[bytes] = []
    while len(frames) < 2:  # written as one, so that the screen is never empty while the bots are asked
        read = await asyncio.get_running_loop().run_in_executor(None, os.read, ours, 4096)
        frames += [read] if read.startswith(b"\x1b[H\x1b[2J") else []
    watching.send_signal(signal.SIGINT)
    _, err = await watching.communicate()
    os.close(ours)
    assert (watching.returncode, err) == (0, b"")
    assert all(b"No process runs these bots" in frame for frame in frames)


@pytest.mark.parametrize("running", [True, False], ids=["in a run", "behind a run"])
async def test_an_answer_that_waits_for_the_api_is_told_with_the_time_it_fails_since(
    fast_rig: Rig, running: bool
) -> None:
    answer: list[Step] = [Accepted("r"), Block("part"), HANG] if running else [Accepted("r"), Final("answer")]
    await fast_rig.start(fast_rig.config(), ScriptedHost(answer))
    channel = fast_rig.channel
    fast_rig.octo.fail_next("sendMessage", RateLimit(retry_after=60), times=None)
    before_ms = fast_rig.clock.wall_ms()
    await fast_rig.mention("go")
    await fast_rig.octo.wait_for(lambda: fast_rig.calls("sendMessage"))
    await until(lambda: bool(channel.status().unsent), "an answer that waits")
    async with controlled(fast_rig):
        found = await told(fast_rig)
        text = (await command("status", "--store", fast_rig.state_dir)).output
    key = "agent:main:octo:group:g1"
    assert list(found["unsent"]) == [key]
    assert before_ms <= found["unsent"][key] <= fast_rig.clock.wall_ms()
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(found["unsent"][key] / 1000))
    assert f"waiting to be sent, API fails since {since}" in text
    assert "preparing a turn" not in text
    assert ("works on message" in text) is running


async def test_messages_whose_run_has_not_begun_are_told_as_waiting(rig: Rig) -> None:
    host = await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("one")]), maxTurns=1)
    await rig.mentioned("one", "running")
    for text in ("two", "three"):
        await rig.mentioned(text, "queued", where=rig.thread)
    async with controlled(rig):
        text = (await command("status", "--store", rig.state_dir)).output
    assert "works on message" in text
    assert f"2 waiting  agent:main:octo:group:{rig.thread.id}" in text
    host.release()


async def test_a_background_job_that_fails_is_told_with_its_error(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(_: MediaFetcher) -> None:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(MediaFetcher, "sweep", breaks)
    await rig.start(rig.config(), ScriptedHost())
    channel = rig.channel
    await until(lambda: bool(channel.status().failing), "a job that fails")
    async with controlled(rig):
        text = (await command("status", "--store", rig.state_dir)).output
    assert "sweep of received files fails and is tried again: RuntimeError, see the log" in text
