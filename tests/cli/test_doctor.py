"""Thirty-odd ways to break a bot: the doctor names each one in its first line."""

import asyncio
import json
import os
import re
import shutil
import socket
import sqlite3
import sys
import threading
from asyncio.subprocess import PIPE
from collections import namedtuple
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import Result

from openclaw_channel_octo.cli.doctor.bot import check_bot
from openclaw_channel_octo.cli.doctor.command import STATE_WITHIN_S
from openclaw_channel_octo.cli.doctor.running import Running
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.load import parse_config
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.runtime.connection.holders import process_words
from openclaw_channel_octo.testing.gateway.server import FakeGateway
from openclaw_channel_octo.testing.host import ScriptedHost
from openclaw_channel_octo.testing.octo.double import OctoDouble
from openclaw_channel_octo.testing.octo.faults import ErrorAnswer, ProxyPage, RateLimit
from openclaw_channel_octo.testing.octo.wire_server import ServerConnection
from openclaw_channel_octo.wire.crypto import KeyPair
from openclaw_channel_octo.wire.packets import ReasonCode
from tests.cli.asking import call, command, controlled
from tests.programs import write
from tests.runtime.rig import HELPER, OTHER_TOKEN, TOKEN, MovedClock, Rig
from tests.serving import serving
from tests.until import until

KEY = "sk-planted-secret-key"
AGENT = {"kind": "command", "command": [sys.executable, "-c", "print('hi')"]}
Config = dict[str, Any]
Usage = namedtuple("Usage", "total used free")  # noqa: PYI024  # what shutil returns


