"""Harnesses of files: captures, configuration, the session store, transcripts."""

import atexit
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import msgpack

from openclaw_channel_octo.capture.format import ApiCall, SocketControl, pack, read_capture
from openclaw_channel_octo.capture.header import CaptureHeader
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.load import load_config, parse_config
from openclaw_channel_octo.config.report import report_text
from openclaw_channel_octo.errors import CaptureError, ConfigError
from openclaw_channel_octo.host.embedded import rows
from openclaw_channel_octo.host.embedded.session_file import SessionFile
from openclaw_channel_octo.host.embedded.transcript import Message, Transcript
from openclaw_channel_octo.host.fields import snapshot_of
from openclaw_channel_octo.session.status import SessionSnapshot, Status
from tests.fuzz.harness import FIXTURES, PLANTED, Harness
from tests.fuzz.mutation import byte_maker, json_maker

TEXT_BUDGET = 10_000
KEY = "agent:main:octo:group:g1"

CONFIG = {
    "channels": {
        "octo": {
            "apiUrl": "https://octo.example/api",
            "requireMention": True,
            "guard": {"notice": "groups", "noticeText": "restarting"},
            "texts": {"thirdFailure": "%d times"},
            "accounts": {
                "helper": {"botToken": PLANTED, "replyChunk": 3500, "wsUrl": f"wss://h/ws?t={PLANTED}"},
                "two": {"botToken": {"source": "env", "id": "OCTO_TOKEN"}, "enabled": False},
                "three": {"botToken": {"source": "exec", "command": ["pass", "octo"]}, "maxTurns": 2},
            },
        }
    },
    "host": {
        "kind": "embedded",
        "stateDir": "~/state",
        "agentId": "main",
        "agent": {"kind": "openai", "baseUrl": "http://h/v1", "model": "m", "apiKey": PLANTED},
        "timeoutSeconds": 600,
    },
}
COMMAND_CONFIG = {
    "channels": {"octo": {"botToken": {"source": "env", "id": "OCTO_TOKEN"}, "silentReplies": "allow"}},
    "host": {
        "agent": {"kind": "command", "command": ["agent", PLANTED], "env": {"KEY": PLANTED}, "cwd": "."}
    },
}
CONFIG_WORDS = (
    *("channels", "octo", "accounts", "botToken", "enabled", "apiUrl", "wsUrl", "guard", "texts", "host"),
    *("agent", "kind", "echo", "command", "openai", "gateway", "env", "cwd", "source", "id", "file", "exec"),
    *(
        "baseUrl",
        "apiKey",
        "model",
        "stateDir",
        "timeoutSeconds",
        "%d",
        "https://[",
        "http://a:99999999",
        "ws://h",
    ),
    *(
        "https://u:p@h",
        "http://\u2100",
        "historyLimit",
        "default",
        "DEFAULT",
        "~",
        "/",
        "OCTO_TOKEN",
        PLANTED,
    ),
)
JSON5 = (
    b"// a comment\n{channels: {octo: {botToken: 'bf_0123456789abcdef', requireMention: +1, }}, host: {},}\n"
)

SESSIONS: tuple[dict[str, Any], ...] = (
    {
        KEY: {
            "sessionId": "s1",
            "status": "failed",
            "startedAt": 1767225600000,
            "endedAt": 1767225600999,
            "runtimeMs": 394653,
            "lastRunId": "r1",
            "lastRunError": "it broke",
            "updatedAt": 1767225600999,
        },
        "agent:main:octo:direct:ann": {"sessionId": "s2", "status": "running", "sessionKey": KEY},
    },
    {KEY.upper(): {"status": "done", "updatedAt": 1.5}, "other": []},
    {"sessionKey": KEY, "sessionId": "../s", "status": "queued"},
)
SESSION_WORDS = (
    *("sessionId", "status", "startedAt", "endedAt", "runtimeMs", "lastRunId", "lastRunError", "updatedAt"),
    *("sessionKey", "running", "queued", "failed", "timeout", "r1", KEY, KEY.upper()),
)
SPOKEN = {
    "type": "message",
    "id": "m1",
    "parentId": None,
    "message": {
        "role": "user",
        "content": [{"type": "text", "text": "hi"}],
        "senderName": "Ann",
        "stopReason": "stop",
        "errorMessage": "e",
    },
}
TRANSCRIPT_WORDS = (
    "type",
    "message",
    "role",
    "user",
    "assistant",
    "content",
    "text",
    "senderName",
    "id",
    "aborted",
)


ODD_OBJECTS: tuple[Any, ...] = (None, True, -1, 2**63, 0.5, "", "x" * 300, b"", [], {}, {"a": [1]})
PIECES = (
    *(msgpack.packb(value) for value in ODD_OBJECTS),
    *(b"\xdd\x00\x01\x86\xa0", b"\xdf\x00\x01\x86\xa0", b"\xc6\x7f\xff\xff\xff", b"\xdb\x00\x00\x00\x01\xff"),
    *(
        b"\xc7\x0c\xff" + bytes(12),
        b"\xd6\xff\x00\x00\x00\x00",
        b"\xc1",
        b"\xc0",
        b"\x91" * 600,
        b"\x81\x90\x00",
    ),
)
"""Objects of msgpack, and headers that promise more than there is."""


