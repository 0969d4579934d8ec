"""From a person's mention to the answer through a real gateway, and how the gateway lets us in."""

import asyncio
import base64
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from openclaw_channel_octo.cli.app import main
from openclaw_channel_octo.errors import HostRefused
from openclaw_channel_octo.host.base import Final, MediaItem, Sender, Turn
from openclaw_channel_octo.ids import ChannelRef
from tests.live.gateway.deployment import Deployment, deployed
from tests.live.gateway.install import VERSIONS, CannotInstall
from tests.live.gateway.model import MODEL
from tests.live.gateway.test_failures import LONG_S, answer_to
from tests.runtime.rig import ANN

pytestmark = pytest.mark.skipif(
    not os.environ.get("OCTO_LIVE_GATEWAY"),
    reason="starts a real OpenClaw gateway from npm: set OCTO_LIVE_GATEWAY=1 or call `make test-gateway`",
)

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A picture of one pixel."""
AGENTS = {
    "agents": {"list": [{"id": "main", "default": True}, {"id": "work"}]},
    "bindings": [
        {
            "agentId": "work",
            "match": {"channel": "octo", "accountId": "*", "peer": {"kind": "group", "id": "cell1"}},
        }
    ],
    "session": {"dmScope": "per-channel-peer"},
}


@pytest.mark.parametrize("version", VERSIONS)
async def test_group_thread_and_direct_messages_are_answered_by_the_agents_the_bindings_name(
    version: str, tmp_path: Path
) -> None:
    try:
        async with deployed(version, tmp_path, config=AGENTS) as deployment:
            await deployment.start(
                timeout_s=LONG_S, url=None, token=None, openclawConfig=str(deployment.gateway.config_path)
            )
            await talk(deployment)
            rows = (await deployment.host.connection.call("sessions.list", {"limit": 100}))["sessions"]
            good = await check(deployment, deployment.gateway.token)
            bad = await check(deployment, "wrong")
    except CannotInstall as missing:
        pytest.skip(str(missing))
    assert {row["key"]: row.get("status") for row in rows} == {
        "agent:work:octo:group:cell1": "done",
        "agent:main:octo:group:cell2": "done",
        "agent:main:octo:group:g1____2039626171074744320": "done",
        "agent:main:octo:direct:ann": "done",
    }
    assert (good["ok"], good["release"], good["agents"]) == (True, version, ["main", "work"])
    assert {row["key"] for row in good["sessions"]} == {row["key"] for row in rows}
    assert not bad["ok"]
    assert "compare host.token" in bad["problems"][0]


async def talk(deployment: Deployment) -> None:
    """Say something in each kind of conversation and get it back, a long answer as one message."""
    rig = deployment.rig
    work, other, person = deployment.group(), deployment.group(), ChannelRef(ANN, 1)
    await rig.mention("at work", where=work)
    assert await rig.until_said(1, work) == [answer_to("at work")]
    words = "a long answer in many pieces " * 20
    await rig.mention(words, where=other)
    assert await rig.until_said(1, other) == [answer_to(words.strip())]
    await rig.mention("in the thread", where=rig.thread)
    assert await rig.until_said(1, rig.thread) == [answer_to("in the thread")]
    await rig.octo.say(ANN, rig.dm, "for you alone")
    assert await rig.until_said(1, person) == ["echo: for you alone"]
    await rig.octo.say(ANN, rig.dm, "look it up [stub:tool]")
    assert len(await rig.until_said(2, person)) == 2


async def check(deployment: Deployment, token: str) -> dict[str, Any]:
    """Run ``openclaw-octo gateway check`` on a configuration with this token and return what it says."""
    config = deployment.rig.config()
    state = str(deployment.rig.state_dir)
    config["host"] = {"kind": "gateway", "url": deployment.gateway.url, "token": token, "stateDir": state}
    file = deployment.rig.state_dir / "octo.json"
    file.write_text(json.dumps(config))
    command = ["gateway", "check", "--config", str(file), "--json"]
    result = await asyncio.to_thread(CliRunner().invoke, main, command)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


async def test_a_device_that_is_not_on_loopback_is_let_in_by_the_command_the_refusal_names(
    tmp_path: Path,
) -> None:
    address = outside_address()
    if not address:
        pytest.skip("this machine has no address besides loopback")
    try:
        async with deployed(VERSIONS[0], tmp_path, config={"gateway": {"bind": "lan"}}) as deployment:
            outside = f"ws://{address}:{deployment.gateway.port}"
            with pytest.raises(HostRefused, match=r"openclaw devices approve [0-9a-f-]{36}") as refused:
                await deployment.start(url=outside)
            request = str(refused.value).rpartition(" ")[2]
            await deployment.gateway.openclaw(
                "devices",
                "approve",
                request,
                "--url",
                deployment.gateway.url,
                "--token",
                deployment.gateway.token,
            )
            await deployment.start(timeout_s=LONG_S, url=outside)
            group = deployment.group()
            await deployment.rig.mention("from outside", where=group)
            assert await deployment.rig.until_said(1, group) == [answer_to("from outside")]
    except CannotInstall as missing:
        pytest.skip(str(missing))


def outside_address() -> str:
    """Return this machine's address as others see it, empty where it has none; sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.254", 9))
        except OSError:
            return ""
        address = str(probe.getsockname()[0])
    return "" if address.startswith("127.") else address


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_picture_reaches_a_model_that_sees_and_is_left_out_for_one_that_does_not(
    version: str, tmp_path: Path
) -> None:
    seeing = {
        "id": MODEL,
        "name": MODEL,
        "contextWindow": 128_000,
        "maxTokens": 4096,
        "input": ["text", "image"],
    }
    config = {"models": {"providers": {"stub": {"models": [seeing]}}}}
    picture = tmp_path / "a.png"
    picture.write_bytes(PNG)
    item = MediaItem(kind="image", url="https://octo.example/a.png", size=len(PNG), path=picture)
    shown = []
    try:
        for settings in (config, None):
            async with deployed(version, tmp_path, config=settings) as deployment:
                await deployment.start()
                events = [event async for event in deployment.host.run(asking(item))]
                assert isinstance(events[-1], Final)
                shown.append("image_url" in json.dumps(deployment.model.requests[-1].messages))
    except CannotInstall as missing:
        pytest.skip(str(missing))
    assert shown == [True, False]


def asking(item: MediaItem) -> Turn:
    """Return a turn with a picture."""
    return Turn(
        run_id="picture-1",
        session_key="agent:main:octo:direct:ann",
        agent_id="main",
        account_id="helper",
        channel="octo",
        conversation="direct",
        channel_id=ANN,
        message_id="1",
        sender=Sender(uid=ANN),
        text="what is this?",
        media=(item,),
        budget_s=60.0,
    )
