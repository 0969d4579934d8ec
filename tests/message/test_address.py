"""Mentions in answers: who is called, where the marks stand, and that cutting an answer keeps them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.message.address import MOST_MENTIONS, addressed, split_addressed
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
