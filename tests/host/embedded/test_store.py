"""sessions.json is never lost or half-written."""

import asyncio
import json
import logging
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.errors import SessionStoreError
from openclaw_channel_octo.host.embedded import session_file
from openclaw_channel_octo.host.embedded.rows import Entry
from openclaw_channel_octo.host.embedded.session_content import (
    Content,
    dump_content,
    entry_text,
    parse_content,
)
from openclaw_channel_octo.host.embedded.session_log import read_content
from openclaw_channel_octo.host.embedded.store import SessionStore
from openclaw_channel_octo.host.files import dump_json
from openclaw_channel_octo.testing.clock import ManualClock

KEY = "agent:main:octo:group:g1"
OTHER = "agent:main:main"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "sessions"
    folder.mkdir()
    return folder / "sessions.json"


@pytest.fixture
async def store(path: Path, clock: ManualClock) -> AsyncIterator[SessionStore]:
    store = SessionStore(path, clock=clock)
    await store.open()
    yield store
    await store.close()


def put(**fields: Any) -> Any:
    def edit(entry: Entry) -> None:
        entry.update(fields)

    return edit


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def on_disk(path: Path) -> Any:
    return json.loads(path.read_bytes())


def set_aside(path: Path) -> list[Path]:
    return sorted(path.parent.glob("sessions.json.broken-*"))


async def everything(store: SessionStore) -> Content:
    return await asyncio.to_thread(store._file.read)


async def opened(path: Path, clock: ManualClock) -> SessionStore:
    store = SessionStore(path, clock=clock)
    await store.open()
    return store


