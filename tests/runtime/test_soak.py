"""Days in seconds: many bots, a bad network, and after all of it nothing has grown and nothing was forgotten."""

import asyncio
import gc
import logging
import os
import random
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from openclaw_channel_octo.config.load import parse_config
from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.errors import ApiError
from openclaw_channel_octo.host.base import Accepted, Failed, Turn
from openclaw_channel_octo.runtime.channel import OctoChannel
from openclaw_channel_octo.runtime.connection.supervisor import LinkState
from openclaw_channel_octo.testing.host import HANG, ScriptedHost, Step, echo
from tests.runtime.memory_octo import MemoryAccount, MemoryOcto, lost_answer, unavailable
from tests.runtime.one_loop import LoopClock, LoopExecutor, inline
from tests.runtime.rig import RESTART

BOTS = int(os.environ.get("SOAK_BOTS", "20"))
"""How many bots live through the day. A bot's day costs a third of a second, most of it for its 2,880 pings: the
200 of a real soak take more than a minute, which is more than every run of the suite should cost."""

HOURS = 24
HOUR_S = 3_600.0
TEXTS = Texts()
ANNOUNCEMENTS = frozenset({RESTART})
COUNTED = TEXTS.third_failure.partition("%d")[0]

CONNECTS_PER_HOUR = 40
"""Most sockets a bot may ask for in an hour: a server that is down sees one a minute, a kick makes them rarer."""

REGISTERS_PER_HOUR = 2
"""Once at the start, once after the server forgot the token."""

TYPINGS_PER_HOUR = 500
"""A message that hangs is typed for every 5 s for ten minutes, and two of the three of an hour may hang."""

REMEMBERED = 8
"""Length of the memories for echoes and ended runs here; at their real length a day would not fill them."""

SETTLED = 12
"""The hour from which on nothing may grow: by then every bot has met most faults, and short memories are full."""

OBJECTS_PER_BOT, BLOCKS_PER_BOT = 5, 16
"""Growth from then to hour 24 that is noise; one object or string kept for each message would make it 24."""

NAMES_ARE_KEPT = sys.version_info[:2] == (3, 12)
"""Whether this Python keeps every name that was ever part of a path: each run has a folder named after it."""


class SoakClock(LoopClock):
    """A clock whose jitter is drawn."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance

    def jitter(self, low: float, high: float) -> float:
        return self._chance.uniform(low, high)


@dataclass(frozen=True, slots=True)
class Level:
    """What a process holds on to."""

    tasks: int
    files: int
    objects: int
    blocks: int


def level(runs: int) -> Level:
    """Return what is held on to, without the names of the folders of ``runs`` runs."""
    gc.collect()
    files = Path("/proc/self/fd")
    found = gc.get_objects()
    # Dead weak references of ended tasks come and go by the hundred, each of them a block.
    references = sum(type(one) is weakref.ref for one in found)
    return Level(
        tasks=len(asyncio.all_tasks()),
        files=len(list(files.iterdir())) if files.exists() else 0,
        objects=len(found) - references,
        blocks=sys.getallocatedblocks() - references - runs,
    )


def end_of(text: str) -> str:
    """Return the notice of a failed run without the count of those before it."""
    notice, _, last = text.rpartition("\n")
    return (notice or TEXTS.failed) if last.startswith(COUNTED) else text


def script(turn: Turn) -> list[Step]:
    """Do what the message asks for."""
    if " fails " in turn.text:
        return [Accepted(turn.run_id), Failed("failed", "no luck")]
    if " hangs " in turn.text:
        return [Accepted(turn.run_id), HANG]
    return list(echo(turn))


class Soak:
    """One deployment's days.

    Args:
        octo: the chat.
        clock: time.
        chance: draws the schedule.
    """

    def __init__(self, octo: MemoryOcto, clock: SoakClock, chance: random.Random) -> None:
        self._octo = octo
        self._clock = clock
        self._chance = chance
        self._asked = 0

    @property
    def asked(self) -> int:
        """How many messages have addressed a bot."""
        return self._asked

    async def hour(self) -> None:
        """Play an hour: half of it is bad, then it is quiet."""
        begin = self._clock.now()
        for at_s, act in sorted(self._schedule(), key=lambda entry: entry[0]):
            await self._clock.advance(begin + at_s - self._clock.now())
            act()
        await self._clock.advance(begin + HOUR_S - self._clock.now())

    def _schedule(self) -> Iterator[tuple[float, Callable[[], None]]]:
        for account in self._octo.accounts:
            yield self._moment(), self._fault(account)
            yield self._moment(), partial(account.say, "chatter")
            for _ in range(2):
                yield self._moment(), partial(self._mention, account)

    def _moment(self) -> float:
        return self._chance.uniform(0, 1_800)

    def _mention(self, account: MemoryAccount, kind: str = "") -> None:
        self._asked += 1
        kind = kind or self._chance.choices(("works", "fails", "hangs"), (18, 3, 1))[0]
        text = f"this {kind} {self._asked}"
        ends = {"works": f"echo: @Helper {text}", "fails": TEXTS.failed, "hangs": TEXTS.timeout}
        account.say(text, ends_with=ends[kind])

    def _fault(self, account: MemoryAccount) -> Callable[[], None]:
        def meet(call: str, *errors: ApiError) -> Callable[[], None]:
            return lambda: account.faults.setdefault(call, []).extend(errors)

        return self._chance.choice(
            (
                account.break_connection,
                account.fall_silent,
                account.kick,
                account.forget_token,
                account.send_garbage,
                account.repeat_last,
                lambda: account.go_down(self._chance.uniform(60, 600)),
                lambda: setattr(account, "lose", 1),
                meet("sendMessage", lost_answer()),
                meet("sendMessage", unavailable("sendMessage"), unavailable("sendMessage")),
                meet("messages/sync", unavailable("messages/sync")),
                meet("typing", unavailable("typing")),
            )
        )


@pytest.fixture
def without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing go on beside the event loop, and keep the memories short."""
    monkeypatch.setattr("openclaw_channel_octo.store.transaction.ThreadPoolExecutor", LoopExecutor)
    monkeypatch.setattr(asyncio, "to_thread", inline)
    monkeypatch.setattr("openclaw_channel_octo.runtime.delivery.sender.HEARD", REMEMBERED)
    monkeypatch.setattr("openclaw_channel_octo.runtime.delivery.outbox.HEARD", REMEMBERED)
    monkeypatch.setattr("openclaw_channel_octo.runtime.turn.runs.REMEMBERED", REMEMBERED)


