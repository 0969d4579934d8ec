"""The playground: what its page asks for, and the program that serves it."""

import asyncio
import json
import re
import signal
import socket
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from openclaw_channel_octo.cli.playground.app import SLOW_S, TOKEN, Settings, configured, plain
from openclaw_channel_octo.cli.playground.server import served
from openclaw_channel_octo.config.load import parse_config
from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store.states import OPEN
from openclaw_channel_octo.testing.octo.double import OctoDouble
from tests.cli.asking import call
from tests.processes import gone
from tests.programs import PROGRAM, write
from tests.runtime.rig import FastClock
from tests.testing.crawling import crawl
from tests.until import until

ROOM = ChannelRef("build-room", 2)
RESTART = "⚠️ Previous session failed, restarting..."


@dataclass
class Page:
    """What the page does, without a browser."""

    octo: OctoDouble
    session: aiohttp.ClientSession

    async def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        async with self.session.post(self.octo.api_url + path, json=body) as answer:
            return answer.status, await answer.json()

    async def switch(self, **body: Any) -> None:
        status, told = await self.post("/_playground/switch", body)
        assert (status, told) == (200, {"ok": True})

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.session.get(self.octo.api_url + path) as answer:
            return answer.status, await answer.json()

    async def state(self, query: str = "") -> Any:
        return (await self.get("/_playground/state" + query))[1]

    async def room(self) -> Any:
        return next(
            each for each in (await self.state())["sessions"] if each["conversation"] == "2:build-room:"
        )

    async def ask(self, text: str, *, until: str) -> None:
        """Let Ann mention the bot, and wait until it has said something."""
        await self.octo.say("ann", ROOM, text, mention=["helper_bot"])
        await self.until(lambda lines: any(line.endswith(f"sendMessage {until}") for line in lines))

    async def until(self, found: Callable[[list[str]], bool]) -> None:
        async with asyncio.timeout(60):
            changed = self.octo.changed()
            while not found(await self.timeline()):
                await changed
                changed = self.octo.changed()

    def said(self) -> list[str]:
        return [line.text for line in self.octo.chat(ROOM) if line.from_uid == "helper_bot"]

    async def timeline(self) -> list[str]:
        entries = (await self.state())["timeline"]
        return [f"{each['kind']}: {each['says'].format_map(each['told'])}" for each in entries]


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Page]:
    # A turn may take ten seconds and an announcement five: a clock much faster gives a busy machine no time for them.
    async with served(settings, FastClock(5)) as octo, aiohttp.ClientSession() as session:
        yield Page(octo, session)


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with opened(plain(tmp_path)) as found:
        yield found


async def test_the_life_of_a_session_is_told_in_order(page: Page) -> None:
    await page.switch(nextTurn="fail")
    await page.ask("one", until="⚠️ Something went wrong while I was working on that. Please try again.")
    await page.ask("two", until="@Helper two")

    told = iter(re.sub("run [0-9a-f]{8}", "run", line) for line in await page.timeline())
    for wanted in (
        "connection: the bot is connected",
        "said: Ann: @Helper one",
        "turn: run starts for Ann",
        "status: session status running",
        "turn: run ends failed: the turn was made to fail",
        "status: session status failed",
        "call: sendMessage ⚠️ Something went wrong",
        "said: Ann: @Helper two",
        f"notice: sendMessage {RESTART}",
        "turn: session recovered",
        "status: session status idle",
        "turn: run starts for Ann",
        "status: session status running",
        "turn: run ends",
        "status: session status done",
        "call: sendMessage @Helper two",
    ):
        assert any(line.startswith(wanted) for line in told), f"missing, or not in its place: {wanted}"


