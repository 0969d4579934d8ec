"""What agents in a real gateway say by themselves, and what its operator has them say, as people see it in the chat."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.ids import ChannelRef
from tests.live.gateway.deployment import Cell, Deployment, deployed
from tests.live.gateway.install import BEFORE_THE_FIX, VERSIONS, CannotInstall
from tests.live.gateway.table import record_member
from tests.live.gateway.test_failures import LONG_S
from tests.live.gateway.test_turns import PNG
from tests.runtime.rig import ANN, HELPER

pytestmark = pytest.mark.skipif(
    not os.environ.get("OCTO_LIVE_GATEWAY"),
    reason="starts a real OpenClaw gateway from npm: set OCTO_LIVE_GATEWAY=1 or call `make test-gateway`",
)

PATIENCE_S = 120.0
"""How long what a gateway does by itself may take on a busy machine."""
QUIET_S = 3.0
"""How long nothing more is said where something is to be said once."""
PERSON = ChannelRef(ANN, 1)
CONFIG = {
    "cron": {"enabled": True},
    "agents": {
        "defaults": {
            "heartbeat": {
                "every": "30m",
                "target": "octo",
                "to": f"user:{ANN}",
                "prompt": "heart-beats [stub:ok]",
            }
        }
    },
}
NO_COPY = "native no-replace move is unavailable"
"""In the words of 2026.9.6 where the file system of the machine cannot do what its media folder needs."""
NOT_HERE = "requires the exact current conversation and account"
"""In the words of 2026.9.6 where the message tool is to read or change messages in a turn that began outside of it."""
WITH_OURS = ", with the plugin's own tools; the message tool is refused"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table.

    Attributes:
        title: what is done.
        play: does it in a group of its own and returns what people see.
    """

    title: str
    play: Callable[[Deployment, Cell], Awaitable[str]]


async def once(deployment: Deployment, where: ChannelRef, word: str) -> None:
    """Return when the bot has said something there with a word in it, once and not again."""

    def count() -> int:
        return sum(word in text for text in deployment.rig.said(where))

    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while not count():  # noqa: ASYNC110  # the double tells of messages, not of their text
                await asyncio.sleep(0.05)
            await asyncio.sleep(QUIET_S)
    assert count() == 1, f"{word} {count()} times in {deployment.rig.said(where)}"


def outcomes(deployment: Deployment, word: str) -> Sequence[str]:
    """Return what the tools said that the model called for a text with this word in it."""
    return [request for request in deployment.model.requests if word in request.text][-1].outcomes


async def calls_tool(cell: Cell, deployment: Deployment, tool: str, **arguments: Any) -> str:
    """Let a person have the agent call a tool, wait for the answer behind it, and return what the tool said."""
    word = f"please-{len(cell.seen)}-{cell.where.id}"
    await cell.mention(f"{word} [stub:call {tool} {json.dumps(arguments)}]")
    async with asyncio.timeout(PATIENCE_S):
        while not any(word in text for text in await cell.quiet(0.2)):
            pass
    (said,) = outcomes(deployment, word)
    return said


async def cron(deployment: Deployment, cell: Cell) -> str:
    thread = deployment.octo.add_thread(cell.where.id, "20")
    to = {f"group:{cell.where.id}": cell.where, f"group:{thread.id}": thread, f"user:{ANN}": PERSON}
    for number, (target, where) in enumerate(to.items()):
        job = {
            "name": f"report-{number}",
            "schedule": {"kind": "at", "at": "2035-01-01T00:00:00Z"},
            "sessionTarget": "isolated",
            "wakeMode": "now",
            "payload": {"kind": "agentTurn", "message": f"report-{number}"},
            "delivery": {"mode": "announce", "channel": "octo", "to": target},
        }
        added = await deployment.operator.call("cron.add", job)
        await deployment.operator.call("cron.run", {"id": added["id"], "mode": "force"})
        await once(deployment, where, f"report-{number}")
    return "arrives, in each of them once"


