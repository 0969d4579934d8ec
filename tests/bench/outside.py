"""Programs in processes of their own that tell what they have spent; ``python -m tests.bench.outside`` is such a one.

It runs the package's command line, or with ``floor`` as its first argument the calls of a file.
"""

import asyncio
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import aiohttp
import msgspec
from msgspec import Struct

from openclaw_channel_octo.cli import main

__all__ = ["Program", "Spent", "program"]

ROOT = Path(__file__).parents[2]
ASK = signal.SIGUSR1


class Spent(Struct, frozen=True, kw_only=True):
    """What a process has spent since it began.

    Attributes:
        cpu_s: CPU seconds of all its threads.
        syncs: synced writes, of files and of databases.
        at: seconds of a clock that all processes share.
    """

    cpu_s: float
    syncs: int
    at: float


class Program:
    """A running program.

    Args:
        process: started with a pipe for its standard output.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def spent(self) -> Spent:
        """Ask it what it has spent by now."""
        self._process.send_signal(ASK)
        return await self.told()

    async def told(self) -> Spent:
        """Return what it tells next."""
        assert self._process.stdout is not None
        return msgspec.json.decode(await self._process.stdout.readline(), type=Spent)


@asynccontextmanager
async def program(log: Path, *arguments: str) -> AsyncIterator[Program]:
    """Run a program, and stop it in the end.

    Args:
        log: takes what it logs.
        arguments: of the command line.
    """
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.outside", *arguments),
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=out,
        )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


class _Counting(sqlite3.Connection):
    """A connection that counts the transactions that changed something."""

    commits = 0
    _changes = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        super().__exit__(kind, error, trace)
        self._count()
        return False

    def commit(self) -> None:
        super().commit()
        self._count()

    def _count(self) -> None:
        if self.total_changes != self._changes:
            self._changes = self.total_changes
            _Counting.commits += 1


_syncs = 0


def _count() -> None:
    """Count synced writes from here on."""
    connect, fsync = sqlite3.connect, os.fsync

    def counting_connect(*args: Any, **options: Any) -> sqlite3.Connection:
        return connect(*args, factory=_Counting, **options)

    def counting_fsync(descriptor: int) -> None:
        global _syncs  # noqa: PLW0603  # what this process is asked for
        _syncs += 1
        fsync(descriptor)

    sqlite3.connect = counting_connect  # type: ignore[assignment]  # as the package calls it
    os.fsync = counting_fsync  # type: ignore[assignment]  # likewise


def _tell(*_: object) -> None:
    spent = Spent(cpu_s=time.process_time(), syncs=_syncs + _Counting.commits, at=time.monotonic())
    os.write(1, msgspec.json.encode(spent) + b"\n")


async def _floor(calls: Path) -> None:
    """Make the calls of a file, those of a conversation one after the other, an answer behind a synced write."""
    told = json.loads(calls.read_bytes())
    async with aiohttp.ClientSession(
        told["url"], headers={"Authorization": f"Bearer {told['token']}"}
    ) as http:

        async def make(conversation: Sequence[tuple[str, Any]], file: int) -> None:
            for name, body in conversation:
                if name == "sendMessage":
                    os.write(file, json.dumps(body).encode() + b"\n")
                    os.fsync(file)
                async with http.post(f"/v1/bot/{name}", json=body) as answer:
                    await answer.json()

        _tell()
        file = os.open(calls.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        await asyncio.gather(*(make(each, file) for each in told["conversations"]))
        os.close(file)


if __name__ == "__main__":
    _count()
    signal.signal(ASK, _tell)
    if sys.argv[1] == "floor":
        asyncio.run(_floor(Path(sys.argv[2])))
        _tell()
    else:
        sys.exit(main())
