"""Starts, stops, drains and cancellations at any moment, in any order: after each nothing is left but the journal.

Everything runs on one event loop with a clock of its own (`tests.runtime.one_loop`), so that an example repeats.
A rule lets the loop go on for some rounds only, so that the next one may meet work anywhere between two awaits.
`ENDINGS_EXAMPLES=5000 pytest tests/runtime/test_endings_machine.py` plays another, longer draw.
"""

import asyncio
import json
import os
import re
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from openclaw_channel_octo.batches import Batches
from openclaw_channel_octo.config.load import parse_config
from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.errors import ApiError, HostError, RateLimited
from openclaw_channel_octo.host.base import Accepted, Block, Failed, Final, Skipped, Turn, TurnEvent
from openclaw_channel_octo.runtime.channel import OctoChannel
from openclaw_channel_octo.runtime.connection.file_lease import FileLease
from openclaw_channel_octo.runtime.fleet import fleet
from openclaw_channel_octo.store import database
from openclaw_channel_octo.testing.host import HANG, ScriptedHost, Step
from tests.runtime.memory_octo import MemoryAccount, MemoryOcto, Stuck, lost_answer, unavailable
from tests.runtime.one_loop import LoopClock, LoopExecutor, inline

_T = TypeVar("_T")

EXAMPLES = int(os.environ.get("ENDINGS_EXAMPLES", "0"))
"""How many examples of a fresh draw to play; 0 for the suite's own, which are the same at each run."""

API_URL = "http://octo.test"
TEXTS = Texts()
NOTICES = frozenset({TEXTS.failed, TEXTS.timeout, TEXTS.empty, TEXTS.cut_off})
COUNTED = TEXTS.third_failure.partition("%d")[0]
LEFT_OPEN = "SELECT message_id, state FROM inbound WHERE state IN ('received', 'queued', 'running')"
CALLS = (
    "messages/sync",
    "sendMessage",
    "editMessage",
    "register",
    "groups",
    "typing",
    "readReceipt",
    "members",
    "groupMd",
)
DRAINS = (0.0, 5.0, 1_000.0)
AFTERWARDS_S = 120.0
"""How long nothing may happen after a stop: longer than every wait of work that was forgotten."""

MOST_ASKED = 40
"""Messages of an example; of an unknown conversation no more than the newest 50 are looked at."""

SETTLED = 1_000
ROUNDS = st.one_of(st.integers(0, 60), st.just(SETTLED))
"""Rounds of the event loop between two rules; `SETTLED` stands for as many as there is something to do for."""

TROUBLES = st.tuples(st.sampled_from(CALLS), st.sampled_from(("no", "lost", "limit", "hang", "hang, done")))
"""A call of the bot API, and what it meets."""


def number_of(text: str) -> str:
    found = re.search(r"#(\d+)", text)
    assert found
    return found[1]


SCRIPTS: dict[str, Callable[[str], list[Step]]] = {
    "answers": lambda number: [Accepted("r"), Final(f"answer to #{number}")],
    "hangs": lambda number: [Accepted("r"), HANG, Final(f"answer to #{number}")],
    "hangs before it begins": lambda number: [HANG, Accepted("r"), Final(f"answer to #{number}")],
    "speaks, hangs": lambda number: [
        Accepted("r"),
        Block(f"part of #{number}"),
        HANG,
        Final(f"answer to #{number}"),
    ],
    "speaks at length, hangs": lambda number: [
        Accepted("r"),
        Block("\n\n".join(f"part {part} of #{number} {'and so on ' * 6}" for part in range(4))),
        HANG,
        Final(f"answer to #{number}"),
    ],
    "speaks, fails": lambda number: [Accepted("r"), Block(f"part of #{number}"), Failed("failed", "no luck")],
    "says nothing": lambda _: [Accepted("r"), Final("")],
    "skips": lambda _: [Skipped("no")],
    "skips without a word": lambda _: [],
    "fails": lambda _: [Accepted("r"), Failed("failed", "no luck")],
    "breaks": lambda _: [HostError("the agent is gone")],
}


class Host(ScriptedHost):
    """A scripted host that counts how often it took each message."""

    def __init__(self, default: Callable[[Turn], list[Step]], clock: LoopClock) -> None:
        super().__init__(default=default, clock=clock)
        self.taken: Counter[str] = Counter()

    async def run(self, turn: Turn) -> AsyncGenerator[TurnEvent]:
        taken = False
        async with aclosing(super().run(turn)) as events:
            async for event in events:
                if not taken and not isinstance(event, Failed | Skipped):
                    taken = True
                    self.taken[turn.message_id] += 1
                yield event


