"""Transcripts keep what was said, whatever happened to the file."""

import errno
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.errors import SessionStoreError
from openclaw_channel_octo.host.embedded import transcript as transcript_module
from openclaw_channel_octo.host.embedded.memory import Said, add_all, history
from openclaw_channel_octo.host.embedded.transcript import Message, Transcript, is_safe_id

NOW = 1_700_000_000_123


def user(text: str, sender: str = "") -> Message:
    return Message(role="user", text=text, sender=sender)


def assistant(text: str) -> Message:
    return Message(role="assistant", text=text)


def records(transcript: Transcript) -> list[dict[str, Any]]:
    return [json.loads(line) for line in transcript.path.read_text().splitlines()]


def everything(transcript: Transcript) -> tuple[Message, ...]:
    return transcript.history(messages=1000, characters=1_000_000)


def test_a_new_transcript_begins_with_a_header_and_links_its_records(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path, "s1")
    transcript.append(user("hi", "Alice"), row_id="r1", now_ms=NOW)
    transcript.append(assistant("hello"), row_id="r2", now_ms=NOW + 1)
    header, first, second = records(transcript)
    assert header == {
        "type": "session",
        "version": 3,
        "id": "s1",
        "timestamp": "2023-11-14T22:13:20.123Z",
        "cwd": str(tmp_path),
    }
    assert (first["type"], first["id"], first["parentId"]) == ("message", "r1", None)
    assert (second["id"], second["parentId"], second["timestamp"]) == ("r2", "r1", "2023-11-14T22:13:20.124Z")
    assert first["message"] == {
        "role": "user",
        "content": [{"type": "text", "text": "hi"}],
        "timestamp": NOW,
        "senderName": "Alice",
    }
    assert second["message"]["stopReason"] == "stop"
    assert stat.S_IMODE(transcript.path.stat().st_mode) == 0o600


def test_history_gives_the_messages_back_in_order(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path, "s1")
    said = (user("hi", "Alice"), assistant("hello\nthere"), user("第二 😀"))
    for number, message in enumerate(said):
        transcript.append(message, row_id=f"r{number}", now_ms=NOW)
    assert everything(transcript) == said


def test_there_is_no_history_without_a_file(tmp_path: Path) -> None:
    assert everything(Transcript(tmp_path, "s1")) == ()


@pytest.mark.parametrize(
    ("messages", "characters", "expected"),
    [(2, 100, ["ccc", "dddd"]), (0, 100, []), (9, 7, ["ccc", "dddd"]), (9, 6, ["dddd"]), (9, 3, [])],
)
def test_history_is_limited_in_messages_and_characters_from_the_end(
    tmp_path: Path, messages: int, characters: int, expected: list[str]
) -> None:
    transcript = Transcript(tmp_path, "s1")
    for text in ("a", "bb", "ccc", "dddd"):
        transcript.append(user(text), row_id=text, now_ms=NOW)
    history = transcript.history(messages=messages, characters=characters)
    assert [message.text for message in history] == expected


def test_a_failed_answer_keeps_what_was_written_and_why_it_ended(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path, "s1")
    broken = Message(role="assistant", text="half an ans", error="exit code 3")
    aborted = Message(role="assistant", text="so far", error="the run was aborted", aborted=True)
    silent = Message(role="assistant", text="", error="exit code 3")
    for number, message in enumerate((broken, aborted, silent)):
        transcript.append(message, row_id=f"r{number}", now_ms=NOW)
    assert [row["message"]["stopReason"] for row in records(transcript)[1:]] == ["error", "aborted", "error"]
    assert records(transcript)[3]["message"]["content"] == []
    assert everything(transcript) == (broken, aborted)


