"""Files an agent names in its answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.message.medialines import named_files


@pytest.mark.parametrize(
    ("text", "left", "sources"),
    [
        ("MEDIA:/srv/a.png", "", ("/srv/a.png",)),
        ("Here:\nMEDIA: chart.png\nand so on", "Here:\nand so on", ("chart.png",)),
        ("MEDIA:`./my chart.png`\n", "", ("./my chart.png",)),
        ('  MEDIA:"https://x.test/a?b=1"', "", ("https://x.test/a?b=1",)),
        ("MEDIA:a.png\nMEDIA:a.png\nMEDIA:b.png", "", ("a.png", "b.png")),
        ("MEDIA:data:image/png;base64,AAAA", "", ("data:image/png;base64,AAAA",)),
        ("MEDIA: file:///srv/a.png", "", ("file:///srv/a.png",)),
        ("MEDIA:/srv/ein bild.png", "", ("/srv/ein bild.png",)),
    ],
)
def test_a_line_that_names_a_file_is_taken_out(text: str, left: str, sources: tuple[str, ...]) -> None:
    named = named_files(text)
    assert (named.text, named.sources) == (left, sources)


@pytest.mark.parametrize(
    "text",
    [
        "no file at all",
        "```\nMEDIA:/srv/a.png\n```",
        "~~~\nMEDIA:/srv/a.png",
        "`MEDIA:/srv/a.png`",
        "the line MEDIA:/srv/a.png in the middle",
        "MEDIA: the press and others",
        "MEDIA:",
        "media:/srv/a.png",
        "MEDIA:ftp://x.test/a.png",
    ],
)
def test_other_lines_stay_as_they_are(text: str) -> None:
    named = named_files(text)
    assert (named.text, named.sources) == (text, ())


@given(
    st.lists(
        st.sampled_from(["MEDIA:/a.png", "MEDIA:b.txt", "MEDIA: x", "word", "```", "", "`MEDIA:/a.png`"])
    )
)
def test_nothing_but_lines_that_name_files_is_lost(lines: list[str]) -> None:
    text = "\n".join(lines)
    left = named_files(text).text.split("\n")
    gone = list(lines)
    for line in left:
        if line in gone:
            gone.remove(line)
    assert all(line.startswith("MEDIA:") or not line for line in gone)


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert named_files(text).text == text or named_files(text).sources