async def started(octo: MemoryOcto, host: ScriptedHost, state_dir: Path) -> OctoChannel:
    """Return a channel on which every bot of the chat was started."""
    accounts = {account.uid: {"botToken": account.token} for account in octo.accounts}
    octo_block = {
        "apiUrl": "http://octo.test",
        "accounts": accounts,
        "streaming": "off",
    }  # this chat has no edits
    config = {
        "channels": {"octo": octo_block},
        "host": {"kind": "embedded", "stateDir": str(state_dir), "agent": {"kind": "echo"}},
    }
    loaded = parse_config(config, base=state_dir).config
    channel = OctoChannel(loaded, clock=octo.clock, open_transport=octo.open, leases=state_dir)
    for name in accounts:
        await channel.start(name, host)
    assert channel._shared is not None
    assert channel._shared.journal._db is not None
    channel._shared.journal._db.execute("PRAGMA synchronous=OFF")  # the disk is not what is looked at here
    return channel


def check_hour(octo: MemoryOcto) -> None:
    """Check that everybody was answered once, and that no server was stormed."""
    for account in octo.accounts:
        assert account.unexpected == []
        assert account.open_ends.total() == 0
        assert account.online
        assert account.traffic["connect"] <= CONNECTS_PER_HOUR
        assert account.traffic["register"] <= REGISTERS_PER_HOUR
        assert account.traffic["typing"] <= TYPINGS_PER_HOUR
        account.traffic.clear()


async def test_after_24_hours_of_faults_nothing_has_grown_nobody_was_left_unanswered_and_no_server_stormed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    without_threads: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR, "openclaw_channel_octo")  # pytest would hold on to every record
    chance = random.Random(7)
    clock = SoakClock(chance)
    octo = MemoryOcto(clock, BOTS, ANNOUNCEMENTS)
    octo.end_of = end_of
    monkeypatch.setattr("openclaw_channel_octo.runtime.fleet.fleet.BotApi", octo.api)
    host = ScriptedHost(default=script, clock=clock)
    channel = await started(octo, host, tmp_path)
    soak = Soak(octo, clock, chance)
    levels: dict[int, Level] = {}

    for hour in range(1, HOURS + 1):
        await soak.hour()
        check_hour(octo)
        for remembered in (host.turns, host.aborts, host.recoveries):
            remembered.clear()
        if hour in {SETTLED, HOURS}:
            levels[hour] = level(runs=soak.asked if NAMES_ARE_KEPT else 0)

    assert {bot.state for bot in channel.status().bots.values()} == {LinkState.ONLINE}
    assert channel._shared is not None
    counts = await channel._shared.journal.messages.counts()
    await channel.stop(0)
    assert counts.keys() == {"answered", "notified", "context"}
    assert counts["answered"] + counts["notified"] == soak.asked
    assert caplog.records == []

    early, late = levels[SETTLED], levels[HOURS]
    assert (late.tasks, late.files) == (early.tasks, early.files)
    assert late.objects - early.objects <= OBJECTS_PER_BOT * BOTS
    assert late.blocks - early.blocks <= BLOCKS_PER_BOT * BOTS
