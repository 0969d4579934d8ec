"""What programs inherit of the environment."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.config.environment import Inheritance, environment_bytes
from openclaw_channel_octo.config.load import parse_config, parse_host
from openclaw_channel_octo.config.model import CommandAgentConfig, EmbeddedHostConfig, GatewayHostConfig
from tests.config.conftest import TOKEN, Parse, Problems

KEY = "sk-PLANTED-key-of-a-gateway"
COMMAND = {"kind": "command", "command": ["agent"]}


def ref(name: str) -> dict[str, str]:
    return {"source": "env", "id": name}


def inherited(host: EmbeddedHostConfig | GatewayHostConfig, env: dict[str, str]) -> set[str]:
    assert isinstance(host, EmbeddedHostConfig)
    assert isinstance(host.agent, CommandAgentConfig)
    return set(host.agent.inheritance.of(env))


def test_variables_of_all_accounts_are_withheld_those_that_are_off_too(parse: Parse) -> None:
    env = {"A": TOKEN, "B": "bf_b", "C": "bf_c", "PATH": "/bin"}
    accounts = {
        "a": {"botToken": ref("A")},
        "b": {"botToken": ref("B"), "enabled": False},
        "c": {"botToken": TOKEN + "0"},
    }
    host = parse({"accounts": accounts}, {"agent": COMMAND}, env).config.host
    assert inherited(host, env) == {"C", "PATH"}


def test_a_variable_with_the_value_of_a_configured_secret_is_withheld(parse: Parse) -> None:
    env = {"OCTO": f"{TOKEN}\n", "EMPTY": "", "PATH": "/bin"}
    host = parse({"botToken": TOKEN}, {"agent": COMMAND}, env).config.host
    assert inherited(host, env) == {"EMPTY", "PATH"}


def test_what_the_operator_passes_on_by_name_is_passed_on(parse: Parse) -> None:
    env = {"A": TOKEN, "COPY": TOKEN, "PATH": "/bin"}
    host = parse({"botToken": ref("A")}, {"agent": {**COMMAND, "passEnv": ["A", "NOT_SET"]}}, env).config.host
    assert inherited(host, env) == {"A", "PATH"}


def test_a_host_with_other_channels_keeps_their_secrets_back_too(tmp_path: Path) -> None:
    env = {"SLACK": "xoxb", "PATH": "/bin"}
    config: dict[str, Any] = {"host": {"agent": COMMAND}, "channels": {"slack": {"botToken": ref("SLACK")}}}
    assert inherited(parse_host(config, base=tmp_path, env=env), env) == {"PATH"}
    own = {"host": config["host"], "channels": {"octo": {"botToken": TOKEN}}}
    host = parse_config(own, base=tmp_path, env=env, beside=config).config.host
    assert inherited(host, env) == {"PATH"}


def test_programs_that_secrets_come_from_inherit_no_other_secret(parse: Parse, tmp_path: Path) -> None:
    code = f"import os, sys; open({str(tmp_path / 'seen')!r}, 'w').write(' '.join(os.environ)); print('bf_1')"
    program = {"source": "exec", "command": [sys.executable, "-c", code, "\U0001f642"]}
    accounts = {"a": {"botToken": program}, "b": {"botToken": ref("B")}}
    parse({"accounts": accounts}, None, {"B": TOKEN, "COPY": TOKEN, "VAULT_TOKEN": "its own"})
    seen = set((tmp_path / "seen").read_text().split())
    assert {"HOME", "VAULT_TOKEN"} <= seen
    assert not seen & {"B", "COPY"}


def test_nor_the_secrets_a_gateways_file_reads(parse: Parse, tmp_path: Path) -> None:
    gateway = (
        '{"gateway": {"auth": {"token": "${GW_TOKEN}"}}, "models": {"key": {"source": "env", "id": "MODEL"}},'
        ' "x": "${HOME}/y"}'
    )
    (tmp_path / "openclaw.json").write_text(gateway)
    code = f"import os, sys; open({str(tmp_path / 'seen')!r}, 'w').write(' '.join(os.environ)); print('bf_1')"
    program = {"source": "exec", "command": [sys.executable, "-c", code]}
    host = {"kind": "gateway", "openclawConfig": str(tmp_path / "openclaw.json")}
    env = {"GW_TOKEN": KEY, "MODEL": "sk-1", "OPENCLAW_GATEWAY_PASSWORD": "x", "OTHER": "y"}
    parse({"botToken": program}, host, env)
    seen = set((tmp_path / "seen").read_text().split())
    assert {"HOME", "OTHER"} <= seen
    assert not seen & env.keys() - {"OTHER"}


@pytest.mark.parametrize(
    "agent", [{"command": ["a", "\ud83d"]}, {"env": {"A": "\ud83d"}}, {"env": {"\ud83d": "A"}}]
)
def test_half_a_character_is_a_mistake_where_a_program_would_be_given_it(
    problems: Problems, agent: dict[str, Any]
) -> None:
    (problem,) = problems({"botToken": TOKEN}, {"agent": {**COMMAND, **agent}})
    assert "half a character" in problem


def test_a_clean_environment_leaves_out_everything_that_is_not_asked_for() -> None:
    env = {
        "PATH": "1",
        "LC_ALL": "2",
        "LANGUAGE": "3",
        "OPENCLAW_TURN": "4",
        "WANTED": "5",
        "TZ": "6",
        "LC": "7",
    }
    rules = Inheritance(clean=True, passed=frozenset({"WANTED"}), withheld=frozenset({"WANTED", "TZ"}))
    assert rules.of(env).keys() == {"PATH", "LC_ALL", "WANTED"}


def test_inherited_bytes_stay_texts_are_utf_8_and_paths_are_those_of_the_file_system() -> None:
    came = {"RAW": os.fsdecode(b"\xff"), "BOTH": "old"}
    path = Path(os.fsdecode(b"/\xfe"))
    made = environment_bytes(came, {"BOTH": "\U0001f642\ud83d", "WHERE": path})
    assert made == {b"RAW": b"\xff", b"BOTH": "\U0001f642?".encode(), b"WHERE": b"/\xfe"}