@pytest.mark.parametrize(
    ("turn", "notice", "status"),
    [
        ("fail", "⚠️ Something went wrong while I was working on that. Please try again.", "failed"),
        ("hang", "⚠️ That took too long, so I stopped.", "timeout"),
        ("empty", "⚠️ I finished, but had nothing to say.", "done"),
        ("cut", "✂️ I reached the length limit of an answer before I was done.", "done"),
    ],
)
async def test_only_the_next_turn_goes_wrong_and_its_session_says_so(
    page: Page, turn: str, notice: str, status: str
) -> None:
    await page.switch(nextTurn=turn)
    assert (await page.state())["next_turn"] == turn

    await page.ask("one", until=notice)
    room = await page.room()
    await page.ask("two", until="@Helper two")

    assert room["status"] == status
    assert ("the restart is announced" in room["verdict"]) == (status != "done")
    assert (await page.state())["next_turn"] == "answer"
    assert page.said().count(RESTART) == (status != "done")


async def test_an_answer_that_is_too_long_ends_with_a_file_of_all_of_it(page: Page) -> None:
    await page.switch(nextTurn="long")
    await page.octo.say("ann", ROOM, "one", mention=["helper_bot"])
    await page.octo.wait_for(lambda: len(page.said()) == 10, timeout=60)
    await page.ask("two", until="@Helper two")

    *beginning, whole, _ = (line for line in page.octo.chat(ROOM) if line.from_uid == "helper_bot")
    assert [line.text[:13] for line in beginning] == ["This is line "] * 9
    assert page.octo.file(whole.payload["url"]).content.startswith(beginning[0].text.encode())


async def test_while_sending_is_slow_an_answer_can_be_stopped_between_its_parts(tmp_path: Path) -> None:
    settings = plain(tmp_path)
    bot = settings.bot.model_copy(update={"max_reply_messages": 100})
    async with opened(replace(settings, bot=bot)) as page:
        await page.switch(nextTurn="long", slow=True)
        assert (await page.state())["slow"] is True
        await page.octo.say("ann", ROOM, "one", mention=["helper_bot"])
        await page.octo.wait_for(lambda: len(page.said()) == 2, timeout=60)
        first, second = [call.at for call in page.octo.calls if call.name == "sendMessage"][:2]
        assert second - first >= SLOW_S
        await page.octo.say("ann", ROOM, "/status", mention=["helper_bot"])
        await page.until(lambda lines: any(re.search(r"Sending part \d+ of 100$", line) for line in lines))
        await page.ask("/stop", until="⏹️ Stopped.")
        await page.switch(slow=False)
        await page.ask("two", until="@Helper two")

        assert (await page.state())["slow"] is False
        assert sum(text.startswith("This is line ") for text in page.said()) < 99


async def test_what_the_gate_decided_stands_beside_a_message(page: Page) -> None:
    talk = await page.octo.say("ben", ROOM, "good morning")
    others = await page.octo.say("ben", ROOM, "look", mention=["ann"])
    asked = await page.octo.say("ann", ROOM, "hello", mention=["helper_bot"])
    await page.until(lambda lines: any(line.endswith("sendMessage @Helper hello") for line in lines))

    fates = (await page.state(f"?of={talk},{others},{asked},1"))["fates"]
    assert {name: (fate["decision"], fate["reason"]) for name, fate in fates.items()} == {
        talk: ("context", "no mention"),
        others: ("context", "no mention"),
        asked: ("turn", "uid"),
    }
    assert (await page.state())["fates"] == {}


async def test_where_nobody_has_to_mention_the_bot_the_gate_says_so(tmp_path: Path) -> None:
    settings = plain(tmp_path)
    bot = settings.bot.model_copy(update={"require_mention": False})
    async with opened(replace(settings, bot=bot)) as page:
        others = await page.octo.say("ben", ROOM, "look", mention=["ann"])
        await page.octo.say("ben", ROOM, "hello")
        await page.until(lambda lines: any(line.endswith("sendMessage hello") for line in lines))
        assert (await page.state(f"?of={others}"))["fates"][others]["reason"] == "names others only"


