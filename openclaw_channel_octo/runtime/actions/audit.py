"""The record of what hosts and agents ask of a bot beside its answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import ApiError, OctoError, RequestDenied, TargetError
from openclaw_channel_octo.policy.authority import Requester
from openclaw_channel_octo.store.audit import AuditEntry, AuditOutcome
from openclaw_channel_octo.store.journal import Journal

__all__ = ["Audit", "Record"]


class Record(Struct):
    """One request while it is carried out; what stands here at its end is recorded."""

    target: str = ""
    detail: str = ""


class Audit(Struct, frozen=True, kw_only=True):
    """Records the requests one requester makes of one bot.

    Attributes:
        journal: where they are recorded.
        clock: time.
        account_id: the bot.
        requester: for whom.
        run_id: the run whose agent asks, empty for an operator.
    """

    journal: Journal
    clock: Clock
    account_id: str
    requester: Requester
    run_id: str

    @asynccontextmanager
    async def record(self, action: str) -> AsyncIterator[Record]:
        """Record a request before anything is done for it, and its outcome behind. Raises `StoreError`.

        One that is cancelled stays ``begun``: what it asked for may have happened.
        """
        record = Record()
        number = await self.journal.audit.begin(self._begun(action))
        try:
            yield record
        except OctoError as error:
            outcome = AuditOutcome.DENIED if isinstance(error, RequestDenied) else AuditOutcome.FAILED
            await self.journal.audit.end(number, record.target, outcome, _reason(error))
            raise
        await self.journal.audit.end(number, record.target, AuditOutcome.DONE, record.detail)

    def _begun(self, action: str) -> AuditEntry:
        return AuditEntry(
            at=self.clock.wall_ms(),
            account=self.account_id,
            requester=self.requester.name,
            run_id=self.run_id,
            action=action,
            target="",
            outcome=AuditOutcome.BEGUN,
            detail="",
        )


def _reason(error: OctoError) -> str:
    """Return why a request failed, without anything an agent wrote."""
    if isinstance(error, TargetError):
        return "the target names no conversation"
    return str(error) if isinstance(error, ApiError | RequestDenied) else type(error).__name__
