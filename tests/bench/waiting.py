"""What waiting costs: bots and groups at their connect and in idle minutes, the double in a process of its own."""

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.load import parse_config
from openclaw_channel_octo.runtime.channel import OctoChannel
from openclaw_channel_octo.runtime.connection.supervisor import LinkState
from openclaw_channel_octo.runtime.intake.rounds import PASS_EVERY_S
from openclaw_channel_octo.runtime.preload import preload
from openclaw_channel_octo.testing.host import ScriptedHost
from openclaw_channel_octo.testing.octo.double import OctoDouble
from tests.bench.measure import Row
from tests.until import until

SHAPES = ((1, 1), (200, 1), (1_000, 1), (1, 1_000), (1, 3_000))
"""Bots, and the groups each of them is in."""
AIMS = {(1_000, 1): (12.0, 0.0, 150.0), (1, 3_000): (0.0, 3.0, 0.0)}
"""Seconds until all are online and until they take messages, and megabytes of the whole process."""
CALLS_A_BOT, CALLS_A_GROUP = 6.0, 1.1
IDLE_S = 300.0
"""Long enough for the first look at what is quiet, after three minutes ±20 %."""
FASTER = 20.0
"""How fast time passes once all bots take messages, and ten times as fast for few."""
LOOK = "messages/sync"

_SPAWN = multiprocessing.get_context("spawn")


class Waited(Struct, frozen=True):
    """What one deployment cost.

    Attributes:
        online_s: seconds until every bot was online.
        ready_s: seconds until every bot took messages.
        before_mb: megabytes of the process before the first bot.
        memory_mb: the most there were, megabytes.
        calls: calls of the connect.
        cpu_s: CPU seconds until these were made.
        idle_calls: calls of the idle minutes.
        idle_cpu_s: CPU seconds of the idle minutes.
    """

    online_s: float
    ready_s: float
    before_mb: float
    memory_mb: float
    calls: int
    cpu_s: float
    idle_calls: int
    idle_cpu_s: float


class IdleClock(SystemClock):
    """The machine's clock until it is made faster."""

    def __init__(self) -> None:
        self._factor = 1.0
        self._since = self._now = time.monotonic()
        self._asleep: set[asyncio.Future[None]] = set()

    def now(self) -> float:
        return self._now + (time.monotonic() - self._since) * self._factor

    async def sleep(self, seconds: float) -> None:
        end = self.now() + seconds
        while (left := end - self.now()) > 0:
            loop = asyncio.get_running_loop()
            woken = loop.create_future()
            timer = loop.call_later(left / self._factor, _wake, woken)
            self._asleep.add(woken)
            try:
                await woken
            finally:
                timer.cancel()
                self._asleep.discard(woken)

    def go_faster(self, factor: float) -> None:
        """Let time pass ``factor`` times as fast from now on, also for those who sleep."""
        self._now, self._since, self._factor = self.now(), time.monotonic(), factor
        for woken in self._asleep:
            _wake(woken)


def _wake(sleeper: "asyncio.Future[None]") -> None:
    if not sleeper.done():
        sleeper.set_result(None)


def run(scale: int) -> list[Row]:
    """Measure with at most ``scale`` bots, and three times as many groups of one; 1,000 for a real run."""
    shapes = dict.fromkeys((min(bots, scale), min(groups, 3 * scale)) for bots, groups in SHAPES)
    return [row for bots, groups in shapes for row in _rows(bots, groups)]