async def test_the_prompt_of_a_run_is_shown_part_by_part_without_secrets(tmp_path: Path) -> None:
    settings = replace(plain(tmp_path), secrets=(SecretStr("sk-0123456789"),))
    async with opened(settings) as page:
        await page.octo.say("ben", ROOM, "the build is red")
        await page.ask("my key is sk-0123456789", until="@Helper my key is sk-0123456789")

        (run,) = (await page.state())["prompts"]
        starts = [each["run_id"] for each in (await page.state())["timeline"] if each["run_id"]]
        status, told = await page.get(f"/_playground/prompts/{run}")
        parts = {part["title"]: part["text"] for part in told["parts"]}
        assert (starts, status) == ([run], 200)
        assert "Ben (ben): the build is red" in parts["Said around it"]
        assert parts["The request"] == "@Helper my key is ***"
        assert list(parts)[-1] == "The request"
        assert (await page.get("/_playground/prompts/nothing"))[0] == 404


async def test_with_the_guard_off_a_failed_session_stays_silent_until_it_is_on_again(page: Page) -> None:
    await page.switch(guard=False, nextTurn="fail")
    await page.ask("one", until="⚠️ Something went wrong while I was working on that. Please try again.")
    assert "then silence" in (await page.room())["verdict"]

    two = await page.octo.say("ann", ROOM, "two", mention=["helper_bot"])
    await page.until(lambda lines: any("skipped by the host" in line for line in lines))
    async with asyncio.timeout(60):
        while (await page.state(f"?of={two}"))["fates"][two]["state"] in OPEN:
            pass  # the page asks again and again, too
    assert len(page.said()) == 1

    await page.switch(guard=True)
    await page.ask("three", until="@Helper three")
    assert page.said()[1:] == [RESTART, "@Helper three"]


async def test_a_cut_connection_is_told_and_comes_back(page: Page) -> None:
    await page.post("/_double/do/drop", {"uid": "helper_bot"})
    await page.until(lambda lines: lines.count("connection: the bot is connected") == 2)

    assert "connection: the bot's connection is gone" in await page.timeline()
    await page.ask("still there?", until="@Helper still there?")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"nextTurn": "explode"}, "nextTurn"),
        ({"nextTurns": "fail"}, "nextTurns: Extra inputs"),
        ({"guard": "perhaps"}, "guard"),
        ({"slow": "perhaps"}, "slow"),
    ],
)
async def test_a_wrong_switch_is_named_and_changes_nothing(
    page: Page, body: dict[str, Any], words: str
) -> None:
    status, told = await page.post("/_playground/switch", body)

    assert (status, told["ok"]) == (400, False)
    assert words in told["error"]
    state = await page.state()
    assert (state["next_turn"], state["guard"]) == ("answer", True)


async def test_pages_of_other_sites_are_refused(page: Page) -> None:
    for path in ("/", "/_playground/state"):
        async with page.session.get(page.octo.api_url + path, headers={"Host": "evil.example:80"}) as answer:
            assert answer.status == 403
    async with page.session.post(
        page.octo.api_url + "/_playground/switch",
        data=b'{"guard": false}',
        headers={"Content-Type": "text/plain"},
    ) as answer:
        assert answer.status == 415
    assert (await page.state())["guard"] is True


async def test_the_pages_need_nothing_from_elsewhere_and_hold_no_token(page: Page) -> None:
    found = await crawl(page.session, page.octo.api_url, "/")

    assert set(found) == {
        "/",
        *(f"/_double/pages/{name}.js" for name in ("chat", "compose", "dom", "messages", "words")),
        "/_double/pages/chat.css",
        "/_double/pages/icon.svg",
        *(f"/_playground/pages/{name}" for name in ("chinese.js", "playground.css", "playground.js")),
    }
    assert TOKEN not in "".join([*found.values(), json.dumps(await page.state())])


@pytest.mark.parametrize("name", ["nothing.js", "..%2fstage.py", "%2e%2e", "stage.py"])
async def test_no_other_file_is_served(page: Page, name: str) -> None:
    async with page.session.get(f"{page.octo.api_url}/_playground/pages/{name}") as answer:
        assert answer.status == 404