class Endings(RuleBasedStateMachine):
    """One bot, whose process starts and stops again and again while three conversations go on."""

    octo: ClassVar[MemoryOcto]
    """The chat of the example that is played."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="octo-endings-"))
        self.runner = asyncio.Runner()
        self.clock = LoopClock()
        Endings.octo = MemoryOcto(self.clock, 1, frozenset(), history_rows=1_000)
        self.account: MemoryAccount = self.octo.accounts[0]
        self.host = Host(self.script, self.clock)
        self.lease = FileLease(self.folder / "leases", f"{API_URL} {self.account.token}")
        self.next_scripts: list[str] = []
        self.asked: dict[str, int] = {}
        self.sends_failed = False
        self.channel: OctoChannel | None = None
        self.starting: asyncio.Task[None] | None = None
        self.stopping: asyncio.Task[bool] | None = None
        self.stop_by = 0.0
        self.turns_at_drain: int | None = None

    # what the rules do

    @property
    def idle(self) -> bool:
        """Whether no process runs."""
        return self.channel is None

    @property
    def running(self) -> bool:
        """Whether a process runs that nobody has asked to stop."""
        return self.channel is not None and self.stopping is None

    def play(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self.runner.run(work)

    def script(self, turn: Turn) -> list[Step]:
        kind = self.next_scripts.pop(0) if self.next_scripts else "answers"
        return SCRIPTS[kind](number_of(turn.text))

    def go_on(self, rounds: int) -> None:
        """Let the loop go on for some rounds, and look whether a stop has come to its end."""

        async def some_rounds() -> None:
            for _ in range(rounds):
                await asyncio.sleep(0)

        self.play(self.clock.settle() if rounds == SETTLED else some_rounds())
        self.look()

    def look(self) -> None:
        """Check what a process leaves behind, if it has just ended."""
        if self.stopping is None:
            return
        if self.turns_at_drain is not None:
            assert len(self.host.turns) == self.turns_at_drain, "a turn began during the drain"
        if not self.stopping.done():
            assert self.clock.now() <= self.stop_by, "the stop takes longer than its drain"
            return
        if not self.stopping.cancelled():
            self.stopping.result()
        self.play(self.ended())

    async def ended(self) -> None:
        assert self.alive() == set()
        assert self.account.sockets == 0
        assert self.account.under_way == 0
        await self.check_files()
        await self.host.stop()
        made, asked = self.account.traffic.total(), len(self.host.turns)
        self.account.release()
        self.host.release()
        await self.clock.advance(AFTERWARDS_S)
        assert (self.account.traffic.total(), len(self.host.turns)) == (made, asked)
        assert self.alive() == set()
        self.check_rows()
        self.channel = self.stopping = self.starting = self.turns_at_drain = None

    def alive(self) -> set[str]:
        ours = {task for task in asyncio.all_tasks() if task not in {asyncio.current_task(), self.stopping}}
        return {task.get_name() for task in ours}

    async def check_files(self) -> None:
        assert await self.lease.acquire(), "the lease is not free"
        await self.lease.release()
        path = self.folder / "octo.sqlite"
        if path.exists():
            assert not path.with_name("octo.sqlite-wal").exists(), "the journal is open"
            with closing(sqlite3.connect(path, timeout=0)) as db:
                db.execute("BEGIN EXCLUSIVE")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        path = self.folder / "octo.sqlite"
        if not path.exists():
            return []
        with closing(sqlite3.connect(path)) as db:
            return db.execute(query).fetchall()

    def check_rows(self) -> None:
        for message_id, attempt in self.rows(
            "SELECT message_id, attempt FROM inbound WHERE session_key != ''"
        ):
            assert attempt <= self.host.taken[message_id], f"{message_id} has an attempt no agent saw"
        left = self.rows(
            "SELECT inbound.message_id, inbound.state, delivery.state FROM delivery"
            " JOIN inbound ON inbound.id = inbound_id"
            " WHERE inbound.state NOT IN ('received', 'queued', 'running') AND delivery.state NOT IN ('sent', 'dead')"
        )
        assert left == [], "a settled row has a chunk that is neither sent nor dead"

    # starts and stops

    def make_channel(self) -> OctoChannel:
        config = {
            "channels": {
                "octo": {
                    "apiUrl": API_URL,
                    "accounts": {"helper": {"botToken": self.account.token}},
                    "laneLength": 1_000,
                    "replyChunk": 100,
                    "coldStartMaxAgeSeconds": 1_000_000,
                    "rateLimit": {"personPerMinute": 0, "conversationPerMinute": 0},
                    "maxTurns": 2,
                }
            },
            "host": {"kind": "embedded", "stateDir": str(self.folder), "agent": {"kind": "echo"}},
        }
        loaded = parse_config(config, base=self.folder).config
        return OctoChannel(
            loaded, clock=self.clock, open_transport=self.octo.open, leases=self.folder / "leases"
        )

    @initialize(rounds=ROUNDS)
    def start_first(self, rounds: int) -> None:
        self.start(rounds)

    @precondition(lambda self: self.idle)
    @rule(rounds=ROUNDS)
    def start(self, rounds: int) -> None:
        async def begin() -> None:
            await self.host.start()
            self.channel = self.make_channel()
            self.starting = asyncio.create_task(self.channel.start("helper", self.host))

        self.play(begin())
        self.go_on(rounds)

    @precondition(lambda self: self.running)
    @rule(drain_s=st.sampled_from(DRAINS), rounds=ROUNDS)
    def stop(self, drain_s: float, rounds: int) -> None:
        """Stop as the program does: a start that has not come to its end is cancelled first."""
        running, starting = self.channel, self.starting
        assert running is not None
        assert starting is not None

        async def begin() -> None:
            starting.cancel()
            await asyncio.wait({starting})
            if not starting.cancelled():
                starting.result()
            self.stopping = asyncio.create_task(running.stop(drain_s))
            await asyncio.sleep(0)  # one that is cancelled before its first step has not begun

        self.play(begin())
        self.stop_by = self.clock.now() + drain_s
        self.go_on(rounds)

    @precondition(lambda self: self.stopping is not None)
    @rule(rounds=ROUNDS)
    def cancel_the_stop(self, rounds: int) -> None:
        async def cancel() -> None:
            assert self.stopping is not None
            self.stopping.cancel()

        self.play(cancel())
        self.stop_by = min(self.stop_by, self.clock.now())
        self.go_on(rounds)

    # the chat

    @precondition(lambda self: len(self.asked) < MOST_ASKED)
    @rule(
        place=st.sampled_from(("group", "thread", "direct")),
        count=st.integers(1, 3),
        lost=st.booleans(),
        script=st.sampled_from(["answers", *SCRIPTS]),
        rounds=ROUNDS,
    )
    def say(self, place: str, count: int, lost: bool, script: str, rounds: int) -> None:
        """Let a person address the bot, some of it lost on its way."""
        self.account.lose = int(lost)

        async def say() -> None:
            for _ in range(count):
                number = len(self.asked) + 1
                self.asked[self.account.address(f"#{number}", getattr(self.account, place))] = number

        self.play(say())
        self.account.lose = 0
        self.next_scripts.append(script)
        self.go_on(rounds)

    @rule(trouble=TROUBLES, times=st.integers(1, 3), cut=st.booleans(), rounds=ROUNDS)
    def make_trouble(self, trouble: tuple[str, str], times: int, cut: bool, rounds: int) -> None:
        """Let calls fail or hang, and the connection break."""
        call, kind = trouble
        self.sends_failed |= call in {"sendMessage", "editMessage"}
        errors: dict[str, ApiError] = {
            "no": unavailable(call),
            "lost": lost_answer() if call == "sendMessage" else unavailable(call),
            "limit": RateLimited(call, "too many requests", retry_after=3),
        }
        if kind in errors:
            self.account.faults.setdefault(call, []).extend([errors[kind]] * times)
        else:
            self.account.stuck[call] = Stuck(done=kind == "hang, done")
        self.act(self.account.break_connection if cut else lambda: None, rounds)

    @rule(heal=st.booleans(), rounds=ROUNDS)
    def release_the_calls(self, heal: bool, rounds: int) -> None:
        """Let every call go on that hangs, the later ones too if the server is well again."""
        if heal:
            self.account.stuck.clear()
        self.act(self.account.release, rounds)

    # the host and time

    @rule(deed=st.sampled_from(("release", "release", "lose", "find")), rounds=ROUNDS)
    def move_the_host(self, deed: str, rounds: int) -> None:
        """Let the agents go on that hang, or the host be away for a while."""
        deeds = {
            "release": self.host.release,
            "lose": self.host.reachable.clear,
            "find": self.host.reachable.set,
        }
        self.act(deeds[deed], rounds)

    @rule(seconds=st.sampled_from((0.0, 0.3, 1.0, 6.0, 40.0, 200.0)))
    def wait(self, seconds: float) -> None:
        if self.stopping is not None:
            seconds = min(seconds, max(0.0, self.stop_by - self.clock.now()))
        self.play(self.clock.advance(seconds))
        if self.stopping is not None and self.turns_at_drain is None:
            self.turns_at_drain = len(self.host.turns)
        self.look()

    def act(self, deed: Callable[[], object], rounds: int) -> None:
        async def do() -> None:
            deed()

        self.play(do())
        self.go_on(rounds)

    # the end

    def teardown(self) -> None:
        try:
            self.end_well()
        finally:
            tasks = asyncio.all_tasks(self.runner.get_loop())
            for task in tasks:
                task.cancel()
            self.runner.close()
            shutil.rmtree(self.folder)

    def end_well(self) -> None:
        """Stop what runs, heal everything, start once more, and hold every message against the chat."""
        if self.running:
            self.stop(0.0, 0)
        self.wait(1_000.0)
        assert self.idle, "the stop did not end"
        self.account.stuck.clear()
        self.account.faults.clear()
        self.next_scripts.clear()
        self.host.reachable.set()
        self.play(self.healthy_life())
        self.look()
        assert self.idle
        assert self.rows(LEFT_OPEN) == []
        self.check_chat()

    async def healthy_life(self) -> None:
        await self.host.start()
        self.channel = self.make_channel()
        await self.channel.start("helper", self.host)
        await self.clock.advance(20.0)
        assert self.account.online
        assert not await self.lease.acquire()
        for place in (self.account.group, self.account.thread, self.account.direct):
            number = len(self.asked) + 1
            self.asked[self.account.address(f"#{number}", place)] = number
        for _ in range(50):
            await self.clock.advance(30.0)
            if not self.rows(LEFT_OPEN):
                break
        self.stopping = asyncio.create_task(self.channel.stop(0.0))
        self.stop_by = self.clock.now()
        await asyncio.wait({self.stopping})

    def check_chat(self) -> None:
        """Check that every message has one end in the chat, or is a dead letter where sends failed."""
        dead = {row[0] for row in self.rows("SELECT message_id FROM inbound WHERE state = 'dead'")}
        assert self.sends_failed or not dead
        said: dict[str, list[str]] = {message_id: [] for message_id in self.asked}
        for place in (self.account.group, self.account.thread, self.account.direct):
            for line in self.account.seen(place):
                payload = json.loads(line.payload)
                assert "⏳" not in payload["content"], f"somebody is at work for ever: {payload}"
                if line.from_uid == self.account.uid and "client_answers" in payload:
                    said[payload["client_answers"]].append(payload["content"])
        for message_id, number in self.asked.items():
            ends = [text for text in said[message_id] if text == f"answer to #{number}" or _is_notice(text)]
            assert len(ends) == 1 or message_id in dead, f"#{number} ({message_id}): {said[message_id]}"
            assert len(set(said[message_id])) == len(said[message_id]), f"#{number}: {said[message_id]}"


def _is_notice(text: str) -> bool:
    return text in NOTICES or COUNTED in text


SUITE = settings(max_examples=100, stateful_step_count=20, derandomize=True, database=None)


@pytest.fixture
def on_one_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the chat in memory, the journal on the loop, and spare the disk: the machine does not die here."""

    def unsynced(path: Path, now_ms: int) -> sqlite3.Connection:
        db = database.open_database(path, now_ms)
        db.execute("PRAGMA synchronous=OFF")
        return db

    monkeypatch.setattr("openclaw_channel_octo.store.journal.open_database", unsynced)
    monkeypatch.setattr("openclaw_channel_octo.store.transaction.ThreadPoolExecutor", LoopExecutor)
    monkeypatch.setattr(fleet, "BotApi", lambda **parts: Endings.octo.api(**parts))  # noqa: PLW0108  # each example has its own
    monkeypatch.setattr(asyncio, "to_thread", inline)
    monkeypatch.setattr(Batches.__init__, "__defaults__", (LoopExecutor(),))


@pytest.mark.usefixtures("on_one_loop")
def test_whenever_a_process_is_stopped_nothing_is_left_and_the_next_one_ends_every_message_once() -> None:
    play = settings(max_examples=EXAMPLES, stateful_step_count=50) if EXAMPLES else SUITE
    run_state_machine_as_test(
        Endings,
        settings=settings(play, suppress_health_check=list(HealthCheck), deadline=None, print_blob=False),
    )