def _rows(bots: int, groups: int) -> Iterator[Row]:
    with ProcessPoolExecutor(1, mp_context=_SPAWN) as pool:
        cost = pool.submit(_waited, bots, groups).result()
    bot = "one bot" if bots == 1 else f"{bots:,} bots"
    who = f"{bot} in a group each" if groups == 1 else f"{bot} in {groups:,} groups"
    each, count = ("a bot", bots) if groups == 1 else ("a group", groups)
    most_calls = CALLS_A_BOT if groups == 1 else CALLS_A_GROUP
    online_s, ready_s, most_mb = AIMS.get((bots, groups), (0.0, 0.0, 0.0))
    for what, ours, unit, aim in (
        ("until online", cost.online_s, "s", online_s),
        ("until messages are taken", cost.ready_s, "s", ready_s),
        ("memory of the process", cost.memory_mb, "MB", most_mb),
        (f"REST calls of the connect, {each}", cost.calls / count, "calls", most_calls),
        (f"CPU of the connect, {each}", cost.cpu_s / count * 1e3, "ms", 0.0),
        (f"REST calls of five idle minutes, {each}", cost.idle_calls / count, "calls", 0.0),
        (f"CPU of five idle minutes, {each}", cost.idle_cpu_s / count * 1e3, "ms", 0.0),
    ):
        base = cost.before_mb if unit == "MB" else 0.0
        floor = "before the first bot" if base else "–"
        yield Row(what=f"{who}: {what}", floor=floor, ours=ours, base=base, unit=unit, most_ours=aim)


def _waited(bots: int, groups: int) -> Waited:
    here, there = _SPAWN.Pipe()
    double = _SPAWN.Process(target=_serve, args=(there, bots, groups))
    double.start()
    try:
        with TemporaryDirectory() as folder:
            return asyncio.run(_wait(here, bots, groups, Path(folder)))
    finally:
        here.send(None)
        double.join()


def _serve(asked: Connection, bots: int, groups: int) -> None:
    asyncio.run(_double(asked, bots, groups))


async def _double(asked: Connection, bots: int, groups: int) -> None:
    """Be the server until ``None`` comes; everything else is answered with the calls so far."""
    async with OctoDouble() as octo:
        octo.add_person("ann", "Ann")
        for name, token in _tokens(bots).items():
            octo.add_bot(name, token, owner="ann")
            for number in range(groups):
                octo.add_group(f"{name}-{number}", ["ann", name])
        asked.send(octo.api_url)
        while await asyncio.to_thread(asked.recv) is not None:
            asked.send(Counter(call.name for call in octo.calls))


async def _wait(double: Connection, bots: int, groups: int, folder: Path) -> Waited:
    url = await asyncio.to_thread(double.recv)
    accounts = {name: {"botToken": token} for name, token in _tokens(bots).items()}
    config = {
        "channels": {"octo": {"apiUrl": url, "accounts": accounts}},
        "host": {"kind": "embedded", "stateDir": str(folder / "state"), "agent": {"kind": "echo"}},
    }
    clock = IdleClock()
    channel = OctoChannel(parse_config(config, base=folder).config, clock=clock, leases=folder / "leases")
    host = ScriptedHost(clock=clock)
    await preload()
    before_mb, began, cpu = _most_mb(), time.monotonic(), time.process_time()
    for name in accounts:
        await channel.start(name, host)
    started = channel._running_fleet().bots.values()
    await until(lambda: all(bot.connection.state is LinkState.ONLINE for bot in started))
    online_s = time.monotonic() - began
    await until(lambda: all(bot._pipeline._resumed for bot in started))
    ready_s = time.monotonic() - began
    clock.go_faster(FASTER if bots * groups > 100 else 10 * FASTER)
    calls = await _calls(double)
    while calls[LOOK] < bots * groups:
        await clock.sleep(PASS_EVERY_S)
        calls = await _calls(double)
    connected = time.process_time()
    await clock.sleep(IDLE_S)
    idle_calls, idle_cpu_s = await _calls(double) - calls, time.process_time() - connected
    memory_mb = _most_mb()
    await channel.stop(0)
    return Waited(
        online_s,
        ready_s,
        before_mb,
        memory_mb,
        calls.total(),
        connected - cpu,
        idle_calls.total(),
        idle_cpu_s,
    )


async def _calls(double: Connection) -> Counter[str]:
    """Return the calls so far by name."""
    double.send(LOOK)
    found: Counter[str] = await asyncio.to_thread(double.recv)
    return found


def _most_mb() -> float:
    """Return the most memory this process had, megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(kilobytes) / 1024


def _tokens(bots: int) -> dict[str, str]:
    return {f"bot{number}": f"bf_{number:032x}" for number in range(bots)}
