"""The journal for operators: looked into, and changed, also while a bot writes it."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from msgspec import Struct

from openclaw_channel_octo.errors import OtherVersion, StoreError
from openclaw_channel_octo.store import pairing
from openclaw_channel_octo.store.audit import AuditEntry
from openclaw_channel_octo.store.database import CleaningConnection, Connection
from openclaw_channel_octo.store.deliveries import chunks_of, drop_unsent
from openclaw_channel_octo.store.messages import counts_of
from openclaw_channel_octo.store.pairing import Approval, Pairing
from openclaw_channel_octo.store.prompts import KeptPrompt, prompt_of
from openclaw_channel_octo.store.records import Chunk, StoredMessage
from openclaw_channel_octo.store.schema import APPLICATION_ID, MIGRATIONS
from openclaw_channel_octo.store.states import OPEN, RowState, any_of
from openclaw_channel_octo.store.transaction import records

__all__ = ["AccountOverview", "JournalAdmin", "JournalRow"]

_BUSY_S = 5.0


class JournalRow(StoredMessage, frozen=True, kw_only=True):
    """One message of the journal, as it is stored; times are Unix milliseconds.

    Attributes:
        id: the row's number.
        channel_id: the conversation.
        channel_type: its type (protocol §2.9).
        attempt: runs started for it.
        run_id: the last of them.
        notice_id: message id of the notice that ended it.
        detail: why it ended as it did.
        received_at: when it was recorded.
        updated_at: when it last changed.
    """

    id: int
    channel_id: str
    channel_type: int
    attempt: int
    run_id: str
    notice_id: str
    detail: str
    received_at: int
    updated_at: int


class AccountOverview(Struct, frozen=True, kw_only=True):
    """A bot's messages at a glance.

    Attributes:
        counts: messages by state.
        oldest_open: the first message to the bot that has no end yet.
        last_failure: the last one that ended without an answer, whether people were told of that or nobody.
    """

    counts: Mapping[str, int]
    oldest_open: JournalRow | None
    last_failure: JournalRow | None


_OLDEST_OPEN = f"{any_of(OPEN)} ORDER BY id"
_LAST_FAILURE = "(state = 'dead' OR state = 'notified' AND decision = 'turn') ORDER BY id DESC"

_COLUMNS = ", ".join(JournalRow.__struct_fields__)


class JournalAdmin:
    """Looks into a journal without ever blocking its writer, and makes an operator's changes.

    Args:
        path: the database file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self, *, states: Sequence[str] = (), account: str = "", limit: int = 50) -> list[JournalRow]:
        """Return messages, newest first. Raises `StoreError`.

        Args:
            states: only these; by default all that address a bot, and dead letters.
            account: only this bot.
            limit: at most so many.
        """
        wanted = tuple(states) or tuple(RowState)
        marks = ", ".join("?" * len(wanted))
        which = "1" if states else "(session_key != '' OR state = 'dead')"
        query = (
            f"SELECT {_COLUMNS} FROM inbound WHERE {which}"  # noqa: S608  # names of ours
            f" AND state IN ({marks}) AND (? = '' OR account = ?) ORDER BY id DESC LIMIT ?"
        )
        with self._opened("ro") as db:
            return records(db.execute(query, (*wanted, account, account, limit)), JournalRow)

    def find(self, name: str) -> list[JournalRow]:
        """Return the messages with an id, or with a trace id. Raises `StoreError`."""
        query = f"SELECT {_COLUMNS} FROM inbound WHERE message_id = ? OR trace = ? ORDER BY id"  # noqa: S608  # as above
        with self._opened("ro") as db:
            return records(db.execute(query, (name, name)), JournalRow)

    def of_messages(self, account: str, message_ids: Sequence[str]) -> list[JournalRow]:
        """Return what a bot has noted of these messages, oldest first. Raises `StoreError`.

        Args:
            account: the bot's account.
            message_ids: at most some hundred.
        """
        marks = ", ".join("?" * len(message_ids))
        query = (
            f"SELECT {_COLUMNS} FROM inbound WHERE account = ? AND message_id IN ({marks})"  # noqa: S608  # as above
            " ORDER BY id"
        )
        with self._opened("ro") as db:
            return records(db.execute(query, (account, *message_ids)), JournalRow)

    def chunks(self, row: JournalRow) -> list[Chunk]:
        """Return the messages sent, or planned, for a row. Raises `StoreError`."""
        with self._opened("ro") as db:
            return chunks_of(db, row.id)

    def prompt(self, row: JournalRow) -> KeptPrompt | None:
        """Return what a row's agent was given last, ``None`` where that is not kept. Raises `StoreError`."""
        with self._opened("ro") as db:
            return prompt_of(db, row.id)

    def counts(self) -> dict[str, int]:
        """Return how many rows stand in each state. Raises `StoreError`."""
        with self._opened("ro") as db:
            return counts_of(db)

    def audit(self, *, account: str = "", limit: int = 50) -> list[AuditEntry]:
        """Return what was asked of the bots beside their answers, newest first. Raises `StoreError`."""
        with self._opened("ro") as db:
            found = db.execute(
                f"SELECT {', '.join(AuditEntry.__struct_fields__)} FROM audit"  # noqa: S608  # names of ours
                " WHERE ? = '' OR account = ? ORDER BY id DESC LIMIT ?",
                (account, account, limit),
            )
            return records(found, AuditEntry)

    def overview(self) -> dict[str, AccountOverview]:
        """Return every bot's messages at a glance, by account. Raises `StoreError`."""
        found: dict[str, dict[str, int]] = {}
        with self._opened("ro") as db:
            db.execute("BEGIN")
            for account, state, count in db.execute(
                "SELECT account, state, count(*) FROM inbound GROUP BY account, state ORDER BY account, state"
            ):
                found.setdefault(account, {})[state] = count
            return {
                account: AccountOverview(
                    counts=counts,
                    oldest_open=_first(db, account, _OLDEST_OPEN),
                    last_failure=_first(db, account, _LAST_FAILURE),
                )
                for account, counts in found.items()
            }

    def latest_turns(self, account: str, limit: int) -> list[JournalRow]:
        """Return a bot's messages whose run has ended, newest first; stopped ones are none. Raises `StoreError`.

        Args:
            account: the bot.
            limit: at most so many.
        """
        query = (
            f"SELECT {_COLUMNS} FROM inbound WHERE account = ? AND decision = 'turn' AND attempt > 0"  # noqa: S608  # as above
            " AND (state = 'answered' OR state IN ('notified', 'dead') AND detail != '') ORDER BY id DESC LIMIT ?"
        )
        with self._opened("ro") as db:
            return records(db.execute(query, (account, limit)), JournalRow)

    def verdicts(self, account: str, since_ms: int) -> dict[tuple[str, str], int]:
        """Return how many messages that a bot has heard were judged how, by decision and reason. Raises `StoreError`.

        Args:
            account: the bot.
            since_ms: only those recorded from then on, Unix milliseconds.
        """
        query = (
            "SELECT decision, reason, count(*) FROM inbound WHERE account = ? AND received_at >= ?"
            " GROUP BY decision, reason ORDER BY count(*) DESC"
        )
        with self._opened("ro") as db:
            return {
                (str(kind), str(why)): count for kind, why, count in db.execute(query, (account, since_ms))
            }

    def accounts(self) -> list[str]:
        """Return the accounts that the journal knows, in order. Raises `StoreError`."""
        tables = ("inbound", "cursor", "paired", "pairing_request")
        query = " UNION ".join(f"SELECT account FROM {table}" for table in tables)  # noqa: S608  # names of ours
        with self._opened("ro") as db:
            return [str(account) for (account,) in db.execute(f"{query} ORDER BY account")]

    def retry(self, row: JournalRow, now_ms: int) -> bool:
        """Let the bot answer a dead letter, or what a notice ended before any run, at its next start.

        Returns whether the row still was one. Raises `StoreError`.
        """
        with self._writing() as db:
            changed = db.execute(
                "UPDATE inbound SET state = 'received', detail = '', ending = '', run_id = '', attempt = 0,"
                " breaks = 0, retried = 1, updated_at = ? WHERE id = ? AND session_key != ''"
                " AND decision != 'refused' AND (state = 'dead' OR state = 'notified' AND attempt = 0)",
                (now_ms, row.id),
            )
            return changed.rowcount == 1

    def bury(self, row: JournalRow, reason: str, now_ms: int) -> bool:
        """End an open message as a dead letter, and what is unsent of its answer; return whether it was open.

        Raises `StoreError`.
        """
        with self._writing() as db:
            ended = db.execute(
                f"UPDATE inbound SET state = 'dead', detail = ?, updated_at = ? WHERE id = ? AND {any_of(OPEN)}",  # noqa: S608  # states of ours
                (reason, now_ms, row.id),
            )
            if ended.rowcount:
                drop_unsent(db, row.id, reason, now_ms)
            return ended.rowcount > 0

    def pairings(self, *, account: str = "", now_ms: int) -> list[Pairing]:
        """Return who was let in and who waits for it. Raises `StoreError`."""
        with self._opened("ro") as db:
            return pairing.entries(db, account, now_ms)

    def approve(self, code: str, *, account: str = "", now_ms: int) -> Approval:
        """Let the person with a code write to the bot; counts from their next message. Raises `StoreError`.

        Args:
            code: as it stands in the chat.
            account: only this bot.
            now_ms: Unix milliseconds.
        """
        with self._writing() as db:
            return pairing.approve(db, code, account, now_ms)

    def wrong_codes(self, now_ms: int) -> int:
        """Return how many wrong codes were tried within the last hour. Raises `StoreError`."""
        with self._opened("ro") as db:
            return pairing.misses(db, now_ms)

    def revoke(self, uid: str, *, account: str = "") -> list[str]:
        """Shut somebody out again, and drop what they asked for; return the accounts. Raises `StoreError`."""
        with self._writing() as db:
            return pairing.revoke(db, uid, account)

    @contextmanager
    def _opened(self, mode: str) -> Iterator[Connection]:
        try:
            if not self._path.exists():
                raise StoreError(
                    f"there is no journal at {self._path}: name the bots' state folder with --store, or their "
                    "configuration with --config"
                )
            uri = f"{self._path.resolve().as_uri()}?mode={mode}"
            db = sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)
            with closing(db), db:
                self._check(db)
                yield CleaningConnection(db)
        except OSError as error:
            raise StoreError(f"the journal {self._path} cannot be read: {error.strerror}") from error
        except sqlite3.Error as error:
            raise StoreError(f"the journal {self._path} cannot be read: {error}") from error

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._opened("rw") as db:
            db.execute("BEGIN IMMEDIATE")
            yield db

    def _check(self, db: sqlite3.Connection) -> None:
        (owner,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if owner != APPLICATION_ID:
            raise StoreError(f"{self._path} is no journal of this package")
        if version != len(MIGRATIONS):
            older = version < len(MIGRATIONS)
            todo = "start the bots once, that brings it up to date" if older else "use that one"
            raise OtherVersion(
                f"the journal {self._path} was written by another version of this package: {todo}",
                older=older,
            )


def _first(db: Connection, account: str, which: str) -> JournalRow | None:
    query = f"SELECT {_COLUMNS} FROM inbound WHERE account = ? AND {which} LIMIT 1"  # noqa: S608  # constants
    return next(iter(records(db.execute(query, (account,)), JournalRow)), None)
