"""An agent that is a program: the prompt on its standard input, the answer on its standard output."""

import asyncio
import codecs
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from pydantic import SecretStr

from openclaw_channel_octo.config.environment import Inheritance, as_bytes, environment_bytes
from openclaw_channel_octo.config.secrets import secret_variables
from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.host.base import ChatTools
from openclaw_channel_octo.host.embedded.agents import (
    MAX_OUTPUT,
    AgentError,
    Prompt,
    one_line,
    shown,
    without_secrets,
)
from openclaw_channel_octo.host.embedded.leftovers import RUN_VARIABLE
from openclaw_channel_octo.host.embedded.programs import Programs
from openclaw_channel_octo.message.reading import file_line, reading_text

__all__ = ["CommandAgent", "decoded"]

GRACE_S = 2.0
"""Real seconds between SIGTERM and SIGKILL when the program is stopped."""

DRAIN_S = 0.5
"""Real seconds to wait, after the program ended, for output pipes that its children hold open."""

STDERR_KEPT = 8 * 1024
"""Bytes kept of what a program writes to its standard error."""

STDERR_LINES = 5
STDERR_SHOWN = 600
STDIN, STDERR = 0, 2


class CommandAgent:
    """Runs a program for each prompt.

    The program gets the notes and the context, if there are any, the request, and the paths of files that came
    along on standard input as UTF-8, blank lines between them; what a terminal would show of its standard output in the
    end is the answer.
    It inherits of this process's environment what ``inheritance`` says, with ``env`` and ``OPENCLAW_SESSION_KEY``,
    ``OPENCLAW_SESSION_ID``, ``OPENCLAW_RUN_ID``, ``OPENCLAW_SENDER``, ``OPENCLAW_MEDIA`` (the same paths, separated by
    ``os.pathsep``) and ``OPENCLAW_OUTPUT`` on top, a folder of its own for files of the answer, which names them in
    lines ``MEDIA:<name>``; ``OPENCLAW_TURN`` lets it use ``openclaw-octo message`` until its run ends, and the same
    tools by MCP at ``OPENCLAW_MCP_URL``, which is set where they are served.
    It leads a process group of its own; whatever is left of that group when the answer has ended is killed. Between
    `start` and `stop`, what this process leaves behind when it is killed is ended too (docs/decisions/0026).

    Args:
        command: program and arguments; no shell is involved.
        env: additional environment variables; texts reach the program as UTF-8 in any locale.
        cwd: the program's working folder, this process's own when ``None``.
        inheritance: which variables of this process it inherits, all by default.
        notes: folder where programs under way are noted, made where missing; ``None`` for nowhere.
        hide_thinking: whether a model's thinking and control tokens are left out of what the program writes.

    Raises:
        ConfigError: the command is empty.
    """

    history_messages = 0
    writes_to_terminal = True

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str | Path] | None = None,
        cwd: Path | None = None,
        *,
        inheritance: Inheritance | None = None,
        notes: Path | None = None,
        hide_thinking: bool = True,
    ) -> None:
        if not command:
            raise ConfigError("the agent's command is empty: give a program and its arguments")
        self._command = tuple(command)
        self._env = dict(env or {})
        self._secrets = (*map(SecretStr, map(str, self._env.values())), *secret_variables(os.environ))
        self._inheritance = inheritance or Inheritance()
        self._cwd = cwd
        self.hide_thinking = hide_thinking
        self._tools: ChatTools | None = None
        self._programs = Programs(notes)
        # What a killed process left of its programs is ended at the start, what programs left at the stop.
        self.start, self.stop = self._programs.start, self._programs.stop

    def take_tools(self, tools: ChatTools) -> None:
        """Take where the program finds what it can do in the chat; see `host.base.TakesChatTools`."""
        self._tools = tools

    async def reply(self, prompt: Prompt) -> AsyncIterator[str]:
        """Yield what the program writes, as it writes it.

        Raises:
            AgentError: the program cannot be started, wrote too much, or ended with a code other than 0.
        """
        variables = _prompt_variables(prompt)
        if self._tools is not None and self._tools.url:
            variables["OPENCLAW_MCP_URL"] = self._tools.url
        async with self._programs.noted(str(variables[RUN_VARIABLE])) as began:
            transport, child = await self._start(variables)
            try:
                await began(transport.get_pid())
                stdin = cast("asyncio.WriteTransport", transport.get_pipe_transport(STDIN))
                stdin.write(_input(prompt).encode(errors="replace"))
                stdin.close()  # after what was written; a program that does not read it may end all the same
                async for text in decoded(child.output):
                    yield text
                await self._require_success(transport, child)
            finally:
                await self._end(transport, child)

    async def _start(
        self, variables: Mapping[str, str | Path]
    ) -> "tuple[asyncio.SubprocessTransport, _Child]":
        loop = asyncio.get_running_loop()
        try:
            transport, child = await loop.subprocess_exec(
                _Child,
                *map(as_bytes, self._command),
                env=environment_bytes(self._inheritance.of(os.environ), {**self._env, **variables}),
                cwd=self._cwd,
                start_new_session=True,
            )
        except (OSError, UnicodeEncodeError) as error:
            raise AgentError(self._start_problem(error)) from error
        return transport, child

    def _start_problem(self, error: OSError | UnicodeEncodeError) -> str:
        if isinstance(error, UnicodeEncodeError):
            return "the locale of this process has no form for the name of a folder: start it with LC_ALL=C.UTF-8"
        if self._cwd is not None and not self._cwd.is_dir():
            return f"the agent's working folder {self._cwd} does not exist"
        if isinstance(error, FileNotFoundError):
            return f"the agent's program {self._command[0]!r} was not found: install it or give its full path"
        return f"the agent's program {self._command[0]!r} cannot be started: {error.strerror or error}"

    async def _require_success(self, transport: asyncio.SubprocessTransport, child: "_Child") -> None:
        if child.overflown:
            raise AgentError(f"the agent's program wrote more than {MAX_OUTPUT} bytes and was stopped")
        code = transport.get_returncode()
        if not code:
            return
        how = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
        said = await shown(child.stderr.decode(errors="replace"))
        lines = without_secrets(said, self._secrets).split("\n")
        cleaned = [line for raw in lines if (line := one_line(raw, STDERR_SHOWN))]
        why = " | ".join(cleaned[-STDERR_LINES:])[-STDERR_SHOWN:]
        raise AgentError(
            f"the agent's program {how}" + (f": {why}" if why else " and wrote nothing to stderr")
        )

    async def _end(self, transport: asyncio.SubprocessTransport, child: "_Child") -> None:
        group = transport.get_pid()
        try:
            if not child.exited.done():
                _signal_group(group, signal.SIGTERM)
                await asyncio.wait({child.exited}, timeout=GRACE_S)
        finally:
            _signal_group(group, signal.SIGKILL)
            transport.close()
        await asyncio.wait({child.closed}, timeout=GRACE_S)


