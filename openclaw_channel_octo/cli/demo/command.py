"""`openclaw-octo demo`: the failure this package cures, and the cure, in one process."""

import asyncio
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from openclaw_channel_octo.cli.demo import screen
from openclaw_channel_octo.cli.demo.check import Heard, check
from openclaw_channel_octo.cli.options import VERBOSE_OPTION
from openclaw_channel_octo.cli.output import NOT_FINE, NOT_TRIED, fail
from openclaw_channel_octo.errors import OctoError
from openclaw_channel_octo.observe.logs import setup_logging

__all__ = ["conclude", "demo"]

INTRODUCTION = (
    "Ann and Ben share a group with Helper, a bot. Bot, agent, session file and connection are the real ones;"
    " the Octo server is a stand-in inside this process. Beside each line of the chat stands the status of the"
    " conversation's session in the agent host at that moment."
)


@click.command()
@click.option("--fast", is_flag=True, help="The same story without pauses for reading.")
@VERBOSE_OPTION
def demo(*, fast: bool, verbose: bool) -> None:
    """See the failure this package cures, and the cure. Takes about ten seconds.

    A bot's turn runs into its time limit. With the guard switched off the session stays failed and every later
    message gets a receipt, a typing sign, and then silence. With the guard the next message announces the restart
    and is answered, and so is everything after it.

    All of it really happens, in this process and in a temporary folder that is removed: no network, no keys, no
    configuration. At the end everything that was said is checked. To write yourself: openclaw-octo playground.

    Exit codes: 0 every message was answered, 1 something went unanswered, 2 the demo could not be played.
    """
    setup_logging("INFO" if verbose else "CRITICAL")
    click.secho("openclaw-octo demo: no message to the bot ends in silence", bold=True)
    click.echo()
    screen.prose(INTRODUCTION)
    sys.exit(conclude(_play(fast=fast)))


def conclude(heard: Heard) -> int:
    """Print what was checked, and return the exit code."""
    claims = check(heard)
    screen.heading("Checked")
    for claim, contradictions in claims.items():
        mark = click.style("✗", fg="red", bold=True) if contradictions else click.style("✓", fg="green")
        click.echo(f"  {mark} {claim}")
        for line in contradictions:
            click.secho(f"      {line}", fg="red")
    click.echo()
    if not any(claims.values()):
        click.secho("Nothing went unanswered.", fg="green", bold=True)
        return 0
    click.echo("The demo did not show what it claims: see the lines marked ✗.", err=True)
    return NOT_FINE


def _play(*, fast: bool) -> Heard:
    """Return what was heard in a story in a temporary folder, or end the program with what went wrong."""
    from openclaw_channel_octo.cli.demo.story import FAST, NORMAL, tell  # noqa: PLC0415  # a whole server: only here

    async def played() -> Heard:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # inside a coroutine there is one
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        with TemporaryDirectory(prefix="octo-demo-") as folder:
            return await tell(Path(folder), FAST if fast else NORMAL)

    try:
        return asyncio.run(played())
    except BrokenPipeError:
        raise  # somebody closed the pipe we print into; click ends quietly
    except (OctoError, OSError) as error:
        fail(NOT_TRIED, f"the demo could not be played: {error}")
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)
