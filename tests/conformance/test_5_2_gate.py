"""Reference-behaviour §5.2, the gate's truth table, ordinary bots: the rows by their own words."""

import json
from typing import Any

import pytest

from openclaw_channel_octo.message.payload import parse_payload
from openclaw_channel_octo.policy.gate import DecisionKind, Envelope, GatePolicy, Identity, decide

BOT = Identity(uid="helper_bot", name="Helper", owner_uid="ann")
TURN, CONTEXT = DecisionKind.TURN, DecisionKind.CONTEXT
TEXT = "hello there"
BAD = [{"uid": "helper_bot", "offset": -1, "length": 3}, None]

ROWS: list[tuple[str, Any, DecisionKind]] = [
    ("none", None, CONTEXT),
    ("{}", {}, CONTEXT),
    ("uids has bot", {"uids": ["helper_bot"]}, TURN),
    ("uids has grantor", {"uids": ["ann"]}, CONTEXT),
    ("ais:1", {"ais": 1}, TURN),
    ("ais true", {"ais": True}, TURN),
    ("ais:0", {"ais": 0}, CONTEXT),
    ("ais false", {"ais": False}, CONTEXT),
    ("ais 2", {"ais": 2}, CONTEXT),
    ("all:1", {"all": 1}, CONTEXT),
    ("all true", {"all": True}, CONTEXT),
    ("humans:1", {"humans": 1}, CONTEXT),
    ("humans true", {"humans": True}, CONTEXT),
    ("ais:1, all:1", {"ais": 1, "all": 1}, CONTEXT),
    ("ais:1, humans:1", {"ais": 1, "humans": 1}, CONTEXT),
    ("all:5 is not a flag", {"ais": 1, "all": 5}, TURN),
    ('all:"1" is not a flag', {"ais": 1, "all": "1"}, TURN),
    ("entities all invalid fall back to uids", {"uids": ["helper_bot"], "entities": BAD}, TURN),
    ("entities all invalid, uids without the bot", {"uids": ["ben"], "entities": BAD}, CONTEXT),
]


@pytest.mark.parametrize(("mention", "kind"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_the_gates_table(mention: Any, kind: DecisionKind) -> None:
    assert judged(mention).kind is kind


@pytest.mark.parametrize(
    "known", [{"robot"}, frozenset()], ids=["robot flag of the roster", "uid ends in _bot"]
)
def test_known_bots_are_never_answered_without_a_mention_and_answered_with_one(known: set[str]) -> None:
    sender = "robot" if known else "other_bot"
    for policy in (GatePolicy(known_bots=known), GatePolicy(known_bots=known, no_mention={"ben"})):
        assert judged({}, sender, policy).kind is CONTEXT
        assert judged({"uids": ["helper_bot"]}, sender, policy).kind is TURN


def judged(mention: Any, sender: str = "ben", policy: GatePolicy | None = None) -> Any:
    payload: dict[str, Any] = {"type": 1, "content": TEXT}
    if mention is not None:
        payload["mention"] = mention
    envelope = Envelope(from_uid=sender, channel_id="g1", channel_type=2)
    return decide(envelope, parse_payload(json.dumps(payload).encode()), BOT, lambda: policy or GatePolicy())
