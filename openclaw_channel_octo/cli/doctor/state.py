"""What lies on the disk: the state folder and its sessions; and what the process that has it says."""

import os
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from openclaw_channel_octo.cli.doctor.findings import Finding, error, fine, warning
from openclaw_channel_octo.cli.doctor.running import IN_FILE, Running, check_running
from openclaw_channel_octo.cli.options import with_store
from openclaw_channel_octo.cli.output import plain
from openclaw_channel_octo.cli.sessions.files import is_fine, read_sessions
from openclaw_channel_octo.config.diagnostics import is_token
from openclaw_channel_octo.config.fetching import read_regular
from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.host.files import is_shared
from openclaw_channel_octo.session.status import SessionSnapshot

__all__ = ["check_file", "check_state"]

LITTLE_BYTES = 500 * 1024 * 1024
FULL_BYTES = 50 * 1024 * 1024
OTHERS = 0o077
OTHERS_READ = 0o044
MOST_BYTES = 8 * 1024 * 1024
"""Largest faulty file that tokens are looked for in."""

SHOWN = 3
WRITTEN = ("octo.sqlite", "octo.sqlite-wal", "octo.sqlite-shm", "agents", "agents/*", "agents/*/sessions")
"""What the bots write to, as far as it is there."""

_OURS = "make it this user's: a program of another user may have made it, such as root's"
DISK, FOLDER, SESSIONS = "disk", "state folder", "sessions"


def check_file(path: Path, bots: Sequence[BotConfig] | None) -> Iterator[Finding]:
    """Yield what is found about a configuration file: who else may read the tokens in it.

    Args:
        path: the file.
        bots: the bots it describes; ``None`` where it is faulty.
    """
    holds_tokens = _shows_token(path) if bots is None else any(bot.token_source == IN_FILE for bot in bots)
    if holds_tokens and path.stat().st_mode & OTHERS_READ:
        advice = (
            f"chmod 600 {shlex.quote(str(path))}, or take the token from the environment, a file or a program"
        )
        yield warning("configuration", f"other users of this machine can read the token in {path}", advice)


def _shows_token(path: Path) -> bool:
    """Return whether something in a file looks like a token, whatever else the file is."""
    try:
        content, _ = read_regular(path, MOST_BYTES)
    except (OSError, ValueError):
        return False
    return is_token(content.replace(b"\0", b"").decode(errors="replace"))  # without zeros UTF-16 is read too


def check_state(
    folder: Path, bots: Sequence[BotConfig] | None, running: Running, *, silent_ms: int | None
) -> Iterator[Finding]:
    """Yield what is found about a state folder; changes nothing there.

    Args:
        folder: the folder.
        bots: those that work with it; ``None`` where no configuration tells.
        running: the process that has it.
        silent_ms: milliseconds after which a run counts as stuck; ``None`` where the sessions lie elsewhere.
    """
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
    yield from _folder(folder, bots, running)
    files = [path for name in WRITTEN for path in sorted(folder.glob(name))]
    if foreign := [path for path in files if not os.access(path, os.R_OK | os.W_OK)]:
        yield error(FOLDER, f"{foreign[0]} cannot be read and written", _OURS)
        return
    if silent_ms is not None:
        yield from _sessions(folder, silent_ms)


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    words = f"{free / 1024 / 1024:,.0f} MB are free"
    if free < FULL_BYTES:
        return error(DISK, words, "make room: messages are not taken while the journal cannot be written")
    if free < LITTLE_BYTES:
        return warning(DISK, words, "make room before it is full")
    return fine(DISK, words)


def _folder(folder: Path, bots: Sequence[BotConfig] | None, running: Running) -> Iterator[Finding]:
    if running.broken:
        yield error(FOLDER, running.broken, _OURS)
        return
    found = folder.stat()
    if not running.holder and found.st_uid != os.geteuid():
        advice = "run the bots as its owner, give it to this user with chown -R, or change host.stateDir"
        yield error(FOLDER, f"{folder} belongs to another user (uid {found.st_uid})", advice)
        return
    if is_shared(found.st_mode):
        advice = "name a folder in it as host.stateDir: the bots do not start in one that is not theirs alone"
        yield error(FOLDER, f"users of this machine share {folder}", advice)
        return
    if found.st_mode & OTHERS:
        advice = (
            f"chmod 700 {shlex.quote(str(folder))}: what people wrote lies there; the next start does so too"
        )
        yield warning(FOLDER, f"{folder} is open to other users of this machine", advice)
    if running.holder:
        yield from check_running(running, folder, bots)
    else:
        yield fine(FOLDER, f"{folder}, used by nobody now")


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
        some = ", ".join(_in_words(one) for one in bad[:SHOWN])
        more = f" and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        advice = f"the next message restarts them; at once: {with_store('sessions repair', folder)}"
        yield warning(SESSIONS, f"{some}{more}", advice)
    else:
        yield fine(SESSIONS, f"{len(found)}, none failed or stuck")


def _in_words(session: SessionSnapshot) -> str:
    why = f" ({session.last_run_error})" if session.last_run_error else ""
    return plain(f"{session.session_key} is {session.status}{why}")
