"""What lies on the disk: the state folder, its sessions, its journal; and what the process that has it says."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from openclaw_channel_octo.cli.doctor.findings import Finding, error, fine, warning
from openclaw_channel_octo.cli.options import with_store
from openclaw_channel_octo.cli.output import age, journal_in, plain
from openclaw_channel_octo.cli.sessions.files import is_fine, read_sessions
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.model import BotConfig, EmbeddedHostConfig, OctoConfig
from openclaw_channel_octo.control.client import ask
from openclaw_channel_octo.errors import ControlError, HostError, OtherVersion, StoreError
from openclaw_channel_octo.host.locks import owner_lock
from openclaw_channel_octo.runtime.connection.supervisor import LinkState
from openclaw_channel_octo.session.guard import patience_ms

__all__ = ["check_file", "check_state"]

LITTLE_BYTES = 500 * 1024 * 1024
FULL_BYTES = 50 * 1024 * 1024
OTHERS = 0o077
OTHERS_READ = 0o044
ANSWER_WITHIN_S = 5.0
IN_FILE = "configuration file"
"""What a bot's ``token_source`` is where the token itself is written there."""

SETTLED_MS = 60_000
"""A connection that is down for less may be on its way up again."""

_ADVICE: Mapping[str, str] = {
    LinkState.CONNECTING: "see whether the socket's address (wsUrl, else the server's) is right and its server is up",
    LinkState.KICKED: "stop the other program that uses this bot, or give it a bot of its own",
    LinkState.SUSPECT: "the server forgets the login: stop other programs with this bot, look at the IM server's log",
    LinkState.PAUSED: "stop the other process, or make room where the journal lies",
    LinkState.REFUSED: "ask the bot's owner for its token (BotFather: /token), put it into botToken, and start anew",
}

SHOWN = 3
WRITTEN = ("octo.sqlite", "octo.sqlite-wal", "octo.sqlite-shm", "agents", "agents/*", "agents/*/sessions")
"""What the bots write to, as far as it is there."""

_OURS = "make it this user's: a program of another user may have made it, such as root's"
DISK, FOLDER, SESSIONS, JOURNAL = "disk", "state folder", "sessions", "journal"


def check_file(path: Path, bots: Sequence[BotConfig]) -> Iterator[Finding]:
    """Yield what is found about a configuration file: who else may read the tokens in it.

    Args:
        path: the file.
        bots: the bots it describes.
    """
    holds_tokens = any(bot.token_source == IN_FILE for bot in bots)
    if holds_tokens and path.stat().st_mode & OTHERS_READ:
        advice = f"chmod 600 {path}, or take the token from the environment, a file or a program"
        yield warning("configuration", f"other users of this machine can read the token in {path}", advice)


def check_state(config: OctoConfig, bots: Sequence[BotConfig]) -> Iterator[Finding]:
    """Yield what is found about the state folder; changes nothing there.

    Args:
        config: names it, and tells how long a run may take.
        bots: those that work with it.
    """
    folder = config.host.state_dir
    try:
        above = (folder, *folder.parents)
        there = next(
            path for path in above if path.exists() or path.is_symlink()
        )  # be it a link that leads nowhere
        is_folder = there.is_dir()
    except (OSError, ValueError) as problem:
        advice = "let this user into the folders above it, or change host.stateDir"
        reason = getattr(problem, "strerror", None) or problem
        yield error(FOLDER, f"{folder} cannot be reached: {reason}", advice)
        return
    if not is_folder:
        yield error(FOLDER, f"{there} is no folder", "move it away, or change host.stateDir")
        return
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        yield error(FOLDER, f"{there} cannot be written to", "make it this user's, or change host.stateDir")
        return
    yield _disk(there)
    if there != folder:
        yield fine(FOLDER, f"{folder} will be made")
        return
    yield from _folder(folder, bots)
    files = [path for name in WRITTEN for path in sorted(folder.glob(name))]
    if foreign := [path for path in files if not os.access(path, os.R_OK | os.W_OK)]:
        yield error(FOLDER, f"{foreign[0]} cannot be read and written", _OURS)
        return
    if isinstance(config.host, EmbeddedHostConfig):
        budgets = [bot.turn_budget_s(config.host.timeout_seconds) for bot in bots]
        yield from _sessions(folder, patience_ms(max(budgets, default=0.0)))
    yield from _journal(folder, bots)


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    words = f"{free / 1024 / 1024:,.0f} MB are free"
    if free < FULL_BYTES:
        return error(DISK, words, "make room: messages are not taken while the journal cannot be written")
    if free < LITTLE_BYTES:
        return warning(DISK, words, "make room before it is full")
    return fine(DISK, words)


