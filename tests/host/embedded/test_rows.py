"""What runs, recovery and reset do to an entry."""

from typing import Any

import pytest

from openclaw_channel_octo.host.base import Recovery
from openclaw_channel_octo.host.embedded import rows
from openclaw_channel_octo.host.fields import snapshot_of
from openclaw_channel_octo.session.status import RECOVERY_CLEARS, SessionSnapshot, Status

KEY = "agent:main:octo:group:g1"


def test_the_entry_of_the_bug_report_reads_as_a_failed_session_without_ids() -> None:
    entry = {"sessionKey": KEY, "status": "failed", "abortedLastRun": False, "runtimeMs": 394653}
    assert snapshot_of(KEY, entry) == SessionSnapshot(session_key=KEY, status="failed", runtime_ms=394653)


@pytest.mark.parametrize(
    ("field", "value", "read"),
    [
        ("sessionId", 7, None),
        ("sessionId", "", None),
        ("startedAt", "yesterday", None),
        ("startedAt", True, None),
        ("startedAt", 12.0, 12),
        ("startedAt", float("inf"), None),
        ("startedAt", float("nan"), None),
        ("startedAt", 10**400, None),
        ("lastRunError", ["x"], None),
        ("status", None, None),
        ("status", 7, "7"),
        ("status", ["running"], "['running']"),
        ("status", "strange", "strange"),
    ],
)
def test_fields_of_a_wrong_type_count_as_missing_and_a_strange_status_as_unknown(
    field: str, value: Any, read: Any
) -> None:
    names = {"sessionId": "session_id", "startedAt": "started_at", "lastRunError": "last_run_error"}
    assert getattr(snapshot_of(KEY, {field: value}), names.get(field, field)) == read


def test_a_run_starts_on_a_clean_lifecycle_and_keeps_the_rest() -> None:
    entry: rows.Entry = {
        "sessionId": "s1",
        "status": "timeout",
        "endedAt": 1,
        "runtimeMs": 2,
        "lastRunError": "x",
        "abortedLastRun": True,
        "modelOverride": "m",
    }
    assert rows.start_run(entry, run_id="r2", session_id="unused", now_ms=50) == "s1"
    assert entry == {
        "sessionId": "s1",
        "status": "running",
        "startedAt": 50,
        "abortedLastRun": False,
        "lastRunId": "r2",
        "updatedAt": 50,
        "modelOverride": "m",
    }


@pytest.mark.parametrize("session_id", [None, 5, "", "../../etc/passwd"])
def test_a_missing_or_dangerous_session_id_is_replaced_when_a_run_starts(session_id: Any) -> None:
    entry: rows.Entry = {"sessionId": session_id}
    assert rows.start_run(entry, run_id="r1", session_id="new", now_ms=50) == "new"
    assert entry["sessionId"] == "new"
    assert entry["sessionStartedAt"] == 50


@pytest.mark.parametrize(
    ("status", "aborted"),
    [
        (Status.DONE, False),
        (Status.FAILED, False),
        (Status.TIMEOUT, False),
        (Status.KILLED, True),
        (Status.INTERRUPTED, True),
    ],
)
def test_the_end_of_a_run_records_how_and_when(status: Status, aborted: bool) -> None:
    entry: rows.Entry = {}
    rows.start_run(entry, run_id="r1", session_id="s1", now_ms=1_000)
    error = "" if status == Status.DONE else "why" * 1000
    rows.end_run(entry, run_id="r1", status=status, error=error, now_ms=1_250)
    seen = snapshot_of(KEY, entry)
    assert (seen.status, seen.started_at, seen.ended_at, seen.runtime_ms) == (status, 1_000, 1_250, 250)
    assert seen.updated_at == 1_250
    assert entry["abortedLastRun"] is aborted
    assert seen.last_run_error == (error[: rows.MAX_ERROR] or None)


def test_the_end_of_a_run_that_is_no_longer_the_sessions_last_changes_nothing() -> None:
    entry: rows.Entry = {"lastRunId": "r2", "status": "running"}
    rows.end_run(entry, run_id="r1", status=Status.DONE, error="", now_ms=5)
    assert entry == {"lastRunId": "r2", "status": "running"}


def test_a_clock_that_was_set_back_gives_no_negative_run_time() -> None:
    entry: rows.Entry = {"lastRunId": "r1", "startedAt": 100}
    rows.end_run(entry, run_id="r1", status=Status.DONE, error="", now_ms=5)
    assert entry["runtimeMs"] == 0


@pytest.mark.parametrize("status", [None, "done", "failed", "strange", 7])
def test_only_running_and_queued_rows_are_orphans(status: Any) -> None:
    entry: rows.Entry = {"status": status}
    rows.mark_orphan(entry, now_ms=5)
    assert entry == {"status": status}


FAILED: rows.Entry = {
    "sessionId": "s1",
    "status": "failed",
    "startedAt": 1,
    "endedAt": 2,
    "runtimeMs": 1,
    "abortedLastRun": False,
    "lastRunError": "x",
    "lastRunId": "r1",
    "updatedAt": 2,
    "modelOverride": "m",
    "somethingNew": {"a": 1},
}


def test_recovery_clears_the_lifecycle_and_nothing_else() -> None:
    entry = dict(FAILED)
    seen = snapshot_of(KEY, entry)
    assert rows.recover(entry, seen, session_id="unused") is Recovery.RECOVERED
    assert entry == {key: value for key, value in FAILED.items() if key not in RECOVERY_CLEARS}


@pytest.mark.parametrize("change", [{"sessionId": "s2"}, {"lastRunId": "r2"}, {"sessionId": None}])
def test_recovery_of_another_session_or_run_than_was_seen_is_a_conflict(change: dict[str, Any]) -> None:
    entry = FAILED | change
    before = dict(entry)
    assert rows.recover(entry, snapshot_of(KEY, FAILED), session_id="new") is Recovery.CONFLICT
    assert entry == before


def test_recovery_gives_an_id_to_a_session_without_one_and_only_once() -> None:
    entry: rows.Entry = {"sessionKey": KEY, "status": "failed", "runtimeMs": 394653}
    seen = snapshot_of(KEY, entry)
    assert rows.recover(entry, seen, session_id="new") is Recovery.RECOVERED
    assert entry == {"sessionKey": KEY, "sessionId": "new"}
    assert rows.recover(entry, seen, session_id="newer") is Recovery.CONFLICT
    assert entry == {"sessionKey": KEY, "sessionId": "new"}


def test_a_renewed_session_has_a_new_id_and_keeps_its_settings() -> None:
    entry = FAILED | {"sessionFile": "/old/s1.jsonl"}
    rows.renew(entry, session_id="s2", now_ms=9)
    assert entry == {
        "sessionId": "s2",
        "sessionStartedAt": 9,
        "updatedAt": 9,
        "modelOverride": "m",
        "somethingNew": {"a": 1},
    }


@pytest.mark.parametrize("status", [["running"], {"running": True}])
def test_a_status_that_is_no_text_is_no_lost_run(status: Any) -> None:
    entry = {"status": status}
    rows.mark_orphan(entry, now_ms=1)
    assert entry == {"status": status}
