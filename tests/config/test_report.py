import json
import re
from pathlib import Path
from typing import Any

from openclaw_channel_octo.config.load import Loaded
from openclaw_channel_octo.config.report import report, report_text
from tests.config.conftest import Parse

COMMAND = {
    "kind": "command",
    "command": ["agent", "--key=sk-PLANTED1", "x"],
    "env": {"API_KEY": "PLANTED2"},
    "cwd": "w",
}
OPENAI = {
    "kind": "openai",
    "baseUrl": "https://models.example/v1",
    "model": "m",
    "apiKey": "sk-PLANTED3",
    "systemPrompt": "PLANTED4",
    "headers": {"X-Key": "PLANTED10"},
    "body": {"user": "PLANTED11"},
}


def octo(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "token").write_text("bf_PLANTED5")
    return {
        "wsUrl": "wss://im.example/ws?key=PLANTED6",
        "accounts": {
            "literal": {"botToken": "bf_PLANTED7", "dispatchTimeoutMs": 5000},
            "env": {"botToken": {"source": "env", "id": "TOKEN"}, "wsUrl": None},
            "file": {"botToken": {"source": "file", "id": "token"}},
            "exec": {"botToken": {"source": "exec", "command": ["printf", "bf_PLANTED8"]}},
            "off": {"enabled": False},
        },
    }


def everything_shown(loaded: Loaded) -> str:
    text = report_text(loaded.config)
    return "\n".join(
        (repr(loaded), str(loaded.config), text, json.dumps(report(loaded.config)), *loaded.warnings)
    )


def test_no_secret_is_ever_shown(parse: Parse, tmp_path: Path) -> None:
    env = {"TOKEN": "bf_PLANTED9", "PATH": "/usr/bin:/bin"}
    for agent in (COMMAND, OPENAI):
        loaded = parse(octo(tmp_path), {"agent": agent}, env)
        shown = everything_shown(loaded)
        safe = shown.replace("key=PLANTED6", "").replace("system_prompt='PLANTED4'", "")
        assert "PLANTED" not in safe
        assert "PLANTED" not in report_text(loaded.config) + json.dumps(report(loaded.config))


def test_the_report_says_of_each_token_whether_it_is_set_and_where_it_comes_from(
    parse: Parse, tmp_path: Path
) -> None:
    loaded = parse(octo(tmp_path), env={"TOKEN": "bf_PLANTED9"}, run_programs=False)
    tokens = {key: account["botToken"] for key, account in report(loaded.config)["accounts"].items()}
    assert tokens == {
        "literal": "[set] (configuration file)",
        "env": "[set] (environment variable TOKEN)",
        "file": f"[set] (file {tmp_path / 'token'})",
        "exec": "[not read] (program printf)",
        "off": "[none]",
    }


def test_the_report_shows_effective_settings_by_the_names_people_write(parse: Parse, tmp_path: Path) -> None:
    content = report(parse(octo(tmp_path), env={"TOKEN": "bf_x"}, run_programs=False).config)
    accounts = content["accounts"]
    assert accounts["literal"]["dispatchTimeoutMs"] == 5000
    assert accounts["env"]["dispatchTimeoutMs"] == "[host.timeoutSeconds]"
    assert accounts["literal"]["wsUrl"] == "wss://im.example/ws?…"
    assert accounts["env"]["wsUrl"] == "[as the server says]"
    assert accounts["env"]["guard"]["notice"] == "groups"
    assert accounts["off"]["disabledBy"] == ["channels.octo.accounts.off.enabled"]
    assert "disabledBy" not in accounts["env"]
    assert content["host"]["stateDir"] == "/home/op/.local/state/openclaw-octo"
    assert content["host"]["agent"] == {"kind": "echo"}


def test_every_name_stands_apart_from_its_value(parse: Parse, tmp_path: Path) -> None:
    loaded = parse(octo(tmp_path), {"agent": COMMAND}, {"TOKEN": "bf_x"}, run_programs=False)
    lines = report_text(loaded.config).splitlines()
    settings = [line for line in lines if line.startswith("  ")]
    assert len(settings) > 50
    assert [line for line in settings if not re.match(r"  \S+  +\S", line)] == []


def test_the_report_names_a_commands_program_and_variables_only(parse: Parse, tmp_path: Path) -> None:
    content = report(parse({"botToken": "bf_x"}, {"agent": COMMAND}).config)
    assert content["host"]["agent"] == {
        "kind": "command",
        "cwd": str(tmp_path / "w"),
        "command": "agent [+2 hidden]",
        "env": {"API_KEY": "[set]"},
        "passEnv": [],
        "cleanEnv": False,
        "hideThinking": True,
    }


def test_the_report_hides_a_models_key_and_prompt(parse: Parse) -> None:
    agent = report(parse({"botToken": "bf_x"}, {"agent": OPENAI}).config)["host"]["agent"]
    assert (agent["apiKey"], agent["systemPrompt"]) == ("[set]", "[8 characters]")
    bare = {key: value for key, value in OPENAI.items() if key != "apiKey"}
    assert report(parse({"botToken": "bf_x"}, {"agent": bare}).config)["host"]["agent"]["apiKey"] == "[none]"


def test_the_text_gives_one_line_for_each_setting(parse: Parse) -> None:
    lines = report_text(
        parse({"botToken": "bf_x", "name": "a\x1b[2Jb", "enabled": False}).config
    ).splitlines()
    assert lines[0] == "host"
    assert "account default (off)" in lines
    settings = {tuple(line.split(maxsplit=1)) for line in lines if line.startswith("  ")}
    assert ("botToken", "[set] (configuration file)") in settings
    assert ("guard.notice", "groups") in settings
    assert ("name", '"a\\u001b[2Jb"') in settings
