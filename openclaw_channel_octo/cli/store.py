"""What the commands that look into a state folder share."""

import os
from pathlib import Path

import click

__all__ = ["STORE_OPTION", "age", "plain", "store_folder"]

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


def age(then_ms: int, now_ms: int) -> str:
    """Return how long ago something was, in the largest whole unit."""
    seconds = max(0, now_ms - then_ms) // 1000
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def plain(text: str) -> str:
    """Return a text of somebody else's as one line that no terminal takes for commands."""
    return "".join(char if char.isprintable() else " " for char in text)
