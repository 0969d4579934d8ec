"""The double steered over HTTP, as a script in any language does it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing import OctoDouble, RateLimit
from openclaw_channel_octo.testing.actions import ACTIONS
from openclaw_channel_octo.testing.remote import Remote
from openclaw_channel_octo.testing.view import TYPING_SHOWN_S, state
from tests.testing.crawling import crawl

TOKEN = "bf_0123456789abcdef"
GROUP = ChannelRef("g1", 2)


class Script:
    """A program that steers the double."""

    def __init__(self, octo: OctoDouble, session: aiohttp.ClientSession) -> None:
        self.octo = octo
        self.session = session

    async def do(self, name: str, /, **body: Any) -> tuple[int, dict[str, Any]]:
        url = f"{self.octo.api_url}/_double/do/{name}"
        async with self.session.post(
            url, json={key.rstrip("_"): value for key, value in body.items()}
        ) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str) -> Any:
        async with self.session.get(f"{self.octo.api_url}/_double{path}") as answer:
            return await answer.json()

    async def call(self, name: str, **body: Any) -> int:
        url, headers = f"{self.octo.api_url}/v1/bot/{name}", {"Authorization": f"Bearer {TOKEN}"}
        async with self.session.post(url, json=body, headers=headers) as answer:
            return answer.status


@pytest.fixture
async def script() -> AsyncIterator[Script]:
    clock = SystemClock()
    async with (
        OctoDouble(clock, also=lambda octo, app: Remote(octo, clock).add_to(app)) as octo,
        aiohttp.ClientSession() as session,
    ):
        octo.add_person("ann", "Ann")
        octo.add_bot("helper_bot", TOKEN, name="Helper", owner="ann")
        octo.add_group("g1", ["ann", "helper_bot"], name="Group")
        yield Script(octo, session)


async def test_a_script_lets_people_speak_and_reads_the_chat(script: Script) -> None:
    status, told = await script.do("say", from_="ann", channel="g1", text="hello", mention=["helper_bot"])

    assert (status, told["ok"]) == (200, True)
    assert script.octo.chat(GROUP)[0].message_id == told["result"]
    found = await script.get("/state")
    assert found["conversations"][0]["lines"][0]["text"] == "@Helper hello"
    assert [one["title"] for one in found["conversations"]] == ["Group", "Ann and Helper"]


async def test_a_script_builds_the_world_it_needs(script: Script) -> None:
    for name, body in (
        ("add-person", {"uid": "ben", "name": "Ben"}),
        ("add-bot", {"uid": "b_bot", "token": "bf_fedcba9876543210"}),
        ("add-group", {"group": "g2", "members": ["ben", "b_bot"], "name": "Two"}),
        ("add-thread", {"group": "g2", "short_id": "2039626171074744320"}),
        ("member", {"group": "g2", "uid": "ann"}),
    ):
        assert (await script.do(name, **body))[0] == 200

    found = await script.get("/state")
    assert {one["title"] for one in found["conversations"]} >= {"Two", "thread in Two", "Ben and b_bot"}
    two = next(one for one in found["conversations"] if one["title"] == "Two")
    assert two["members"] == ["ben", "b_bot", "ann"]


async def test_a_script_makes_calls_fail_and_heals_them(script: Script) -> None:
    await script.do("fail", call="heartbeat", fault="RateLimit", times=0, settings={"retry_after": 7})
    assert await script.call("heartbeat") == 429

    await script.do("heal")
    assert await script.call("heartbeat") == 200


async def test_what_hangs_goes_on_when_it_is_healed(script: Script) -> None:
    await script.do("fail", call="heartbeat", fault="Hang")
    waiting = asyncio.create_task(script.call("heartbeat"))
    await script.octo.wait_for(lambda: script.octo.calls)

    await script.do("heal")

    assert await waiting == 200


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("say", {"from_": "zoe", "channel": "g1", "text": "x"}, "'zoe' is no member of 'g1'"),
        ("say", {"from_": "ann"}, "channel: Field required"),
        ("say", {"from_": "ann", "channel": "g1", "type": 1}, "no account 'g1'; for a group the type is 2"),
        ("say", {"from_": "ann", "channel": "g1", "txt": "x"}, "txt: Extra inputs are not permitted"),
        ("fail", {"call": "nothing", "fault": "Hang"}, "no call 'nothing'"),
        ("fail", {"call": "*", "fault": "Slow", "settings": {"hours": 1}}, "hours"),
        ("repeat", {"uid": "helper_bot", "channel": "g1"}, "nothing has been said in 'g1' yet"),
    ],
)
async def test_a_mistake_is_named(script: Script, name: str, body: dict[str, Any], words: str) -> None:
    status, told = await script.do(name, **body)

    assert (status, told["ok"]) == (400, False)
    assert words in told["error"]


async def test_half_an_emoji_of_a_bot_is_read_as_the_server_reads_it_and_the_state_goes_on(
    script: Script,
) -> None:
    payload = {"type": 1, "content": "cut \ud83d"}
    assert await script.call("sendMessage", channel_id="g1", channel_type=2, payload=payload) == 200
    await script.do("say", from_="ann", channel="g1", payload={"type": 1, "content": "\ud83d too"})
    async with script.session.get(f"{script.octo.api_url}/_double/state") as answer:
        assert answer.status == 200
        assert "cut \ufffd" in str(await answer.json())


async def test_an_unknown_action_lists_those_there_are(script: Script) -> None:
    status, told = await script.do("explode")

    assert status == 404
    assert all(name in told["error"] for name in ACTIONS)


async def test_every_action_says_what_it_does_and_takes(script: Script) -> None:
    told = await script.get("/actions")

    assert set(told) == set(ACTIONS)
    assert all(schema["description"] for schema in told.values())


async def test_tokens_are_in_nothing_that_is_shown(script: Script) -> None:
    await script.call("register")

    assert TOKEN not in str(await script.get("/state"))
    assert TOKEN not in str(await script.get("/actions"))


async def test_pages_of_other_sites_are_refused(script: Script) -> None:
    url = f"{script.octo.api_url}/_double"
    async with script.session.get(url, headers={"Host": "evil.example:80"}) as answer:
        assert answer.status == 403
    async with script.session.post(
        f"{url}/do/heal", data=b"{}", headers={"Content-Type": "text/plain"}
    ) as answer:
        assert answer.status == 415


async def test_whoever_listens_is_told_of_every_change(script: Script) -> None:
    async with script.session.get(f"{script.octo.api_url}/_double/changes") as answer:
        assert await answer.content.readline() == b"data: changed\n"
        await script.do("say", from_="ann", channel="g1", text="hello")
        await answer.content.readline()
        assert await asyncio.wait_for(answer.content.readline(), 10) == b"data: changed\n"


async def test_the_page_needs_nothing_from_elsewhere(script: Script) -> None:
    found = await crawl(script.session, script.octo.api_url, "/_double")

    assert set(found) == {
        "/_double",
        "/_double/pages/chat.css",
        "/_double/pages/chat.js",
        "/_double/pages/double.js",
    }
    assert TOKEN not in "".join(found.values())


async def test_a_bot_is_shown_typing_until_it_speaks_or_the_indicator_ends(script: Script) -> None:
    def shown() -> list[str]:
        return list(state(script.octo, clock)["conversations"][0]["typing"])

    clock = SystemClock()
    await script.call("typing", channel_id="g1", channel_type=2)
    assert shown() == ["helper_bot"]

    later = state(script.octo, Later(TYPING_SHOWN_S + 1))["conversations"][0]["typing"]
    assert later == []

    await script.call("sendMessage", channel_id="g1", channel_type=2, payload={"type": 1, "content": "hi"})
    assert shown() == []


async def test_every_other_action_is_carried_out(script: Script) -> None:
    octo = script.octo
    await script.do("errors", envelope="N")
    await script.do("ws-url", url="ws://127.0.0.1:1/nowhere")
    octo.fail_next("heartbeat", RateLimit())
    for name, body in (
        ("kick", {"uid": "helper_bot"}),
        ("drop", {}),
        ("lose", {"uid": "helper_bot"}),
        ("sockets", {"up": False}),
        ("sockets", {"up": True}),
        ("freeze", {"on": True}),
        ("freeze", {"on": False}),
        ("forget-tokens", {}),
        ("refuse-logins", {"reason": 19}),
        ("resend", {}),
        ("disband", {"group": "g1"}),
    ):
        status, told = await script.do(name, **body)
        assert status == 200, told

    assert octo.ws_url_override == "ws://127.0.0.1:1/nowhere"
    assert octo.envelope == "N"
    assert octo.login_refusal == 19


class Later(SystemClock):
    """A clock ahead of the machine's."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def now(self) -> float:
        return super().now() + self._seconds
