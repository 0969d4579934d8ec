"""What a terminal shows of a program's output."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openclaw_channel_octo.message.terminal import MOST_WORK, screen_text


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        pytest.param("a\x1b[1;31mred\x1b[0m\x1b[38:5:9mx\x1b(B\tb\r\n", "aredx\tb\r\n", id="colours"),
        pytest.param("\x1b]0;a title\x07x\x1b]2;other\x1b\\y\a\0", "xy", id="titles and bells"),
        pytest.param("\x1b]0;never ended\nx", "\nx", id="a title that nothing ends"),
        pytest.param("\x1b]8;;https://x.test\x1b\\link\x1b]8;;\x1b\\", "link", id="a link"),
        pytest.param("\x1bPq#0\n~~\x1b\\\x1b_Gf\x1b\\x", "x", id="pictures"),
        pytest.param("\x1b[?25l\x1b[?2004h\x1b[6n\x1b[>4;1mx\x1b[2 q", "x", id="modes and questions"),
        pytest.param("x\x1b[", "x", id="a sequence that breaks off"),
        pytest.param(" 10%\r 50%\r100%\ndone\n", "100%\ndone\n", id="progress"),
        pytest.param("long line\rshort\x1b[K\nx", "short\nx", id="progress that gets shorter"),
        pytest.param("long line\rshort", "shortline", id="what is not drawn over stays"),
        pytest.param("a\tb\r12", "12      b", id="a tab that is drawn over"),
        pytest.param("|\b/\b-\b\\\b \bok", "ok", id="a spinner"),
        pytest.param("N\bNA\bA _\bx", "NA x", id="overstruck letters"),
        pytest.param("正在下载 50%\r正在下载 100%", "正在下载 100%", id="wide characters"),
        pytest.param("中文\r x", " x文", id="half a wide character"),
        pytest.param("e\u0301x\b\bo", "ox", id="a letter with a mark is one"),
        pytest.param("ab\x1b[Dc\x1b[2Dd", "dc", id="to the left"),
        pytest.param("a: 0\nb: 0\n\x1b[2A\x1b[2Ka: 1\n\x1b[2Kb: 2\n", "a: 1\nb: 2\n", id="several lines"),
        pytest.param("one\n\x1b[F\x1b[0Jtwo\x1b[E", "two\n", id="lines up and down"),
        pytest.param("lost\n\x1b[H\x1b[2J\x1b[3Jkept", "kept", id="a cleared screen"),
        pytest.param("abc\x1b[3G\x1b[@x\x1b[G\x1b[P\x1b[X", " xc", id="cells inserted, deleted, erased"),
        pytest.param("1\n2\n3\x1b[2A\x1b[Mx\x1b[Ly", "y\nx\n3", id="rows deleted and inserted"),
        pytest.param("a\x1b7b\x1b8c", "ac", id="back to a saved place"),
        pytest.param("before\n\x1b[?1049hmenu\x1b[2J\x1b[?1049lafter", "before\nafter", id="a full screen"),
        pytest.param("a\x1b[4Cb\x1b[2;3Hc", "a    b\n  c", id="blanks up to a place"),
    ],
)
def test_what_steers_a_terminal_is_carried_out(written: str, shown: str) -> None:
    assert screen_text(written) == shown


def test_no_line_is_wrapped_or_scrolled_away() -> None:
    lines = ["x" * 100_000, *map(str, range(10_000))]
    assert screen_text("\rwait\r" + "\n".join(lines) + "\x1b[A\rlast") == "\n".join(
        [*lines[:-2], "last", lines[-1]]
    )


@pytest.mark.parametrize("unit", ["\x1b[500Cx\n", "\x1b[9999Cx", "x\x1b[A\x1b[9999L", "字\x1b[50B\x1b[50A"])
def test_blanks_are_bounded_and_what_comes_behind_too_much_is_shown_all_the_same(unit: str) -> None:
    shown = screen_text(unit * (MOST_WORK // 400) + "\rthe end\n")
    assert len(shown) < 8 * 1024 * 1024
    assert shown.endswith("the end\n")


@example("\xad")
@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from("\t\n")))
def test_text_survives_a_line_that_is_drawn_over(text: str) -> None:
    assert screen_text(f"wait\r\x1b[K{text}") == text


@given(
    st.text(
        st.sampled_from("ab字\u0301\t\r\n\b\x1b[]?;0123456789ABCDGHJKLMPXhlmsu@\x07\\P") | st.characters()
    )
)
def test_nothing_but_text_is_left_of_any_output(written: str) -> None:
    shown = screen_text(written)
    assert not {*shown.replace("\r\n", "\n")} & {*map(chr, range(8)), "\b", "\r", "\x1b", "\x7f"}
    assert screen_text(shown) == shown