NOBODY = 1
"""A port no server listens on: none is given it by chance, so it cannot be the double's own."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclaw_channel_octo.cli.doctor.bot.QUIET_S", 0.1)


@pytest.fixture(autouse=True)
def unknown_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know nobody below ``.invalid``, whatever the network's name service makes of that, and however slowly."""
    look_up = socket.getaddrinfo

    def found(host: Any, *rest: Any, **more: Any) -> Any:
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", found)


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait half a second for somebody who stands still; whoever is well may take as long as a busy machine lets it."""
    monkeypatch.setattr("openclaw_channel_octo.cli.doctor.bot.HANDSHAKE_WITHIN_S", 0.5)
    monkeypatch.setattr("openclaw_channel_octo.runtime.connection.transport.OPEN_TIMEOUT_S", 0.5)
    monkeypatch.setattr("openclaw_channel_octo.cli.gateway.CONNECT_WITHIN_S", 0.3)


async def examined(rig: Rig, config: Config | str, *options: str, code: int = 0) -> Result:
    """Run the doctor on a configuration while the double lives."""
    file = write(rig.state_dir.parent, config)
    rig.state_dir.mkdir(mode=0o700, exist_ok=True)
    result = await command("doctor", "--config", file, *options, code=code)
    assert TOKEN not in result.output
    assert KEY not in result.output
    return result


async def test_a_healthy_bot_is_told_so_in_a_few_lines(rig: Rig) -> None:
    result = await examined(rig, rig.config(agent=AGENT))

    assert all(line.startswith("✓") for line in result.stdout.splitlines())
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
    result = call("doctor", "--config", tmp_path, "--json", code=2)

    (told,) = json.loads(result.stdout)["findings"]
    assert told["words"] == "cannot be read: it is a folder, not a regular file"


def raw(text: str) -> Callable[[Rig, Config], Any]:
    return lambda _rig, _config: text


def channel(**settings: Any) -> Callable[[Rig, Config], Any]:
    return lambda _, config: config["channels"]["octo"].update(settings)


def account(**settings: Any) -> Callable[[Rig, Config], Any]:
    return channel(accounts={"helper": settings})


def host(**settings: Any) -> Callable[[Rig, Config], Any]:
    return lambda _, config: config["host"].update(settings)


def fails(call: str, fault: Any) -> Callable[[Rig, Config], Any]:
    return lambda rig, _config: rig.octo.fail_next(call, fault, times=None)


def in_state(name: str, content: bytes | str, mode: int = 0o600) -> Callable[[Rig, Config], Any]:
    def change(rig: Rig, _: Config) -> None:
        rig.state_dir.mkdir(exist_ok=True, mode=0o700)
        file = rig.state_dir / name
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        file.chmod(mode)

    return change


def session(**entry: Any) -> Callable[[Rig, Config], Any]:
    text = json.dumps({"agent:main:octo:group:g1": {"sessionId": "s1", **entry}})
    return in_state("agents/main/sessions/sessions.json", text)


def journal_version(number: int) -> Callable[[Rig, Config], Any]:
    def change(rig: Rig, _: Config) -> None:
        rig.state_dir.mkdir(exist_ok=True, mode=0o700)
        with closing(sqlite3.connect(rig.state_dir / "octo.sqlite")) as db, db:
            db.execute("PRAGMA application_id = 1329812559")
            db.execute(f"PRAGMA user_version = {number}")
            db.execute("CREATE TABLE inbound (id INTEGER)")

    return change


def link_to_nowhere(rig: Rig, config: Config) -> None:
    link = rig.state_dir.parent / "link"
    link.symlink_to("nowhere")
    config["host"]["stateDir"] = str(link)


def not_executable(rig: Rig, config: Config) -> None:
    program = rig.state_dir.parent / "agent"
    program.write_text("#!/bin/sh\n")
    config["host"]["agent"] = {"kind": "command", "command": [str(program)]}


def state_below_a_file(rig: Rig, config: Config) -> None:
    (rig.state_dir.parent / "file").write_text("")
    config["host"]["stateDir"] = str(rig.state_dir.parent / "file" / "state")


def open_folder(rig: Rig, _: Config) -> None:
    rig.state_dir.mkdir()
    rig.state_dir.chmod(0o755)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
async def test_a_state_folder_of_another_user_keeps_the_bots_from_starting_and_is_told(rig: Rig) -> None:
    rig.state_dir.mkdir(mode=0o700)
    os.chown(rig.state_dir, 65_534, 65_534)
    result = await examined(rig, rig.config(agent=AGENT), code=2)
    assert f"✗ state folder: {rig.state_dir} belongs to another user (uid 65534)" in result.output


def open_file(rig: Rig) -> None:
    (rig.state_dir.parent / "octo.json").touch()
    (rig.state_dir.parent / "octo.json").chmod(0o644)


def page_for_a_socket(rig: Rig, _: Config) -> None:
    rig.octo.ws_url_override = f"ws{rig.octo.api_url.removeprefix('http')}/v1/ping"


def nowhere_for_a_socket(rig: Rig, _: Config) -> None:
    rig.octo.ws_url_override = f"ws://127.0.0.1:{NOBODY}"


def standing_still(rig: Rig, _: Config) -> None:
    rig.octo.freeze()


def no_gateway(rig: Rig, config: Config) -> None:
    config["host"] = {"kind": "gateway", "stateDir": str(rig.state_dir), "url": f"ws://127.0.0.1:{NOBODY}"}


WAYS: list[tuple[str, Callable[[Rig, Config], Any], str]] = [
    ("bad JSON", raw("{"), "✗ configuration: "),
    ("an unknown key", channel(requireMentions=True), "✗ configuration: channels.octo.requireMentions"),
    ("no token", account(), "✗ configuration: channels.octo.accounts.helper.botToken: missing"),
    (
        "a secret that is not set",
        account(botToken={"source": "env", "id": "NO_SUCH_VARIABLE_HERE"}),
        "✗ configuration: channels.octo.accounts.helper.botToken",
    ),
    ("a user's key", account(botToken="uk_0123456789abcdef"), "✗ … is a user's API key"),
    ("everything switched off", channel(enabled=False), "✗ configuration: no account is on"),
    (
        "a host nobody can look up",
        channel(apiUrl="https://octo..example/api"),
        "✗ configuration: channels.octo.apiUrl: must be a URL",
    ),
    (
        "a host nobody knows",
        channel(apiUrl="http://no-such-host.invalid/api"),
        "✗ helper: server: the name no-such-host.invalid is not known here",
    ),
    ("a port nobody listens on", channel(apiUrl=f"http://127.0.0.1:{NOBODY}"), "✗ helper: server: groups:"),
    ("a page instead of JSON", fails("groups", ProxyPage(200)), "✗ helper: server: groups:"),
    ("a proxy's error page", fails("groups", ProxyPage(502)), "✗ helper: server: groups:"),
    (
        "a wrong path",
        lambda rig, config: channel(apiUrl=f"{rig.octo.api_url}/wrong")(rig, config),
        "✗ helper: server: groups:",
    ),
    (
        "a revoked token",
        lambda rig, _: rig.octo.change_token(HELPER, "bf_new0123456789ab"),
        "✗ helper: token:",
    ),
    ("a server that is broken", fails("groups", ErrorAnswer(status=500)), "✗ helper: server: groups:"),
    ("a bot switched off", fails("groups", ErrorAnswer(status=403, code="bot_unavailable")), "✗ helper: "),
    ("registration fails", fails("register", ErrorAnswer(status=500)), "✗ helper: registration: register:"),
    ("registration refused", fails("register", ErrorAnswer(status=401)), "✗ helper: token:"),
    (
        "a socket address that leads nowhere",
        nowhere_for_a_socket,
        "✗ helper: socket: cannot open a WebSocket",
    ),
    ("a page instead of a socket", page_for_a_socket, "✗ helper: socket: cannot open a WebSocket"),
    (
        "a configured socket that leads nowhere",
        channel(wsUrl=f"ws://127.0.0.1:{NOBODY}/?key={KEY}"),
        "✗ helper: socket: cannot open a WebSocket",
    ),
    ("a socket server that stands still", standing_still, "✗ helper: socket: cannot open a WebSocket"),
    ("a rate limit", fails("groups", RateLimit(retry_after=60)), "✗ helper: server: groups:"),
    (
        "registration forbidden",
        fails("register", ErrorAnswer(status=403)),
        "✗ helper: registration: register:",
    ),
    ("a token that was never right", account(botToken="bf_neverright0123456789"), "✗ helper: token:"),
    (
        "a session file that is a folder",
        lambda rig, _: (rig.state_dir / "agents/main/sessions/sessions.json").mkdir(parents=True),
        "✗ sessions: sessions.json cannot be read: Is a directory",
    ),
    (
        "a token everybody can read",
        lambda rig, _: open_file(rig),
        "! … other users of this machine can read the token",
    ),
    (
        "no group",
        lambda rig, _: rig.octo.remove_member("g1", HELPER),
        "! helper: groups: the bot is in no group",
    ),
    (
        "an agent that is not there",
        host(agent={"kind": "command", "command": ["/no/such/agent"]}),
        "✗ agent: /no/such/agent is not there",
    ),
    ("an agent that must not be run", not_executable, "✗ … must not be run by this user"),
    (
        "an agent's folder that is not there",
        host(agent={**AGENT, "cwd": "/no/such/folder"}),
        "✗ agent: its folder /no/such/folder is not there",
    ),
    (
        "an agent's folder that is a program",
        host(agent={**AGENT, "cwd": "/bin/sh"}),
        "✗ agent: its folder /bin/sh is not there",
    ),
    (
        "an endpoint that is not there",
        host(
            agent={"kind": "openai", "baseUrl": f"http://127.0.0.1:{NOBODY}/v1", "model": "m", "apiKey": KEY}
        ),
        "✗ … does not answer: Connection refused",
    ),
    ("the echo agent", host(agent={"kind": "echo"}), "! agent: the echo agent repeats what it is told"),
    ("a gateway that is not there", no_gateway, "✗ gateway: "),
    (
        "a session file that is no JSON",
        in_state("agents/main/sessions/sessions.json", "{broken"),
        "✗ sessions: sessions.json cannot be read",
    ),
    ("a failed session", session(status="failed"), "! sessions: agent:main:octo:group:g1 is failed"),
    (
        "a session that runs for ever",
        session(status="running", startedAt=1_000, updatedAt=1_000),
        "! sessions: agent:main:octo:group:g1 is running",
    ),
    ("a damaged journal", in_state("octo.sqlite", b"this is no database" * 100), "✗ journal: "),
    ("a journal of a later version", journal_version(9999), "✗ journal: "),
    ("a journal of an earlier version", journal_version(1), "! journal: "),
    ("a state folder that is a link to nowhere", link_to_nowhere, "✗ state folder: "),
    ("a state folder that is a file", host(stateDir="/dev/null"), "✗ state folder: /dev/null is no folder"),
    ("a state folder no system has", host(stateDir="/tmp/\0"), "✗ configuration: host.stateDir: "),
    (
        "a file in place of the agents",
        in_state("agents", ""),
        "✗ sessions: sessions.json cannot be read: Not a directory",
    ),
    (
        "an agent's variable no program can have",
        host(agent={**AGENT, "env": {"MODE=fast": "1"}}),
        "✗ configuration: host.agent.env",
    ),
    (
        "an agent's argument no program can have",
        host(agent={"kind": "command", "command": ["/bin/echo", "\0"]}),
        "✗ configuration: host.agent.command.1",
    ),
    ("a state folder that cannot be made", state_below_a_file, "✗ state folder: "),
    ("a state folder open to others", open_folder, "! state folder: "),
]


@pytest.mark.parametrize(("broken", "first"), [way[1:] for way in WAYS], ids=[way[0] for way in WAYS])
async def test_what_is_broken_is_named_first_with_what_to_do(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, broken: Callable[[Rig, Config], Any], first: str
) -> None:
    if broken in (standing_still, no_gateway):
        impatient(monkeypatch)
    config: Config = rig.config(agent=AGENT)
    text = broken(rig, config)
    code = {"✗": 2, "!": 1}[first[0]]
    result = await examined(rig, text if isinstance(text, str) else config, code=code)
    rig.octo.thaw()

    line, advice = result.stdout.splitlines()[:2]
    assert line.startswith(first.split("…", maxsplit=1)[0])
    assert first.rsplit("…", maxsplit=1)[-1] in line
    assert advice.startswith("    → ")


async def test_a_bot_whose_token_cannot_be_read_is_named_and_hides_no_other(rig: Rig) -> None:
    config = rig.config(agent=AGENT, bots={"helper": TOKEN, "bad": "${NOT_SET_ANYWHERE}"})
    result = await examined(rig, config, "--no-register", code=2)
    bad = [line for line in result.stdout.splitlines() if line[2:].startswith("bad:")]
    assert bad == [
        "✗ bad: token: channels.octo.accounts.bad.botToken: the environment variable NOT_SET_ANYWHERE is not set"
    ]
    assert "✓ helper: server:" in result.stdout
    assert "bad" not in (await examined(rig, config, "--no-register", "--account", "helper")).stdout


async def test_a_wrong_socket_address_comes_with_the_right_one(rig: Rig) -> None:
    nowhere_for_a_socket(rig, {})
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
    await rig.mentioned("nobody can answer this", "dead")
    await rig.stop()
    rig.octo.heal()

    result = await examined(rig, config, code=1)

    assert "! journal: 1 messages got no answer and no notice" in result.stdout.splitlines()[0]


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
    monkeypatch.setattr("openclaw_channel_octo.cli.doctor.state.SETTLED_MS", settled_ms)
    nowhere_for_a_socket(rig, {})
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
    in_state("octo.sqlite", "")(rig, {})
    result = await examined(rig, rig.config(agent=AGENT))

    assert "✓ journal: none yet" in result.stdout


async def test_a_disk_that_hangs_does_not_hang_the_doctor(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(_: Path) -> Usage:
        released.wait(60)
        return Usage(10**12, 0, 10**12)

    monkeypatch.setattr(shutil, "disk_usage", hang)
    monkeypatch.setattr("openclaw_channel_octo.cli.doctor.command.STATE_WITHIN_S", STATE_WITHIN_S / 100)
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
    assert "agent's answer" not in (await examined(rig, config)).stdout

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

    monkeypatch.setattr("openclaw_channel_octo.cli.doctor.command.check_host", broken)
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
