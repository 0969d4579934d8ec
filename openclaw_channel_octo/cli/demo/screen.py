"""The demo's screen, 80 columns wide: the session's status on the left, the chat beside it.

Colours vanish where the output is no terminal.
"""

import textwrap
from collections.abc import Sequence
from typing import Final

import click

__all__ = ["heading", "place", "prose", "remark", "said", "signs"]

WIDTH: Final = 78
NAME: Final = 8
STATUS: Final = 8
CHAT: Final = WIDTH - STATUS - NAME - 5

_STATUS_COLOURS: Final = {"timeout": "red", "failed": "red", "running": "yellow", "done": "green"}
_NAME_COLOURS: Final = {"Ann": "cyan", "Ben": "magenta", "Helper": "green"}


def heading(text: str) -> None:
    """Print the title of a part."""
    click.echo()
    click.secho(f"── {text} ".ljust(WIDTH, "─"), bold=True)


def prose(text: str) -> None:
    """Print a paragraph of explanation."""
    click.echo(textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="  "))


def place(name: str) -> None:
    """Print the head of the two columns, for a conversation."""
    click.echo()
    click.secho(f"  {'session':{STATUS}} ┌ {name}", bold=True)


def said(status: str, name: str, text: str) -> None:
    """Print a message of a conversation.

    Args:
        status: the session's status at this moment.
        name: who wrote it.
        text: the message.
    """
    first, *rest = textwrap.wrap(text, CHAT) or [""]
    speaker = click.style(f"{name:{NAME}}", fg=_NAME_COLOURS.get(name), bold=True)
    click.echo(f"{_status(status)}{speaker}{first}")
    for line in rest:
        _beside(line)


def signs(status: str, shown: Sequence[str]) -> None:
    """Print the signs people see before an answer, such as ``… typing``."""
    line = click.style("   ".join(shown), dim=True)
    click.echo(f"{_status(status)}{'':{NAME}}{line}")


def remark(text: str) -> None:
    """Print a remark about what happens at this moment, in the place of a message."""
    for line in textwrap.wrap(text, CHAT):
        _beside(click.style(line, fg="yellow"))


def _beside(text: str) -> None:
    click.echo(f"{_status('')}{'':{NAME}}{text}")


def _status(status: str) -> str:
    return f"  {click.style(f'{status:{STATUS}}', fg=_STATUS_COLOURS.get(status))} │ "