async def heartbeat(deployment: Deployment, cell: Cell) -> str:
    await deployment.operator.call("wake", {"mode": "now", "text": "look"})
    await once(deployment, PERSON, "heart-beats")
    return "arrives once"


async def reminder(deployment: Deployment, cell: Cell) -> str:
    due = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 30))
    payload = {"kind": "agentTurn", "message": "the kettle"}
    job = {"name": "tea", "schedule": {"kind": "at", "at": due}, "payload": payload}
    if deployment.gateway.version != BEFORE_THE_FIX:
        said = await calls_tool(cell, deployment, "automations", action="add", job=job)
        assert "Unknown tool" in said
        return "not offered: the gateway gives its tool `automations` to its owner only"
    await calls_tool(cell, deployment, "cron", action="add", job=job)
    await once(deployment, cell.where, "] the kettle")
    return "the reminder arrives once"


async def send_here(deployment: Deployment, cell: Cell) -> str:
    await calls_tool(cell, deployment, "message", action="send", message="by-the-tool")
    assert deployment.rig.said(cell.where)[:-1] == ["by-the-tool"]
    return "arrives once, before the answer"


async def send_elsewhere(deployment: Deployment, cell: Cell) -> str:
    other = deployment.group()
    await calls_tool(
        cell, deployment, "message", action="send", target=f"group:{other.id}", message="over here"
    )
    await once(deployment, other, "over here")
    return "arrives there once, where the person who asked may write"


async def look(deployment: Deployment, cell: Cell) -> str:
    await deployment.octo.say(ANN, cell.where, "a word said before")
    target = {"target": f"group:{cell.where.id}"}
    if deployment.gateway.version == BEFORE_THE_FIX:
        found = await calls_tool(cell, deployment, "message", action="read", **target)
        searched = await calls_tool(cell, deployment, "message", action="search", query="word said")
        return got("a word said before", found, searched)
    assert NOT_HERE in await calls_tool(cell, deployment, "message", action="read", **target)
    found = await calls_tool(cell, deployment, "octo_read")
    searched = await calls_tool(cell, deployment, "octo_search", query="word said", **target)
    return got("a word said before", found, searched) + WITH_OURS


def got(word: str, *found: str) -> str:
    assert [word in one for one in found] == [True] * len(found), found
    return "the agent gets the conversation's messages"


async def edit(deployment: Deployment, cell: Cell) -> str:
    await cell.mention("first")
    assert len(await cell.until(1, PATIENCE_S)) == 1
    (line,) = (line for line in deployment.octo.chat(cell.where) if line.from_uid == HELPER)
    change = {"target": f"group:{cell.where.id}", "messageId": line.message_id, "message": "changed"}
    old = deployment.gateway.version == BEFORE_THE_FIX
    tool, action = ("message", {"action": "edit"}) if old else ("octo_edit", {})
    said = await calls_tool(cell, deployment, tool, **action, **change)
    assert deployment.rig.said(cell.where)[0] == "changed", said
    return "the message is changed" + ("" if old else WITH_OURS)


async def sub_agent(deployment: Deployment, cell: Cell) -> str:
    await calls_tool(cell, deployment, "sessions_spawn", task="sub-task")
    if deployment.gateway.version == BEFORE_THE_FIX:
        assert len(await cell.quiet(20.0)) == 1
        return "only if the agent sends it with the message tool, as this release asks of it in groups"
    assert len(await cell.until(2, PATIENCE_S)) == 2, outcomes(deployment, "please")
    assert len(await cell.quiet(QUIET_S)) == 2
    return "arrives once, behind the answer"


async def deliver(deployment: Deployment, cell: Cell) -> str:
    await cell.mention("hello")
    assert len(await cell.until(1, PATIENCE_S)) == 1
    asked = {
        "message": "a run",
        "sessionKey": cell.session_key,
        "deliver": True,
        "idempotencyKey": "deliver-1",
    }
    await deployment.operator.call("agent", asked)
    await once(deployment, cell.where, "a run")
    return "the answer arrives once, without a target"