@contextmanager
def full_disk() -> Iterator[None]:
    """Let every write to a file fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_missing_file_means_no_sessions_and_appears_with_the_first_write(
    store: SessionStore, path: Path
) -> None:
    assert await everything(store) == {}
    assert not path.exists()
    await store.update(KEY, put(status="done"))
    assert on_disk(path) == {KEY: {"status": "done"}}


async def test_file_and_folders_are_private(tmp_path: Path) -> None:
    path = tmp_path / "state" / "agents" / "main" / "sessions" / "sessions.json"
    store = SessionStore(path)
    await store.open()
    await store.update(KEY, put(status="done"))
    await store.close()
    modes = [stat.S_IMODE(folder.stat().st_mode) for folder in path.parents[:4]]
    assert modes == [0o700] * 4
    files = [file for file in path.parent.iterdir() if file.is_file()]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_a_folder_open_to_others_is_closed(path: Path, store: SessionStore) -> None:
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_an_empty_file_means_no_sessions_and_is_warned_about(
    path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    path.touch()
    store = await opened(path, clock)
    assert await everything(store) == {}
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    await store.update(KEY, put(status="done"))
    assert on_disk(path) == {KEY: {"status": "done"}}
    await store.close()


DEEP = b'{"a":' * 600 + b"1" + b"}" * 600
BROKEN = [
    b'{"agent:main:main": {"sta',
    b"[1, 2]",
    b"null",
    b"\xff\xfe\x00",
    b"not json",
    b"[" * 100_000,
    DEEP,
]


@pytest.mark.parametrize("content", BROKEN, ids=["torn", "list", "null", "bytes", "text", "deeper", "deep"])
async def test_a_broken_file_is_set_aside_at_start_and_said_so(
    path: Path, clock: ManualClock, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(content)
    store = await opened(path, clock)
    assert await everything(store) == {}
    (aside,) = set_aside(path)
    assert aside.name == f"sessions.json.broken-{clock.wall_ms()}"
    assert aside.read_bytes() == content
    assert aside.name in caplog.text
    await store.update(KEY, put(status="done"))
    assert on_disk(path) == {KEY: {"status": "done"}}
    await store.close()


async def test_a_broken_file_is_restored_from_the_last_good_content_at_start(
    path: Path, clock: ManualClock
) -> None:
    first = await opened(path, clock)
    await first.update(KEY, put(status="failed"))
    await first.update(OTHER, put(status="done"))
    await first.close()
    path.write_bytes(b'{"half')
    second = await opened(path, clock)
    assert await everything(second) == {KEY: {"status": "failed"}, OTHER: {"status": "done"}}
    assert on_disk(path) == await everything(second)
    await second.close()


async def test_a_broken_backup_is_said_so_and_does_not_stop_the_start(
    path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(b'{"half')
    path.with_name("sessions.json.bak").write_bytes(b"{")
    store = await opened(path, clock)
    assert await everything(store) == {}
    assert "sessions.json.bak cannot be used either" in caplog.text
    await store.close()


async def test_a_file_broken_while_running_is_replaced_by_the_content_in_memory(
    store: SessionStore, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await store.update(KEY, put(status="done", sessionId="s1"))
    path.write_bytes(b'{"half')
    assert await store.get(KEY) == {"status": "done", "sessionId": "s1"}
    assert on_disk(path) == {KEY: {"status": "done", "sessionId": "s1"}}
    assert [aside.read_bytes() for aside in set_aside(path)] == [b'{"half']
    assert "is no session store" in caplog.text


async def test_two_broken_files_in_the_same_millisecond_are_both_kept(
    store: SessionStore, path: Path
) -> None:
    await store.update(KEY, put(status="done"))
    for content in (b"{1", b"{22"):
        path.write_bytes(content)
        await everything(store)
    assert [aside.read_bytes() for aside in set_aside(path)] == [b"{1", b"{22"]


async def test_a_broken_file_that_cannot_be_replaced_is_left_alone_until_it_can(
    store: SessionStore, path: Path
) -> None:
    await store.update(KEY, put(status="done"))
    path.write_bytes(b"{1")
    with full_disk():
        assert await store.get(KEY) == {"status": "done"}
        assert await store.get(KEY) == {"status": "done"}
    assert set_aside(path) == []
    assert await store.get(KEY) == {"status": "done"}
    assert on_disk(path) == {KEY: {"status": "done"}}
    assert len(set_aside(path)) == 1


async def test_a_link_stays_one_and_what_it_leads_to_is_written_and_set_aside(
    path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    target = tmp_path / "elsewhere" / "mine.json"
    target.parent.mkdir()
    target.write_text("{}")
    path.symlink_to(target)
    store = await opened(path, clock)
    await store.update(KEY, put(status="done"))
    assert on_disk(target) == {KEY: {"status": "done"}}
    target.write_bytes(b'{"half')
    assert await store.get(KEY) == {"status": "done"}
    await store.close()
    assert path.is_symlink()
    assert on_disk(target) == {KEY: {"status": "done"}}
    assert [aside.read_bytes() for aside in set_aside(path)] == [b'{"half']
    assert [file.name for file in target.parent.iterdir()] == ["mine.json"]


async def test_unknown_entries_unknown_fields_and_their_order_survive(path: Path, clock: ManualClock) -> None:
    entry = {
        "zeta": 1,
        "status": "failed",
        "modelOverride": "m",
        "delivery": {"kind": "none", "x": [1, None]},
    }
    write(path, {"global": {"b": 1, "a": 2}, KEY: entry, OTHER: {"skillsSnapshot": {"片": "😀"}}})
    store = await opened(path, clock)
    await store.update(KEY, put(status="done", updatedAt=5))
    expected = {
        "global": {"b": 1, "a": 2},
        KEY: entry | {"status": "done", "updatedAt": 5},
        OTHER: {"skillsSnapshot": {"片": "😀"}},
    }
    assert json.dumps(on_disk(path)) == json.dumps(expected)
    await store.close()


REPORTED = {"sessionKey": KEY, "status": "failed", "abortedLastRun": False, "runtimeMs": 394653}


@pytest.mark.parametrize(
    "content",
    [{KEY: REPORTED}, {"some-other-name": REPORTED}, REPORTED],
    ids=["by session key", "by its own field", "alone in the file"],
)
async def test_an_entry_in_the_form_of_the_bug_report_is_found_and_updated_in_place(
    path: Path, clock: ManualClock, content: dict[str, Any]
) -> None:
    write(path, content)
    store = await opened(path, clock)
    assert await store.get(KEY) == REPORTED
    await store.update(KEY, put(status="done"))
    assert list((await everything(store)).values()) == [REPORTED | {"status": "done"}]
    await store.close()


async def test_a_key_matches_exactly_first_and_then_without_regard_to_case(
    path: Path, clock: ManualClock
) -> None:
    write(path, {"agent:main:octo:group:abc": {"n": 1}, "agent:main:octo:group:ABC": {"n": 2}})
    store = await opened(path, clock)
    assert await store.get("agent:main:octo:group:ABC") == {"n": 2}
    assert await store.get("agent:main:octo:group:aBc") == {"n": 1}
    assert await store.get("agent:main:octo:group:abcd") is None
    await store.close()


async def test_an_entry_that_is_no_object_reads_as_empty_and_stays_as_it_is(
    path: Path, clock: ManualClock
) -> None:
    write(path, {KEY: "what?", OTHER: {"status": "done"}})
    store = await opened(path, clock)
    assert await store.get(KEY) == {}
    await store.update(OTHER, put(status="failed"))
    await store.sweep(put(swept=True))
    assert on_disk(path) == {KEY: "what?", OTHER: {"status": "failed", "swept": True}}
    await store.close()


async def test_a_lone_surrogate_survives(path: Path, clock: ManualClock) -> None:
    path.write_text('{"k": {"displayName": "\\ud83d"}}')
    store = await opened(path, clock)
    await store.update(OTHER, put(status="done"))
    assert on_disk(path)["k"] == {"displayName": "\ud83d"}
    await store.close()


async def test_a_byte_order_mark_is_no_damage(path: Path, clock: ManualClock) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({KEY: {"n": 1}}).encode())
    store = await opened(path, clock)
    assert await store.get(KEY) == {"n": 1}
    await store.close()


async def test_what_get_returns_is_a_copy(store: SessionStore) -> None:
    await store.update(KEY, put(nested={"a": 1}))
    entry = await store.get(KEY)
    assert entry is not None
    entry["nested"]["a"] = 2
    assert await store.get(KEY) == {"nested": {"a": 1}}


async def test_a_change_that_changes_nothing_is_not_written(store: SessionStore, path: Path) -> None:
    await store.update(KEY, put(status="done"))
    before = path.stat()
    await store.update(KEY, put(status="done"))
    await store.update(OTHER, lambda _entry: None)
    assert path.stat().st_ino == before.st_ino
    assert on_disk(path) == {KEY: {"status": "done"}}


async def test_update_returns_what_the_edit_returns(store: SessionStore) -> None:
    assert await store.update(KEY, len) == 0


async def test_a_read_only_file_is_respected_and_written_once_it_is_writable(
    store: SessionStore, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await store.update(KEY, put(status="done"))
    path.chmod(0o400)
    await store.update(KEY, put(status="running"))
    await store.update(KEY, put(status="failed"))
    assert await store.get(KEY) == {"status": "failed"}
    assert on_disk(path) == {KEY: {"status": "done"}}
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "marked read-only" in errors[0].getMessage()
    path.chmod(0o600)
    await store.get(KEY)
    assert on_disk(path) == {KEY: {"status": "failed"}}


async def test_a_full_disk_keeps_states_in_memory_and_closing_writes_them(
    path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    store = await opened(path, clock)
    await store.update(KEY, put(status="done"))
    with full_disk():
        await store.update(KEY, put(status="running"))
        await store.update(OTHER, put(status="running"))
        assert on_disk(path) == {KEY: {"status": "done"}}
        assert await store.get(KEY) == {"status": "running"}
    await store.close()
    assert on_disk(path) == {KEY: {"status": "running"}, OTHER: {"status": "running"}}
    assert sum(record.levelno == logging.ERROR for record in caplog.records) == 1
    assert not path.with_name("sessions.json.tmp").exists()


async def test_an_unwritable_folder_keeps_states_in_memory_and_the_file_as_it_was(
    plain_user_folder: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    path = plain_user_folder / "sessions.json"
    store = await opened(path, clock)
    await store.update(KEY, put(status="done"))
    plain_user_folder.chmod(0o500)
    await store.update(KEY, put(status="failed"))
    assert await store.get(KEY) == {"status": "failed"}
    assert on_disk(path) == {KEY: {"status": "done"}}
    plain_user_folder.chmod(0o700)
    await store.close()
    assert on_disk(path) == {KEY: {"status": "failed"}}
    assert "make the file and its folder writable" in caplog.text


async def test_a_folder_that_cannot_be_made_stops_the_start_with_advice(plain_user_folder: Path) -> None:
    plain_user_folder.chmod(0o500)
    store = SessionStore(plain_user_folder / "below" / "sessions.json")
    with pytest.raises(SessionStoreError, match=r"choose another host\.stateDir"):
        await store.open()


async def test_a_file_that_cannot_be_read_stops_the_start_with_advice(plain_user_folder: Path) -> None:
    path = plain_user_folder / "sessions.json"
    write(path, {})
    path.chmod(0)
    with pytest.raises(SessionStoreError, match="make it readable"):
        await SessionStore(path).open()


async def test_a_store_that_is_not_open_says_so(path: Path) -> None:
    store = SessionStore(path)
    with pytest.raises(SessionStoreError, match="not open"):
        await store.get(KEY)


async def test_an_edit_made_by_hand_between_two_calls_wins(store: SessionStore, path: Path) -> None:
    await store.update(KEY, put(status="failed", sessionId="s1"))
    write(path, {KEY: {"sessionId": "s2"}, OTHER: {"status": "done"}})
    assert await store.get(KEY) == {"sessionId": "s2"}
    await store.update(KEY, put(status="running"))
    assert on_disk(path) == {KEY: {"sessionId": "s2", "status": "running"}, OTHER: {"status": "done"}}


async def test_an_edit_made_by_hand_during_a_change_wins_and_the_change_is_made_on_top(
    store: SessionStore, path: Path
) -> None:
    await store.update(KEY, put(count=1))
    seen: list[int] = []

    def increase(entry: Entry) -> None:
        seen.append(entry["count"])
        entry["count"] += 1
        if len(seen) == 1:
            write(path, {KEY: {"count": 10}, OTHER: {"by": "hand"}})

    await store.update(KEY, increase)
    assert seen == [1, 10]
    assert on_disk(path) == {KEY: {"count": 11}, OTHER: {"by": "hand"}}


async def test_a_file_edited_without_end_keeps_the_change_in_memory(store: SessionStore, path: Path) -> None:
    edits = 0

    def race(entry: Entry) -> None:
        nonlocal edits
        edits += 1
        entry["status"] = "done"
        write(path, {OTHER: {"edit": edits}})

    await store.update(KEY, race)
    assert await store.get(KEY) == {"status": "done"}
    assert on_disk(path)[KEY] == {"status": "done"}


async def test_of_an_unwritten_change_and_an_edit_of_the_same_entry_the_edit_wins(
    store: SessionStore, path: Path
) -> None:
    await store.update(KEY, put(status="done"))
    await store.update(OTHER, put(status="done"))
    with full_disk():
        await store.update(KEY, put(status="failed"))
        await store.update(OTHER, put(status="failed"))
    write(path, {KEY: {"status": "edited"}, OTHER: {"status": "done"}, "third": {}})
    assert await everything(store) == {KEY: {"status": "edited"}, OTHER: {"status": "failed"}, "third": {}}
    assert on_disk(path) == await everything(store)


async def test_a_deleted_file_means_no_sessions(store: SessionStore, path: Path) -> None:
    await store.update(KEY, put(status="done"))
    path.unlink()
    assert await store.get(KEY) is None


async def test_a_deleted_folder_is_made_again(store: SessionStore, path: Path) -> None:
    await store.update(KEY, put(status="done"))
    for file in path.parent.iterdir():
        file.unlink()
    path.parent.rmdir()
    await store.update(OTHER, put(status="done"))
    assert on_disk(path) == {OTHER: {"status": "done"}}


async def test_a_lock_that_another_process_keeps_does_not_stop_a_turn(
    store: SessionStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_file, "LOCK_WAIT_S", 0.02)
    holder = "import fcntl,sys; f=open(sys.argv[1],'w'); fcntl.flock(f,2); print('held',flush=True); sys.stdin.read()"
    lock = path.with_name("sessions.json.lock")
    with subprocess.Popen(  # noqa: ASYNC220  # a helper of the test
        [sys.executable, "-c", holder, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        await store.update(KEY, put(status="running"))
        assert await store.get(KEY) == {"status": "running"}
        assert not path.exists()
        process.communicate()
    assert await store.get(KEY) == {"status": "running"}
    assert on_disk(path) == {KEY: {"status": "running"}}


async def test_a_cancelled_change_still_happens_and_in_order(store: SessionStore) -> None:
    tasks = [asyncio.create_task(store.update(KEY, put(**{f"n{number}": number}))) for number in range(5)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert await store.get(KEY) == {f"n{number}": number for number in range(5)}
    assert list(await store.get(KEY) or {}) == [f"n{number}" for number in range(5)]


WRITER = """
import asyncio, sys
from pathlib import Path
from openclaw_channel_octo.host.embedded.store import SessionStore

