"""The program as it is installed, in a process of its own."""

import asyncio
import json
import signal
import sysconfig
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from openclaw_channel_octo.testing import OctoDouble
from tests.until import PATIENCE_S

PROGRAM = Path(sysconfig.get_path("scripts")) / "openclaw-octo"

Start = Callable[..., Awaitable[Process]]


def write(folder: Path, config: Mapping[str, Any] | str) -> Path:
    """Write a configuration, or what stands in its place, which only its owner can read; return its file."""
    file = folder / "octo.json"
    file.touch(mode=0o600)
    file.write_text(config if isinstance(config, str) else json.dumps(config), encoding="utf-8")
    return file


async def launched(
    file: Path, *options: str | Path, program: tuple[str, ...] = (), **settings: Any
) -> Process:
    """Start ``run`` with a configuration; ``program`` is what takes the place of the installed one."""
    command = program or (PROGRAM,)
    return await asyncio.create_subprocess_exec(
        *command, "run", "--config", file, *options, stdout=PIPE, stderr=PIPE, **settings
    )


async def up(octo: OctoDouble, process: Process, uid: str) -> None:
    """Wait until a bot is online; fail with the program's own words when it ends before that."""
    exited = asyncio.create_task(process.wait())
    online = asyncio.create_task(octo.wait_for(lambda: octo.online(uid), timeout=PATIENCE_S))
    await asyncio.wait({exited, online}, return_when=asyncio.FIRST_COMPLETED)
    if not online.done():
        online.cancel()
        _, err = await process.communicate()
        raise AssertionError(f"ended with {process.returncode}: {err.decode()}")
    exited.cancel()
    assert online.result()


async def ended(process: Process, code: int = 0) -> str:
    """Return everything the program wrote to standard error; it has to end with this exit code."""
    out, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert (process.returncode, out) == (code, b""), err.decode()
    return err.decode()


async def stopped(process: Process, code: int = 0) -> str:
    """Stop the program; return what `ended` does."""
    process.send_signal(signal.SIGTERM)
    return await ended(process, code)


@asynccontextmanager
async def serving_double(*options: str | Path) -> AsyncIterator[dict[str, str]]:
    """Have a double on a free port meanwhile; yield what it says, by the first word of each line."""
    command = (PROGRAM, "double", "--port", "0", *options)
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    assert process.stdout is not None
    said: dict[str, str] = {}
    try:
        while "Ctrl-C" not in said:
            line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
            assert line, "it ended early"
            word, _, rest = line.partition(" ")
            said[word] = rest.strip()
        yield said
    finally:
        process.send_signal(signal.SIGINT)
        _, err = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, err) == (0, b"")


async def double_answers(page: str) -> None:
    """Let Ann mention the bot until it has answered: it may not be online yet."""
    body = {"from": "ann", "channel": "g1", "text": "hello", "mention": ["helper_bot"]}
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        await session.post(f"{page}/do/say", json=body)
        while True:
            async with session.get(f"{page}/state") as answer:
                lines = (await answer.json())["conversations"][0]["lines"]
            if any(line["from"] == "helper_bot" for line in lines):
                return
