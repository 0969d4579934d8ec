"""The real program, in a process of its own, against the double in this one."""

import asyncio
import errno
import json
import os
import re
import resource
import signal
import socket
import subprocess
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from openclaw_channel_octo.cli.run.start import once_there_is_room
from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.locks import OwnerLock
from openclaw_channel_octo.testing import Hang, ManualClock
from tests.cli.asking import call, command
from tests.programs import PROGRAM, Start, ended, stopped, up, write
from tests.runtime.rig import ANN, HELPER, OTHER, OTHER_TOKEN, TOKEN, Rig, python_agent
from tests.until import PATIENCE_S, until

WAITING_AGENT = """
open('started', 'w').write(str(os.getpid()))
while not os.path.exists('go'):
    time.sleep(0.01)
print('at last')
"""


def waiting_agent(folder: Path) -> dict[str, Any]:
    """Return an agent that says in a file that it began, and answers once another file is there."""
    return {**python_agent(WAITING_AGENT), "cwd": str(folder)}


async def content(file: Path) -> str:
    """Return what a file holds as soon as it holds something."""
    return await until(lambda: file.read_text() if file.exists() else "", f"a word in {file.name}")


async def test_a_mention_is_answered_and_every_step_logged_under_one_trace_id(rig: Rig, start: Start) -> None:
    rig.write_session({"status": "failed", "runtimeMs": 394653, "sessionId": "s1"})
    process = await start(rig.config())
    message_id = await rig.mentioned("what broke?")
    log = await stopped(process)
    answer_id = rig.octo.chat(rig.group)[-1].message_id
    wanted = [
        r"recv message from=ann channel=g1 type=1",
        rf"\[MENTION\] 收到@消息 id={message_id}",
        r"sending readReceipt\+typing to channel=g1 type=2",
        r"got runtime, checking dispatch fn: true",
        r"route resolved: agentId=main sessionKey=agent:main:octo:group:g1",
        r"typing sent OK",
        r"readReceipt sent OK",
        r"session status=failed runtimeMs=394653 → recover \(.+\)",
        r"turn started runId=[0-9a-f]{32}",
        r"turn ended status=done",
        rf"deliver: channel=g1 \(19 chars\) messageId={answer_id}",
    ]
    trace = re.escape(message_id[-8:])
    for line in wanted:
        assert re.search(rf"INFO +\[octo\] \[helper\] {line} trace={trace}$", log, re.MULTILINE), line
    assert "what broke" not in log
    assert TOKEN not in log


async def test_json_logs_status_and_metrics_of_the_program_hold_no_secret(rig: Rig, start: Start) -> None:
    rig.write_session({"status": "failed", "sessionId": "s1"})
    config = {**rig.config(), "metrics": {"listen": "127.0.0.1:0"}}
    process = await start(config, "--log-format", "json")
    repaired = await command("sessions", "repair", "--store", rig.state_dir)
    message_id = await rig.mentioned("what broke?")
    status = await command("status", "--store", rig.state_dir, "--json")
    assert process.stderr is not None
    lines: list[dict[str, str]] = []
    while not lines or not lines[-1]["message"].startswith("turn ended"):
        lines.append(json.loads(await process.stderr.readline()))
    (where,) = [found[1] for line in lines if (found := re.fullmatch(r"metrics at (\S+)", line["message"]))]
    async with aiohttp.ClientSession() as http, http.get(where) as answer:
        metrics = await answer.text()
    rest = await stopped(process)
    lines += [json.loads(line) for line in rest.splitlines()]

    assert rig.said() == ["@Helper what broke?"]  # repaired before: no restart to announce
    assert json.loads(status.output)["pid"] == process.pid
    assert 'octo_messages_total{account="helper",decision="turn"} 1.0' in metrics
    about = [line for line in lines if line["trace"] == message_id[-8:]]
    assert {line["account"] for line in about} == {"helper"}
    assert "recv message from=ann channel=g1 type=1" in [line["message"] for line in about]
    for told in (json.dumps(lines), metrics, status.output, repaired.output):
        assert TOKEN not in told
        assert "what broke" not in told
    assert not (rig.state_dir / "control.sock").exists()


