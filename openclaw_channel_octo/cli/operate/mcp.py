"""`openclaw-octo mcp`: what `openclaw-octo message` does, for agent programs that speak MCP."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from openclaw_channel_octo.cli.options import store_folder
from openclaw_channel_octo.cli.output import NOT_TRIED, fail
from openclaw_channel_octo.control.client import asked
from openclaw_channel_octo.errors import RequestDenied
from openclaw_channel_octo.runtime.actions.tools import asked_for, told

__all__ = ["mcp"]


@click.command()
def mcp() -> None:
    """Offer the chat to an agent program as MCP tools, on standard input and output.

    For the MCP configuration of an agent program, which starts it. The tools work inside a run only, with OPENCLAW_TURN
    and OPENCLAW_STORE as the bots set them, reach what the person who asked reaches, and end with the run. Without
    them the tools are listed, and say what is missing.

    Exit codes: 0 the input has ended, 2 the library for MCP is not installed.
    """
    try:
        from openclaw_channel_octo.control.mcp import serve_stdio  # noqa: PLC0415  # an extra
    except ImportError:
        fail(NOT_TRIED, "mcp: needs a library, first: pip install 'openclaw-channel-octo[mcp]'")
    if sys.stdin.isatty():
        click.echo("an agent program starts this, and speaks MCP with it; Ctrl-D ends it", err=True)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the thread that waits for input would have Ctrl-C wait too
    ticket, store = (
        os.environ.get("OPENCLAW_TURN", ""),
        Path(os.environ.get("OPENCLAW_STORE") or store_folder()),
    )
    asyncio.run(serve_stdio(partial(_answer, ticket, store)))


async def _answer(ticket: str, store: Path, tool: str, parameters: Mapping[str, Any]) -> str:
    """Have the process that runs the bots carry out a tool. Raises `OctoError`."""
    if not ticket:
        raise RequestDenied(
            "this works inside an agent's run only: OPENCLAW_TURN is not set; in a run, pass OPENCLAW_TURN and "
            "OPENCLAW_STORE on to this MCP server"
        )
    name, call = asked_for(tool, parameters)
    answer = await asked(store, f"message.{name}", {"turn": ticket, **call.model_dump(exclude_unset=True)})
    return told(call, answer)
