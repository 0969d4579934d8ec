"""Reading and changing a session, its transcript and what was said before a mention, in stores of different sizes."""

import asyncio
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.host.embedded.agents import EchoAgent
from openclaw_channel_octo.host.embedded.host import EmbeddedHost
from openclaw_channel_octo.host.embedded.memory import history
from openclaw_channel_octo.host.embedded.session_file import Change, SessionFile
from openclaw_channel_octo.host.embedded.transcript import Message, Transcript
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.session.guard import Situation, plan
from openclaw_channel_octo.store.database import open_database
from tests.bench.measure import Row
from tests.store.work import OnConnection, done

READS = 200


def sessions(count: int) -> bytes:
    """Return a session file as a host that has lived for a while has it."""
    return json.dumps({key(number): _entry(number) for number in range(count)}, indent=2).encode()


def key(number: int) -> str:
    return f"agent:main:octo:group:g{number}"


def _entry(number: int) -> dict[str, Any]:
    return {
        "sessionId": f"{number:032x}",
        "updatedAt": 1_700_000_000_000 + number,
        "status": "done",
        "startedAt": 1_700_000_000_000,
        "endedAt": 1_700_000_009_000,
        "runtimeMs": 9_000,
        "lastRunId": f"run-{number}",
        "chatType": "group",
        "abortedLastRun": False,
    }


