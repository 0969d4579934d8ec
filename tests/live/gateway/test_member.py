"""What agents in a real gateway say by themselves, and what its operator has them say, as people see it in the chat."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.ids import ChannelRef
from tests.live.gateway.deployment import Cell, Deployment, deployed
from tests.live.gateway.install import VERSIONS, CannotInstall
from tests.live.gateway.test_turns import PNG
from tests.runtime.rig import ANN

pytestmark = pytest.mark.skipif(
    not os.environ.get("OCTO_LIVE_GATEWAY"),
    reason="starts a real OpenClaw gateway from npm: set OCTO_LIVE_GATEWAY=1 or call `make test-gateway`",
)

PATIENCE_S = 90.0
"""How long what a gateway does by itself may take on a busy machine."""
PERSON = ChannelRef(ANN, 1)
CONFIG = {
    "cron": {"enabled": True},
    "agents": {"defaults": {"heartbeat": {"every": "30m", "target": "octo", "to": f"user:{ANN}"}}},
}


async def heard(deployment: Deployment, where: ChannelRef, word: str) -> list[str]:
    """Return what a bot says there with a word in it, from the first time to a while later."""

    def found() -> list[str]:
        return [text for text in deployment.rig.said(where) if word in text]

    async with asyncio.timeout(PATIENCE_S):
        while not found():
            await asyncio.sleep(0.05)
    await asyncio.sleep(2.0)
    return found()


async def cron(deployment: Deployment, cell: Cell) -> str:
    thread = deployment.octo.add_thread(cell.where.id, "20")
    places = {
        f"group:{cell.where.id}": cell.where,
        f"group:{thread.id}": thread,
        f"user:{ANN}": PERSON,
    }
    for number, (to, where) in enumerate(places.items()):
        word = f"report-{number}"
        job = await deployment.operator.call(
            "cron.add",
            {
                "name": word,
                "schedule": {"kind": "at", "at": "2099-01-01T00:00:00Z"},
                "sessionTarget": "isolated",
                "wakeMode": "now",
                "payload": {"kind": "agentTurn", "message": word},
                "delivery": {"mode": "announce", "channel": "octo", "to": to},
            },
        )
        await deployment.operator.call("cron.run", {"id": job["id"], "mode": "force"})
        assert len(await heard(deployment, where, word)) == 1
    return "arrives, in each of them once"


async def heartbeat(deployment: Deployment, cell: Cell) -> str:
    await deployment.operator.call("wake", {"mode": "now", "text": "heart-beats"})
    assert len(await heard(deployment, PERSON, "heart-beats")) == 1
    return "arrives once"


async def reminder(deployment: Deployment, cell: Cell) -> str:
    due = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 15))
    job = {
        "name": "tea",
        "schedule": {"kind": "at", "at": due},
        "sessionTarget": "isolated",
        "payload": {"kind": "agentTurn", "message": "tea-time"},
    }
    await cell.mention(f"remind me [stub:call cron {json.dumps({'action': 'add', 'job': job})}]")
    await cell.until(1)
    print("CRON TOOL", outcomes(deployment, "remind me"))
    found = await heard(deployment, cell.where, "] tea-time")
    assert len(found) == 1
    return "arrives once"


async def message_send(deployment: Deployment, cell: Cell) -> str:
    await cell.mention('say [stub:call message {"action": "send", "message": "by-tool"}]')
    found = await cell.until(2)
    print("SEND", outcomes(deployment, "by-tool"), found)
    return str(found)


async def message_send_elsewhere(deployment: Deployment, cell: Cell) -> str:
    other = deployment.group()
    await cell.mention(
        'say [stub:call message {"action": "send", "target": "group:%s", "message": "elsewhere"}]' % other.id
    )
    await cell.until(1)
    print("ELSEWHERE", outcomes(deployment, "elsewhere"), deployment.rig.said(other), cell.texts)
    return str(deployment.rig.said(other))


async def message_read(deployment: Deployment, cell: Cell) -> str:
    await deployment.octo.say(ANN, cell.where, "said-before")
    for action in (
        '{"action": "read", "limit": 3}',
        '{"action": "search", "query": "said-before"}',
        '{"action": "channel-list"}',
        '{"action": "member-info"}',
    ):
        n = len(cell.seen)
        await cell.mention(f"look-here [stub:call message {action}]")
        await cell.until(n + 1)
        print("READ", action, outcomes(deployment, "look-here"))
    return ""


async def message_edit(deployment: Deployment, cell: Cell) -> str:
    await cell.mention("first")
    await cell.until(1)
    mine = [line for line in deployment.octo.chat(cell.where) if line.from_uid == "helper_bot"][0]
    await cell.mention(
        'change-it [stub:call message {"action": "edit", "messageId": "%s", "message": "changed"}]'
        % mine.message_id
    )
    await cell.until(2)
    print("EDIT", outcomes(deployment, "change-it"), cell.texts, deployment.rig.said(cell.where))
    return ""


async def sub_agent(deployment: Deployment, cell: Cell) -> str:
    await cell.mention('split [stub:call sessions_spawn {"task": "sub-task"}]')
    await cell.until(1)
    print("SPAWN", outcomes(deployment, "split"))
    await cell.until(2, PATIENCE_S)
    return str(await cell.quiet(10))


async def deliver(deployment: Deployment, cell: Cell) -> str:
    await cell.mention("hello")
    await cell.until(1)
    await deployment.operator.call(
        "agent",
        {"message": "delivered-run", "sessionKey": cell.session_key, "deliver": True, "idempotencyKey": "d1"},
    )
    assert len(await heard(deployment, cell.where, "delivered-run")) == 1
    return "arrives once"


async def program(deployment: Deployment, cell: Cell) -> str:
    run = deployment.gateway.openclaw
    print(
        "CLI",
        await run(
            "message",
            "send",
            "--channel",
            "octo",
            "--target",
            f"group:{cell.where.id}",
            "--message",
            "from the program",
            "--json",
        ),
    )
    assert await cell.until(1) == ["from the program"]
    named = deployment.octo.add_group("named", [ANN, "helper_bot"], name="Night shift")
    print(
        "CLI2",
        await run(
            "message",
            "send",
            "--channel",
            "octo",
            "--target",
            "Night shift",
            "--message",
            "by name",
            "--json",
        ),
    )
    assert len(await heard(deployment, named, "by name")) == 1
    print("DIR", await run("directory", "groups", "list", "--channel", "octo", "--json"))
    print("STATUS", await run("channels", "status", "--probe"))
    return "arrives once"


async def files(deployment: Deployment, cell: Cell) -> str:
    picture = deployment.gateway.folder / "workspace" / "pic.png"
    picture.write_bytes(PNG)
    await cell.mention("show [stub:media ./pic.png]")
    await cell.until(1)
    print("MEDIA", [line.payload for line in deployment.octo.chat(cell.where)][-2:])
    try:
        print(
            await deployment.operator.call(
                "send",
                {
                    "to": f"group:{cell.where.id}",
                    "message": "pic",
                    "mediaUrl": str(picture),
                    "channel": "octo",
                    "idempotencyKey": "p1",
                },
            )
        )
    except Exception as e:
        print("SEND MEDIA", e)
    await asyncio.sleep(2)
    print("MEDIA", [line.payload for line in deployment.octo.chat(cell.where)][-2:])
    return ""


async def names(deployment: Deployment, cell: Cell) -> str:
    rows = (await deployment.operator.call("sessions.list", {"limit": 100}))["sessions"]
    for row in rows:
        print("ROW", {k: row.get(k) for k in ("key", "label", "displayName", "deliveryContext", "lastTo")})
    print("AGENTS", await deployment.operator.call("agents.list", {}))
    return ""


def outcomes(deployment: Deployment, word: str) -> Sequence[str]:
    """Return what the tools said that the model called for a text with this word in it."""
    return [request for request in deployment.model.requests if word in request.text][-1].outcomes


ROWS = [
    cron,
    heartbeat,
    reminder,
    message_send,
    message_send_elsewhere,
    message_read,
    message_edit,
    sub_agent,
    deliver,
    program,
    files,
    names,
]


@pytest.mark.parametrize("version", VERSIONS)
async def test_x(version: str, tmp_path: Path) -> None:
    only = os.environ.get("ONLY", "").split(",") if os.environ.get("ONLY") else None
    async with deployed(version, tmp_path, config=CONFIG, member=True) as deployment:
        await deployment.start(timeout_s=120.0)
        for row in ROWS:
            if only and row.__name__ not in only:
                continue
            try:
                print(row.__name__, "=>", await row(deployment, Cell(deployment)), flush=True)
            except Exception as e:
                import traceback

                print(row.__name__, "!!", repr(e)[:500])
                traceback.print_exc()
        print(deployment.gateway.log_tail(60))
