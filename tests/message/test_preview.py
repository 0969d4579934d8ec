"""What people see of an answer that is still being written: nothing that they would not see of it at its end."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openclaw_channel_octo.message.preview import preview
from openclaw_channel_octo.message.text import utf16_length

MARK = "§abcd"
LIMIT = 1_000
HIDDEN = re.compile(r"MEDIA|NO_?REPLY|secret|\x1b|§", re.IGNORECASE)
PIECES = st.sampled_from(
    [
        *("plain words ", "中文没有空格", "\n\n", "\n", " ", "**bold** ", "- item ", "`code` "),
        *("\nMEDIA: ./secret.png\n", "\n  - MEDIA:https://a.b/secret.png\n", "\n**MEDIA: secret.png**\n"),
        *("NO_REPLY\n", "NO_REPLY", "\n<think>secret</think>\n", "\x1b[31m", MARK, '{"action": "NO_REPLY"}'),
    ]
)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("", ""),
        ("It is re", "It is"),
        ("It is red. ", "It is red."),
        ("它是红色的", "它是红色的"),
        ("NO_REP", ""),
        ("NO_REPLY", ""),
        ("**NO_REPLY**\n", ""),
        ('{"action": "NO_', ""),
        ("<think>It could be", ""),
        ("<think>hm</think>It is red. ", "It is red."),
        ("Here:\nMEDIA: ./a b", "Here:"),
        ("Here:\nMEDIA: ./a.png\nmore of ", "Here:\nmore of"),
        (f"{MARK} Ann says hello. ", "Ann says hello."),
        ("10%\r20%\rdone now ", "done now"),
        ("```py\nx = 1\n", "```py\nx = 1\n```"),
    ],
)
def test_what_is_shown_of_an_unfinished_text(written: str, shown: str) -> None:
    assert preview(written, MARK, LIMIT).replace("  ", " ").strip() == shown


def test_a_long_text_is_shown_by_its_beginning() -> None:
    shown = preview("word " * 5_000, MARK, 100)
    assert shown.startswith("word word")
    assert shown.endswith("\n…")
    assert utf16_length(shown) <= 102


@given(st.lists(PIECES, max_size=8).map("".join), st.integers(0, 200))
@example("MEDIA: ./secret.png\n", 16)
def test_at_no_moment_anything_is_shown_that_is_not_for_people(written: str, end: int) -> None:
    started = written.lstrip().upper()
    shown = preview(written[:end], MARK, LIMIT)
    if "NO_REPLY" not in started and "{" not in started:
        assert not HIDDEN.search(shown)
