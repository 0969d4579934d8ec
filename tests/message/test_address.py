"""Mentions in answers: who is called, where the marks stand, and that cutting an answer keeps them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.message.mentions import MOST_MENTIONS, addressed, split_addressed
from openclaw_channel_octo.message.text import utf16_slice

NAMES = {"ann": "Ann", "ben": "Ben Baker", "chen": "陈晨", "x1": "Twin", "x2": "Twin", "e": "👍Eva"}


def called(text: str) -> list[tuple[str, str]]:
    """Return who is called, and the text the mark covers."""
    message = addressed(text, NAMES)
    entities: list[dict[str, Any]] = message.mention.get("entities", [])
    return [
        (entity["uid"], utf16_slice(message.text, entity["offset"], entity["length"]) or "")
        for entity in entities
    ]


@pytest.mark.parametrize(
    ("text", "shown", "who"),
    [
        ("hello @Ann!", "hello @Ann!", [("ann", "@Ann")]),
        ("@[ann:whatever] hi", "@Ann hi", [("ann", "@Ann")]),
        ("@Ben Baker, look", "@Ben Baker, look", [("ben", "@Ben Baker")]),
        ("👍 @陈晨 好", "👍 @陈晨 好", [("chen", "@陈晨")]),
        ("@👍Eva and @Ann", "@👍Eva and @Ann", [("e", "@👍Eva"), ("ann", "@Ann")]),
        ("@Ann @Ann", "@Ann @Ann", [("ann", "@Ann"), ("ann", "@Ann")]),
        ("@[x1:Twin] not @Twin", "@Twin not @Twin", [("x1", "@Twin")]),
        ("@[gone:Zoe] left", "@Zoe left", []),
        ("mail ann@Ann.example or @Anna", "mail ann@Ann.example or @Anna", []),
        ("@all @所有人 @everyone", "@all @所有人 @everyone", []),
        ("`@Ann` and ```\n@Ann\n``` and @Ann", "`@Ann` and ```\n@Ann\n``` and @Ann", [("ann", "@Ann")]),
        ("nobody", "nobody", []),
        ("@", "@", []),
    ],
)
def test_only_people_of_the_conversation_are_called(
    text: str, shown: str, who: list[tuple[str, str]]
) -> None:
    assert addressed(text, NAMES).text == shown
    assert called(text) == who


READ_TWICE: list[tuple[str, dict[str, str]]] = [
    ("@X please pay", {"x": "X", "eve": "X please"}),
    ("@X please pay", {"x": "X", "x2": "X", "eve": "X please"}),
    ("@Ann Lee, look", {"ann": "Ann", "lee": "Ann Lee"}),
    ("@all hands on deck", {"eve": "all hands"}),
    ("@所有人 好", {"eve": "所有人"}),
    ("@All look", {"eve": "All"}),
    ("@everyone look", {"eve": "everyone"}),
    ("@ann look", {"ann": "Annika", "eve": "ann"}),
    ("@Ann look", {"ann": "Annika", "eve": "Ann"}),
    ("@Ben! look", {"eve": "Ben!"}),
    ("@Ben. look", {"eve": "Ben."}),
    ("@Ben， 好", {"eve": "Ben，"}),
    ("@Ben\u3164 look", {"eve": "Ben\u3164"}),
    ("@Ben\u2800 look", {"eve": "Ben\u2800"}),
    ("@Ben\u200b look", {"eve": "Ben\u200b"}),
    ("@Ben\u034f look", {"eve": "Ben\u034f"}),
]


@pytest.mark.parametrize(("text", "names"), READ_TWICE)
def test_what_can_be_read_in_two_ways_calls_nobody_but_by_uid(text: str, names: dict[str, str]) -> None:
    assert addressed(text, names, everyone=True).mention.get("uids", []) == []
    assert addressed(text, names).text == text
    for uid in names:
        assert addressed(f"@[{uid}:x] look", names).mention["uids"] == [uid]


def test_a_name_with_an_ending_of_its_own_takes_no_call_from_the_name_before_it() -> None:
    names = {"ben": "Ben", "eve": "Ben!"}
    assert addressed("@Ben! come", names).mention["uids"] == ["ben"]


def test_everybody_is_called_where_nobody_is_named_so() -> None:
    assert addressed("@all hands", {"ann": "Ann"}, everyone=True).mention == {"humans": 1}
    assert addressed("@all hands", {"ann": "all hands"}, everyone=True).mention == {}


@pytest.mark.parametrize(
    "name", ["Eva👍", "Eva❤\ufe0f", "Eva👍🏽", "अनिल", "पूजा", "عَلِيّ", "नमस्ते", "Zoë", "n°", "R2"]
)
def test_names_of_every_script_and_with_pictures_are_called_as_they_are_read(name: str) -> None:
    assert addressed(f"@{name} hi", {"u": name}).mention["uids"] == ["u"]


def test_the_uids_are_named_once_each() -> None:
    assert addressed("@Ann @陈晨 @Ann", NAMES).mention["uids"] == ["ann", "chen"]


def test_a_message_calls_only_so_many() -> None:
    text = "@Ann " * (MOST_MENTIONS + 5)
    assert len(addressed(text, NAMES).mention["entities"]) == MOST_MENTIONS


WORDS = st.sampled_from(
    [
        "@Ann",
        "@[ben:Ben Baker]",
        "@Ben Baker",
        "@陈晨",
        "@[gone:Zoe]",
        "word",
        "👍",
        "\n\n",
        "`@Ann`",
        "@",
        "长句子",
        "@Twin",
    ]
)


@given(st.lists(WORDS, max_size=40).map(" ".join), st.integers(40, 120))
def test_cutting_an_answer_keeps_every_mention_and_every_mark_at_its_at_sign(text: str, limit: int) -> None:
    whole = addressed(text, NAMES)
    chunks = [addressed(chunk, NAMES) for chunk in split_addressed(text, NAMES, limit)]
    uids = [entity["uid"] for chunk in chunks for entity in chunk.mention.get("entities", [])]
    assert uids == [entity["uid"] for entity in whole.mention.get("entities", [])]
    for chunk in chunks:
        for entity in chunk.mention.get("entities", []):
            mark = utf16_slice(chunk.text, entity["offset"], entity["length"])
            assert mark is not None
            assert mark == f"@{NAMES[entity['uid']]}"


@given(st.text(max_size=300), st.integers(16, 80))
def test_any_text_can_be_cut_and_addressed(text: str, limit: int) -> None:
    for chunk in split_addressed(text, NAMES, limit):
        message = addressed(chunk, NAMES)
        assert message.text
        for entity in message.mention.get("entities", []):
            assert (utf16_slice(message.text, entity["offset"], entity["length"]) or "").startswith("@")
