"""Opening the journal's file: settings, ownership mark, migrations, and setting a broken file aside."""

import logging
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from openclaw_channel_octo.errors import StoreError
from openclaw_channel_octo.store.schema import APPLICATION_ID, MIGRATIONS

__all__ = ["JournalConnection", "open_database", "wait_may_help"]

_log = logging.getLogger(__name__)

_PASSING = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_BROKEN = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}
_BUSY_TIMEOUT_S = 5.0


class JournalConnection(sqlite3.Connection):
    """A connection that takes every text: half a surrogate pair, which SQLite refuses, is stored as U+FFFD.

    Hosts and agents write such texts, where they cut in the middle of an emoji or name a file that is not UTF-8.
    """

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Do as `sqlite3.Connection.execute` does."""
        try:
            return super().execute(sql, parameters)
        except UnicodeEncodeError:
            return super().execute(sql, _storable(parameters))

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """Do as `sqlite3.Connection.executemany` does."""
        return super().executemany(sql, map(_storable, parameters))


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
        StoreError: the file cannot be opened, or a newer version of this package made it.
    """
    try:
        return _open(path)
    except _ForeignFileError as error:
        aside = _set_aside(path, now_ms)
        _log.error("journal %s is unusable (%s); kept as %s, starting a new one", path, error, aside)
        return _open(path)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"cannot open the journal {path}: {error}") from error


def wait_may_help(error: sqlite3.Error) -> bool:
    """Return whether a database error may pass by itself: a full disk, a busy file."""
    return _primary_code(error) in _PASSING


class _ForeignFileError(Exception):
    """The file is damaged or is no journal of ours."""


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte of an extended code


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, check_same_thread=False, factory=JournalConnection)
    try:
        _check(db)
        _configure(db)
        _migrate(db, path)
        path.chmod(0o600)
    except sqlite3.DatabaseError as error:
        db.close()
        if _primary_code(error) in _BROKEN:
            raise _ForeignFileError(str(error)) from error
        raise
    except BaseException:
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
