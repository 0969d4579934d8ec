"""Ends what is left of agent programs whose process died (docs/decisions/0026); also a program that waits for that.

It runs as a file of its own, beside nothing but the standard library::

    python leftovers.py FOLDER

ends what the notes in a folder tell of as soon as its standard input ends, which is when the process dies that has
the other end of the pipe.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

__all__ = ["RUN_VARIABLE", "end_noted", "note_program", "note_run", "started"]

RUN_VARIABLE = "OPENCLAW_RUN_ID"
"""Environment variable of every process of a run, unless it was taken out."""

LOOKS = 100
PAUSE_S = 0.02
"""Seconds between two looks whether all have ended."""

_PROC = Path("/proc")


class _Noted(NamedTuple):
    """What a note tells: no program, 0, where its process died before it could note whom it had started."""

    run_id: str
    pid: int
    started: str


class _Process(NamedTuple):
    """A process as Linux shows it."""

    pid: int
    group: int
    session: int
    started: str
    ended: bool


def started(pid: int) -> str:
    """Return when a process was started, which no later process with its id shares; empty where there is none."""
    if boot := _boot_id():
        found = _process(pid)
        return "" if found is None else f"{boot} {found.started}"
    asked = subprocess.run(  # what every other system has
        ["ps", "-o", "lstart=", "-p", str(pid)],  # noqa: S607  # wherever it lies
        capture_output=True,
        check=False,
    )
    return " ".join(asked.stdout.decode(errors="replace").split())


@cache
def _boot_id() -> str:
    """Return what names this run of the machine, empty where processes are not shown in ``/proc`` as Linux does."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def note_run(path: Path, run_id: str) -> None:
    """Note a run whose program is about to be started. Raises `OSError`.

    A note stays when its process is killed. It need not survive the machine: no program does.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{run_id}\n")


def note_program(path: Path, pid: int) -> None:
    """Note the started program of a run: the leader of a session. Raises `OSError`."""
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{pid} {started(pid)}\n")


def end_noted(folder: Path) -> dict[str, bool]:
    """Kill what lives of the runs noted in a folder, and delete their notes. Raises `OSError`.

    Only the session of a noted program is killed, once it is certain that it is that: its leader started when the
    note says, or one of its processes carries the run's id. What left the session on purpose is left alone, as it is
    when a run ends in peace.

    Returns:
        Whether the programs have ended, for the id of each run that had any.
    """
    ended = {}
    for path in sorted(folder.glob("*.run")):
        with suppress(FileNotFoundError):  # somebody else was faster
            note = _read(path)
            if note is not None and (gone := _end(note)) is not None:
                ended[note.run_id] = gone
        path.unlink(missing_ok=True)
    with suppress(OSError):  # it is gone already, or somebody else keeps something in it
        folder.rmdir()
    return ended


def _read(path: Path) -> _Noted | None:
    """Return what a note tells; a line that was cut off does not count."""
    run_id, _, rest = path.read_text(encoding="utf-8", errors="replace").partition("\n")
    pid, _, when = rest.rpartition("\n")[0].partition(" ")
    return _Noted(run_id, int(pid) if pid.isdecimal() else 0, when) if run_id else None


def _end(note: _Noted) -> bool | None:
    """Kill the processes of a run until none is left; return whether that is so, ``None`` where there were none."""
    gone = None
    for _ in range(LOOKS):
        groups = _groups(note)
        if not groups:
            return gone
        gone = True
        for group in groups:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        time.sleep(PAUSE_S)
    return False


def _groups(note: _Noted) -> set[int]:
    """Return the process groups of a run that live; without `_PROC` that of its leader, if it lives."""
    if not _boot_id():
        return {note.pid} if note.pid and note.started and started(note.pid) == note.started else set()
    everybody = [found for pid in _PROC.glob("[0-9]*") if (found := _process(int(pid.name))) is not None]
    mark = f"{RUN_VARIABLE}={note.run_id}".encode()
    sessions = {note.pid}
    if not note.pid:
        sessions = {each.pid for each in everybody if each.pid == each.session and _carries(each, mark)}
    members = [each for each in everybody if each.session in sessions]
    leader = any(each.pid == note.pid and started(each.pid) == note.started for each in members)
    if not leader and not any(_carries(each, mark) for each in members):
        return set()
    return {each.group for each in members if not each.ended}


def _process(pid: int) -> _Process | None:
    try:
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None  # gone, or hidden from us
    return _Process(pid, int(fields[2]), int(fields[3]), fields[19], ended=fields[0] in "ZX")


def _carries(process: _Process, mark: bytes) -> bool:
    try:
        return mark in (_PROC / str(process.pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False  # gone, or somebody else's


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(
            number, signal.SIG_IGN
        )  # it is needed as long as the other process ends its own programs
    sys.stdin.buffer.read()
    end_noted(Path(sys.argv[1]))
