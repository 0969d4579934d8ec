"""Planted secrets and words, a deployment in which everything goes wrong, and a search of all it leaves behind."""

import asyncio
import json
import logging
import os
import sqlite3
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace
from pydantic import SecretStr

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.load import load_config, parse_config
from openclaw_channel_octo.config.report import report_text
from openclaw_channel_octo.config.secrets import FoundSecret, SecretContext
from openclaw_channel_octo.errors import ApiError, OctoError
from openclaw_channel_octo.host.base import Accepted
from openclaw_channel_octo.host.embedded.command import CommandAgent
from openclaw_channel_octo.host.embedded.openai import OpenAIAgent
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.observe.logs import setup_logging
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.rest.models import Registration
from openclaw_channel_octo.runtime.connection.transport import open_websocket
from openclaw_channel_octo.testing import ErrorAnswer, Fault, JsonAnswer, Refuse, ScriptedHost
from openclaw_channel_octo.wire.client import Credentials
from tests.processes import processes_with
from tests.programs import Start, stopped, write
from tests.runtime.rig import ANN, HELPER, TOKEN, Rig, python_agent
from tests.runtime.turn.model_server import NOT_AGAIN
from tests.serving import serving
from tests.until import until
from tests.wire.vectors import CONNECT

LITERAL = TOKEN
ENV_TOKEN = "old.form/of-a-token+4711"  # of the kind that no pattern recognises
FILE_TOKEN = "bf_f11ef11ef11ef11ef11ef11ef11ef11e"
EXEC_TOKEN = "app_e7ece7ece7ece7ece7ece7ece7ece7ec"
API_KEY = "sk-planted.api/key-0815"
AGENT_KEY = "agent-key-in-its-environment"
STRAY = "somebody-elses-secret-in-the-environment"
TOKENS = (LITERAL, ENV_TOKEN, FILE_TOKEN, EXEC_TOKEN, API_KEY, AGENT_KEY, STRAY)

WORDS = "zebra quartz 四十二只企鹅 under the piano"
MORE_WORDS = "violet tram"
TEXTS = ("zebra", "quartz", "企鹅", "under the piano", MORE_WORDS)
SHOUTING = """
print("environment:", dict(os.environ), file=sys.stderr)
print("asked:", prompt, file=sys.stderr)
print(repr(prompt), file=sys.stderr)
print(*(os.environ.get(name) for name in ("MODEL_KEY", "OCTO_BOT", "SOME_TOKEN")), file=sys.stderr)
sys.exit(3)
"""

ENV = {"OCTO_BOT": ENV_TOKEN, "SOME_TOKEN": STRAY}
PLACE = ChannelRef("g9", 2)
ENDS = {"answered", "notified", "dead"}
BOTS = {"helper": HELPER, "by_env": "env_bot", "by_file": "file_bot", "by_exec": "exec_bot"}


