"""Received messages: judged by the gate, recorded in one transaction, then acknowledged (design §4 steps 2–3)."""

import logging
from collections.abc import Callable, Sequence
from functools import partial

from cachetools import FIFOCache
from msgspec import Struct
from msgspec.structs import replace

from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.message.brief import brief
from openclaw_channel_octo.message.payload import parse_payload
from openclaw_channel_octo.policy.gate import (
    ADDRESSED,
    Decision,
    DecisionKind,
    Envelope,
    GatePolicy,
    Identity,
    conversation,
    decide,
)
from openclaw_channel_octo.runtime.received import NUMBERS_END, TOO_OLD, Incoming, Outcome, trace_of
from openclaw_channel_octo.session.route import Routing
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.store.records import InboundRow, NewInbound
from openclaw_channel_octo.store.states import RowState
from openclaw_channel_octo.wire.events import InboundMessage, Received, Undecodable
from openclaw_channel_octo.wire.packets import Flags

__all__ = ["Inbox"]

_log = logging.getLogger(__name__)

POISON_COPIES = 3
"""From this copy on an undecodable message is acknowledged, recorded and dropped (protocol §4.6)."""

POISON_MEMORY = 1_000
"""Undecodable messages whose copies are counted at the same time."""

_TO_THE_BOT = ADDRESSED | {DecisionKind.REFUSED}
"""What has to come to an end people can see."""


class _Judged(Struct):
    outcome: Outcome
    record: NewInbound | None


