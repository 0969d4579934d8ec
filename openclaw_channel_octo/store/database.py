"""Opening the journal's file: settings, ownership mark, migrations, and setting a broken file aside."""

import errno
import logging
import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from openclaw_channel_octo.errors import StoreError
from openclaw_channel_octo.store.schema import APPLICATION_ID, MIGRATIONS

__all__ = ["CleaningConnection", "Connection", "open_database", "store_error"]

_log = logging.getLogger(__name__)

_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_BROKEN = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_BUSY_TIMEOUT_S = 5.0
_BUSY_TIMEOUT_AT_OPENING_S = 1.0  # opening is tried again, and must end soon when the program is stopped


class CleaningConnection:
    """The statements of a connection, which take every text: half a surrogate pair, which SQLite refuses, as U+FFFD.

    Hosts and agents write such texts, where they cut in the middle of an emoji or name a file that is not UTF-8.

    Args:
        db: runs them.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Do as `sqlite3.Connection.execute` does."""
        return self._db.execute(sql, _storable(parameters))

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """Do as `sqlite3.Connection.executemany` does."""
        return self._db.executemany(sql, map(_storable, parameters))


Connection = sqlite3.Connection | CleaningConnection
"""What statements are run on."""


def _storable(parameters: Any) -> Any:
    if isinstance(parameters, Mapping):
        return {name: _well_formed(value) for name, value in parameters.items()}
    return [_well_formed(value) for value in parameters]


def _well_formed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def open_database(path: Path, now_ms: int) -> sqlite3.Connection:
    """Open or create the journal, bring its schema up to date and return the connection.

    A file that is damaged, or that another program made, is renamed to ``<name>.broken-<now_ms>`` and reported;
    it is never deleted or written to. The connection may be used from one thread other than this one.

    Raises:
        StoreError: the file cannot be opened, another user put it there, or a newer version of this package made it;
            retryable as `store_error` says.
    """
    try:
        _make(path)
        _take_from_others(path)
        try:
            return _open(path)
        except _ForeignFileError as error:
            aside = _set_aside(path, now_ms)
            _log.error("journal %s is unusable (%s); kept as %s, starting a new one", path, error, aside)
            return _open(path)
    except (sqlite3.Error, OSError) as error:
        raise store_error(f"cannot open the journal {path}", error, path) from error


def store_error(subject: str, error: sqlite3.Error | OSError, path: Path) -> StoreError:
    """Return the error to raise for one of the database; retryable and with advice where it may pass by itself.

    Args:
        subject: what the message begins with.
        error: what SQLite or the system said.
        path: the database file.
    """
    advice = _advice(error, path)
    detail = f"{subject}: {error}"
    return StoreError(f"{detail}: {advice}" if advice else detail, retryable=bool(advice))


def _advice(error: sqlite3.Error | OSError, path: Path) -> str:
    """Return what an operator can do about an error that may pass by itself, empty for any other."""
    if isinstance(error, OSError):
        return "free disk space" if error.errno in _NO_SPACE else ""
    code = _primary_code(error)
    if code in _LOCKED:
        return _who_locks(path)
    if code == sqlite3.SQLITE_IOERR:
        return "free disk space, and look at the disk where there is some"
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_CANTOPEN and _is_full(path.parent)):
        return "free disk space"
    return ""


def _is_full(folder: Path) -> bool:
    """Return whether no file can be made for want of blocks or inodes; SQLite says the same of every reason."""
    with suppress(OSError):
        found = os.statvfs(folder)
        return not found.f_bavail or (found.f_files > 0 and not found.f_favail)
    return False


def _who_locks(path: Path) -> str:
    """Return who has the journal locked, as far as the system tells, and what to do."""
    found = {file.name: holders for file in _files_of(path) if (holders := _lock_holders(file))}
    if not found:
        return f"another program has it locked: end that program (fuser {path}* names it), or wait until it is done"
    names = ", ".join(sorted(found))
    numbers = ", ".join(map(str, sorted(set().union(*found.values()))))
    return f"another program has it locked, perhaps process {numbers} ({names}): end that, or wait until it is done"


def _files_of(path: Path) -> Iterator[Path]:
    """Return the database file and those that SQLite keeps beside it, where the file itself lies."""
    path = Path(os.path.realpath(path))
    for suffix in ("", "-wal", "-shm", "-journal"):
        yield path.with_name(path.name + suffix)


def _lock_holders(path: Path) -> set[int]:
    """Return the other processes that have a lock in a file; none where the system does not list locks.

    The file is not opened to ask: closing it again would drop the locks this process has in it.
    """
    with suppress(OSError, ValueError, IndexError):
        found = path.stat()
        mark = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        holders = {int(words[4]) for words in lines if words[1] != "->" and words[5] == mark}
        return {number for number in holders if number > 0} - {os.getpid()}
    return set()


class _ForeignFileError(Exception):
    """The file is damaged or is no journal of ours."""


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte of an extended code


def _make(path: Path) -> None:
    """Make the file where it is missing: the system says why that fails, SQLite does not. Raises `OSError`.

    A file that exists is not opened: closing it again would drop the locks this process has in it.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _take_from_others(path: Path) -> None:
    """Give the file, and those beside it, mode 0600: SQLite makes new ones with the mode of the file.

    Raises:
        StoreError: one is another user's, or no ordinary file: what it says is not ours to believe.
        OSError: one cannot be looked at or changed.
    """
    for file in _files_of(path):
        with suppress(FileNotFoundError):
            found = file.lstat()
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                raise StoreError(
                    f"cannot open the journal {path}: {file.name} is another user's or no ordinary file:"
                    " run this as its owner, or see who put it there and move it away"
                )
            if found.st_mode & 0o077:
                file.chmod(0o600)


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_AT_OPENING_S, check_same_thread=False)
    try:
        _check(db)
        _configure(db)
        _migrate(db, path)
        db.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_S * 1000:.0f}")
    except sqlite3.DatabaseError as error:
        db.close()
        if _primary_code(error) in _BROKEN:
            raise _ForeignFileError(str(error)) from error
        raise
    except BaseException:  # raised again: the file is closed first
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection) -> None:
    """Raise `_ForeignFileError` for a file that is not an intact journal; an empty file is one to be made."""
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (owner,) = db.execute("PRAGMA application_id").fetchone()
    if tables and owner != APPLICATION_ID:
        raise _ForeignFileError("it is another program's database")
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _ForeignFileError(str(verdict))


def _configure(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA foreign_keys=ON")


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise StoreError(
            f"the journal {path} has schema {version}, this package knows up to {len(MIGRATIONS)}: "
            "install the version that wrote it, or a newer one"
        )
    if 0 < version < len(MIGRATIONS):
        size = path.stat().st_size / 1_000_000
        _log.warning(
            "the journal %s (%.0f MB) is brought from schema %d to %d; the bots begin after that",
            *(path, size, version, len(MIGRATIONS)),
        )
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        db.executescript(
            f"BEGIN IMMEDIATE; {script} PRAGMA user_version={number}; "
            f"PRAGMA application_id={APPLICATION_ID}; COMMIT;"
        )


def _set_aside(path: Path, now_ms: int) -> Path:
    aside = path.with_name(f"{path.name}.broken-{now_ms}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + suffix))
    return aside
