"""Reading a gateway's own file: address, secrets, bots, routing; and that it is never written."""

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.config.diagnostics import Findings
from openclaw_channel_octo.config.load import load_config
from openclaw_channel_octo.config.model import LONGEST_WAIT_S, GatewayHostConfig
from openclaw_channel_octo.config.openclaw import OpenClawConfig, read_openclaw
from openclaw_channel_octo.config.secrets import SecretContext
from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.session.route import ANY, Binding, Peer
from tests.strategies import JSON

TOKEN = "gw-PLANTED-token"
BOT = "bf_PLANTED0token0never0to0be0shown"
DM = ChannelRef("ann", ChannelType.PERSON)


def read(
    raw: object, env: Mapping[str, str] | None = None, folder: Path = Path("/nowhere")
) -> tuple[OpenClawConfig | None, Findings]:
    findings = Findings()
    around = SecretContext(base=folder, env=env or {})
    return read_openclaw(raw, folder / "openclaw.json", around, findings), findings


def found(raw: object, env: Mapping[str, str] | None = None) -> OpenClawConfig:
    config, findings = read(raw, env)
    assert config is not None, findings.problems
    return config


def secret(raw: object, env: Mapping[str, str] | None = None) -> str | None:
    token = found(raw, env).token
    return token.get_secret_value() if token else None


def test_an_empty_file_means_a_gateway_with_every_default() -> None:
    config = found({})
    assert (config.url, config.token, config.password, config.channel) == (
        "ws://127.0.0.1:18789",
        None,
        None,
        None,
    )
    # a gateway's default for people
    assert config.routing.route("helper", DM).session_key == "agent:main:main"


@pytest.mark.parametrize(
    ("gateway", "env", "url"),
    [
        ({"port": 19000}, {}, "ws://127.0.0.1:19000"),
        ({"port": 19000}, {"OPENCLAW_GATEWAY_PORT": "19001"}, "ws://127.0.0.1:19001"),
        ({"port": 19000}, {"OPENCLAW_GATEWAY_PORT": "127.0.0.1:19001"}, "ws://127.0.0.1:19001"),
        ({"port": 19000}, {"OPENCLAW_GATEWAY_PORT": "[::1]:19001"}, "ws://127.0.0.1:19001"),
        ({"port": 19000}, {"OPENCLAW_GATEWAY_PORT": "no port"}, "ws://127.0.0.1:19000"),
        ({"tls": {"enabled": True}}, {}, "wss://127.0.0.1:18789"),
        ({"mode": "remote", "remote": {"url": "wss://gw.example:443"}}, {}, "wss://gw.example:443"),
        (
            {"mode": "remote", "remote": {"url": "wss://${GW_HOST}:443"}},
            {"GW_HOST": "gw.example"},
            "wss://gw.example:443",
        ),
        ({"mode": "local", "remote": {"url": "wss://gw.example:443"}}, {}, "ws://127.0.0.1:18789"),
    ],
)
def test_the_address_is_where_the_gateway_listens(gateway: Any, env: Mapping[str, str], url: str) -> None:
    assert found({"gateway": gateway}, env).url == url


@pytest.mark.parametrize(
    ("gateway", "env"),
    [
        ({"auth": {"mode": "token", "token": TOKEN}}, {}),
        ({"auth": {"token": "${GW_TOKEN}"}}, {"GW_TOKEN": TOKEN}),
        (
            {"auth": {"token": {"source": "env", "provider": "default", "id": "GW_TOKEN"}}},
            {"GW_TOKEN": TOKEN},
        ),
        ({}, {"OPENCLAW_GATEWAY_TOKEN": TOKEN}),
        (  # where a provider cannot be asked, the variable does instead
            {"auth": {"token": {"source": "store", "provider": "default", "id": "TOKEN"}}},
            {"OPENCLAW_GATEWAY_TOKEN": TOKEN},
        ),
        ({"mode": "remote", "remote": {"url": "wss://x", "token": TOKEN}, "auth": {"token": "of here"}}, {}),
    ],
)
def test_the_token_is_found_wherever_the_gateway_finds_it(gateway: Any, env: Mapping[str, str]) -> None:
    assert secret({"gateway": gateway}, env) == TOKEN


