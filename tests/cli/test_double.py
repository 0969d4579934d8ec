"""`double` in a process of its own, used as its first lines say."""

import asyncio
import re
import signal
import socket
from asyncio.subprocess import PIPE
from pathlib import Path

import aiohttp

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.testing.octo.double import OctoDouble
from tests.cli.asking import call
from tests.programs import PROGRAM
from tests.runtime.rig import Rig


async def test_a_bot_answers_what_a_script_says_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(PROGRAM, "double", "--port", "0", stdout=PIPE, stderr=PIPE)
    assert process.stdout is not None
    said: dict[str, str] = {}
    while "script" not in said:
        word, _, rest = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().partition(" ")
        said[word] = rest.strip()
    token = said["botToken"].split()[0]
    async with OctoDouble() as unused, aiohttp.ClientSession() as session:
        rig = Rig(unused, tmp_path / "state", SystemClock())
        config = rig.config(bots={"helper": token}, apiUrl=said["apiUrl"])
        try:
            await rig.start_blind(config)
            url = f"{said['page']}/do/say"
            body = {"from": "ann", "channel": "g1", "text": "hello", "mention": ["helper_bot"]}
            await session.post(url, json=body)
            answered = False
            while not answered:
                async with session.get(f"{said['page']}/state") as answer:
                    lines = (await answer.json())["conversations"][0]["lines"]
                answered = any(line["from"] == "helper_bot" for line in lines)
        finally:
            await rig.stop()
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 60)

    assert (process.returncode, err) == (0, b"")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", said["apiUrl"])


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = call("double", "--port", port, code=2)

    assert f"cannot listen on port {port}" in result.stderr
