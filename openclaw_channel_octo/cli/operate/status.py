"""`openclaw-octo status`: how the bots are, now."""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from msgspec import to_builtins

from openclaw_channel_octo.cli.options import JSON_LINES_OPTION, STORE_OPTION
from openclaw_channel_octo.cli.output import NOT_FINE, NOT_TRIED, age, journal_in, local_time, plain
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.control.client import ask
from openclaw_channel_octo.errors import ControlError, HostError, StoreError
from openclaw_channel_octo.host.locks import owner_lock
from openclaw_channel_octo.runtime.connection.supervisor import LinkState
from openclaw_channel_octo.store.admin import JournalRow

__all__ = ["status"]

CLEAR = "\x1b[H\x1b[2J"
SHOWN_OF_A_ROW = ("message_id", "trace", "session_key", "state", "detail", "received_at", "updated_at")

Report = Mapping[str, Any]


@click.command()
@STORE_OPTION
@click.option("--watch", is_flag=True, help="Show it again and again, until Ctrl-C.")
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How often --watch looks.",
)
@JSON_LINES_OPTION
def status(store: Path, watch: bool, every: float, as_json: bool) -> None:
    """Show each bot's connection, turns, waiting messages, and what the journal knows of it; changes nothing.

    Works without a running process too: then only the journal is shown.

    Exit codes: 0 every bot is online or ends because it was removed, 1 one is not or no process runs, 2 there is
    nothing to read; with --watch 0 after Ctrl-C.
    """
    if not watch:
        sys.exit(_show(store, as_json=as_json))
    redraw = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not as_json
    try:
        while True:
            _show(store, as_json=as_json, before=CLEAR if redraw else "")
            if not redraw and not as_json:
                click.echo()
            time.sleep(every)
    except KeyboardInterrupt:
        sys.exit(0)


def _show(store: Path, *, as_json: bool, before: str = "") -> int:
    """Print the state once and return the exit code it stands for.

    Args:
        store: the state folder.
        as_json: as one JSON object.
        before: what is written with it, in one piece, so that no empty screen is seen while the bots are asked.
    """
    try:
        found = _report(store)
    except StoreError as error:
        click.echo(before, nl=False, color=True)
        click.echo(str(error), err=True)
        return NOT_TRIED
    told = "\n".join(map(plain, _lines(found, SystemClock().wall_ms())))
    click.echo(json.dumps(found) if as_json else before + told, color=True)
    states = [bot["connection"]["state"] if bot["connection"] else "" for bot in found["bots"].values()]
    fine = all(state in {LinkState.ONLINE, LinkState.ENDING} for state in states)
    return 0 if found["running"] and fine else NOT_FINE


def _report(store: Path) -> Report:
    """Return what the running process and the journal know. Raises `StoreError` where there is neither."""
    live: Mapping[str, Any] = {}
    problem = ""
    try:
        live = ask(store, "status")
    except ControlError as error:
        problem = "" if error.code == "not-running" else str(error)
        with suppress(HostError):
            if holder := owner_lock(store).holder():
                problem = f"process {holder} has this folder and cannot be asked"
    journal = journal_in(store).overview()
    connections = live.get("bots", {})
    bots = {
        name: {
            "connection": connections.get(name),
            "journal": journal[name].counts if name in journal else {},
            "oldest_open": _row(journal[name].oldest_open) if name in journal else None,
            "last_failure": _row(journal[name].last_failure) if name in journal else None,
        }
        for name in sorted(connections or journal)
    }
    return {
        "running": bool(live),
        "problem": problem or live.get("trouble", ""),
        **{name: live.get(name) for name in ("pid", "version", "host")},
        "bots": bots,
        **{name: live.get(name, {}) for name in ("turns", "lanes", "unsent", "failing", "reloads")},
    }


def _row(row: JournalRow | None) -> dict[str, Any] | None:
    return None if row is None else {name: to_builtins(row)[name] for name in SHOWN_OF_A_ROW}


def _lines(found: Report, now_ms: int) -> Iterator[str]:
    if found["running"]:
        yield f"process {found['pid']}, version {found['version']}, {found['host']} host"
    else:
        head = "These bots cannot be asked" if found["problem"] else "No process runs these bots"
        yield f"{head}; this is what the journal knows."
    if found["problem"]:
        yield found["problem"]
    yield from _reload_lines(found["reloads"], now_ms)
    for name, bot in found["bots"].items():
        yield from _bot_lines(name, bot, now_ms)
        for job, error in found["failing"].get(name, {}).items():
            yield f"  {job} fails and is tried again: {error}"
        for key, run in found["turns"].items():
            if run["account_id"] == name:
                count = found["lanes"].get(key, 0)
                waiting = (f", {count} waiting" if count else "") + _unsent(found, key, ", ")
                yield f"  works on message {run['message_id']} for {age(run['since_ms'], now_ms)}{waiting}  {key}"
    for key in sorted({*found["lanes"], *found["unsent"]} - {*found["turns"]}):
        count = found["lanes"].get(key, 0)
        waiting = f"{count} waiting" if count else ""
        doing = ", ".join(part for part in (_unsent(found, key), waiting) if part)
        yield f"{doing or 'ending a turn'}  {key}"


def _reload_lines(reloads: Mapping[str, Any], now_ms: int) -> Iterator[str]:
    if not reloads.get("last_ms"):
        return
    when = age(reloads["last_ms"], now_ms)
    if problems := reloads["problems"]:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        yield f"configuration read again {when} ago and refused, nothing was changed: {problems[0]}{more}"
    else:
        yield f"configuration read again {when} ago"


def _bot_lines(name: str, bot: Mapping[str, Any], now_ms: int) -> Iterator[str]:
    link = bot["connection"]
    yield (f"{name}: {link['state']} for {age(link['since_ms'], now_ms)} ({link['why']})" if link else name)
    counts = ", ".join(f"{count} {state}" for state, count in bot["journal"].items())
    yield f"  journal: {counts or 'no messages yet'}"
    if row := bot["oldest_open"]:
        since = age(row["received_at"], now_ms)
        yield f"  oldest without an end: message {row['message_id']}, {row['state']}, came {since} ago"
    if row := bot["last_failure"]:
        told = "people were told" if row["state"] == "notified" else "nobody was told"
        why = row["detail"] or "no reason noted"
        when = age(row["updated_at"], now_ms)
        yield f"  last failure: {when} ago, message {row['message_id']}, {told}: {why}"


def _unsent(found: Report, key: str, before: str = "") -> str:
    """Return since when a message of a session cannot be sent, empty where none waits for that."""
    since_ms = found["unsent"].get(key)
    if since_ms is None:
        return ""
    return f"{before}waiting to be sent, API fails since {local_time(since_ms)}"
