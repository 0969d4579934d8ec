"""`openclaw-octo sessions`: what sessions will do with the next message, and their repair without a restart."""

import json
import sys
from pathlib import Path
from typing import Any

import click
from msgspec import to_builtins

from openclaw_channel_octo.cli.options import JSON_LINES_OPTION, STORE_OPTION, gateway_check, with_store
from openclaw_channel_octo.cli.output import NOT_FINE, NOT_TRIED, age, fail, plain
from openclaw_channel_octo.cli.sessions.files import (
    PATIENCE_MS,
    FoundSession,
    fix,
    is_fine,
    is_in_gateway,
    is_owned,
    read_sessions,
)
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.control.client import ask
from openclaw_channel_octo.errors import ControlError, HostError
from openclaw_channel_octo.observe.logs import Secrets
from openclaw_channel_octo.session.guard import Action, Plan, Situation, plan
from openclaw_channel_octo.session.key import kind_of
from openclaw_channel_octo.session.status import SessionSnapshot, Status

__all__ = ["sessions", "verdict"]

AGENT_OPTION = click.option("--agent", default="", metavar="ID", help="Only this agent's sessions.")
KEY_OPTION = click.option("--session", "key", default="", metavar="KEY", help="Only this session.")


@click.group()
def sessions() -> None:
    """Look at the sessions of the embedded host, and repair them; works while the bots run."""


@sessions.command("list")
@STORE_OPTION
@AGENT_OPTION
@JSON_LINES_OPTION
def list_sessions(store: Path, agent: str, as_json: bool) -> None:
    """Show every session and its status."""
    found = _load(store, agent)
    for each in found:
        snapshot = each.snapshot
        when = age(snapshot.updated_at, SystemClock().wall_ms()) if snapshot.updated_at else "-"
        line = plain(f"{snapshot.status or 'new':<12} {when:>7}  {snapshot.session_key}")
        click.echo(json.dumps(_as_json(each, {})) if as_json else line)
    if not as_json:
        click.echo(f"{len(found)} session{'' if len(found) == 1 else 's'}")


@sessions.command()
@STORE_OPTION
@AGENT_OPTION
@KEY_OPTION
@JSON_LINES_OPTION
def show(store: Path, agent: str, key: str, as_json: bool) -> None:
    """Explain whether sessions will answer the next message; without --session those that are not fine.

    While the bots run they are asked: what they know of runs and waiting messages is shown too.

    Exit codes: 0 all are fine, 1 some are not (or there is no such session), 2 the sessions cannot be read.
    """
    found = [each for each in _load(store, agent, key) if not key or each.named(key)]
    shown = found if key else [each for each in found if not is_fine(each.snapshot)]
    views = [(each, _live(store, each.snapshot.session_key)) for each in shown]
    if key and not found:
        view = _live(store, key)
        if not view.get("snapshot"):
            fail(NOT_FINE, f"no session {key} in {store}")
        views = [(FoundSession("", SessionSnapshot(**view["snapshot"])), view)]
    troubled = [(each, view) for each, view in views if _in_trouble(each, view)]
    for each, view in views if key else troubled:
        click.echo(json.dumps(_as_json(each, view)) if as_json else _explain(store, each, view))
    if not troubled and not key and not as_json:
        click.echo(f"All {len(found)} sessions are fine.")
    sys.exit(NOT_FINE if troubled else 0)


@sessions.command()
@STORE_OPTION
@AGENT_OPTION
@KEY_OPTION
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@JSON_LINES_OPTION
def repair(store: Path, agent: str, key: str, dry_run: bool, as_json: bool) -> None:
    """Clear what failed and stuck runs left behind, so that the next message is answered; no restart is needed.

    Exactly what recovery clears is cleared; memory, settings and unknown fields stay. While the bots run they do it
    themselves. Where none run, the file is changed under its lock, and a copy of it is kept beside it.

    Exit codes: 0 done, or nothing to do; 1 a session could not be repaired, or there is no such session; 2 the
    sessions cannot be read or written.
    """
    try:
        fixes = fix(store, agent, key, dry_run=dry_run)
    except (HostError, ControlError, OSError, ValueError) as error:
        fail(NOT_TRIED, f"nothing was repaired: {getattr(error, 'strerror', None) or error}")
    for each in fixes:
        click.echo(json.dumps(to_builtins(each)) if as_json else each.line(dry_run=dry_run))
    if not fixes and not key and not as_json:
        click.echo("Nothing to repair.")
    if not fixes and key:
        fail(NOT_FINE, f"no session {key} in {store}")
    sys.exit(NOT_FINE if any(each.failed for each in fixes) else 0)