@dataclass
class Stage:
    """A deployment with a bot for each way to give a token."""

    rig: Rig
    folder: Path
    caplog: pytest.LogCaptureFixture

    def config(self, agent: Mapping[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
        config = self.rig.config(agent=agent, **settings)
        config["channels"]["octo"]["accounts"] = {
            "helper": {"botToken": LITERAL},
            "by_env": {"botToken": {"source": "env", "id": "OCTO_BOT"}},
            "by_file": {"botToken": {"source": "file", "id": str(self.folder / "token")}},
            "by_exec": {"botToken": {"source": "exec", "command": [sys.executable, "-c", self._program()]}},
        }
        return config

    def _program(self) -> str:
        halves = EXEC_TOKEN[:9], EXEC_TOKEN[9:]
        return f"print({halves[0]!r} + {halves[1]!r})"

    async def ask(self, text: str = WORDS, mention: Sequence[str] = (HELPER,)) -> str:
        return await self.rig.octo.say(ANN, PLACE, text, mention=list(mention))

    async def settled(self, *message_ids: str) -> None:
        """Wait until messages have come to their end."""
        for message_id in message_ids:
            await until(partial(self._has_ended, message_id))

    def _has_ended(self, message_id: str) -> bool:
        return self.rig.rows().get(message_id, ("",))[0] in ENDS

    def leavings(self) -> dict[str, tuple[str, Sequence[str]]]:
        """Return everything that can be read afterwards, and what must not be in it."""
        everything = (*TOKENS, *TEXTS)
        info = [record for record in self.caplog.records if record.levelno >= logging.INFO]
        found: dict[str, tuple[str, Sequence[str]]] = {
            "log at INFO": (_shown(info), everything),
            "log at DEBUG": (_shown(self.caplog.records), TOKENS),
            "journal": (_dump(self.rig.state_dir / "octo.sqlite"), TOKENS),
        }
        if self.rig.running is not None:
            found["status"] = (repr(self.rig.channel.status()), everything)
        for file in (self.rig.state_dir / "agents").rglob("*"):
            if file.is_file():
                forbidden = TOKENS if file.suffix == ".jsonl" else everything
                found[file.name] = (file.read_text(), forbidden)
        return found

    def search(self) -> None:
        """Find none of the planted where it must not be."""
        leavings = self.leavings()
        hits = [
            (where, planted)
            for where, (content, forbidden) in leavings.items()
            for planted in forbidden
            if planted in content or json.dumps(planted)[1:-1] in content
        ]
        assert hits == []
        assert leavings["log at INFO"][0]
        assert leavings["journal"][0]


def _shown(records: Sequence[logging.LogRecord]) -> str:
    formatter = logging.Formatter("%(name)s %(message)s")
    return "\n".join(f"{formatter.format(record)} {record.args!r} {record.exc_text}" for record in records)


def _dump(path: Path) -> str:
    if not path.exists():
        return ""
    db = sqlite3.connect(path)
    try:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [row for table in tables for row in db.execute(f"SELECT * FROM {table}")]
    finally:
        db.close()
    shown = [
        item.decode(errors="replace") if isinstance(item, bytes) else str(item)
        for row in rows
        for item in row
    ]
    return "\n".join(shown)


@pytest.fixture
def stage(
    fast_rig: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Stage:
    (tmp_path / "token").write_text(FILE_TOKEN + "\n")
    (tmp_path / "token").chmod(0o600)
    octo = fast_rig.octo
    octo.add_bot("env_bot", ENV_TOKEN, name="Env", owner=ANN)
    octo.add_bot("file_bot", FILE_TOKEN, name="File", owner=ANN)
    octo.add_bot("exec_bot", EXEC_TOKEN, name="Exec", owner=ANN)
    assert octo.add_group(PLACE.id, [ANN, *BOTS.values()]) == PLACE
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    caplog.set_level(logging.DEBUG)
    fast_rig.state_dir.mkdir()
    return Stage(fast_rig, tmp_path, caplog)


async def start_stage(stage: Stage, config: Mapping[str, Any], host: ScriptedHost | None = None) -> None:
    await stage.rig.start(config, host)
    await stage.rig.octo.wait_for(lambda: all(stage.rig.octo.online(uid) for uid in BOTS.values()))


async def test_a_deployment_that_works_leaves_nothing_behind(stage: Stage) -> None:
    await start_stage(stage, stage.config())
    first = await stage.ask(mention=list(BOTS.values()))
    second = await stage.ask("/status " + MORE_WORDS)
    await stage.ask(MORE_WORDS, mention=[])
    await stage.settled(first, second)
    assert stage.rig.said(PLACE) != []
    stage.search()


@pytest.mark.parametrize("token", [LITERAL, ENV_TOKEN, FILE_TOKEN, EXEC_TOKEN])
async def test_a_server_that_quotes_the_request_in_its_errors_is_not_believed(
    stage: Stage, token: str
) -> None:
    quote = f"令牌{token}无效: {token}_ Authorization: Bearer {token}"
    await start_stage(stage, stage.config())
    bot = next(uid for uid, known in _owners() if known == token)
    for call in ("typing", "readReceipt", "messages/sync"):
        stage.rig.octo.fail_next(call, ErrorAnswer(status=400, msg=quote), times=None)
    stage.rig.octo.fail_next("sendMessage", JsonAnswer({"message_id": quote, "client_msg_no": WORDS}))
    stage.rig.octo.fail_next("sendMessage", ErrorAnswer(status=403, msg=quote), times=None)
    ids = [await stage.ask(mention=[bot]) for _ in range(2)]
    await stage.settled(*ids)
    stage.search()


def _owners() -> Iterator[tuple[str, str]]:
    yield from zip(BOTS.values(), (LITERAL, ENV_TOKEN, FILE_TOKEN, EXEC_TOKEN), strict=True)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 500])
async def test_a_refused_token_is_not_told(stage: Stage, status: int) -> None:
    config = stage.config()
    accounts = config["channels"]["octo"]["accounts"]
    config["channels"]["octo"]["accounts"] = {"by_env": accounts["by_env"]}
    answer = {"msg": f"no such bot: {ENV_TOKEN}", "im_token": {"token": ENV_TOKEN}}
    stage.rig.octo.fail_next("register", JsonAnswer(answer, status), times=None)
    starting = asyncio.create_task(stage.rig.start(config))
    await until(lambda: "register: " in repr(stage.rig.running and stage.rig.channel.status()))
    starting.cancel()
    await asyncio.wait({starting})
    stage.search()


async def test_an_agent_that_prints_its_environment_and_its_prompt_leaks_neither(stage: Stage) -> None:
    agent = {**python_agent(SHOUTING), "env": {"MODEL_KEY": AGENT_KEY}}
    await start_stage(stage, stage.config(agent))
    ids = [await stage.ask(text) for text in (WORDS, MORE_WORDS)]
    await stage.settled(*ids)
    assert "lastRunError" in stage.rig.session("agent:main:octo:group:g9")
    assert "exit code 3" in stage.rig.session("agent:main:octo:group:g9")["lastRunError"]
    stage.search()


@pytest.mark.parametrize("status", [200, 400, 401, 500])
async def test_a_model_that_quotes_key_and_prompt_in_its_error_leaks_neither(
    stage: Stage, status: int
) -> None:
    async def complain(request: web.Request) -> web.Response:
        said = f"{request.headers['Authorization']} sent {await request.text()}"
        messages = (await request.json())["messages"]
        answer = {"error": {"message": f"{messages[-1]['content']} {said}"}}
        return web.json_response(answer, status=status, headers=NOT_AGAIN)

    async with serving("/v1/chat/completions", complain) as url:
        agent = {"kind": "openai", "baseUrl": f"{url}/v1", "model": "m", "apiKey": API_KEY}
        await start_stage(stage, stage.config({**agent, "systemPrompt": "be kind"}))
        ids = [await stage.ask(text) for text in (WORDS, MORE_WORDS)]
        await stage.settled(*ids)
        stage.search()


async def test_the_traceback_of_a_broken_host_shows_no_token(stage: Stage) -> None:
    broken = RuntimeError(f"token {LITERAL}, {ENV_TOKEN} and {FILE_TOKEN} cannot be used")
    await start_stage(stage, stage.config(), ScriptedHost([Accepted("r"), broken], [broken]))
    await stage.settled(await stage.ask(), await stage.ask())
    assert "RuntimeError" in stage.caplog.text
    stage.search()


@pytest.mark.parametrize(
    "fault", [ErrorAnswer(status=400, msg=f"x{LITERAL}y"), JsonAnswer([LITERAL]), Refuse()]
)
@pytest.mark.parametrize("call", ["register", "sendMessage", "messages/sync", "groups"])
async def test_an_error_of_the_api_shows_no_token_in_itself_or_what_led_to_it(
    rig: Rig, call: str, fault: Fault
) -> None:
    rig.octo.fail_next(call, fault, times=None)
    async with BotApi(base_url=rig.octo.api_url, token=SecretStr(LITERAL), clock=rig.clock) as api:
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "register": api.register,
            "sendMessage": lambda: api.send_message(rig.group, {"type": 1, "content": WORDS}),
            "messages/sync": lambda: api.sync_messages(rig.group),
            "groups": api.groups,
        }
        with pytest.raises(ApiError) as caught:
            await calls[call]()
    shown = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    assert [planted for planted in (LITERAL, WORDS) if planted in shown] == []


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1/ws?token=", "ws://:9/?token=", "http://[::1/?token="])
async def test_a_socket_address_is_told_without_its_query(url: str) -> None:
    with pytest.raises(OctoError) as caught:
        await open_websocket(url + LITERAL)
    assert LITERAL not in repr(caught.value)


