"""A mention to its typing request on the wire, while 200 messages a second arrive and one in ten is a mention."""

import asyncio
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from pydantic import SecretStr

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.testing.host import ScriptedHost
from openclaw_channel_octo.testing.octo.double import OctoDouble
from tests.bench.measure import Row
from tests.runtime.rig import ANN, HELPER, TOKEN, Rig

A_SECOND = 200
CALM_S = 0.3
"""How long no call means that a start is over."""
CHATTER = 9
"""Messages that address nobody before each mention."""


def run(scale: int) -> list[Row]:
    """Measure with ``scale`` mentions, each in a group of its own; 100 for a real run."""
    return asyncio.run(_run(scale))


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
