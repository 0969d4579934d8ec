"""From a gateway's words to the end of a run: recorded answers, and the traps of both releases."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from openclaw_channel_octo.host.base import Failed, Final, MediaItem, Skipped
from openclaw_channel_octo.host.gateway.frames import Fault, Response, parse_frame
from openclaw_channel_octo.host.gateway.outcome import (
    Hitch,
    end_of,
    end_of_event,
    end_of_wait,
    hitch_of,
    judge,
    message_text,
    started,
)
from openclaw_channel_octo.session.status import Status
from tests.host.gateway.transcripts import answers


def response(frame: Mapping[str, Any]) -> Response:
    parsed = parse_frame(json.dumps(frame))
    assert isinstance(parsed, Response)
    return parsed


def done(payload: Mapping[str, Any], fault: Fault | None = None) -> Response:
    return Response(id="1", payload=payload, fault=fault)


def test_recorded_runs_end_as_the_session_row_said() -> None:
    ends = {
        params["idempotencyKey"]: end_of(response(got[-1]), aborted=False)
        for params, got in answers("s2-failed-then-ok", "agent")
    }
    assert ends["s2-a"] == Final("STUB-REPLY[ok] to 3 messages")
    assert isinstance(ends["s2-b"], Failed)
    assert ends["s2-b"].status == Status.FAILED
    assert "rejected the request" in ends["s2-b"].message
    assert ends["s2-c"] == Final("STUB-REPLY[ok] to 6 messages")
    assert isinstance(ends["s2-d"], Failed)
    assert ends["s2-d"].status == Status.TIMEOUT
    assert ends["s2-e"] == Final("STUB-REPLY[ok] to 9 messages")


def test_the_first_of_two_recorded_answers_only_says_that_the_run_began() -> None:
    for _, got in answers("s2-failed-then-ok", "agent"):
        assert [started(response(frame)) for frame in got] == [True, False]


def test_recorded_waits_tell_the_answer_too() -> None:
    ends = [end_of_wait(got[0]["payload"]) for _, got in answers("s2-failed-then-ok", "agent.wait")]
    assert [type(end) for end in ends] == [Final, Failed, Final, Failed, Final]


def test_a_timed_out_run_of_2026_5_22_does_not_repeat_the_previous_answer() -> None:
    result = {"payloads": [{"text": "the previous answer", "mediaUrl": None}]}
    payload = {"status": "timeout", "summary": "aborted", "stopReason": "rpc", "timeoutPhase": "provider"}
    end = end_of(done({**payload, "result": result}), aborted=False)
    assert end == Failed(Status.TIMEOUT, "the gateway ended the run: it took too long")


ABORTED = {"status": "timeout", "summary": "aborted", "stopReason": "rpc"}
LATE = {"status": "ok", "result": {"payloads": [{"text": "late"}]}}


@pytest.mark.parametrize(("told", "by_us"), [(ABORTED, False), (LATE, True)], ids=["by somebody", "by us"])
def test_an_aborted_run_is_killed_whatever_the_gateway_says(told: dict[str, Any], *, by_us: bool) -> None:
    end = end_of(done(told), aborted=by_us)
    assert isinstance(end, Failed)
    assert end.status == Status.KILLED


def test_several_payloads_are_one_answer_without_reasoning_and_repeated_files() -> None:
    payloads = [
        {"text": "one", "mediaUrl": "https://files/a.png"},
        {"text": "thinking", "isReasoning": True},
        {"text": " two ", "mediaUrls": ["https://files/a.png", "/root/secret.txt"]},
        {"text": "tool broke", "isError": True},
        "nonsense",
    ]
    end = end_of(done({"status": "ok", "result": {"payloads": payloads}}), aborted=False)
    files = (
        "https://files/a.png",
        "/root/secret.txt",
    )  # whether a path may be sent is the channel's to judge
    assert end == Final("one\n\ntwo", tuple(MediaItem(kind="file", url=url) for url in files))


@pytest.mark.parametrize("result", [{}, {"payloads": []}, {"payloads": None}, {"payloads": [{"text": None}]}])
def test_an_ok_without_words_is_an_empty_answer(result: Mapping[str, Any]) -> None:
    assert end_of(done({"status": "ok", "result": result}), aborted=False) == Final("")


def test_an_ok_that_is_all_errors_failed() -> None:
    result = {"payloads": [{"text": "the tool broke", "isError": True}]}
    end = end_of(done({"status": "ok", "result": result}), aborted=False)
    assert end == Failed(Status.FAILED, "the tool broke")


def test_an_empty_answer_of_2026_9_6_is_a_failure() -> None:
    result = {"payloads": [{"text": "⚠️ Agent couldn't generate a response.", "isError": True}]}
    end = end_of(done({"status": "error", "summary": "failed", "result": result}), aborted=False)
    assert isinstance(end, Failed)
    assert end.status == Status.FAILED


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(code="UNAVAILABLE", message="changed while starting work"), Skipped),
        (Fault(code="INVALID_REQUEST", message="no such agent"), Failed),
        (Fault(code="FORBIDDEN", details={"missingScope": "operator.write"}), Failed),
    ],
)
def test_a_run_that_did_not_start_is_tried_again_only_where_that_can_help(fault: Fault, kind: type) -> None:
    assert isinstance(end_of(done({}, fault), aborted=False), kind)


@pytest.mark.parametrize(
    ("payload", "fault", "hitch"),
    [
        ({}, Fault(code="UNAVAILABLE", retryable=True), Hitch.NOT_YET),
        (
            {},
            Fault(code="INVALID_REQUEST", message='Session "x" was deleted while starting work. Retry.'),
            Hitch.NOT_YET,
        ),
        (
            {},
            Fault(code="INVALID_REQUEST", message='Session "x" is still initializing. Retry after it.'),
            Hitch.NOT_YET,
        ),
        ({"status": "error", "summary": "SESSION_WORK_START_INVALIDATED"}, None, Hitch.NOT_YET),
        ({"status": "ok", "summary": "SESSION_WORK_START_INVALIDATED"}, None, None),
        ({}, Fault(code="UNAVAILABLE", message="no such provider"), None),
        ({"status": "timeout", "summary": "aborted"}, None, None),
    ],
)
def test_what_is_no_end_of_a_run_is_known_by_its_words(
    payload: dict[str, str], fault: Fault | None, hitch: Hitch | None
) -> None:
    assert hitch_of(done(payload, fault)) == hitch


@pytest.mark.parametrize(
    "end",
    [
        end_of(done({"status": "ok", "result": {"meta": {"stopReason": "length"}}}), aborted=False),
        end_of(done({"status": "ok", "result": {}, "stopReason": "max_tokens"}), aborted=False),
        end_of_wait({"status": "ok", "stopReason": "length", "terminalReply": {"disposition": "visible"}}),
        end_of_event({"state": "final", "stopReason": "length"}),
    ],
)
def test_an_answer_that_a_length_limit_ended_says_so(end: Any) -> None:
    assert end == Final(cut=True)


def test_a_run_read_late_that_somebody_aborted_counts_as_stopped() -> None:
    end = end_of_wait({"status": "error", "error": "aborted", "stopReason": "rpc"})
    assert isinstance(end, Failed)
    assert end.status == Status.KILLED


@pytest.mark.parametrize(
    "payload",
    [
        {"status": "timeout"},
        {"status": "timeout", "timeoutPhase": "queue"},
        {"status": "pending"},
        {"status": "ok", "endedAt": 1},
        {},
    ],
)
def test_a_wait_that_tells_no_end_is_none(payload: Mapping[str, Any]) -> None:
    assert end_of_wait(payload) is None


def user(words: str, key: str = "", at: int = 10_000) -> dict[str, Any]:
    return {"role": "user", "content": words, "timestamp": at} | (
        {"idempotencyKey": f"{key}:user"} if key else {}
    )


def agent(words: str, stop: str = "stop") -> dict[str, Any]:
    return {"role": "assistant", "content": [{"type": "text", "text": words}], "stopReason": stop}


SYSTEM = user("[System] Your previous turn was interrupted by a gateway restart.", "r-9")


@pytest.mark.parametrize(
    ("messages", "asked", "answer"),
    [
        ([], False, ""),
        ([user("hello", "r-1")], True, ""),
        ([user("hello", "r-1"), agent("hi")], True, "hi"),
        ([user("hello", "r-1"), SYSTEM, agent("hi after all")], True, "hi after all"),
        ([user("hello", "r-1"), agent("let me look", "toolUse"), agent("found")], True, "found"),
        ([user("hello", "r-1"), agent("", "error")], True, ""),
        ([user("hello", "r-1"), user("something else", "r-2"), agent("to that")], True, ""),
        ([user("hello", "r-0"), agent("to another")], False, ""),
        ([user("hello", "r-1.ab12"), agent("of the second run")], True, "of the second run"),
        ([user("hello", "r-1"), user("hello", "r-1.ab12"), agent("second")], True, "second"),
        ([user("hello", "r-12"), agent("another run's")], False, ""),
        ([user("hello"), agent("hi")], True, "hi"),
        ([user("hello", at=1), agent("of yesterday")], False, ""),
        ([user("[Queued] [Mon 10:00] hello\n\n[System] Your previous turn"), agent("hi")], True, "hi"),
        (["nonsense", None, user("hello", "r-1"), agent("hi")], True, "hi"),
    ],
)
def test_an_answer_is_found_behind_its_own_question(messages: list[Any], *, asked: bool, answer: str) -> None:
    found = judge(messages, run_id="r-1", question="hello", since_ms=10_000)
    assert (found is not None, found or "") == (asked, answer)


def test_content_is_a_string_or_blocks() -> None:
    blocks = [{"type": "text", "text": "a"}, {"type": "toolCall"}, {"type": "text", "text": "b"}]
    assert message_text({"content": blocks}) == "ab"
    assert message_text({"content": " a "}) == "a"
    assert message_text({"content": 7}) == ""