@cache
def folder() -> Path:
    """Return a folder of this process's own; it goes when the process ends, or its parent."""
    place = TemporaryDirectory(prefix="octo-fuzz-")
    atexit.register(place.cleanup)
    return Path(place.name)


def _written(name: str, data: bytes) -> Path:
    path = folder() / name
    path.write_bytes(data)
    return path


@cache
def _capture_maker() -> Callable[[Random], bytes]:
    files = sorted((FIXTURES / "wukongim").glob("*.wkcap"))
    seeds = [file.read_bytes() for file in files if file.stat().st_size < 6_000]
    own: tuple[CaptureHeader | SocketControl | ApiCall, ...] = (
        CaptureHeader(labels={}, client_private_keys=(bytes(32),)),
        SocketControl(at_us=1, event="open", details={"code": 1006}),
        ApiCall(at_us=2, api="rest", method="GET", path="/", query={}, body=None, status=200, response={}),
    )
    return byte_maker([*seeds, b"".join(map(pack, own))], PIECES)


def make_capture(rng: Random) -> bytes:
    return _capture_maker()(rng)


def check_capture(data: bytes) -> None:
    """A file is read as a capture, or refused as none."""
    path = _written("c.wkcap", data)
    try:
        capture = read_capture(path)
    except CaptureError:
        return
    assert len(capture.records) <= len(data)
    assert repr(capture.header)


make_config = json_maker([CONFIG, COMMAND_CONFIG], CONFIG_WORDS)


def check_config(data: bytes) -> None:
    """A mapping is a configuration, or every mistake in it is told without its secrets."""
    with _sound_json(data) as content:
        _check_parsed(lambda: parse_config(content, base=folder(), env=_env(), run_programs=False))


def _env() -> dict[str, str]:
    return {"HOME": "/nonexistent", "OCTO_TOKEN": PLANTED}


def make_config_text(rng: Random) -> bytes:
    if rng.random() < 0.3:
        return byte_maker([JSON5], [b"{", b"[", b"'", b"/*", b"\\u12", b"Infinity", b"0x"])(rng)
    return make_config(rng)[:3_000]


def check_config_text(data: bytes) -> None:
    """A text is a configuration, or every mistake in it is told without its secrets."""
    path = _written("octo.json", data)
    _check_parsed(lambda: load_config(path, env=_env(), run_programs=False))


def _check_parsed(parse: Callable[[], Any]) -> None:
    try:
        loaded = parse()
    except ConfigError as error:
        said = str(error)
    else:
        said = "\n".join(loaded.warnings)
        assert report_text(loaded.config)
    assert PLANTED not in said
    said.encode()


@contextmanager
def _sound_json(data: bytes) -> Iterator[Any]:
    """Give the JSON value of the input, nothing where it is none."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        content = {}
    yield content


make_sessions = json_maker(SESSIONS, SESSION_WORDS)


def check_sessions(data: bytes) -> None:
    """A store opens on any content, and every session in it can be shown, run, ended and recovered."""
    for old in folder().glob("sessions.json*"):
        old.unlink()
    path = _written("sessions.json", data)
    file = SessionFile(path, SystemClock())
    file.open()
    for key in (*list(file.read())[:20], KEY):
        _live(file, key)
    file.sweep(partial(rows.mark_orphan, now_ms=2))
    again = SessionFile(path, SystemClock())
    again.open()
    assert again.read().keys() == file.read().keys()


def _live(file: SessionFile, key: str) -> None:
    entry = file.get(key) or {}
    seen = snapshot_of(key, entry)
    assert isinstance(seen, SessionSnapshot)
    rows.recover(dict(entry), seen, session_id="fresh")
    rows.mark_orphan(dict(entry), now_ms=5)
    rows.start_run(entry, run_id="r9", session_id="fresh", now_ms=3)
    rows.end_run(entry, run_id="r9", status=Status.FAILED, error="e" * 2_000, now_ms=4)
    rows.renew(entry, session_id="fresh", now_ms=5)


_one_line = json_maker([SPOKEN, {"type": "session", "version": 3, "id": "s"}], TRANSCRIPT_WORDS)


def make_transcript(rng: Random) -> bytes:
    lines = [_one_line(rng) for _ in range(rng.randrange(1, 4))]
    return rng.choice((b"\n", b"\r\n", b"", b"\n\n")).join(lines)


def check_transcript(data: bytes) -> None:
    """A conversation is remembered as far as its lines can be read, and goes on."""
    path = _written("s1.jsonl", data)
    transcript = Transcript(path.parent, "s1")
    remembered = transcript.history(messages=10, characters=TEXT_BUDGET)
    assert len(remembered) <= 10
    assert sum(len(message.text) for message in remembered) <= TEXT_BUDGET
    transcript.append(Message(role="user", text="and now"), row_id="r", now_ms=1)
    assert transcript.history(messages=1, characters=TEXT_BUDGET)[-1].text == "and now"


HARNESSES = (
    Harness(name="capture", make=make_capture, check=check_capture, share=6),
    Harness(name="config", make=make_config, check=check_config, share=3),
    Harness(name="config-text", make=make_config_text, check=check_config_text, share=1),
    Harness(name="sessions", make=make_sessions, check=check_sessions, share=2),
    Harness(name="transcript", make=make_transcript, check=check_transcript, share=4),
)