def _folder(folder: Path, bots: Sequence[BotConfig]) -> Iterator[Finding]:
    try:
        holder = owner_lock(folder).holder()
    except HostError as problem:
        yield error(FOLDER, str(problem), _OURS)
        return
    found = folder.stat()
    if not holder and found.st_uid != os.geteuid():
        advice = "run the bots as its owner, give it to this user with chown -R, or change host.stateDir"
        yield error(FOLDER, f"{folder} belongs to another user (uid {found.st_uid})", advice)
        return
    if found.st_mode & OTHERS:
        advice = f"chmod 700 {folder}: what people wrote lies there; the next start does so too"
        yield warning(FOLDER, f"{folder} is open to other users of this machine", advice)
    if not holder:
        yield fine(FOLDER, f"{folder}, used by nobody now")
        return
    try:
        told = ask(folder, "status", timeout_s=ANSWER_WITHIN_S)
    except ControlError as problem:
        advice = (
            f"if it is a program of yours with a host of its own, all is well; else stop process {holder}: "
            "no other can work with the folder"
        )
        yield warning(FOLDER, f"process {holder} works with {folder}, but: {problem}", advice)
        return
    yield fine(FOLDER, f"process {holder} runs bots with {folder}")
    yield from _running(told, holder, bots)


def _running(told: Mapping[str, Any], holder: str, bots: Sequence[BotConfig]) -> Iterator[Finding]:
    """Yield what the process that runs the bots says of their connections; they are not logged in to ask."""
    if trouble := told.get("trouble"):
        yield error("journal", str(trouble), "no message is taken until it can be written again")
    for bot in (each for each in bots if not each.token_problem):  # told of where tokens are looked at
        connection = told.get("bots", {}).get(bot.account_id)
        subject = f"{bot.account_id}: connection"
        if connection is None:
            yield error(
                subject, f"process {holder} does not run this bot", "start that process anew, with it"
            )
        else:
            yield _connection(subject, holder, connection)


def _connection(subject: str, holder: str, connection: Mapping[str, Any]) -> Finding:
    state, now_ms = str(connection["state"]), SystemClock().wall_ms()
    words = f"process {holder} is {state} with it for {age(connection['since_ms'], now_ms)}"
    if state == LinkState.ONLINE:
        return fine(subject, words)
    words = f"{words}: {connection['why']}"
    advice = _ADVICE.get(state, "start it anew")
    if state == LinkState.CONNECTING and now_ms - connection["since_ms"] < SETTLED_MS:
        return warning(subject, words, f"look again in a minute; if it stays so, {advice}")
    return error(subject, words, advice)


def _sessions(folder: Path, silent_ms: int) -> Iterator[Finding]:
    try:
        found = read_sessions(folder, "")
    except PermissionError as problem:
        yield error(SESSIONS, f"{problem.filename or 'sessions.json'} cannot be read", _OURS)
        return
    except (OSError, ValueError) as problem:
        words = f"sessions.json cannot be read: {getattr(problem, 'strerror', None) or problem}"
        yield error(
            SESSIONS, words, "put a backup in its place, or move it away: conversations then begin anew"
        )
        return
    bad = [one.snapshot for one in found if not is_fine(one.snapshot, silent_ms)]
    if bad:
        some = ", ".join(f"{plain(one.session_key)} is {one.status}" for one in bad[:SHOWN])
        more = f" and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        advice = f"the next message restarts them; at once: {with_store('sessions repair', folder)}"
        yield warning(SESSIONS, f"{some}{more}", advice)
    else:
        yield fine(SESSIONS, f"{len(found)}, none failed or stuck")


def _journal(folder: Path, bots: Sequence[BotConfig]) -> Iterator[Finding]:
    file, reader, now_ms = folder / "octo.sqlite", journal_in(folder), SystemClock().wall_ms()
    if not file.exists() or not file.stat().st_size:
        yield fine(JOURNAL, "none yet")
        return
    try:
        dead = reader.counts().get("dead", 0)
        asked = [bot.account_id for bot in bots if bot.dm_policy == "pairing"]
        known = [one for name in asked for one in reader.pairings(account=name, now_ms=now_ms)]
    except OtherVersion as problem:
        words = f"{file} was written by another version of this package"
        if problem.older:
            yield warning(JOURNAL, words, "the next start of the bots brings it up to date")
        else:
            yield error(JOURNAL, words, "install that version again; this one cannot work with the file")
        return
    except StoreError as problem:
        yield error(
            JOURNAL, str(problem), "stop the bots and move the file away; what it remembers is lost with it"
        )
        return
    if dead:
        advice = f"{with_store('journal dead', folder)} tells why, and how to have them answered after all"
        yield warning(JOURNAL, f"{dead} messages got no answer and no notice", advice)
    else:
        yield fine(JOURNAL, "no message went without an end")
    if waiting := [one for one in known if one.code]:
        words = f"people who wait to be let in: {len(waiting)}"
        yield warning(
            "pairing", words, f"{with_store('pairing list', folder)} shows them, and how one is let in"
        )
