"""A deployment that is killed again and again while people talk to it."""

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing.double import OctoDouble
from openclaw_channel_octo.testing.faults import ErrorAnswer, Fault, LoseAnswer, ProxyPage, RateLimit, Refuse
from openclaw_channel_octo.testing.records import ChatLine, RawMessage
from tests.chaos.judge import Conversation, Verdict, judge
from tests.chaos.launcher import POINTS

__all__ = ["Chaos", "Plan"]

ROOT = Path(__file__).parents[2]
BOT, TOKEN = "helper_bot", "bf_0123456789abcdef"
PEOPLE = ("ann", "ben")
SETTLE_S = 120

SEND_FAULTS: tuple[Fault, ...] = (
    LoseAnswer(),
    Refuse(),
    RateLimit(retry_after=1),
    ProxyPage(),
    ErrorAnswer(status=500),
)
SYNC_FAULTS: tuple[Fault, ...] = (Refuse(), ErrorAnswer(status=500))

AGENT = """
import re, sys, time
number = re.search(r"#(\\d+)", sys.stdin.read())[1]
n = int(number)
if n % 17 == 0:
    sys.exit(1)
if n % 23 == 0:
    sys.exit(0)
time.sleep((n % 5) * 0.01)
print(f"answer to #{n}", "and so on " * (30 if n % 4 == 0 else 1), f"end of #{n}")
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What happens.

    Attributes:
        seed: everything random follows from it.
        kills: how often the process is killed at a random moment.
        points: named points to die at, each once.
        bug: a planted bug, empty for none.
        messages: fewest and most messages in one life.
        pushed_again: whether the server pushes what was never acknowledged again after each start, as 2.2 does
            not, and the network is good.
    """

    seed: int
    kills: int
    points: tuple[str, ...] = tuple(POINTS)
    bug: str = ""
    messages: tuple[int, int] = (4, 14)
    pushed_again: bool = False


