"""Requests of agents as people read them before they allow something."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.message.asked import asked_block
from openclaw_channel_octo.message.text import HIDDEN


@pytest.mark.parametrize(
    ("what", "block"),
    [
        ("ls -l\nrm x", "```\nls -l\nrm x\n```"),
        ("echo ```\nfree text", "````\necho ```\nfree text\n````"),
        ("a\u202eb\x1b[2K\u200b", "```\na\\u202eb\\x1b[2K\\u200b\n```"),
        ("one\r\ntwo\rthree", "```\none\ntwo\\rthree\n```"),
    ],
)
def test_a_command_stands_whole_in_a_block_that_nothing_in_it_ends(what: str, block: str) -> None:
    assert asked_block(what, (), ()) == block


@pytest.mark.parametrize(
    "sign", ["\u2800", "\u200d", "\ufe0f", "\u202e", "\u2066", "\U000e0041", "\r", "\x1b"]
)
def test_what_shows_nothing_is_written_out(sign: str) -> None:
    assert asked_block(f"rm{sign}x", (), ()) == f"```\nrm{sign.encode('unicode_escape').decode()}x\n```"


def test_facts_and_warnings_are_lines_below_that_begin_no_code() -> None:
    assert asked_block("ls", ["cwd=/a\n```b"], ["odd"]) == "```\nls\n```\ncwd=/a\\n'''b\n! odd"


@given(st.text(max_size=200), st.lists(st.text(max_size=50), max_size=3))
def test_nothing_hidden_is_left_and_nothing_of_the_request_is_lost(what: str, where: list[str]) -> None:
    block = asked_block(what, where, ())
    assert HIDDEN.search(block) is None
    fence = block.partition("\n")[0]
    assert block.count(fence) == 2
    for word in "".join(sign if sign.isascii() and sign.isalnum() else " " for sign in what).split():
        assert word in block
