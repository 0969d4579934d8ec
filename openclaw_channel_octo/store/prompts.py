"""What agents were given, for an operator who asks why a run failed; kept with the message, and for fewer of them."""

from msgspec import Struct

from openclaw_channel_octo.store.database import Connection
from openclaw_channel_octo.store.transaction import Repository, Transaction, in_transaction, records

__all__ = ["KEEP_PROMPTS", "KeptPrompt", "Prompts", "prompt_of"]

KEEP_PROMPTS = 1_000
"""Prompts kept at most; those kept last stay."""


class KeptPrompt(Struct, frozen=True, kw_only=True):
    """What an agent was given.

    Attributes:
        run_id: the run it was given for.
        text: the prompt.
        kept_at: Unix milliseconds.
    """

    run_id: str
    text: str
    kept_at: int


class Prompts(Repository):
    """The prompts that are kept: one for each message, that of its last run. They go with their message."""

    @in_transaction
    def keep(self, tx: Transaction, row_id: int, run_id: str, text: str) -> None:
        """Keep a message's prompt in place of an earlier one; of a message that is gone none is kept.

        Args:
            tx: the transaction.
            row_id: the message.
            run_id: the run it was given for.
            text: the prompt, without secrets and cut to what may be kept.
        """
        tx.db.execute(
            "INSERT OR REPLACE INTO prompt (inbound_id, run_id, text, kept_at)"
            " SELECT id, ?, ?, ? FROM inbound WHERE id = ?",
            (run_id, text, tx.now_ms, row_id),
        )
        tx.db.execute(
            "DELETE FROM prompt WHERE inbound_id IN (SELECT inbound_id FROM prompt"
            " ORDER BY kept_at DESC, inbound_id DESC LIMIT -1 OFFSET ?)",
            (KEEP_PROMPTS,),
        )


def prompt_of(db: Connection, row_id: int) -> KeptPrompt | None:
    """Return a message's prompt, ``None`` where none is kept."""
    found = db.execute("SELECT run_id, text, kept_at FROM prompt WHERE inbound_id = ?", (row_id,))
    return next(iter(records(found, KeptPrompt)), None)
