"""Transcripts: what was said in a session, one JSON record a line (openclaw-host §2.1)."""

import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from openclaw_channel_octo.errors import SessionStoreError
from openclaw_channel_octo.host.fields import texts_of
from openclaw_channel_octo.host.files import append_file, dump_json
from openclaw_channel_octo.message.text import well_formed

__all__ = ["Message", "Transcript", "is_safe_id"]


TAIL_BYTES = 8 * 1024 * 1024
"""Most bytes read from the end of a transcript."""

HISTORY_MESSAGES = 40
HISTORY_CHARACTERS = 100_000

BLOCK_BYTES = 32 * 1024
"""Bytes read first from the end; each further block is twice as large, so that long lines are joined at little cost."""

_SAFE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def is_safe_id(name: str) -> bool:
    """Return whether ``name`` can be part of a file name and never leaves its folder."""
    return _SAFE_ID.fullmatch(name) is not None


class Message(Struct, frozen=True, kw_only=True):
    """One message of a conversation.

    Attributes:
        role: ``user`` or ``assistant``.
        text: what was said; for a failed answer what had been written by then.
        sender: display name of the person, empty when unknown. Untrusted text.
        context: what was shown around it, as a block of its own; part of the session's memory from then on.
        mark: stands in the channel's lines of text and context, see `Turn.mark`.
        message_id: of a request, the inbound message's id, empty when unknown.
        error: what went wrong, for an assistant message of a failed run.
        aborted: whether the run was stopped rather than broken.
        cut: whether a length limit or a content filter of the model ended the answer.
    """

    role: str
    text: str
    sender: str = ""
    context: str = ""
    mark: str = ""
    message_id: str = ""
    error: str = ""
    aborted: bool = False
    cut: bool = False


class Transcript:
    """The transcript of one session. Blocking: call it in a thread.

    Args:
        folder: where ``sessions.json`` lies.
        session_id: names the file ``<session_id>.jsonl``.

    Raises:
        SessionStoreError: the session id cannot be a file name.
    """

    def __init__(self, folder: Path, session_id: str) -> None:
        if not is_safe_id(session_id):
            raise SessionStoreError("a session id in sessions.json cannot be a file name: reset that session")
        self.session_id = session_id
        self.path = folder / f"{session_id}.jsonl"
        self._known: tuple[int, str | None] = (0, None)
        """The file's size in bytes when it was last looked at, and the id of its last record then."""

    def append(self, message: Message, *, row_id: str, now_ms: int, sync: bool = True) -> int:
        """Add a message, after the header where the file is new.

        Args:
            message: what was said.
            row_id: fresh id of the record.
            now_ms: Unix milliseconds.
            sync: whether it survives a power cut.

        Returns:
            The file's size in bytes before.

        Raises:
            OSError: the file cannot be written.
        """
        records: list[dict[str, Any]] = []
        size, parent = self._end()
        if not size:
            header = {"type": "session", "version": 3, "id": self.session_id, "timestamp": _iso(now_ms)}
            records.append({**header, "cwd": str(self.path.parent)})
        records.append(
            {
                "type": "message",
                "id": row_id,
                "parentId": parent if parent != self.session_id else None,
                "timestamp": _iso(now_ms),
                "message": _encode(message, now_ms),
            }
        )
        data = b"".join(dump_json(record) for record in records)
        self._known = (append_file(self.path, data, sync=sync), row_id)
        return size

    def history(
        self, *, messages: int, characters: int, end: int | None = None, asked: str = ""
    ) -> tuple[Message, ...]:
        """Return the end of the conversation, oldest first; lines that cannot be read are passed over.

        A request whose run failed without a word stays until a later one is answered: what broke a run must not break
        every one after it.

        Args:
            messages: most messages.
            characters: most characters of text in all of them.
            end: bytes of the file that count, ``None`` for all.
            asked: id of the inbound message that is answered now: where the last request is of this id, it and what
                follows are left out.

        Raises:
            OSError: the file is there and cannot be read.
        """
        found: list[Message] = []
        for message in _kept(self._messages(end), asked):
            characters -= len(message.text) + len(message.context)
            if len(found) == messages or characters < 0:
                break
            found.append(message)
        return tuple(reversed(found))

    def was_asked_last(self, message_id: str) -> bool:
        """Return whether the last request is the inbound message of this id. Raises `OSError` as `history` does."""
        last = next((each for each in self._messages() if each.role == "user"), None)
        return last is not None and last.message_id == message_id

    def _messages(self, end: int | None = None) -> Iterator[Message]:
        """Yield the messages, last first, failed answers without a word among them."""
        return filter(None, map(_decode, self._newest_first(end)))

    def _end(self) -> tuple[int, str | None]:
        """Return the size in bytes and the id of the last record that has one."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return 0, None
        if size != self._known[0]:
            self._known = (size, None)
            for _ in self._newest_first():
                if self._known[1] is not None:
                    break
        return self._known

    def _newest_first(self, end: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the records, last first; with the first of the file that has an id, what `_end` returns is known."""
        try:
            file = self.path.open("rb", buffering=0)
        except FileNotFoundError:
            return
        with file:
            size, is_known = file.seek(0, os.SEEK_END), end is not None
            for line in _last_lines(file.fileno(), size if end is None else end):
                try:
                    row = _parse(line)
                except (ValueError, RecursionError):
                    continue
                if not isinstance(row, dict):
                    continue
                if not is_known and isinstance(name := row.get("id"), str):
                    self._known, is_known = (size, name), True
                yield row


