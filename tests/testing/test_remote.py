"""The double steered over HTTP, as a script in any language does it."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing import ManualClock, OctoDouble, RateLimit
from openclaw_channel_octo.testing.octo import remote
from openclaw_channel_octo.testing.octo.actions import ACTIONS
from openclaw_channel_octo.testing.octo.remote import UPLOAD_BYTES, Remote
from openclaw_channel_octo.testing.octo.view import PAGE, TYPING_SHOWN_S, state
from tests.testing.clients import Api, Sockets
from tests.testing.crawling import crawl

TOKEN = "bf_0123456789abcdef"
GROUP = ChannelRef("g1", 2)
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (3).to_bytes(4, "big") + (2).to_bytes(4, "big") + b"\x08\2\0\0\0"


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

    async def upload(
        self, name: str, content: bytes, kind: str = "application/octet-stream"
    ) -> tuple[int, Any]:
        url, headers = f"{self.octo.api_url}/_double/upload", {"Content-Type": kind}
        async with self.session.post(
            url, params={"name": name}, data=io.BytesIO(content), headers=headers
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


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"type": 8, "url": "http://127.0.0.1/a.pdf", "name": "a.pdf"}, "[file: a.pdf]"),
        ({"type": 2, "url": "http://127.0.0.1/a.png"}, "[picture]"),
        ({"type": 1003, "content": "somebody left"}, "[1003]"),
        ({"type": [8], "name": 7}, "[?]"),
    ],
)
async def test_a_file_is_shown_by_its_kind_and_name(
    script: Script, payload: dict[str, Any], words: str
) -> None:
    assert (await script.do("say", from_="ann", channel="g1", payload=payload))[0] == 200

    found = await script.get("/state")
    assert found["conversations"][0]["lines"][0]["text"] == words


async def test_a_long_conversation_comes_in_pieces_from_its_newest_line_to_its_oldest(script: Script) -> None:
    for number in range(PAGE + 20):
        await script.octo.say("ann", GROUP, f"**{number}**")

    newest = await script.get("/lines?of=2:g1:")
    middle = await script.get("/lines?of=2:g1:&until=130")
    oldest = await script.get("/lines?of=2:g1:&until=20")

    assert [(each["older"], each["newer"]) for each in (newest, middle, oldest)] == [
        (True, False),
        (True, True),
        (False, True),
    ]
    assert [line["body"] for line in newest["lines"]] == [f"**{number}**" for number in range(20, PAGE + 20)]
    assert [line["message_seq"] for line in oldest["lines"]] == [*range(1, 21)]
    assert newest["lines"][0]["html"] == "<p><strong>20</strong></p>\n"
    state = await script.get("/state?lines=0")
    assert (state["conversations"][0]["newest"], state["conversations"][0]["lines"]) == (PAGE + 20, [])


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/lines?of=2:nowhere:", "no conversation '2:nowhere:'"),
        ("/lines?of=2:g1:&until=x", "until is a message_seq"),
        ("/state?lines=x", "lines is a number"),
    ],
)
async def test_a_piece_that_cannot_be_shown_is_refused(script: Script, path: str, words: str) -> None:
    assert words in (await script.get(path))["error"]


@pytest.mark.parametrize(
    ("name", "content", "payload"),
    [
        ("../a b.png", PNG, {"type": 2, "name": "a b.png", "size": len(PNG), "width": 3, "height": 2}),
        ("x.svg", b"<svg/>", {"type": 8, "name": "x.svg", "size": 6, "extension": "svg"}),
        ("x.png", b"no picture", {"type": 2, "name": "x.png", "size": 10, "width": 0, "height": 0}),
    ],
)
async def test_a_file_from_a_page_can_be_said_shown_and_downloaded_and_runs_no_script(
    script: Script, name: str, content: bytes, payload: dict[str, Any]
) -> None:
    status, told = await script.upload(name, content)
    assert (status, told["ok"]) == (200, True)
    uploaded = told["result"]
    url = uploaded["url"]
    assert uploaded == {"url": url, **payload}
    await script.do("say", from_="ann", channel="g1", payload=uploaded)

    (line,) = (await script.get("/lines?of=2:g1:"))["lines"]
    (shown,) = line["files"]
    assert (line["body"], shown["name"], shown["picture"]) == ("", payload["name"], payload["type"] == 2)
    async with script.session.get(script.octo.api_url + shown["href"]) as answer:
        assert await answer.read() == content
        assert answer.headers["Content-Security-Policy"].endswith("; sandbox")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Type"] in {"image/png", "application/octet-stream"}


async def test_words_of_a_message_with_files_stand_beside_them_and_files_elsewhere_have_no_address(
    script: Script,
) -> None:
    url = script.octo.put_file("a.png", PNG)
    rich = [{"type": "text", "text": "look"}, {"type": "image", "url": url, "width": 3, "height": "2"}, "odd"]
    for payload in (
        {"type": 14, "content": rich, "plain": "look[图片]"},
        {"type": 8, "url": "javascript:alert(1)", "name": "a.pdf", "caption": "see"},
        {"type": 2, "url": f"{script.octo.api_url}/_double/state"},
    ):
        await script.do("say", from_="ann", channel="g1", payload=payload)

    lines = (await script.get("/lines?of=2:g1:"))["lines"]
    assert [line["body"] for line in lines] == ["look", "see", ""]
    assert lines[0]["files"][0] | {"href": ""} == {
        "name": "a.png",
        "href": "",
        "picture": True,
        "size": len(PNG),
        "width": 3,
        "height": 0,
    }
    assert [line["files"][0]["href"] for line in lines[1:]] == ["", ""]


async def test_files_of_pages_have_bounds(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await script.upload("large.bin", bytes(UPLOAD_BYTES + 1)))[0] == 413
    assert (await script.upload("", b"x"))[0] == 400
    assert (await script.upload("empty.txt", b""))[0] == 400
    assert (await script.upload("a.txt", b"x", "text/plain"))[0] == 415

    monkeypatch.setattr(remote, "STORED_BYTES", 10)
    assert (await script.upload("a.txt", b"12345678"))[0] == 200
    status, told = await script.upload("b.txt", b"12345678")
    assert (status, "full" in told["error"]) == (400, True)


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


@pytest.mark.parametrize(
    ("fault", "settings", "status", "body"),
    [
        ("ErrorAnswer", {}, 500, '"status":500'),
        ("ErrorAnswer", {"status": 400, "msg": "消息不存在"}, 400, "消息不存在"),
        ("ProxyPage", {}, 503, "<html>"),
        ("RateLimit", {"retry_after": None}, 429, '"status":429'),
        ("JsonAnswer", {"body": {"status": 0}}, 200, '{"status":0}'),
    ],
)
async def test_the_answer_of_the_next_call_alone_can_be_any(
    script: Script, fault: str, settings: dict[str, Any], status: int, body: str
) -> None:
    assert (await script.do("fail", call="events", fault=fault, settings=settings))[0] == 200

    url, headers = f"{script.octo.api_url}/v1/bot/events", {"Authorization": f"Bearer {TOKEN}"}
    async with script.session.post(url, json={}, headers=headers) as answer:
        assert answer.status == status
        assert body in await answer.text()
    assert await script.call("events") == 200


async def test_a_script_puts_a_command_without_a_channel_on_a_bots_connection(script: Script) -> None:
    typing = {"type": 99, "cmd": "typing", "param": {"from_uid": "ann", "channel_id": "ann"}}
    async with Sockets(script.octo) as sockets:
        bot = await sockets.connected()
        body = {"uid": "helper_bot", "channel": "", "type": 1, "command": True, "copies": 2}
        status, told = await script.do("inject", payload=typing, **body)
        seen = [await bot.message(), await bot.message()]

    assert (status, [str(each.message_id) for each in seen]) == (200, [told["result"]] * 2)
    for each in seen:
        assert (each.from_uid, each.channel_id, each.channel_type, each.message_seq) == ("", "", 1, 0)
        assert json.loads(each.payload) == typing


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
        ("fail", {"fault": "Slow", "settings": {"hours": 1}}, "settings.hours: Extra inputs"),
        ("fail", {"fault": "Slow", "settings": {"seconds": "long"}}, "settings.seconds: Input should be"),
        ("fail", {"fault": "ProxyPage", "settings": {"status": 99999}}, "settings.status: Input should be"),
        (
            "fail",
            {"fault": "RateLimit", "settings": {"status": 429}},
            "RateLimit takes retry_after, not status",
        ),
        ("fail", {"fault": "Refuse", "settings": {"status": 429}}, "Refuse takes none, not status"),
        ("kick", {"uid": "helper"}, "no account 'helper'; there are ann, helper_bot"),
        ("drop", {"uid": "helper"}, "no account 'helper'"),
        ("lose", {"uid": "helper"}, "no account 'helper'"),
        ("inject", {"uid": "helper", "payload": {}}, "no account 'helper'"),
        ("inject", {"uid": "helper_bot", "payload": {}}, "helper_bot is not connected"),
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


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example", "http://["]
)
async def test_a_page_of_another_site_cannot_play_the_bot_or_anybody(script: Script, origin: str) -> None:
    headers = {"Origin": origin}
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await script.session.ws_connect(script.octo.ws_url, headers=headers)
    assert refused.value.status == 403
    async with script.session.post(
        f"{script.octo.api_url}/_double/do/heal", json={}, headers=headers
    ) as answer:
        assert answer.status == 403

    async with script.session.ws_connect(script.octo.ws_url, headers={"Origin": script.octo.api_url}) as own:
        assert not own.closed


async def test_no_other_site_can_put_the_page_into_a_frame(script: Script) -> None:
    async with script.session.get(f"{script.octo.api_url}/_double") as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy


async def test_whoever_listens_is_told_of_every_change(script: Script) -> None:
    async with script.session.get(f"{script.octo.api_url}/_double/changes") as answer:
        assert await answer.content.readline() == b"data: changed\n"
        await script.do("say", from_="ann", channel="g1", text="hello")
        await answer.content.readline()
        assert await asyncio.wait_for(answer.content.readline(), 60) == b"data: changed\n"


async def test_the_page_needs_nothing_from_elsewhere(script: Script) -> None:
    found = await crawl(script.session, script.octo.api_url, "/_double")

    assert set(found) == {
        "/_double",
        *(f"/_double/pages/{name}.js" for name in ("chat", "compose", "dom", "double", "messages", "words")),
        "/_double/pages/chat.css",
        "/_double/pages/icon.svg",
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


async def test_typing_that_the_server_swallows_is_not_shown() -> None:
    clock = ManualClock()
    async with OctoDouble(clock) as octo, Api(octo) as api:
        octo.add_bot("helper_bot", TOKEN, name="Helper")
        octo.add_group("g1", ["helper_bot"])

        async def shown_after_typing() -> bool:
            await api.post("/v1/bot/typing", {"channel_id": "g1", "channel_type": 2})
            return bool(state(octo, clock)["conversations"][0]["typing"])

        assert await shown_after_typing()
        await clock.advance(89)
        assert await shown_after_typing()
        await clock.advance(20)
        assert not await shown_after_typing()

        await api.send(GROUP, {"type": 1, "content": "still at it"})
        assert await shown_after_typing()


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