async def test_sigterm_takes_nothing_new_and_lets_the_running_turn_answer(
    rig: Rig, start: Start, tmp_path: Path
) -> None:
    process = await start(rig.config(agent=waiting_agent(tmp_path)))
    message_id = await rig.mention("slow one")
    await content(tmp_path / "started")
    process.send_signal(signal.SIGTERM)
    await rig.octo.wait_for(lambda: not rig.octo.online(HELPER))
    (tmp_path / "go").touch()

    log = await ended(process)
    assert "SIGTERM: stopping" in log
    assert rig.said() == ["at last"]
    assert rig.rows()[message_id] == ("answered", "")
    assert rig.session()["status"] == "done"


async def test_a_program_started_with_nohup_outlives_its_terminal(rig: Rig, start: Start) -> None:
    process = await start(rig.config(), preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    assert await rig.until_row(await rig.mention("still there?"), "answered") == ""
    log = await stopped(process)
    assert "SIGHUP" not in log


def files_end_at(size: int) -> Callable[[], None]:
    """Let writes behind ``size`` bytes of a file fail, as on a full disk, until somebody raises the limit."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """Listen on a port where nobody ever answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


async def line_with(process: Process, text: str) -> str:
    """Read the program's log up to a line and return what was read."""
    assert process.stderr is not None
    read = ""
    async with asyncio.timeout(PATIENCE_S):
        while text not in read:
            line = (await process.stderr.readline()).decode()
            assert line, f"the program ended: {read}"
            read += line
    return read


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="frees the disk of another process")
async def test_a_start_on_a_full_disk_waits_says_so_once_and_goes_on(rig: Rig, start: Start) -> None:
    process = await start(rig.config(), online="", preexec_fn=files_end_at(20_000))
    log = await line_with(process, "the start waits")
    assert "free disk space" in log
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, unlimited)
    await up(rig.octo, process, HELPER)
    assert await rig.until_row(await rig.mention("hello"), "answered") == ""
    log = await stopped(process)
    assert "is writable again" in log
    assert "the start waits" not in log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_a_start_that_waits_for_room_on_the_disk(
    rig: Rig, start: Start, number: signal.Signals
) -> None:
    process = await start(rig.config(), online="", preexec_fn=files_end_at(20_000))
    await line_with(process, "the start waits")
    process.send_signal(number)
    log = await ended(process)
    assert f"{number.name}: stopping" in log
    assert rig.octo.calls == []


async def test_a_signal_ends_a_start_whose_gateway_hangs(rig: Rig, start: Start) -> None:
    async with silent_server() as port:
        config = rig.config()
        config["host"] = {
            "kind": "gateway",
            "url": f"ws://127.0.0.1:{port}",
            "token": "t",
            "stateDir": str(rig.state_dir),
        }
        process = await start(config, "--log-level", "debug", online="")
        await content(rig.state_dir / "host.lock")
        log = await stopped(process)
    assert "SIGTERM: stopping" in log


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
async def test_whatever_the_start_finds_no_room_for_is_tried_every_second_and_told_once(
    number: int, caplog: pytest.LogCaptureFixture
) -> None:
    clock, tried = ManualClock(), []

    async def begin() -> str:
        tried.append(clock.now())
        if len(tried) < 4:
            raise HostError("the folder cannot be made") from OSError(number, os.strerror(number))
        return "begun"

    beginning = asyncio.create_task(once_there_is_room(begin, clock))
    await clock.advance(3)
    assert await beginning == "begun"
    assert tried == [0, 1, 2, 3]
    assert caplog.text.count("the folder cannot be made: the start waits until there is room") == 1
    assert "the start goes on" in caplog.text


async def test_what_no_free_space_would_help_ends_the_start() -> None:
    async def begin() -> None:
        raise HostError("in use by process 1") from PermissionError(errno.EACCES, "no")

    with pytest.raises(HostError, match="in use"):
        await once_there_is_room(begin, ManualClock())


