"""The configuration of the running program read again: by signal, and by command."""

import asyncio
import fcntl
import json
import os
import signal
import sys
import termios
import threading
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.cli.run.hosts import Hosts
from openclaw_channel_octo.cli.run.reload import Hidden, Reloader
from openclaw_channel_octo.config.load import Loaded, parse_config
from openclaw_channel_octo.control.client import ask
from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.host.locks import OwnerLock
from openclaw_channel_octo.observe.notify import ServiceManager
from openclaw_channel_octo.runtime.channel import OctoChannel
from openclaw_channel_octo.testing import FakeGateway, ScriptedHost
from tests.cli.asking import call, command
from tests.cli.test_run import content, waiting_agent
from tests.processes import gone
from tests.programs import Start, ended, launched, stopped, up, write
from tests.runtime.rig import ANN, HELPER, OTHER, OTHER_TOKEN, TOKEN, Rig, python_agent
from tests.until import PATIENCE_S, until

BOTH = {"helper": TOKEN, "other": OTHER_TOKEN}


def logins(rig: Rig, bot: str) -> int:
    """Return how often a bot has registered, which it does once for each connection it begins anew."""
    return sum(call.name == "register" and call.bot == bot for call in rig.octo.calls)


async def reloaded(rig: Rig, folder: Path, config: Any, code: int = 0) -> dict[str, Any]:
    """Change the configuration, have it read again, and return the answer."""
    write(folder, config)
    result = await command("reload", "--store", rig.state_dir, "--json", code=code)
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


async def test_a_reload_adds_and_removes_bots_and_leaves_the_others_connected(
    rig: Rig, start: Start, tmp_path: Path
) -> None:
    process = await start(rig.config())
    added = await reloaded(rig, tmp_path, rig.config(bots=BOTH))
    await rig.octo.wait_for(lambda: rig.octo.online(OTHER))
    await rig.octo.say(ANN, rig.group, "hi", mention=[OTHER])
    assert await rig.until_said(1, who=OTHER) == ["@Other hi"]

    removed = await reloaded(rig, tmp_path, rig.config())
    await rig.octo.wait_for(lambda: not rig.octo.online(OTHER))
    await rig.mentioned("still there?")
    log = await stopped(process)

    assert (added["added"], removed["removed"]) == (["other"], ["other"])
    assert logins(rig, HELPER) == 1
    assert "configuration read again: other: started" in log
    assert OTHER_TOKEN not in log


async def test_sighup_reads_the_configuration_again_where_there_is_no_terminal(
    rig: Rig, start: Start, tmp_path: Path
) -> None:
    process = await start(rig.config(), start_new_session=True)
    write(tmp_path, rig.config(bots=BOTH))
    process.send_signal(signal.SIGHUP)
    await rig.octo.wait_for(lambda: rig.octo.online(OTHER))
    told = await command("reload", "--store", rig.state_dir)
    two = await asyncio.gather(*(asyncio.to_thread(ask, rig.state_dir, "reload") for _ in range(2)))
    log = await stopped(process)
    assert told.stdout == "nothing has changed\n"
    assert [each["lines"] for each in two] == [["nothing has changed"]] * 2
    assert "SIGHUP: the configuration is read again" in log
    assert logins(rig, HELPER) == 1


async def test_a_faulty_file_changes_nothing_and_every_mistake_is_told(
    rig: Rig, start: Start, tmp_path: Path
) -> None:
    process = await start(rig.config(bots=BOTH))
    faulty = rig.config(texts={"busi": "x"})
    faulty["channels"]["octo"]["laneLength"] = 0
    answer = await reloaded(rig, tmp_path, faulty, code=1)
    checked = await command("config", "check", tmp_path / "octo.json", "--json", code=1)
    assert sorted(answer["problems"]) == sorted(json.loads(checked.stdout)["problems"])
    assert len(answer["problems"]) == 2

    status = json.loads((await command("status", "--store", rig.state_dir, "--json")).stdout)
    reloads = status["reloads"]
    assert (reloads["done"], reloads["refused"], reloads["problems"]) == (0, 1, answer["problems"])
    shown = await command("status", "--store", rig.state_dir)
    assert "ago and refused, nothing was changed: channels.octo." in shown.stdout
    write(tmp_path, "{ no JSON")
    told = await command("reload", "--store", rig.state_dir, code=1)
    assert told.stderr.endswith("Nothing was changed.\n")
    await rig.mentioned("still there?")
    await until(lambda: rig.octo.online(OTHER), "the other bot")
    await stopped(process)
    assert (logins(rig, HELPER), logins(rig, OTHER)) == (1, 1)


