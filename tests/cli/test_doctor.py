"""`openclaw-octo doctor`: what it looks at, what it leaves alone, and what it puts right.

Each way to break a bot is a row of test_broken_bots.py.
"""

import asyncio
import errno
import json
import os
import re
import shutil
import sys
import threading
from asyncio.subprocess import PIPE
from collections import namedtuple
from pathlib import Path

import pytest
from aiohttp import web

from openclaw_channel_octo.cli.doctor.bot import check_bot
from openclaw_channel_octo.cli.doctor.look import STATE_WITHIN_S
from openclaw_channel_octo.cli.doctor.running import Running
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.load import parse_config
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.runtime.connection.holders import process_words
from openclaw_channel_octo.testing.gateway.server import FakeGateway
from openclaw_channel_octo.testing.host import ScriptedHost
from openclaw_channel_octo.testing.octo.double import OctoDouble
from openclaw_channel_octo.testing.octo.faults import ErrorAnswer
from openclaw_channel_octo.testing.octo.wire_server import ServerConnection
from openclaw_channel_octo.wire.crypto import KeyPair
from openclaw_channel_octo.wire.packets import ReasonCode
from tests.cli.asking import command, controlled
from tests.cli.examining import AGENT, KEY, examined, impatient, nowhere_for_a_socket
from tests.runtime.rig import HELPER, OTHER_TOKEN, TOKEN, MovedClock, Rig
from tests.serving import serving
from tests.until import until

Usage = namedtuple("Usage", "total used free")  # noqa: PYI024  # what shutil returns

pytestmark = pytest.mark.usefixtures("quick", "unknown_names")


async def test_a_healthy_bot_is_told_so_in_a_few_lines(rig: Rig) -> None:
    result = await examined(rig, rig.config(agent=AGENT))

    *fine, unasked = result.stdout.splitlines()
    assert all(line.startswith("✓") for line in fine)
    assert unasked.startswith("- agent's answer: not looked at: that is a turn")
    for words in ("takes the token", "helper: groups: 1", "the socket takes the bot", "from the server's"):
        assert words in result.stdout


async def test_a_running_bot_is_left_alone(rig: Rig) -> None:
    config = rig.config(agent=AGENT)
    await rig.start(config, ScriptedHost())
    registered = len(rig.calls("register"))

    result = await examined(rig, config)

    this = process_words(os.getpid())
    assert f"{this} on this machine runs this bot" in result.stdout
    assert f"logging in would kick {this}" in result.stdout
    assert len(rig.calls("register")) == registered
    await rig.mention("still there?")
    assert await rig.until_said(1)


async def test_without_register_nobody_is_kicked(rig: Rig) -> None:
    result = await examined(rig, rig.config(agent=AGENT), "--no-register")

    assert "login: not looked at: --no-register" in result.stdout
    assert not rig.calls("register")


async def test_programs_get_one_object(rig: Rig) -> None:
    rig.octo.remove_member("g1", HELPER)
    result = await examined(rig, rig.config(agent=AGENT), "--json", code=1)

    told = json.loads(result.stdout)
    assert told["worst"] == "warning"
    assert told["findings"][0]["subject"] == "helper: groups"
    assert set(told["findings"][0]) == {"level", "subject", "words", "advice", "skipped"}


async def test_programs_get_one_object_for_a_configuration_that_cannot_be_read_too(tmp_path: Path) -> None:
    result = await command("doctor", "--config", tmp_path, "--json", code=2)

    told = json.loads(result.stdout)["findings"][0]
    assert told["words"] == "cannot be read: it is a folder, not a regular file"


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES])
async def test_a_file_that_is_not_there_or_not_for_this_user_comes_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("openclaw_channel_octo.config.files.read_regular", fail)
    file = tmp_path / "octo.json"
    line, advice = (await command("doctor", "--config", file, code=2)).stdout.splitlines()[:2]

    assert line == f"✗ configuration: cannot be read: {os.strerror(number)}"
    init = f"or make one: openclaw-octo init --config {file}"
    assert {errno.ENOENT: init, errno.EACCES: "let this user read it"}[number] in advice


