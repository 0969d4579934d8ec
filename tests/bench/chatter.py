"""Chatter nobody answers: socket to commit to RECVACK, against a loop that only inserts the same rows."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.errors import TransportError
from openclaw_channel_octo.policy.gate import GatePolicy, Identity
from openclaw_channel_octo.runtime.connection.link import Link
from openclaw_channel_octo.runtime.intake.inbox import Inbox
from openclaw_channel_octo.runtime.received import Incoming, Outcome
from openclaw_channel_octo.session.route import Routing
from openclaw_channel_octo.store.database import open_database
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.testing.octo.wire_server import ServerConnection
from openclaw_channel_octo.wire.client import ClientConnection, Credentials
from openclaw_channel_octo.wire.packets import Connect
from tests.bench.measure import Row
from tests.bench.packets import OURS, PAYLOAD, SALT, THEIRS, packets

ACK_BYTES = 14
"""A RECVACK: header, length, message id, sequence number (protocol §2.5)."""

BATCH = 256
AIM_PER_SECOND = 10_000
POLICY = GatePolicy()
CHATTER = json.dumps(json.loads(PAYLOAD) | {"mention": {}, "content": "see you at lunch"}).encode()


class PreparedSocket:
    """Answers the handshake, then hands out what was prepared and counts the acknowledgements."""

    def __init__(self, count: int) -> None:
        self._server = ServerConnection(key_pair=THEIRS, salt=SALT)
        self._count = count
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._acked = 0
        self.began = 0.0
        self.ended = 0.0

    async def send(self, data: bytes) -> None:
        if self.began:
            self._acked += len(data)
            if self._acked == self._count * ACK_BYTES:
                self.ended = time.perf_counter()
                self._waiting.put_nowait(None)
            return
        for event in self._server.receive(data):
            if isinstance(event, Connect):
                self._server.accept(0)
        for packet in self._server.outgoing() + packets(self._server, self._count, CHATTER):
            self._waiting.put_nowait(packet)
        self.began = time.perf_counter()

    async def receive(self) -> bytes:
        data = await self._waiting.get()
        if data is None:
            raise TransportError("that was all")
        return data

    async def close(self) -> None:
        """There is nothing to close."""


class Recorder:
    """Judges and records; nothing of it starts a turn."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def commit(self, events: Sequence[Incoming]) -> Sequence[Outcome]:
        return await self._inbox.accept(events)

    def dispatch(self, outcomes: Sequence[Outcome]) -> None:
        assert all(outcome.row is None for outcome in outcomes)


def run(scale: int) -> list[Row]:
    """Measure with ``scale`` messages, 20,000 for a real run."""
    with TemporaryDirectory() as folder:
        ours, floor = [], []
        for number in range(3):
            path = Path(folder) / f"{number}.sqlite"
            ours.append(asyncio.run(_ours(path, scale)))
            floor.append(_floor(path, Path(folder) / f"{number}-floor.sqlite"))
    return [
        Row(
            what=f"ignored chatter, socket → commit → RECVACK, aim ≥ {AIM_PER_SECOND:,} a second",
            floor="a loop that only inserts the same rows",
            ours=min(ours) / scale * 1e6,
            base=min(floor) / scale * 1e6,
            unit="µs",
            most_ours=1e6 / AIM_PER_SECOND,
        )
    ]


async def _ours(path: Path, count: int) -> float:
    clock = SystemClock()
    socket = PreparedSocket(count)
    async with Journal(path, clock) as journal:
        inbox = Inbox(
            "helper", Identity(uid="helper_bot", name="Helper"), Routing(), lambda _: POLICY, journal
        )
        connection = ClientConnection(Credentials(uid="helper_bot", token="t", device_id="d"), OURS)
        await Link(socket, connection, clock, Recorder(inbox), lambda _: None).run()
        assert await journal.messages.counts() == {"context": count}
    return socket.ended - socket.began


def _floor(path: Path, copy: Path) -> float:
    source = sqlite3.connect(path)
    names = [
        row[1] for row in source.execute("PRAGMA table_info(inbound)")
    ]  # those that are stored, not derived
    rows = source.execute(f"SELECT {', '.join(names)} FROM inbound").fetchall()
    source.close()
    marks = ", ".join("?" * len(names))
    open_database(copy, 0).close()
    db = sqlite3.connect(copy)
    db.execute("PRAGMA synchronous=FULL")
    began = time.perf_counter()
    for at in range(0, len(rows), BATCH):
        with db:
            for row in rows[at : at + BATCH]:
                db.execute(f"INSERT INTO inbound VALUES ({marks})", row)
    took = time.perf_counter() - began
    db.close()
    return took
