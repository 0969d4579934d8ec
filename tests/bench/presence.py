"""A mention to its typing request on the wire, while 200 messages a second arrive and one in ten is a mention.

And a mention now and then beside a flood of messages that address nobody, against the same without the flood; there the
server is in memory, because the double cannot say so much.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from unittest.mock import patch

from pydantic import SecretStr

from openclaw_channel_octo.clock import Clock, SystemClock
from openclaw_channel_octo.config.load import parse_config
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.rest.attempts import Origin
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.runtime.channel import OctoChannel
from openclaw_channel_octo.testing.host import ScriptedHost
from openclaw_channel_octo.testing.octo.double import OctoDouble
from tests.bench.measure import Row
from tests.runtime.memory_octo import MemoryAccount, MemoryApi, MemoryOcto
from tests.runtime.rig import ANN, HELPER, TOKEN, Rig
from tests.until import until

A_SECOND = 200
CALM_S = 0.3
"""How long no call means that a start is over."""
CHATTER = 9
"""Messages that address nobody before each mention."""
FLOOD_A_SECOND = 3_000
TICK_S = 0.01
"""How often the flood goes on, by as many messages as are due."""
FLOODED_S = 1.0
"""How long it goes on before the first mention."""
NOW_AND_THEN_S = 0.2
"""Time between two mentions beside the flood."""


def run(scale: int) -> list[Row]:
    """Measure with ``scale`` mentions, 300 for a real run, each in a group of its own, and a sixth beside a flood."""
    return [*asyncio.run(_run(scale)), *asyncio.run(_beside_a_flood(max(2, scale // 6)))]


async def _run(scale: int) -> list[Row]:
    with TemporaryDirectory() as folder:
        async with OctoDouble() as octo:
            rig = Rig(octo, Path(folder) / "state", SystemClock())
            groups = [octo.add_group(f"b{number}", [ANN, HELPER]) for number in range(scale)]
            await rig.start(rig.config(), ScriptedHost())
            await _caught_up(octo)
            trip = await _round_trip(octo)
            waits = sorted(await _flood(octo, groups))
            await rig.stop()
    middle, late = median(waits), waits[int(len(waits) * 0.99)]
    return [
        Row(
            what=f"mention → typing request at {A_SECOND} messages a second, median",
            floor="one HTTP round trip over loopback",
            ours=middle * 1e3,
            base=trip * 1e3,
            unit="ms",
        ),
        Row(
            what=f"mention → typing request at {A_SECOND} messages a second, p99",
            floor="one HTTP round trip over loopback",
            ours=late * 1e3,
            base=trip * 1e3,
            unit="ms",
            most_ours=10.0,
        ),
    ]


async def _caught_up(octo: OctoDouble) -> None:
    """Wait until the bot has read what it reads after connecting: the double's work on that is not measured here."""
    seen = -1
    while seen != len(octo.calls):
        seen = len(octo.calls)
        await asyncio.sleep(CALM_S)


async def _round_trip(octo: OctoDouble) -> float:
    """Return the median seconds of a small call."""
    taken = []
    async with BotApi(base_url=octo.api_url, token=SecretStr(TOKEN), clock=SystemClock()) as api:
        for _ in range(50):
            began = time.perf_counter()
            await api.user_info(ANN)
            taken.append(time.perf_counter() - began)
    return median(taken)


async def _flood(octo: OctoDouble, groups: list[ChannelRef]) -> list[float]:
    said: dict[str, float] = {}
    seen = len(octo.calls)
    start = time.monotonic()
    for number, group in enumerate(groups):
        for place in range(CHATTER + 1):
            due = start + (number * (CHATTER + 1) + place) / A_SECOND
            await asyncio.sleep(due - time.monotonic())
            mention = [HELPER] if place == CHATTER else []
            said[group.id] = time.monotonic()
            await octo.say(ANN, group, "hello", mention=mention)
    wanted = set(said)

    def typed() -> dict[str, float]:
        calls = [call for call in octo.calls[seen:] if call.name == "typing"]
        return {call.body["channel_id"]: call.at for call in reversed(calls)}

    await octo.wait_for(lambda: wanted <= typed().keys(), timeout=60)
    return [at - said[channel] for channel, at in typed().items()]


