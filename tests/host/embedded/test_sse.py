"""Event streams, however they are cut into pieces."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.host.embedded.agents import AgentError
from openclaw_channel_octo.host.embedded.sse import SseParser


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


def test_an_event_above_the_limit_is_refused() -> None:
    parser = SseParser(limit=10)
    assert parser.feed(b"data: 12345\n\n") == ["12345"]
    parser.feed(b"data: 12345\n")
    with pytest.raises(AgentError, match="larger than 10 bytes"):
        parser.feed(b"data: 123456\n")
    with pytest.raises(AgentError, match="larger than 10 bytes"):
        SseParser(limit=10).feed(b"x" * 11)


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\r\n"), max_size=20)), st.data())
def test_cutting_the_stream_anywhere_changes_nothing(texts: list[str], data: st.DataObject) -> None:
    texts = [text.encode(errors="replace").decode() for text in texts]
    stream = b"".join(f"data: {text}\n\n".encode() for text in texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    edges = [0, *cuts, len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(edges)]
    assert parse(*pieces) == texts
