"""Reference-behaviour §5.3, mention text: what the existing plugin's tests pin, row by row.

What is done another way on purpose stands in ``docs/differences.md``.
"""

import json
from typing import Any

import pytest

from openclaw_channel_octo.message.history import speaker
from openclaw_channel_octo.message.mentions import addressed, valid_entities
from openclaw_channel_octo.message.payload import parse_payload
from openclaw_channel_octo.policy.gate import DecisionKind, Envelope, GatePolicy, Identity, decide

BOT = Identity(uid="b1", name="Ann", owner_uid="o1")
TEXT = "@Ann look"


def entity_uids(content: str, entities: object) -> list[str]:
    raw = json.dumps({"type": 1, "content": content, "mention": {"entities": entities}}).encode()
    payload = parse_payload(raw)
    return [entity.uid for entity in valid_entities(payload.text, payload.mention)]


@pytest.mark.parametrize(
    "entity",
    [
        pytest.param({"uid": "b1", "offset": -1, "length": 4}, id="offset negative"),
        pytest.param({"uid": "b1", "offset": 0, "length": 0}, id="length 0"),
        pytest.param({"uid": "b1", "offset": float("nan"), "length": 4}, id="NaN"),
        pytest.param({"uid": "b1", "offset": 0, "length": float("inf")}, id="Infinity"),
        pytest.param({"uid": "b1", "offset": 0, "length": 10}, id="past the end"),
        pytest.param({"uid": "b1", "offset": 10**30, "length": 1}, id="far past the end"),
        pytest.param(None, id="entry null"),
        pytest.param(
            {"uid": "b1", "offset": 1, "length": 3}, id="the text at the offset does not start with @"
        ),
        pytest.param({"uid": 5, "offset": 0, "length": 4}, id="uid is no string"),
        pytest.param({"uid": "b1", "offset": "0", "length": 4}, id="offset is no number"),
    ],
)
def test_an_entity_is_rejected_and_the_others_count(entity: object) -> None:
    good = {"uid": "u9", "offset": 0, "length": 4}
    assert entity_uids(TEXT, [entity, good]) == ["u9"]


def test_the_same_nickname_twice_with_different_uids_resolves_by_entity_not_by_name() -> None:
    entities = [{"uid": "a1", "offset": 0, "length": 4}, {"uid": "b1", "offset": 5, "length": 4}]
    assert entity_uids("@Ann @Ann hi", entities) == ["a1", "b1"]
    names = {"a1": "Ann", "b1": "Ann"}
    assert addressed("@Ann hi", names).mention == {}
    assert addressed("@[b1:Ann] hi", names).mention["uids"] == ["b1"]


@pytest.mark.parametrize(
    ("uids", "kind"), [(["b1"], DecisionKind.TURN), (["u1", 5, None], DecisionKind.CONTEXT)]
)
def test_v1_messages_that_carry_uids_only_address_by_uid(uids: list[Any], kind: DecisionKind) -> None:
    raw = json.dumps({"type": 1, "content": "hello", "mention": {"uids": uids}}).encode()
    envelope = Envelope(from_uid="u2", channel_id="g1", channel_type=2)
    assert decide(envelope, parse_payload(raw), BOT, GatePolicy).kind is kind


NAMES = {"u1": "Bob", "u2": "林小", "u3": "j.doe-x_9", "u4": "Bob Stone"}


@pytest.mark.parametrize(
    ("text", "uids"),
    [
        pytest.param("@Bob and @nobody", ["u1"], id="known names are replaced and unknown left"),
        pytest.param("write to a@Bob.example or x@Bob", [], id="e-mail addresses never match"),
        pytest.param("@林小 看", ["u2"], id="names of letters: CJK"),
        pytest.param("@j.doe-x_9 hi", ["u3"], id="names of dot, hyphen, underscore, digits"),
        pytest.param("hi\n@Bob", ["u1"], id="start of line"),
        pytest.param("hi \t@Bob", ["u1"], id="after white space"),
        pytest.param("@Bob Stone, @Bob", ["u1"], id="two readings call nobody: docs/differences.md"),
        pytest.param("@Bobby @Bob.de 中@Bob", [], id="part of a longer word"),
    ],
)
def test_names_in_an_answer(text: str, uids: list[str]) -> None:
    found = addressed(text, NAMES)
    assert found.text == text
    assert found.mention.get("uids", []) == uids


def test_an_empty_roster_changes_nothing() -> None:
    assert (addressed(f"{TEXT} @[x", {}).text, addressed(TEXT, {}).mention) == (f"{TEXT} @[x", {})


@pytest.mark.parametrize(
    ("uid", "shown"),
    [
        pytest.param("u1", "Bob (u1)", id="name and uid"),
        pytest.param("u8", "u8", id="unknown: uid"),
        pytest.param("s3_u1", "s3_u1", id="the uid of another space is shown whole"),
    ],
)
def test_the_label_of_a_sender(uid: str, shown: str) -> None:
    assert speaker(uid, NAMES) == shown