async def test_an_agent_whose_program_is_not_there_is_taken_over_with_a_warning(
    rig: Rig, start: Start, tmp_path: Path
) -> None:
    process = await start(rig.config())
    agent = {"kind": "command", "command": ["no-such-program"]}
    answer = await reloaded(rig, tmp_path, rig.config(agent=agent))
    again = await reloaded(rig, tmp_path, rig.config(agent=python_agent("print('hi')")))
    log = await stopped(process)
    (warning,) = answer["warnings"]
    assert warning.startswith("host.agent: no-such-program is not there: ")
    assert (answer["host"], again["warnings"]) == (["agent"], [])
    assert warning in log


async def test_a_reload_where_nobody_runs_says_so(tmp_path: Path) -> None:
    told = await command("reload", "--store", tmp_path, code=2)
    assert "a start reads the configuration anyway" in told.stderr


def test_a_process_that_has_the_folder_and_cannot_be_asked_is_named(tmp_path: Path) -> None:
    with OwnerLock(tmp_path / "host.lock"):
        told = call("reload", "--store", tmp_path, code=2)
    assert told.stderr.startswith(
        f"process {os.getpid()} has this folder and cannot be asked: nothing answers"
    )


async def test_another_agent_answers_the_next_message_and_the_running_turn_ends_with_the_one_before(
    rig: Rig, start: Start, tmp_path: Path
) -> None:
    process = await start(rig.config(agent=waiting_agent(tmp_path), bots=BOTH))
    running = await rig.mention("slow")
    await content(tmp_path / "started")
    changed = await reloaded(rig, tmp_path, rig.config(agent=python_agent("print('the new one')"), bots=BOTH))
    other = await rig.mentioned("quick", where=rig.dm)
    (tmp_path / "go").touch()
    await rig.until_answered(running, other)
    await rig.mentioned("and now")
    log = await stopped(process)
    assert changed["host"] == ["agent"]
    assert rig.said() == ["at last", "the new one"]
    assert [line.text for line in rig.octo.chat(rig.dm) if line.from_uid == HELPER] == ["the new one"]
    assert "ran on without its process" not in log
    assert logins(rig, HELPER) == 1
    assert [*(rig.state_dir / "programs").iterdir()] == []


async def test_a_reload_takes_the_address_of_another_gateway(rig: Rig, start: Start, tmp_path: Path) -> None:
    async with FakeGateway(token="t") as old, FakeGateway(token="t") as new:

        def config(gateway: FakeGateway, token: str = "t") -> dict[str, Any]:
            host = {"kind": "gateway", "url": gateway.url, "token": token, "stateDir": str(rig.state_dir)}
            return {**rig.config(), "host": host}

        process = await start(config(old))
        await rig.mentioned("one")
        refused = await reloaded(rig, tmp_path, config(new, "wrong"), code=1)
        await rig.mentioned("two")
        changed = await reloaded(rig, tmp_path, config(new))
        await rig.mentioned("three")
        await stopped(process)
        assert len(refused["problems"]) == 1
        assert changed["host"] == ["url"]
        assert len(rig.said()) == 3


