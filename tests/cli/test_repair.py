"""`openclaw-octo sessions repair`: what people did with an editor and a restart, by the program itself."""

import json
import re
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.host.base import Accepted, Final
from openclaw_channel_octo.host.locks import OwnerLock
from openclaw_channel_octo.session.status import RECOVERY_CLEARS
from openclaw_channel_octo.testing.host import HANG, ScriptedHost
from tests.cli.asking import call, command, controlled, write_sessions
from tests.runtime.rig import RESTART, Rig

sessions, beside_them = partial(call, "sessions"), partial(command, "sessions")
BAD, GOOD, DIRECT = "agent:main:octo:group:g1", "agent:main:octo:group:good", "agent:main:octo:direct:ann"
FAILED = {
    "status": "failed",
    "startedAt": 1,
    "endedAt": 2,
    "runtimeMs": 394653,
    "abortedLastRun": False,
    "lastRunError": "boom",
    "lastRunId": "r1",
    "sessionId": "s1",
    "sessionFile": "s1.jsonl",
    "modelOverride": "big",
    "updatedAt": 5,
    "theirs": {"kept": [1, 2.5]},
}
SESSIONS: dict[str, Any] = {
    BAD: FAILED,
    GOOD: {"status": "done", "sessionId": "s2", "runtimeMs": 7, "lastRunId": "r2"},
    DIRECT: {"status": "running", "startedAt": 1, "sessionId": "s3"},
    "agent:main:octo:group:odd": "not an object",
}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    write_sessions(tmp_path, SESSIONS)
    return tmp_path


def file_of(store: Path) -> Path:
    return store / "agents" / "main" / "sessions" / "sessions.json"


def content(store: Path) -> dict[str, Any]:
    read = json.loads(file_of(store).read_text())
    assert isinstance(read, dict)
    return read


def recovered(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in RECOVERY_CLEARS}


def backups(store: Path) -> Iterator[Path]:
    return file_of(store).parent.glob("sessions.json.before-repair-*")


def test_every_failed_session_and_run_left_behind_is_cleared_and_nothing_else_touched(store: Path) -> None:
    before = file_of(store).read_bytes()
    result = sessions("repair", "--store", store)
    assert content(store) == {
        **SESSIONS,
        BAD: recovered(FAILED),
        DIRECT: recovered(SESSIONS[DIRECT]),
    }
    (backup,) = backups(store)
    assert backup.read_bytes() == before
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert f"{BAD}\n  was failed: recovered with its memory\n  the file as it was: {backup}" in result.output
    sessions("show", "--store", store)
    assert sessions("repair", "--store", store).output == "Nothing to repair.\n"
    assert len(list(backups(store))) == 1