def _objects(folder: Path) -> Iterator[object]:
    """Yield every kind of object that holds a secret."""
    octo = {
        "botToken": LITERAL,
        "wsUrl": f"wss://h/ws?token={LITERAL}",
        "accounts": {"one": {"botToken": LITERAL}},
    }
    agents: tuple[dict[str, Any], ...] = (
        {"kind": "openai", "baseUrl": "http://h/v1", "model": "m", "apiKey": API_KEY},
        {"kind": "command", "command": ["agent", "--key", API_KEY], "env": {"KEY": AGENT_KEY}},
    )
    for agent in agents:
        loaded = parse_config({"channels": {"octo": octo}, "host": {"agent": agent}}, base=folder)
        yield from (
            loaded,
            loaded.config,
            loaded.config.host,
            getattr(loaded.config.host, "agent", None),
            report_text(loaded.config),
        )
        yield from loaded.config.accounts.values()
    yield SecretContext(base=folder, env={"T": ENV_TOKEN})
    yield FoundSecret(value=SecretStr(FILE_TOKEN), source="file")
    yield BotApi(base_url="http://h", token=SecretStr(LITERAL), clock=SystemClock())
    yield CommandAgent(["agent", API_KEY], {"KEY": AGENT_KEY})
    yield OpenAIAgent("http://h/v1", "m", SecretStr(API_KEY))
    credentials = Credentials(uid="u", token=LITERAL, device_id="d")
    yield credentials
    yield replace(CONNECT, token=LITERAL)
    registration = {"robot_id": "u", "im_token": LITERAL, "ws_url": f"ws://h/ws?token={LITERAL}"}
    yield Registration.model_validate(registration)