@dataclass(slots=True)
class Chaos:
    """Plays a plan.

    Args:
        plan: what happens.
        folder: for the state, the configuration and the program's log.
        progress: called after each death with the number of deaths and of addressed messages.
    """

    plan: Plan
    folder: Path
    progress: Callable[[int, int], None] = lambda _deaths, _asked: None
    asked: int = 0
    deaths: int = 0
    _talks: dict[str, Conversation] = field(default_factory=dict)
    _process: asyncio.subprocess.Process | None = None
    _started_at: float = 0.0
    _start_s: float = 0.0

    async def run(self) -> Verdict:
        """Play the plan to its end and judge what people saw."""
        luck = random.Random(self.plan.seed)
        async with OctoDouble() as octo:
            channels = self._people(octo)
            self._write_files(octo)
            try:
                await self._start(octo)
                await self._up(octo)
                for place in [*channels, None]:
                    for who in PEOPLE:
                        await self._say(octo, who, place)
                await self._quiet(octo)
                await self._lives(octo, luck, channels)
                octo.heal()
                await self._start(octo)
                await self._push_again(octo)
                await self._quiet(octo)
                return judge(self._seen(octo, channels))
            finally:
                await self._kill()

    async def _lives(self, octo: OctoDouble, luck: random.Random, channels: list[ChannelRef]) -> None:
        deaths: list[str | None] = [*self.plan.points, *([None] * self.plan.kills)]
        luck.shuffle(deaths)
        for point in deaths:
            await self._start(octo, point, luck.randint(1, 4))
            await self._push_again(octo)
            for _ in range(luck.randint(*self.plan.messages)):
                await self._say(octo, luck.choice(PEOPLE), luck.choice([*channels, None]))
                self._disturb(octo, luck)
                await asyncio.sleep(luck.random() * 0.12)
            await (self._reach(octo) if point else self._die(luck))
            for talk in self._talks.values():
                talk.deaths = [*talk.deaths, len(self._lines(octo, talk.name))]
            if luck.random() < 0.5:
                await self._say(octo, luck.choice(PEOPLE), luck.choice([*channels, None]))
            self.deaths += 1
            self.progress(self.deaths, self.asked)

    async def _reach(self, octo: OctoDouble) -> None:
        """Let the process reach its point, or kill it once nothing happens any more that could lead there."""
        assert self._process is not None
        waits = [asyncio.ensure_future(work) for work in (self._process.wait(), self._quiet(octo))]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        await self._kill()

    async def _die(self, luck: random.Random) -> None:
        """Kill the process at some moment."""
        await asyncio.sleep(luck.random() * 1.5)
        await self._kill()

    def _disturb(self, octo: OctoDouble, luck: random.Random) -> None:
        if self.plan.pushed_again:
            return
        if luck.random() < 0.1:
            octo.fail_next("sendMessage", luck.choice(SEND_FAULTS))
        if luck.random() < 0.03:
            octo.fail_next("messages/sync", luck.choice(SYNC_FAULTS))
        if luck.random() < 0.05:
            octo.drop_connections(BOT)
        if luck.random() < 0.05:
            octo.lose_next(BOT)

    def _people(self, octo: OctoDouble) -> list[ChannelRef]:
        for uid in PEOPLE:
            octo.add_person(uid, uid.title())
        octo.add_bot(BOT, TOKEN, name="Helper", owner="ann")
        groups = [octo.add_group(f"g{number}", [*PEOPLE, BOT]) for number in range(3)]
        return [*groups, octo.add_thread("g0", "2039626171074744320")]

    async def _say(self, octo: OctoDouble, who: str, place: ChannelRef | None) -> None:
        """Let a person address the bot, in a group or thread or, without a place, directly."""
        self.asked += 1
        if place is None:
            name = f"direct {who}"
            await octo.say(who, ChannelRef(BOT, 1), f"#{self.asked}")
        else:
            name = place.id
            await octo.say(who, place, f"#{self.asked}", mention=[BOT])
        self._talks.setdefault(name, Conversation(name, bot=BOT)).asked.append(self.asked)

    def _lines(self, octo: OctoDouble, name: str) -> list[ChatLine]:
        place = self._place(name)
        return list(octo.chat(place, BOT) if place.type == 1 else octo.chat(place))

    @staticmethod
    def _place(name: str) -> ChannelRef:
        """Return a conversation as the bot sees it."""
        if name.startswith("direct "):
            return ChannelRef(name.removeprefix("direct "), 1)
        return ChannelRef(name, 5 if "____" in name else 2)

    def _seen(self, octo: OctoDouble, channels: list[ChannelRef]) -> list[Conversation]:
        for channel in channels:
            self._talks[channel.id].lines = octo.chat(channel)
        for who in PEOPLE:
            self._talks[f"direct {who}"].lines = octo.chat(ChannelRef(who, 1), BOT)
        return list(self._talks.values())

    def _write_files(self, octo: OctoDouble) -> None:
        (self.folder / "agent.py").write_text(AGENT)
        config = {
            "channels": {
                "octo": {
                    "apiUrl": octo.api_url,
                    "replyChunk": 100,
                    "laneLength": 10_000,  # a busy notice stands for several messages: the judge could not count it
                    "accounts": {"helper": {"botToken": TOKEN}},
                }
            },
            "host": {
                "stateDir": str(self.folder / "state"),
                "agent": {"kind": "command", "command": [sys.executable, str(self.folder / "agent.py")]},
                "timeoutSeconds": 60,
            },
        }
        (self.folder / "octo.json").write_text(json.dumps(config))

    async def _start(self, octo: OctoDouble, point: str | None = None, passage: int = 1) -> None:
        await self._kill()
        await octo.wait_for(lambda: not octo.online(BOT))
        self._start_s, self._started_at = 0.0, time.monotonic()
        env = {**os.environ, "PYTHONPATH": str(ROOT), "CHAOS_BUG": self.plan.bug}
        if point:
            env |= {"CHAOS_POINT": point, "CHAOS_PASSAGE": str(passage)}
        with (self.folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.chaos.launcher",
                "run",
                "--config",
                str(self.folder / "octo.json"),
                env=env,
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )

    async def _push_again(self, octo: OctoDouble) -> None:
        if not self.plan.pushed_again:
            return
        await self._up(octo)
        known = {ack.message_id for ack in octo.acks}
        for name in self._talks:
            for line in self._lines(octo, name):
                if line.from_uid != BOT and line.message_id not in known:
                    await octo.inject(BOT, _copy(line, self._place(name)))

    async def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()

    async def _up(self, octo: OctoDouble) -> None:
        """Wait until the process that was started last is connected, and note how long such a start takes."""
        await octo.wait_for(lambda: octo.online(BOT), timeout=SETTLE_S)
        if not self._start_s:
            self._start_s = time.monotonic() - self._started_at

    async def _quiet(self, octo: OctoDouble) -> None:
        """Wait until the process is up and nothing is open any more.

        Only patience looks into the journal, the judge does not. It lasts as long as the machine is slow.
        """
        await self._up(octo)
        calm_s = max(1.5, 2 * self._start_s)  # what is fetched late shows within this time
        since = time.monotonic()
        while (now := time.monotonic()) - self._started_at < SETTLE_S and now - since < calm_s:
            await asyncio.sleep(0.1)
            since = now if self._open_rows() else since

    def _open_rows(self) -> int:
        try:
            db = sqlite3.connect(f"file:{self.folder}/state/octo.sqlite?mode=ro", uri=True)
        except sqlite3.OperationalError:
            return 1
        try:
            query = "SELECT count(*) FROM inbound WHERE state IN ('received', 'queued', 'running')"
            return int(db.execute(query).fetchone()[0])
        except sqlite3.OperationalError:
            return 1
        finally:
            db.close()


def _copy(line: ChatLine, place: ChannelRef) -> RawMessage:
    return RawMessage(
        from_uid=line.from_uid,
        channel=place,
        payload=json.dumps(line.payload).encode(),
        message_id=int(line.message_id),
        message_seq=line.message_seq,
        timestamp=line.timestamp,
    )
