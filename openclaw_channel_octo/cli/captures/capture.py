"""`openclaw-octo capture`: look into a recording, take a part of it, make it fit to be shown to others."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import click
from pydantic import SecretStr

from openclaw_channel_octo.capture.clean import Cleaner
from openclaw_channel_octo.capture.edit import cut as cut_out
from openclaw_channel_octo.capture.edit import redact as redacted
from openclaw_channel_octo.capture.format import Capture, read_capture, write_capture
from openclaw_channel_octo.capture.show import Line, timeline
from openclaw_channel_octo.cli.output import json_text
from openclaw_channel_octo.errors import CaptureError
from openclaw_channel_octo.message.text import single_line

__all__ = ["capture"]

BROKEN = 2

_SOURCE = click.argument("source", metavar="FILE.wkcap", type=click.Path(path_type=Path, dir_okay=False))
_TARGET = click.argument("target", metavar="NEW.wkcap", type=click.Path(path_type=Path, dir_okay=False))


@click.group()
def capture() -> None:
    """Work with recordings made by "run --record". "openclaw-octo replay" runs them again.

    Exit codes: 0 done, 2 a file is broken, or cannot be read or written.
    """


@capture.command()
@_SOURCE
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: at_s, from, what, detail.")
def show(source: Path, as_json: bool) -> None:
    """Print what happened, packet by packet and call by call, messages decrypted."""
    found = _read(source)
    if not as_json:
        header = found.header
        click.echo(f"{source.name}: {single_line(header.description)}")
        bot = header.account.robot_id or header.client.uid
        click.echo(
            f"  bot {single_line(bot)}, recorded {single_line(header.recorded_at) or 'nobody knows when'}"
        )
    for line in timeline(found):
        click.echo(json_text(line) if as_json else _words(line))
    if found.torn:
        click.echo(f"{source.name}: the file ends in the middle of a record", err=True)


@capture.command()
@_SOURCE
@_TARGET
@click.option(
    "--from", "start_s", type=click.FloatRange(min=0), default=0.0, help="First second, 0 by default."
)
@click.option(
    "--to", "end_s", type=click.FloatRange(min=0), default=float("inf"), help="First second left out."
)
def cut(source: Path, target: Path, start_s: float, end_s: float) -> None:
    """Write the part between two times to a new file.

    The handshake of the connection that was up goes along, so that the part can be replayed.
    """
    _write(target, lambda: cut_out(_read(source), start_s, end_s))


@capture.command()
@_SOURCE
@_TARGET
@click.option("--mask-text", is_flag=True, help="Letters and digits of everything that was written become x.")
@click.option(
    "--secret-env",
    "names",
    multiple=True,
    metavar="NAME",
    help="Also replace this environment variable's value.",
)
def redact(source: Path, target: Path, mask_text: bool, names: Sequence[str]) -> None:
    """Write a copy without tokens, and without texts if you like; ids of people and groups stay.

    Whatever looks like a bot token is replaced without being named. Messages are encrypted again, so that the copy
    replays with the same decisions.
    """
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        raise click.BadParameter(f"no such variable: {', '.join(missing)}", param_hint="--secret-env")
    found = _read(source)
    secrets = (SecretStr(os.environ[name]) for name in names)
    cleaner = Cleaner(*secrets, mask_text=mask_text, own_name=found.header.account.name)
    _write(target, lambda: redacted(found, cleaner))


def _read(source: Path) -> Capture:
    try:
        return read_capture(source)
    except CaptureError as error:
        click.echo(f"{source}: {error}", err=True)
        sys.exit(BROKEN)


def _write(target: Path, make: Callable[[], Capture]) -> None:
    """Write what ``make`` gives to a file that is not there yet, for this user alone: it holds what people wrote."""
    try:
        made = make()
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            _fill(file, target, made)
    except CaptureError as error:
        click.echo(f"{target}: {error}", err=True)
        sys.exit(BROKEN)
    except OSError as error:
        click.echo(f"{target}: cannot be written: {error.strerror or error}", err=True)
        sys.exit(BROKEN)
    click.echo(f"{target}: {len(made.records)} records")


def _fill(file: BinaryIO, target: Path, made: Capture) -> None:
    """Write a capture, or leave nothing behind. Raises `OSError`."""
    try:
        write_capture(file, made)
    except OSError:
        target.unlink(missing_ok=True)
        raise


def _words(line: Line) -> str:
    arrow = {"client": "→", "server": "←"}.get(line["from"], " ")
    return f"{line['at_s']:>10.3f} {arrow} {line['what']:<10} {single_line(line['detail'], 150)}".rstrip()