Q1, Q2, Q3 = (user(text) for text in ("one", "two", "three"))
FAILED = Message(role="assistant", text="", error="too long")
HALF = Message(role="assistant", text="half", error="broke off")
STOPPED = Message(role="assistant", text="", error="the run was aborted", aborted=True)
SAID_BY_TOOLS = assistant("")
FINE = assistant("fine")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ([Q1, FAILED], [Q1]),
        ([Q1, FAILED, Q2, FAILED], [Q1, Q2]),
        ([Q1, FAILED, Q2, FINE], [Q2, FINE]),
        ([Q1, FAILED, Q2, FAILED, Q3, SAID_BY_TOOLS], [Q3]),
        ([Q1, FINE, Q2, FAILED, FAILED, Q3, FINE], [Q1, FINE, Q3, FINE]),
        ([Q1, FAILED, FINE, Q2, FINE], [Q1, FINE, Q2, FINE]),
        ([Q1, HALF, Q2, FINE], [Q1, HALF, Q2, FINE]),
        ([Q1, STOPPED, Q2, FINE], [Q1, Q2, FINE]),
        ([Q1, Q2, FINE], [Q1, Q2, FINE]),
    ],
)
def test_a_request_that_failed_without_a_word_stays_until_a_later_one_is_answered(
    tmp_path: Path, said: list[Message], kept: list[Message]
) -> None:
    transcript = Transcript(tmp_path, "s1")
    for number, message in enumerate(said):
        transcript.append(message, row_id=f"r{number}", now_ms=NOW)
    assert list(everything(transcript)) == kept


def test_broken_lines_and_other_records_are_passed_over(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path, "s1")
    transcript.append(user("before"), row_id="r1", now_ms=NOW)
    blocks = b'{"type": "text", "text": "a"}, {"type": "text", "text": "b"}'
    lines = [
        b'{"type": "message", "mess',
        b"\xff\xfe\x00",
        b"[1]",
        b"",
        b'{"type": "compaction", "summary": "x"}',
        b'{"type": "message", "message": "text"}',
        b'{"type": "message", "message": {"role": "toolResult", "content": "secret"}}',
        b'{"type": "message", "message": {"role": "user", "content": 7}}',
        b'{"type": "message", "message": {"role": "user", "content": "plain"}}',
        b'{"type": "message", "message": {"role": "assistant", "content": [{"type": "thinking"}, %s]}}'
        % blocks,
    ]
    with transcript.path.open("ab") as file:
        file.write(b"\n".join(lines) + b"\n")
    transcript.append(user("after"), row_id="r2", now_ms=NOW)
    assert [message.text for message in everything(transcript)] == ["before", "plain", "a\nb", "after"]


def test_a_torn_last_line_does_not_swallow_the_next_record(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path, "s1")
    transcript.append(user("before"), row_id="r1", now_ms=NOW)
    with transcript.path.open("ab") as file:
        file.write(b'{"type": "message", "id": "torn')
    transcript.append(user("after"), row_id="r2", now_ms=NOW)
    assert [message.text for message in everything(transcript)] == ["before", "after"]
    assert json.loads(transcript.path.read_text().splitlines()[-1])["parentId"] == "r1"


def test_only_the_end_of_a_huge_transcript_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript_module, "TAIL_BYTES", 1000)
    transcript = Transcript(tmp_path, "s1")
    for number in range(50):
        transcript.append(user(f"message {number}"), row_id=f"r{number}", now_ms=NOW)
    texts = [message.text for message in everything(transcript)]
    assert 0 < len(texts) < 10
    assert texts[-1] == "message 49"


def test_a_long_transcript_is_read_from_its_end_as_far_as_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transcript = Transcript(tmp_path, "s1")
    for number in range(40):
        transcript.append(user(f"{number} " + "x" * 5000), row_id=f"r{number}", now_ms=NOW)
    read = count_bytes_read(monkeypatch)
    again = Transcript(tmp_path, "s1")
    assert [message.text.split()[0] for message in again.history(messages=2, characters=100_000)] == [
        "38",
        "39",
    ]
    assert sum(read) == transcript_module.BLOCK_BYTES
    again.append(user("after"), row_id="r40", now_ms=NOW)
    again.append(assistant("last"), row_id="r41", now_ms=NOW)
    assert sum(read) == transcript_module.BLOCK_BYTES + 2
    assert [row["parentId"] for row in records(again)[-2:]] == ["r39", "r40"]


