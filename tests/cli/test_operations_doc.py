"""docs/operations.md shows what the commands really print."""

import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from openclaw_channel_octo.host.base import Accepted, Failed, Final
from openclaw_channel_octo.testing.host import HANG, ScriptedHost
from tests.cli.asking import busy, command, controlled
from tests.programs import write
from tests.runtime.rig import Rig

DOC = Path(__file__).parents[2] / "docs" / "operations.md"


def shown(output: str, rig: Rig, *message_ids: str) -> str:
    """Return what a command printed with what differs from run to run replaced."""
    text = output.replace(str(rig.state_dir), "state")
    for number, message_id in enumerate(message_ids):
        text = text.replace(message_id, str(2044043250838278145 + number))
    text = re.sub(r"process \d+, version [^,]+", "process 4711, version 1.0.0", text)
    text = re.sub(r"before-repair-\w+\.\d+Z", "before-repair-20260722T090000.000000Z", text)
    return re.sub(r"(?<![\d.])\d+ s\b", "3 s", text)


async def test_the_outputs_in_the_document_are_those_of_the_commands(fast_rig: Rig) -> None:
    host = ScriptedHost([Failed("failed", "the model said no")], [Accepted("r"), HANG, Final("at last")])
    store = str(fast_rig.state_dir)
    failed, running = await busy(fast_rig, host)
    async with controlled(fast_rig):
        status = await command("status", "--store", store)
        show = await command(
            "sessions", "show", "--store", store, "--session", "agent:main:octo:group:g1", code=0
        )
        host.release()
        await host.wait_for_turns(3)
    await fast_rig.stop()
    fast_rig.write_session(
        {"status": "failed", "sessionId": "s1", "runtimeMs": 394653, "lastRunError": "boom"}
    )
    before = await command("sessions", "show", "--store", store, code=1)
    repair = await command("sessions", "repair", "--store", store)
    document = DOC.read_text()
    for result in (status, show, before, repair):
        assert f"```\n{shown(result.output, fast_rig, failed, running)}```" in document


async def test_what_the_document_shows_of_the_doctor_is_what_it_prints(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openclaw_channel_octo.cli.doctor.bot.QUIET_S", 0.1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=48 * 1024**3))
    agent = {"kind": "command", "command": [sys.executable, "-c", "print('hi')"]}
    file = write(rig.state_dir.parent, rig.config(agent=agent))
    rig.state_dir.mkdir(mode=0o700)

    healthy = await command("doctor", "--config", file)
    rig.write_session({"status": "failed", "sessionId": "s1", "runtimeMs": 394653})
    rig.octo.ws_url_override = "ws://127.0.0.1:1/ws"
    broken = await command("doctor", "--config", file, code=2)

    document = DOC.read_text()
    for result in (healthy, broken):
        text = result.stderr + result.stdout
        text = text.replace(rig.octo.api_url, "https://octo.example.com/api").replace(
            rig.octo.ws_url, "wss://octo.example.com/ws"
        )
        text = text.replace("ws://127.0.0.1:1/ws", "wss://octo.example.com:5200/ws")
        text = text.replace(sys.executable, "my-agent").replace(str(rig.state_dir), "state")
        text = re.sub(r"-?\d+\.\d s from", "0.0 s from", text)
        text = re.sub(r"channel-octo [^,]+, Python .*", "channel-octo 1.0.0, Python 3.13.1", text)
        assert f"```\n{text}```" in document