def count(name):
    def edit(entry):
        entry[name] = entry.get(name, 0) + 1
        entry["both"] = entry.get("both", 0) + 1
    return edit

async def main(path, name):
    store = SessionStore(Path(path))
    await store.open()
    for _ in range(40):
        await store.update("shared", count(name))
        await store.update("own-" + name, count(name))
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


def test_two_processes_that_write_at_once_lose_nothing(path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, name]) for name in ("a", "b")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert on_disk(path) == {
        "shared": {"a": 40, "b": 40, "both": 80},
        "own-a": {"a": 40, "both": 40},
        "own-b": {"b": 40, "both": 40},
    }


KILLED_WRITER = """
import asyncio, os, signal, sys
from pathlib import Path
from openclaw_channel_octo.host.embedded.store import SessionStore

async def main(path):
    store = SessionStore(Path(path))
    await store.open()
    await store.update("k", lambda entry: entry.update(n=1))
    replace = os.replace
    def die(source, target):
        if Path(target) == Path(path):
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)
    os.replace = die
    await store.update("k", lambda entry: entry.update(n=2))

asyncio.run(main(sys.argv[1]))
"""


async def test_a_process_killed_between_writing_and_renaming_leaves_the_old_content(
    path: Path, clock: ManualClock
) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED_WRITER, path], check=False)  # noqa: ASYNC221  # a helper
    assert done.returncode == -signal.SIGKILL
    assert on_disk(path) == {"k": {"n": 1}}
    store = await opened(path, clock)
    await store.update("k", put(n=3))
    assert on_disk(path) == {"k": {"n": 3}}
    assert not path.with_name("sessions.json.tmp").exists()
    await store.close()


