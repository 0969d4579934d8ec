import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.config.files import UnreadableConfigError
from openclaw_channel_octo.config.load import (
    Loaded,
    load_config,
    parse_config,
    select_accounts,
)
from openclaw_channel_octo.errors import ConfigError
from tests.config.conftest import TOKEN, Parse

GOOD: dict[str, Any] = {
    "channels": {"octo": {"botToken": TOKEN}},
    "host": {"agent": {"kind": "echo"}, "stateDir": "state"},
}


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write(content: str | bytes) -> Path:
        file = tmp_path / "octo.json"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    return write


Written = Callable[[str | bytes], Path]


def refused(file: Path) -> Sequence[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(file, env={})
    assert "PLANTED" not in repr(caught.value) + str(caught.value)
    assert caught.value.__context__ is None or "PLANTED" not in repr(vars(caught.value.__context__))
    return caught.value.problems


def test_a_json_file_is_read_with_its_folder_as_base(written: Written, tmp_path: Path) -> None:
    loaded = load_config(written(json.dumps(GOOD)), env={})
    assert loaded.config.accounts["default"].token.get_secret_value() == TOKEN
    assert loaded.config.host.state_dir == tmp_path / "state"
    assert loaded.warnings == ()


@pytest.mark.parametrize(
    "token", ["${UNSET}", {"source": "file", "id": "none"}, {"source": "exec", "command": ["touch", "ran"]}]
)
def test_bots_that_connect_nowhere_need_neither_token_nor_address(
    token: Any, written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bot = {"botToken": token, "apiUrl": "${UNSET}", "wsUrl": "no address", "name": "Desk"}
    file = written(
        json.dumps({**GOOD, "channels": {"octo": {"cdnUrl": "${UNSET}", "accounts": {"desk": bot}}}})
    )

    loaded = load_config(file, env={}, connecting=False)

    desk = loaded.config.accounts["desk"]
    assert (desk.name, desk.token.get_secret_value(), desk.token_problem) == ("Desk", "", "")
    assert loaded.unreadable == ()
    assert not (tmp_path / "ran").exists()


def test_a_byte_order_mark_does_no_harm(written: Written) -> None:
    assert load_config(written(b"\xef\xbb\xbf" + json.dumps(GOOD).encode()), env={}).warnings == ()


def test_the_process_environment_is_the_default(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCTO_TEST_TOKEN", TOKEN)
    content = {"channels": {"octo": {"botToken": {"source": "env", "id": "OCTO_TEST_TOKEN"}}}}
    loaded = load_config(written(json.dumps(content)))
    assert loaded.config.accounts["default"].token.get_secret_value() == TOKEN


JSON5 = f"{{channels: {{octo: {{botToken: '{TOKEN}',}}}}, /* ours */ host: {{agent: {{kind: 'echo'}}}}}}"


def test_json5_is_read_where_the_package_is_there(written: Written) -> None:
    assert load_config(written(JSON5), env={}).config.accounts["default"].enabled


def test_json5_without_the_package_says_what_to_install(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "json5", None)
    assert refused(written(JSON5)) == (
        "is not JSON (line 1, column 2); if it is JSON5, first: pip install 'openclaw-channel-octo[json5]'",
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is not JSON (line 1, column 1), nor JSON5"),
        (
            f'{{\n "botToken": {TOKEN}\n}}',
            "is not JSON (line 2, column 14), nor JSON5 (line 2, column ",
        ),
        (b'{"a": "\xff"}', "cannot be read: it is not UTF-8 text"),
        (f'{{"a": {"9" * 5000}}}', "is not JSON (a number is too long), nor JSON5"),
    ],
)
def test_a_file_that_is_not_json_is_told_by_place_not_by_content(
    written: Written, content: str | bytes, problem: str
) -> None:
    file = written(content)
    with pytest.raises(UnreadableConfigError):
        load_config(file, env={})
    (found,) = refused(file)
    assert found.startswith(problem)


def test_a_file_that_is_not_there_or_a_folder_is_told(tmp_path: Path) -> None:
    for file in (tmp_path / "none.json", tmp_path):
        with pytest.raises(UnreadableConfigError, match="cannot be read: "):
            load_config(file)


def test_a_key_written_twice_is_a_mistake_in_json_and_json5(written: Written) -> None:
    for octo in (f'{{"botToken": "{TOKEN}", "botToken": "x"}}', f"{{botToken: '{TOKEN}', botToken: 'x'}}"):
        file = written(f'{{"channels": {{"octo": {octo}}}}}')
        assert refused(file) == ("botToken: this key is written twice in one object",)


def test_every_mistake_is_told_at_once(written: Written) -> None:
    content = {
        "chanels": {},
        "channels": {"octo": {"laneLength": 0, "accounts": {"a": {"botToken": ""}, "b": {"x": 1}}}},
        "host": {"maxTurns": "many", "agent": {"kind": "command", "command": []}},
    }
    paths = [problem.split(":")[0] for problem in refused(written(json.dumps(content)))]
    assert paths == [
        "chanels",
        "host.agent.command",
        "host.maxTurns",
        "channels.octo.laneLength",
        "channels.octo.accounts.a.botToken",
        "channels.octo.accounts.b.x",
        "channels.octo.accounts.b.botToken",
    ]


@pytest.mark.parametrize(
    ("mapping", "problem"),
    [
        ([], "must be an object: { … }"),
        ({}, "channels.octo: missing: the bots are configured there"),
        ({"channels": []}, "channels: must be an object: { … }"),
        ({"channels": {"octo": None}}, "channels.octo: must be an object: { … }"),
        ({"channels": GOOD["channels"], "hosts": {}}, "hosts: unknown key; did you mean host?"),
        ({"octo": {}, "channels": GOOD["channels"]}, "octo: unknown key; not here, but at channels.octo"),
        (
            {"channels": {**GOOD["channels"], "telegram": {}}},
            "channels.telegram: unknown key; known here: octo",
        ),
    ],
)
def test_the_outer_layout_is_checked(mapping: Any, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(mapping, base=tmp_path, env={})
    assert caught.value.problems == (problem,)


def test_a_host_may_hand_in_any_kind_of_mapping(tmp_path: Path) -> None:
    octo = MappingProxyType({"botToken": TOKEN, "guard": MappingProxyType({"notice": "all"})})
    loaded = parse_config({"channels": MappingProxyType({"octo": octo})}, base=tmp_path, env={})
    assert loaded.config.accounts["default"].guard.notice == "all"


def test_a_loaded_configuration_cannot_be_changed(parse: Parse) -> None:
    loaded = parse({"botToken": TOKEN})
    with pytest.raises(AttributeError):
        loaded.warnings = ()  # type: ignore[misc]  # what the test is about
    with pytest.raises(ValueError, match="frozen"):
        loaded.config.host.max_turns = 1  # type: ignore[misc]  # what the test is about


@pytest.fixture
def three(parse: Parse) -> Loaded:
    accounts = {
        "Alpha": {"botToken": "bf_PLANTED1"},
        "beta": {"botToken": "bf_PLANTED2"},
        "off": {"enabled": False},
    }
    return parse({"accounts": accounts})


def test_without_ids_all_accounts_that_are_on_are_chosen(three: Loaded) -> None:
    assert [bot.account_id for bot in select_accounts(three.config, [])] == ["alpha", "beta"]


def test_accounts_are_chosen_by_id_in_any_case_and_once(three: Loaded) -> None:
    chosen = select_accounts(three.config, ["BETA", "Alpha", "beta"])
    assert [bot.account_id for bot in chosen] == ["beta", "alpha"]


def test_unknown_ids_and_accounts_that_are_off_are_all_told(three: Loaded) -> None:
    with pytest.raises(ConfigError) as caught:
        select_accounts(three.config, ["gamma", "Off", "beta"])
    assert caught.value.problems == (
        "there is no account 'gamma'; known: alpha, beta, off",
        'account "off" is off: channels.octo.accounts.off.enabled is false',
    )


def test_both_switches_are_named_where_both_are_off(parse: Parse) -> None:
    config = parse({"enabled": False, "accounts": {"a": {"enabled": False}}}).config
    with pytest.raises(ConfigError) as caught:
        select_accounts(config, ["a"])
    assert caught.value.problems == (
        'account "a" is off: channels.octo.enabled and channels.octo.accounts.a.enabled is false',
    )


KEYS = st.sampled_from(
    ["botToken", "accounts", "guard", "texts", "enabled", "agent", "kind", "source", "id", "command", "env"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(octo=JSON, host=JSON)
def test_whatever_is_written_it_loads_or_is_refused_with_one_line_for_each_mistake(
    octo: Any, host: Any
) -> None:
    mapping = {"channels": {"octo": octo}, "host": host}
    told: tuple[str, ...] = ()
    try:
        told = parse_config(mapping, base=Path("/nowhere"), env={}, run_programs=False).warnings
    except ConfigError as error:
        told = error.problems or ("",)
    assert all(len(line.splitlines()) == 1 for line in told)


@pytest.mark.parametrize("opening", ['{"a":', "[", "{a:"])
def test_a_file_nested_too_deeply_is_refused_in_one_line(written: Written, opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    (problem,) = refused(written(opening * 100_000 + "1" + closing * 100_000))
    assert "nested too deeply" in problem


def test_a_mapping_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    deep: dict[str, Any] = {}
    for _ in range(5_000):
        deep = {"channels": deep}
    with pytest.raises(ConfigError, match="nested too deeply"):
        parse_config(deep, base=tmp_path)