async def _beside_a_flood(mentions: int) -> list[Row]:
    octo = MemoryOcto(SystemClock(), 1, frozenset())
    (account,) = octo.accounts
    typed: dict[str, float] = {}
    quiet, loud = ([f"{name}{number}" for number in range(mentions)] for name in ("quiet", "loud"))
    octo_block = {
        "apiUrl": "http://octo.test",
        "botToken": account.token,
        "rateLimit": {"personPerMinute": 0, "conversationPerMinute": 0},
    }
    with (
        TemporaryDirectory() as folder,
        patch("openclaw_channel_octo.runtime.fleet.fleet.BotApi") as make_api,
    ):
        make_api.side_effect = lambda **how: _TimedApi(account, how["clock"], how["origin"], typed)
        content = {"channels": {"octo": octo_block}, "host": {"agent": {"kind": "echo"}, "stateDir": folder}}
        config = parse_config(content, base=Path(folder)).config
        channel = OctoChannel(config, open_transport=octo.open, leases=Path(folder))
        await channel.start("default", ScriptedHost())
        await until(lambda: account.online and account.traffic["messages/sync"], "a bot that has caught up")
        await asyncio.sleep(CALM_S)
        without = sorted(await _now_and_then(account, typed, quiet))
        async with _flood_of(account) as told:
            waits = sorted(await _now_and_then(account, typed, loud))
        await channel.stop()
    what = f"mention → typing request beside {told.rate:,.0f} unaddressed messages a second, all in memory"
    return [
        Row(
            what=f"{what}, {name}",
            floor="the same without them",
            ours=waits[int(len(waits) * part)] * 1e3,
            base=without[int(len(without) * part)] * 1e3,
            unit="ms",
        )
        for name, part in (("median", 0.5), ("p95", 0.95))
    ]


class _TimedApi(MemoryApi):
    """A bot API in memory that notes when it was first asked to show in a group that the bot types."""

    def __init__(self, account: MemoryAccount, clock: Clock, origin: Origin, typed: dict[str, float]) -> None:
        super().__init__(account, clock, origin)
        self._typed = typed

    async def typing(self, channel: ChannelRef, *, again: bool = False) -> None:
        self._typed.setdefault(channel.id, time.monotonic())
        await super().typing(channel, again=again)


class _Flood:
    """Messages that address nobody: how many there were, and in how many seconds."""

    count = 0
    seconds = 0.0

    @property
    def rate(self) -> float:
        return self.count / self.seconds


@asynccontextmanager
async def _flood_of(account: MemoryAccount) -> AsyncIterator[_Flood]:
    """Let people say `FLOOD_A_SECOND` things that address nobody, or as many as there is time for."""
    told = _Flood()

    async def pour() -> None:
        began, due = time.monotonic(), 0.0
        while True:
            await asyncio.sleep(TICK_S)
            passed, began = time.monotonic() - began, time.monotonic()
            told.seconds += passed
            due += FLOOD_A_SECOND * min(passed, 2 * TICK_S)  # a machine that cannot keep up is not buried
            while due >= 1:
                account.say("see you at lunch")
                told.count += 1
                due -= 1

    pouring = asyncio.create_task(pour())
    try:
        await asyncio.sleep(FLOODED_S)
        yield told
    finally:
        pouring.cancel()
        await asyncio.wait({pouring})


async def _now_and_then(account: MemoryAccount, typed: dict[str, float], where: Sequence[str]) -> list[float]:
    """Return the seconds from a mention in each of some groups to its typing request."""
    said = {}
    for group_no in where:
        said[group_no] = time.monotonic()
        account.address("hello", ChannelRef(group_no, ChannelType.GROUP))
        await asyncio.sleep(NOW_AND_THEN_S)
    await until(lambda: said.keys() <= typed.keys(), "typing in every group")
    return [typed[group_no] - at for group_no, at in said.items()]
