"""What the commands of an agent program have in common: asked with the ticket of its run, and shown."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from openclaw_channel_octo.cli.options import store_folder
from openclaw_channel_octo.cli.output import NOT_FINE, NOT_TRIED, fail, json_text, plain
from openclaw_channel_octo.control.client import ask as ask_process
from openclaw_channel_octo.errors import ControlError

__all__ = ["JSON", "ask", "show", "table"]

JSON = click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")


def ask(call: str, **params: Any) -> Any:
    """Return what the bots' process answers to a call for this program's run, or end the program with why not."""
    turn = os.environ.get("OPENCLAW_TURN", "")
    if not turn:
        fail(NOT_TRIED, "this works inside an agent's run only: OPENCLAW_TURN is not set")
    store = Path(os.environ.get("OPENCLAW_STORE") or store_folder())
    try:
        return ask_process(store, call, {"turn": turn, **params})
    except ControlError as error:
        fail(NOT_FINE, plain(str(error)))


def show(answer: Any, as_json: bool, words: str) -> None:
    """Print an answer as JSON, or in words."""
    click.echo(json_text(answer) if as_json else words)


def table(rows: Sequence[Mapping[str, Any]], first: str, second: str) -> str:
    """Return two columns of rows as text."""
    return "\n".join(f"{plain(row[first])}  {plain(row[second])}" for row in rows) or "none"
