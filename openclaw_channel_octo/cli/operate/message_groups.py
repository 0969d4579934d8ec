"""Commands of `openclaw-octo message` that change groups and threads."""

import sys
from collections.abc import Sequence

import click

from openclaw_channel_octo.cli.operate.text_command import TextCommand
from openclaw_channel_octo.cli.operate.ticket import JSON, ask, show
from openclaw_channel_octo.cli.output import plain

__all__ = ["MANAGEMENT_COMMANDS"]


@click.command()
@click.argument("target")
@JSON
def notes(target: str, as_json: bool) -> None:
    """Print GROUP.md or THREAD.md, marked as data.

    With its version, which write-notes asks for.
    """
    found = ask("message.notes", target=target)
    show(found, as_json, found["block"])


@click.command("write-notes", cls=TextCommand)
@click.argument("target")
@click.argument("text")
@click.option("--version", type=click.IntRange(min=0), required=True, help="The version it replaces.")
@JSON
def write_notes(target: str, text: str, version: int, as_json: bool) -> None:
    """Put TEXT, "-" for standard input, in the place of GROUP.md or THREAD.md.

    Somebody else's change since that version is an error: read it again.
    """
    whole = sys.stdin.read() if text == "-" else text
    written = ask("message.write_notes", target=target, text=whole, version=version)
    show(written, as_json, f"written: version {written['version']}")
    if written["overwritten"]:
        click.echo(f"versions of others that it replaced meanwhile: {written['overwritten']}", err=True)


@click.command("create-group")
@click.argument("name")
@click.argument("uids", nargs=-1, metavar="[UID]...")
@JSON
def create_group(name: str, uids: Sequence[str], as_json: bool) -> None:
    """Create a group; the person who asked owns it.

    The bot is in it, and the people that are named.
    """
    made = ask("message.create_group", name=name, members=list(uids))
    show(made, as_json, f"created group:{made['group']}")
    _left_out(made["left_out"])


@click.command("rename-group")
@click.argument("group")
@click.argument("name")
@JSON
def rename_group(group: str, name: str, as_json: bool) -> None:
    """Rename a group."""
    show(ask("message.rename_group", group=group, name=name), as_json, "renamed")


@click.command("add-members")
@click.argument("group")
@click.argument("uids", nargs=-1, required=True, metavar="UID...")
@JSON
def add_members(group: str, uids: Sequence[str], as_json: bool) -> None:
    """Add people to a group."""
    done = ask("message.add_members", group=group, uids=list(uids))
    show(done, as_json, f"added: {', '.join(map(plain, done['added'])) or 'nobody'}")
    _left_out(done["left_out"])


@click.command("remove-members")
@click.argument("group")
@click.argument("uids", nargs=-1, required=True, metavar="UID...")
@JSON
def remove_members(group: str, uids: Sequence[str], as_json: bool) -> None:
    """Remove people from a group; they lose access at once."""
    show(ask("message.remove_members", group=group, uids=list(uids)), as_json, "removed")


@click.command("create-thread")
@click.argument("group")
@click.argument("name")
@JSON
def create_thread(group: str, name: str, as_json: bool) -> None:
    """Open a thread in a group."""
    made = ask("message.create_thread", group=group, name=name)
    show(made, as_json, f"opened group:{made['thread']}")


@click.command("archive-thread")
@click.argument("thread")
@JSON
def archive_thread(thread: str, as_json: bool) -> None:
    """Archive a thread; the next message in it brings it back."""
    show(ask("message.archive_thread", thread=thread), as_json, "archived")


@click.command("join-thread")
@click.argument("thread")
@JSON
def join_thread(thread: str, as_json: bool) -> None:
    """Make the bot a member of a thread."""
    show(ask("message.join_thread", thread=thread), as_json, "joined")


@click.command("leave-thread")
@click.argument("thread")
@JSON
def leave_thread(thread: str, as_json: bool) -> None:
    """Take the bot out of a thread."""
    show(ask("message.leave_thread", thread=thread), as_json, "left")


def _left_out(uids: Sequence[str]) -> None:
    if uids:
        click.echo(f"left out: {', '.join(map(plain, uids))}", err=True)


MANAGEMENT_COMMANDS: Sequence[click.Command] = (
    *(notes, write_notes, create_group, rename_group, add_members, remove_members),
    *(create_thread, archive_thread, join_thread, leave_thread),
)
"""The commands; each for the bot's owner and the people listed as managers."""
