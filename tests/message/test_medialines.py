"""Files an agent names in its answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.message.medialines import MOST_LINES, MOST_NAMED, Source, named_files

NAMES = frozenset(
    {"a.png", "b.txt", "my report", "my chart.png", "x, y.png", "data:odd", "sub/c.png", "so……"}
)


def parts(text: str) -> list[str]:
    """Return the parts of an answer, files as ``<address>``."""
    return [
        f"<{part.address}>" if isinstance(part, Source) else part for part in named_files(text, NAMES).parts
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("first\nMEDIA:a.png\nsecond", ["first\n", "<a.png>", "second"]),
        ("first\r\nMEDIA:a.png\r\nsecond\r\n", ["first\r\n", "<a.png>", "second\r\n"]),
        ("MEDIA:a.png\rMEDIA:b.txt\r", ["<a.png>", "<b.txt>"]),
        ("MEDIA: a.png  ", ["<a.png>"]),
        ("MEDIA：a.png", ["<a.png>"]),
        ("MEDIA:a.png\nMEDIA:a.png", ["<a.png>", "<a.png>"]),
        # addresses and paths
        ("MEDIA:/srv/a.png", ["</srv/a.png>"]),
        ("MEDIA:/srv/ein bild.png", ["</srv/ein bild.png>"]),
        ("MEDIA:/srv/README", ["</srv/README>"]),
        ("MEDIA:data:image/png;base64,AA,AA", ["<data:image/png;base64,AA,AA>"]),
        ('  MEDIA:"https://x.test/a?b=1"', ["<https://x.test/a?b=1>"]),
        ("MEDIA: file:///srv/a%20b.png", ["<file:///srv/a%20b.png>"]),
        ("MEDIA:ftp://x.test/a", ["<ftp://x.test/a>"]),
        # names that exist
        ("MEDIA: my report", ["<my report>"]),
        ("MEDIA:./my chart.png", ["<my chart.png>"]),
        (r"MEDIA:my\ chart.png", ["<my chart.png>"]),
        ("MEDIA:file://my%20chart.png", ["<my chart.png>"]),
        ("MEDIA:a.png.", ["<a.png>"]),
        ("MEDIA:data:odd", ["<./data:odd>"]),
        # several
        (
            "MEDIA:my chart.png a.png, my report;b.txt",
            ["<my chart.png>", "<a.png>", "<my report>", "<b.txt>"],
        ),
        ("MEDIA:x, y.png,sub/c.png", ["<x, y.png>", "<sub/c.png>"]),
        ("MEDIA:a.png MEDIA:'my report' MEDIA:<b.txt>", ["<a.png>", "<my report>", "<b.txt>"]),
        ("MEDIA:/srv/x y.png /srv/z", ["</srv/x y.png>", "</srv/z>"]),
        ("MEDIA:https://x.test/a,b.png,https://y.test/c", ["<https://x.test/a,b.png>", "<https://y.test/c>"]),
        ("MEDIA:none.png,gone away.png", ["<none.png>", "<gone away.png>"]),
        ("MEDIA:a.png The new chart\nsecond", ["<a.png>", "The new chart\nsecond"]),
        # how it is set
        ("MEDIA:`./a.png`", ["<a.png>"]),
        ("`MEDIA:a.png`", ["<a.png>"]),
        ("```MEDIA:a.png```", ["<a.png>"]),
        ("**MEDIA:a.png**", ["<a.png>"]),
        ("**MEDIA:** a.png", ["<a.png>"]),
        ("**MEDIA**: `a.png`", ["<a.png>"]),
        ("MEDIA:**a.png**", ["<a.png>"]),
        ("- MEDIA:a.png\n2. **MEDIA:b.txt**\n> MEDIA:my report", ["<a.png>", "<b.txt>", "<my report>"]),
        ("\ufeffMEDIA:a.png", ["<a.png>"]),
        ("\u3000\u00a0MEDIA:\u200ba.png\u00a0\ufeff", ["<a.png>"]),
        ("MEDIA:a.png。", ["<a.png>"]),
        ("MEDIA：a.png，谢谢！\nsecond", ["<a.png>", "谢谢！\nsecond"]),
        ("MEDIA:a.png、b.txt；gone.png。", ["<a.png>", "<b.txt>", "<gone.png>"]),
        ("MEDIA:/srv/报告，终稿.pdf，谢谢", ["</srv/报告，终稿.pdf>", "谢谢\n"]),
        ("MEDIA:https://x.test/a.png，谢谢", ["<https://x.test/a.png>", "谢谢\n"]),
        ("MEDIA:https://x.test/a?b=1。", ["<https://x.test/a?b=1>"]),
        ("MEDIA:nothing。", ["<nothing>"]),
        ('"MEDIA:a.png"', ["<a.png>"]),
        ("(MEDIA:a.png).", ["<a.png>"]),
        ("[MEDIA:a.png]\n<MEDIA:b.txt>", ["<a.png>", "<b.txt>"]),
        ("（MEDIA:a.png）。", ["<a.png>"]),
        ("(MEDIA:gone(1).png)", ["<gone(1).png>"]),
        ("「MEDIA:a.png」\n**“MEDIA:b.txt”**", ["<a.png>", "<b.txt>"]),
        ("~~MEDIA:a.png~~", ["<a.png>"]),
        ("## MEDIA:a.png", ["<a.png>"]),
        ("- [ ] MEDIA:a.png\n1. [x] `MEDIA:b.txt`", ["<a.png>", "<b.txt>"]),
        ("MEDIA:[a](a.png)", ["<a.png>"]),
        ("MEDIA: a.png (the chart, see b.txt).", ["<a.png>", "(the chart, see b.txt).\n"]),
        ("MEDIA:so……", ["<so……>"]),
        ("MEDIA: ![the chart](./a.png), [b](b.txt)。", ["<a.png>", "<b.txt>"]),
        ("MEDIA:“my report”，《b.txt》", ["<my report>", "<b.txt>"]),
        # nothing of that name: whoever sends it says so
        ("MEDIA:", ["<>"]),
        ("MEDIA: MEDIA:, ", ["<>"]),
        ("MEDIA:nothing", ["<nothing>"]),
        ("MEDIA:no such thing", ["<no such thing>"]),
        ("MEDIA: 'no such thing'", ["<no such thing>"]),
        ("MEDIA: gone.png", ["<gone.png>"]),
    ],
)
def test_a_line_that_names_files_is_taken_out(text: str, expected: list[str]) -> None:
    assert parts(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "no file at all",
        "```\nMEDIA:a.png\n```",
        "```MEDIA:a.png\ncode\n```",
        "~~~\nMEDIA:a.png",
        "```\nx\n- MEDIA:a.png",
        "`MEDIA:a.png` sends a.png",
        "**MEDIA:a.png** and **b.txt**",
        "the line MEDIA:a.png in the middle",
        "MEDIA: the press and others",
        "MEDIA: the rate rose by 2.5",
        'MEDIA: "Great", said the press',
        "**MEDIA:**\n- the press",
        "media:a.png",
        "SOCIAL MEDIA:a.png",
        "(MEDIA:a.png) and (b.txt)",
        "“MEDIA:a.png” sends it",
        "[MEDIA: the press]",
        "MEDIA: the press，等等。",
        "#MEDIA:a.png",
    ],
)
def test_other_lines_stay_as_they_are(text: str) -> None:
    assert parts(text) == [text]


def test_files_beyond_those_that_are_sent_are_taken_out_too() -> None:
    named = named_files("MEDIA:a.png\n" * MOST_LINES + "MEDIA:a b.png c.png\n")
    assert named.sources == ("a.png",)
    assert len(named.parts) == MOST_NAMED + 1
    assert named.text == "MEDIA:a b.png c.png\n"


LINES = [
    "MEDIA:a.png",
    "MEDIA:b.txt",
    "MEDIA: x",
    "word",
    "```",
    "",
    "`MEDIA:a.png`",
    "- MEDIA:my report b.txt",
]


@given(st.lists(st.sampled_from(LINES)), st.sampled_from(["\n", "\r\n"]))
def test_nothing_but_lines_that_name_files_is_lost(lines: list[str], end: str) -> None:
    left = named_files(end.join(lines), NAMES).text.split(end)
    gone = list(lines)
    for line in left:
        if line in gone:
            gone.remove(line)
    assert all("MEDIA:" in line or not line for line in gone)


@given(st.text() | st.text("MEDIA: :,`*'\".a/b\r\n").map("MEDIA:".__add__))
def test_any_text_is_read(text: str) -> None:
    named = named_files(text, NAMES)
    assert named.text == text or named.sources
    assert all(named.parts)