async def test_a_second_signal_ends_at_once_and_what_it_cut_short_is_answered_after_the_next_start(
    rig: Rig, start: Start, tmp_path: Path
) -> None:
    config = rig.config(agent=waiting_agent(tmp_path))
    process = await start(config)
    message_id = await rig.mention("endless one")
    agent = int(await content(tmp_path / "started"))
    process.send_signal(signal.SIGINT)
    await rig.octo.wait_for(lambda: not rig.octo.online(HELPER))
    await stopped(process, code=1)
    assert rig.said() == []
    with pytest.raises(ProcessLookupError):
        os.kill(agent, 0)

    (tmp_path / "go").touch()
    await start(config)
    await rig.until_row(message_id, "answered")
    assert rig.said()[-1] == "at last"


async def test_a_turn_that_outlives_the_drain_is_cut_short(rig: Rig, start: Start, tmp_path: Path) -> None:
    process = await start(rig.config(agent=waiting_agent(tmp_path), host={"drainSeconds": 0.05}))
    await rig.mention("endless one")
    await content(tmp_path / "started")
    log = await stopped(process, code=1)
    assert "turns still ran after" in log


async def test_a_start_ends_with_what_runs_and_a_stop_with_what_is_left(
    rig: Rig, start: Start, tmp_path: Path
) -> None:
    bots = {"helper": TOKEN, "bad": "${NOT_SET_ANYWHERE}"}
    config = rig.config(bots=bots, agent=waiting_agent(tmp_path), host={"drainSeconds": 0.05})
    process = await start(config)
    await rig.mention("endless one")
    await content(tmp_path / "started")
    await rig.until_row(await rig.mention("one that waits"), "queued")
    log = await stopped(process, code=1)
    started = (
        f"started: 1 of 2 bots (helper) on the embedded host, command agent; state folder {rig.state_dir};"
        " no metrics"
    )
    assert f"INFO    {started}" in log
    left = "stopped: turns were cut short; messages that wait for the next start: 2"
    assert log.splitlines()[-1].endswith(f"INFO    {left}")


@pytest.mark.parametrize(
    ("program", "warned"),
    [
        ("print('hi')", ""),
        ("sys.exit(3)", "turn ended status=failed (the agent's program ended with exit code 3"),
        ("time.sleep(60)", "turn ended status=timeout ("),
        ("pass", "gets no answer: the answer was empty"),
    ],
    ids=["answered", "failed", "timed out", "empty"],
)
async def test_warnings_tell_of_turns_without_an_answer_and_of_nothing_on_a_healthy_day(
    rig: Rig, start: Start, program: str, warned: str
) -> None:
    config = rig.config(agent=python_agent(program), host={"timeoutSeconds": 1 if "sleep" in program else 60})
    process = await start(config, "--log-level", "warning")
    await rig.until_ended(await rig.mention("well?"))
    lines = (await stopped(process)).splitlines()
    assert [line for line in lines if " WARNING " not in line] == []
    assert bool(lines) is bool(warned)
    assert warned in "".join(lines)


async def test_only_the_chosen_account_runs_and_debug_shows_no_token_either(rig: Rig, start: Start) -> None:
    config = rig.config(bots={"helper": TOKEN, "other": OTHER_TOKEN})
    process = await start(config, "--account", "Other", "--log-level", "debug", online=OTHER)
    await rig.octo.say(ANN, rig.group, "hi", mention=[OTHER, HELPER])
    await rig.until_said(1, who=OTHER)
    log = await stopped(process)
    assert {call.bot for call in rig.octo.calls} == {OTHER}
    assert "DEBUG" in log
    assert OTHER_TOKEN not in log


async def test_a_bot_whose_token_cannot_be_read_is_told_of_and_keeps_no_other_from_running(
    rig: Rig, start: Start
) -> None:
    config = rig.config(bots={"helper": TOKEN, "bad": "${NOT_SET_ANYWHERE}"})
    process = await start(config)
    assert await rig.until_row(await rig.mention("still there?"), "answered") == ""
    status = await command("status", "--store", rig.state_dir, code=1)
    log = await stopped(process)
    problem = "channels.octo.accounts.bad.botToken: the environment variable NOT_SET_ANYWHERE is not set"
    assert re.search(rf"ERROR .*this bot does not run, the others do: {problem}", log)
    assert "helper: online for" in status.stdout
    assert f"({problem})" in next(
        line for line in status.stdout.splitlines() if line.startswith("bad: no-token for")
    )


