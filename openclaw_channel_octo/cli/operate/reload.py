"""`openclaw-octo reload`: running bots go by their configuration as it is now."""

from contextlib import suppress
from pathlib import Path

import click

from openclaw_channel_octo.cli.options import JSON_OPTION, STORE_OPTION
from openclaw_channel_octo.cli.output import NOT_FINE, NOT_TRIED, fail, json_text, plain
from openclaw_channel_octo.control.client import ask
from openclaw_channel_octo.errors import ControlError, HostError, NotRunning
from openclaw_channel_octo.host.locks import owner_lock

__all__ = ["reload"]

LONGEST_S = 110.0
"""Longest wait for the answer: commands that secrets come from take their time."""


@click.command()
@STORE_OPTION
@JSON_OPTION
def reload(store: Path, as_json: bool) -> None:
    """Have running bots read their configuration again, with the secrets and files it refers to.

    Bots are started, changed and ended; those whose settings are the same are left alone, and so are running turns. A
    configuration with mistakes changes nothing.

    Exit codes: 0 the bots go by it, 1 nothing was changed, 2 the bots could not be asked.
    """
    try:
        answer = ask(store, "reload", timeout_s=LONGEST_S)
    except NotRunning as error:
        with suppress(HostError):
            if holder := owner_lock(store).holder():
                fail(NOT_TRIED, f"process {holder} has this folder and cannot be asked: {error}")
        fail(NOT_TRIED, f"{error}; a start reads the configuration anyway")
    except ControlError as error:
        known = error.code != "unknown-call"
        fail(
            NOT_TRIED,
            plain(str(error)) if known else "these bots cannot read a configuration again: restart them",
        )
    if as_json:
        click.echo(json_text(answer, indent=2))
    if problems := answer["problems"]:
        fail(NOT_FINE, *(() if as_json else (*map(plain, problems), "Nothing was changed.")))
    if not as_json:
        for warning in answer["warnings"]:
            click.echo(plain(f"warning: {warning}"), err=True)
        click.echo("\n".join(map(plain, answer["lines"])))
