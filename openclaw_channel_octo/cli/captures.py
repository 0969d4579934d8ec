"""`openclaw-octo capture` and `replay`: recordings shown, cut, cleaned, and run through the real receive path."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path

import click
from pydantic import SecretStr

from openclaw_channel_octo.capture.clean import Cleaner
from openclaw_channel_octo.capture.edit import cut as cut_out
from openclaw_channel_octo.capture.edit import redact as redacted
from openclaw_channel_octo.capture.format import Capture, read_capture, write_capture
from openclaw_channel_octo.capture.replay import ReplayEvent
from openclaw_channel_octo.capture.replay import replay as replayed
from openclaw_channel_octo.capture.show import timeline
from openclaw_channel_octo.cli.options import JSON_LINES_OPTION
from openclaw_channel_octo.cli.output import NOT_FINE, NOT_TRIED, fail, json_text
from openclaw_channel_octo.errors import CaptureError
from openclaw_channel_octo.message.text import single_line

__all__ = ["capture", "replay"]

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
        arrow = {"client": "→", "server": "←"}.get(line["from"], " ")
        words = f"{line['at_s']:>10.3f} {arrow} {line['what']:<10} {single_line(line['detail'], 150)}"
        click.echo(json_text(line) if as_json else words.rstrip())
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
        fail(NOT_TRIED, str(error).replace(source.name, str(source), 1))


def _write(target: Path, make: Callable[[], Capture]) -> None:
    """Write what ``make`` gives to a file that is not there yet, for this user alone: it holds what people wrote."""
    try:
        made = make()
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            try:
                write_capture(file, made)
            except OSError:
                target.unlink(missing_ok=True)  # half a capture is none
                raise
    except CaptureError as error:
        fail(NOT_TRIED, f"{target}: {error}")
    except OSError as error:
        fail(NOT_TRIED, f"{target}: cannot be written: {error.strerror or error}")
    click.echo(f"{target}: {len(made.records)} records")


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE.wkcap...", type=click.Path(path_type=Path))
@JSON_LINES_OPTION
def replay(files: Sequence[Path], as_json: bool) -> None:
    """Run captures through the real connection, inbox and gate.

    Uses the keys in each capture, so that every message is verified and decrypted as it was live. Where the people
    who wrote the messages said whom they meant, the decisions are compared with that.

    With --json the "event" of each line is connected, message, kicked, closed, or summary; the summary comes last and
    holds the counts, the comparison of acknowledgements and the disagreements.

    Exit codes: 0 all decisions agree, 1 some do not, 2 a file is broken.
    """
    code = 0
    for file in files:
        try:
            code = max(code, asyncio.run(_replay(file, as_json)))
        except CaptureError as error:
            click.echo(f"{file}: {error}", err=True)
            code = NOT_TRIED
    sys.exit(code)


async def _replay(file: Path, as_json: bool) -> int:
    """Print one capture's events and return its exit code."""
    found = read_capture(file, for_replay=True)
    disagreements = 0
    if not as_json:
        click.echo(f"{file.name}: {single_line(found.header.description)}")
    async with aclosing(replayed(found)) as events:  # type: ignore[type-var]  # an async generator
        async for event in events:
            click.echo(json.dumps(event) if as_json else _event_words(event))
            if event["event"] == "summary":
                disagreements = len(event["disagreements"])
    if found.torn:
        click.echo(
            f"{file.name}: the file ends in the middle of a record; everything before it was replayed",
            err=True,
        )
    return NOT_FINE if disagreements else 0


def _event_words(event: ReplayEvent) -> str:
    match event["event"]:
        case "connected":
            return f"  connection {event['connection']} up, protocol version {event['proto_version']}"
        case "message":
            sender, text = single_line(event["from_uid"], 8) or "-", single_line(event["text"], 60)
            return f"  {event['decision']:<11} {event['reason']:<22} {sender:<9} {text}"
        case "kicked":
            return f"  connection {event['connection']} kicked, reason {event['reason']}: {single_line(event['text'])}"
        case "closed":
            return f"  connection {event['connection']} ended: {event['outcome']}"
    counts = ", ".join(f"{count} {kind}" for kind, count in event["decisions"].items() if count)
    acks = event["acks"]
    compared = "equal to the recorded ones" if acks["equal"] else f"{len(acks['mismatches'])} differ"
    if not acks["compared_connections"]:
        compared = "none recorded to compare with"
    lines = [f"  {event['messages']} messages: {counts or 'none'}; {acks['sent']} acks, {compared}"]
    lines += [
        f"  DISAGREES {each['message_id']}: decided {each['decision']} ({each['reason']}), "
        f"the sender meant addressed={each['label']} ({each['why']})"
        for each in event["disagreements"]
    ]
    return "\n".join(lines)