def _kept(newest_first: Iterator[Message], asked: str) -> Iterator[Message]:
    """Yield the messages that are carried along; see `Transcript.history`."""
    answers: list[Message] = []
    later_answered, is_last = False, True
    for message in newest_first:
        if message.role == "assistant":
            answers.append(message)
            continue
        failed = bool(answers) and all(map(_is_failure, answers))
        again = is_last and bool(asked) and message.message_id == asked
        if not again:
            yield from (answer for answer in answers if answer.text)
            if not (failed and later_answered):
                yield message
            later_answered = later_answered or (bool(answers) and not failed)
        answers, is_last = [], False
    yield from (answer for answer in answers if answer.text)


def _is_failure(answer: Message) -> bool:
    return bool(answer.error) and not answer.text and not answer.aborted


def _parse(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError:  # as it does for lone surrogates and NaN, which the slower one reads
        return json.loads(line)


def _last_lines(descriptor: int, size: int) -> Iterator[bytes]:
    """Yield the lines in the last `TAIL_BYTES` of a file, last first, reading no more than is asked for."""
    limit, begin, block, rest = max(0, size - TAIL_BYTES), size, BLOCK_BYTES, b""
    while begin > limit:
        end, begin = begin, max(limit, begin - block)
        rest, *lines = (os.pread(descriptor, end - begin, begin) + rest).split(b"\n")
        yield from reversed(lines)
        block *= 2
    yield rest


def _iso(now_ms: int) -> str:
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _encode(message: Message, now_ms: int) -> dict[str, Any]:
    encoded: dict[str, Any] = {
        "role": message.role,
        "content": [{"type": "text", "text": message.text}] if message.text else [],
        "timestamp": now_ms,
    }
    more = {
        "senderName": message.sender,
        "context": message.context,
        "mark": message.mark,
        "messageId": message.message_id,
    }
    encoded |= {name: words for name, words in more.items() if words}
    if message.role == "assistant":
        encoded["stopReason"] = "length" if message.cut else "stop"
    if message.error:
        encoded |= {"stopReason": "aborted" if message.aborted else "error", "errorMessage": message.error}
    return encoded


def _decode(row: dict[str, Any]) -> Message | None:
    body = row.get("message")
    if row.get("type") != "message" or not isinstance(body, dict):
        return None
    words = {name: well_formed(value) for name, value in body.items() if isinstance(value, str)}
    role, said = words.get("role", ""), well_formed("\n".join(texts_of(body.get("content"))))
    if role not in {"user", "assistant"} or not (said or (role == "assistant" and "stopReason" in words)):
        return None
    return Message(
        role=role,
        text=said,
        sender=words.get("senderName", ""),
        context=words.get("context", ""),
        mark=words.get("mark", ""),
        message_id=words.get("messageId", ""),
        error=words.get("errorMessage", ""),
        aborted=words.get("stopReason") == "aborted",
        cut=words.get("stopReason") == "length",
    )