CONFIGURED: dict[str, Any] = {
    "channels": {
        "octo": {
            "guard": {"noticeText": "One moment, starting anew."},
            "accounts": {
                "off": {"botToken": "bf_off_0123456789", "enabled": False},
                "desk": {
                    "botToken": "bf_real_0123456789",
                    "apiUrl": "https://octo.example/api",
                    "wsUrl": "wss://octo.example/ws",
                },
            },
        }
    },
    "host": {
        "agentId": "clerk",
        "agent": {"kind": "command", "command": ["sed", "s/.*/heard/;q"]},
        "timeoutSeconds": 120,
    },
}


async def test_a_configured_bot_brings_its_agent_and_its_words_but_not_its_server(tmp_path: Path) -> None:
    config = parse_config(CONFIGURED, base=tmp_path, env={}).config
    async with opened(configured(config, tmp_path)) as page:
        await page.switch(nextTurn="fail")
        await page.ask("one", until="⚠️ Something went wrong while I was working on that. Please try again.")
        await page.ask("two", until="heard")

        assert page.said()[1:] == ["One moment, starting anew.", "heard"]
        assert (await page.room())["session_key"] == "agent:clerk:octo:group:build-room"
        assert "bf_real" not in json.dumps(await page.state())


async def test_settings_of_a_configured_agent_hold(tmp_path: Path) -> None:
    agent = {"kind": "command", "command": ["printf", "<think>hm</think>Hi"], "hideThinking": False}
    host = {**CONFIGURED["host"], "agent": agent}
    config = parse_config({**CONFIGURED, "host": host}, base=tmp_path, env={}).config
    async with opened(configured(config, tmp_path)) as page:
        await page.ask("one", until="<think>hm</think>Hi")
        assert page.said() == ["<think>hm</think>Hi"]


def test_a_gateways_bot_or_one_that_is_off_cannot_be_played_with(tmp_path: Path) -> None:
    gateway = parse_config({**CONFIGURED, "host": {"kind": "gateway"}}, base=tmp_path, env={}).config
    with pytest.raises(ConfigError, match="only agents of the embedded host"):
        configured(gateway, tmp_path)
    config = parse_config(CONFIGURED, base=tmp_path, env={}).config
    with pytest.raises(ConfigError, match='account "off" is off'):
        configured(config, tmp_path, "off")


async def test_the_program_serves_its_page_until_ctrl_c_and_leaves_nothing(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "playground", "--port", "0", stdout=PIPE, stderr=PIPE, env={"TMPDIR": str(tmp_path)}
    )
    assert process.stdout is not None
    first = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
    url = first.split()[1]
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert "Octo playground" in await answer.text()
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 60)

    assert (process.returncode, err) == (0, b"")
    assert b"Ctrl-C ends it" in out
    assert list(tmp_path.iterdir()) == []


async def test_a_program_that_answers_ends_with_the_playground_however_that_ends(tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    agent = {"kind": "command", "command": ["sh", "-c", f"echo $$ > {noted}; exec sleep 600"]}
    bot = {"apiUrl": "${OCTO_API_URL}", "botToken": "${OCTO_BOT_TOKEN}"}  # not set, and not needed
    config = write(tmp_path, {"channels": {"octo": bot}, "host": {"agent": agent}})
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "playground", "--config", config, "--port", "0", stdout=PIPE
    )
    try:
        assert process.stdout is not None
        url = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().split()[1]
        say = {"from": "ann", "channel": "build-room", "text": "@Helper hello", "mention": ["helper_bot"]}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url}/_double/do/say", json=say) as answer,
        ):
            assert answer.status == 200, await answer.text()
        pid = await until(lambda: noted.exists() and int(noted.read_text() or 0), "the program")
    finally:
        process.kill()
        await process.wait()
    await gone(pid)


def test_what_keeps_it_from_starting_is_named(tmp_path: Path) -> None:
    broken = write(tmp_path, "{}")
    result = call("playground", "--config", broken, code=2)
    assert f"{broken}: channels.octo: missing" in result.stderr

    result = call("playground", "--account", "helper", code=2)
    assert "give that with --config" in result.stderr

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = call("playground", "--port", port, code=2)
    assert f"cannot start on port {port}" in result.stderr
