import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from openclaw_channel_octo.message.split import MINIMUM_LIMIT, split_reply
from openclaw_channel_octo.message.text import utf16_length

WORDS = st.sampled_from(
    ["a", "word", "中文，字。", "👩‍👩‍👧", "👍🏽", "🇨🇳🇩🇪", "e\u0301\u0323", "x" * 30, "~~", "`b`"]
)
PROSE = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)
BLOCKS = st.one_of(
    PROSE,
    st.builds(
        lambda fence, info, body, indent, closed: "\n".join(
            [f"{indent}{fence}{info}", *body, *([f"{indent}{fence}"] if closed else [])]
        ),
        st.sampled_from(["```", "~~~", "````"]),
        st.sampled_from(["", "py", " sh x"]),
        st.lists(PROSE | st.sampled_from(["", "    x = 1", "``", "  "]), max_size=6),
        st.sampled_from(["", "  ", "    "]),
        st.booleans(),
    ),
)
ANSWERS = st.lists(BLOCKS, max_size=8).flatmap(
    lambda blocks: st.sampled_from(["\n", "\n\n", "\r\n", "\n \n\n"]).map(lambda gap: gap.join(blocks))
)
LIMITS = st.integers(MINIMUM_LIMIT, 120)
FENCE_LINE = re.compile(r"([ \t]*)(`{3,}|~{3,})")


def visible(text: str) -> str:
    return "".join(text.split())


def is_in_order(small: str, large: str) -> bool:
    rest = iter(large)
    return all(character in rest for character in small)


def open_fence(chunk: str) -> str:
    """Return the marker of a fence that is open at the end of a chunk, read line by line."""
    opened, margin = "", 3
    for line in chunk.split("\n"):
        match = FENCE_LINE.match(line)
        if not match:
            continue
        indent, marker = len(match[1]), match[2]
        if not opened:
            opened, margin = marker, max(3, indent)
        elif marker.startswith(opened) and line.strip() == marker and indent <= margin:
            opened = ""
    return opened


@given(st.text(), st.integers(MINIMUM_LIMIT, 4000))
@example("x" * 5000, 3500)
@example("```\n" + "\n" * 200 + "x\n```", 16)
@example(" " * 500 + "x" * 50, 20)
def test_any_text_is_cut_into_chunks_within_the_limit(text: str, limit: int) -> None:
    chunks = split_reply(text, limit)
    assert all(chunk.strip() and utf16_length(chunk) <= limit for chunk in chunks)
    assert is_in_order(visible(text), visible("".join(chunks)))
    assert bool(chunks) == bool(text.strip())


@settings(max_examples=200)
@given(ANSWERS, st.integers(32, 120))
def test_answers_with_code_are_cut_without_loss_and_with_every_fence_closed(text: str, limit: int) -> None:
    chunks = split_reply(text, limit)
    assert all(chunk.strip() and utf16_length(chunk) <= limit for chunk in chunks)
    assert is_in_order(visible(text), visible("".join(chunks)))
    assert [open_fence(chunk) for chunk in chunks] == [""] * len(chunks)


@given(PROSE, LIMITS)
def test_prose_gains_nothing_but_white_space(text: str, limit: int) -> None:
    assert visible("".join(split_reply(text, limit))) == visible(text)


@given(st.lists(st.sampled_from(["👩‍👩‍👧", "👍🏽", "🇨🇳", "e\u0301", "字", "a"]), max_size=60), LIMITS)
def test_what_a_reader_sees_as_one_character_stays_whole(clusters: list[str], limit: int) -> None:
    chunks = split_reply("".join(clusters), limit)
    rest = list(clusters)
    for chunk in chunks:
        taken = ""
        while taken != chunk:
            assert len(taken) < len(chunk)
            taken += rest.pop(0)


@pytest.mark.parametrize("text", ["", " ", "\n\n \t\r\n", "\u3000"])
def test_blank_text_gives_no_message(text: str) -> None:
    assert split_reply(text) == []


def test_text_within_the_limit_is_one_message_without_blank_edges() -> None:
    text = "\n\n  indented  \nline\n\n```py\nx = 1\n```\n\n"
    assert split_reply(text) == ["  indented  \nline\n\n```py\nx = 1\n```"]


