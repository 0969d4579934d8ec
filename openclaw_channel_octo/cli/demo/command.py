"""`openclaw-octo demo`: the failure this package cures, and the cure, in one process; all it claims is checked."""

import asyncio
import signal
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click
from msgspec import Struct

from openclaw_channel_octo.cli.output import NOT_FINE, NOT_TRIED, fail
from openclaw_channel_octo.errors import OctoError
from openclaw_channel_octo.observe.logs import setup_logging

__all__ = ["WIDTH", "Heard", "Question", "conclude", "demo", "heading", "prose"]

WIDTH: Final = 78

INTRODUCTION = (
    "Ann and Ben share a group with Helper, a bot. Bot, agent, session file and connection are the real ones;"
    " the Octo server is a stand-in inside this process. Beside each line of the chat stands the status of the"
    " conversation's session in the agent host at that moment."
)


class Question(Struct, frozen=True):
    """A message to the bot, and what its agent has to say to it.

    Attributes:
        place: the conversation, in words: ``group``, ``direct chat``, ``thread``.
        who: the sender's name.
        text: the message.
        answer: the agent's answer, different for each question.
    """

    place: str
    who: str
    text: str
    answer: str


class Heard(Struct, frozen=True, kw_only=True):
    """Everything the claims are about.

    Attributes:
        unguarded: messages to the bot after its session had failed, the guard switched off.
        unguarded_lines: what the bot said from then on until it was stopped.
        asked: messages to the bot with the guard on, in the order they were sent.
        lines: what the bot said with the guard on, by place, oldest first.
        statuses: the sessions' status at the end, by place.
        announcement: the words that tell of a restart.
        direct: the place in which no restart is told of.
    """

    unguarded: Sequence[Question]
    unguarded_lines: Sequence[str]
    asked: Sequence[Question]
    lines: Mapping[str, Sequence[str]]
    statuses: Mapping[str, str]
    announcement: str
    direct: str


@click.command()
@click.option("--fast", is_flag=True, help="The same story without pauses for reading.")
@click.option("-v", "--verbose", is_flag=True, help="Also print the operator's log lines, on standard error.")
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
    prose(INTRODUCTION)
    sys.exit(conclude(_play(fast=fast)))


def heading(text: str) -> None:
    """Print the title of a part."""
    click.echo()
    click.secho(f"── {text} ".ljust(WIDTH, "─"), bold=True)


def prose(text: str) -> None:
    """Print a paragraph of explanation."""
    click.echo(textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="  "))


def conclude(heard: Heard) -> int:
    """Print what was checked, and return the exit code."""
    claims = _claims(heard)
    heading("Checked")
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


def _claims(heard: Heard) -> dict[str, list[str]]:
    """Return every claim of the demo in words, each with a line for all that contradicts it."""
    missing = [each for each in heard.asked if each.answer not in heard.lines.get(each.place, ())]
    answered = len(heard.asked) - len(missing)
    return {
        f"without the guard: {len(heard.unguarded)} messages after the failure, 0 answers": [
            f"the bot said: {line}" for line in heard.unguarded_lines
        ],
        f"with the guard: {len(heard.asked)} messages, {answered} answers": [
            f"UNANSWERED: {each.who} in the {each.place}: {each.text}" for each in missing
        ],
        f"one announcement, before the first answer, none in the {heard.direct}": list(
            _announcement_faults(heard)
        ),
        "answers in the order of the questions, none twice": list(_order_faults(heard)),
        f"all {len(heard.statuses)} sessions done": [
            f"{place}: {status}" for place, status in heard.statuses.items() if status != "done"
        ],
    }


def _announcement_faults(heard: Heard) -> Iterator[str]:
    times = sum(line == heard.announcement for lines in heard.lines.values() for line in lines)
    if times != 1:
        yield f"it was announced {times} times"
    if heard.announcement in heard.lines.get(heard.direct, ()):
        yield f"it was announced in the {heard.direct}"
    recovered = heard.asked[0].place
    if list(heard.lines.get(recovered, ()))[:1] != [heard.announcement]:
        yield f"the first thing said in the {recovered} was something else"


def _order_faults(heard: Heard) -> Iterator[str]:
    for place, lines in heard.lines.items():
        expected = [each.answer for each in heard.asked if each.place == place and each.answer in lines]
        said = [line for line in lines if line != heard.announcement]
        if said != expected:
            yield f"in the {place} the bot said: {' | '.join(said)}"


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
