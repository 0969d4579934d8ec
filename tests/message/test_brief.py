"""What is kept of a message that nobody asked the bot to answer."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_channel_octo.message.brief import WHOLE_BYTES, brief
from openclaw_channel_octo.message.history import MESSAGE_BYTES
from openclaw_channel_octo.message.payload import parse_payload
from openclaw_channel_octo.message.render import render
from openclaw_channel_octo.message.text import clip
from tests.golden.payloads import GENERATED

LONG = "long words 长话 " * 1_000
MOST = 3 * WHOLE_BYTES + 7 * MESSAGE_BYTES

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(LONG),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def cut(value: Any) -> bytes:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return brief(raw, parse_payload(raw))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["type", "content", "mention", "reply", "x", "plain"]), json_values))
def test_whatever_is_large_becomes_small_and_stays_readable(payload: dict[str, Any]) -> None:
    payload["pad"] = LONG
    kept = cut(payload)
    assert len(kept) <= MOST
    assert parse_payload(kept).problem is None
    assert parse_payload(kept).type == parse_payload(json.dumps(payload).encode()).type


def test_a_small_payload_stays_as_it_is() -> None:
    raw = json.dumps({"type": 1, "content": "hello"}).encode() + b" " * 1_000
    assert cut(raw) is raw


def test_the_text_is_cut_and_type_mention_and_ids_stay() -> None:
    quoted = {"message_id": "77", "from_uid": "ben", "payload": {"type": 1, "content": LONG}}
    payload = {
        "content": LONG,
        "mention": {"uids": ["ann"], "all": 1},
        "reply": quoted,
        "type": 1,
        "pad": LONG,
    }
    found = parse_payload(cut(payload))
    assert (found.type, found.text) == (1, clip(LONG, MESSAGE_BYTES))
    assert found.mention is not None
    assert (found.mention.uids, found.mention.all) == (("ann",), True)
    assert found.reply is not None
    assert (found.reply.message_id, found.reply.from_uid) == ("77", "ben")


@pytest.mark.parametrize("name", GENERATED)
def test_what_context_shows_of_a_message_is_the_same(name: str) -> None:
    payload = GENERATED[name] | {"pad": LONG}
    before, after = (
        clip(render(parse_payload(raw)).text, MESSAGE_BYTES)
        for raw in (json.dumps(payload).encode(), cut(payload))
    )
    assert after == before


@pytest.mark.parametrize(
    "raw",
    [
        b"x" * 900_000,
        b"[" * 900_000,
        json.dumps({"type": 1, **{f"k{number}": number for number in range(80_000)}}).encode(),
        json.dumps({"type": 1, "list": [[]] * 200_000}).encode(),
        json.dumps({"x" * 900_000: 1, "type": 1}).encode(),
        b'{"type":1,"content":"' + b"\\ud83d" * 100_000 + b'"}',
        b'{"type":1,"n":' + b"9" * 4_000 + b',"pad":"' + b"x" * 9_000 + b'"}',
        b'{"type":1,"content":"' + b"\\u0001" * 100_000 + b'"}',
    ],
)
def test_a_hostile_payload_takes_little_room_and_reads_as_before(raw: bytes) -> None:
    kept = cut(raw)
    assert len(kept) <= MOST
    before, after = parse_payload(raw), parse_payload(kept)
    assert (after.problem is None, after.type) == (before.problem is None, before.type)
