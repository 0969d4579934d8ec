"""Who was let in to direct messages, and who waits for it."""

import hmac
from enum import StrEnum

from msgspec import Struct

from openclaw_channel_octo.store.database import Connection
from openclaw_channel_octo.store.transaction import Repository, Transaction, in_transaction, records

__all__ = [
    "MOST_MISSES",
    "Approval",
    "Pairing",
    "Pairings",
    "Verdict",
    "approve",
    "entries",
    "misses",
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


class Pairings(Repository):
    """Who may write to each bot directly."""

    @in_transaction
    def people(self, tx: Transaction, account: str) -> frozenset[str]:
        """Return the people an operator has let in to a bot's direct messages, as of now."""
        found = tx.db.execute("SELECT uid FROM paired WHERE account = ?", (account,))
        return frozenset(row[0] for row in found)

    @in_transaction
    def code(self, tx: Transaction, account: str, uid: str, fresh: str) -> str:
        """Return the code with which somebody can be let in, good for an hour from now.

        Somebody new takes the place of who has waited longest, once that is `STALE_MS`: a few accounts that nobody
        lets in do not keep everybody else out by asking again and again.

        Args:
            tx: the transaction.
            account: the bot.
            uid: who asks.
            fresh: becomes their code where they have none.

        Returns:
            The code, empty where too many others wait to be let in.
        """
        db, now_ms = tx.db, tx.now_ms
        db.execute("DELETE FROM pairing_request WHERE expires_at <= ?", (now_ms - REMEMBERED_MS,))
        waiting = db.execute(
            "SELECT uid, requested_at FROM pairing_request WHERE account = ? AND expires_at > ?"
            " ORDER BY requested_at",
            (account, now_ms),
        ).fetchall()
        waits = any(other == uid for other, _ in waiting)
        if not waits and len(waiting) >= MOST_WAITING:
            oldest, since_ms = waiting[0]
            if _asked(db, account, uid) or since_ms > now_ms - STALE_MS:
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

    @in_transaction
    def asked(self, tx: Transaction, account: str, uid: str) -> bool:
        """Return whether somebody has a code with which they can be let in, or had one within the last day."""
        return _asked(tx.db, account, uid)


def _asked(db: Connection, account: str, uid: str) -> bool:
    query = "SELECT 1 FROM pairing_request WHERE account = ? AND uid = ?"
    return db.execute(query, (account, uid)).fetchone() is not None


def entries(db: Connection, account: str, now_ms: int) -> list[Pairing]:
    """Return who waits and who was let in, of every bot where ``account`` is empty."""
    waiting = db.execute(
        "SELECT account, uid, 'pending' AS state, requested_at AS since, code, expires_at FROM pairing_request"
        " WHERE (? = '' OR account = ?) AND expires_at > ? ORDER BY account, requested_at",
        (account, account, now_ms),
    )
    let_in = db.execute(
        "SELECT account, uid, 'approved' AS state, approved_at AS since FROM paired"
        " WHERE (? = '' OR account = ?) ORDER BY account, approved_at",
        (account, account),
    )
    return records(waiting, Pairing) + records(let_in, Pairing)


def approve(db: Connection, code: str, account: str, now_ms: int) -> Approval:
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


def misses(db: Connection, now_ms: int) -> int:
    """Return how many wrong codes were tried within the last hour, `MOST_MISSES` at most."""
    (count,) = db.execute(
        "SELECT count(*) FROM pairing_miss WHERE at > ?", (now_ms - CODE_LIVES_MS,)
    ).fetchone()
    return int(count)


def revoke(db: Connection, uid: str, account: str) -> list[str]:
    """Forget that somebody was let in, or asked for it; return the accounts where they were."""
    found: set[str] = set()
    for table in ("paired", "pairing_request"):
        rows = db.execute(
            f"DELETE FROM {table} WHERE uid = ? AND (? = '' OR account = ?) RETURNING account",  # noqa: S608  # names above
            (uid, account, account),
        )
        found.update(row[0] for row in rows.fetchall())
    return sorted(found)
