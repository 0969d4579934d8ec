"""Files and programs that a configuration is read from, with bounds: none is waited for longer than it may take."""

import atexit
import errno
import os
import stat
import subprocess
import threading
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping, Sequence
from pathlib import Path

from openclaw_channel_octo.config.environment import as_bytes, environment_bytes

__all__ = ["UnreadableError", "is_open_to_others", "output_of", "read_regular", "text_of"]

_KINDS = {
    stat.S_IFDIR: "it is a folder",
    stat.S_IFIFO: "it is a pipe",
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFCHR: "it is a device",
    stat.S_IFBLK: "it is a device",
}

_running = set[subprocess.Popen[bytes]]()
_over = threading.Event()


@atexit.register
def _end_programs() -> None:
    """Leave no program behind: a thread that waits for one does not hold up the end of this process."""
    _over.set()
    for program in tuple(_running):
        program.kill()


class UnreadableError(Exception):
    """What was asked for cannot be had now; the message says why and holds nothing of it."""


def read_regular(path: Path, most: int) -> tuple[bytes, int]:
    """Return the content of a regular file and its mode. Programs that are started meanwhile do not inherit it.

    Args:
        path: the file; links are followed.
        most: most bytes it may have.

    Raises:
        OSError: it cannot be read, is larger, or is no regular file: a pipe would be waited for, and only to
            open a device can do something.
        ValueError: nothing can have that name.
    """
    _require_regular(path.stat())
    # It may be another file by now; O_NONBLOCK does not wait for the other end of a pipe.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        _require_regular(found)
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most} bytes")
    return content, found.st_mode


def _require_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "it is something else")
        raise OSError(errno.EINVAL, f"{kind}, not a regular file")


def is_open_to_others(mode: int) -> bool:
    """Return whether a file's mode lets other users read it."""
    return bool(mode & (stat.S_IRGRP | stat.S_IROTH))


def text_of(file: Path, most: int) -> tuple[str, int]:
    """Return the text of a regular file, UTF-8 or UTF-16 by its byte order mark, without that, and its mode.

    Args:
        file: the file.
        most: most bytes it may have.

    Raises:
        UnreadableError: it cannot be read, is too large, no regular file or no such text.
    """
    try:
        content, mode = read_regular(file, most)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from None
    except ValueError:
        raise UnreadableError("cannot be read: nothing can have that name") from None
    try:
        text = content.decode("utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableError(f"is no UTF-8 text: line {line} holds other bytes") from None
    if "\0" in text:
        raise UnreadableError("is no UTF-8 text: it holds zero bytes, as UTF-16 does; save it as UTF-8")
    return text, mode


def output_of(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, within_s: float, stdin: str = ""
) -> str:
    """Run a program without a shell and return what it prints on its standard output.

    Args:
        command: program and arguments.
        env: its whole environment.
        cwd: its working directory.
        within_s: seconds it may take; then it is killed.
        stdin: what it reads on its standard input.

    Raises:
        UnreadableError: it cannot be started, fails, takes too long, or prints no UTF-8 text.
    """
    try:
        if _over.is_set():
            raise UnreadableError("the program is not started: this process ends")
        with subprocess.Popen(
            [as_bytes(part) for part in command],
            cwd=cwd,
            env=environment_bytes(env, {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as program:
            text = _printed(program, stdin.encode(), within_s).decode("utf-8")
    except OSError as error:
        raise UnreadableError(f"the program cannot be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise UnreadableError(f"the program did not end within {within_s:g} s") from None
    except ValueError:
        raise UnreadableError("the program's name or its output is no valid text") from None
    if program.returncode:
        raise UnreadableError(f"the program failed with exit code {program.returncode}; try it by hand")
    return text


def _printed(program: subprocess.Popen[bytes], stdin: bytes, within_s: float) -> bytes:
    """Return what a program prints until its end, which comes with that of this process at the latest."""
    _running.add(program)
    try:
        return program.communicate(stdin, within_s)[0]
    finally:
        if program.returncode is None:
            program.kill()
        _running.remove(program)
