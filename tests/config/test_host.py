from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.config.load import Loaded
from openclaw_channel_octo.config.model import (
    CommandAgentConfig,
    EchoAgentConfig,
    EmbeddedHostConfig,
    GatewayHostConfig,
    OpenAIAgentConfig,
)
from openclaw_channel_octo.config.report import report_text
from tests.config.conftest import Parse, Problems

OCTO = {"botToken": "bf_PLANTED0token0never0to0be0shown"}


def embedded(loaded: Loaded) -> EmbeddedHostConfig:
    assert isinstance(loaded.config.host, EmbeddedHostConfig)
    return loaded.config.host


def test_every_host_setting_has_the_default_of_the_design(parse: Parse) -> None:
    host = embedded(parse(OCTO))
    assert (host.kind, host.agent_id, host.strict) == ("embedded", "main", False)
    assert (host.timeout_seconds, host.max_turns, host.drain_seconds) == (600, 32, 30)
    assert host.agent == EchoAgentConfig()


def test_an_agent_that_was_not_chosen_is_the_echo_and_is_told(parse: Parse) -> None:
    loaded = parse(OCTO, {})
    assert embedded(loaded).agent == EchoAgentConfig()
    assert loaded.warnings == ("host.agent: not set: bots answer with an echo of what they are told",)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"XDG_STATE_HOME": "/state"}, "/state/openclaw-octo"),
        ({"XDG_STATE_HOME": "not/absolute"}, "/home/op/.local/state/openclaw-octo"),
        ({}, "/home/op/.local/state/openclaw-octo"),
    ],
)
def test_the_state_folder_follows_the_xdg_rules(parse: Parse, env: dict[str, str], expected: str) -> None:
    assert parse(OCTO, env=env).config.host.state_dir == Path(expected)


def test_the_home_folder_of_the_user_is_taken_where_the_environment_names_none(parse: Parse) -> None:
    state_dir = parse(OCTO, env={"HOME": ""}).config.host.state_dir
    assert state_dir == Path.home() / ".local/state/openclaw-octo"


def test_relative_folders_start_from_the_files_own_and_a_tilde_from_home(
    parse: Parse, tmp_path: Path
) -> None:
    agent = {"kind": "command", "command": ["agent"], "cwd": "~/work"}
    host = embedded(parse(OCTO, {"stateDir": "state", "agent": agent}))
    assert host.state_dir == tmp_path / "state"
    assert isinstance(host.agent, CommandAgentConfig)
    assert host.agent.cwd == Path("/home/op/work")


def test_a_command_agent_keeps_its_words_apart(parse: Parse) -> None:
    agent = {"kind": "command", "command": ["agent", "--quiet", "a b"], "env": {"LANG": "C"}}
    found = embedded(parse(OCTO, {"agent": agent})).agent
    assert isinstance(found, CommandAgentConfig)
    assert found.command == ("agent", "--quiet", "a b")
    assert dict(found.env) == {"LANG": "C"}
    assert found.cwd is None


def test_an_openai_agent_takes_its_key_from_a_reference(parse: Parse) -> None:
    agent = {
        "kind": "openai",
        "baseUrl": "https://models.example/v1/",
        "model": "m",
        "apiKey": {"source": "env", "id": "KEY"},
    }
    found = embedded(parse(OCTO, {"agent": agent}, {"KEY": "sk-PLANTED"})).agent
    assert isinstance(found, OpenAIAgentConfig)
    assert found.api_key is not None
    assert found.api_key.get_secret_value() == "sk-PLANTED"
    assert (found.base_url, found.system_prompt) == ("https://models.example/v1", "")


