"""The public test kit: an Octo server in your own process, a scripted agent host, a clock moved by hand.

`openclaw_channel_octo.testing.pytest_plugin` brings the same as pytest fixtures.
"""

from openclaw_channel_octo.testing.clock import ManualClock
from openclaw_channel_octo.testing.gateway.server import FakeGateway
from openclaw_channel_octo.testing.host import HANG, ScriptedHost, echo
from openclaw_channel_octo.testing.octo.double import NotReached, OctoDouble
from openclaw_channel_octo.testing.octo.faults import (
    ANY_CALL,
    ErrorAnswer,
    Fault,
    Hang,
    JsonAnswer,
    LoseAnswer,
    ProxyPage,
    RateLimit,
    Refuse,
    Slow,
)
from openclaw_channel_octo.testing.octo.records import Ack, ChatLine, RawEvent, RawMessage, RestCall, Split
from openclaw_channel_octo.testing.octo.refusals import Envelope
from openclaw_channel_octo.testing.octo.wire_server import Damage

__all__ = [
    "ANY_CALL",
    "HANG",
    "Ack",
    "ChatLine",
    "Damage",
    "Envelope",
    "ErrorAnswer",
    "FakeGateway",
    "Fault",
    "Hang",
    "JsonAnswer",
    "LoseAnswer",
    "ManualClock",
    "NotReached",
    "OctoDouble",
    "ProxyPage",
    "RateLimit",
    "RawEvent",
    "RawMessage",
    "Refuse",
    "RestCall",
    "ScriptedHost",
    "Slow",
    "Split",
    "echo",
]
