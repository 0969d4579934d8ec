"""Files that are private, and never half-written."""

import errno
import json
import logging
import os
import pwd
import stat
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import msgspec

from openclaw_channel_octo.errors import HostError

__all__ = [
    "append_file",
    "claim_state_folder",
    "close_file",
    "dump_json",
    "is_shared",
    "open_own",
    "private_folder",
    "replace_file",
    "sync_file",
    "write_private_json",
]

logger = logging.getLogger(__name__)

_encode = json.JSONEncoder(ensure_ascii=False).encode


class ForeignFolder(PermissionError):
    """A folder belongs to another user, or to all: whatever lay in it would be read and written as theirs."""


def _user(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def is_shared(mode: int) -> bool:
    """Return whether a folder is there for several users, as ``/tmp`` is: nobody may take it from the others."""
    return bool(mode & stat.S_ISVTX and mode & 0o022)


def claim_state_folder(path: Path) -> None:
    """Make a state folder, or take one that exists from other users, with all that lies in it.

    A link to a folder is followed: where state lies is the operator's choice. Blocking.

    Raises:
        HostError: it belongs to another user, also where this one is root, is shared, or cannot be made.
    """
    try:
        if mode := private_folder(path):
            logger.warning(
                "%s was open to other users (mode %04o) and is closed to them now (0700), with all that lies in it:"
                " they may have read or changed it",
                path,
                mode,
            )
            _close_below(path)
    except ForeignFolder as error:
        raise HostError(
            f"{path} cannot be used ({error.strerror}): run this as its owner, give it to this user with chown -R,"
            " or choose another host.stateDir, such as a new folder in it"
        ) from error
    except OSError as error:
        raise HostError(f"{path} cannot be made ({error.strerror}): choose another host.stateDir") from error


def private_folder(path: Path) -> int:
    """Create ``path`` and missing parents with mode 0700; where ``path`` exists, take it from other users.

    Parents that exist stay as they are: they may be anybody's.

    Returns:
        The mode it had where other users could look into it or change it, 0 where they could not.

    Raises:
        OSError: the folder cannot be made, belongs to another user, or is shared.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
        found = path.stat()
    if found.st_uid != os.geteuid():
        what = f"it belongs to {_user(found.st_uid)}, and this process runs as {_user(os.geteuid())}"
        raise ForeignFolder(errno.EPERM, what, str(path))
    mode = stat.S_IMODE(found.st_mode)
    if is_shared(mode):
        raise ForeignFolder(errno.EPERM, "users of this machine share it, as they do /tmp", str(path))
    if not mode & 0o077:
        return 0
    try:
        path.chmod(mode & 0o700)
    except OSError as error:
        logger.warning(
            "%s is open to other users (mode %04o) and cannot be closed (%s): run chmod 700 on it, or use another",
            path,
            mode,
            error.strerror,
        )
        return 0
    return mode


def _close_below(folder: Path) -> None:
    """Take everything in a folder from other users; links, and what cannot be changed, are left as they are."""
    waiting = [os.fspath(folder)]
    while waiting:  # not by recursion: agents make folders here, as deep as they like
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                close_file(Path(entry.path))


def close_file(path: Path) -> None:
    """Take a file from other users; one that is not there, is a link, or cannot be changed is left as it is."""
    with suppress(OSError):
        mode = path.lstat().st_mode
        if mode & 0o077 and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & 0o700)


def dump_json(value: Mapping[str, Any], *, indent: int | None = None) -> bytes:
    """Return ``value`` as UTF-8 JSON with a final newline; lone surrogates are written as escapes."""
    try:
        data = _encode(value).encode()
        return (msgspec.json.format(data, indent=indent) if indent else data) + b"\n"
    except (
        UnicodeEncodeError,
        msgspec.DecodeError,
    ):  # lone surrogates; NaN and infinities, which are no JSON
        return json.dumps(value, indent=indent).encode() + b"\n"


def write_private_json(path: Path, content: Any) -> None:
    """Put JSON in the place of a file in a private folder, which is made. Blocking.

    Raises:
        HostError: it cannot be written.
    """
    try:
        private_folder(path.parent)
        replace_file(path, dump_json(content, indent=2))
    except OSError as error:
        raise HostError(f"{path} cannot be written ({error.strerror}): make its folder writable") from error


def replace_file(
    path: Path, data: bytes, *, before_rename: Callable[[], None] | None = None, sync_folder: bool = True
) -> os.stat_result:
    """Give ``path`` the content ``data``, mode 0600, so that a crash leaves the old or the new content.

    A symbolic link stays one: what it leads to is replaced. The caller holds a lock: the temporary file's name is
    fixed, so that a crash leaves at most one behind.

    Args:
        path: the file.
        data: its new content.
        before_rename: called when everything is on disk; an exception from it leaves ``path`` as it was.
        sync_folder: whether the name survives a power cut; not where a file beside it is replaced next.

    Returns:
        The status of the file with the new content.

    Raises:
        OSError: the file cannot be written.
    """
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        status = _write_synced(temporary, data)
        if before_rename is not None:
            before_rename()
        os.replace(temporary, path)  # noqa: PTH105  # the call tests interrupt, and the whole point of this file
    except BaseException:  # also what `before_rename` raises: no temporary file stays
        temporary.unlink(missing_ok=True)
        raise
    if sync_folder:
        _sync_folder(path.parent)
    return status


def _write_synced(path: Path, data: bytes) -> os.stat_result:
    path.unlink(missing_ok=True)  # whatever has the name: a link, or somebody's file under a second name
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        return os.fstat(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_own(path: Path, flags: int) -> int:
    """Open a file for reading and writing, made where missing; others cannot read it from now on.

    Raises:
        OSError: it cannot be opened, is a link or no ordinary file, or is another user's and open to others.
    """
    # Not blocking: somebody may have put a pipe there.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | flags, 0o600)
    with ExitStack() as undo:
        undo.callback(os.close, descriptor)
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not an ordinary file", str(path))
        if mode & 0o077:
            os.fchmod(descriptor, stat.S_IMODE(mode) & 0o700)
        undo.pop_all()
    return descriptor


def append_file(path: Path, data: bytes, *, sync: bool = True) -> int:
    """Append ``data`` to ``path`` (mode 0600, never through a link) and sync it; a torn last line is ended first.

    Args:
        path: the file.
        data: lines.
        sync: whether it survives a power cut, as it does in any case once a later write of the file is synced.

    Returns:
        The file's size in bytes afterwards.

    Raises:
        OSError: the file cannot be written.
    """
    descriptor = open_own(path, os.O_APPEND)
    with os.fdopen(descriptor, "ab") as file:
        size = os.fstat(file.fileno()).st_size
        if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
            data = b"\n" + data
        file.write(data)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    if not size:
        _sync_folder(path.parent)
    return size + len(data)


def sync_file(path: Path) -> None:
    """Sync what was appended to a file. Raises `OSError`."""
    descriptor = open_own(path, 0)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