def count_bytes_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the number of bytes of each reading to come."""
    read: list[int] = []
    pread = os.pread

    def counting(descriptor: int, size: int, offset: int) -> bytes:
        read.append(size)
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", counting)
    return read


def test_a_record_that_somebody_else_appended_is_the_parent_of_the_next(tmp_path: Path) -> None:
    mine, other = Transcript(tmp_path, "s1"), Transcript(tmp_path, "s1")
    mine.append(user("one"), row_id="r1", now_ms=NOW)
    other.append(user("two"), row_id="r2", now_ms=NOW)
    mine.append(user("three"), row_id="r3", now_ms=NOW)
    assert records(mine)[-1]["parentId"] == "r2"


def test_conversations_that_say_something_at_once_are_written_first_and_then_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines_at_sync: dict[str, list[int]] = {}
    fsync = os.fsync
    transcripts = [Transcript(tmp_path, name) for name in ("s1", "s2", "s3")]

    def noting(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        lines_at_sync[name] = [len(records(each)) for each in transcripts]
        fsync(descriptor)

    for each in transcripts:
        each.append(user("question"), row_id="r1", now_ms=NOW)
    monkeypatch.setattr(os, "fsync", noting)
    add_all([said(each, synced=each is not transcripts[1]) for each in transcripts])
    assert lines_at_sync == {"s1.jsonl": [3, 3, 3], "s3.jsonl": [3, 3, 3]}


def test_a_transcript_that_cannot_be_written_is_warned_about_and_keeps_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = Transcript(tmp_path, "bad"), Transcript(tmp_path, "good")
    bad.path.mkdir()
    first, second, third = add_all([said(bad), said(good), said(good)])
    assert (first, second) == (None, 0)
    assert third == len(b"".join(good.path.read_bytes().splitlines(keepends=True)[:2]))
    assert "bad.jsonl cannot be used" in caplog.text
    assert len(caplog.records) == 1


def test_what_is_remembered_for_a_message_ends_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transcript = Transcript(tmp_path, "s1")
    add_all([said(transcript)])
    (before,) = add_all([said(transcript, "and now")])
    assert history(transcript, before) == (assistant("answer"),)
    monkeypatch.setattr(transcript_module, "append_file", full_disk)
    (before,) = add_all([said(transcript, "lost")])
    assert history(transcript, before) == (assistant("answer"), assistant("and now"))


def said(transcript: Transcript, text: str = "answer", *, synced: bool = True) -> Said:
    return Said(transcript=transcript, message=assistant(text), row_id="r", now_ms=NOW, sync=synced)


def full_disk(*_: object, **__: object) -> int:
    raise OSError(errno.ENOSPC, "no space left")


@pytest.mark.parametrize("block", [1, 7, 64, 4096])
def test_lines_are_found_whatever_the_blocks_they_are_read_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    said = (user("a"), user("b" * 3000), user("第二 😀"), assistant("d"))
    transcript = Transcript(tmp_path, "s1")
    for number, message in enumerate(said):
        transcript.append(message, row_id=f"r{number}", now_ms=NOW)
    monkeypatch.setattr(transcript_module, "BLOCK_BYTES", block)
    assert everything(Transcript(tmp_path, "s1")) == said


@pytest.mark.parametrize("session_id", ["", ".", "..", "../x", "a/b", "a\0b", "-x", "a b", "x" * 129, "é"])
def test_a_session_id_that_cannot_be_a_file_name_is_refused(tmp_path: Path, session_id: str) -> None:
    assert not is_safe_id(session_id)
    with pytest.raises(SessionStoreError, match="reset that session"):
        Transcript(tmp_path, session_id)


@given(st.binary(max_size=500))
def test_any_bytes_in_the_file_give_a_history_and_can_be_appended_to(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        transcript = Transcript(Path(folder), "s1")
        transcript.path.write_bytes(raw)
        everything(transcript)
        transcript.append(user("after"), row_id="r", now_ms=NOW)
        assert everything(transcript)[-1] == user("after")


@given(st.text(min_size=1), st.text())
def test_any_text_comes_back_as_it_was_said(text: str, sender: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        transcript = Transcript(Path(folder), "s1")
        transcript.append(user(text, sender), row_id="r", now_ms=NOW)
        assert everything(transcript) == (user(text, sender),)


@pytest.mark.parametrize("role", [["user"], {"user": 1}, None])
def test_a_line_whose_role_is_no_text_is_passed_over(tmp_path: Path, role: Any) -> None:
    transcript = Transcript(tmp_path, "s1")
    transcript.append(user("kept"), row_id="r1", now_ms=NOW)
    line = {"type": "message", "message": {"role": role, "content": "odd"}}
    transcript.path.write_text(transcript.path.read_text() + json.dumps(line) + "\n")
    assert everything(transcript) == (user("kept"),)
