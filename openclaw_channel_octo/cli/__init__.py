"""The command line: `openclaw-octo`."""

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

__all__ = ["INTERRUPTED", "main"]

INTERRUPTED = 130
"""What a shell makes of a program that SIGINT ended."""

_NOT_WRITTEN = 2
_OUTPUT_FAILS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENXIO, errno.EBADF})


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Carry out a command and end the program; nothing that happens to its terminal is a traceback.

    Args:
        args: the command's words, by default those the program was started with.
    """
    try:
        if (sys.argv[1:] if args is None else args)[:1] == ["run"]:
            from openclaw_channel_octo.cli.run.hangup import note_hangups  # noqa: PLC0415  # nobody else needs it

            note_hangups()  # the rest takes a moment to load, in which a reload may be asked for
        from openclaw_channel_octo.cli.app import main as commands  # noqa: PLC0415  # interrupted in one line too

        commands(args)
    except KeyboardInterrupt:
        _end(INTERRUPTED, "interrupted")
    except OSError as error:
        if error.errno not in _OUTPUT_FAILS or error.filename is not None:
            raise
        _end(_NOT_WRITTEN, f"the output cannot be written: {error.strerror}")
    raise AssertionError("a command ends the program")  # pragma: no cover


def _end(code: int, line: str) -> NoReturn:
    """End at once: what is left in a buffer would fail once more while the interpreter ends."""
    with suppress(OSError):  # where that fails too, nobody can be told
        os.write(2, f"openclaw-octo: {line}\n".encode())
    os._exit(code)
