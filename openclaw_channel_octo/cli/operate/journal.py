"""`openclaw-octo journal`: what became of each message that addressed a bot."""

import json
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from msgspec import to_builtins
from msgspec.structs import asdict

from openclaw_channel_octo.cli.options import (
    ACCOUNT_OPTION,
    JSON_LINES_OPTION,
    LIMIT_OPTION,
    STORE_OPTION,
    with_store,
)
from openclaw_channel_octo.cli.output import NOT_FINE, StoreGroup, age, fail, journal_in, journal_of, plain
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.control.client import ask
from openclaw_channel_octo.errors import ControlError, NotRunning
from openclaw_channel_octo.ids import ChannelRef, group_of
from openclaw_channel_octo.message.payload import parse_payload
from openclaw_channel_octo.store.admin import JournalRow
from openclaw_channel_octo.store.prompts import KeptPrompt
from openclaw_channel_octo.store.records import Chunk
from openclaw_channel_octo.store.states import OPEN, RowState

__all__ = ["journal"]

BURIED = "buried by an operator"
NAMES_WITHIN_S = 3.0
IN_HAND = (
    "The bots run: what they have in hand of it, a turn or its place in the queue, still ends by itself."
    " To be sure that it is dropped, stop them and bury it then."
)


@click.group(cls=StoreGroup)
def journal() -> None:
    """Look up what became of messages; works while the bots run.

    Every message that addresses a bot ends answered, notified (a notice stands in the chat), or dead (nothing could
    be shown, with the reason).
    """


@journal.command("list")
@STORE_OPTION
@click.option(
    "--state", "states", multiple=True, type=click.Choice([*map(str, RowState)]), help="Only this state."
)
@ACCOUNT_OPTION
@LIMIT_OPTION
@JSON_LINES_OPTION
def list_rows(store: Path, states: Sequence[str], account: str, limit: int, as_json: bool) -> None:
    """Show messages, newest first."""
    reader = journal_of(store, account)
    rows = reader.rows(states=states, account=account.lower(), limit=limit)
    counts = ", ".join(f"{count} {state}" for state, count in sorted(reader.counts().items()))
    _print_rows(store, rows, as_json)
    if not as_json:
        click.echo(counts or "The journal is empty.")


@journal.command()
@STORE_OPTION
@JSON_LINES_OPTION
def dead(store: Path, as_json: bool) -> None:
    """Show messages that got no answer, and why. Exit code 1 when there are any."""
    rows = journal_in(store).rows(states=[RowState.DEAD], limit=100_000)
    _print_rows(store, rows, as_json)
    if not rows and not as_json:
        click.echo("No dead letters.")
    elif not as_json:
        retry_newest = with_store(f"journal retry {shlex.quote(rows[0].message_id)}", store)
        click.echo(f"{len(rows)} dead. To have the newest answered after all: {retry_newest}")
    sys.exit(NOT_FINE if rows else 0)


@journal.command()
@click.argument("name", metavar="ID")
@STORE_OPTION
@click.option("--text", is_flag=True, help="Also show what was said.")
@click.option(
    "--prompt",
    is_flag=True,
    help="Also show what the agent was given, kept for failed runs or with keepPrompts.",
)
@JSON_LINES_OPTION
def show(name: str, store: Path, text: bool, prompt: bool, as_json: bool) -> None:
    """Show everything about one message, named by its id or by the trace id of its log lines."""
    reader = journal_in(store)
    found = [(row, reader.chunks(row)) for row in reader.find(name)]
    if not found:
        fail(NOT_FINE, f"no message {name} in the journal")
    for row, chunks in found:
        kept = reader.prompt(row) if prompt else None
        if as_json:
            asked = {"prompt": to_builtins(kept)} if prompt else {}
            click.echo(json.dumps(_as_json(row, chunks, text=text) | asked))
        else:
            click.echo(_story(row, chunks, text=text))
            if prompt:
                click.echo(_told(kept))


@journal.command()
@click.argument("names", metavar="ID...", nargs=-1, required=True)
@STORE_OPTION
def retry(names: Sequence[str], store: Path) -> None:
    """Have messages answered after all, by running bots at once, else at the next start.

    Exit code 1 when one could not be.

    Dead letters, and what was turned away with a notice before any run: too old, a full lane, a limit.
    """
    reader = journal_in(store)
    refused = 0
    for name in names:
        rows = reader.find(name)
        done = [row for row in rows if reader.retry(row, SystemClock().wall_ms())]
        if done:
            taken = [_is_taken_up(store, row) for row in done]
            click.echo(
                f"{name}: {'is taken up' if all(taken) else 'will be answered when the bot is started again'}"
            )
            continue
        refused += 1
        why = f"it is {rows[0].state}" if rows else "no such message"
        click.echo(f"{name}: left alone, {why}", err=True)
    sys.exit(NOT_FINE if refused else 0)


def _is_taken_up(store: Path, row: JournalRow) -> bool:
    """Tell the running bot of a message that was opened again; return whether it takes it up."""
    try:
        taken = ask(store, "journal.take_up", {"account": row.account, "rows": [row.id]})
    except ControlError:  # nobody runs, or not this bot: the next start finds the message
        return False
    return row.id in taken["rows"]