async def picture(deployment: Deployment, cell: Cell) -> str:
    file = deployment.gateway.folder / "workspace" / "chart.png"
    file.write_bytes(PNG)
    await cell.mention("show it [stub:media ./chart.png]")
    await cell.until(2, PATIENCE_S)
    assert [line.payload["type"] for line in deployment.octo.chat(cell.where)][1:] == [1, 2]
    return "the text and the picture, from the agent's workspace"


async def picture_sent(deployment: Deployment, cell: Cell) -> str:
    file = deployment.gateway.folder / "workspace" / "sent.png"
    file.write_bytes(PNG)
    asked = {"channel": "octo", "to": f"group:{cell.where.id}", "message": "", "mediaUrl": str(file)}
    try:
        await deployment.operator.call("send", {**asked, "idempotencyKey": "picture-1"})
    except HostError as error:
        if NO_COPY not in str(error):
            raise
        return "not tried: the file system of the run lacks what the gateway's media folder needs"
    assert len(await cell.until(1, PATIENCE_S)) == 1
    assert [line.payload["type"] for line in deployment.octo.chat(cell.where)] == [2]
    return "arrives"


async def names(deployment: Deployment, cell: Cell) -> str:
    where = deployment.octo.add_group("named-1", [ANN, HELPER], name="Before")
    key = "agent:main:octo:group:named-1"
    await asyncio.sleep(10)  # the youngest list of groups that is renewed because one is not on it
    await deployment.rig.mention("one", where=where)
    await deployment.rig.until_said(1, where)
    shown = [(await deployment.operator.call("sessions.describe", {"key": key}))["session"]]
    deployment.octo.add_group("named-1", [ANN, HELPER], name="After")
    await deployment.octo.say(ANN, where, {"type": 1005, "content": "renamed", "data": {"name": "After"}})
    await deployment.rig.mention("two", where=where)
    await deployment.rig.until_said(2, where)
    shown.append((await deployment.operator.call("sessions.describe", {"key": key}))["session"])
    assert [row.get("label") for row in shown] == ["Before", "After"]
    assert shown[1]["deliveryContext"] == {"channel": "octo", "to": "group:named-1", "accountId": "helper"}
    return "the group's name, the new one once it is renamed"


ROWS = (
    Row("a cron job announces into a group, a thread and a direct conversation", cron),
    Row("a heartbeat to a direct conversation", heartbeat),
    Row("a person says *remind me in a minute*", reminder),
    Row("the agent sends into its conversation with the message tool", send_here),
    Row("the agent sends into another group with it", send_elsewhere),
    Row("the agent reads and searches its conversation", look),
    Row("the agent edits a message of its own", edit),
    Row("a sub-agent is done after the answer", sub_agent),
    Row("the operator runs a turn with `deliver: true`", deliver),
    Row("an answer with `MEDIA:./chart.png`", picture),
    Row("the gateway sends a picture (`send`)", picture_sent),
    Row("the list of sessions", names),
)


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_agents_and_the_operator_say_through_the_gateway_is_seen_once(
    version: str, tmp_path: Path
) -> None:
    seen, broken = list[tuple[str, str]](), dict[str, str]()
    try:
        async with deployed(version, tmp_path, config=CONFIG, member=True) as deployment:
            await deployment.start(timeout_s=LONG_S)
            for (
                row
            ) in ROWS:  # one after the other: a gateway with more work than processors is late with all of it
                try:
                    seen.append((row.title, await row.play(deployment, Cell(deployment))))
                except (AssertionError, TimeoutError, HostError) as error:
                    broken[row.title] = f"{type(error).__name__}: {error}\n{deployment.gateway.log_tail(10)}"
    except CannotInstall as missing:
        pytest.skip(str(missing))
    assert not broken, "\n\n".join(f"{title}: {why}" for title, why in broken.items())
    record_member(version, seen)