async def test_sighup_during_the_start_leads_to_a_reload(rig: Rig, tmp_path: Path) -> None:
    wait = f"""import os, time
open('reads', 'w').write('x')
while not os.path.exists('go'): time.sleep(0.01)
print('{TOKEN}')"""
    config = rig.config()
    token = {"source": "exec", "command": [sys.executable, "-c", wait]}
    config["channels"]["octo"]["accounts"]["helper"]["botToken"] = token
    process = await launched(write(tmp_path, config), start_new_session=True)
    await content(tmp_path / "reads")
    write(tmp_path, rig.config(bots=BOTH))
    process.send_signal(signal.SIGHUP)
    (tmp_path / "go").touch()
    await up(rig.octo, process, OTHER)
    log = await stopped(process)
    assert "configuration read again: other: started" in log


@pytest.mark.parametrize("is_ignored", [True, False])
async def test_sighup_does_not_end_a_program_that_loads_its_code(is_ignored: bool) -> None:
    """Ignored, as below nohup, it stays so."""
    loads = f"""import signal, sys, types
from openclaw_channel_octo import cli
if {is_ignored}: signal.signal(signal.SIGHUP, signal.SIG_IGN)
before = signal.getsignal(signal.SIGHUP)
def loaded(args):
    print(signal.getsignal(signal.SIGHUP) is before)
    signal.raise_signal(signal.SIGHUP)
    sys.exit()
sys.modules['openclaw_channel_octo.cli.app'] = types.SimpleNamespace(main=loaded)
sys.argv = ['openclaw-octo', 'run']
cli.main()"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", loads, start_new_session=True, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert (process.returncode, out) == (0, f"{is_ignored}\n".encode())


async def test_a_program_with_a_terminal_ends_with_it(rig: Rig, start: Start) -> None:
    ours, theirs = os.openpty()
    try:
        process = await start(
            rig.config(),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
    finally:
        os.close(ours)
    log = await ended(process)
    assert "SIGHUP: stopping" in log


async def test_a_reload_that_is_asked_for_while_the_bots_stop_is_refused(
    rig: Rig, start: Start, tmp_path: Path
) -> None:
    process = await start(rig.config(agent=waiting_agent(tmp_path)))
    await rig.mention("slow")
    await content(tmp_path / "started")
    process.send_signal(signal.SIGTERM)
    await rig.octo.wait_for(lambda: not rig.octo.online(HELPER))
    told = await command("reload", "--store", rig.state_dir, code=2)
    assert "stopping" in told.stderr
    (tmp_path / "go").touch()
    await ended(process)


async def test_a_stop_during_a_reload_does_not_wait_for_programs_that_hang_and_leaves_none_behind(
    rig: Rig, start: Start, tmp_path: Path
) -> None:
    process = await start(rig.config(), start_new_session=True)
    hangs = "import os, time; open('hangs', 'w').write(str(os.getpid())); time.sleep(600)"
    config = rig.config()
    for name in ("helper", *"bcdefgh"):  # one after the other they may take longer than this test waits
        token = {"source": "exec", "command": [sys.executable, "-c", hangs]}
        config["channels"]["octo"]["accounts"][name] = {"botToken": token}
    write(tmp_path, config)
    process.send_signal(signal.SIGHUP)
    program = int(await content(tmp_path / "hangs"))
    process.send_signal(signal.SIGTERM)
    log = await ended(process)
    await gone(program)
    assert "did not end within" not in log


async def test_all_who_ask_before_a_reload_begins_are_served_by_it(rig: Rig) -> None:
    reads, go = list[str](), threading.Event()

    def read() -> Loaded:
        reads.append(f"mistake {len(reads)}")
        go.wait(PATIENCE_S)
        raise ConfigError(reads[-1])

    channel = OctoChannel(parse_config(rig.config(), base=rig.state_dir).config)
    reloader = Reloader(read, Hosts(ScriptedHost(), channel), Hidden(()), ServiceManager())
    reloader.on_signal(signal.SIGHUP)
    await until(lambda: reads, "the first reload")
    for _ in range(3):
        reloader.on_signal(signal.SIGHUP)
    asked = [asyncio.ensure_future(reloader.reload()) for _ in range(3)]
    await asyncio.sleep(0)  # they ask
    go.set()
    assert await asyncio.gather(*asked) == [{"problems": ["mistake 1"]}] * 3
    assert len(reads) == 2
    await reloader.close()