def test_an_openai_agent_takes_settings_of_requests(parse: Parse) -> None:
    agent = {
        "kind": "openai",
        "baseUrl": "https://models.example/v1",
        "model": "m",
        "temperature": 0.2,
        "maxTokens": 500,
        "historyMessages": 0,
        "pictures": False,
        "headers": {"X-Key": {"source": "env", "id": "KEY"}, "X-Title": "my bot"},
        "body": {"reasoning_effort": "low"},
    }
    loaded = parse(OCTO, {"agent": agent}, {"KEY": "sk-PLANTED"})
    found = embedded(loaded).agent
    assert isinstance(found, OpenAIAgentConfig)
    assert {name: value.get_secret_value() for name, value in found.headers.items()} == {
        "X-Key": "sk-PLANTED",
        "X-Title": "my bot",
    }
    assert (found.temperature, found.max_tokens, found.history_messages, found.pictures) == (
        0.2,
        500,
        0,
        False,
    )
    assert dict(found.body) == {"reasoning_effort": "low"}
    assert "sk-PLANTED" in [secret.get_secret_value() for secret in loaded.config.secrets()]


def test_an_openai_agent_needs_no_key(parse: Parse) -> None:
    agent = {"kind": "openai", "baseUrl": "http://localhost:11434/v1", "model": "m"}
    found = embedded(parse(OCTO, {"agent": agent})).agent
    assert isinstance(found, OpenAIAgentConfig)
    assert found.api_key is None


MODEL = {"kind": "openai", "model": "m", "baseUrl": "https://h"}


@pytest.mark.parametrize(("own", "budget_s"), [({"dispatchTimeoutMs": 90_500}, 90.5), ({}, 0.5)])
def test_a_bots_own_timeout_wins_over_the_hosts(parse: Parse, own: dict[str, int], budget_s: float) -> None:
    loaded = parse({**OCTO, **own}, {"timeoutSeconds": 0.5})
    bot, host = loaded.config.accounts["default"], loaded.config.host
    assert bot.turn_budget_s(host.timeout_seconds) == budget_s


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ([], "host: must be an object: { … }"),
        ({"kind": "Embedded"}, "host.kind: must be 'embedded', spelt exactly so"),
        ({"statedir": "x"}, "host.statedir: unknown key; did you mean stateDir?"),
        ({"dispatchTimeoutMs": 5}, "host.dispatchTimeoutMs: unknown key; not here, but at channels.octo"),
        (
            {"kind": "gateway", "agent": {"kind": "echo"}},
            "host.agent: unknown key; it goes with another kind; known here: ",
        ),
        ({"stateDir": "a\0b"}, "host.stateDir: must not hold the character NUL"),
        ({"stateDir": ""}, "host.stateDir: must be a path, as a string that is not empty"),
        ({"stateDir": None}, "host.stateDir: must be a path, as a string that is not empty"),
        ({"agentId": "../up"}, "host.agentId: must be 1 to 64 lower-case letters"),
        ({"agentId": "Main"}, "host.agentId: must be 1 to 64 lower-case letters"),
        ({"agentId": "main\n"}, "host.agentId: must be 1 to 64 lower-case letters"),
        ({"timeoutSeconds": 0}, "host.timeoutSeconds: must be more than 0"),
        ({"timeoutSeconds": float("inf")}, "host.timeoutSeconds: must be a finite number"),
        ({"timeoutSeconds": "600"}, "host.timeoutSeconds: must be a number"),
        ({"timeoutSeconds": True}, "host.timeoutSeconds: must be a number"),
        ({"timeoutSeconds": 10**400}, "host.timeoutSeconds: "),
        ({"drainSeconds": -1}, "host.drainSeconds: must be at least 0"),
        ({"maxTurns": 0}, "host.maxTurns: must be at least 1"),
        ({"strict": 1}, "host.strict: must be true or false"),
        ({"agent": "echo"}, "host.agent: must be an object: { … }"),
        ({"agent": {}}, 'host.agent.kind: missing: give "echo", "command" or "openai"'),
        ({"agent": {"kind": "Echo"}}, 'host.agent.kind: must be "echo", "command" or "openai"'),
        ({"agent": {"kind": "echo", "command": []}}, "host.agent.command: unknown key; known here: kind"),
        ({"agent": {"kind": "command"}}, "host.agent.command: missing"),
        ({"agent": {"kind": "command", "command": "ls -l"}}, "host.agent.command: must be a list of strings"),
        ({"agent": {"kind": "command", "command": []}}, "host.agent.command: must have at least 1 entry"),
        (
            {"agent": {"kind": "command", "command": ["a"], "env": {"A": 5}}},
            "host.agent.env.A: must be a string",
        ),
        ({"agent": {"kind": "command", "command": ["a"], "env": []}}, "host.agent.env: must be an object"),
        (
            {"agent": {"kind": "command", "command": ["a"], "apiKey": "sk-PLANTED"}},
            "host.agent.apiKey: unkno",
        ),
        ({"agent": {"kind": "openai", "model": "m"}}, "host.agent.baseUrl: missing"),
        ({"agent": {**MODEL, "temperature": 3}}, "host.agent.temperature: must be at most 2"),
        ({"agent": {**MODEL, "headers": {"a b": "x"}}}, "host.agent.headers: a header's name may hold"),
        ({"agent": {**MODEL, "headers": {"a": "PLANTED\n"}}}, "host.agent.headers"),
        ({"agent": {**MODEL, "headers": {"a": ["PLANTED"]}}}, "host.agent.headers.a: "),
        ({"agent": {**MODEL, "headers": "PLANTED"}}, "host.agent.headers: must be an object"),
        (
            {"agent": {**MODEL, "body": {"stream": False}}},
            "host.agent.body: must not hold what is set here: stream",
        ),
        (
            {"agent": {"kind": "openai", "model": "m", "baseUrl": "https://u:PLANTED@h"}},
            "host.agent.baseUrl: must carry no user name, password or fragment",
        ),
        (
            {"agent": {"kind": "openai", "model": "m", "baseUrl": "https://h", "apiKey": " "}},
            "host.agent.apiKey: is blank (from the configuration file)",
        ),
    ],
)
def test_a_mistake_in_the_host_block_names_its_path_and_what_is_allowed(
    problems: Problems, host: Any, problem: str
) -> None:
    (found,) = problems(OCTO, host)
    assert found.startswith(problem)
    assert "PLANTED" not in found


