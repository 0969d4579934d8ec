"""What a start costs: the program's first lines, and a bot until it is online, in processes of their own."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from openclaw_channel_octo.testing.octo.double import OctoDouble
from tests.bench.measure import Row, lower_quartile
from tests.programs import write

MAIN = "from openclaw_channel_octo.cli import main; main()"
BARE = "pass"
LIBRARIES = (
    "import aiohttp, cachetools, click, imagesize, msgpack, msgspec, pydantic.main, pydantic.types, sqlite3, "
    "websockets.asyncio.client, yarl; "
    "import cryptography.hazmat.primitives.ciphers, cryptography.hazmat.primitives.asymmetric.x25519"
)
"""What a running bot has loaded besides our own modules."""
ONLINE_WITHIN_S = 60.0
TOKEN = "bf_0123456789abcdef"


class Begun(Struct, frozen=True):
    """A process that has begun.

    Attributes:
        seconds: until it said so.
        memory_mb: megabytes that were resident then.
    """

    seconds: float
    memory_mb: float


def run(scale: int) -> list[Row]:
    """Measure with ``scale`` processes for each, 9 for a real run."""
    return asyncio.run(_run(scale))


async def _run(scale: int) -> list[Row]:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    async with OctoDouble() as octo:
        octo.add_person("ann", "Ann")
        octo.add_bot("helper", TOKEN, owner="ann")
        octo.add_group("g1", ["ann", "helper"])
        measured = [await _round(env, octo) for _ in range(scale + 1)][1:]  # the first compiles our modules
    ended, begun = zip(*measured, strict=True)
    bare, version, help_ = (lower_quartile(times) * 1e3 for times in zip(*ended, strict=True))
    libraries, bots = zip(*begun, strict=True)
    return [
        Row(
            what=f"`openclaw-octo {option}`: CPU",
            floor="the bare interpreter",
            ours=ours,
            base=bare,
            unit="ms",
            most_ours=150.0,
        )
        for option, ours in (("--version", version), ("--help", help_))
    ] + [
        Row(
            what=f"`run` with one bot: {what}",
            floor=f"{floor} its libraries and no more",
            ours=lower_quartile([getattr(each, field) for each in bots]),
            base=lower_quartile([getattr(each, field) for each in libraries]),
            unit=unit,
            most_ours=most,
        )
        for what, floor, field, unit, most in (
            ("until it is online", "loading", "seconds", "s", 0.7),
            ("memory of the process", "a process with", "memory_mb", "MB", 50.0),
        )
    ]


async def _round(env: dict[str, str], octo: OctoDouble) -> tuple[list[float], tuple[Begun, Begun]]:
    """Return the CPU seconds of what ends by itself, and what a process with the libraries and a bot needed."""
    ended = [
        await asyncio.to_thread(_ended, env, *words)
        for words in ((BARE,), (MAIN, "--version"), (MAIN, "--help"))
    ]
    accounts = {"helper": {"botToken": TOKEN}}
    with TemporaryDirectory() as folder:
        config = {
            "channels": {"octo": {"apiUrl": octo.api_url, "accounts": accounts}},
            "host": {"kind": "embedded", "stateDir": str(Path(folder) / "state"), "agent": {"kind": "echo"}},
        }
        file = write(Path(folder), config)
        bot = await _begun(
            env | {"XDG_RUNTIME_DIR": folder}, b"connected:", MAIN, "run", "--config", str(file)
        )
    return ended, (await _begun(env, b"loaded", f"{LIBRARIES}; print('loaded', flush=True); input()"), bot)


def _ended(env: dict[str, str], program: str, *arguments: str) -> float:
    """Return the CPU seconds of a program that ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments], env=env, stdout=subprocess.DEVNULL
    )
    _, code, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


async def _begun(env: dict[str, str], line: bytes, program: str, *arguments: str) -> Begun:
    """Start a program that goes on, and end it when it has written a line with these words."""
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, *arguments),
        env=env,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(ONLINE_WITHIN_S):
            await process.stdout.readuntil(line)
        seconds = time.monotonic() - began
        asked = await asyncio.create_subprocess_exec(
            *("ps", "-o", "rss=", "-p", str(process.pid)), stdout=asyncio.subprocess.PIPE
        )
        kib, _ = await asked.communicate()
    finally:
        process.terminate()
        await process.communicate()
    return Begun(seconds, int(kib) / 1024)
