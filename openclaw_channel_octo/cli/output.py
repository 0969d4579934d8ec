"""What the commands that look into a state folder share."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from openclaw_channel_octo.errors import StoreError
from openclaw_channel_octo.store.admin import JournalAdmin

__all__ = [
    "JSON_OPTION",
    "NOT_FINE",
    "NOT_READ",
    "STORE_OPTION",
    "StoreErrors",
    "age",
    "journal_in",
    "json_text",
    "plain",
    "store_folder",
]

NOT_FINE = 1
NOT_READ = 2

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def store_folder() -> Path:
    """Return the default state folder, where the bots keep theirs unless configured otherwise."""
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "openclaw-octo"


STORE_OPTION = click.option(
    "--store",
    metavar="STATEDIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=store_folder,
    help="The bots' state folder, host.stateDir in the configuration.",
)

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")


class StoreErrors:
    """Turns a journal that cannot be read into one line and an exit code."""

    def __enter__(self) -> None:
        """Begin to read."""

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        """End with one clear line."""
        if isinstance(error, StoreError):
            click.echo(str(error), err=True)
            sys.exit(NOT_READ)


def journal_in(store: Path) -> JournalAdmin:
    """Return the journal of a state folder, for looking into it."""
    return JournalAdmin(store / "octo.sqlite")


def age(then_ms: int, now_ms: int) -> str:
    """Return how long ago something was, in the largest whole unit."""
    seconds = max(0, now_ms - then_ms) // 1000
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def json_text(value: Any, indent: int | None = None) -> str:
    """Return JSON whose readable characters stand as they are, and whose others no terminal takes for commands.

    Args:
        value: anything JSON has a form for.
        indent: spaces for each level, ``None`` for one line.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def plain(text: str) -> str:
    """Return a text of somebody else's as one line that no terminal takes for commands."""
    return "".join(char if char.isprintable() else " " for char in text)