def test_limit_counts_utf16_units() -> None:
    assert split_reply("👍" * 10, 20) == ["👍" * 10]
    assert split_reply("👍" * 11, 20) == ["👍" * 10, "👍"]
    assert split_reply("👍" * 11, 21) == ["👍" * 10, "👍"]


def test_cut_is_at_a_paragraph_if_there_is_one() -> None:
    assert split_reply("one two\nthree\n\nfour\nfive six", 24) == ["one two\nthree", "four\nfive six"]


def test_cut_is_at_a_line_where_no_paragraph_ends() -> None:
    assert split_reply("one two\nthree four\nfive six", 24) == ["one two\nthree four", "five six"]


def test_cut_is_at_a_word_where_no_line_ends() -> None:
    assert split_reply("one two three four five six", 16) == ["one two three", "four five six"]


def test_cut_is_behind_punctuation_in_a_script_without_spaces() -> None:
    assert split_reply("今天天气很好，我们去公园散步吧。好的好的好的", 16) == [
        "今天天气很好，我们去公园散步吧。",
        "好的好的好的",
    ]


def test_word_longer_than_the_limit_is_cut_anywhere() -> None:
    assert split_reply("x" * 40, 16) == ["x" * 16, "x" * 16, "x" * 8]


def test_cluster_longer_than_the_limit_is_cut_all_the_same() -> None:
    chunks = split_reply("a" + "\u0301" * 40, 16)
    assert [len(chunk) for chunk in chunks] == [16, 16, 9]


def test_code_fence_is_closed_at_the_cut_and_opened_again_with_its_info() -> None:
    text = "look:\n```python title\n" + "\n".join(f"line {n}" for n in range(6)) + "\n```\ndone"
    assert split_reply(text, 48) == [
        "look:\n```python title\nline 0\nline 1\nline 2\n```",
        "```python title\nline 3\nline 4\nline 5\n```\ndone",
    ]


def test_code_block_that_fits_a_message_is_not_torn() -> None:
    text = "intro words here\n\n```\ncode code code\n```"
    assert split_reply(text, 30) == ["intro words here", "```\ncode code code\n```"]


def test_cut_never_leaves_an_empty_code_block() -> None:
    text = "aaaaaaaaaaaaaaaaaaaaaaa\n```py\nfirst line of code\nsecond line\n```"
    chunks = split_reply(text, 40)
    assert all(not re.search(r"```py\n```", chunk) for chunk in chunks)
    assert chunks[0] == "aaaaaaaaaaaaaaaaaaaaaaa"


def test_long_line_of_code_is_cut_inside_its_fence() -> None:
    assert split_reply("```\n" + "x" * 30 + "\n```", 28) == [
        "```\n" + "x" * 20 + "\n```",
        "```\n" + "x" * 10 + "\n```",
    ]


def test_code_keeps_its_indentation_over_a_cut() -> None:
    text = "```py\nif a:\n    one()\n    two()\n    three()\n```"
    assert split_reply(text, 34)[1].startswith("```py\n    ")


def test_tilde_fence_is_not_closed_by_backticks() -> None:
    text = "~~~\n```\nnot code end\n" + "y" * 20 + "\n~~~"
    chunks = split_reply(text, 34)
    assert all(chunk.startswith("~~~\n") and chunk.endswith("\n~~~") for chunk in chunks)
    assert len(chunks) == 2


def test_fence_inside_a_list_keeps_its_indentation() -> None:
    text = "1. run\n\n    ```sh\n    first\n    second command\n    ```\n2. done"
    assert split_reply(text, 44)[-1] == "    ```sh\n    second command\n    ```\n2. done"


def test_fence_inside_a_quote_is_closed_and_opened_again_in_the_quote() -> None:
    text = "> ```py\n" + "\n".join(f"> line {n}" for n in range(4)) + f"\n> {'x' * 40}\n> ```\n> end"
    assert split_reply(text, 48) == [
        "> ```py\n> line 0\n> line 1\n> line 2\n> ```",
        "> ```py\n> line 3\n> ```",
        f"> ```py\n> {'x' * 32}\n> ```",
        f"> ```py\n> {'x' * 8}\n> ```\n> end",
    ]


