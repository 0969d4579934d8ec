"""Recorded traffic through the real connection, inbox and gate."""

import itertools
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec import Struct, field

from openclaw_channel_octo.capture.format import Capture, FromServer, Record, Side, SocketControl, ToServer
from openclaw_channel_octo.capture.header import CaptureHeader
from openclaw_channel_octo.capture.socket import SocketReader
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.errors import CaptureError, RemoteProtocolError
from openclaw_channel_octo.message.payload import ContentType
from openclaw_channel_octo.message.render import render
from openclaw_channel_octo.policy.gate import ADDRESSED, DecisionKind, GatePolicy, Identity
from openclaw_channel_octo.runtime.intake.inbox import Inbox
from openclaw_channel_octo.runtime.received import Incoming, Outcome
from openclaw_channel_octo.session.route import Routing
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.wire.client import ClientConnection, Credentials
from openclaw_channel_octo.wire.crypto import KeyPair
from openclaw_channel_octo.wire.events import Connected, Kicked, Received, Rejected, Undecodable
from openclaw_channel_octo.wire.packets import Recvack

__all__ = ["ReplayEvent", "replay"]

ACCOUNT = "replay"
ANNOUNCED_VERSION = 5

ReplayEvent = dict[str, Any]
"""One line of a replay's report, fit for JSON; ``event`` names its kind."""

_Ack = tuple[int, int, int]
"""A RECVACK as message id, message seq, header flags."""


class _Connection(Struct):
    """One connection of the capture, played by our own core."""

    number: int
    core: ClientConnection
    ours: SocketReader
    theirs: SocketReader
    outcome: str = "rejected"
    sent: list[_Ack] = field(default_factory=list)
    recorded: list[_Ack] = field(default_factory=list)


async def replay(capture: Capture) -> AsyncIterator[ReplayEvent]:
    """Run a capture and yield what happened, the summary last.

    Decisions are those of an account with default settings whose robot id, name and owner are the capture's.

    Raises:
        CaptureError: the capture lacks what a replay needs.
    """
    with TemporaryDirectory(prefix="octo-replay-") as folder:
        async with Journal(Path(folder) / "octo.sqlite", SystemClock()) as journal:
            run = _Replay(capture.header, journal)
            for record in capture.records:
                for event in await run.play(record):
                    yield event
            yield run.summary()


