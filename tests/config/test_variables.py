"""``${NAME}`` in a configuration, and the places that variables come from."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.config.diagnostics import Findings
from openclaw_channel_octo.config.load import Loaded, load_config
from openclaw_channel_octo.config.model import CommandAgentConfig, EmbeddedHostConfig, OpenAIAgentConfig
from openclaw_channel_octo.config.variables import beside, filled, settled
from openclaw_channel_octo.errors import ConfigError
from tests.config.conftest import TOKEN, Parse, Problems
from tests.strategies import JSON


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("${A}", "1"),
        ("http://${A}/${B_2}", "http://1/2"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$A ${a} ${1} ${A", "$A ${a} ${1} ${A"),
        ("${A}$${A}", "1${A}"),
    ],
)
def test_variables_are_filled_in_and_a_second_dollar_keeps_one_as_it_stands(text: str, meant: str) -> None:
    assert filled({"key ${A}": [text]}, {"A": "1", "B_2": "2"}) == {"key ${A}": [meant]}


@given(JSON)
def test_whatever_is_filled_with_everything_set_is_plain_json_again(value: Any) -> None:
    class Everything(dict[str, str]):
        def get(self, key: str, default: Any = None) -> Any:
            return "x"

    findings = Findings()
    text = json.dumps(settled(filled(value, Everything()), "", findings))
    assert not findings.problems
    assert "$" in text or text == json.dumps(value)


def test_a_pasted_block_is_read_with_its_variables_wherever_they_stand(parse: Parse) -> None:
    octo = {
        "apiUrl": "http://${HOST}/api",
        "accounts": {"a": {"botToken": "${OCTO}", "mediaRoots": ["${DIR}/out"]}},
    }
    host = {
        "stateDir": "${DIR}",
        "agent": {"kind": "command", "command": ["run", "$${X}"], "env": {"KEY": "${KEY}"}},
    }
    env = {"HOST": "octo.example", "OCTO": TOKEN, "DIR": "/srv/octo", "KEY": "k"}
    loaded = parse(octo, host, env)
    bot = loaded.config.accounts["a"]
    assert (bot.api_url, bot.token.get_secret_value()) == ("http://octo.example/api", TOKEN)
    assert (bot.token_source, str(bot.media_roots[0])) == ("environment variable OCTO", "/srv/octo/out")
    assert isinstance(loaded.config.host, EmbeddedHostConfig)
    assert isinstance(agent := loaded.config.host.agent, CommandAgentConfig)
    assert (agent.command, agent.env, loaded.config.host.state_dir) == (
        ("run", "${X}"),
        {"KEY": "k"},
        Path("/srv/octo"),
    )
    assert set(agent.inheritance.of(env)) == {"HOST", "DIR", "KEY"}


def test_a_key_of_a_model_comes_from_a_variable_too(parse: Parse) -> None:
    agent = {"kind": "openai", "baseUrl": "https://${HOST}/v1", "model": "m", "apiKey": "${KEY}"}
    host = parse({"botToken": TOKEN}, {"agent": agent}, {"HOST": "models.example", "KEY": "k"}).config.host
    assert isinstance(host, EmbeddedHostConfig)
    assert isinstance(host.agent, OpenAIAgentConfig)
    assert host.agent.api_key is not None
    assert (host.agent.base_url, host.agent.api_key.get_secret_value()) == ("https://models.example/v1", "k")


NOT_SET = "the environment variable GONE is not set"


@pytest.mark.parametrize(
    ("octo", "host", "problem"),
    [
        ({"apiUrl": "${GONE}"}, {}, f"channels.octo.apiUrl: {NOT_SET}"),
        ({"allowFrom": ["${GONE}"], "dmPolicy": "${GONE2}"}, {}, f"channels.octo.allowFrom.0: {NOT_SET}"),
        ({"guard": {"notice": "${GONE}"}}, {}, f"channels.octo.guard.notice: {NOT_SET}"),
        ({"texts": {"failed": "${GONE}"}}, {}, f"channels.octo.texts.failed: {NOT_SET}"),
        ({"enabled": "${GONE}"}, {}, f"channels.octo.enabled: {NOT_SET}"),
        ({}, {"stateDir": "${GONE}/x"}, f"host.stateDir: {NOT_SET}"),
        ({}, {"kind": "${GONE}"}, f"host.kind: {NOT_SET}"),
        ({}, {"agent": {"kind": "${GONE}"}}, f"host.agent.kind: {NOT_SET}"),
        ({}, {"agent": {"kind": "command", "command": ["${GONE}"]}}, f"host.agent.command.0: {NOT_SET}"),
        (
            {},
            {"agent": {"kind": "openai", "baseUrl": "${A}/${B}", "model": "m"}},
            "host.agent.baseUrl: the environment variables A, B are not set",
        ),
    ],
)
def test_a_variable_that_is_not_set_is_named_once_with_its_place_and_nothing_follows_from_it(
    problems: Problems, octo: dict[str, Any], host: dict[str, Any], problem: str
) -> None:
    found = problems({"botToken": TOKEN, **octo}, {"agent": {"kind": "echo"}, **host})
    assert found[0] == problem
    assert all(line.endswith("not set") for line in found)


def test_what_is_off_or_without_effect_needs_no_variable(parse: Parse) -> None:
    off = {"enabled": False, "botToken": "bf_${GONE}", "apiUrl": "${GONE}"}
    away = {"enabled": False, "botToken": {"source": "file", "id": "${GONE}/x"}}
    accounts = {"on": {"botToken": TOKEN, "cardDisplay": "${GONE}"}, "off": off, "away": away}
    assert parse({"accounts": accounts}).config.accounts["off"].api_url == "http://localhost:8090/api"


DOTENV = """# a comment
PLAIN=abc
 SPACED = a b\x20\x20
