from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.message.mentions import (
    mentions_typed_name,
    valid_entities,
    without_mentions,
)
from openclaw_channel_octo.message.payload import Entity, Mention
from openclaw_channel_octo.message.text import utf16_length, utf16_slice
from tests.wire.vectors import VECTORS

ANYTHING = st.text(st.characters(), max_size=40)


def marked(*spans: tuple[int, int], uid: str = "u") -> Mention:
    return Mention(entities=tuple(Entity(uid=uid, offset=offset, length=length) for offset, length in spans))


@pytest.mark.parametrize("vector", VECTORS["mention_offsets"], ids=lambda vector: vector["content"])
def test_entity_marks_what_the_vector_says(vector: dict[str, Any]) -> None:
    entity = Entity(**vector["entity"])
    found = valid_entities(vector["content"], Mention(entities=(entity,)))
    assert found == (() if vector["slice"] is None else (entity,))
    assert utf16_slice(vector["content"], entity.offset, entity.length) == vector["slice"]


@pytest.mark.parametrize(
    "span", [(-1, 4), (0, 0), (0, -4), (0, 9), (400, 7), (8, 1), (1, 3), (10**30, 1), (0, 10**30)]
)
def test_entity_outside_the_text_or_not_at_an_at_sign_is_ignored(span: tuple[int, int]) -> None:
    assert valid_entities("@bob hi", marked(span)) == ()


def test_valid_entities_stay_in_order_beside_invalid_ones() -> None:
    found = valid_entities("@bob @eve", marked((0, 4), (1, 2), (5, 4)))
    assert [entity.offset for entity in found] == [0, 5]


def test_message_without_mention_or_entities_has_no_entities() -> None:
    assert valid_entities("@bob", None) == ()
    assert valid_entities("@bob", Mention(uids=("u",))) == ()


@given(ANYTHING, st.lists(st.tuples(st.integers(-3, 50), st.integers(-3, 50)), max_size=5))
def test_every_valid_entity_marks_text_that_starts_with_an_at_sign(
    text: str, spans: list[tuple[int, int]]
) -> None:
    for entity in valid_entities(text, marked(*spans)):
        shown = utf16_slice(text, entity.offset, entity.length)
        assert shown is not None
        assert shown.startswith("@")


@pytest.mark.parametrize(
    "text",
    [
        "@Helper are you there",
        "hey @Helper, look",
        "早 @Helper",
        "(@Helper)",
        "@Helper",
        "@Helper\nsum up",
        "。@Helper，看一下",
        "👍@Helper👍",
        "½@Helper½",
        "@@Helper",
        "x.@Helper?",
        "foo@Helper and @Helper",
        "@Helpers @Helper-old @Helper!",
        "@Helper/status",
    ],
)
def test_name_typed_as_a_word_of_its_own_is_a_mention(text: str) -> None:
    assert mentions_typed_name(text, "Helper")


@pytest.mark.parametrize(
    "text",
    [
        "@Helpers assemble",
        "foo@Helper bar",
        "@Helper中文",
        "中文@Helper 看",
        "あ@Helper",
        "@Helperア",
        "@Helperー",
        "한@Helper",
        "@Helper한",
        "é@Helper",
        "@Helperé",
        "ñ@Helper",
        "привет@Helper",
        "_@Helper",
        "@Helper_2",
        "@Helper2",
        "2@Helper",
        "see @Helper.com",
        "@Helper.",
        "@Helper-old is gone",
        "mail me at ann@Helper.example",
        "Helper please",
        "@helper lower",
        "@ Helper",
        "",
        "@",
    ],
)
def test_name_inside_a_longer_word_an_address_or_another_case_is_none(text: str) -> None:
    assert not mentions_typed_name(text, "Helper")


@pytest.mark.parametrize("name", ["", "  ", "\n"])
def test_bot_without_a_name_is_never_mentioned_by_name(name: str) -> None:
    assert not mentions_typed_name("@ hello @", name)
    assert without_mentions("@ hello", name) == "@ hello"


@pytest.mark.parametrize("name", ["C++ (v2)", "a.b", "[x]*", "小助手", "My Bot", "$^\\"])
def test_name_is_taken_literally(name: str) -> None:
    assert mentions_typed_name(f"hey @{name} hi", name)
    assert not mentions_typed_name("hey @aXb hi", name)


@given(ANYTHING, ANYTHING)
def test_looking_for_a_name_never_fails(text: str, name: str) -> None:
    assert mentions_typed_name(text, name) in {True, False}
    without_mentions(text, name)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("/status", "/status"),
        ("  /status \n", "/status"),
        ("@Helper /status", "/status"),
        (" @Helper\n@Helper   /reset now", "/reset now"),
        ("@Helper/stop", "/stop"),
        ("@Helper", ""),
        ("@Helpers /status", "@Helpers /status"),
        ("@Other @Helper /status", "@Other @Helper /status"),
        ("please @Helper /status", "please @Helper /status"),
        ("stop @Helper", "stop"),
        ("@Helper stop @Helper\n@Helper", "stop"),
        ("stop at @Helpers", "stop at @Helpers"),
        ("mail x@Helper", "mail x@Helper"),
    ],
)
def test_typed_mentions_around_what_is_said_are_taken_off(text: str, rest: str) -> None:
    assert without_mentions(text, "Helper") == rest


def test_mentions_under_another_name_are_taken_out_by_their_entities() -> None:
    text = "\u3000@小助手👍 @Helper @小助手👍 /help me"
    second = utf16_length("\u3000@小助手👍 @Helper ")
    entities = marked((1, 6), (second, 6)).entities
    assert without_mentions(text, "Helper", entities) == "/help me"
    assert without_mentions("👍 /stop@小助手!", "", marked((8, 4)).entities) == "👍 /stop !"


def test_entity_that_covers_less_than_nothing_visible_does_not_loop() -> None:
    assert without_mentions("@a", "Helper", marked((0, 10**9)).entities) == ""