async def test_an_account_nobody_has_comes_with_those_there_are(rig: Rig) -> None:
    result = await examined(rig, rig.config(agent=AGENT), "--account", "hepler", code=2)

    line, advice = result.stdout.splitlines()[:2]
    assert line == "✗ configuration: there is no account 'hepler'; known: helper"
    assert "name one of those" in advice


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
async def test_a_state_folder_of_another_user_keeps_the_bots_from_starting_and_is_told(rig: Rig) -> None:
    rig.state_dir.mkdir(mode=0o700)
    os.chown(rig.state_dir, 65_534, 65_534)
    result = await examined(rig, rig.config(agent=AGENT), code=2)
    assert f"✗ state folder: {rig.state_dir} belongs to another user (uid 65534)" in result.output


async def test_a_bot_whose_token_cannot_be_read_is_named_and_hides_no_other(rig: Rig) -> None:
    config = rig.config(agent=AGENT, bots={"helper": TOKEN, "bad": "${NOT_SET_ANYWHERE}"})
    result = await examined(rig, config, "--no-register", code=2)
    bad = [line for line in result.stdout.splitlines() if line[2:].startswith("bad:")]
    assert bad == [
        "✗ bad: token: channels.octo.accounts.bad.botToken: the environment variable NOT_SET_ANYWHERE is not set",
        f"✓ bad: server: {rig.octo.api_url} answers",
    ]
    assert "✓ helper: server:" in result.stdout
    assert "bad" not in (await examined(rig, config, "--no-register", "--account", "helper")).stdout


async def test_a_wrong_socket_address_comes_with_the_right_one(rig: Rig) -> None:
    nowhere_for_a_socket(rig)
    result = await examined(rig, rig.config(agent=AGENT), code=2)

    assert f'set "wsUrl": "{rig.octo.ws_url}"' in result.stdout


async def test_another_program_with_the_same_bot_is_noticed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openclaw_channel_octo.cli.doctor.bot.QUIET_S", 20.0)

    async def steal() -> None:
        await rig.octo.wait_for(lambda: rig.octo.online(HELPER))
        rig.octo.kick(HELPER)

    thief = asyncio.create_task(steal())
    result = await examined(rig, rig.config(agent=AGENT), code=2)
    await thief

    assert "somebody else connected with this bot at once" in result.stdout.splitlines()[0]


@pytest.mark.parametrize("reason", [200, *(code for code in ReasonCode if code != ReasonCode.SUCCESS)])
async def test_each_reason_of_a_refused_login_is_named_with_what_to_do(rig: Rig, reason: int) -> None:
    rig.octo.login_refusal = reason
    result = await examined(rig, rig.config(agent=AGENT), code=2)

    line, advice = result.stdout.splitlines()[:2]
    name = reason.name.lower().replace("_", " ") if isinstance(reason, ReasonCode) else "unknown"
    assert line == f"✗ helper: login: the IM server refuses the bot: reason {int(reason)}, {name}"
    own = {
        2: "stop the other",
        14: "its disk",
        18: "set wsUrl",
        19: "banned the bot",
        22: "wait a minute",
        27: "newer",
    }
    assert own.get(reason, "") in advice


async def test_a_kick_during_the_login_is_no_refusal(rig: Rig) -> None:
    async def kick(request: web.Request) -> web.WebSocketResponse:
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        connection = ServerConnection(key_pair=KeyPair.from_private_bytes(bytes(32)), salt="0123456789abcdef")
        connection.receive(await answer.receive_bytes())
        connection.disconnect()
        for packet in connection.outgoing():
            await answer.send_bytes(packet)
        await answer.receive()
        return answer

    async with serving("/ws", kick) as url:
        rig.octo.ws_url_override = f"ws{url.removeprefix('http')}/ws"
        result = await examined(rig, rig.config(agent=AGENT), code=2)

    line, advice = result.stdout.splitlines()[:2]
    assert line == "✗ helper: login: the connection was kicked before the login was through"
    assert "stop the other program" in advice


async def test_before_it_kicks_anybody_the_doctor_says_so(rig: Rig) -> None:
    said_first: list[bool] = []

    def listen(words: str) -> None:
        said_first.append(not rig.calls("register"))
        assert words.startswith("helper: registering now. If this bot is connected elsewhere")
        assert "--no-register" in words

    config = parse_config(rig.config(agent=AGENT), base=rig.state_dir, env={}).config
    found = await check_bot(config.accounts["helper"], running=Running(), register=None, tell=listen)

    assert said_first == [True]
    assert rig.calls("register")
    assert max(each.level for each in found) == 0
    shown = await examined(rig, rig.config(agent=AGENT))
    assert "helper: registering now" in shown.stderr
    assert "registering now" not in (await examined(rig, rig.config(agent=AGENT), "--no-register")).stderr