def run(scale: int) -> list[Row]:
    """Measure with up to ``scale`` sessions, 100,000 for a real run."""
    few = max(1, scale // 1_000)
    small, large = (asyncio.run(_describe(count)) for count in (few, scale))
    unknown = asyncio.run(_describe(scale, missing=True))
    rows = [
        Row(
            what=f"guard and describe, {scale:,} sessions",
            floor=f"the same, {few:,} sessions",
            ours=large,
            base=small,
            unit="ms",
            most=1.5,
            most_ours=1.0,
        ),
        Row(
            what=f"the same for a conversation without a session, {scale:,} sessions",
            floor=f"guard and describe, {few:,} sessions",
            ours=unknown,
            base=small,
            unit="ms",
            most_ours=1.0,
        ),
    ]
    least, some, many = (max(1, scale // part) for part in (1_000, 100, 10))
    (first, _, floor), (second, _, _), (third, written, twice) = map(_change, (least, some, many))
    bytes_twice = "writing and syncing the same bytes twice (the file and its backup)"
    rows += [
        Row(what=_status_change(least), floor=bytes_twice, ours=first, base=floor, unit="ms"),
        *(
            Row(
                what=_status_change(count),
                floor=f"the same, {least:,}",
                ours=ours,
                base=first,
                unit="ms",
                most=1.3,
            )
            for count, ours in ((some, second), (many, third))
        ),
        Row(
            what=f"the session file, {many:,} sessions",
            floor=bytes_twice,
            ours=written,
            base=twice,
            unit="ms",
        ),
    ]
    short, long = (_remembers(size) for size in (8 * scale // 10, 80 * scale))
    rows.append(
        Row(
            what=f"a turn's reading and writing of its transcript, {80 * scale // 1_000:,} KB there",
            floor=f"the same, {8 * scale // 10_000:,} KB there",
            ours=long,
            base=short,
            unit="ms",
            most=1.3,
        )
    )
    return [*rows, *(_looks_back(name, scale) for name in TALK)]


def _looks_back(name: str, scale: int) -> Row:
    few, many = max(1, scale // 500), 2 * scale
    return Row(
        what=f"what was said before a mention, {many:,} messages there, {name}",
        floor=f"the same, {few:,} messages",
        ours=_look_back(many, TALK[name]),
        base=_look_back(few, TALK[name]),
        unit="ms",
        most=1.5,
    )


def _look_back(count: int, rows: Sequence[tuple[str, str, bytes]]) -> float:
    """Return the best milliseconds of one look, on the thread that also acknowledges, with ``rows`` again and again."""
    talk = ((number, number, *rows[number % len(rows)], number) for number in range(1, count + 1))
    with TemporaryDirectory() as folder, closing(open_database(Path(folder) / "octo.sqlite", 0)) as db:
        with db:
            db.executemany(INSERT, talk)
        times, said = [], OnConnection(db).said
        for _ in range(READS):
            began = time.perf_counter()
            done(said.before("helper", ChannelRef("g1", 2), count + 1, 20))
            times.append(time.perf_counter() - began)
    return min(times) * 1e3


async def _describe(count: int, *, missing: bool = False) -> float:
    """Return the best milliseconds of one look of the guard."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "agents" / "main" / "sessions" / "sessions.json"
        path.parent.mkdir(parents=True)
        path.write_bytes(sessions(count))
        path.chmod(0o600)
        host = EmbeddedHost(state_dir=Path(folder), agent_id="main", agent=EchoAgent(), clock=SystemClock())
        await host.start()
        try:
            return min([await _one_look(host, count, missing=missing) for _ in range(READS)])
        finally:
            await host.stop()


async def _one_look(host: EmbeddedHost, count: int, *, missing: bool) -> float:
    began = time.perf_counter()
    snapshot = await host.describe(key(count if missing else count // 2))
    plan(snapshot, SITUATION)
    return (time.perf_counter() - began) * 1e3


def _status_change(count: int) -> str:
    return f"one status change, {count:,} sessions"


def _change(count: int) -> tuple[float, float, float]:
    """Return the best milliseconds of a status change, of writing the file with it, and of writing the bytes alone."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "sessions.json"
        data = sessions(count)
        path.write_bytes(data)
        path.chmod(0o600)
        file = SessionFile(path, SystemClock())
        file.open()
        rounds = []
        for number in range(7):
            change = Change(key(0), partial(dict.update, status=f"s{number}"))
            works = (partial(file.change, [change]), file.read, partial(_write_twice, Path(folder), data))
            rounds.append([_milliseconds(work) for work in works])
        ours, written, floor = map(min, zip(*rounds, strict=True))
        return ours, written, floor


def _remembers(size: int) -> float:
    """Return the best milliseconds of what a turn does with a transcript of ``size`` bytes."""
    with TemporaryDirectory() as folder:
        said = Message(role="user", text="x" * 150, sender="Ann")
        Transcript(Path(folder), "s").append(said, row_id="1", now_ms=0)
        record = Transcript(Path(folder), "s").path.read_bytes().splitlines(keepends=True)[-1]
        Transcript(Path(folder), "s").path.write_bytes(record * (size // len(record) + 1))
        return min(_milliseconds(partial(_remember, Path(folder), said)) for _ in range(READS))


def _remember(folder: Path, said: Message) -> None:
    transcript = Transcript(folder, "s")
    before = transcript.append(said, row_id="2", now_ms=0, sync=False)
    history(transcript, before)
    transcript.append(said, row_id="3", now_ms=0)


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3


def _write_twice(folder: Path, data: bytes) -> None:
    for name in ("a", "b"):
        with (folder / f"{name}.new").open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        (folder / f"{name}.new").rename(folder / name)


TALK = {
    "all chatter": [("context", "context", b"x" * 150)],
    "all answered": [("turn", "answered", b"x" * 150)],
    "all commands": [("command", "answered", b"x" * 150)],
}
"""Decision, state and payload of messages."""

INSERT = (
    "INSERT INTO inbound (account, message_id, message_seq, client_msg_no, from_uid, channel_id, channel_type,"
    " timestamp, decision, state, payload, reason, session_key, trace, received_at, updated_at)"
    " VALUES ('helper', ?, ?, '', 'ann', 'g1', 2, 0, ?, ?, ?, '', 'k', '', ?, 0)"
)

SITUATION = Situation(
    kind="group", now_ms=1_700_000_100_000, patience_ms=660_000, waiting_since_ms=1_700_000_100_000
)