class Inbox:
    """Judges and records what one bot receives.

    Args:
        account: the bot's account id.
        identity: who the bot is in the chat.
        routing: which session a conversation belongs to.
        policy: returns what the gate has to know besides the message, for a conversation as it is known now.
        journal: where rows go.
        observe: told what each message is before the next one is judged, which it may change.
    """

    def __init__(
        self,
        account: str,
        identity: Identity,
        routing: Routing,
        policy: Callable[[ChannelRef], GatePolicy],
        journal: Journal,
        observe: Callable[[Outcome], None] = lambda _: None,
    ) -> None:
        self._account = account
        self._identity = identity
        self.routing = routing
        self._policy = policy
        self._journal = journal
        self._observe = observe
        self._poison: FIFOCache[int, int] = FIFOCache(POISON_MEMORY)

    async def accept(self, events: Sequence[Incoming], *, answer_since: int = 0) -> list[Outcome]:
        """Judge and record packets in the order they came.

        Args:
            events: received packets.
            answer_since: Unix seconds; older messages that address the bot get `TOO_OLD` as their reason, none with 0.

        Raises:
            StoreError: nothing was recorded, so nothing may be acknowledged.
        """
        paired = await self._paired(events)
        judged = [self._judge(event, answer_since, paired) for event in events]
        records = [item.record for item in judged if item.record is not None]
        rows = iter(await self._journal.messages.append(records) if records else ())
        return [_settled(item, next(rows)) if item.record is not None else item.outcome for item in judged]

    async def _paired(self, events: Sequence[Incoming]) -> frozenset[str]:
        """Return who was let in to direct messages, read anew where it decides: other programs let people in."""
        direct = (
            ChannelRef(event.message.channel_id, ChannelType.PERSON)
            for event in events
            if isinstance(event, Received) and event.message.channel_type == ChannelType.PERSON
        )
        if any(self._policy(channel).access.dm == "pairing" for channel in direct):
            return await self._journal.pairings.people(self._account)
        return frozenset()

    def _judge(self, event: Incoming, answer_since: int, paired: frozenset[str]) -> _Judged:
        if isinstance(event, Undecodable):
            return self._judge_poison(event)
        try:
            return self._judge_message(event.message, answer_since, paired)
        except Exception as error:  # noqa: BLE001  # the message boundary: it must not break those beside it
            _log.exception("message %s could not be judged", event.message.message_id)
            return self._unjudged(event.message, f"could not be judged: {type(error).__name__}")

    def _judge_message(self, message: InboundMessage, answer_since: int, paired: frozenset[str]) -> _Judged:
        payload = parse_payload(message.payload)
        envelope = Envelope(
            from_uid=message.from_uid, channel_id=message.channel_id, channel_type=message.channel_type
        )
        channel = conversation(envelope, self._identity.uid)
        policy_of = partial(self._policy_with, paired, channel) if paired else partial(self._policy, channel)
        decision = decide(envelope, payload, self._identity, policy_of)
        addressed = decision.kind in _TO_THE_BOT
        if addressed and 0 < answer_since > message.timestamp:
            decision = replace(decision, reason=TOO_OLD)
        key = self.routing.route(self._account, channel).session_key if addressed else ""
        outcome = Outcome(
            message=message, decision=decision, payload=payload, channel=channel, session_key=key
        )
        self._observe(outcome)
        if message.flags & Flags.NO_PERSIST and not addressed:
            return _Judged(outcome, None)  # never sent again by the server, so there is nothing to remember
        if addressed:
            record = self._record(outcome, message.payload, message.timestamp, RowState.RECEIVED, "")
        else:
            kept, size = brief(message.payload, payload), len(message.payload)
            cut = f"cut for the journal, {size} bytes were received" if kept is not message.payload else ""
            record = self._record(outcome, kept, message.timestamp, RowState.CONTEXT, cut)
        return _Judged(outcome, record)

    def _policy_with(self, paired: frozenset[str], channel: ChannelRef) -> GatePolicy:
        policy = self._policy(channel)
        return replace(policy, access=replace(policy.access, paired=paired))

    def _unjudged(self, message: InboundMessage, problem: str) -> _Judged:
        """Return a dead letter that holds the payload, so that the message is not lost with the fault."""
        outcome = Outcome(
            message=message,
            decision=Decision(DecisionKind.UNDECODABLE, problem),
            payload=None,
            channel=ChannelRef(message.channel_id, message.channel_type),
            session_key="",
        )
        record = self._record(outcome, message.payload, message.timestamp, RowState.DEAD, problem)
        return _Judged(outcome, record)

    def _judge_poison(self, event: Undecodable) -> _Judged:
        copies = self._poison.pop(event.message_id, 0) + 1
        given_up = copies >= POISON_COPIES
        if not given_up:
            self._poison[event.message_id] = copies
        outcome = Outcome(
            message=event,
            decision=Decision(DecisionKind.UNDECODABLE, event.problem),
            payload=None,
            channel=ChannelRef(event.channel_id, event.channel_type),
            session_key="",
            acknowledge=given_up,
        )
        if not given_up:
            return _Judged(outcome, None)
        return _Judged(outcome, self._record(outcome, b"", 0, RowState.DEAD, event.problem))

    def _record(  # one argument for each thing a row tells that an outcome does not
        self, outcome: Outcome, payload: bytes, timestamp: int, state: RowState, detail: str
    ) -> NewInbound:
        message = outcome.message
        return NewInbound(
            account=self._account,
            message_id=str(message.message_id),
            message_seq=message.message_seq if message.message_seq < NUMBERS_END else 0,
            client_msg_no=message.client_msg_no,
            from_uid=message.from_uid,
            channel=outcome.channel,
            timestamp=timestamp,
            payload=payload,
            decision=outcome.decision.kind,
            reason=outcome.decision.reason,
            session_key=outcome.session_key,
            trace=trace_of(message.message_id),
            state=state,
            detail=detail,
        )


def _settled(item: _Judged, row: InboundRow | None) -> Outcome:
    """Return the outcome after recording: a message known already is a duplicate."""
    if row is None:
        known = Decision(DecisionKind.DUPLICATE, "recorded before")
        return replace(item.outcome, decision=known, session_key="")
    return replace(item.outcome, row=row) if row.state is RowState.RECEIVED else item.outcome