@journal.command()
@click.argument("name", metavar="ID")
@STORE_OPTION
@ACCOUNT_OPTION
@click.option("--reason", default=BURIED, show_default=True, metavar="TEXT", help="Why, for the journal.")
@JSON_LINES_OPTION
def bury(name: str, store: Path, account: str, reason: str, as_json: bool) -> None:
    """End a message that has no end as a dead letter: it is not taken up again. Exit code 1 when it was left alone.

    It is named by its id or by the trace id of its log lines. Nothing is said in the chat.
    """
    reader = journal_of(store, account)
    rows = [row for row in reader.find(name) if account.lower() in {"", row.account}]
    refusal = _not_to_bury(rows)
    if not refusal and not reader.bury(rows[0], reason, SystemClock().wall_ms()):
        refusal = "it has ended in this moment"
    if refusal:
        fail(NOT_FINE, plain(f"{name}: left alone, {refusal}"))
    found = [(row, reader.chunks(row)) for row in reader.find(name) if row.id == rows[0].id]
    for row, chunks in found:
        told = plain(f"{name}: buried, {reason}")
        click.echo(json.dumps(_as_json(row, chunks, text=False)) if as_json else told)
    try:
        ask(store, "ping")
    except NotRunning:
        return
    except ControlError:
        pass  # somebody is there and says no
    click.echo(IN_HAND, err=True)


def _not_to_bury(rows: Sequence[JournalRow]) -> str:
    """Return why the messages a name stands for cannot be buried, empty where they can."""
    if not rows:
        return "no such message"
    if len(rows) > 1:
        which = ", ".join(f"{row.message_id} of bot {row.account} ({row.state})" for row in rows)
        return f"it may be any of {len(rows)}: {which}; give the message id, and the bot with --account"
    return "" if rows[0].state in OPEN else f"it has ended already: {rows[0].state}"


@journal.command()
@STORE_OPTION
@ACCOUNT_OPTION
@LIMIT_OPTION
@JSON_LINES_OPTION
def audit(store: Path, account: str, limit: int, as_json: bool) -> None:
    """Show what agents and hosts had the bots do beside answering, for whom, and what came of it, newest first."""
    entries = journal_of(store, account).audit(account=account.lower(), limit=limit)
    now_ms = SystemClock().wall_ms()
    for entry in entries:
        where = f" {entry.target}" if entry.target else ""
        line = (
            f"{age(entry.at, now_ms):>7}  {entry.outcome:<6}  {entry.account:<12.12}  {entry.action}{where}"
            f" for {entry.requester}{': ' + entry.detail if entry.detail else ''}"
        )
        click.echo(json.dumps(to_builtins(entry)) if as_json else plain(line))
    if not entries and not as_json:
        click.echo("Nothing was asked for.")


def _names(store: Path, accounts: Iterable[str]) -> Mapping[tuple[str, str], str]:
    """Return the names of groups by account and id, where the bots run and know them."""
    found: dict[tuple[str, str], str] = {}
    for account in accounts:
        try:
            named = ask(store, "group.names", {"account": account}, timeout_s=NAMES_WITHIN_S)
        except ControlError:
            break
        found |= {(account, group_no): name for group_no, name in named.items()}
    return found


def _print_rows(store: Path, rows: Sequence[JournalRow], as_json: bool) -> None:
    now_ms = SystemClock().wall_ms()
    names = _names(store, sorted({row.account for row in rows}))
    for row in rows:
        group = group_of(ChannelRef(row.channel_id, row.channel_type))
        name = names.get((row.account, group.id), "")
        if as_json:
            click.echo(json.dumps(_as_json(row, None, text=False) | {"channel_name": name}))
            continue
        where = f"{row.channel_id}{f' {name!r}' if name else ''}"
        when = age(row.received_at, now_ms)
        told = f": {row.detail}" if row.detail else ""
        line = (
            f"{when:>7}  {row.state:<8}  {row.account:<12.12}  {row.message_id:<19}"
            f"  from {row.from_uid[:12]:<12}  in {where} ({row.reason}){told}"
        )
        click.echo(plain(line))


def _as_json(row: JournalRow, chunks: Sequence[Chunk] | None, *, text: bool) -> dict[str, Any]:
    shown: dict[str, Any] = asdict(row)
    payload = shown.pop("payload")
    if text:
        shown["text"] = parse_payload(payload).text
    if chunks is not None:
        shown["chunks"] = [
            {"state": chunk.state, "message_id": chunk.message_id} | ({"text": chunk.text} if text else {})
            for chunk in chunks
        ]
    return shown


def _told(prompt: KeptPrompt | None) -> str:
    """Return in words what an agent was given."""
    if prompt is None:
        return (
            "  no prompt is kept: it is for failed runs, and with the setting keepPrompts for all later ones"
        )
    lines = [f"  run {prompt.run_id} was given:", *(f"    {line}" for line in prompt.text.split("\n"))]
    return "\n".join(map(plain, lines))


def _story(row: JournalRow, chunks: Sequence[Chunk], *, text: bool) -> str:
    """Return a message's life in words."""
    now_ms = SystemClock().wall_ms()
    lines = [
        f"message {row.message_id} (trace {row.trace})",
        f"  from {row.from_uid or 'the system'} in {row.channel_id}",
        f"  to bot {row.account}, {age(row.received_at, now_ms)} ago",
        f"  the gate said {row.decision}: {row.reason}",
    ]
    if text:
        lines.append(f"  it says: {parse_payload(row.payload).text}")
    if row.session_key:
        lines.append(f"  session {row.session_key}, {row.attempt} runs, the last {row.run_id or 'none'}")
    lines.append(
        f"  {row.state} since {age(row.updated_at, now_ms)}{': ' + row.detail if row.detail else ''}"
    )
    if row.notice_id:
        lines.append(f"  ended by the notice {row.notice_id}")
    for number, chunk in enumerate(chunks, 1):
        words = f": {chunk.text}" if text else f", {len(chunk.text)} characters"
        lines.append(f"  part {number} of the answer is {chunk.state} {chunk.message_id}{words}")
    return "\n".join(map(plain, lines))
