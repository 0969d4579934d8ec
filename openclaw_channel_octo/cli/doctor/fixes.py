"""What the doctor can put right by itself: permissions of what is private, and sessions that failed or are stuck."""

import os
import shlex
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import click
from msgspec import Struct

from openclaw_channel_octo.cli.options import with_store
from openclaw_channel_octo.cli.sessions.files import fix
from openclaw_channel_octo.errors import ControlError, HostError
from openclaw_channel_octo.host.files import is_shared
from openclaw_channel_octo.runtime.turn.recovery import RepairState

__all__ = ["mend"]

OTHERS = 0o077


class _Remedy(Struct, frozen=True):
    """Something that can be put right.

    Attributes:
        words: the command that does it, or the like.
        apply: does it; raises `OSError`, `ValueError`, `HostError` or `ControlError`.
    """

    words: str
    apply: Callable[[], object]


def mend(tell: Callable[[str], None], folder: Path | None, files: Iterable[Path], *, yes: bool) -> None:
    """Show what can be put right, ask, and do it.

    Args:
        tell: is told what can be done, and what was.
        folder: the bots' state folder, ``None`` where no configuration names one.
        files: the configuration, and other files with secrets.
        yes: whether it is done without asking; without that and a terminal to ask at nothing is done.
    """
    found = list(_remedies(folder, files))
    if not found:
        tell("nothing that can be put right from here")
        return
    tell("what can be put right from here:")
    for remedy in found:
        tell(f"  {remedy.words}")
    if not (yes or sys.stdin.isatty()):
        tell("nothing was changed: --fix --yes does it")
    elif yes or click.confirm("Do it?", err=True):
        for remedy in found:
            tell(_applied(remedy))
    else:
        tell("nothing was changed")


def _applied(remedy: _Remedy) -> str:
    """Do it, and return what came of it."""
    try:
        remedy.apply()
    except (OSError, ValueError, HostError, ControlError) as problem:
        return f"failed: {remedy.words}: {getattr(problem, 'strerror', None) or problem}"
    return f"done: {remedy.words}"


def _remedies(folder: Path | None, files: Iterable[Path]) -> Iterator[_Remedy]:
    """Yield what can be put right; changes nothing."""
    if folder is not None and _is_open(folder):
        yield _Remedy(f"chmod 700 {shlex.quote(str(folder))}", partial(folder.chmod, 0o700))
    for file in dict.fromkeys(files):
        if _is_open(file):
            yield _Remedy(f"chmod 600 {shlex.quote(str(file))}", partial(file.chmod, 0o600))
    if folder is not None and (count := _to_repair(folder)):
        words = f"{with_store('sessions repair', folder)}  ({count} failed or stuck)"
        yield _Remedy(words, partial(fix, folder, "", "", dry_run=False))


def _is_open(path: Path) -> bool:
    """Return whether others may use something that is this user's alone.

    What belongs to a group beside this user's own is left as it is: a service may read it through that group. So is a
    folder that users share.
    """
    try:
        found = path.stat()
    except (OSError, ValueError):
        return False
    if stat.S_ISDIR(found.st_mode) and is_shared(found.st_mode):
        return False
    mine = (found.st_uid, found.st_gid) == (os.geteuid(), os.getegid())
    usual = stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)
    return mine and usual and bool(found.st_mode & OTHERS)


def _to_repair(folder: Path) -> int:
    try:
        return sum(each.state == RepairState.REPAIRED for each in fix(folder, "", "", dry_run=True))
    except (OSError, ValueError, HostError, ControlError):
        return 0  # why is told where the sessions are looked at
