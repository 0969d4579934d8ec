"""JSON for programs, in a terminal that somebody looks at."""

import json

from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.cli.output import json_text

VALUES = st.dictionaries(st.text(), st.text() | st.lists(st.characters(categories=["Cc", "Cf", "Cs", "Zl"])))


@given(VALUES, st.sampled_from([None, 2]))
def test_what_is_printed_says_the_same_and_steers_no_terminal(value: object, indent: int | None) -> None:
    text = json_text(value, indent)
    assert json.loads(text) == value
    assert text.replace("\n", "").isprintable()


def test_what_people_write_stands_as_they_wrote_it() -> None:
    assert json_text({"text": "你好, čau"}) == '{"text": "你好, čau"}'
