"""`openclaw-octo message`: what an agent program may do in the chat while its turn runs."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from openclaw_channel_octo.cli.operate.message_groups import MANAGEMENT_COMMANDS
from openclaw_channel_octo.cli.operate.text_command import TextCommand
from openclaw_channel_octo.cli.operate.ticket import JSON, ask, show, table
from openclaw_channel_octo.cli.output import plain

__all__ = ["message"]


@click.group()
def message() -> None:
    """Send, read and look up things in the chat, for the person who asked.

    For agent programs: it works inside a run only, with OPENCLAW_TURN and OPENCLAW_STORE as the bots set them, reaches
    what that person reaches, and ends with the run. A TARGET is group:ID, group:ID____THREAD, user:UID or a bare id;
    group:ID@UID,UID calls people.

    Exit codes: 0 done, 1 refused or failed, 2 not inside a run, or called wrongly.
    """


SCOPE = click.option("--scope", type=click.Choice(["parent"]), help="From a thread: its group itself.")


@message.command(cls=TextCommand)
@click.argument("target")
@click.argument("text", default="")
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="PATH_OR_URL",
    help="Send this file; may be given several times.",
)
@click.option("--rich", is_flag=True, help="Text and pictures as one message; other files follow.")
@SCOPE
@JSON
def send(  # one for each option
    target: str, text: str, files: Sequence[str], rich: bool, scope: str | None, as_json: bool
) -> None:
    """Send TEXT, "-" for standard input, and files. In the turn's own conversation it is a part of the answer.

    A file that cannot be sent is a line in the chat that says why, and one on standard error; the rest is sent.
    """
    said = sys.stdin.read() if text == "-" else text
    sent = ask(
        "message.send",
        target=target,
        text=said,
        files=[_place(one) for one in files],
        rich=rich,
        scope=scope or "",
    )
    became = ", ".join(sent["message_ids"]) or "as a part of the file at the end of the answer"
    show(sent, as_json, f"sent to {sent['target']}: {became}")
    for name, why in sent["failed_media"]:
        click.echo(f"not sent: {plain(name)}: {plain(why)}", err=True)


def _place(file: str) -> str:
    """Return a file of this machine by its whole path, everything else as it is."""
    try:
        return str(Path(file).absolute()) if Path(file).exists() else file
    except OSError:  # too long for a path: the content itself, in a data: address
        return file


@message.command(cls=TextCommand)
@click.argument("target")
@click.argument("message_id")
@click.argument("text")
@SCOPE
@JSON
def edit(target: str, message_id: str, text: str, scope: str | None, as_json: bool) -> None:
    """Put TEXT in the place of one of the bot's own messages."""
    done = ask("message.edit", target=target, message_id=message_id, text=text, scope=scope or "")
    show(done, as_json, f"changed {message_id}")


@message.command()
@click.argument("target")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="Most messages.")
@click.option("--before", type=click.IntRange(min=0), default=0, help="Only messages numbered below this.")
@click.option("--after", type=click.IntRange(min=0), default=0, help="Only messages numbered above this.")
@JSON
def read(target: str, limit: int, before: int, after: int, as_json: bool) -> None:
    """Print messages of a conversation, marked as data."""
    page = ask("message.read", target=target, limit=limit, before=before, after=after)
    show(page, as_json, page["block"])


@message.command()
@click.argument("target")
@click.argument("words")
@click.option("--limit", type=click.IntRange(1, 50), default=20, show_default=True, help="Most messages.")
@JSON
def search(target: str, words: str, limit: int, as_json: bool) -> None:
    """Print the newest messages of a conversation that contain all WORDS, out of its last thousand."""
    page = ask("message.search", target=target, words=words, limit=limit)
    show(page, as_json, page["block"])


@message.command()
@JSON
def groups(as_json: bool) -> None:
    """List the groups the bot and the person who asked are both in."""
    found = ask("message.groups")
    show(found, as_json, table(found, "group", "name"))


@message.command()
@click.argument("group")
@click.option("--name", default="", help="Only those whose names contain this.")
@JSON
def members(group: str, name: str, as_json: bool) -> None:
    """List who is in a group."""
    found = ask("message.members", group=group, name=name)
    show(found, as_json, table(found, "uid", "name"))


@message.command()
@click.argument("group")
@JSON
def threads(group: str, as_json: bool) -> None:
    """List the threads of a group."""
    found = ask("message.threads", group=group)
    show(found, as_json, table(found, "thread", "name"))


@message.command()
@click.argument("name")
@JSON
def resolve(name: str, as_json: bool) -> None:
    """Find groups and threads by name; never picks one of several."""
    found = ask("message.resolve", name=name)
    more = "" if found["complete"] else "\n(there may be more)"
    show(found, as_json, table(found["candidates"], "channel", "name") + more)


for command in MANAGEMENT_COMMANDS:
    message.add_command(command)
