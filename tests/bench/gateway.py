"""A turn in a gateway, 50 groups at once over one connection, against the bare ``agent`` calls."""

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.host.base import Sender, Turn
from openclaw_channel_octo.host.gateway.host import GatewayHost
from openclaw_channel_octo.host.gateway.identity import DeviceFile
from openclaw_channel_octo.host.gateway.protocol import Login
from openclaw_channel_octo.host.gateway.sessions import SuccessorFile
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing.gateway.server import FakeGateway
from openclaw_channel_octo.testing.octo.double import OctoDouble
from tests.bench.measure import Row
from tests.bench.turns import ANN, HELPER, Answers, bot, calm, deployment

SCOPES = ("operator.read", "operator.write")


def run(scale: int) -> list[Row]:
    """Measure with ``scale`` groups at once, 50 for a real run; each number is the best of three rounds."""
    rounds = [asyncio.run(_round(scale)) for _ in range(3)]
    bare, turn, whole = (min(round_[part] for round_ in rounds) * 1e3 for part in range(3))
    what = f"{scale} groups at once, p95"
    return [
        Row(
            what=f"a turn through the gateway host, {what}",
            floor="the bare `agent` call",
            ours=turn,
            base=bare,
            unit="ms",
        ),
        Row(
            what=f"mention → answer in the chat, turn in a gateway, groups it knows, {what}",
            floor="the bare `agent` call",
            ours=whole,
            base=bare,
            unit="ms",
            most=8,
        ),
    ]


async def _round(groups: int) -> tuple[float, float, float]:
    with TemporaryDirectory() as folder:
        async with FakeGateway() as gateway:
            return (
                _late(await _bare(gateway, groups)),
                _late(await _turns(gateway, Path(folder), groups)),
                _late(await _mentions(gateway, groups)),
            )


def _late(taken: Sequence[float]) -> float:
    return quantiles(taken, n=20)[-1] if len(taken) > 1 else taken[0]


async def _bare(gateway: FakeGateway, groups: int) -> list[float]:
    """Return the seconds from each request to its last answer, all sent at once by a client that does nothing else."""
    async with connect(gateway.url, compression=None) as socket:
        await socket.recv()
        client = {"id": "gateway-client", "version": "0", "platform": "linux", "mode": "backend"}
        login: dict[str, Any] = {"client": client, "scopes": SCOPES, "auth": {"token": gateway.token}}
        await _send(
            socket, "hello", "connect", {"minProtocol": 4, "maxProtocol": 4, "role": "operator", **login}
        )
        await socket.recv()
        began, taken = time.perf_counter(), dict[str, float]()
        for number in range(groups):
            key = f"agent:main:octo:group:bare{number}"
            params = {
                "message": "hello",
                "sessionKey": key,
                "idempotencyKey": f"bare{number}",
                "deliver": False,
            }
            await _send(socket, str(number), "agent", params)
        while len(taken) < groups:
            frame = json.loads(await socket.recv())
            if frame["type"] == "res" and frame["payload"]["status"] == "ok":
                taken[frame["id"]] = time.perf_counter() - began
    return list(taken.values())


async def _send(socket: ClientConnection, request_id: str, method: str, params: dict[str, Any]) -> None:
    await socket.send(json.dumps({"type": "req", "id": request_id, "method": method, "params": params}))


async def _turns(gateway: FakeGateway, folder: Path, groups: int) -> list[float]:
    """Return the seconds of each turn through the host."""
    login = Login(scopes=SCOPES, token=gateway.token)
    device = DeviceFile(folder / "device.json")
    successors = SuccessorFile(folder / "sessions.json")
    host = GatewayHost(
        url=gateway.url, login=login, device=device, successors=successors, clock=SystemClock()
    )
    await host.start()

    async def one(number: int) -> float:
        began = time.perf_counter()
        async for _ in host.run(_turn(number)):
            pass
        return time.perf_counter() - began

    try:
        return list(await asyncio.gather(*(one(number) for number in range(groups))))
    finally:
        await host.stop()


def _turn(number: int) -> Turn:
    return Turn(
        run_id=f"turn{number}",
        session_key=f"agent:main:octo:group:turn{number}",
        agent_id="main",
        account_id="helper",
        channel="octo",
        conversation="group",
        channel_id=f"turn{number}",
        message_id=str(number),
        sender=Sender(uid=ANN),
        text="hello",
    )


async def _mentions(gateway: FakeGateway, groups: int) -> list[float]:
    """Return the seconds from the mentions to each answer, by a program that has met its groups."""
    host = {"kind": "gateway", "url": gateway.url, "token": gateway.token, "maxTurns": groups}
    async with deployment() as (octo, folder), bot(octo, folder, groups, host):
        rooms = [octo.add_group(f"b{number}", [ANN, HELPER]) for number in range(groups)]
        await _all_at_once(octo, rooms)
        await calm(octo)
        return await _all_at_once(octo, rooms)


async def _all_at_once(octo: OctoDouble, rooms: Sequence[ChannelRef]) -> list[float]:
    answers, began = Answers(octo), time.perf_counter()
    await asyncio.gather(*(octo.say(ANN, room, "hello", mention=[HELPER]) for room in rooms))
    return [at - began for at in await answers.reach(len(rooms))]