def test_variables_are_filled_in_wherever_this_channel_reads() -> None:
    raw = {
        "env": {"GROUP": "of the file", "vars": {"BOT": BOT, "GROUP": "g9"}},
        "channels": {
            "octo": {"botToken": "${BOT}", "apiUrl": "http://${HOST}", "texts": ["$${BOT}", "${BOT"]}
        },
        "bindings": [
            {"agentId": "a", "match": {"channel": "octo", "peer": {"kind": "group", "id": "${GROUP}"}}}
        ],
    }
    config = found(raw, {"HOST": "octo.example", "GROUP": "g7"})
    assert config.channel == {
        "botToken": BOT,
        "apiUrl": "http://octo.example",
        "texts": ["${BOT}", "${BOT"],
    }
    assert config.routing.bindings == (Binding(agent_id="a", peer=Peer("group", "g7")),)


def test_a_variable_that_is_not_set_is_asked_for_only_where_it_is_needed() -> None:
    accounts = {"on": {"botToken": BOT}, "off": {"enabled": False, "botToken": "${GONE}"}}
    config = found({"channels": {"octo": {"accounts": accounts}}, "tools": {"key": "${GONE_TOO}"}})
    assert config.channel is not None
    assert config.channel["accounts"]["off"]["botToken"].unset == ("GONE",)


def test_a_password_is_only_used_where_the_gateway_asks_for_one() -> None:
    config = found({"gateway": {"auth": {"mode": "password", "password": "geheim", "token": TOKEN}}})
    assert config.token is None
    assert config.password is not None
    assert config.password.get_secret_value() == "geheim"


def test_rules_of_this_channel_are_read_and_those_it_cannot_match_left_out() -> None:
    bindings = [
        {"agentId": "Work", "match": {"channel": "octo", "accountId": "Helper"}},
        {"agentId": "all", "match": {"channel": "OCTO", "accountId": "*", "peer": {"kind": "dm", "id": "*"}}},
        {
            "agentId": "g",
            "match": {"channel": "octo", "peer": {"kind": "channel", "id": 7}},
            "session": {"groupScope": "main"},
        },
        {"agentId": "x", "match": {"channel": "telegram"}},
        {"agentId": "x", "match": {"channel": "octo", "guildId": "1"}},
        {"agentId": "x", "type": "acp", "match": {"channel": "octo"}},
        {"agentId": "x"},
        "nonsense",
    ]
    assert found({"bindings": bindings}).routing.bindings == (
        Binding(agent_id="work", account_id="helper"),
        Binding(agent_id="all", account_id=ANY, peer=Peer("direct", ANY)),
        Binding(agent_id="g", account_id="default", peer=Peer("group", "7"), group_scope="main"),
    )


@pytest.mark.parametrize(
    ("agents", "default"),
    [
        ({}, "main"),
        ({"list": [{"id": "a"}, {"id": "B", "default": True}]}, "b"),
        ({"list": [{"id": "a"}, {"id": "b"}]}, "a"),
        ({"entries": {"one": {}, "two": {"default": True}}}, "two"),
        ({"ownership": "explicit", "entries": {"one": {}}}, "one"),
        (
            {
                "ownership": "explicit",
                "entries": {"one": {}, "two": {}},
                "defaults": {"systemAgent": {"agentId": "Two"}},
            },
            "two",
        ),
    ],
)
def test_the_default_agent_is_the_owner_the_marked_one_or_the_first(agents: Any, default: str) -> None:
    assert found({"agents": agents}).routing.default_agent == default


UNOWNED = {"ownership": "explicit", "entries": {"one": {}, "two": {}}}


def rule(agent: str, **match: object) -> dict[str, Any]:
    return {"agentId": agent, "match": {"channel": "octo", **match}}