@pytest.mark.parametrize("padding", [40_000, session_file.SMALL_BYTES], ids=["small", "large"])
async def test_file_and_log_can_be_read_at_every_moment_while_they_are_written(
    store: SessionStore, path: Path, padding: int
) -> None:
    await store.update(KEY, put(n=0, padding="x" * padding))
    reads = 0
    for number in range(20):
        update = asyncio.create_task(store.update(KEY, put(n=number)))
        while not update.done():
            assert read_content(path)[KEY]["n"] in {number - 1, number}
            reads += 1
            await asyncio.sleep(0)
    assert reads >= 20


async def test_changes_that_wait_are_written_together(
    store: SessionStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = count_writings(monkeypatch)
    going_on = threading.Event()
    first = asyncio.create_task(store.update("k0", lambda entry: entry.update(first=going_on.wait())))
    rest = [asyncio.create_task(store.update(f"k{n % 10}", put(**{f"n{n}": n}))) for n in range(100)]
    await asyncio.sleep(0)
    going_on.set()
    await asyncio.gather(first, *rest)
    assert len(written) <= 2
    rows = {f"k{key}": {f"n{n}": n for n in range(key, 100, 10)} for key in range(10)}
    rows["k0"]["first"] = True
    assert on_disk(path) == rows


def count_writings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the name of each session file that is replaced from now on."""
    names: list[str] = []
    replace = os.replace

    def counting(source: Path, target: Path) -> None:
        if target.name == "sessions.json":
            names.append(target.name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", counting)
    return names


async def test_a_change_that_breaks_fails_alone(store: SessionStore, path: Path) -> None:
    def breaks(entry: Entry) -> None:
        entry["half"] = True
        raise LookupError("what?")

    calls = [store.update(KEY, put(n=1)), store.update(KEY, breaks), store.update("new", breaks)]
    results = await asyncio.gather(*calls, store.update(OTHER, put(n=2)), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), LookupError, LookupError, type(None)]
    assert on_disk(path) == {KEY: {"n": 1}, OTHER: {"n": 2}}


async def test_changes_made_together_see_each_other_and_find_a_new_session_in_any_case(
    store: SessionStore, path: Path
) -> None:
    await asyncio.gather(store.update("Some", put(a=1)), store.update("sOME", put(b=2)))
    assert on_disk(path) == {"Some": {"a": 1, "b": 2}}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_any_content_survives_writing_and_reading(content: dict[str, Any]) -> None:
    content.pop("sessionKey", None)
    assert json.dumps(parse_content(dump_json(content, indent=2))) == json.dumps(content)


@given(st.binary(max_size=200))
def test_parsing_any_bytes_gives_an_object_or_a_value_error(raw: bytes) -> None:
    try:
        content = parse_content(raw)
    except ValueError:
        return
    assert isinstance(content, dict)


WORDS = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(WORDS, st.recursive(st.none() | WORDS | st.integers(), st.lists, max_leaves=5)))
def test_a_file_written_entry_by_entry_is_the_file_written_at_once(content: dict[str, Any]) -> None:
    texts = [entry_text(name, entry) for name, entry in content.items()]
    assert json.loads(dump_content(texts)) == content
    assert dump_content(texts) == dump_json(content, indent=2)
