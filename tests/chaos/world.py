"""A deployment that is killed or stopped again and again while people talk to it."""

import asyncio
import inspect
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
from openclaw_channel_octo.testing.octo.double import OctoDouble
from openclaw_channel_octo.testing.octo.faults import (
    ErrorAnswer,
    Fault,
    LoseAnswer,
    ProxyPage,
    RateLimit,
    Refuse,
)
from openclaw_channel_octo.testing.octo.records import ChatLine, RawMessage
from tests.chaos.judge import Conversation, Stop, Verdict, answer, judge
from tests.chaos.keyed import Speaker
from tests.chaos.launcher import POINTS, SPEED

__all__ = ["Chaos", "Plan"]

ROOT = Path(__file__).parents[2]
BOT, TOKEN = "helper_bot", "bf_0123456789abcdef"
SPARE, SPARE_TOKEN = "spare_bot", "bf_fedcba9876543210"
"""A bot that nobody talks to, for reloads that start and end it."""
PEOPLE = ("ann", "ben")
STRANGER = "eve"
"""May not talk to the bot in groups, and is told so once in each."""
SETTLE_S = 120
STOP_WITHIN_S = 10
"""Longest time a stop may take beside its drain; more on a machine on which a start takes long."""

KILL, STOP = "kill", "stop"
"""Ends of a life beside the named points."""

SEND_FAULTS: tuple[Fault, ...] = (
    LoseAnswer(),
    Refuse(),
    RateLimit(retry_after=1),
    ProxyPage(),
    ErrorAnswer(status=500),
)
SYNC_FAULTS: tuple[Fault, ...] = (Refuse(), ErrorAnswer(status=500))

SLOW = 7
"""Each so-manieth message has a turn that takes long enough to show its progress."""

