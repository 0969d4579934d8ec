"""Files that an operator names: read whole, if they are small regular files, and never waited for."""

import errno
import os
import stat
from pathlib import Path

__all__ = ["read_regular"]

_KINDS = {
    stat.S_IFDIR: "it is a folder",
    stat.S_IFIFO: "it is a pipe",
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFCHR: "it is a device",
    stat.S_IFBLK: "it is a device",
}


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
