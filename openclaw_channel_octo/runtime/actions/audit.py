"""The record of what hosts and agents ask of a bot beside its answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from openclaw_channel_octo.errors import ApiError, OctoError, RequestDenied, SendFailed, TargetError
from openclaw_channel_octo.policy.authority import Requester
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.store.audit import AuditEntry, AuditOutcome

__all__ = ["Record", "recorded"]


class Record(Struct):
    """One request while it is carried out; what stands here at its end is recorded."""

    target: str = ""
    detail: str = ""


@asynccontextmanager
async def recorded(
    context: BotContext, requester: Requester, run_id: str, action: str
) -> AsyncIterator[Record]:
    """Record a request before anything is done for it, and its outcome behind. Raises `StoreError`.

    One that is cancelled stays ``begun``: what it asked for may have happened.

    Args:
        context: of the bot.
        requester: for whom.
        run_id: the run whose agent asks, empty for an operator.
        action: what is asked.
    """
    record, audit = Record(), context.journal.audit
    number = await audit.begin(
        AuditEntry(
            at=context.clock.wall_ms(),
            account=context.config.account_id,
            requester=requester.name,
            run_id=run_id,
            action=action,
            target="",
            outcome=AuditOutcome.BEGUN,
            detail="",
        )
    )
    try:
        yield record
    except OctoError as error:
        outcome = AuditOutcome.DENIED if isinstance(error, RequestDenied) else AuditOutcome.FAILED
        await audit.end(number, record.target, outcome, _reason(error))
        raise
    await audit.end(number, record.target, AuditOutcome.DONE, record.detail)


def _reason(error: OctoError) -> str:
    """Return why a request failed, without anything an agent wrote."""
    if isinstance(error, TargetError):
        return "the target names no conversation"
    return str(error) if isinstance(error, ApiError | RequestDenied | SendFailed) else type(error).__name__
