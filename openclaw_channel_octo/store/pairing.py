"""Who was let in to direct messages, and who waits for it: statements and rows."""

import hmac
import sqlite3
from enum import StrEnum

from msgspec import Struct

__all__ = [
    "MOST_MISSES",
    "Approval",
    "Pairing",
    "Verdict",
    "approve",
    "asked",
    "entries",
    "misses",
    "paired",
    "request",
    "revoke",
]

CODE_LIVES_MS = 3_600_000
MOST_WAITING = 3
"""People with a code at a time for each bot (openclaw-host §3.4)."""

STALE_MS = 900_000
"""How long nobody else takes the place of somebody who waits."""

REMEMBERED_MS = 86_400_000
"""How long after the end of their code somebody counts as having had their turn."""

MOST_MISSES = 10
"""Wrong codes that are remembered, each for `CODE_LIVES_MS`; with so many the next ones are looked at slowly."""


class Verdict(StrEnum):
    """What came of a code."""

    APPROVED = "approved"
    UNKNOWN = "unknown"
    """Nobody waits with this code: mistyped, used, or older than an hour."""


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
    """Return a person's code, which lives anew from now; empty where too many others wait.

    Somebody new takes the place of who has waited longest, once that is `STALE_MS`: a few accounts that nobody lets in
    do not keep everybody else out by asking again and again.
    """
    db.execute("DELETE FROM pairing_request WHERE expires_at <= ?", (now_ms - REMEMBERED_MS,))
    waiting = db.execute(
        "SELECT uid, requested_at FROM pairing_request WHERE account = ? AND expires_at > ? ORDER BY requested_at",
        (account, now_ms),
    ).fetchall()
    waits = any(other == uid for other, _ in waiting)
    if not waits and len(waiting) >= MOST_WAITING:
        oldest, since_ms = waiting[0]
        if asked(db, account, uid) or since_ms > now_ms - STALE_MS:
            return ""
        db.execute(
            "UPDATE pairing_request SET expires_at = ? WHERE account = ? AND uid = ?",
            (now_ms, account, oldest),
        )
    if not waits:
        db.execute(
            "INSERT OR REPLACE INTO pairing_request (account, uid, code, requested_at, expires_at)"
            " VALUES (?, ?, ?, ?, 0)",
            (account, uid, fresh, now_ms),
        )
    (code,) = db.execute(
        "UPDATE pairing_request SET expires_at = ? WHERE account = ? AND uid = ? RETURNING code",
        (now_ms + CODE_LIVES_MS, account, uid),
    ).fetchone()
    return str(code)


def asked(db: sqlite3.Connection, account: str, uid: str) -> bool:
    """Return whether somebody has a code, or had one within the last day."""
    query = "SELECT 1 FROM pairing_request WHERE account = ? AND uid = ?"
    return db.execute(query, (account, uid)).fetchone() is not None


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
    wanted = code.strip().upper().encode()
    waiting = entries(db, account, now_ms)
    meant = [one for one in waiting if one.code and hmac.compare_digest(one.code.encode(), wanted)]
    if len(meant) != 1:
        db.execute("DELETE FROM pairing_miss WHERE at <= ?", (now_ms - CODE_LIVES_MS,))
        if misses(db, now_ms) < MOST_MISSES:
            db.execute("INSERT INTO pairing_miss (at) VALUES (?)", (now_ms,))
        return Approval(verdict=Verdict.UNKNOWN)
    who = (meant[0].account, meant[0].uid)
    db.execute("DELETE FROM pairing_request WHERE account = ? AND uid = ?", who)
    db.execute("INSERT OR REPLACE INTO paired (account, uid, approved_at) VALUES (?, ?, ?)", (*who, now_ms))
    return Approval(verdict=Verdict.APPROVED, account=who[0], uid=who[1])


def misses(db: sqlite3.Connection, now_ms: int) -> int:
    """Return how many wrong codes were tried within the last hour, `MOST_MISSES` at most."""
    (count,) = db.execute(
        "SELECT count(*) FROM pairing_miss WHERE at > ?", (now_ms - CODE_LIVES_MS,)
    ).fetchone()
    return int(count)


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