@settings(max_examples=200)
@given(
    st.lists(PROSE | st.sampled_from(["", "    x = 1", "> ``` y", "``"]), max_size=8),
    st.sampled_from(["> ", ">", " > > "]),
    st.sampled_from(["```", "~~~"]),
    st.integers(40, 120),
)
def test_code_in_a_quote_stays_code_in_a_quote(body: list[str], mark: str, fence: str, limit: int) -> None:
    text = "\n".join(f"{mark}{line}" for line in [f"{fence}py", *body, fence])
    chunks = split_reply(text, limit)
    assert all(utf16_length(chunk) <= limit for chunk in chunks)
    for chunk in chunks:
        lines = chunk.split("\n")
        assert (lines[0], lines[-1]) == (f"{mark}{fence}py", f"{mark}{fence}")
        assert all(line.startswith(mark.rstrip()) for line in lines)


@pytest.mark.parametrize("gap", ["\n", "\n\n"])
def test_a_fence_left_open_in_a_quote_ends_with_the_quote(gap: str) -> None:
    text = f"> ```\n> {'x' * 20}{gap}{'word ' * 12}word\n> q"
    first, *others = split_reply(text, 40)
    assert first.startswith("> ```\n> xxx")
    assert not any("`" in chunk for chunk in others)


def test_fence_left_open_by_the_writer_is_closed() -> None:
    assert split_reply("```py\nx = 1") == ["```py\nx = 1\n```"]


def test_inline_code_of_three_backticks_opens_no_fence() -> None:
    assert split_reply("```x``` is inline\nand text") == ["```x``` is inline\nand text"]


def test_fence_line_too_long_to_repeat_is_plain_text() -> None:
    chunks = split_reply("```" + "i" * 40 + "\nx", 20)
    assert visible("".join(chunks)) == "```" + "i" * 40 + "x"


def test_lone_surrogates_do_not_reach_the_chat() -> None:
    assert split_reply("a\ud83d b") == ["a\ufffd b"]


@pytest.mark.parametrize("limit", [-1, 0, MINIMUM_LIMIT - 1])
def test_limit_too_small_to_work_with_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="at least 16"):
        split_reply("x", limit)


def test_large_answer_is_cut_in_reasonable_steps() -> None:
    text = "\n".join(f"{n} " + "word " * 40 for n in range(4_000))
    chunks = split_reply(text)
    assert visible("".join(chunks)) == visible(text)
    assert len(chunks) < 1.1 * len(text) / 3500 + 1


HEAD = "| n | name |\n|---|:-:|"
ROWS = [f"| {number} | name of row {number} |" for number in range(9)]
TABLE = "\n".join([HEAD, *ROWS])


def rows(chunk: str, head: str = HEAD) -> list[str]:
    """Return the rows of a chunk that begins with the header of a table."""
    assert chunk.startswith(f"{head}\n")
    return chunk.removeprefix(f"{head}\n").split("\n")


def test_every_part_of_a_table_begins_with_its_header_and_rule() -> None:
    first, *others = split_reply(f"Here:\n\n{TABLE}\n\nThat is **all**.", 80)
    assert first == "Here:"
    assert others[-1].endswith("\n\nThat is **all**.")
    assert [row for chunk in others for row in rows(chunk.partition("\n\n")[0])] == ROWS
    assert len(others) == 5


@pytest.mark.parametrize("mark", ["", "> ", "  "])
def test_a_row_that_is_cut_goes_on_below_the_header_again(mark: str) -> None:
    head, row = f"{mark}|a|b|\n{mark}-|-", f"{mark}|{'word ' * 20}|b|"
    found = [rows(chunk, head) for chunk in split_reply(f"{head}\n{row}\n{mark}|c|d|", 60)]
    assert len(found) > 2
    again = [part[0].removeprefix("> ") for part in found[1:]]
    assert visible("".join([found[0][0], *again])) == visible(row)
    assert all(part.startswith(mark.strip()) for parts in found for part in parts)
    assert found[-1][1:] == [f"{mark}|c|d|"]


