import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openclaw_channel_octo.message.payload import ENTITY_LIMIT, Entity, Payload, parse_payload
from tests.strategies import JSON

KEYS = ["type", "content", "plain", "mention", "mention_uids", "reply", "event", "problem", "data", "text"]
OBJECTS = st.dictionaries(st.sampled_from(KEYS), JSON, max_size=len(KEYS))


def parsed(**keys: Any) -> Payload:
    return parse_payload(json.dumps(keys).encode())


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "payload is not readable JSON"),
        (b"hello", "payload is not readable JSON"),
        (b'{"type":1', "payload is not readable JSON"),
        (b'{"type":1} x', "payload is not readable JSON"),
        (b'{"a":' + b"9" * 5000 + b"}", "payload is not readable JSON"),
        (b"\xff\xfe raw", "payload is not UTF-8"),
        (b'{"content":"\xed\xa0\x80"}', "payload is not UTF-8"),
        ('{"type":1}'.encode("utf-16"), "payload is not UTF-8"),
        (b"[1,2,3]", "payload is not a JSON object"),
        (b"null", "payload is not a JSON object"),
        (b'"text"', "payload is not a JSON object"),
        (b'{"type":1}\x0b', "payload is not readable JSON"),
        (b"NaN", "payload is not a JSON object"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "payload is nested too deeply"),
        (b"[" * 100_000, "payload is nested too deeply"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bytes_that_are_no_json_object_are_a_bad_payload_with_a_reason(raw: bytes, problem: str) -> None:
    assert parse_payload(raw) == Payload(problem=problem)


@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf{}")
def test_any_bytes_give_a_payload(raw: bytes) -> None:
    payload = parse_payload(raw)
    assert (payload.problem is None) or payload.data == {}


@given(OBJECTS)
def test_any_object_is_read_and_keeps_what_was_sent(keys: dict[str, Any]) -> None:
    payload = parse_payload(json.dumps(keys).encode())
    assert payload.problem is None
    assert set(payload.data) == set(keys)
    assert payload.type is None or type(payload.type) is int
    payload.text.encode()


@given(
    OBJECTS,
    st.integers(0, 200),
    st.sampled_from(['"', "\\", "0", "-", "e9", ".", "]", ",", "\\ud83d", " ", "NaN"]),
)
def test_what_is_json_reads_as_the_standard_library_reads_it(
    keys: dict[str, Any], place: int, typo: str
) -> None:
    right = json.dumps(keys)
    for text in (right, right[:place] + typo + right[place:]):
        try:
            expected = json.loads(text, parse_constant=lambda _: None)
        except ValueError:
            assert parse_payload(text.encode()).problem == "payload is not readable JSON"
        else:
            assert repr(parse_payload(text.encode()).data) == repr(expected)


def test_white_space_around_the_object_does_no_harm() -> None:
    assert parse_payload(b' \t\r\n{"type":1}\n\r\t ').type == 1


def test_plain_text_is_read() -> None:
    payload = parsed(type=1, content="hi 👋")
    assert (payload.type, payload.text) == (1, "hi 👋")
    assert (payload.mention, payload.reply, payload.event_type, payload.problem) == (None, None, None, None)


@pytest.mark.parametrize("value", ["1", True, 1.0, None, [], {}])
def test_type_that_is_no_integer_is_absent(value: object) -> None:
    assert parsed(type=value, content="x").type is None


@pytest.mark.parametrize("value", [5, None, True, ["a"], {"a": 1}])
def test_content_that_is_no_string_is_empty_text(value: object) -> None:
    assert parsed(type=1, content=value).text == ""


def test_last_of_duplicate_keys_counts_and_huge_numbers_stay_exact() -> None:
    payload = parse_payload(b'{"type":1,"content":"a","content":"b","n":123456789012345678901234567890}')
    assert payload.text == "b"
    assert payload.data["n"] == 123456789012345678901234567890


def test_deep_nesting_that_json_can_read_is_accepted() -> None:
    deep = b"[" * 400 + b"]" * 400
    payload = parse_payload(b'{"type":1,"content":"deep","x":%b,"reply":{"payload":{"x":%b}}}' % (deep, deep))
    assert payload.text == "deep"
    assert payload.reply is not None
    assert "x" in payload.reply.payload


def test_lone_surrogate_becomes_a_replacement_character() -> None:
    payload = parse_payload(
        rb'{"content":"a\ud83d","mention":{"uids":["\udc00"]},"reply":{"from_name":"\ud83d"}}'
    )
    assert payload.text == "a\ufffd"
    assert payload.mention is not None
    assert payload.mention.uids == ("\ufffd",)
    assert payload.reply is not None
    assert payload.reply.from_name == "\ufffd"


@pytest.mark.parametrize(
    ("event", "event_type"),
    [
        ({"type": "group_md_updated", "version": 4}, "group_md_updated"),
        ({}, ""),
        ({"type": 5}, ""),
        (None, None),
        ("group_md_updated", None),
        ([], None),
    ],
)
def test_event_type_is_read_from_an_event_object_only(event: object, event_type: str | None) -> None:
    assert parsed(event=event).event_type == event_type


def test_payload_without_event_key_has_no_event_type() -> None:
    assert parsed(type=1).event_type is None


@pytest.mark.parametrize(
    ("value", "is_set"),
    [(True, True), (1, True), (0, False), (False, False), (2, False), (5, False), ("1", False), (1.0, False),
     (1.5, False), (None, False), ([1], False), ({}, False)],
)  # fmt: skip
@pytest.mark.parametrize("flag", ["all", "humans", "ais"])
def test_flag_counts_only_as_true_or_one(flag: str, value: object, is_set: bool) -> None:
    mention = parsed(mention={flag: value}).mention
    assert mention is not None
    assert getattr(mention, flag) is is_set


@pytest.mark.parametrize("value", [None, [], ["uid"], "uid", 5, True])
def test_mention_that_is_no_object_is_absent(value: object) -> None:
    assert parsed(mention=value).mention is None


def test_wrong_items_of_a_mention_do_not_hide_the_right_ones() -> None:
    mention = parsed(
        mention={
            "uids": [None, 5, "me_bot", {}],
            "entities": [None, 5, {"uid": 5}, {"uid": "u", "offset": "0", "length": 2},
                         {"uid": "u", "offset": True, "length": 2}, {"uid": "u", "offset": 0, "length": 7}],
        }
    ).mention  # fmt: skip
    assert mention is not None
    assert mention.uids == ("me_bot",)
    assert mention.entities == (Entity(uid="u", offset=0, length=7),)


@pytest.mark.parametrize("value", [None, "me_bot", {"me_bot": 1}, 5])
def test_lists_of_a_mention_that_are_no_lists_are_empty(value: object) -> None:
    mention = parsed(mention={"uids": value, "entities": value, "ais": 1}).mention
    assert mention is not None
    assert (mention.uids, mention.entities, mention.ais) == ((), (), True)


def test_offset_that_is_not_a_number_makes_the_entity_unreadable() -> None:
    mention = parse_payload(b'{"mention":{"entities":[{"uid":"u","offset":NaN,"length":1e999}]}}').mention
    assert mention is not None
    assert mention.entities == ()


def test_entities_beyond_a_sane_number_are_not_looked_at() -> None:
    entity = {"uid": "u", "offset": 0, "length": 1}
    mention = parsed(mention={"entities": [entity] * (ENTITY_LIMIT + 5)}).mention
    assert mention is not None
    assert len(mention.entities) == ENTITY_LIMIT


def test_ids_beside_an_image_count_as_mentioned() -> None:
    mention = parsed(type=2, mention_uids=["me_bot", 5], mention={"uids": ["ann"], "humans": 1}).mention
    assert mention is not None
    assert mention.uids == ("ann", "me_bot")
    assert mention.humans
    alone = parsed(type=2, mention_uids=["me_bot"]).mention
    assert alone is not None
    assert alone.uids == ("me_bot",)


def test_reply_is_read_with_the_quoted_payload_left_as_it_is() -> None:
    reply = parsed(
        reply={"message_id": 2044043250838278144, "from_uid": "u", "from_name": "Bob", "payload": {"type": 1}}
    ).reply
    assert reply is not None
    assert (reply.message_id, reply.from_uid, reply.from_name) == ("2044043250838278144", "u", "Bob")
    assert reply.payload == {"type": 1}


def test_wrong_shapes_inside_a_reply_read_as_absent() -> None:
    reply = parsed(reply={"message_id": True, "from_uid": 5, "from_name": None, "payload": "text"}).reply
    assert reply is not None
    assert (reply.message_id, reply.from_uid, reply.from_name, reply.payload) == ("", "", "", {})


@pytest.mark.parametrize("value", [None, "1", 5, ["a"]])
def test_reply_that_is_no_object_is_absent(value: object) -> None:
    assert parsed(reply=value).reply is None


def test_read_parts_cannot_be_changed() -> None:
    mention = parsed(mention={}).mention
    assert mention is not None
    with pytest.raises(AttributeError):
        mention.ais = True  # type: ignore[misc]  # the point of the test


def test_keys_named_like_our_own_fields_do_not_reach_them() -> None:
    payload = parsed(type=1, content="hi", problem="forged", data={}, event_type="forged", text="forged")
    assert (payload.problem, payload.event_type, payload.text) == (None, None, "hi")


def test_the_raw_object_is_kept_out_of_reprs() -> None:
    assert "secret" not in repr(parsed(type=2, caption="secret"))
