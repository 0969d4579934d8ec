"""Changes of a large sessions.json are durable in its log, and the file gets them soon."""

import json
import logging
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from openclaw_channel_octo.host.embedded.repair import repair_file
from openclaw_channel_octo.host.embedded.rows import Entry
from openclaw_channel_octo.host.embedded.session_file import SMALL_BYTES, Change, SessionFile
from openclaw_channel_octo.host.embedded.session_log import SessionLog, read_content
from openclaw_channel_octo.host.embedded.store import BEHIND_S, SessionStore
from openclaw_channel_octo.testing.clock import ManualClock
from tests.host.embedded.test_store import full_disk, put
from tests.until import until

KEY = "agent:main:octo:group:g1"
OTHER = "agent:main:main"
PADDING = {"padding": {"text": "x" * SMALL_BYTES}}
"""Makes a session file large."""
BEFORE = {KEY: {"n": 0}, OTHER: {"n": 0}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "sessions" / "sessions.json"
    path.parent.mkdir()
    write(path, BEFORE)
    return path


@pytest.fixture
def log(path: Path) -> Path:
    return path.with_name("sessions.json.log")


@pytest.fixture
async def store(path: Path, clock: ManualClock) -> AsyncIterator[SessionStore]:
    store = await opened(path, clock)
    yield store
    await store.close()


async def opened(path: Path, clock: ManualClock) -> SessionStore:
    store = SessionStore(path, clock=clock)
    await store.open()
    return store


async def catch_up(clock: ManualClock, log: Path) -> None:
    """Let the time pass after which the file is written, and wait for that."""
    await clock.sleepers(1)
    await clock.advance(BEHIND_S)
    await until(lambda: not log.exists())


def write(path: Path, content: dict[str, Any]) -> None:
    """Replace the file as editors do."""
    new = path.with_name("new")
    new.write_text(json.dumps(PADDING | content))
    new.replace(path)


def on_disk(path: Path) -> Any:
    content = json.loads(path.read_bytes())
    content.pop("padding", None)
    return content


def told(path: Path) -> Any:
    """Return what somebody sees who reads the file with its log."""
    content = read_content(path)
    content.pop("padding", None)
    return content


async def test_a_change_is_in_the_log_when_its_call_returns_and_in_the_file_soon(
    store: SessionStore, path: Path, log: Path, clock: ManualClock
) -> None:
    before = path.stat()
    await store.update(KEY, put(n=1))
    await store.update(KEY, put(n=2))
    assert path.stat() == before
    assert (on_disk(path), told(path)) == (BEFORE, BEFORE | {KEY: {"n": 2}})
    assert await store.get(KEY) == {"n": 2}
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    await catch_up(clock, log)
    assert on_disk(path) == BEFORE | {KEY: {"n": 2}}
    assert path.with_name("sessions.json.bak").read_bytes() == path.read_bytes()


async def test_many_changes_cost_one_synced_line_each_and_no_writing_of_the_file(
    store: SessionStore, path: Path, log: Path
) -> None:
    before = path.stat()
    for number in range(1, 21):
        await store.update(KEY, put(n=number))
    assert path.stat() == before
    assert len(log.read_bytes().splitlines()) == 20


async def test_closing_writes_the_file_and_leaves_no_log(path: Path, log: Path, clock: ManualClock) -> None:
    store = await opened(path, clock)
    await store.update(KEY, put(n=1))
    assert log.exists()
    await store.close()
    assert on_disk(path) == BEFORE | {KEY: {"n": 1}}
    assert not log.exists()


async def test_an_edit_by_hand_while_changes_wait_wins_over_those_of_its_own_entry(
    store: SessionStore, path: Path, log: Path, clock: ManualClock
) -> None:
    await store.update(KEY, put(n=1))
    await store.update(OTHER, put(n=1))
    write(path, BEFORE | {KEY: {"by": "hand"}})
    expected = {KEY: {"by": "hand"}, OTHER: {"n": 1}}
    assert (await store.get(KEY), told(path)) == ({"by": "hand"}, expected)
    await catch_up(clock, log)
    assert on_disk(path) == expected


async def test_changes_that_an_edit_by_hand_outdid_are_gone_from_the_log_soon(
    store: SessionStore, path: Path, log: Path, clock: ManualClock
) -> None:
    await store.update("new", put(n=1))
    write(path, BEFORE | {"new": {"by": "hand"}})
    assert await store.get("new") == {"by": "hand"}
    await catch_up(clock, log)
    assert on_disk(path) == BEFORE | {"new": {"by": "hand"}}


async def test_a_change_on_top_of_an_edit_by_hand_counts(store: SessionStore, path: Path) -> None:
    await store.update(KEY, put(n=1))
    write(path, BEFORE | {KEY: {"by": "hand"}})
    await store.update(KEY, put(n=2))
    assert told(path) == BEFORE | {KEY: {"by": "hand", "n": 2}}


async def test_an_edit_by_hand_during_a_change_is_what_the_change_is_made_of(
    store: SessionStore, path: Path
) -> None:
    seen: list[int] = []

    def increase(entry: Entry) -> None:
        seen.append(entry["n"])
        entry["n"] += 1
        if len(seen) == 1:
            write(path, BEFORE | {KEY: {"n": 10}})

    await store.update(KEY, increase)
    assert seen == [0, 10]
    assert told(path) == BEFORE | {KEY: {"n": 11}}


def left_behind(path: Path, *changes: tuple[str, dict[str, Any]]) -> None:
    """Leave the files as a process does that is killed after some changes."""
    file = SessionFile(path, ManualClock())
    file.open()
    for key, fields in changes:
        file.change([Change(key, put(**fields))])


async def test_an_edit_while_no_process_runs_wins_and_the_log_has_the_rest(
    path: Path, log: Path, clock: ManualClock
) -> None:
    left_behind(path, (KEY, {"n": 1}), (OTHER, {"n": 1}), ("new", {"n": 1}), (OTHER, {"n": 2}))
    write(path, BEFORE | {KEY: {"by": "hand"}})
    store = await opened(path, clock)
    assert on_disk(path) == {KEY: {"by": "hand"}, OTHER: {"n": 2}, "new": {"n": 1}}
    assert not log.exists()
    await store.close()


async def test_a_log_beside_a_newer_file_counts_for_nothing(
    path: Path, log: Path, clock: ManualClock
) -> None:
    left_behind(path, (KEY, {"n": 1}), ("new", {"n": 1}))
    newer = {KEY: {"n": 2}, OTHER: {"n": 2}, "new": {"n": 2}}
    write(path, newer)
    store = await opened(path, clock)
    assert on_disk(path) == newer
    assert not log.exists()
    await store.close()


async def test_an_entry_that_was_only_set_out_anew_is_no_edit(path: Path, clock: ManualClock) -> None:
    write(path, {KEY: {"a": 1, "b": {"c": 2, "d": 3}}})
    left_behind(path, (KEY, {"a": 2}))
    path.write_text(json.dumps(PADDING | {KEY: {"b": {"d": 3, "c": 2}, "a": 1}}, indent=1))
    store = await opened(path, clock)
    assert on_disk(path) == {KEY: {"a": 2, "b": {"c": 2, "d": 3}}}
    await store.close()


async def test_a_torn_last_line_is_passed_over_without_a_word(
    path: Path, log: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    left_behind(path, (KEY, {"n": 1}), (OTHER, {"n": 1}))
    log.write_bytes(log.read_bytes()[:-3])
    assert told(path) == BEFORE | {KEY: {"n": 1}}
    store = await opened(path, clock)
    assert on_disk(path) == BEFORE | {KEY: {"n": 1}}
    assert caplog.records == []
    await store.close()


DAMAGED = [
    b"what?",
    b"[1]",
    b"\xff",
    b"{}",
    b'{"key": [], "entry": {}}',
    b'{"key": "k", "entry": 1}',
    b"[" * 9999,
]


@pytest.mark.parametrize("line", DAMAGED)
async def test_a_damaged_log_is_set_aside_and_said_so_and_what_can_be_read_counts(
    path: Path, log: Path, clock: ManualClock, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    left_behind(path, (KEY, {"n": 1}))
    damaged = line + b"\n" + log.read_bytes()
    log.write_bytes(damaged)
    store = await opened(path, clock)
    assert on_disk(path) == BEFORE | {KEY: {"n": 1}}
    aside = log.with_name(f"{log.name}.broken-{clock.wall_ms()}")
    assert aside.read_bytes() == damaged
    assert aside.name in caplog.text
    await store.close()


async def test_a_log_that_is_no_file_does_not_stop_the_start(
    path: Path, log: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    log.mkdir()
    store = await opened(path, clock)
    assert "sessions.json.log is damaged" in caplog.text
    await store.update(KEY, put(n=1))
    assert told(path) == BEFORE | {KEY: {"n": 1}}
    await store.close()


async def test_on_a_full_disk_changes_are_kept_and_written_by_themselves_once_there_is_room(
    store: SessionStore, path: Path, log: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    await store.update(KEY, put(n=1))
    with full_disk():
        await store.update(KEY, put(n=2))
        await store.update(OTHER, put(n=2))
        assert await store.get(KEY) == {"n": 2}
        assert told(path) == BEFORE | {KEY: {"n": 1}}
    await catch_up(clock, log)
    assert on_disk(path) == {KEY: {"n": 2}, OTHER: {"n": 2}}
    assert sum(record.levelno == logging.ERROR for record in caplog.records) == 1


async def test_a_read_only_file_stays_as_it_is_while_the_log_takes_the_changes(
    store: SessionStore, path: Path, log: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    path.chmod(0o400)
    await store.update(KEY, put(n=1))
    await clock.sleepers(1)
    await clock.advance(BEHIND_S)
    await until(lambda: "marked read-only" in caplog.text)
    assert (on_disk(path), told(path)) == (BEFORE, BEFORE | {KEY: {"n": 1}})
    path.chmod(0o600)
    await catch_up(clock, log)
    assert on_disk(path) == BEFORE | {KEY: {"n": 1}}


async def test_a_file_that_breaks_while_changes_wait_is_replaced_with_them(
    store: SessionStore, path: Path, log: Path
) -> None:
    await store.update(KEY, put(n=1))
    path.write_bytes(b'{"half')
    assert await store.get(KEY) == {"n": 1}
    assert on_disk(path) == BEFORE | {KEY: {"n": 1}}
    assert not log.exists()


async def test_a_file_that_broke_while_no_process_ran_is_restored_with_what_the_log_has(
    path: Path, log: Path, clock: ManualClock
) -> None:
    store = await opened(path, clock)
    await store.update(KEY, put(n=1))
    await store.close()
    left_behind(path, (OTHER, {"n": 1}))
    path.write_bytes(b'{"half')
    store = await opened(path, clock)
    assert on_disk(path) == {KEY: {"n": 1}, OTHER: {"n": 1}}
    assert not log.exists()
    await store.close()


async def test_a_repair_sees_what_the_log_has_and_no_log_undoes_it(
    path: Path, log: Path, clock: ManualClock
) -> None:
    failed = {"sessionId": "s1", "status": "failed"}
    left_behind(path, (KEY, failed), (OTHER, {"n": 1}))
    stale = log.read_bytes()
    done = repair_file(path, lambda found: found.status == "failed", clock)
    assert [found.session_key for found in done.sessions] == [KEY]
    assert done.backup is not None
    assert on_disk(done.backup) == {KEY: {"n": 0} | failed, OTHER: {"n": 1}}
    assert not log.exists()
    repaired = {KEY: {"n": 0, "sessionId": "s1"}, OTHER: {"n": 1}}
    assert on_disk(path) == repaired
    log.write_bytes(stale)  # as if the repair had been killed before it deleted the log
    store = await opened(path, clock)
    assert on_disk(path) == repaired
    await store.close()


async def test_closing_while_the_disk_is_full_leaves_the_log_to_the_next_start(
    path: Path, clock: ManualClock
) -> None:
    store = await opened(path, clock)
    await store.update(KEY, put(n=1))
    with full_disk():
        await store.close()
    assert (on_disk(path), told(path)) == (BEFORE, BEFORE | {KEY: {"n": 1}})
    await store.open()
    assert on_disk(path) == BEFORE | {KEY: {"n": 1}}
    await store.close()


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from openclaw_channel_octo.host.embedded import store as module

async def keep_changing(store, name):
    for number in range(1, 100_000):
        await store.update(name, lambda entry: entry.update(n=number))
        print(name, number, flush=True)

async def main(path):
    module.BEHIND_S = 0.01
    store = module.SessionStore(Path(path))
    await store.open()
    await asyncio.gather(*(keep_changing(store, f"k{each}") for each in range(5)))

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize("after", [1, 40, 400])
@pytest.mark.parametrize("size", ["small", "large"])
def test_a_process_killed_at_any_moment_loses_no_change_it_has_told_of(
    path: Path, size: str, after: int
) -> None:
    if size == "small":
        path.write_text("{}")
    with subprocess.Popen([sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(after)]
        process.kill()
        lines += process.stdout.read().splitlines(keepends=True)
    assert process.returncode == -signal.SIGKILL
    last = {
        name.decode(): int(number)
        for name, number in (line.split() for line in lines if line.endswith(b"\n"))
    }
    for look in (read_content, reopened):
        content = look(path)
        assert all(number <= content[name]["n"] <= number + 1 for name, number in last.items())


def reopened(path: Path) -> dict[str, Any]:
    file = SessionFile(path, ManualClock())
    file.open()
    assert not file.is_behind
    return file.read()


STEPS = {
    "before the log": ("openclaw_channel_octo.host.embedded.session_log.append_file", 1),
    "before the backup is replaced": ("os.replace", 1),
    "before the file is replaced": ("os.replace", 2),
    "before the log is deleted": ("openclaw_channel_octo.host.embedded.session_log.SessionLog.clear", 1),
}

KILLED_AT = """
import os, pkgutil, signal, sys
from pathlib import Path
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.host.embedded.session_file import Change, SessionFile

def change(number):
    file.change([Change("k", lambda entry: entry.update(n=number))])

path, step, count = sys.argv[1:]
file = SessionFile(Path(path), SystemClock())
file.open()
change(1)
owner, _, name = step.rpartition(".")
owner = pkgutil.resolve_name(owner)
going_on, left = getattr(owner, name), int(count)
def die(*arguments, **options):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return going_on(*arguments, **options)
setattr(owner, name, die)
if name != "append_file":
    change(2)
    file.read()
change(2)
"""


@pytest.mark.parametrize("step", STEPS)
def test_a_process_killed_between_two_steps_leaves_what_the_next_one_needs(path: Path, step: str) -> None:
    where, count = STEPS[step]
    done = subprocess.run([sys.executable, "-c", KILLED_AT, path, where, str(count)], check=False)
    assert done.returncode == -signal.SIGKILL
    expected = {"n": 1 if step == "before the log" else 2}
    assert read_content(path)["k"] == expected
    assert reopened(path)["k"] == expected
    assert json.loads(path.read_bytes())["k"] == expected


KEYS = st.sampled_from(["a", "b", "c"])


class Sessions(RuleBasedStateMachine):
    """Changes, edits by hand, kills and starts in any order: what counts is always the last of them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "sessions.json"
        self.model: dict[str, Any] = {}
        self.number = 0
        write(self.path, {})
        self.start()

    def teardown(self) -> None:
        self.folder.cleanup()

    def start(self) -> None:
        self.file = SessionFile(self.path, ManualClock())
        self.file.open()

    @rule(keys=st.lists(KEYS, min_size=1, max_size=4))
    def change(self, keys: list[str]) -> None:
        self.number += 1
        self.file.change([Change(key, put(n=self.number)) for key in keys])
        for key in keys:
            self.model[key] = self.model.get(key, {}) | {"n": self.number}

    @rule(key=KEYS)
    def edit_by_hand(self, key: str) -> None:
        self.number += 1
        self.model[key] = {"by hand": self.number}
        write(self.path, on_disk(self.path) | {key: self.model[key]})

    @rule(key=KEYS)
    def delete_by_hand(self, key: str) -> None:
        self.file.read()  # an edit that is taken back while the log has older changes counts as none
        content = on_disk(self.path)
        if content.pop(key, None) is not None:
            del self.model[key]
            write(self.path, content)

    @rule()
    def catch_up(self) -> None:
        self.file.read()
        assert on_disk(self.path) == self.model

    @rule(torn=st.binary(max_size=5))
    def kill_and_start(self, torn: bytes) -> None:
        with SessionLog(self.path).path.open("ab") as log:
            log.write(torn.replace(b"\n", b""))
        assert told(self.path) == self.model
        self.start()
        assert on_disk(self.path) == self.model

    @invariant()
    def everybody_sees_the_last_state(self) -> None:
        assert told(self.path) == self.model
        assert {key: entry for key in "abc" if (entry := self.file.get(key)) is not None} == self.model


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