export EXPORTED=yes
HASH=ab#cd
Q1='a # b'
Q2="line\\nnext"
Q3=`back 'tick'`
EMPTY=
YAML: value
Q4="un'closed
DOT.TED=1
MULTI="one
two"
AGAIN=1
AGAIN=2
Q5="a"b
NOEQ
SQ='a\\nb'
ESC="a\\"b"
VAR=${PLAIN}/x
Q6='it's'
TRAIL="x" # note
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_file_of_variables_is_read_as_the_gateway_reads_it(tmp_path: Path, newline: str) -> None:
    (tmp_path / ".env").write_bytes(DOTENV.replace("\n", newline).encode())
    findings = Findings()
    assert beside(
        tmp_path, {"PLAIN": "of the process"}, findings
    ) == {  # as dotenv 17.4.2 told, but for the first
        "PLAIN": "of the process",
        "SPACED": "a b",
        "EXPORTED": "yes",
        "HASH": "ab",
        "Q1": "a # b",
        "Q2": "line\nnext",
        "Q3": "back 'tick'",
        "EMPTY": "",
        "YAML": "value",
        "Q4": "\"un'closed",
        "MULTI": "one\ntwo",
        "AGAIN": "2",
        "Q5": '"a"b',
        "SQ": "a\\nb",
        "ESC": 'a\\"b',
        "VAR": "${PLAIN}/x",
        "Q6": "it's",
        "TRAIL": "x",
    }
    assert not findings.warnings


@given(st.text(alphabet="AB='\"`\\\n# :x$", max_size=60))
def test_any_text_is_read_as_a_file_of_variables(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / ".env").write_text(text)
    assert all(name.isidentifier() for name in beside(folder, {}, Findings()))


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (None, "cannot be read: it is a folder, not a regular file"),
        (b"A=2\n\xff=1\n", "is no UTF-8 text: line 2 holds other bytes"),
        ("A=2".encode("utf-16")[:-1], "is no UTF-8 text: line 1 holds other bytes"),
        (
            "A=2".encode("utf-16-le"),
            "is no UTF-8 text: it holds zero bytes, as UTF-16 does; save it as UTF-8",
        ),
    ],
)
def test_a_file_of_variables_that_cannot_be_read_is_told_with_and_without_mistakes(
    tmp_path: Path, content: bytes | None, wrong: str
) -> None:
    file = tmp_path / ".env"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    told = f"{file} {wrong}: its variables are missing"
    assert told in loaded(tmp_path, {"botToken": TOKEN}, {}).warnings
    unset = "the environment variable OCTO is not set"
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, {"botToken": "${OCTO}"}, {})
    assert caught.value.problems == (told, f"channels.octo.botToken: {unset}")
    bots = {"a": {"botToken": "${OCTO}"}, "b": {"botToken": TOKEN}}
    some = loaded(tmp_path, {"accounts": bots}, {})
    assert (some.causes, some.unreadable) == ((told,), (f"channels.octo.accounts.a.botToken: {unset}",))


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"])
def test_a_file_of_variables_is_read_by_its_byte_order_mark(tmp_path: Path, mark: bytes) -> None:
    kind = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(mark, "utf-8")
    (tmp_path / ".env").write_bytes(mark + "NAME=小助手\r\nB=2\r\n".encode(kind))
    assert beside(tmp_path, {}, Findings()) == {"NAME": "小助手", "B": "2"}