async def test_a_clock_that_is_an_hour_off_is_named(tmp_path: Path) -> None:
    async with OctoDouble(MovedClock(-3_600)) as octo:
        rig = Rig(octo, tmp_path / "state", SystemClock())
        result = await examined(rig, rig.config(agent=AGENT), code=1)

    assert result.stdout.startswith("! helper: clock: ")
    first = result.stdout.splitlines()[0]
    assert re.search(r"-3(59|60)\d s from the server's", first)  # a busy machine is late


@pytest.mark.parametrize(("free", "code", "mark"), [(10 * 1024 * 1024, 2, "✗"), (300 * 1024 * 1024, 1, "!")])
async def test_a_disk_that_is_full_or_nearly(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, free: int, code: int, mark: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free, 0, free))
    result = await examined(rig, rig.config(agent=AGENT), code=code)

    assert result.stdout.startswith(f"{mark} disk: ")


async def test_messages_nobody_answered_are_counted(rig: Rig) -> None:
    config = rig.config(agent=AGENT)
    await rig.start(config, ScriptedHost())
    rig.octo.fail_next("sendMessage", ErrorAnswer(status=403, code="not_group_member"), times=None)
    dead = await rig.mentioned("nobody can answer this", "dead")
    await rig.stop()
    rig.octo.heal()

    result = await examined(rig, config, code=2)

    first, advice = result.stdout.splitlines()[:2]
    assert first.startswith("✗ helper: turns: the last turn gave no answer, the latest ")
    assert "the bot may not do this here" in first
    assert f"journal show {dead} --store {rig.state_dir}" in advice
    assert "! journal: messages without an answer or a notice: 1" in result.stdout


async def test_a_socket_that_says_nothing_is_named(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)

    async def silent(request: web.Request) -> web.WebSocketResponse:
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        async for _ in answer:
            pass
        return answer

    async with serving("/ws", silent) as url:
        rig.octo.ws_url_override = f"ws{url.removeprefix('http')}/ws"
        result = await examined(rig, rig.config(agent=AGENT), code=2)

    assert "✗ helper: login: no answer within" in result.stdout.splitlines()[0]


async def test_an_endpoint_that_says_nothing_gets_no_programs_advice(rig: Rig) -> None:
    async def answer(_: web.Request) -> web.Response:
        message = {"role": "assistant", "content": ""}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        return web.json_response({"data": [{"id": "mine"}], "choices": choices})

    async with serving("/{path:.*}", answer) as url:
        agent = {"kind": "openai", "baseUrl": f"{url}/v1", "model": "mine"}
        result = await examined(rig, rig.config(agent=agent), "--ask-agent", code=2)

    line, advice = result.stdout.splitlines()[:2]
    assert line.startswith("✗ agent's answer: ")
    assert "standard output" not in advice
    assert advice.startswith("    → ask the endpoint by hand")


MINE = "answers and has the model mine"


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        pytest.param({"error": "no"}, 401, 2, "refuses the key (HTTP 401)", id="a refused key"),
        pytest.param({"data": [{"id": "other"}]}, 200, 2, "has no model mine", id="an unknown model"),
        pytest.param("<html>", 200, 2, "answers no JSON", id="a page"),
        pytest.param("", 404, 1, "lists no models (HTTP 404)", id="no list"),
        pytest.param({"data": None}, 200, 2, "has no model mine", id="no model"),
        pytest.param(["mine"], 200, 1, "lists no models", id="a list of something else"),
        pytest.param('"mine"', 200, 1, "lists no models", id="something else"),
        pytest.param({"data": [{"id": "mine"}]}, 200, 0, MINE, id="all is well"),
        pytest.param({"data": [{"id": "mine:latest"}]}, 200, 0, MINE, id="a newest one"),
        pytest.param({"data": [{"id": "models/mine"}]}, 200, 0, MINE, id="one with its folder"),
    ],
)
async def test_an_endpoint_is_asked_for_its_models(
    rig: Rig, body: object, status: int, code: int, words: str
) -> None:
    async def models(request: web.Request) -> web.Response:
        assert request.headers["X-Tenant"] == "blue team"
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(
            text=text, status=status, content_type="text/html" if text[:1] == "<" else "application/json"
        )

    async with serving("/v1/models", models) as url:
        agent = {"kind": "openai", "baseUrl": f"{url}/v1", "model": "mine", "apiKey": KEY}
        more = {"headers": {"X-Tenant": "blue team"}}
        result = await examined(rig, rig.config(agent={**agent, **more}), code=code)

    assert words in result.stdout