def test_a_dry_run_tells_and_writes_nothing(store: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    result = sessions("repair", "--store", store, "--dry-run")
    assert "was failed: would be recovered" in result.output
    assert DIRECT in result.output
    assert before == {path: path.stat().st_mtime_ns for path in store.rglob("*")}


def test_one_session_of_one_agent_can_be_named_in_any_case(store: Path) -> None:
    other = store / "agents" / "other" / "sessions"
    other.mkdir(parents=True)
    (other / "sessions.json").write_text(json.dumps(SESSIONS))
    result = sessions("repair", "--store", store, "--agent", "main", "--session", BAD.upper(), "--json")
    fix = json.loads(result.output)
    assert (fix["agent"], fix["session"], fix["status"], fix["state"]) == ("main", BAD, "failed", "repaired")
    assert content(store) == {**SESSIONS, BAD: recovered(FAILED)}
    assert json.loads((other / "sessions.json").read_text()) == SESSIONS
    fine = sessions("repair", "--store", store, "--agent", "main", "--session", GOOD)
    assert "the next message is answered" in fine.output
    sessions("repair", "--store", store, "--session", "agent:main:octo:group:none", code=1)


@pytest.mark.parametrize("broken", ['{"a": {"status": "failed"', "[]", "\udcff"])
def test_a_broken_file_is_left_as_it_is_and_named(store: Path, broken: str) -> None:
    file_of(store).write_bytes(broken.encode("utf-8", "surrogateescape"))
    before = sorted(store.rglob("*"))
    result = sessions("repair", "--store", store, code=2)
    assert len(result.stderr.splitlines()) == 1
    assert sorted(store.rglob("*")) == before


def test_a_folder_whose_owner_cannot_be_asked_is_left_alone(store: Path) -> None:
    owner = OwnerLock(store / "host.lock")
    owner.acquire()
    result = sessions("repair", "--store", store, code=2)
    owner.release()
    assert "cannot be asked" in result.stderr
    assert content(store) == SESSIONS


def test_a_gateways_own_folder_is_never_written_to(store: Path) -> None:
    (store / "openclaw.json").write_text("{}")
    result = sessions("repair", "--store", store, code=2)
    assert "gateway check" in result.stderr
    assert content(store) == SESSIONS


def test_a_store_of_bots_in_a_gateway_says_where_its_sessions_are(tmp_path: Path) -> None:
    (tmp_path / "gateway-device.json").write_text("{}")
    result = sessions("repair", "--store", tmp_path, code=2)
    assert "gateway check" in result.stderr


def test_a_run_of_a_dead_process_is_explained_as_what_it_is(store: Path) -> None:
    (store / "host.lock").touch()
    running = {"status": "running", "startedAt": 9_999_999_999_999, "sessionId": "s"}
    file_of(store).write_text(json.dumps({BAD: running}))
    result = sessions("show", "--store", store, "--session", BAD)
    assert "no process runs it any more" in result.output


async def test_a_running_host_repairs_its_session_itself_and_no_restart_is_announced(fast_rig: Rig) -> None:
    fast_rig.write_session(FAILED)
    await fast_rig.start(fast_rig.config())
    async with controlled(fast_rig):
        dry = await beside_them("repair", "--store", fast_rig.state_dir, "--dry-run")
        assert "was failed: would be recovered" in dry.output
        assert fast_rig.session()["status"] == "failed"

        done = await beside_them("repair", "--store", fast_rig.state_dir)
        assert done.output == f"{BAD}\n  was failed: recovered with its memory\n"
        assert fast_rig.session() == recovered(FAILED)
        assert list(backups(fast_rig.state_dir)) == []

        again = await beside_them("repair", "--store", fast_rig.state_dir, "--session", BAD)
        assert "nothing to repair" in again.output
        await fast_rig.mentioned("still there?")
    assert RESTART not in fast_rig.said()


async def test_a_running_turn_is_shown_with_what_waits_behind_it_and_is_not_repaired_away(
    fast_rig: Rig,
) -> None:
    host = await fast_rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("at last")]))
    store = str(fast_rig.state_dir)
    first = await fast_rig.under_way("one")
    second = await fast_rig.mentioned("two", "queued")
    async with controlled(fast_rig):
        shown = await beside_them("show", "--store", store, "--session", BAD)
        assert "a run is under way; the next message waits for it" in shown.output
        assert re.search(rf"helper has worked on message {first} for \d+ s", shown.output)
        assert "messages that wait there: 1" in shown.output
        told = json.loads((await beside_them("show", "--store", store, "--session", BAD, "--json")).output)
        assert (told["waiting"], told["run"]["message_id"]) == (1, first)

        busy = await beside_them("repair", "--store", store, "--session", BAD, code=1)
        assert (host.recoveries, host.aborts) == ([], [])
        assert "/stop in the chat" in busy.output
        host.release()
        await fast_rig.until_row(second, "answered")


async def test_bots_in_a_gateway_look_at_a_session_when_it_is_named(fast_rig: Rig) -> None:
    await fast_rig.start(fast_rig.config(), ScriptedHost())
    async with controlled(fast_rig, "gateway"):
        result = await beside_them("repair", "--store", fast_rig.state_dir, code=2)
        assert "--session" in result.stderr
