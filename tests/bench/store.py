"""Reading and changing a session in stores of different sizes."""

import asyncio
import json
import os
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.host.embedded.agents import EchoAgent
from openclaw_channel_octo.host.embedded.host import EmbeddedHost
from openclaw_channel_octo.host.embedded.store import SessionStore
from openclaw_channel_octo.session.guard import Situation, plan
from tests.bench.measure import Row

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
    for count in (max(1, scale // 1_000), max(1, scale // 100), max(1, scale // 10)):
        ours, floor = asyncio.run(_change(count))
        rows.append(
            Row(
                what=f"one status change, {count:,} sessions",
                floor="writing and syncing the same file twice (it and its backup)",
                ours=ours,
                base=floor,
                unit="ms",
            )
        )
    return rows


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


async def _change(count: int) -> tuple[float, float]:
    """Return the best milliseconds of one status change, and of writing the bytes alone."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "sessions.json"
        data = sessions(count)
        path.write_bytes(data)
        path.chmod(0o600)
        store = SessionStore(path, clock=SystemClock())
        await store.open()
        ours, floor = [], []
        for number in range(7):
            began = time.perf_counter()
            await store.update(key(0), partial(dict.update, status=f"s{number}"))
            ours.append(time.perf_counter() - began)
            floor.append(_write_twice(Path(folder), data))
        await store.close()
        return min(ours) * 1e3, min(floor) * 1e3


def _write_twice(folder: Path, data: bytes) -> float:
    began = time.perf_counter()
    for name in ("a", "b"):
        with (folder / f"{name}.new").open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        (folder / f"{name}.new").rename(folder / name)
    return time.perf_counter() - began


SITUATION = Situation(
    kind="group", now_ms=1_700_000_100_000, patience_ms=660_000, waiting_since_ms=1_700_000_100_000
)