HOLD = """
import sys
from pathlib import Path
from openclaw_channel_octo.host.locks import OwnerLock
OwnerLock(Path(sys.argv[1]) / "host.lock").acquire()
print("held", flush=True)
sys.stdin.read()
"""


async def test_a_folder_another_process_holds_is_named_with_that_process(rig: Rig) -> None:
    rig.state_dir.mkdir(mode=0o700)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLD, str(rig.state_dir)), stdin=PIPE, stdout=PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"held\n"
    result = await examined(rig, rig.config(agent=AGENT), code=1)
    await process.communicate(b"")

    line, advice = result.stdout.splitlines()[:2]
    assert line.startswith(
        f"! state folder: process {process.pid} works with {rig.state_dir}, but: nothing answers"
    )
    assert f"stop process {process.pid}" in advice


async def test_an_answer_that_cannot_be_sent_is_told_with_the_time_the_api_fails_since(rig: Rig) -> None:
    config = rig.config(agent=AGENT)
    await rig.start(config)
    rig.octo.fail_next("sendMessage", ErrorAnswer(status=500), times=None)
    message_id = await rig.mention("go")
    await until(lambda: bool(rig.channel.status().unsent), "an answer that waits")
    async with controlled(rig):
        result = await examined(rig, config, code=1)

    assert re.match(
        r"! answers: an answer to \S+:group:g1 cannot be sent, API fails for \d+ s, since 20", result.stdout
    )
    assert f"✓ journal: oldest without an end: message {message_id}, " in result.stdout
    assert "no message went" not in result.stdout


async def test_a_process_that_runs_the_bots_is_no_trouble(rig: Rig) -> None:
    await rig.start(rig.config(agent=AGENT))
    async with controlled(rig):
        result = await examined(rig, rig.config(agent=AGENT))

    assert f"✓ state folder: process {os.getpid()} runs bots with" in result.stdout


async def until_told(rig: Rig, state: str, why: str = "") -> None:
    """Wait until the running bot says this of its connection."""
    channel = rig.channel

    def told() -> bool:
        status = channel.status().bots["helper"]
        return status.state == state and why in status.why

    await until(told, lambda: f"{state} as the bot's state: {channel.status()}")


