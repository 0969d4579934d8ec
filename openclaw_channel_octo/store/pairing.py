"""Who was let in to direct messages, and who waits for it: statements and rows."""

import hmac
import sqlite3
from enum import StrEnum

from msgspec import Struct

__all__ = ["Approval", "Pairing", "Verdict", "approve", "entries", "paired", "request", "revoke"]

CODE_LIVES_MS = 3_600_000
MOST_WAITING = 3
"""People with a code at a time for each bot (openclaw-host §3.4)."""

MOST_MISSES = 10
"""Wrong codes within `CODE_LIVES_MS` after which none is looked at."""


class Verdict(StrEnum):
    """What came of a code."""

    APPROVED = "approved"
    UNKNOWN = "unknown"
    """Nobody waits with this code: mistyped, used, or older than an hour."""
    TOO_MANY = "too many wrong codes"


class Approval(Struct, frozen=True, kw_only=True):
    """What came of a code, and who was let in to which bot."""

    verdict: Verdict
    account: str = ""
    uid: str = ""


class Pairing(Struct, frozen=True, kw_only=True):
    """Somebody who was let in, or waits for it. Times are Unix milliseconds.

    Attributes:
        account: the bot.
        uid: the person.
        state: ``approved`` or ``pending``.
        since: when they were let in, or asked.
        code: what lets them in while they wait, else empty.
        expires_at: when the code ends, 0 where there is none.
    """

    account: str
    uid: str
    state: str
    since: int
    code: str = ""
    expires_at: int = 0


def request(db: sqlite3.Connection, account: str, uid: str, fresh: str, now_ms: int) -> str:
    """Return a person's code, which lives anew from now; empty where too many others wait."""
    db.execute("DELETE FROM pairing_request WHERE expires_at <= ?", (now_ms,))
    (others,) = db.execute(
        "SELECT count(*) FROM pairing_request WHERE account = ? AND uid != ?", (account, uid)
    ).fetchone()
    if others >= MOST_WAITING:
        return ""
    (code,) = db.execute(
        "INSERT INTO pairing_request (account, uid, code, requested_at, expires_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (account, uid) DO UPDATE SET expires_at = excluded.expires_at RETURNING code",
        (account, uid, fresh, now_ms, now_ms + CODE_LIVES_MS),
    ).fetchone()
    return str(code)


def paired(db: sqlite3.Connection, account: str) -> frozenset[str]:
    """Return the people who were let in to a bot's direct messages."""
    return frozenset(row[0] for row in db.execute("SELECT uid FROM paired WHERE account = ?", (account,)))


def entries(db: sqlite3.Connection, account: str, now_ms: int) -> list[Pairing]:
    """Return who waits and who was let in, of every bot where ``account`` is empty."""
    waiting = db.execute(
        "SELECT account, uid, requested_at, code, expires_at FROM pairing_request"
        " WHERE (? = '' OR account = ?) AND expires_at > ? ORDER BY account, requested_at",
        (account, account, now_ms),
    )
    found = [
        Pairing(account=row[0], uid=row[1], state="pending", since=row[2], code=row[3], expires_at=row[4])
        for row in waiting
    ]
    let_in = db.execute(
        "SELECT account, uid, approved_at FROM paired WHERE (? = '' OR account = ?)"
        " ORDER BY account, approved_at",
        (account, account),
    )
    return found + [Pairing(account=row[0], uid=row[1], state="approved", since=row[2]) for row in let_in]


def approve(db: sqlite3.Connection, code: str, account: str, now_ms: int) -> Approval:
    """Let the person with a code in and use the code up; a wrong one is counted."""
    db.execute("DELETE FROM pairing_miss WHERE at <= ?", (now_ms - CODE_LIVES_MS,))
    (misses,) = db.execute("SELECT count(*) FROM pairing_miss").fetchone()
    if misses >= MOST_MISSES:
        return Approval(verdict=Verdict.TOO_MANY)
    wanted = code.strip().upper().encode()
    waiting = entries(db, account, now_ms)
    meant = [one for one in waiting if one.code and hmac.compare_digest(one.code.encode(), wanted)]
    if len(meant) != 1:
        db.execute("INSERT INTO pairing_miss (at) VALUES (?)", (now_ms,))
        return Approval(verdict=Verdict.UNKNOWN)
    who = (meant[0].account, meant[0].uid)
    db.execute("DELETE FROM pairing_request WHERE account = ? AND uid = ?", who)
    db.execute("INSERT OR REPLACE INTO paired (account, uid, approved_at) VALUES (?, ?, ?)", (*who, now_ms))
    return Approval(verdict=Verdict.APPROVED, account=who[0], uid=who[1])


def revoke(db: sqlite3.Connection, uid: str, account: str) -> list[str]:
    """Forget that somebody was let in, or asked for it; return the accounts where they were."""
    found: set[str] = set()
    for table in ("paired", "pairing_request"):
        rows = db.execute(
            f"DELETE FROM {table} WHERE uid = ? AND (? = '' OR account = ?) RETURNING account",  # noqa: S608  # names above
            (uid, account, account),
        )
        found.update(row[0] for row in rows.fetchall())
    return sorted(found)
