"""A received message and what the gate made of it: what the rooms of the road hand to each other."""

from msgspec import Struct

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.message.payload import Payload
from openclaw_channel_octo.policy.gate import Decision, DecisionKind
from openclaw_channel_octo.store.records import InboundRow
from openclaw_channel_octo.wire.events import InboundMessage, Received, Undecodable
from openclaw_channel_octo.wire.packets import Flags

__all__ = ["NUMBERS_END", "TOO_OLD", "Addressed", "Incoming", "Outcome", "number_of", "trace_of"]

TOO_OLD = "too old when it was found in the history at the start"
"""Why a message of the history gets a line instead of an answer; the reason of its row."""

NUMBERS_END = 2**63
"""Numbers from here on fit no signed 64-bit field of the journal; a server of version 6 can send them."""

_UNNUMBERED = Flags.NO_PERSIST | Flags.SYNC_ONCE

_NO_PLACE = frozenset({DecisionKind.IGNORED, DecisionKind.UNDECODABLE})
"""What does not count as heard: the history may hold an undecodable message readable."""

Incoming = Received | Undecodable


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of one received packet.

    Attributes:
        message: the packet's message; of an undecodable one only its envelope.
        decision: what it is to us.
        payload: the parsed payload, ``None`` for an undecodable one.
        channel: the conversation as a bot answers into it.
        session_key: the conversation's session, empty for messages that start no turn.
        row: the new journal row of a message that addresses the bot, else ``None``.
        fetched: whether it comes from the server's history.
        acknowledge: whether the server may forget the message.
    """

    message: InboundMessage | Undecodable
    decision: Decision
    payload: Payload | None
    channel: ChannelRef
    session_key: str
    row: InboundRow | None = None
    fetched: bool = False
    acknowledge: bool = True


class Addressed(Struct, frozen=True):
    """A recorded message that addresses the bot, with what was read from its payload once.

    Attributes:
        row: its row in the journal.
        payload: what it says.
        command: the command it is, such as ``/status``, or `STOP_WORD`; empty for others.
    """

    row: InboundRow
    payload: Payload
    command: str


def number_of(outcome: Outcome) -> int:
    """Return the message's number in its conversation's log, 0 for one that has none there (protocol §4.7)."""
    message = outcome.message
    if message.flags & _UNNUMBERED or not outcome.channel.id or message.message_seq >= NUMBERS_END:
        return 0
    if outcome.decision.kind in _NO_PLACE:
        return 0
    return message.message_seq


def trace_of(message_id: int) -> str:
    """Return the short id that every log line of a message carries: the last eight digits of its id."""
    return f"{message_id % 100_000_000:08d}"
