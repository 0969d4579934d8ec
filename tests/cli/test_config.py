import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from openclaw_channel_octo.config.environment import looks_secret
from tests.cli.asking import call
from tests.programs import write

TOKEN = "bf_PLANTED0token0never0to0be0shown"

Check = Callable[..., Result]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    def run(content: Any, *options: str, code: int = 0) -> Result:
        result = call("config", "check", write(tmp_path, content), *options, code=code)
        assert "PLANTED" not in result.output
        return result

    return run


def good(**octo: Any) -> dict[str, Any]:
    return {"channels": {"octo": {"botToken": TOKEN, **octo}}, "host": {"agent": {"kind": "echo"}}}


def test_a_good_file_shows_its_effective_settings(check: Check, tmp_path: Path) -> None:
    result = check(good(name="Helper"))
    lines = result.stdout.splitlines()
    assert lines[0] == f"{tmp_path / 'octo.json'}: fine, 1 account, 1 on"
    assert "account default (on)" in lines
    assert "  botToken                              [set] (configuration file)" in lines
    assert "  name                                  Helper" in lines
    assert "  agent.kind                            echo" in lines


def test_warnings_are_shown_and_do_not_fail(check: Check) -> None:
    result = check(good(historyPromptTemplate="x"))
    assert "  warning: channels.octo.historyPromptTemplate: known, but without effect here\n" in result.stdout


def test_every_mistake_is_shown_at_once(check: Check, tmp_path: Path) -> None:
    result = check(good(laneLength=0, silentRepies="allow"), code=1)
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"{tmp_path / 'octo.json'}: 2 mistakes",
        "  - channels.octo.laneLength: must be at least 1",
        "  - channels.octo.silentRepies: unknown key; did you mean silentReplies?",
    ]


def test_a_token_that_cannot_be_read_is_a_mistake_although_the_other_bots_would_run(check: Check) -> None:
    accounts = {"good": {"botToken": TOKEN}, "bad": {"botToken": "${NOT_SET_ANYWHERE}"}}
    (problem,) = json.loads(check({"channels": {"octo": {"accounts": accounts}}}, "--json", code=1).stdout)[
        "problems"
    ]
    assert (
        problem == "channels.octo.accounts.bad.botToken: the environment variable NOT_SET_ANYWHERE is not set"
    )


def test_a_single_mistake_is_counted_as_one(check: Check) -> None:
    assert check(good(laneLength=0), code=1).stderr.splitlines()[0].endswith(": 1 mistake")


def test_a_file_that_is_not_json_is_told_in_one_line(check: Check, tmp_path: Path) -> None:
    result = check(f"botToken = {TOKEN}", code=2)
    assert result.stderr.startswith(f"{tmp_path / 'octo.json'}: is not JSON (line 1, column 1)")
    assert len(result.stderr.splitlines()) == 1


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    result = call("config", "check", tmp_path / "none.json", code=2)
    assert result.stderr == f"{tmp_path / 'none.json'}: cannot be read: No such file or directory\n"


@pytest.mark.parametrize(
    ("settings", "warning"),
    [
        (
            {"host": {"agent": {"kind": "command", "command": ["/no/agent"]}}},
            "host.agent: /no/agent is not there: install it",
        ),
        ({"mcp": {}}, "mcp: no agent uses it: only programs do"),
    ],
)
def test_an_agent_that_cannot_do_what_is_configured_is_a_warning(
    check: Check, settings: dict[str, Any], warning: str
) -> None:
    assert f"  warning: {warning}" in check({**good(), **settings}).stdout


def test_json_carries_settings_and_warnings(check: Check) -> None:
    result = check(good(historyPromptTemplate="x"), "--json")
    content = json.loads(result.stdout)
    assert content["ok"] is True
    assert content["warnings"] == ["channels.octo.historyPromptTemplate: known, but without effect here"]
    assert content["accounts"]["default"]["botToken"] == "[set] (configuration file)"
    assert content["host"]["maxTurns"] == 32


@pytest.mark.parametrize(("content", "code"), [(good(laneLength=0), 1), (TOKEN, 2)])
def test_json_carries_mistakes(check: Check, content: Any, code: int) -> None:
    result = check(content, "--json", code=code)
    answer = json.loads(result.stdout)
    assert answer["ok"] is False
    assert len(answer["problems"]) == 1
    assert result.stderr == ""


def test_programs_run_only_when_asked(check: Check, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    ref = {"source": "exec", "command": ["sh", "-c", f"touch {trace}; echo {TOKEN}"]}
    content = good(botToken=ref)
    assert "  botToken                              [not read] (program sh)\n" in check(content).stdout
    assert not trace.exists()
    resolved = check(content, "--resolve").stdout
    assert "  botToken                              [set] (program sh)\n" in resolved
    assert trace.exists()


def test_environment_and_file_are_followed_without_asking(check: Check, tmp_path: Path) -> None:
    accounts = {
        "env": {"botToken": {"source": "env", "id": "OCTO_NOT_SET_ANYWHERE"}},
        "file": {"botToken": {"source": "file", "id": "none"}},
    }
    result = check(good(accounts=accounts), code=1)
    assert result.stderr.splitlines()[1:] == [
        "  - channels.octo.accounts.env.botToken: the environment variable OCTO_NOT_SET_ANYWHERE is not set",
        "  - channels.octo.accounts.file.botToken: the file named there cannot be read: No such file or directory",
    ]


def test_names_of_secrets_that_the_agents_program_sees_are_listed(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (name for name in os.environ if looks_secret(name)):
        monkeypatch.delenv(name)
    monkeypatch.setenv("OCTO_BOT_TOKEN", TOKEN)
    monkeypatch.setenv("COPY", TOKEN)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "PLANTED-too")
    content = good(botToken={"source": "env", "id": "OCTO_BOT_TOKEN"})
    content["host"]["agent"] = {"kind": "command", "command": ["a"], "env": {"API_KEY": "PLANTED"}}
    assert check(content).stdout.splitlines()[-3:] == [
        "variables of this environment that look like secrets",
        "  the agent's program sees              API_KEY, AWS_SECRET_ACCESS_KEY",
        "  withheld from it                      COPY, OCTO_BOT_TOKEN",
    ]
    content["host"]["agent"] |= {"cleanEnv": True, "passEnv": ["OCTO_BOT_TOKEN"]}
    assert json.loads(check(content, "--json").stdout)["agentVariables"] == {
        "seen": ["API_KEY", "OCTO_BOT_TOKEN"],
        "withheld": ["AWS_SECRET_ACCESS_KEY", "COPY"],
    }


@pytest.mark.parametrize("as_secret", [False, True])
@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "socket", "huge"])
def test_what_is_no_small_regular_file_is_told_in_one_line_and_never_waited_for(
    tmp_path: Path, kind: str, as_secret: bool
) -> None:
    path = tmp_path / "odd"
    words = f"it is a {kind}, not a regular file"
    with socket.socket(socket.AF_UNIX) as listening:
        match kind:
            case "pipe":
                os.mkfifo(path)
            case "folder":
                path.mkdir()
            case "device":
                path.symlink_to("/dev/zero")
            case "socket":
                listening.bind(str(path))
            case "huge":
                path.touch()
                os.truncate(path, 1 << 40)
                words = "it is larger than"
        file = path
        if as_secret:
            file = write(tmp_path, good(botToken={"source": "file", "id": str(path)}))
        result = call("config", "check", file, code=1 if as_secret else 2)
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == (2 if as_secret else 1)
