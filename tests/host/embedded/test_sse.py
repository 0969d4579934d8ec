"""Event streams, however they are cut into pieces."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.host.embedded import openai
from openclaw_channel_octo.host.embedded.agents import AgentError
from openclaw_channel_octo.host.embedded.openai import SseParser, is_stream
from tests.work import cpu_s


def parse(*pieces: bytes) -> list[str]:
    parser = SseParser()
    return [event for piece in pieces for event in parser.feed(piece)] + parser.end()


def test_each_event_gives_its_data() -> None:
    assert parse(b"data: one\n\ndata:two\r\n\r\n") == ["one", "two"]


def test_several_data_lines_are_one_event() -> None:
    assert parse(b"data: a\ndata\ndata: b\n\n") == ["a\n\nb"]


def test_comments_and_other_fields_are_passed_over() -> None:
    assert parse(b": keep-alive\n\nevent: x\nid: 7\nretry: 5\ndata: a\n\n\n\n") == ["a"]


def test_a_last_event_without_its_blank_line_counts() -> None:
    assert parse(b"data: a\n\ndata: [DONE]") == ["a", "[DONE]"]
    assert parse(b"data: a\n") == ["a"]
    assert parse(b"") == []


@pytest.fixture
def _limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "MAX_EVENT", 10)


@pytest.mark.usefixtures("_limit")
def test_an_event_above_the_limit_is_refused() -> None:
    parser = SseParser()
    assert parser.feed(b"data: 12345\n\n") == ["12345"]
    parser.feed(b"data: 12345\n")
    with pytest.raises(AgentError, match="larger than 10 bytes"):
        parser.feed(b"data: 123456\n")
    with pytest.raises(AgentError, match="larger than 10 bytes"):
        SseParser().feed(b"x" * 11)


def test_a_byte_order_mark_belongs_to_no_event() -> None:
    assert parse(b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\ndata: c\n\n") == ["a", "c"]


def test_an_event_is_there_with_its_blank_line_whatever_ends_lines() -> None:
    for end in (b"\n", b"\r", b"\r\n"):
        assert SseParser().feed(b"data: a" + 2 * end) == ["a"]


@pytest.mark.usefixtures("_limit")
def test_many_empty_lines_of_data_are_bounded_too() -> None:
    with pytest.raises(AgentError, match="larger than 10 bytes"):
        SseParser().feed(b"data:\n" * 11)


@pytest.mark.parametrize(
    "body", [b"data: {}", b"\r\n: ping\n", b"\xef\xbb\xbfevent: x", b"id:1", b"retry: 5"]
)
def test_a_stream_is_told_from_json_by_how_it_begins(body: bytes) -> None:
    assert is_stream(body)


@pytest.mark.parametrize("body", [b"", b'{"data": 1}', b"<html>", b"database", b"\xef\xbb\xbf{}"])
def test_what_is_no_stream_is_not_taken_for_one(body: bytes) -> None:
    assert not is_stream(body)


def test_bytes_that_drip_are_read_once() -> None:
    def drip(size: int) -> None:
        parser = SseParser()
        for _ in range(size):
            parser.feed(b"x")

    # 8 in the ideal case, 64 where the time is quadratic
    assert cpu_s(lambda: drip(64_000)) < 24 * cpu_s(lambda: drip(8_000))


@given(
    st.lists(st.text(alphabet=st.characters(exclude_characters="\r\n"), max_size=20)),
    st.sampled_from(["\n", "\r", "\r\n"]),
    st.data(),
)
def test_cutting_the_stream_anywhere_changes_nothing(texts: list[str], end: str, data: st.DataObject) -> None:
    texts = [text.encode(errors="replace").decode() for text in texts]
    stream = b"".join(f"data: {text}{end}{end}".encode() for text in texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    edges = [0, *cuts, len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(edges)]
    assert parse(*pieces) == texts
