"""What a file of an answer is shown as, and the line in its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.message.outgoing import (
    QUOTED_CHARS,
    OutgoingFile,
    ending,
    file_note,
    file_payload,
    kind_of,
    named,
    quote,
)
from openclaw_channel_octo.message.payload import ContentType


@pytest.mark.parametrize(
    ("name", "wanted", "kind"),
    [
        ("a.png", "", ContentType.IMAGE),
        ("A.JPEG", "", ContentType.IMAGE),
        ("a.gif", "", ContentType.GIF),
        ("a.mp4", "", ContentType.VIDEO),
        ("a.ogg", "", ContentType.VOICE),
        ("a.mp3", "", ContentType.FILE),
        ("a.mp3", "voice", ContentType.VOICE),
        ("a.pdf", "voice", ContentType.FILE),
        ("a.tar.gz", "", ContentType.FILE),
        ("noending", "", ContentType.FILE),
        (".png", "", ContentType.FILE),
    ],
)
def test_the_ending_decides_how_a_file_is_shown(name: str, wanted: str, kind: ContentType) -> None:
    assert kind_of(name, wanted) is kind


@pytest.mark.parametrize(
    ("name", "mime", "shown"),
    [
        ("chart.png", "image/png", "chart.png"),
        ("render.php", "image/png", "render.php.png"),
        ("report", "application/pdf", "report.pdf"),
        ("report", "application/pdf; charset=x", "report.pdf"),
        ("data.csv", "text/plain", "data.csv"),
        ("../../etc/passwd", "", "passwd"),
        ("", "", "file"),
        ("song.mp3", "audio/ogg", "song.mp3"),
    ],
)
def test_a_name_is_what_people_may_see_with_an_ending_that_fits(name: str, mime: str, shown: str) -> None:
    assert named(name, mime) == shown


def file(kind: ContentType, name: str = "a.bin") -> OutgoingFile:
    return OutgoingFile(url="https://x/a", name=name, size=7, kind=kind, width=3, height=4, seconds=5)


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (ContentType.IMAGE, {"width": 3, "height": 4}),
        (ContentType.GIF, {"width": 3, "height": 4}),
        (ContentType.VOICE, {"timeTrad": 5, "waveform": ""}),
        (ContentType.VIDEO, {"width": 3, "height": 4, "second": 5, "cover": ""}),
        (ContentType.FILE, {"extension": "bin"}),
    ],
)
def test_every_kind_has_the_keys_its_clients_look_for(kind: ContentType, keys: dict[str, object]) -> None:
    common = {"type": int(kind), "url": "https://x/a", "name": "a.bin", "size": 7}
    assert file_payload(file(kind)) == common | keys


@given(st.text(), st.text())
def test_the_line_in_the_place_of_a_file_is_one_line_and_its_name_calls_nobody(
    name: str, reason: str
) -> None:
    note = file_note("⚠️", name, "why")

    assert "\n" not in note
    assert note.count("`") in {0, 2}
    assert note.endswith("(why)")


@given(st.text())
def test_an_ending_is_short_lower_case_and_alphanumeric(name: str) -> None:
    found = ending(name)

    assert len(found) <= 12
    assert not found or (found.isalnum() and name.lower().endswith(f".{found}"))


@given(st.text(max_size=1_000))
def test_a_quote_holds_the_beginning_of_what_was_said(text: str) -> None:
    found = quote("1", 2, "ann", "", text)

    assert found["from_name"] == "ann"
    assert text.startswith(found["payload"]["content"].removesuffix("…")[:QUOTED_CHARS])
