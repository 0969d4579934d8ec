"""Commands as they are called, and what those that ask running bots share."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from openclaw_channel_octo.cli.app import main
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.control.calls import register_calls
from openclaw_channel_octo.control.server import ControlServer
from openclaw_channel_octo.testing.host import ScriptedHost
from tests.runtime.rig import Rig


def write_sessions(folder: Path, sessions: Mapping[str, Any]) -> Path:
    """Leave the sessions of an agent in a state folder; return their file."""
    file = folder / "agents" / "main" / "sessions" / "sessions.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(sessions))
    return file


@asynccontextmanager
async def controlled(rig: Rig, kind: str = "embedded") -> AsyncIterator[None]:
    """Let a rig's channel answer on its control socket, as the program does."""
    server = ControlServer(rig.state_dir, SystemClock())
    register_calls(server, rig.channel, kind)
    await server.start()
    try:
        yield
    finally:
        await server.stop()


async def busy(rig: Rig, host: ScriptedHost) -> tuple[str, str]:
    """Let a bot fail at a first message, run a second and queue a third; return the ids of the first two."""
    await rig.start(rig.config(), host)
    failed = await rig.mentioned("first", "notified")
    running = await rig.under_way("second")
    await rig.mentioned("third", "queued")
    return failed, running


def call(*words: object, code: int = 0, env: Mapping[str, str | None] | None = None) -> Result:
    """Carry out a command, which has to end with this exit code, and return what it did."""
    result = CliRunner(catch_exceptions=False).invoke(main, [*map(str, words)], env=env)
    assert result.exit_code == code, result.output
    return result


async def command(*words: object, code: int = 0, env: Mapping[str, str | None] | None = None) -> Result:
    """Do as `call` does, beside the running loop."""
    return await asyncio.to_thread(call, *words, code=code, env=env)