def test_no_object_that_holds_a_secret_shows_it(tmp_path: Path) -> None:
    for item in _objects(tmp_path):
        shown = f"{item!r} {item}"
        assert [(type(item).__name__, token) for token in TOKENS if token in shown] == []


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
async def test_the_program_itself_writes_none_of_it(rig: Rig, start: Start, level: str) -> None:
    octo = rig.octo
    octo.add_bot("env_bot", ENV_TOKEN, name="Env", owner=ANN)
    octo.add_group(PLACE.id, [ANN, HELPER, "env_bot"])
    config = rig.config(agent={**python_agent(SHOUTING), "env": {"MODEL_KEY": AGENT_KEY}})
    config["channels"]["octo"]["accounts"]["by_env"] = {"botToken": {"source": "env", "id": "OCTO_BOT"}}
    octo.fail_next("sendMessage", ErrorAnswer(status=403, msg=f"令牌{LITERAL}无效 {ENV_TOKEN}"), times=2)
    process = await start(config, "--log-level", level, online="env_bot", env={**os.environ, **ENV})
    await octo.wait_for(lambda: octo.online(HELPER), timeout=60.0)
    for bot in (HELPER, "env_bot", HELPER):
        await octo.say(ANN, PLACE, WORDS, mention=[bot])
    await octo.wait_for(lambda: len(rig.calls("sendMessage")) >= 3, timeout=60.0)
    written = await stopped(process)
    forbidden = (*TOKENS, *TEXTS) if level == "INFO" else TOKENS
    assert [planted for planted in forbidden if planted in written] == []
    assert "exit code 3" in written


WAITING = """
import pathlib, time
from msgspec.structs import replace
from tests.wire.vectors import CONNECT
while not pathlib.Path("go").exists():
    time.sleep(0.01)
print("done")
"""


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="this system shows processes differently")
async def test_what_everybody_sees_of_the_processes_holds_no_secret(
    rig: Rig, start: Start, tmp_path: Path
) -> None:
    agent_env = {"MODEL_KEY": AGENT_KEY, "MARK": str(tmp_path)}
    config = rig.config(agent={**python_agent(WAITING), "env": agent_env, "cwd": str(tmp_path)})
    env = {**os.environ, **ENV, "MARK": str(tmp_path)}
    process = await start(config, "--record", tmp_path / "captures", env=env)
    await rig.octo.say(ANN, ChannelRef("g1", 2), WORDS, mention=[HELPER])
    await until(lambda: len(processes_with(f"MARK={tmp_path}")) == 2)
    seen = processes_with(f"MARK={tmp_path}")
    (tmp_path / "go").touch()
    await rig.octo.wait_for(lambda: rig.calls("sendMessage"), timeout=60.0)
    await stopped(process)

    assert [planted for planted in (*TOKENS, *TEXTS) if planted in "\n".join(seen.values())] == []
    assert any("--record" in command for command in seen.values())


def test_mistakes_in_a_configuration_are_told_without_its_secrets(tmp_path: Path) -> None:
    agent = {
        "kind": "openai",
        "baseUrl": f"http://u:{API_KEY}@h/",
        "model": 7,
        "apiKey": API_KEY,
        API_KEY[:9]: 1,
    }
    octo = {"botToken": LITERAL, LITERAL: 1, "apiUrl": f"http://h/?{LITERAL}", "texts": {"busy": [ENV_TOKEN]}}
    file = write(tmp_path, {"channels": {"octo": octo}, "host": {"agent": agent}})
    with pytest.raises(OctoError) as caught:
        load_config(file)
    shown = f"{caught.value} {caught.value!r}"
    assert [token for token in TOKENS if token in shown] == []


def test_what_the_event_loop_complains_about_is_cleaned_too(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging("DEBUG", SecretStr(ENV_TOKEN))
    lost = ValueError(f"lost with {ENV_TOKEN}")
    logging.getLogger("asyncio").error("Task exception was never retrieved", exc_info=lost)
    written = capsys.readouterr().err
    assert "ValueError" in written
    assert ENV_TOKEN not in written
