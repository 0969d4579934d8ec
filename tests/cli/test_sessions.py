"""`openclaw-octo sessions`: what is wrong, in words, without touching anything."""

import json
import time
from functools import partial
from pathlib import Path

import pytest

from tests.cli.asking import call, write_sessions

sessions = partial(call, "sessions")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A state folder in which sessions were left just now: how long they run is part of what is said of them."""
    now = time.time_ns() // 1_000_000
    left = {
        "agent:main:octo:group:bad": {"status": "failed", "abortedLastRun": False, "runtimeMs": 394653},
        "agent:main:octo:direct:ann": {
            "status": "timeout",
            "sessionId": "s",
            "lastRunError": "took too long",
        },
        "agent:main:octo:group:good": {"status": "done", "sessionId": "s", "updatedAt": now - 7_200_000},
        "agent:main:octo:group:busy": {"status": "running", "sessionId": "s", "startedAt": now - 1_000},
        "agent:main:octo:group:stuck": {"status": "running", "lastRunId": "r", "startedAt": now - 9_000_000},
        "agent:main:octo:group:odd": "not an object",
    }
    write_sessions(tmp_path, left)
    return tmp_path


def test_show_without_a_key_explains_the_sessions_that_are_not_fine(store: Path) -> None:
    result = sessions("show", "--store", store, code=1)
    bad, stuck = (
        result.output.partition(f"group:{name}\n")[2].split("\nagent:")[0] for name in ("bad", "stuck")
    )
    assert "announced in the group" in bad
    assert "394.7 s" in bad
    assert "aborted" in stuck
    direct = result.output.partition("direct:ann\n")[2].split("\nagent:")[0]
    assert "took too long" in direct
    assert "announced" not in direct
    assert "group:good" not in result.output
    assert "group:busy" not in result.output


def test_show_with_a_key_explains_that_session_whatever_its_status(store: Path) -> None:
    result = sessions("show", "--store", store, "--session", "agent:main:octo:group:good")
    assert "the next message is answered" in result.output
    busy = sessions("show", "--store", store, "--session", "agent:main:octo:group:busy", "--json")
    assert "waits" in json.loads(busy.output)["verdict"]
    sessions("show", "--store", store, "--session", "agent:main:octo:group:none", code=1)


def test_list_shows_all_of_them_and_changes_nothing(store: Path) -> None:
    file = store / "agents" / "main" / "sessions" / "sessions.json"
    before = (file.read_bytes(), file.stat().st_mtime_ns, sorted(store.rglob("*")))
    result = sessions("list", "--store", store)
    assert all(key in result.output for key in json.loads(file.read_text()))
    assert "2 h" in result.output
    assert before == (file.read_bytes(), file.stat().st_mtime_ns, sorted(store.rglob("*")))


def test_a_store_without_trouble_says_so(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    assert sessions("show", "--store", tmp_path).output == "All 0 sessions are fine.\n"


@pytest.mark.parametrize("command", ["list", "show"])
def test_a_folder_no_bots_have_worked_with_is_not_called_fine(tmp_path: Path, command: str) -> None:
    result = sessions(command, "--store", tmp_path, code=2)
    assert "no bots have worked with this folder; give their state folder with --store" in result.output


@pytest.mark.parametrize("content", ["{broken", "[]"])
def test_sessions_that_cannot_be_read_are_one_clear_line(store: Path, content: str) -> None:
    (store / "agents" / "main" / "sessions" / "sessions.json").write_text(content)
    result = sessions("show", "--store", store, code=2)
    (line,) = result.stderr.strip().splitlines()
    assert "cannot be read: agents/main/sessions/sessions.json: " in line


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    result = sessions("list", "--store", tmp_path / "absent", code=2)
    assert "--store" in result.stderr


@pytest.mark.parametrize("words", [("list",), ("show",), ("repair",), ("repair", "--dry-run")])
def test_an_agent_that_is_none_is_said_to_be_and_the_known_ones_named(
    store: Path, words: tuple[str, ...]
) -> None:
    result = sessions(*words, "--store", store, "--agent", "mian", code=2)
    assert "there is no agent 'mian'; known: main" in result.stderr


def test_what_cannot_be_looked_into_is_not_said_to_be_empty(tmp_path: Path) -> None:
    (tmp_path / "agents").touch()
    result = sessions("list", "--store", tmp_path, code=2)
    assert "cannot be read: Not a directory" in result.stderr


def test_a_token_in_the_words_of_a_failure_is_not_shown(store: Path) -> None:
    failed = {"status": " Failed ", "sessionId": "s", "lastRunError": "no bf_0123456789abcdef for you"}
    write_sessions(store, {"agent:main:octo:group:g1": failed})
    shown = sessions("show", "--store", store, code=1)
    told = sessions("show", "--store", store, "--json", code=1)
    repaired = sessions("repair", "--store", store)
    assert "no [hidden] for you" in shown.output
    assert json.loads(told.output)["last_run_error"] == "no [hidden] for you"
    assert "bf_0123456789abcdef" not in shown.output + told.output
    assert "was failed: recovered" in repaired.output


def test_a_session_that_will_be_answered_is_fine_whatever_its_status_is_called(store: Path) -> None:
    write_sessions(store, {"agent:main:octo:group:g1": {"status": "wobbly", "sessionId": "s"}})
    assert sessions("show", "--store", store).output == "All 1 sessions are fine.\n"
