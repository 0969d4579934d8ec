"""What a gateway is told of a conversation: the route of what agents say by themselves, and its session's name."""

from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.host.base import Final, Sender, Turn
from openclaw_channel_octo.host.gateway.places import LONGEST_NAME
from openclaw_channel_octo.testing.gateway.server import FakeGateway, Say
from tests.host.gateway.test_host import KEY, end_of, hosted, turn
from tests.runtime.rig import FastClock

MAIN = "agent:main:main"
OWNER = Sender(uid="ann", is_owner=True)


@pytest.fixture
def clock() -> Clock:
    return FastClock(20.0)


def direct(key: str, sender: Sender) -> Turn:
    return turn(session_key=key, conversation="direct", channel_id=sender.uid, sender=sender)


def route(gateway: FakeGateway) -> dict[str, Any]:
    asked = gateway.asked[-1].params
    return {name: asked[name] for name in ("channel", "to", "accountId") if name in asked}


@pytest.mark.parametrize(
    ("asked", "to"),
    [
        (turn(), "group:G1"),
        (turn(conversation="thread", channel_id="G1____20"), "group:G1____20"),
        (direct("agent:main:octo:direct:ben", Sender(uid="ben")), "user:ben"),
        (direct(MAIN, OWNER), "user:ann"),
        (direct(MAIN, Sender(uid="ben")), None),
        (turn(session_key=MAIN), None),
    ],
    ids=["group", "thread", "direct", "owner in the main session", "stranger there", "group there"],
)
async def test_a_run_names_its_conversation_unless_others_share_the_session(
    gateway: FakeGateway, tmp_path: Path, clock: Clock, asked: Turn, to: str | None
) -> None:
    gateway.channels = ("octo",)
    async with hosted(gateway, tmp_path, clock) as host:
        assert isinstance(await end_of(host, asked), Final)
    assert route(gateway) == ({"channel": "octo", "to": to, "accountId": "helper"} if to else {})
    assert gateway.asked[-1].params["deliver"] is False


async def test_a_gateway_gets_no_route_while_it_has_no_channel_octo(
    gateway: FakeGateway, tmp_path: Path, clock: Clock
) -> None:
    async with hosted(gateway, tmp_path, clock) as host:
        assert isinstance(await end_of(host, turn()), Final)
        assert route(gateway) == {}
        gateway.channels = ("octo",)
        await clock.sleep(61)
        assert isinstance(await end_of(host, turn(run_id="run-2")), Final)
        assert route(gateway)["to"] == "group:G1"
        gateway.channels = ()  # the plugin was taken out of a running gateway
        assert isinstance(await end_of(host, turn(run_id="run-3")), Final)
    assert route(gateway) == {}
    assert [asked.run_id for asked in gateway.asked] == ["run-1", "run-2", "run-3"]


async def test_a_session_has_its_conversations_name_until_the_operator_gives_it_another(
    gateway: FakeGateway, tmp_path: Path, clock: Clock
) -> None:
    async def named(title: str, run: int) -> tuple[str | None, str | None]:
        assert isinstance(await end_of(host, turn(title=title, run_id=f"run-{run}")), Final)
        return gateway.asked[-1].params.get("label"), row.get("label")

    row = gateway.sessions.setdefault(KEY.lower(), {"key": KEY.lower(), "sessionId": "s"})
    async with hosted(gateway, tmp_path, clock) as host:
        assert await named("", 1) == (None, None)
        assert await named("Ops", 2) == ("Ops", "Ops")
        assert await named("Ops", 3) == (None, "Ops")
    async with hosted(gateway, tmp_path, clock) as host:
        long = f"Op\u202es\nroom {'x' * 200}"
        assert await named(long, 4) == (2 * (f"Ops room {'x' * (LONGEST_NAME - 9)}…",))
        assert await named("Ops 2", 5) == ("Ops 2", "Ops 2")
        row["label"] = "my own"
        await gateway.kill()
        await gateway.start()
        assert await named("Ops 3", 6) == (None, "my own")
        row["label"] = None
        await gateway.kill()
        await gateway.start()
        assert await named("Ops 3", 7) == ("Ops 3", "Ops 3")


async def test_a_shared_session_is_named_by_nobody_and_a_refused_name_costs_no_answer(
    gateway: FakeGateway, tmp_path: Path, clock: Clock
) -> None:
    gateway.refused_labels = {"Ops"}
    async with hosted(gateway, tmp_path, clock) as host:
        assert await end_of(host, turn(session_key=MAIN, title="Ops")) == Final("echo: [ann] hello")
        gateway.answer(Say("nameless"))
        assert await end_of(host, turn(title="Ops", run_id="run-2")) == Final("nameless")
    assert [asked.params.get("label") for asked in gateway.asked] == [None, None]
