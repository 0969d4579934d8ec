"""How commands print and end."""

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from openclaw_channel_octo.errors import StoreError
from openclaw_channel_octo.store.admin import JournalAdmin

__all__ = [
    "NOT_FINE",
    "NOT_TRIED",
    "TRY_LATER",
    "StoreGroup",
    "age",
    "fail",
    "journal_in",
    "journal_of",
    "json_text",
    "local_time",
    "plain",
    "refuse",
]

NOT_FINE = 1
"""Exit code where the thing checked is not fine, or was left alone."""

NOT_TRIED = 2
"""Exit code where it could not be tried."""

TRY_LATER = os.EX_TEMPFAIL
"""Exit code where nothing has to be changed for it to be tried again, 75: a service manager does."""

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def fail(code: int, *lines: str) -> NoReturn:
    """End the program with lines on standard error and an exit code."""
    for line in lines:
        click.echo(line, err=True)
    sys.exit(code)


def refuse(code: int, problems: Sequence[str], *lines: str, as_json: bool) -> NoReturn:
    """End the program with what is wrong: lines on standard error, or one JSON object."""
    if as_json:
        click.echo(json_text({"ok": False, "problems": problems}, indent=2))
    fail(code, *(() if as_json else lines))


class StoreGroup(click.Group):
    """Commands that end with one line where the journal cannot be read."""

    def invoke(self, ctx: click.Context) -> Any:
        """Carry out the command that was asked for."""
        try:
            return super().invoke(ctx)
        except StoreError as error:
            fail(NOT_TRIED, str(error))


def journal_in(store: Path) -> JournalAdmin:
    """Return the journal of a state folder, for looking into it."""
    return JournalAdmin(store / "octo.sqlite")


def journal_of(store: Path, account: str) -> JournalAdmin:
    """Return the journal of a state folder, and end the program where it knows other accounts but not this one.

    Args:
        store: the folder.
        account: an account's id, in any case; empty for none in particular.

    Raises:
        StoreError: it cannot be read.
    """
    journal = journal_in(store)
    known = journal.accounts() if account else []
    if known and account.lower() not in known:
        fail(
            NOT_TRIED,
            plain(f"this journal has nothing of an account {account!r}; it has: {', '.join(known)}"),
        )
    return journal


def age(then_ms: int, now_ms: int) -> str:
    """Return how long ago something was, in the largest whole unit."""
    seconds = max(0, now_ms - then_ms) // 1000
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def local_time(then_ms: int) -> str:
    """Return a time as this machine's clocks show it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(then_ms / 1000))


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
