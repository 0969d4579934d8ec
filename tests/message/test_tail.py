"""The end of a text that is too long to be shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.message.tail import tail
from openclaw_channel_octo.message.text import utf16_length


@given(st.text(max_size=400), st.integers(0, 200), st.integers(0, 400))
def test_an_end_fits_one_message_and_shows_nothing_from_before_its_bound(
    text: str, limit: int, after: int
) -> None:
    end = tail(text, limit, after)
    assert utf16_length(end) <= limit
    assert len(end) <= max(0, len(text) - after) + len("```\n\n```")


@pytest.mark.parametrize(
    ("text", "end"),
    [
        pytest.param("line\n" * 30, "line\n" * 17 + "line", id="from a line on"),
        pytest.param("word " * 40, "word " * 17 + "word", id="from a word on"),
        pytest.param("x" * 200, "x" * 92, id="of one long word"),
        pytest.param("😀" * 100, "😀" * 46, id="never half a character"),
        pytest.param("```\n" + "code\n" * 40 + "```", "```\n" + "code\n" * 17 + "```", id="inside a fence"),
        pytest.param("short", "short", id="all of it"),
    ],
)
def test_an_end_begins_where_a_reader_can_begin(text: str, end: str) -> None:
    assert tail(text, 100) == end


def test_an_end_that_says_nothing_is_none() -> None:
    assert tail("word " * 40, 49) == ""
