"""Processes in words, for people who ask which one holds a lease."""

import pwd
from contextlib import suppress
from pathlib import Path

__all__ = ["UNKNOWN", "process_words"]

UNKNOWN = "another process"
"""A holder of whom nothing is known."""


def process_words(process_id: int, uid: int | None = None) -> str:
    """Return a process with its command and its user, as far as they are known: ``process 4711 (name, user octo)``.

    Args:
        process_id: its id; 0 for one whose id means nothing here, as that of another container.
        uid: its user where the kernel told; else that of ``/proc``, which not every system has.
    """
    if not process_id:
        return "a process of another container"
    about = Path("/proc") / str(process_id)
    known: list[str] = []
    with suppress(OSError):
        name = (about / "comm").read_text("utf-8", "replace").rstrip("\n")
        known.append(
            "".join(char if char.isprintable() else "?" for char in name)
        )  # whatever it calls itself
    with suppress(OSError):
        uid = about.stat().st_uid if uid is None else uid
    if uid is not None:
        known.append(f"user {_user(uid)}")
    return f"process {process_id} ({', '.join(known)})" if known else f"process {process_id}"


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