async def test_nothing_of_another_account_is_looked_at_where_one_is_chosen(
    rig: Rig, start: Start, tmp_path: Path
) -> None:
    program = {"source": "exec", "command": ["touch", str(tmp_path / "trace")]}
    config = rig.config()
    config["channels"]["octo"]["accounts"] |= {
        "bad": {"botToken": program, "laneLenth": "${NOT_SET_ANYWHERE}"}
    }
    log = await stopped(await start(config, "--account", "Helper"))
    assert "bad" not in log
    assert not (tmp_path / "trace").exists()


async def test_a_state_folder_in_use_is_refused_in_one_line_that_names_the_owner(
    rig: Rig, start: Start
) -> None:
    rig.state_dir.mkdir(mode=0o700)
    lock = OwnerLock(rig.state_dir / "host.lock")
    lock.acquire()
    try:
        log = await ended(await start(rig.config(), online=""), code=75)
    finally:
        lock.release()
    (line,) = log.splitlines()
    assert line.startswith(f"cannot start: {rig.state_dir} is in use by process {os.getpid()}")
    assert "to restart them, stop that process first" in line
    assert rig.octo.calls == []


def refused(folder: Path, config: Mapping[str, Any], *options: str, code: int = 2) -> list[str]:
    """Return the lines a program that cannot start leaves on standard error."""
    result = call("run", "--config", write(folder, config), *options, code=code)
    assert result.stdout == ""
    return [line.removeprefix(f"{folder / 'octo.json'}: ") for line in result.stderr.splitlines()]


def bots(**accounts: Any) -> dict[str, Any]:
    return {"channels": {"octo": {"accounts": accounts}}, "host": {"agent": {"kind": "echo"}}}


def test_every_mistake_of_the_configuration_is_told_at_once(tmp_path: Path) -> None:
    config = bots(helper={"botToken": TOKEN, "laneLength": 0})
    config["channels"]["octo"]["silentRepies"] = "allow"
    lines = refused(tmp_path, config)
    assert sorted(line.split(":")[0] for line in lines) == [
        "channels.octo.accounts.helper.laneLength",
        "channels.octo.silentRepies",
    ]
    assert TOKEN not in "".join(lines)


def test_an_unknown_account_is_refused_and_the_known_ones_named(tmp_path: Path) -> None:
    config = bots(helper={"botToken": TOKEN}, off={"botToken": TOKEN, "enabled": False})
    assert refused(tmp_path, config, "--account", "helper", "--account", "nobody", "--account", "off") == [
        "there is no account 'nobody'; known: helper, off",
        'account "off" is off: channels.octo.accounts.off.enabled is false',
    ]


def test_a_configuration_without_a_bot_that_is_on_is_refused(tmp_path: Path) -> None:
    lines = refused(tmp_path, bots(off={"botToken": TOKEN, "enabled": False}))
    assert lines == ["no account is on: there is nothing to run"]


@pytest.mark.parametrize(("more", "code"), [({}, 75), ({"laneLength": 0}, 2)])
def test_where_no_token_can_be_read_another_try_may_do_unless_something_else_is_wrong(
    tmp_path: Path, more: Mapping[str, Any], code: int
) -> None:
    token = {"source": "file", "id": "not-mounted-yet"}
    (line,) = refused(tmp_path, bots(helper={"botToken": token, **more}), code=code)
    assert ("laneLength" in line) if more else ("cannot be read" in line)