def test_agents_none_of_whom_owns_the_rest_need_a_rule_for_the_rest() -> None:
    only_a_group = rule("two", accountId="*", peer={"kind": "group", "id": "g"})
    config, findings = read({"agents": UNOWNED, "bindings": [only_a_group]})
    assert config is None
    assert findings.problems[0].startswith("agents: none of them owns what no binding names: add")
    config, findings = read({"agents": UNOWNED, "bindings": [rule("two", accountId="helper")]})
    assert config is not None
    assert findings.warnings[0].startswith("agents: accounts that no binding names are answered by one")
    config, findings = read({"agents": UNOWNED, "bindings": [rule("two", accountId="*")]})
    assert config is not None
    assert not findings.warnings
    assert config.routing.route("helper", DM).agent_id == "two"


def test_a_rule_for_an_agent_the_file_does_not_have_leads_to_the_default_one() -> None:
    agents = {"list": [{"id": "a"}, {"id": "b", "default": True}]}
    config, findings = read({"agents": agents, "bindings": [rule("gone", accountId="*")]})
    assert config is not None
    assert config.routing.route("helper", DM).agent_id == "b"
    assert findings.warnings == ["bindings[0].agentId: is no agent of this file: the default one answers"]


def test_session_scopes_and_links_are_read() -> None:
    session = {
        "dmScope": "per-peer",
        "mainKey": "Home",
        "identityLinks": {"anna": ["octo:ANN", "telegram:1"]},
    }
    routing = found({"session": session}).routing
    assert routing.route("helper", DM).session_key == "agent:main:direct:anna"


def test_the_main_session_is_called_main_whatever_the_file_calls_it() -> None:
    assert found({"session": {"mainKey": "Home"}}).routing.route("h", DM).session_key == "agent:main:main"


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ([], ": must be an object"),
        ({"gateway": []}, "gateway: must be an object"),
        ({"gateway": {"port": "x"}}, "gateway.port: must be a port number"),
        ({"gateway": {"port": 70000}}, "gateway.port: must be a port number"),
        ({"gateway": {"mode": "remote"}}, "gateway.remote.url: missing"),
        (
            {"gateway": {"auth": {"token": "${GONE}"}}},
            "gateway.auth.token: the environment variable GONE is not set",
        ),
        ({"session": {"dmScope": "all"}}, "session.dmScope: must be one of main, per-peer"),
        ({"channels": {"octo": 1}}, "channels.octo: must be an object"),
        ({"bindings": {}}, "bindings: must be a list"),
        ({"agents": {"list": {}}}, "agents.list: must be a list"),
        (
            {"gateway": {"mode": "remote", "remote": {"url": "wss://${GONE}"}}},
            "gateway.remote.url: the environment variable GONE is not set",
        ),
        ({"gateway": {"port": "${GONE}"}}, "gateway.port: the environment variable GONE is not set"),
    ],
)
def test_a_mistake_names_its_place(raw: object, problem: str) -> None:
    config, findings = read(raw)
    assert config is None
    (found,) = findings.problems
    assert found.startswith(problem.removeprefix(": "))


BLOCKS = st.sampled_from(["gateway", "agents", "bindings", "session", "channels"])


@given(st.dictionaries(BLOCKS, JSON | st.lists(st.fixed_dictionaries({"match": JSON})), max_size=5))
def test_whatever_a_file_holds_it_is_read_or_refused_with_words(raw: Mapping[str, Any]) -> None:
    config, findings = read(raw)
    assert config is not None or findings.problems


def test_the_gateways_file_is_the_base_and_ours_lies_over_it(tmp_path: Path) -> None:
    octo = {"apiUrl": "http://a.example", "requireMention": False, "accounts": {"x": {"botToken": BOT}}}
    openclaw = {"gateway": {"port": 19001, "auth": {"token": TOKEN}}, "channels": {"octo": octo}}
    (tmp_path / "openclaw.json").write_text(json.dumps(openclaw))
    ours = {"channels": {"octo": {"apiUrl": "http://b.example"}}, "host": {"stateDir": "state"}}
    (tmp_path / "octo.json").write_text(json.dumps(ours))
    loaded = load_config(tmp_path / "octo.json", openclaw=tmp_path / "openclaw.json", env={})
    assert isinstance(loaded.config.host, GatewayHostConfig)
    assert loaded.config.host.url == "ws://127.0.0.1:19001"
    assert loaded.config.host.state_dir == tmp_path / "state"
    bot = loaded.config.accounts["x"]
    assert (bot.api_url, bot.require_mention, bot.token.get_secret_value()) == (
        "http://b.example",
        False,
        BOT,
    )