def loaded(folder: Path, octo: Any, env: Mapping[str, str], openclaw: Any = None) -> Loaded:
    (folder / "octo.json").write_text(
        json.dumps({"$schema": "https://x.example/octo", "channels": {"octo": octo}})
    )
    if openclaw is None:
        return load_config(folder / "octo.json", env=env)
    gateway = folder / "gw" / "openclaw.json"
    gateway.parent.mkdir(exist_ok=True)
    gateway.write_text(json.dumps(openclaw))
    return load_config(folder / "octo.json", openclaw=gateway, env=env)


def test_the_file_beside_the_configuration_completes_the_process(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"OCTO={TOKEN}\nNAME=of the file\n")
    found = loaded(tmp_path, {"botToken": "${OCTO}", "name": "${NAME}"}, {"NAME": "of the process"})
    bot = found.config.accounts["default"]
    assert (bot.token.get_secret_value(), bot.name) == (TOKEN, "of the process")


def test_a_file_with_secrets_that_others_can_read_is_told_of_and_no_program_inherits_it(
    tmp_path: Path,
) -> None:
    (tmp_path / ".env").write_text(f"OCTO_TOKEN={TOKEN}\nLD_PRELOAD=/evil.so\n")
    (tmp_path / ".env").chmod(0o644)
    code = f"import os; print({TOKEN!r}) if 'LD_PRELOAD' not in os.environ else None"
    found = loaded(
        tmp_path, {"botToken": {"source": "exec", "command": [sys.executable, "-S", "-c", code]}}, {}
    )
    assert f"other users can read {tmp_path}/.env: chmod 600 it" in found.warnings
    (tmp_path / ".env").write_text("NAME=x\n")
    assert not [line for line in loaded(tmp_path, {"botToken": TOKEN}, {}).warnings if "can read" in line]


@pytest.mark.parametrize(
    ("written", "env", "meant"),
    [
        ((), {}, "vars"),
        (("home/.config/openclaw/gateway.env",), {}, "gateway.env"),
        (("home/.config/openclaw/gateway.env", "home/.openclaw/.env"), {}, ".env"),
        (("home/.openclaw/.env", "gw/.env"), {}, "gw"),
        (("gw/.env", "state/.env"), {"OPENCLAW_STATE_DIR": "~/../state"}, "state"),
        (("gw/.env", "home/.openclaw/.env"), {"OPENCLAW_STATE_DIR": "~/../state"}, "vars"),
        (("other/.openclaw/.env", "home/.openclaw/.env"), {"OPENCLAW_HOME": "~/../other"}, "other"),
        (("work/.env", "gw/.env"), {}, "work"),
        (("work/.env", "gw/.env"), {"WHERE": "process"}, "process"),
        (("work/.env", "gw/.env"), {"WHERE": ""}, "vars"),
    ],
)
def test_a_gateways_file_is_read_with_the_gateways_variables_in_its_order(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    written: tuple[str, ...],
    env: dict[str, str],
    meant: str,
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name in written:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        where = {"gateway.env": "gateway.env", "home": ".env"}
        label = where.get(file.name) or where.get(Path(name).parts[0]) or Path(name).parts[0]
        file.write_text(f"WHERE={label}\n")
    openclaw = {
        "env": {"vars": {"WHERE": "vars"}},
        "channels": {"octo": {"botToken": TOKEN, "name": "${WHERE}"}},
    }
    found = loaded(tmp_path, {}, {"HOME": str(tmp_path / "home"), **env}, openclaw)
    assert found.config.accounts["default"].name == meant


def test_a_working_directory_leads_no_gateway_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("OPENCLAW_GATEWAY_PORT=1\nOCTO_BASE_URL=http://evil.example\n")
    (tmp_path / "gw").mkdir()
    file = tmp_path / "gw" / "openclaw.json"
    file.write_text(json.dumps({"channels": {"octo": {"botToken": TOKEN, "apiUrl": "${OCTO_BASE_URL}"}}}))
    with pytest.raises(ConfigError) as caught:
        load_config(None, openclaw=file, env={"HOME": str(tmp_path)})
    assert caught.value.problems == (
        "channels.octo.apiUrl: the environment variable OCTO_BASE_URL is not set",
    )


def test_our_file_over_a_gateways_knows_the_gateways_variables_too(tmp_path: Path) -> None:
    openclaw = {"env": {"vars": {"OCTO": TOKEN}}, "gateway": {"port": 19000}}
    found = loaded(tmp_path, {"botToken": "${OCTO}"}, {"HOME": str(tmp_path)}, openclaw)
    assert found.config.accounts["default"].token.get_secret_value() == TOKEN
