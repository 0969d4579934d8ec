"""The guard's table: every status in every kind of conversation (design §5)."""

import itertools

import pytest

from openclaw_channel_octo.session.guard import (
    WAIT_STEP_MS,
    Action,
    Plan,
    Situation,
    episode_of,
    fail_open,
    plan,
)
from openclaw_channel_octo.session.status import RECOVERY_CLEARS, SessionSnapshot

KEY = "agent:main:octo:group:g1"
NOW = 1_000_000
PATIENCE = 60_000
KINDS = ("group", "thread", "direct")
GROUPS = ("group", "thread")


def situation(kind: str = "group", **changes: object) -> Situation:
    values: dict[str, object] = {
        "now_ms": NOW,
        "kind": kind,
        "patience_ms": PATIENCE,
        "waiting_since_ms": NOW,
    } | changes
    return Situation(**values)  # type: ignore[arg-type]  # a table of keyword arguments


def snapshot(status: str | None, **changes: object) -> SessionSnapshot:
    values: dict[str, object] = {
        "session_key": KEY,
        "session_id": "s1",
        "status": status,
        "last_run_id": "r1",
    } | changes
    return SessionSnapshot(**values)  # type: ignore[arg-type]  # a table of keyword arguments


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [None, "", "idle", "done", "DONE"])
def test_a_ready_session_runs_the_turn(kind: str, status: str | None) -> None:
    decided = plan(snapshot(status), situation(kind))
    assert (decided.action, decided.forced, decided.announce, decided.warn) == (
        Action.RUN,
        False,
        False,
        False,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_session_runs_the_turn(kind: str) -> None:
    assert plan(None, situation(kind)).action is Action.RUN


@pytest.mark.parametrize("status", ["failed", "timeout", "interrupted"])
@pytest.mark.parametrize("kind", GROUPS)
def test_a_failed_group_session_is_announced_recovered_and_forced(kind: str, status: str) -> None:
    decided = plan(snapshot(status), situation(kind))
    assert decided.action is Action.RECOVER
    assert decided.forced
    assert decided.announce
    assert decided.counts
    assert decided.episode == episode_of(snapshot(status))


@pytest.mark.parametrize("status", ["failed", "timeout", "interrupted"])
def test_a_failed_direct_session_recovers_silently(status: str) -> None:
    decided = plan(snapshot(status), situation("direct"))
    assert (decided.action, decided.announce, decided.counts) == (Action.RECOVER, False, True)


@pytest.mark.parametrize("seen", ["timeout", "failed"])
def test_a_run_we_stopped_for_its_time_or_its_length_has_failed_although_the_host_says_killed(
    seen: str,
) -> None:
    decided = plan(snapshot("killed"), situation("group", ended_runs={"r1": seen}))
    assert (decided.action, decided.announce, decided.counts) == (Action.RECOVER, True, True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_a_person_killed_recovers_silently_and_is_no_failure(kind: str) -> None:
    decided = plan(snapshot("killed"), situation(kind))
    assert (decided.action, decided.announce, decided.counts) == (Action.RECOVER, False, False)


@pytest.mark.parametrize(
    ("notice", "kind", "told"),
    [
        ("groups", "group", True),
        ("groups", "thread", True),
        ("groups", "direct", False),
        ("all", "group", True),
        ("all", "direct", True),
        ("never", "group", False),
        ("never", "thread", False),
        ("never", "direct", False),
    ],
)
def test_the_notice_setting_says_who_is_told(notice: str, kind: str, told: bool) -> None:
    decided = plan(snapshot("failed"), situation(kind, notice=notice))
    assert decided.action is Action.RECOVER
    assert decided.announce is told


def test_an_announced_run_is_recovered_without_a_second_announcement() -> None:
    failed = snapshot("failed")
    decided = plan(failed, situation(announced=[episode_of(failed)]))
    assert (decided.action, decided.announce) == (Action.RECOVER, False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", ["running", "queued"])
def test_a_busy_session_with_progress_is_waited_for(kind: str, status: str) -> None:
    decided = plan(snapshot(status, last_progress_at=NOW - 1), situation(kind))
    assert decided.action is Action.WAIT
    assert 0 < decided.wait_ms <= WAIT_STEP_MS


def test_the_last_wait_ends_when_the_patience_does() -> None:
    decided = plan(snapshot("running", last_progress_at=NOW - PATIENCE + 10), situation())
    assert (decided.action, decided.wait_ms) == (Action.WAIT, 10)


@pytest.mark.parametrize(("kind", "told"), [("group", True), ("thread", True), ("direct", False)])
def test_a_silent_running_run_is_aborted_and_treated_as_a_timeout(kind: str, told: bool) -> None:
    decided = plan(snapshot("running", last_progress_at=NOW - PATIENCE), situation(kind))
    assert decided.action is Action.RECOVER
    assert decided.abort_run_id == "r1"
    assert decided.announce is told
    assert decided.warn


@pytest.mark.parametrize(
    ("times", "waits"),
    [
        ({"last_progress_at": NOW - 5, "started_at": NOW - 2 * PATIENCE}, True),
        ({"started_at": NOW - 5}, True),
        ({"started_at": NOW - 2 * PATIENCE}, False),
        ({"updated_at": NOW - 2 * PATIENCE}, True),
    ],
)
def test_silence_counts_from_the_last_sign_of_life(times: dict[str, int], waits: bool) -> None:
    assert (plan(snapshot("running", **times), situation()).action is Action.WAIT) is waits


def test_a_running_row_without_times_is_given_patience_from_the_first_look() -> None:
    running = snapshot("running")
    assert plan(running, situation(waiting_since_ms=NOW - PATIENCE + 1)).action is Action.WAIT
    assert plan(running, situation(waiting_since_ms=NOW - PATIENCE)).action is Action.RECOVER


def test_a_queued_run_is_never_aborted() -> None:
    decided = plan(snapshot("queued", started_at=NOW - 10 * PATIENCE), situation())
    assert decided.action is Action.WAIT


@pytest.mark.parametrize(
    ("ended", "action", "announced"),
    [
        ("failed", Action.RECOVER, True),
        ("timeout", Action.RECOVER, True),
        ("killed", Action.RECOVER, False),
        ("done", Action.RUN, False),
    ],
)
def test_a_row_that_says_running_for_a_run_we_saw_end_counts_as_that_end(
    ended: str, action: Action, announced: bool
) -> None:
    decided = plan(snapshot("running", last_progress_at=NOW), situation(ended_runs={"r1": ended}))
    assert (decided.action, decided.announce) == (action, announced)


def test_a_host_that_queues_turns_is_not_waited_for_when_the_run_is_somebody_elses() -> None:
    running = snapshot("running", last_progress_at=NOW - 10 * PATIENCE)
    assert plan(running, situation(queues_turns=True)).action is Action.RUN
    assert plan(running, situation(queues_turns=True, own_runs=["r1"])).action is Action.RECOVER


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", ["exploded", "recovering", "42"])
def test_an_unknown_status_fails_open_with_a_warning(kind: str, status: str) -> None:
    decided = plan(snapshot(status), situation(kind))
    assert (decided.action, decided.warn, decided.announce) == (Action.RUN, True, False)
    assert status in decided.reason


def test_a_failed_lookup_fails_open_with_a_warning() -> None:
    assert fail_open("no word") == Plan(action=Action.RUN, reason="no word; running anyway", warn=True)


def test_the_entry_of_the_bug_report_is_recovered_and_announced() -> None:
    entry = SessionSnapshot(session_key=KEY, status="failed", runtime_ms=394_653)
    decided = plan(entry, situation())
    assert decided.announce
    assert decided.episode == episode_of(entry)


def test_the_same_failed_run_is_one_episode_and_different_runs_are_different_ones() -> None:
    shapes: list[dict[str, object]] = [
        {"last_run_id": "r1"},
        {"last_run_id": "r2"},
        {"last_run_id": "r1", "session_id": "s2"},
        {"last_run_id": None, "ended_at": 5},
        {"last_run_id": None, "ended_at": 6},
        {"last_run_id": None, "runtime_ms": 394_653},
        {"last_run_id": None, "runtime_ms": 394_654},
        {"last_run_id": None, "runtime_ms": 394_653, "updated_at": 1},
        {"session_key": "agent:main:octo:group:g2"},
    ]
    episodes = [episode_of(snapshot("failed", **shape)) for shape in shapes]
    assert len(set(episodes)) == len(episodes)
    assert episodes == [episode_of(snapshot("timeout", **shape)) for shape in shapes]


def test_fields_that_change_while_a_run_stays_failed_do_not_make_it_a_new_episode() -> None:
    first = snapshot("failed", updated_at=1, last_run_error="a")
    later = snapshot("failed", updated_at=2, last_run_error="b")
    assert episode_of(first) == episode_of(later)


def test_every_status_and_kind_has_exactly_one_plan_and_never_waits_without_a_time() -> None:
    statuses = [
        None,
        "idle",
        "done",
        "failed",
        "timeout",
        "interrupted",
        "killed",
        "queued",
        "running",
        "odd",
    ]
    for kind, status in itertools.product(KINDS, statuses):
        decided = plan(snapshot(status, last_progress_at=NOW), situation(kind))
        assert (decided.action is Action.WAIT) == (decided.wait_ms > 0)
        assert bool(decided.episode) == (decided.action is Action.RECOVER)


def test_recovery_clears_exactly_the_lifecycle_fields() -> None:
    assert set(RECOVERY_CLEARS) == {
        "status",
        "startedAt",
        "endedAt",
        "runtimeMs",
        "abortedLastRun",
        "lastRunError",
        "lastRunId",
    }