AGENT = f"""
import re, sys, time

{inspect.getsource(answer)}
number = re.search(r"#(\\d+)", sys.stdin.read())[1]
n = int(number)
if n % 17 == 0:
    sys.exit(1)
if n % 23 == 0:
    sys.exit(0)
time.sleep(0.6 if n % {SLOW} == 0 else (n % 5) * 0.01)
print(answer(n))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What happens.

    Attributes:
        seed: everything random follows from it.
        kills: how often the process is killed at a random moment.
        stops: how often it is asked to stop at one; of four, one is asked again before it has ended, one is killed.
        drains: seconds of the program's clock its turns get then, one of these.
        points: named points to die at, each once.
        bug: a planted bug, empty for none.
        messages: fewest and most messages in one life.
        reloads: how likely a message is followed by a reload: of settings that count at once, of settings for which the
            bot begins anew, or one that starts or ends another bot.
        keyed: how likely a message is followed by one that a gateway sends with a key, and repeats by it.
        pushed_again: whether the server pushes what was never acknowledged again after each start, as 2.2 does
            not, and the network is good.
    """

    seed: int
    kills: int
    stops: int = 0
    drains: tuple[int, ...] = (0, 4, 20)
    points: tuple[str, ...] = tuple(POINTS)
    bug: str = ""
    messages: tuple[int, int] = (4, 14)
    reloads: float = 0.0
    keyed: float = 0.3
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
    _stops: list[Stop] = field(default_factory=list)
    reloads: int = 0
    _drain_s: int = 0
    _settings: dict[str, int] = field(default_factory=dict)
    _spare: bool = False
    _logged: int = 0
    _process: asyncio.subprocess.Process | None = None
    _started_at: float = 0.0
    _start_s: float = 0.0
    _speaker: Speaker = field(init=False)
    _last: str = ""

    def __post_init__(self) -> None:
        self._speaker = Speaker(self.folder / "state")

    async def run(self) -> Verdict:
        """Play the plan to its end and judge what people saw."""
        luck = random.Random(self.plan.seed)
        async with OctoDouble() as octo:
            channels = self._people(octo)
            (self.folder / "agent.py").write_text(AGENT)
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
                await self._speaker.finish()
                await self._quiet(octo)
                unsettled = self._unsettled() + self._speaker.wrong
                await self._ask_to_stop("the last stop", signal.SIGTERM, 0)
                seen = self._seen(octo, channels)
                self._write_chats(seen)
                return judge(seen, self._stops, unsettled)
            finally:
                await self._kill()

    def _write_chats(self, talks: list[Conversation]) -> None:
        """Write what people saw beside the program's log, for whoever has to explain a finding."""
        for talk in talks:
            lines = (
                f"{line.message_id} {line.message_seq} {line.from_uid}: {line.text}" for line in talk.lines
            )
            (self.folder / f"chat {talk.name}").write_text("\n".join(lines))

    async def _lives(self, octo: OctoDouble, luck: random.Random, channels: list[ChannelRef]) -> None:
        ends = [*self.plan.points, *[KILL] * self.plan.kills, *[STOP] * self.plan.stops]
        luck.shuffle(ends)
        for end in ends:
            point = end if end in POINTS else ""
            await self._start(octo, point, luck.randint(1, 4), luck.choice(self.plan.drains))
            await self._push_again(octo)
            if end == STOP or luck.random() < 2 * self.plan.reloads:
                await self._up(octo)  # before that a signal is a kill
            await self._talk(octo, luck, channels)
            await self._end(octo, luck, channels, end)
            for talk in self._talks.values():
                talk.deaths = [*talk.deaths, len(self._lines(octo, talk.name))]
            if luck.random() < 0.5:
                await self._say_something(octo, luck, channels)
            self.deaths += 1
            self.progress(self.deaths, self.asked)

    async def _talk(self, octo: OctoDouble, luck: random.Random, channels: list[ChannelRef]) -> None:
        for _ in range(luck.randint(*self.plan.messages)):
            await self._say_something(octo, luck, channels)
            await self._speak(luck, channels)
            self._disturb(octo, luck)
            if luck.random() < self.plan.reloads:
                self._reload(octo, luck)
            await asyncio.sleep(luck.random() * 0.12)

    async def _speak(self, luck: random.Random, channels: list[ChannelRef]) -> None:
        """Let a gateway send with a key: as a part of the answer of a slow turn, or somewhere; and repeat some."""
        last = self._talks[self._last]
        if self.plan.keyed and last.asked[-1] == self.asked and self.asked % SLOW == 0:
            await asyncio.sleep(0.2)
            self._speaker.speak(luck, last.name, self._place(last.name), in_run=True)
        elif luck.random() < self.plan.keyed:
            place = luck.choice([*channels, *(ChannelRef(who, 1) for who in PEOPLE)])
            self._speaker.speak(luck, f"direct {place.id}" if place.type == 1 else place.id, place)
        self._speaker.repeat(luck)

    async def _end(self, octo: OctoDouble, luck: random.Random, channels: list[ChannelRef], end: str) -> None:
        """Bring a life to its end."""
        if end == STOP:
            for _ in range(luck.randint(2, 8)):  # some run, some wait
                await self._say_something(octo, luck, channels)
            await asyncio.sleep(luck.random() * 0.4)
            await self._stop(luck)
        elif end == KILL:
            await asyncio.sleep(luck.random() * 1.5)
            await self._kill()
        else:
            await self._reach(octo)

    async def _stop(self, luck: random.Random) -> None:
        """Ask the process to stop; sometimes again before it has, or kill it then, as impatient operators do."""
        number = signal.SIGTERM
        name = f"{number.name} in life {self.deaths}, a drain of {self._drain_s} s"
        match luck.randrange(4):
            case 0:
                await self._ask_to_stop(f"{name}, twice", number, self._drain_s, again_s=luck.random() * 0.3)
            case 1:
                assert self._process is not None
                self._process.send_signal(number)
                await asyncio.sleep(luck.random() * 0.3)
                await self._kill()
            case _:
                await self._ask_to_stop(name, number, self._drain_s)

    async def _ask_to_stop(self, name: str, number: signal.Signals, drain_s: int, again_s: float = 0) -> None:
        """Ask the process to stop, and note how it ended; where it does not, kill it."""
        assert self._process is not None
        self._process.send_signal(number)
        if again_s:
            await asyncio.sleep(again_s)
            if self._process.returncode is None:
                self._process.send_signal(number)
        try:
            async with asyncio.timeout(drain_s / SPEED + STOP_WITHIN_S + 2 * self._start_s):
                code: int | None = await self._process.wait()
        except TimeoutError:
            code = None
            await self._kill()
        log = (self.folder / "log").read_bytes()[self._logged :].decode(errors="replace")
        self._stops.append(Stop(name, code, log))

    async def _reach(self, octo: OctoDouble) -> None:
        """Let the process reach its point, or kill it once nothing happens any more that could lead there."""
        assert self._process is not None
        waits = [asyncio.ensure_future(work) for work in (self._process.wait(), self._quiet(octo))]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        await self._kill()

    def _reload(self, octo: OctoDouble, luck: random.Random) -> None:
        """Change the configuration, and have a process that is there, and may be dying, read it again."""
        match luck.randrange(4):
            case 0:
                self._settings["historyLimit"] = luck.randint(1, 200)
            case 1:
                self._spare = not self._spare
            case _:
                self._settings["mediaMaxMb"] = luck.randint(1, 500)
        self._write_config(octo)
        if self._process is not None and self._process.returncode is None and self._start_s:
            self._process.send_signal(signal.SIGHUP)
            self.reloads += 1

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
        for uid in (*PEOPLE, STRANGER):
            octo.add_person(uid, uid.title())
        octo.add_bot(BOT, TOKEN, name="Helper", owner="ann")
        octo.add_bot(SPARE, SPARE_TOKEN, name="Spare", owner="ann")
        groups = [octo.add_group(f"g{number}", [*PEOPLE, STRANGER, BOT]) for number in range(3)]
        return [*groups, octo.add_thread("g0", "2039626171074744320")]

    async def _say_something(self, octo: OctoDouble, luck: random.Random, channels: list[ChannelRef]) -> None:
        if luck.random() < 0.1:
            place = luck.choice(channels)
            await octo.say(STRANGER, place, "and me?", mention=[BOT])
            self._talks[place.id].refused += 1
        else:
            await self._say(octo, luck.choice(PEOPLE), luck.choice([*channels, None]))

    async def _say(self, octo: OctoDouble, who: str, place: ChannelRef | None) -> None:
        """Let a person address the bot, in a group or thread or, without a place, directly."""
        self.asked += 1
        if place is None:
            name = f"direct {who}"
            await octo.say(who, ChannelRef(BOT, 1), f"#{self.asked}")
        else:
            name = place.id
            await octo.say(who, place, f"#{self.asked}", mention=[BOT])
        self._last = name
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
        for name, talk in self._talks.items():
            talk.keyed = self._speaker.texts(name)
        for channel in channels:
            self._talks[channel.id].lines = octo.chat(channel)
        for who in PEOPLE:
            self._talks[f"direct {who}"].lines = octo.chat(ChannelRef(who, 1), BOT)
        return list(self._talks.values())

    def _write_config(self, octo: OctoDouble) -> None:
        config = {
            "channels": {
                "octo": {
                    "apiUrl": octo.api_url,
                    "replyChunk": 100,
                    # notices that stand for several messages could not be counted by the judge
                    "laneLength": 10_000,
                    "streaming": {"mode": "progress", "afterSeconds": 4},
                    "groupPolicy": "allowlist",
                    "groupAllowFrom": [*PEOPLE],
                    "rateLimit": {"personPerMinute": 0, "conversationPerMinute": 0},
                    "accounts": {
                        "helper": {"botToken": TOKEN, **self._settings},
                        "spare": {"botToken": SPARE_TOKEN, "enabled": self._spare},
                    },
                }
            },
            "host": {
                "stateDir": str(self.folder / "state"),
                "agent": {"kind": "command", "command": [sys.executable, str(self.folder / "agent.py")]},
                "timeoutSeconds": 60,
                "drainSeconds": self._drain_s,
            },
        }
        written = self.folder / "octo.json.new"
        written.write_text(json.dumps(config))
        written.replace(self.folder / "octo.json")

    async def _start(self, octo: OctoDouble, point: str = "", passage: int = 1, drain_s: int = 0) -> None:
        await self._kill()
        self._drain_s = drain_s
        self._write_config(octo)
        await octo.wait_for(lambda: not octo.online(BOT))
        self._start_s, self._started_at = 0.0, time.monotonic()
        env = {**os.environ, "PYTHONPATH": str(ROOT), "CHAOS_BUG": self.plan.bug}
        if point:
            env |= {"CHAOS_POINT": point, "CHAOS_PASSAGE": str(passage)}
        with (self.folder / "log").open("ab") as log:
            self._logged = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.chaos.launcher",
                "run",
                "--config",
                str(self.folder / "octo.json"),
                env=env,
                cwd=ROOT,
                start_new_session=True,  # without a terminal, so that SIGHUP means a reload
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
        await self._speaker.settle()  # its calls end with the process

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

    def _unsettled(self) -> list[str]:
        """Return the chunks of settled messages that did not come to their own end."""
        db = sqlite3.connect(f"file:{self.folder}/state/octo.sqlite?mode=ro", uri=True)
        try:
            query = (
                "SELECT inbound.message_id, inbound.state, delivery.state FROM delivery"
                " JOIN inbound ON inbound.id = inbound_id"
                " WHERE inbound.state NOT IN ('received', 'queued', 'running')"
                " AND delivery.state NOT IN ('sent', 'dead')"
            )
            return [f"message {found[0]} is {found[1]}, a chunk {found[2]}" for found in db.execute(query)]
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