class _Replay:
    """The state of one replay, with an empty journal."""

    def __init__(self, header: CaptureHeader, journal: Journal) -> None:
        account = header.account
        uid = account.robot_id or header.client.uid
        if not uid:
            raise CaptureError("the capture does not say which bot it is of")
        self._header = header
        self._uid = uid
        identity = Identity(uid=uid, name=account.name, owner_uid=account.owner_uid)
        self._inbox = Inbox(ACCOUNT, identity, Routing(), lambda _: GatePolicy(), journal)
        self._connections: list[_Connection] = []
        self._live: _Connection | None = None
        self._decisions: Counter[str] = Counter()
        self._disagreements: list[dict[str, Any]] = []

    async def play(self, record: Record) -> list[ReplayEvent]:
        """Play one record and return what it led to."""
        match record:
            case SocketControl(event="open"):
                self._open()
            case SocketControl(event="close") if self._live is not None:
                live, self._live = self._live, None
                return [{"event": "closed", "connection": live.number, "outcome": live.outcome}]
            case FromServer() if self._live is not None:
                return await self._receive(self._live, record.stream_bytes, record.at_us / 1_000_000)
            case ToServer() if self._live is not None:
                self._live.recorded += _acks_in(self._live.theirs, record.stream_bytes)
        return []

    def _open(self) -> None:
        number = len(self._connections) + 1
        keys = self._header.client_private_keys
        if number > len(keys):
            raise CaptureError(f"the capture holds no private key for connection {number}")
        credentials = Credentials(
            uid=self._uid,
            token="TOKEN",  # noqa: S106  # what captures carry in place of a token
            device_id=self._header.client.device_id,
            device_flag=self._header.client.device_flag,
            version=self._header.proto_version or ANNOUNCED_VERSION,
        )
        key = keys[number - 1]
        core = ClientConnection(credentials, KeyPair.from_private_bytes(key))
        core.connect(0, 0.0)
        self._live = _Connection(number, core, ours=SocketReader(key), theirs=SocketReader(key))
        self._connections.append(self._live)

    async def _receive(self, live: _Connection, data: bytes, now: float) -> list[ReplayEvent]:
        try:
            happened = live.core.receive(data, now)
        except RemoteProtocolError:
            live.outcome = "protocol-error"
            return []
        report: list[ReplayEvent] = []
        messages: list[Incoming] = []
        for event in happened:
            match event:
                case Connected(server_version=version):
                    live.ours.version = live.theirs.version = version
                    live.outcome = "closed"
                    report.append({"event": "connected", "connection": live.number, "proto_version": version})
                case Received() | Undecodable():
                    messages.append(event)
                case Kicked(reason=reason, text=text):
                    live.outcome = "kicked"
                    report += await self._accept(live, messages)
                    messages = []
                    report.append(
                        {"event": "kicked", "connection": live.number, "reason": reason, "text": text}
                    )
                case Rejected():
                    live.outcome = "rejected"
        return report + await self._accept(live, messages)

    async def _accept(self, live: _Connection, messages: Sequence[Incoming]) -> list[ReplayEvent]:
        outcomes = await self._inbox.accept(messages)
        for outcome in outcomes:
            if outcome.acknowledge:
                message = outcome.message
                live.core.acknowledge(message.message_id, message.message_seq, message.flags)
            decision, label = outcome.decision, self._header.labels.get(outcome.message.client_msg_no)
            self._decisions[decision.kind] += 1
            if label is None or label.addressed is None or decision.kind is DecisionKind.DUPLICATE:
                continue
            if (decision.kind in ADDRESSED) is not label.addressed:
                self._disagreements.append(
                    {
                        "message_id": str(outcome.message.message_id),
                        "client_msg_no": outcome.message.client_msg_no,
                        "label": label.addressed,
                        "why": label.why,
                        "decision": decision.kind.value,
                        "reason": decision.reason,
                    }
                )
        live.sent += _acks_in(live.ours, live.core.outgoing())
        return [_line(outcome) for outcome in outcomes]

    def summary(self) -> ReplayEvent:
        """Return the report's last line."""
        # RECVACKs are compared in order; a client that never acked proves nothing.
        compared = [each for each in self._connections if each.recorded]
        mismatches = [
            {"connection": each.number, "position": position, "sent": ours, "recorded": theirs}
            for each in compared
            for position, (ours, theirs) in enumerate(itertools.zip_longest(each.sent, each.recorded))
            if ours != theirs
        ]
        return {
            "event": "summary",
            "scenario": self._header.scenario,
            "connections": len(self._connections),
            "messages": sum(self._decisions.values()),
            "decisions": {
                kind.value: self._decisions[kind]
                for kind in DecisionKind
                if kind is not DecisionKind.REFUSED  # a replay lets everybody in
            },
            "acks": {
                "sent": sum(len(each.sent) for each in self._connections),
                "recorded": sum(len(each.recorded) for each in self._connections),
                "compared_connections": len(compared),
                "equal": not mismatches,
                "mismatches": mismatches,
            },
            "disagreements": self._disagreements,
        }


def _acks_in(reader: SocketReader, data: bytes) -> list[_Ack]:
    """Return the RECVACKs among packets a client sent; bytes that are no packets hold none."""
    packets = (seen.packet for seen in reader.read(Side.CLIENT, data))
    return [(ack.message_id, ack.message_seq, int(ack.flags)) for ack in packets if isinstance(ack, Recvack)]


def _line(outcome: Outcome) -> ReplayEvent:
    message, payload = outcome.message, outcome.payload
    text = ""
    if payload is not None:
        text = payload.text if payload.type == ContentType.TEXT else render(payload).text
    return {
        "event": "message",
        "message_id": str(message.message_id),
        "message_seq": message.message_seq,
        "client_msg_no": message.client_msg_no,
        "from_uid": message.from_uid,
        "channel_id": message.channel_id,
        "channel_type": message.channel_type,
        "type": payload.type if payload else None,
        "text": text,
        "decision": outcome.decision.kind.value,
        "reason": outcome.decision.reason,
        "session_key": outcome.session_key if outcome.decision.kind is DecisionKind.TURN else None,
    }
