"""Harness of what people write: payload, gate, rendering, splitting."""

import json
from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Any

from openclaw_channel_octo.capture.format import Capture, FromServer, SocketControl
from openclaw_channel_octo.message.payload import Payload, parse_payload
from openclaw_channel_octo.message.render import render
from openclaw_channel_octo.message.split import split_reply
from openclaw_channel_octo.message.text import utf16_length
from openclaw_channel_octo.policy.commands import STOP_WORD
from openclaw_channel_octo.policy.gate import (
    DecisionKind,
    Envelope,
    GatePolicy,
    Identity,
    conversation,
    decide,
)
from openclaw_channel_octo.wire.client import ClientConnection, Credentials
from openclaw_channel_octo.wire.crypto import KeyPair
from openclaw_channel_octo.wire.events import Received
from tests.fuzz.harness import Harness, is_in_order
from tests.fuzz.mutation import json_maker
from tests.fuzz.wire_harness import captures

BOT = Identity(uid="27a1_bot", name="Helper", owner_uid="ann")
SENDERS = ("ann", "other_bot", "", "27a1_bot", "s3_ann", "botfather", "iwh_1")
CHANNELS = ("g1", "ann", "ann@27a1_bot", "a@b@c", "", "@", "g1____2039626171074744320")
LIMITS = (16, 17, 100, 3_500)
REPLIES = (
    "```python\n",
    "~~~~\n",
    "> - `",
    "👩‍👩‍👧‍👦",
    "🇩🇪🇫🇷",
    "。",
    "\t \u3000",
    "\r\n\r\n",
    "# ",
    "word ",
    "é́",
    "| a | b |\n",
    "|---|--:|\n",
    "12. ",
)
WORDS = (
    *(
        "type",
        "content",
        "plain",
        "mention",
        "uids",
        "entities",
        "uid",
        "offset",
        "length",
        "all",
        "humans",
        "ais",
    ),
    *("reply", "message_id", "from_uid", "from_name", "payload", "event", "url", "name", "size", "caption"),
    *("latitude", "lng", "users", "msgs", "extra", "mention_uids", "text", "image", "@Helper", "27a1_bot"),
    *("/stop", "{0}", "```", "@", "cmd", "param"),
)


def payloads_of(capture: Capture) -> list[bytes]:
    """Return what was said in a recording, decrypted with its keys."""
    keys = iter(capture.header.client_private_keys)
    version = capture.header.proto_version or 5
    client: ClientConnection | None = None
    found = []
    for record in capture.records:
        if isinstance(record, SocketControl) and record.event == "open":
            credentials = Credentials(uid="u", token="t", device_id="d", version=version)
            client = ClientConnection(credentials, KeyPair.from_private_bytes(next(keys)))
            client.connect(0, 0.0)
        elif isinstance(record, FromServer) and isinstance(record.data, bytes) and client is not None:
            events = client.receive(record.data, 0.0)
            found += [event.message.payload for event in events if isinstance(event, Received)]
    return found


@cache
def seeds() -> Sequence[Any]:
    """Return the JSON payloads of the recordings, each once, and a few that nest and quote."""
    raw = {payload: None for capture in captures() for payload in payloads_of(capture)}
    found = []
    for payload in raw:
        try:
            found.append(json.loads(payload))
        except ValueError:
            continue  # the recordings have broken ones too
    quote = {"type": 1, "content": "before", "reply": {"from_uid": "27a1_bot", "payload": {"type": 1}}}
    forward = {
        "type": 11,
        "users": [{"uid": "a", "name": "A"}],
        "msgs": [{"from_uid": "a", "payload": quote}],
    }
    nested = {"type": 11, "users": [], "msgs": [{"from_uid": "b", "payload": forward}] * 3}
    return [
        *found,
        quote,
        forward,
        nested,
        {"type": 1009, "content": "{0} and {1}", "extra": [{"name": "n"}]},
    ]


@cache
def _json_maker() -> Any:
    return json_maker(seeds(), WORDS, head=3)


def make_content(rng: Random) -> bytes:
    made: bytes = _json_maker()(rng)
    return made


def check_content(data: bytes) -> None:
    """Whatever was sent gets a decision and a text that can be stored, shown and sent."""
    choice, who, where = data[:3] if len(data) > 2 else (0, 0, 0)
    payload = parse_payload(data[3:])
    sender, channel = SENDERS[who % len(SENDERS)], CHANNELS[where % len(CHANNELS)]
    envelope = Envelope(from_uid=sender, channel_id=channel, channel_type=(1, 2, 5, 99)[choice % 4])
    policy = GatePolicy(
        require_mention=choice & 16 == 0, known_bots=frozenset({"ann"}) if choice & 32 else frozenset()
    )
    decision = decide(envelope, payload, BOT, lambda: policy)
    assert decision.reason
    assert (decision.command not in {"", STOP_WORD}) == (decision.kind is DecisionKind.COMMAND)
    conversation(envelope, BOT.uid)
    _check_rendering(payload, len(data), LIMITS[choice >> 6])


def _check_rendering(payload: Payload, size: int, limit: int) -> None:
    rendered = render(payload, own_name=BOT.name)
    assert rendered.text.strip()
    assert len(rendered.text.encode()) + len(rendered.quote.encode()) <= 4 * size + 300_000
    assert len(rendered.media) <= 20
    for chunk in split_reply(rendered.text[:20_000], limit):
        assert chunk.strip()
        assert utf16_length(chunk) <= limit
        chunk.encode()


def make_reply(rng: Random) -> bytes:
    pieces = rng.choices(REPLIES, k=rng.randrange(1, 30))
    text = "".join(piece * rng.choice((1, 1, 2, 12)) for piece in pieces)
    return rng.randbytes(1) + text.encode()


def check_reply(data: bytes) -> None:
    """An answer is cut into messages that fit; nothing is lost, and only what goes on over a cut is repeated."""
    text = data[1:].decode(errors="replace")
    limit = LIMITS[data[0] % 4] if data else 16
    chunks = split_reply(text, limit)
    assert all(utf16_length(chunk) <= limit and chunk.strip() for chunk in chunks)
    assert is_in_order("".join(text.split()), "".join("".join(chunks).split()))
    if not set(text) & set("`~>|"):
        assert "".join("".join(chunks).split()) == "".join(text.split())


HARNESSES = (
    Harness(name="content", make=make_content, check=check_content, share=12),
    Harness(name="reply", make=make_reply, check=check_reply, share=2),
)