@pytest.mark.parametrize("place", ["botToken", "file", "env"])
async def test_a_revoked_token_is_named_before_the_kick_with_the_place_it_is_read_from(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (rig.state_dir.parent / "token").write_text(TOKEN)
    (rig.state_dir.parent / "token").chmod(0o600)
    monkeypatch.setenv("HELPER_OCTO_TOKEN", TOKEN)
    config = rig.config(agent=AGENT)
    await rig.start(config)
    rig.octo.change_token(HELPER, "bf_new0123456789ab")
    rig.octo.kick(HELPER)
    await until_told(rig, "kicked")
    source = {"file": {"source": "file", "id": "token"}, "env": "${HELPER_OCTO_TOKEN}"}.get(place, TOKEN)
    config["channels"]["octo"]["accounts"]["helper"]["botToken"] = source
    async with controlled(rig):
        result = await examined(rig, config, code=2)

    line, advice = result.stdout.splitlines()[:2]
    assert line == f"✗ helper: token: {rig.octo.api_url} is an Octo server and refuses it (HTTP 401)"
    where = {
        "botToken": "put it into botToken, and reload",
        "file": f"put it to where it is read, the file {rig.state_dir.parent / 'token'}, and reload",
        "env": "put it to where it is read, the environment variable HELPER_OCTO_TOKEN, and reload",
    }
    assert where[place] in advice


async def test_running_bots_are_asked_how_their_connections_are(rig: Rig) -> None:
    config = rig.config(agent=AGENT)
    await rig.start(config)
    async with controlled(rig):
        well = await examined(rig, config)
        rig.octo.kick(HELPER)
        await until_told(rig, "kicked")
        kicked = await examined(rig, config, code=2)
        bots = {"helper": TOKEN, "second": OTHER_TOKEN}
        both = await examined(rig, rig.config(agent=AGENT, bots=bots), code=2)

    assert f"✓ helper: connection: process {os.getpid()} is online with it for" in well.stdout
    line, advice = kicked.stdout.splitlines()[:2]
    assert line.startswith(f"✗ helper: connection: process {os.getpid()} is kicked with it for")
    assert "stop the other program" in advice
    assert f"✗ second: connection: process {os.getpid()} does not run this bot" in both.stdout


@pytest.mark.parametrize(("settled_ms", "mark", "code"), [(60_000, "!", 1), (0, "✗", 2)])
async def test_a_running_bot_that_cannot_connect_is_no_healthy_one(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, settled_ms: int, mark: str, code: int
) -> None:
    monkeypatch.setattr("openclaw_channel_octo.cli.doctor.running.SETTLED_MS", settled_ms)
    nowhere_for_a_socket(rig)
    config = rig.config(agent=AGENT)
    await rig.start_blind(config)
    await until_told(rig, "connecting", "cannot open")
    async with controlled(rig):
        result = await examined(rig, config, code=code)

    line, advice = result.stdout.splitlines()[:2]
    assert line.startswith(f"{mark} helper: connection: process {os.getpid()} is connecting with it for")
    assert "cannot open a WebSocket" in line
    assert "wsUrl" in advice


async def test_files_of_another_user_are_named_and_nobody_is_told_to_throw_them_away(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.start(rig.config(agent=AGENT))
    await rig.stop()
    allowed = os.access
    journal = rig.state_dir / "octo.sqlite"
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != journal and allowed(path, mode))
    result = await examined(rig, rig.config(agent=AGENT), code=2)

    line, advice = result.stdout.splitlines()[:2]
    assert line == f"✗ state folder: {journal} cannot be read and written"
    assert "make it this user's" in advice
    assert "move" not in result.stdout


async def test_a_session_with_a_status_nobody_knows_is_answered_and_so_is_fine(rig: Rig) -> None:
    rig.write_session({"status": "wobbly", "sessionId": "s"})
    rig.state_dir.chmod(0o700)
    result = await examined(rig, rig.config(agent=AGENT))

    assert "✓ sessions" in result.stdout


async def test_a_journal_that_was_only_begun_is_none_yet(rig: Rig) -> None:
    rig.state_dir.mkdir(mode=0o700)
    (rig.state_dir / "octo.sqlite").touch()
    result = await examined(rig, rig.config(agent=AGENT))

    assert "✓ journal: none yet" in result.stdout


async def test_a_disk_that_hangs_does_not_hang_the_doctor(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(_: Path) -> Usage:
        released.wait(60)
        return Usage(10**12, 0, 10**12)

    monkeypatch.setattr(shutil, "disk_usage", hang)
    monkeypatch.setattr("openclaw_channel_octo.cli.doctor.look.STATE_WITHIN_S", STATE_WITHIN_S / 100)
    result = await examined(rig, rig.config(agent=AGENT), code=2)
    released.set()

    assert result.stdout.startswith(f"✗ state folder: {rig.state_dir} is not read within")


@pytest.mark.parametrize(
    ("program", "code", "words"),
    [
        ("print('yes')", 0, "✓ agent's answer: 4 characters after"),
        ("pass", 2, "✗ agent's answer: the agent says nothing"),
        ("import sys; sys.exit(127)", 2, "exit code 127"),
        ("import time; time.sleep(60)", 2, "✗ agent's answer: none within 1 s"),
        (f"import sys; print({KEY!r}, file=sys.stderr); sys.exit(3)", 2, "exit code 3"),
    ],
    ids=["it answers", "it is silent", "it is not found", "it hangs", "it tells a secret"],
)
async def test_an_agent_is_asked_where_that_is_wanted(rig: Rig, program: str, code: int, words: str) -> None:
    agent = {"kind": "command", "command": [sys.executable, "-c", program], "env": {"MODEL_KEY": KEY}}
    config = rig.config(agent=agent)
    config["host"]["timeoutSeconds"] = 1 if "sleep" in program else 60
    assert "- agent's answer: not looked at" in (await examined(rig, config)).stdout

    result = await examined(rig, config, "--ask-agent", code=code)

    (told,) = (line for line in result.stdout.splitlines() if "agent's answer" in line)
    assert words in told
    assert code == 0 or told == result.stdout.splitlines()[0]


async def test_a_program_is_looked_for_from_its_own_folder_where_it_runs(rig: Rig) -> None:
    folder = rig.state_dir.parent / "bin"
    folder.mkdir()
    (folder / "agent").write_text("#!/bin/sh\necho yes\n")
    (folder / "agent").chmod(0o700)
    agent = {"kind": "command", "command": ["./agent"], "cwd": str(folder)}
    result = await examined(rig, rig.config(agent=agent), "--ask-agent")

    assert "✓ agent: ./agent is there" in result.stdout
    assert "✓ agent's answer: " in result.stdout


async def test_a_gateway_that_refuses_the_token_is_named(rig: Rig, gateway: FakeGateway) -> None:
    config = rig.config()
    config["host"] = {
        "kind": "gateway",
        "stateDir": str(rig.state_dir),
        "url": gateway.url,
        "token": "wrong-0123456789",
    }
    result = await examined(rig, config, code=2)

    line, advice = result.stdout.splitlines()[:2]
    assert line.startswith("✗ gateway: ")
    assert "token" in line
    assert advice.startswith("    → ")
    assert "wrong-0123456789" not in result.output


async def test_people_who_wait_to_be_let_in_are_told_of(rig: Rig) -> None:
    config = rig.config(agent=AGENT, dmPolicy="pairing")
    await rig.start(config, ScriptedHost())
    await rig.octo.say("ben", ChannelRef(HELPER, 1), "may I?")
    await rig.octo.wait_for(lambda: rig.calls("sendMessage"))
    await rig.stop()

    result = await examined(rig, config, code=1)

    line, advice = result.stdout.splitlines()[:2]
    assert line == "! pairing: people who wait to be let in: 1"
    assert "pairing list --store" in advice


async def test_a_state_folder_that_cannot_be_reached_is_named_beside_everything_else(rig: Rig) -> None:
    result = await examined(rig, rig.config(agent=AGENT, host={"stateDir": f"/{'x' * 300}"}), code=2)

    assert result.stdout.splitlines()[0].startswith("✗ state folder: /xxx")
    assert "cannot be reached: File name too long" in result.stdout.splitlines()[0]
    assert "takes the token" in result.stdout


async def test_a_part_that_breaks_hides_none_of_the_others(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr("openclaw_channel_octo.cli.doctor.look.check_host", broken)
    result = await examined(rig, rig.config(agent=AGENT), code=2)

    assert result.stdout.splitlines()[0] == "✗ agent: RuntimeError: nobody foresaw this"
    assert "takes the token" in result.stdout


@pytest.mark.parametrize(("minutes", "exit_code"), [(20, 0), (62, 1)])
async def test_a_long_turn_counts_as_stuck_by_the_budget_it_has(
    rig: Rig, minutes: int, exit_code: int
) -> None:
    started = SystemClock().wall_ms() - minutes * 60_000
    rig.write_session({"status": "running", "sessionId": "s", "lastRunId": "r", "startedAt": started})
    rig.state_dir.chmod(0o700)
    result = await examined(rig, rig.config(agent=AGENT, host={"timeoutSeconds": 3_600}), code=exit_code)

    assert ("is running" in result.stdout.splitlines()[0]) is bool(exit_code)


async def test_the_sessions_of_a_gateway_are_not_told_of_as_if_they_lay_here(
    rig: Rig, gateway: FakeGateway
) -> None:
    host = {"kind": "gateway", "url": f"{gateway.url}/?token=planted", "token": gateway.token}
    config = rig.config()
    config["host"] = host | {"stateDir": str(rig.state_dir)}
    result = await examined(rig, config)

    assert "planted" not in result.output
    assert "none failed or stuck" not in result.stdout
    assert f"{gateway.url}/, release" in result.stdout
