"""What people decide about requests of agents, by ``/approve`` and ``/deny`` (decision 0051)."""

from msgspec import Struct

from openclaw_channel_octo.config.texts import Texts
from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.approvals import DecidesApprovals, Outcome
from openclaw_channel_octo.ids import ChannelType, group_of, split_space
from openclaw_channel_octo.message.payload import parse_payload
from openclaw_channel_octo.message.target import Target
from openclaw_channel_octo.message.text import label
from openclaw_channel_octo.policy.access import ANYONE
from openclaw_channel_octo.policy.commands import Commanders
from openclaw_channel_octo.policy.gate import verdict_of
from openclaw_channel_octo.policy.verdicts import ALWAYS, DENY, ONCE, Verdict, is_short_id, short_id
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.runtime.turn.host_calls import ask_host
from openclaw_channel_octo.runtime.turn.runs import Runs
from openclaw_channel_octo.store.approvals import EXPIRED, GONE, ApprovalRow
from openclaw_channel_octo.store.audit import AuditEntry, AuditOutcome
from openclaw_channel_octo.store.records import InboundRow

__all__ = ["Decisions"]

_MOST_NAMED = 5
"""Requests that are named where it is not clear which is meant."""


class Decisions(Struct, frozen=True, kw_only=True):
    """Takes decisions of one bot's people to the host.

    Attributes:
        context: what every part of the bot is made from.
        runs: the host.
    """

    context: BotContext
    runs: Runs

    @property
    def possible(self) -> bool:
        """Whether people here are asked at all."""
        return isinstance(self.runs.host, DecidesApprovals) and self.runs.host.asks_here

    def may(self, row: InboundRow) -> bool:
        """Return whether who wrote a message may decide requests of its conversation: the owner, or by name."""
        config = self.context.config
        named = set(config.commands.approvers)
        if row.channel.type != ChannelType.PERSON:
            here = config.groups.get(group_of(row.channel).id) or config.groups.get(ANYONE)
            named |= set(here.approvers if here else ())
        return Commanders(self.context.identity.owner_uid, frozenset(named)).include(row.from_uid)

    async def decide(self, row: InboundRow) -> str:
        """Carry out the decision that a message is, and return what people read.

        Who may is looked at before. The decision is in the journal before the host is told; where a process dies
        between, the message is carried out again, with the same outcome.

        Raises:
            HostError: the host could not be told; the request is open as before.
        """
        direct = row.channel.type == ChannelType.PERSON
        verdict = verdict_of(parse_payload(row.payload), self.context.identity, direct=direct)
        if verdict is None:
            return self._texts.no_approvals
        found = await self._meant(row, verdict)
        if len(found) > 1:
            return self._texts.approval_several.replace("%s", ", ".join(short_id(one.id) for one in found))
        if not found:
            return self._texts.approval_unknown.replace("%s", label(verdict.request)).replace("  ", " ")
        (request,) = found
        choices = request.choices.split()
        if verdict.decision not in choices:
            return self._texts.approval_choices.replace("%s", ", ".join(choices))
        return await self._carry_out(row, request, verdict.decision)

    async def _meant(self, row: InboundRow, verdict: Verdict) -> list[ApprovalRow]:
        """Return the requests that may be meant: those of the conversation, for the owner also all others by their id.

        Elsewhere it has to be all of the id that people are shown: who decides without one, or with its first letters,
        means what they read here, which may be over by now.
        """
        approvals, word = self.context.journal.approvals, verdict.request
        here = await approvals.find(row.account, word, _MOST_NAMED, row.channel)
        is_owner = split_space(row.from_uid)[1] == self.context.identity.owner_uid != ""
        if here or not is_owner or not is_short_id(word):
            return here
        return await approvals.find(row.account, word, _MOST_NAMED)

    async def _carry_out(self, row: InboundRow, request: ApprovalRow, decision: str) -> str:
        approvals, account = self.context.journal.approvals, row.account
        if not await approvals.claim(account, request.id, decision, row.from_uid):
            return self._over(request, request.decision or GONE)
        try:
            outcome = await self._told(request, decision)
        except HostError:
            await approvals.release(account, request.id, row.from_uid)
            raise
        await self._note(row, request, decision, outcome)
        if outcome is Outcome.DECIDED:
            self.context.log.info("request %s: %s by %s", short_id(request.id), decision, row.from_uid)
            return self._over(request, decision)
        await approvals.release(account, request.id, row.from_uid)
        await approvals.end(account, request.id, GONE, tell=False)
        return self._over(request, GONE)

    async def _note(self, row: InboundRow, request: ApprovalRow, decision: str, outcome: Outcome) -> None:
        """Record in the audit who decided, never what."""
        ended = AuditOutcome.DONE if outcome is Outcome.DECIDED else AuditOutcome.FAILED
        entry = AuditEntry(
            at=self.context.clock.wall_ms(),
            account=row.account,
            requester=row.from_uid,
            run_id=request.run_id,
            action=f"approval {decision}",
            target=str(Target(request.channel)),
            outcome=ended,
            detail=short_id(request.id),
        )
        await self.context.journal.audit.begin(entry)

    async def _told(self, request: ApprovalRow, decision: str) -> Outcome:
        """Tell the host of the run. Raises `HostError`."""
        host = self.runs.host_of(request.run_id)
        if not isinstance(host, DecidesApprovals):
            return Outcome.GONE
        return await ask_host(self.context.clock, "decide a request", host.decide(request.id, decision))

    def _over(self, request: ApprovalRow, decision: str) -> str:
        texts = self._texts
        told = {
            ONCE: texts.approval_once,
            ALWAYS: texts.approval_always,
            DENY: texts.approval_denied,
            EXPIRED: texts.approval_expired,
        }.get(decision, texts.approval_gone)
        return told.replace("%s", short_id(request.id))

    @property
    def _texts(self) -> Texts:
        return self.context.config.texts