def test_a_header_never_stands_alone_at_the_end_of_a_part() -> None:
    text = f"some words before it\n{TABLE}"
    for limit in range(58, 120):
        chunks = split_reply(text, limit)
        assert [row for chunk in chunks for row in chunk.split("\n") if row in ROWS] == ROWS
        assert all(not chunk.endswith(("|---|:-:|", "| n | name |")) for chunk in chunks)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            f"| {'long ' * 12} | b |\n|---|---|\n| c | d |\n| e | {'f ' * 30} |", id="a header too long"
        ),
        pytest.param("a | b\n---\n" + "c | d\n" * 20, id="a heading"),
        pytest.param("a | b\n--|--|--\n" + "c | d\n" * 20, id="a rule of another width"),
        pytest.param("~~~\na | b\n--|--\n" + "c | d\n" * 20 + "~~~", id="code"),
    ],
)
def test_what_is_no_table_or_has_too_long_a_header_gains_none(text: str) -> None:
    chunks = split_reply(text, 100)
    assert len(chunks) > 1
    assert visible("".join(chunks)).replace("~", "") == visible(text).replace("~", "")


def test_a_table_ends_where_another_block_begins() -> None:
    chunks = split_reply(f"{TABLE}\n- {'item ' * 30}\n", 80)
    assert chunks[-1].startswith("item")


def test_a_line_of_a_quote_that_is_cut_goes_on_as_one() -> None:
    chunks = split_reply(f"> > {'quoted ' * 20}\n> {'once ' * 20}\nnot any more", 60)
    assert [chunk.partition("q")[0] for chunk in chunks[:3]] == ["> > "] * 3
    assert all(chunk.startswith("> ") for chunk in chunks[:-1])
    assert chunks[-1].endswith("\nnot any more")


def test_a_numbered_list_goes_on_with_the_numbers_of_the_text() -> None:
    text = "\n".join(f"{number}. point {number}" for number in range(1, 15))
    assert "\n".join(split_reply(text, 40)) == text


def test_an_item_that_is_cut_does_not_swallow_the_next_ones() -> None:
    text = f"3. {'word ' * 29}word\n4. next\n5. last\n\nend of it"
    chunks = split_reply(text, 70)
    assert chunks[-1].endswith("word\n\n4. next\n5. last\n\nend of it")
    assert "\n\n4." not in "\n\n".join(split_reply(text, 200))


@pytest.mark.parametrize("sign", ["1986. ", "- ", "# ", "> ", "+ ", "* * * "])
def test_no_line_is_cut_where_its_rest_would_begin_a_list_a_heading_or_a_quote(sign: str) -> None:
    for length in range(1, 40):
        chunks = split_reply(f"{'x' * length} y {sign}{'z ' * 30}", 40)
        assert not any(chunk.startswith(sign) for chunk in chunks[1:])


CELLS = st.sampled_from(["a", "long cell", "👍🏽", r"a \| b", "字", ""])
TABLES = st.builds(
    lambda width, head, body, mark: "\n".join(
        f"{mark}| {' | '.join((row * width)[:width])} |" for row in [head, ["---"], *body]
    ),
    st.integers(1, 3),
    st.lists(CELLS, min_size=1),
    st.lists(st.lists(CELLS, min_size=1), max_size=12),
    st.sampled_from(["", "> "]),
)


@settings(max_examples=200)
@given(
    st.lists(TABLES | BLOCKS | st.sampled_from(["1. one", "12. x\n    y", "> q w e r t y " * 5]), max_size=6),
    LIMITS,
)
def test_lists_quotes_and_tables_are_cut_within_the_limit_and_without_loss(
    blocks: list[str], limit: int
) -> None:
    text = "\n\n".join(blocks)
    chunks = split_reply(text, limit)
    assert all(chunk.strip() and utf16_length(chunk) <= limit for chunk in chunks)
    assert is_in_order(visible(text), visible("".join(chunks)))
    if utf16_length(text) <= limit and "```" not in text and "~~~" not in text:
        assert chunks == ([text.strip("\n").rstrip()] if text.strip() else [])


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=30), st.integers(40, 90))
def test_the_rows_of_a_table_are_those_of_the_text(body: list[list[str]], limit: int) -> None:
    lines = [f"|{'|'.join(row)}|" for row in body]
    chunks = split_reply("\n".join(["|a|b|", "|-|-|", *lines]), limit)
    assert [row for chunk in chunks for row in rows(chunk, "|a|b|\n|-|-|")] == lines
