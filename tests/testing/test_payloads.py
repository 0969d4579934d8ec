"""Payloads as people build them and as the server rewrites them."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.testing.octo.payloads import rewritten, shown_text, text_payload

NAMES = st.text(st.characters(exclude_characters="@", codec="utf-8"), min_size=1, max_size=8)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(st.text(st.characters(codec="utf-8"), max_size=30), st.lists(NAMES, max_size=3, unique=True))
def test_every_entity_covers_an_at_and_its_name_in_utf_16(text: str, names: list[str]) -> None:
    payload = text_payload(text, [(f"uid of {name}", name) for name in names])

    units = payload["content"].encode("utf-16-le")
    entities = payload.get("mention", {"entities": []})["entities"]
    covered = [units[2 * e["offset"] : 2 * (e["offset"] + e["length"])].decode("utf-16-le") for e in entities]
    assert covered == [f"@{name}" for name in names]
    assert payload["content"].endswith(text)


def test_nobody_picked_means_no_mention_key() -> None:
    assert text_payload("@Ann typed by hand") == {"type": 1, "content": "@Ann typed by hand"}
    assert text_payload("", [("u", "Ann")])["content"] == "@Ann"


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_what_a_float64_can_hold_survives_the_server(payload: dict[str, Any]) -> None:
    again = json.loads(rewritten(payload))

    expected = json.loads(json.dumps(payload).encode())
    assert again == expected or "\\ud" in json.dumps(payload)  # lone surrogates are no UTF-8
    assert list(again) == sorted(again)


@given(st.integers(2**53 + 1, 2**70))
def test_a_larger_integer_comes_back_as_the_nearest_float64_would_print(number: int) -> None:
    again = json.loads(rewritten({"n": number, "m": -number}))

    assert float(again["n"]) == float(number)
    assert again["m"] == -again["n"]
    assert math.isclose(again["n"], number, rel_tol=2**-52)


def test_a_snowflake_prints_as_javascript_prints_it() -> None:
    assert rewritten({"id": 2044043250838278145}) == b'{"id":2044043250838278100}'


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        ({"type": 1, "content": "hi"}, "hi"),
        ({"type": 14, "content": [], "plain": "rich"}, "rich"),
        ({"type": 1, "content": 7}, "[1]"),
        ({"type": 8, "url": "u"}, "[file]"),
        ({"type": 8, "url": "u", "name": "a.pdf"}, "[file: a.pdf]"),
        ({"type": 3}, "[picture]"),
        ({}, "[?]"),
        ([], "[?]"),
    ],
)
def test_people_see_text_or_the_type(payload: Any, shown: str) -> None:
    assert shown_text(payload) == shown
