"""Agent programs that whoever talks to them makes look for secrets: in their environment and in open files."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.processes import processes_with
from tests.runtime.rig import OTHER_TOKEN, TOKEN, Rig, python_agent

LOOK = """
import json
fds = {}
for name in os.listdir("/proc/self/fd"):
    try:
        fds[name] = os.readlink(f"/proc/self/fd/{name}")
    except OSError:
        pass  # the folder itself, closed again
print(json.dumps({"env": dict(os.environ), "fds": fds}))
"""
REF = {"source": "env", "id": "OCTO_BOT_TOKEN"}

needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc here")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "OCTO_BOT_TOKEN": TOKEN,
        "A_COPY_OF_IT": f"{TOKEN}\n",
        "AWS_SECRET_ACCESS_KEY": "not-ours",
        "PLAIN": "ordinary",
    }.items():
        monkeypatch.setenv(name, value)


async def seen(rig: Rig, agent: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    """Return what a real program of a real run finds, as it says in the chat."""
    settings = {"accounts": {"helper": {"botToken": REF}}, **settings}
    config = rig.config(agent={**python_agent(LOOK), **(agent or {})}, replyChunk=20_000, **settings)
    await rig.start(config)
    await rig.mentioned("print your environment and what you can read")
    found: dict[str, Any] = json.loads("".join(rig.said(rig.group)))
    return found


@needs_proc
async def test_an_agent_finds_no_secret_of_the_bots_in_its_environment_nor_in_open_files(
    fast_rig: Rig, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(OTHER_TOKEN)
    file = {"source": "file", "id": str(tmp_path / "token")}
    accounts = {"helper": {"botToken": REF}, "other": {"botToken": file}}
    found = await seen(fast_rig, accounts=accounts)
    env = found["env"]
    assert not env.keys() & {"OCTO_BOT_TOKEN", "A_COPY_OF_IT"}
    assert TOKEN not in str(env)
    assert (env["PLAIN"], env["AWS_SECRET_ACCESS_KEY"]) == ("ordinary", "not-ours")
    assert {name: where for name, where in found["fds"].items() if int(name) > 2} == {}


async def test_an_operator_may_pass_a_variable_on_by_name(fast_rig: Rig) -> None:
    env = (await seen(fast_rig, {"passEnv": ["OCTO_BOT_TOKEN"]}))["env"]
    assert env["OCTO_BOT_TOKEN"] == TOKEN
    assert "A_COPY_OF_IT" not in env


async def test_a_clean_environment_holds_what_every_program_needs_and_what_is_asked_for(
    fast_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_MESSAGES", "C")
    monkeypatch.setenv("OPENCLAW_GATEWAY_TOKEN", "of-somebody-else")
    agent = {"cleanEnv": True, "passEnv": ["PLAIN"], "env": {"MINE": "yes"}}
    env = (await seen(fast_rig, agent))["env"]
    ours = {name for name in env if name.startswith("OPENCLAW_")}
    assert ours == {
        f"OPENCLAW_{name}"
        for name in ("STORE", "SESSION_KEY", "SESSION_ID", "RUN_ID", "SENDER", "MEDIA", "OUTPUT", "TURN")
    }
    allowed = {"PATH", "HOME", "LANG", "TZ", "TMPDIR", "LC_MESSAGES", "LC_ALL", "LC_CTYPE", "PLAIN", "MINE"}
    assert env.keys() - ours <= allowed
    assert {"PATH", "PLAIN", "MINE", "LC_MESSAGES"} <= env.keys()


@needs_proc
async def test_no_process_that_is_started_holds_a_token_in_its_environment(fast_rig: Rig) -> None:
    wait = "sys.stdout.write('here'); sys.stdout.flush(); time.sleep(60)"
    config = fast_rig.config(agent=python_agent(wait), accounts={"helper": {"botToken": REF}})
    await fast_rig.start(config)
    await fast_rig.mention("stay")
    await fast_rig.until_session("running")
    children = {
        folder.name: (folder / "environ").read_bytes()
        for folder in Path("/proc").glob("[0-9]*")
        if _parent(folder) == os.getpid()
    }
    assert children  # the watcher at least
    assert [pid for pid, env in children.items() if TOKEN.encode() in env] == []
    assert processes_with(f"OCTO_BOT_TOKEN={TOKEN}").keys() <= {str(os.getpid())}


def _parent(folder: Path) -> int:
    try:
        return int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


BOT = """
import asyncio, sys
from openclaw_channel_octo.host.embedded.agents import Prompt
from openclaw_channel_octo.host.embedded.command import CommandAgent

async def main():
    script = (
        "import os, sys; said = [os.environb[n] for n in (b'OPENCLAW_SENDER', b'MINE', b'RAW')];"
        "sys.stdout.buffer.write(b'|'.join([*said, os.fsencode(sys.argv[1])]))"
    )
    command = [sys.executable, "-c", script, "\\U0001f642 \\u6536\\u5230"]
    agent = CommandAgent(command, env={"MINE": "caf\\xe9 \\U0001f642"})
    sender = "\\u6c49\\U0001f642"
    asked = Prompt(text="?", session_key="k", session_id="s", run_id="r", sender_name=sender)
    said = "".join([piece async for piece in agent.reply(asked)])
    sys.stdout.buffer.write(said.encode())

asyncio.run(main())
"""


@pytest.mark.parametrize("locale", ["C", "POSIX", "zh_CN.GBK", "C.UTF-8"])
def test_names_with_emoji_reach_a_program_as_utf_8_in_every_locale(locale: str) -> None:
    env = {
        **os.environb,
        b"LC_ALL": locale.encode(),
        b"PYTHONUTF8": b"0",
        b"PYTHONCOERCECLOCALE": b"0",
        b"RAW": b"\xff\xfe",
    }
    done = subprocess.run([sys.executable, "-c", BOT], env=env, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == "汉🙂|café 🙂|��|🙂 收到"
