"""`openclaw-octo replay`: recorded traffic through the real receive path."""

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import click

from openclaw_channel_octo.capture.format import read_capture
from openclaw_channel_octo.capture.replay import ReplayEvent
from openclaw_channel_octo.capture.replay import replay as replay_capture
from openclaw_channel_octo.errors import CaptureError
from openclaw_channel_octo.message.text import single_line

__all__ = ["replay"]

DISAGREES = 1
BROKEN = 2


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE.wkcap...", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
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
            code = BROKEN
    sys.exit(code)


async def _replay(file: Path, as_json: bool) -> int:
    """Print one capture's events and return its exit code."""
    capture = read_capture(file, for_replay=True)
    disagreements = 0
    if not as_json:
        click.echo(f"{file.name}: {single_line(capture.header.description)}")
    async with aclosing(replay_capture(capture)) as events:  # type: ignore[type-var]  # an async generator
        async for event in events:
            click.echo(json.dumps(event) if as_json else _words(event))
            if event["event"] == "summary":
                disagreements = len(event["disagreements"])
    if capture.torn:
        click.echo(
            f"{file.name}: the file ends in the middle of a record; everything before it was replayed",
            err=True,
        )
    return DISAGREES if disagreements else 0


def _words(event: ReplayEvent) -> str:
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
        case _:
            return _summary_words(event)


def _summary_words(summary: ReplayEvent) -> str:
    counts = ", ".join(f"{count} {kind}" for kind, count in summary["decisions"].items() if count)
    acks = summary["acks"]
    compared = "equal to the recorded ones" if acks["equal"] else f"{len(acks['mismatches'])} differ"
    if not acks["compared_connections"]:
        compared = "none recorded to compare with"
    lines = [f"  {summary['messages']} messages: {counts or 'none'}; {acks['sent']} acks, {compared}"]
    lines += [
        f"  DISAGREES {each['message_id']}: decided {each['decision']} ({each['reason']}), "
        f"the sender meant addressed={each['label']} ({each['why']})"
        for each in summary["disagreements"]
    ]
    return "\n".join(lines)
