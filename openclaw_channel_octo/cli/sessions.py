"""`openclaw-octo sessions`: the embedded host's sessions, read and never changed."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from openclaw_channel_octo.cli.store import STORE_OPTION, age
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.host.embedded import rows
from openclaw_channel_octo.host.embedded.content import parse_content
from openclaw_channel_octo.session.guard import Action, Situation, plan
from openclaw_channel_octo.session.status import RECOVERABLE, SessionSnapshot, Status

__all__ = ["sessions"]

NOT_FINE = 1
NOT_READ = 2
PATIENCE_MS = 660_000
"""Time without progress after which a running session is called stuck: the default budget and a minute."""

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
AGENT_OPTION = click.option("--agent", default="", metavar="ID", help="Only this agent's sessions.")


@dataclass(frozen=True, slots=True)
class _Found:
    agent: str
    snapshot: SessionSnapshot


@click.group()
def sessions() -> None:
    """Look at the sessions of the embedded host; works while the bots run, and changes nothing."""


@sessions.command("list")
@STORE_OPTION
@AGENT_OPTION
@JSON_OPTION
def list_sessions(store: Path, agent: str, as_json: bool) -> None:
    """Show every session and its status."""
    found = _load(store, agent)
    for each in found:
        click.echo(json.dumps(_as_json(each)) if as_json else _line(each))
    if not as_json:
        click.echo(f"{len(found)} sessions")


@sessions.command()
@STORE_OPTION
@AGENT_OPTION
@click.option("--session", "key", default="", metavar="KEY", help="This session, whatever its status.")
@JSON_OPTION
def show(store: Path, agent: str, key: str, as_json: bool) -> None:
    """Explain whether sessions will answer the next message; without --session those that are not fine.

    Exit codes: 0 all are fine, 1 some are not (or there is no such session), 2 the sessions cannot be read.
    """
    found = [
        each for each in _load(store, agent) if not key or each.snapshot.session_key.lower() == key.lower()
    ]
    if key and not found:
        click.echo(f"no session {key} in {store}", err=True)
        sys.exit(NOT_FINE)
    troubled = [each for each in found if not _is_fine(each.snapshot)]
    for each in found if key else troubled:
        click.echo(json.dumps(_as_json(each)) if as_json else _explain(each))
    if not troubled and not key and not as_json:
        click.echo(f"All {len(found)} sessions are fine.")
    sys.exit(NOT_FINE if troubled else 0)


def _load(store: Path, agent: str) -> list[_Found]:
    try:
        return sorted(_read(store, agent), key=lambda each: (each.agent, each.snapshot.session_key))
    except (OSError, ValueError) as error:
        click.echo(f"the sessions in {store} cannot be read: {error}", err=True)
        sys.exit(NOT_READ)


def _read(store: Path, agent: str) -> Iterator[_Found]:
    if not store.is_dir():
        raise FileNotFoundError(f"no folder {store}; give the bots' state folder with --store")
    for file in store.glob("agents/*/sessions/sessions.json"):
        owner = file.parts[-3]
        if agent and owner != agent:
            continue
        for key, entry in parse_content(file.read_bytes() or b"{}").items():
            yield _Found(owner, rows.snapshot(key, entry if isinstance(entry, dict) else {}))


def _is_fine(snapshot: SessionSnapshot) -> bool:
    known = {None, *Status}
    return snapshot.status in known and snapshot.status not in RECOVERABLE and not _is_stuck(snapshot)


def _is_stuck(snapshot: SessionSnapshot) -> bool:
    seen = snapshot.started_at or snapshot.updated_at or 0
    return snapshot.status == Status.RUNNING and SystemClock().wall_ms() - seen > PATIENCE_MS


def _verdict(snapshot: SessionSnapshot) -> str:
    """Return in words what the guard will do with the next message."""
    now_ms = SystemClock().wall_ms()
    kind = "direct" if ":direct:" in snapshot.session_key else "group"
    todo = plan(
        snapshot, Situation(now_ms=now_ms, kind=kind, patience_ms=PATIENCE_MS, waiting_since_ms=now_ms)
    )
    match todo.action:
        case Action.RUN:
            return "the next message is answered"
        case Action.WAIT:
            return "a run is under way; the next message waits for it"
        case Action.RECOVER:
            told = "the restart is announced in the group, " if todo.announce else ""
            stuck = "the stuck run is aborted, " if todo.abort_run_id else ""
            return f"at the next message {stuck}{told}the session is recovered with its memory, and the bot answers"


def _line(each: _Found) -> str:
    snapshot = each.snapshot
    when = age(snapshot.updated_at, SystemClock().wall_ms()) if snapshot.updated_at else "-"
    return f"{snapshot.status or 'new':<12} {when:>7}  {snapshot.session_key}"


def _explain(each: _Found) -> str:
    snapshot = each.snapshot
    lines = [
        snapshot.session_key,
        f"  status {snapshot.status or 'new'}: {_verdict(snapshot)}",
    ]
    if snapshot.runtime_ms is not None:
        lines.append(f"  the last run took {snapshot.runtime_ms / 1000:.1f} s")
    if snapshot.last_run_error:
        lines.append(f"  it ended with: {snapshot.last_run_error}")
    return "\n".join(lines)


def _as_json(each: _Found) -> dict[str, Any]:
    return {"agent": each.agent, **asdict(each.snapshot), "verdict": _verdict(each.snapshot)}