async def test_with_json_logs_warnings_and_strangers_at_the_metrics_leave_nothing_but_json(
    rig: Rig, start: Start
) -> None:
    config = {**rig.config(historyPromptTemplate="x"), "metrics": {"listen": "127.0.0.1:0"}}
    process = await start(config, "--log-format", "json")
    assert process.stderr is not None
    told: list[str] = []
    while not told or not told[-1].startswith("metrics at "):
        told.append(json.loads(await process.stderr.readline())["message"])
    url = urlsplit(told[-1].removeprefix("metrics at "))
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n")
    assert b"400" in await reader.readline()
    writer.close()
    rest = await stopped(process)
    told += [json.loads(line)["message"] for line in rest.splitlines()]

    assert "historyPromptTemplate: known, but without effect" in told[0]
    assert not [words for words in told if "aaaa" in words or "Error handling" in words]


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ({"stateDir": "/dev/null/state"}, "cannot start: /dev/null/state"),
        ({"stateDir": "/dev/null/state", "kind": "gateway"}, "cannot start: /dev/null/state cannot be made"),
        ({"stateDirectory": "state"}, "host.stateDirectory: unknown key"),
    ],
    ids=["no folder", "no folder for a gateway's bots", "a mistake"],
)
def test_what_keeps_the_program_from_starting_is_one_line_of_json_too(
    tmp_path: Path, host: Mapping[str, str], words: str
) -> None:
    agent = {} if "kind" in host else {"agent": {"kind": "echo"}}
    file = write(tmp_path, {**bots(helper={"botToken": TOKEN}), "host": {**agent, **host}})
    done = subprocess.run(
        [PROGRAM, "run", "--config", file, "--log-format", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = map(json.loads, done.stderr.splitlines())
    assert done.returncode == (75 if words.startswith("cannot start") else 2)
    assert line["level"] == "ERROR"
    assert words in line["message"]
    assert TOKEN not in done.stderr


def test_a_missing_file_is_told_in_one_line(tmp_path: Path) -> None:
    result = call("run", "--config", tmp_path / "none.json", code=2)
    assert result.stderr == f"{tmp_path / 'none.json'}: cannot be read: No such file or directory\n"


def test_help_tells_of_signals_and_exit_codes() -> None:
    text = call("run", "--help").stdout
    text = " ".join(text.split())
    assert "second signal" in text
    assert "Exit codes: 0" in text


async def test_a_killed_upload_is_finished_by_the_next_start_and_nothing_is_shown_twice(
    rig: Rig, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "report.txt").write_text("all is well")
    agent = python_agent(f"print('Here it is.\\nMEDIA:{tmp_path}/files/report.txt')")
    config = rig.config(agent=agent, mediaRoots=[str(tmp_path / "files")])
    rig.octo.fail_next("upload", Hang())
    process = await start(config)
    message_id = await rig.mention("the report please")
    await rig.octo.wait_for(lambda: rig.calls("presignUpload"), timeout=PATIENCE_S)
    process.kill()
    await process.communicate()
    rig.octo.heal()
    rig.octo.release()

    await start(config)
    await rig.until_row(message_id, "answered")

    assert rig.said() == ["Here it is.", "[file: report.txt]"]
    sent = rig.octo.chat(rig.group)[-1].payload
    assert rig.octo.file(sent["url"]).content == b"all is well"


async def test_a_stop_ends_in_its_time_although_the_history_hangs_and_starts_no_turn(
    rig: Rig, start: Start
) -> None:
    config = rig.config(host={"drainSeconds": 1})
    process = await start(config)
    await rig.mentioned("hello")
    await rig.until_cursor(rig.group, 2)
    asked = len(rig.calls("messages/sync"))
    rig.octo.fail_next("messages/sync", Hang(), times=None)
    await rig.octo.inject(HELPER, rig.raw_mention("behind the hole", 9))
    await rig.octo.wait_for(lambda: len(rig.calls("messages/sync")) > asked)
    await stopped(process)
    assert rig.said() == ["@Helper hello"]
    rig.octo.release()


async def test_a_stop_waits_for_the_turn_that_runs_and_starts_none_of_those_that_wait(
    rig: Rig, start: Start, tmp_path: Path
) -> None:
    agent = {
        **python_agent(
            "open('started', 'a').write('x')\n"
            "while not os.path.exists('go'):\n    time.sleep(0.01)\n"
            "print('at last')"
        ),
        "cwd": str(tmp_path),
    }
    process = await start(rig.config(agent=agent, maxTurns=1))
    await rig.mention("runs")
    await content(tmp_path / "started")
    waiting = [await rig.mention(f"waits {number}") for number in range(3)]
    waiting += [await rig.mention(f"waits {number}", where=rig.thread) for number in range(3)]
    for message_id in waiting:
        await rig.until_row(message_id, "queued")
    process.send_signal(signal.SIGTERM)
    await rig.octo.wait_for(lambda: not rig.octo.online(HELPER))
    (tmp_path / "go").touch()
    await ended(process)
    assert (tmp_path / "started").read_text() == "x"
    assert {rig.rows()[message_id][0] for message_id in waiting} == {"queued"}
    assert rig.said() == ["at last"]
