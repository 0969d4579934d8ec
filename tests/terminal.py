"""A program on a terminal of its own, as a person has it before them."""

import asyncio
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.until import PATIENCE_S, until

__all__ = ["Terminal", "on_a_terminal"]

_WITH_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Makes standard input the controlling terminal, from which Ctrl-C comes, before the program starts."""


class Terminal:
    """What a person sees and types.

    Args:
        descriptor: the other end of the program's terminal.
        process: the program.
    """

    def __init__(self, descriptor: int, process: Process) -> None:
        self._descriptor = descriptor
        self._process = process
        self._read = 0
        self.screen = ""
        """Everything that was shown, typed lines included where they are echoed."""

    def take(self) -> None:
        """Read what the program has written."""
        with suppress(BlockingIOError, OSError):  # nothing now; or the program is gone
            self.screen += os.read(self._descriptor, 65_536).decode(errors="replace").replace("\r\n", "\n")

    async def answer(self, question: str, text: str) -> None:
        """Wait for a question behind what was read before, and type a line."""
        await self._asked(question)
        os.write(self._descriptor, f"{text}\n".encode())

    async def interrupt(self, question: str) -> None:
        """Wait for a question, and press Ctrl-C."""
        await self._asked(question)
        os.write(self._descriptor, b"\x03")

    async def _asked(self, question: str) -> None:
        """Wait until a question stands there whole: what is typed before is lost where it is not to be shown."""
        whole = re.compile(re.escape(question.removesuffix(":")) + r"[^\n]*: $")
        found = await until(
            lambda: whole.search(self.screen, self._read), lambda: f"{question!r} in {self.screen}"
        )
        self._read = found.end()

    async def ended(self) -> int:
        """Wait for the program's end; return its exit code."""
        code = await asyncio.wait_for(self._process.wait(), PATIENCE_S)
        self.take()
        return code


@asynccontextmanager
async def on_a_terminal(
    *command: str | Path, cwd: Path, env: Mapping[str, str] | None = None
) -> AsyncIterator[Terminal]:
    """Start a program on a terminal of 100 columns; it is killed where it has not ended by the end of the context.

    Its home is its working directory: what this machine's user has there is nobody's business.
    """
    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _WITH_TERMINAL, *command),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=cwd,
            env={**os.environ, "HOME": str(cwd), **(env or {})},
            start_new_session=True,
        )
    finally:
        os.close(theirs)
    os.set_blocking(ours, False)
    terminal = Terminal(ours, process)
    loop = asyncio.get_running_loop()
    loop.add_reader(ours, terminal.take)
    try:
        yield terminal
    finally:
        loop.remove_reader(ours)
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)
