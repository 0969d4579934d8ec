"""Gateways that die, restart, drain and lose connections all the time: every mention still ends once, in order."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing.gateway.runs import INTERRUPTED
from openclaw_channel_octo.testing.gateway.server import Asked, FakeGateway, Hang, Reply, Say
from tests.runtime.rig import ANN, HELPER, FastClock, Rig

GROUPS, MENTIONS, BLOWS = 6, 10, 12


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    async with FakeGateway(version="2026.9.6") as running:
        yield running


async def blow(gateway: FakeGateway, chance: random.Random) -> None:
    """Hurt the gateway in one of its ways, and let it stand up again."""
    match chance.choice(("kill", "drop", "terminate", "starting")):
        case "drop":
            gateway.drop_connections()
        case "terminate":
            await gateway.terminate()
            await gateway.start()
        case "starting":
            gateway.refusing = "starting"
            gateway.drop_connections()
            await asyncio.sleep(chance.random() / 50)
            gateway.refusing = ""
        case _:
            await gateway.kill()
            await asyncio.sleep(chance.random() / 50)
            await gateway.start()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("recovers", [True, False], ids=["takes runs up", "forgets runs"])
async def test_every_mention_is_answered_once_and_in_order_whatever_happens_to_the_gateway(
    rig: Rig, gateway: FakeGateway, seed: int, *, recovers: bool
) -> None:
    chance = random.Random(seed)
    gateway._recovers = recovers
    rig.clock = FastClock(30)
    groups = [rig.octo.add_group(f"storm{number}", [ANN, HELPER]) for number in range(GROUPS)]
    config = rig.config(maxTurns=50)
    config["host"] = {
        "kind": "gateway",
        "url": gateway.url,
        "token": gateway.token,
        "stateDir": str(rig.state_dir),
    }

    def answer(asked: Asked) -> Reply:
        """Answer the newest question of the session: a run that was taken up goes on with that."""
        questions = [
            row["content"] for row in gateway.runs.histories[asked.session_key] if row["role"] == "user"
        ]
        told = [question for question in questions if INTERRUPTED not in question]
        return Hang(Say(f"to {told[-1].rpartition(' ')[2]}"))

    gateway.answer(answer)
    await rig.start(config)
    working = asyncio.create_task(keep_working(gateway))
    talk = asyncio.create_task(talk_on(rig, groups, chance))
    for _ in range(BLOWS):
        await asyncio.sleep(chance.random() / 20)
        await blow(gateway, chance)
    await talk
    for group in groups:
        await rig.until_said(MENTIONS, group)
    await asyncio.sleep(0.1)
    working.cancel()
    for group in groups:
        assert rig.said(group) == [f"to {number}" for number in range(MENTIONS)]


async def keep_working(gateway: FakeGateway) -> None:
    """Let runs take some ten milliseconds, so that much of what happens to the gateway happens to them."""
    while True:
        await asyncio.sleep(0.02)
        gateway.runs.release()


async def talk_on(rig: Rig, groups: list[ChannelRef], chance: random.Random) -> None:
    for number in range(MENTIONS):
        for group in groups:
            await rig.mention(str(number), where=group)
            await asyncio.sleep(chance.random() / 200)