def test_a_gateways_file_that_has_the_bots_is_enough_and_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "openclaw.json"
    content = {
        "gateway": {"auth": {"token": TOKEN}},
        "channels": {"octo": {"botToken": BOT}},
        "plugins": {"x": 1},
    }
    file.write_text(json.dumps(content))
    file.chmod(0o400)
    before = file.stat()
    loaded = load_config(None, openclaw=file, env={"HOME": str(tmp_path)})
    assert loaded.config.accounts["default"].enabled
    assert stat.S_IMODE(file.stat().st_mode) == 0o400
    assert file.stat().st_mtime_ns == before.st_mtime_ns


def test_a_mistake_in_the_gateways_file_names_that_file(tmp_path: Path) -> None:
    file = tmp_path / "openclaw.json"
    file.write_text('{"gateway": {"port": true}}')
    with pytest.raises(ConfigError) as error:
        load_config(None, openclaw=file, env={"HOME": str(tmp_path)})
    assert f"{file}: gateway.port: must be a port number" in error.value.problems


@pytest.mark.parametrize(
    ("more", "manifest", "is_told"),
    [
        ({}, None, True),
        ({"plugins": {"entries": {"telegram": {"enabled": True}}, "load": {"paths": []}}}, None, True),
        ({"plugins": "?"}, {"channels": ["telegram"]}, True),
        ({}, "no object", True),
        ({"gateway": {"mode": "remote", "remote": {"url": "wss://there"}}}, None, False),
        ({"plugins": {"entries": {"openclaw-channel-octo": {"enabled": True}}}}, None, False),
        ({"plugins": {"load": {"paths": ["/opt/octo-plugin"]}}}, None, False),
        ({}, {"id": "any-name", "channels": ["octo"]}, False),
    ],
)
def test_a_block_that_keeps_a_gateway_without_the_plugin_from_starting_is_told(
    more: Mapping[str, Any], manifest: object, is_told: bool, tmp_path: Path
) -> None:
    if manifest is not None:
        (tmp_path / "extensions" / "one").mkdir(parents=True)
        (tmp_path / "extensions" / "one" / "openclaw.plugin.json").write_text(json.dumps(manifest))
    config, findings = read({"channels": {"octo": {"botToken": BOT}}, **more}, folder=tmp_path)
    assert config is not None
    assert ["does not start with this block" in warning for warning in findings.warnings] == [True] * is_told


def test_no_secret_of_the_file_stands_in_a_repr() -> None:
    config = found({"gateway": {"auth": {"token": TOKEN}}, "channels": {"octo": {"botToken": BOT}}})
    assert TOKEN not in repr(config)
    assert BOT not in repr(config)


@pytest.mark.parametrize(
    ("defaults", "own", "budget_s"),
    [
        ({"timeoutSeconds": 90}, {}, 90.0),
        ({"timeoutSeconds": 90}, {"timeoutSeconds": 20}, 20.0),
        ({"timeoutSeconds": 1e12}, {}, float(LONGEST_WAIT_S)),
        ({"timeoutSeconds": "soon"}, {}, 600.0),
        ({}, {}, 600.0),
    ],
)
def test_a_turn_has_the_budget_of_the_gateways_agents_unless_ours_says_otherwise(
    defaults: dict[str, Any], own: dict[str, Any], budget_s: float, tmp_path: Path
) -> None:
    gateway = tmp_path / "openclaw.json"
    gateway.write_text(json.dumps({"agents": {"defaults": defaults}}))
    ours = tmp_path / "octo.json"
    host = {"kind": "gateway", "openclawConfig": str(gateway), "stateDir": str(tmp_path), **own}
    bot = {"botToken": "bf_x", "apiUrl": "http://127.0.0.1:1"}
    ours.write_text(json.dumps({"channels": {"octo": {"accounts": {"a": bot}}}, "host": host}))
    assert load_config(ours).config.host.timeout_seconds == budget_s
