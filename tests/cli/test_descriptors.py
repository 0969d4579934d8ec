"""File descriptors: how many a process takes at its start, and what it does when it has none left."""

import os
import resource
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.cli.run.start import descriptors_needed
from openclaw_channel_octo.config.load import parse_config
from openclaw_channel_octo.testing.gateway.server import FakeGateway
from tests.programs import Start, stopped
from tests.runtime.rig import ANN, BEN, HELPER, OTHER_TOKEN, TOKEN, Rig, python_agent
from tests.until import PATIENCE_S

WATCHED = """
import os, sys
seen, told = os.environ["WATCH_FROM"], open(os.environ["WATCH_TO"], "a", buffering=1)
exists, write = os.path.exists, told.write

def watch(event, args):
    if event == "import" and exists(seen):
        write(args[0] + "\\n")

sys.addaudithook(watch)
from openclaw_channel_octo.cli import main; main()
"""
"""The program, which writes down what it imports from the moment a file is there."""

PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)


def answering_with_files(folder: Path) -> dict[str, Any]:
    """Return an agent that answers with a mention, a picture and a text."""
    (folder / "a.png").write_bytes(PNG)
    (folder / "b.txt").write_text("x")
    return python_agent(f"print('for @ann 😀\\nMEDIA:{folder}/a.png\\nMEDIA:{folder}/b.txt\\nthat is all')")


@pytest.mark.parametrize("kind", ["echo", "command", "openai", "gateway"])
async def test_no_message_makes_the_program_import_anything(
    rig: Rig, start: Start, tmp_path: Path, kind: str
) -> None:
    seen, told = tmp_path / "seen", tmp_path / "told"
    environment = {**os.environ, "WATCH_FROM": str(seen), "WATCH_TO": str(told)}
    async with FakeGateway() as gateway:
        program = (sys.executable, "-c", WATCHED)
        process = await start(configured(rig, gateway, tmp_path, kind), program=program, env=environment)
        await rig.octo.wait_for(lambda: rig.calls("groups"))
        seen.touch()
        ids = [await rig.mention("hello"), await rig.mention("there", where=rig.thread)]
        ids.append(await rig.octo.say(ANN, rig.dm, "hello 😀"))
        for name, content in {
            "chinese.txt": "你好，世界。这是一个文件".encode("gb18030"),
            "wide.txt": "hello".encode("utf-16"),
            "big.txt": b"\xfe\xff\0h",
            "p.png": PNG,
            "report.pdf": b"%PDF-1.4",
        }.items():
            payload = {"type": 8, "url": rig.octo.put_file(name, content), "name": name, "size": len(content)}
            ids.append(await rig.octo.say(ANN, rig.dm, payload))
        ids += [await rig.octo.say(BEN, rig.dm, text) for text in ("/help", "/status", "/stop", "/reset")]
        await rig.until_ended(*ids)
        log = await stopped(process)
    assert told.read_text() == "", log


def configured(rig: Rig, gateway: FakeGateway, folder: Path, kind: str) -> dict[str, Any]:
    if kind == "gateway":
        host = {"kind": "gateway", "url": gateway.url, "token": gateway.token, "stateDir": str(rig.state_dir)}
        return {**rig.config(), "host": host}
    agent = {
        "echo": {"kind": "echo"},
        "command": answering_with_files(folder),
        "openai": {"kind": "openai", "baseUrl": f"{rig.octo.api_url}/nothing", "model": "x"},
    }[kind]
    return rig.config(agent=agent, mediaRoots=[str(folder)], cdnUrl=rig.octo.api_url)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks into another process")
@pytest.mark.parametrize("kind", ["echo", "command", "gateway"])
async def test_a_bot_without_descriptors_answers_or_says_so_once_it_has_some_and_stays_online(
    rig: Rig, start: Start, tmp_path: Path, kind: str
) -> None:
    async with FakeGateway() as gateway:
        process = await start(configured(rig, gateway, tmp_path, kind))
        before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        taken = {int(entry.name) for entry in Path(f"/proc/{process.pid}/fd").iterdir()}
        first_free = next(number for number in range(10_000) if number not in taken)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (first_free, before[1]))
        ids = [await rig.mention("first ever"), await rig.octo.say(ANN, rig.dm, "hello 😀")]
        content = "你好，世界。这是一个文件".encode("gb18030")
        payload = {"type": 8, "url": rig.octo.put_file("a.txt", content), "name": "a.txt"}
        ids.append(await rig.octo.say(BEN, rig.dm, payload))
        await rig.octo.wait_for(lambda: len(rig.octo.acks) >= len(ids))
        rig.octo.drop_connections(HELPER)
        await rig.octo.wait_for(lambda: not rig.octo.online(HELPER))
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)
        await rig.octo.wait_for(lambda: rig.octo.online(HELPER), timeout=PATIENCE_S)
        assert {*await rig.until_ended(*ids)} <= {"answered", "notified"}
        assert await rig.until_ended(await rig.mention("and now")) == ["answered"]
        log = await stopped(process)
    assert "the bot broke" not in log


def limited(soft: int, hard: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="looks into another process")
async def test_the_program_takes_as_many_descriptors_as_it_may_have(rig: Rig, start: Start) -> None:
    process = await start(rig.config(), preexec_fn=limited(200, 2_000))
    assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (2_000, 2_000)
    log = await stopped(process)
    assert "files open" not in log


async def test_where_even_the_most_it_may_have_is_too_little_one_warning_names_the_number(
    rig: Rig, start: Start
) -> None:
    config = rig.config(agent=python_agent("print('hi')"), bots={"helper": TOKEN, "other": OTHER_TOKEN})
    loaded = parse_config(config, base=rig.state_dir).config
    needed = descriptors_needed(loaded.host, list(loaded.accounts.values()))
    log = await stopped(await start(config, preexec_fn=limited(200, 300)))
    (line,) = [line for line in log.splitlines() if "files open" in line]
    assert " WARNING " in line
    assert f"2 bots with up to 16 turns at once may need {needed}" in line
    assert f"LimitNOFILE={needed}" in line


def test_descriptors_are_counted_by_bot_by_server_and_by_turn_with_and_without_a_program(rig: Rig) -> None:
    def counted(agent: Mapping[str, Any], bots: int, **settings: Any) -> int:
        tokens = {f"bot{number}": f"bf_{number:016x}" for number in range(bots)}
        config = parse_config(rig.config(agent=agent, bots=tokens, **settings), base=rig.state_dir).config
        return descriptors_needed(config.host, list(config.accounts.values()))

    echo, program = {"kind": "echo"}, python_agent("")
    assert counted(echo, 2, maxTurns=1) - counted(echo, 1, maxTurns=1) == 3 + 6
    assert counted(program, 2, maxTurns=1) - counted(program, 1, maxTurns=1) == 3 + 6 + 10
    assert counted(program, 500) - counted(program, 400) == 3 * 100  # no more turns than host.maxTurns
    assert counted(program, 1) < 1_024  # what most systems give