def test_a_wrong_agent_does_not_hide_other_mistakes_of_the_host(problems: Problems) -> None:
    found = problems(OCTO, {"agent": {"kind": "x"}, "maxTurns": 0})
    assert [line.split(":")[0] for line in found] == ["host.agent.kind", "host.maxTurns"]


TOKEN = "0123456789abcdef-PLANTED"


def gateway(loaded: Loaded) -> GatewayHostConfig:
    assert isinstance(loaded.config.host, GatewayHostConfig)
    return loaded.config.host


def test_a_gateway_on_this_machine_needs_only_its_token(parse: Parse) -> None:
    host = gateway(parse(OCTO, {"kind": "gateway", "token": TOKEN}))
    assert host.url == "ws://127.0.0.1:18789"
    assert host.token is not None
    assert host.token.get_secret_value() == TOKEN
    assert host.scopes == ("operator.read", "operator.write")


def test_a_gateways_token_may_be_a_reference_and_is_among_the_secrets(parse: Parse) -> None:
    host = {"kind": "gateway", "url": "wss://gw.example", "token": {"source": "env", "id": "GW"}}
    loaded = parse(OCTO, host, {"GW": TOKEN})
    assert TOKEN in [secret.get_secret_value() for secret in loaded.config.secrets()]
    assert TOKEN not in report_text(loaded.config)
    assert TOKEN not in repr(loaded)


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ({"kind": "gateway", "url": "http://x"}, "host.url: must be a URL that begins with ws:// or wss://"),
        ({"kind": "gateway", "scopes": []}, "host.scopes: must have at least 1 entry"),
        ({"kind": "gateway", "agent": {"kind": "echo"}}, "host.agent: unknown key"),
        ({"kind": "gateway", "routing": {}}, "host.routing: unknown key"),
        ({"kind": "gateway", "openclawConfig": "gone.json"}, "host.openclawConfig: /"),
        ({"kind": "gatewy"}, "host.kind"),
    ],
)
def test_mistakes_in_a_gateway_block_name_their_place(
    problems: Problems, host: dict[str, Any], problem: str
) -> None:
    assert [one for one in problems(OCTO, host) if one.startswith(problem)]