def _live(store: Path, key: str) -> dict[str, Any]:
    """Return what a running process says about a session; empty where none runs or it cannot say."""
    try:
        return dict(ask(store, "session.show", {"session": key}))
    except ControlError:
        return {}


def _load(store: Path, agent: str, key: str = "") -> list[FoundSession]:
    found: list[FoundSession] = []
    try:
        found = read_sessions(store, agent)
        problem = "" if found or key else _why_none(store)
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or str(error)
    if problem:
        fail(NOT_TRIED, f"the sessions in {store} cannot be read: {problem}")
    return found


def _why_none(store: Path) -> str:
    """Return why no session is found in a folder, empty where there simply is none yet."""
    if is_in_gateway(store):
        return (
            f"they are in the gateway; {gateway_check()} shows them, and"
            f" {with_store('sessions show --session KEY', store)} what running bots know of one"
        )
    if not any((store / name).exists() for name in ("agents", "octo.sqlite")):
        return "no bots have worked with this folder; give their state folder with --store"
    return ""


def _in_trouble(each: FoundSession, view: dict[str, Any]) -> bool:
    """Return whether the next message finds something to recover; how long a run may take, running bots know."""
    running = view and each.snapshot.status == Status.RUNNING
    return _plan(each, view).action is Action.RECOVER if running else not is_fine(each.snapshot)


def _plan(each: FoundSession, view: dict[str, Any]) -> Plan:
    """Return what the guard will do with the next message, as the running bots say, else as the file says."""
    if view:
        return Plan(**view["plan"])
    now_ms, kind = SystemClock().wall_ms(), kind_of(each.snapshot.session_key)
    seen = Situation(now_ms=now_ms, kind=kind, patience_ms=PATIENCE_MS, waiting_since_ms=now_ms)
    return plan(each.snapshot, seen)


def verdict(todo: Plan) -> str:
    """Return what the guard will do with the next message, in words."""
    match todo.action:
        case Action.WAIT:
            return "a run is under way; the next message waits for it"
        case Action.RECOVER:
            told = "the restart is announced in the group, " if todo.announce else ""
            stuck = "the stuck run is aborted, " if todo.abort_run_id else ""
            return f"at the next message {stuck}{told}the session is recovered with its memory, and the bot answers"
        case _:
            return "the next message is answered"


def _explain(store: Path, each: FoundSession, view: dict[str, Any]) -> str:
    snapshot = each.snapshot
    todo = _plan(each, view)
    lines = [snapshot.session_key, f"  status {snapshot.status or 'new'}: {verdict(todo)}"]
    if todo.action is Action.WAIT and not view and is_owned(store) is False:
        lines[1] = (
            f"  status {snapshot.status}: no process runs it any more; at their next start the bots take note of that,"
            " recover it with its memory, and answer"
        )
    if run := view.get("run"):
        since = age(run["since_ms"], SystemClock().wall_ms())
        lines.append(f"  {run['account_id']} has worked on message {run['message_id']} for {since}")
    if waiting := view.get("waiting"):
        lines.append(f"  messages that wait there: {waiting}")
    if snapshot.runtime_ms is not None:
        lines.append(f"  the last run took {snapshot.runtime_ms / 1000:.1f} s")
    if snapshot.last_run_error:
        lines.append(f"  it ended with: {Secrets().hidden(snapshot.last_run_error)}")
    return "\n".join(map(plain, lines))


def _as_json(each: FoundSession, view: dict[str, Any]) -> dict[str, Any]:
    live: dict[str, Any] = {name: view[name] for name in ("run", "waiting") if name in view}
    told = to_builtins(each.snapshot) | {
        "last_run_error": Secrets().hidden(each.snapshot.last_run_error or "") or None
    }
    return {"agent": each.agent, **told, **live, "verdict": verdict(_plan(each, view))}