async def decoded(output: "asyncio.Queue[bytes | None]") -> AsyncIterator[str]:
    """Yield the text of pieces of UTF-8, which end with a ``None``; what is no UTF-8 becomes U+FFFD."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while (data := await output.get()) is not None:
        if text := decoder.decode(data):
            yield text
    if rest := decoder.decode(b"", final=True):
        yield rest


class _Child(asyncio.SubprocessProtocol):
    """A running program's output and end."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._room = MAX_OUTPUT
        self.stderr = b""
        self.overflown = False
        self.output: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.exited: asyncio.Future[None] = self._loop.create_future()
        self.closed: asyncio.Future[None] = self._loop.create_future()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == STDERR:
            self.stderr = (self.stderr + data)[-STDERR_KEPT:]
        elif not self.overflown:
            self.output.put_nowait(data[: self._room])
            self._room -= len(data)
            if self._room < 0:
                self.overflown = True
                self.output.put_nowait(None)

    def process_exited(self) -> None:
        self.exited.set_result(None)
        # A grandchild may hold the pipes open for ever; the answer does not wait for it.
        self._loop.call_later(DRAIN_S, self.output.put_nowait, None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio passes it
        self.closed.set_result(None)
        self.output.put_nowait(None)


def _signal_group(group: int, number: signal.Signals) -> None:
    # Gone already, or all that is left of it belongs to somebody else by now.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _input(prompt: Prompt) -> str:
    """Return what the program reads; where files lie is said in words, to programs that can look at files."""
    files = [
        file_line(prompt.mark, item.kind, item.name, item.path)
        for item in prompt.media
        if item.path is not None
    ]
    return reading_text(prompt.mark, prompt.notes, prompt.context, prompt.text, files)


def _prompt_variables(prompt: Prompt) -> dict[str, str | Path]:
    variables = {
        "OPENCLAW_SESSION_KEY": prompt.session_key,
        "OPENCLAW_SESSION_ID": prompt.session_id,
        RUN_VARIABLE: prompt.run_id,
        "OPENCLAW_SENDER": prompt.sender_name,
        "OPENCLAW_TURN": prompt.ticket,
    }
    files = os.pathsep.join(str(item.path) for item in prompt.media if item.path is not None)
    return {
        **{name: one_line(value, 512) for name, value in variables.items()},
        "OPENCLAW_MEDIA": Path(files) if files else "",  # as the file system has them, like one path
        "OPENCLAW_OUTPUT": prompt.output or "",
    }
