"""The embedded host: every run ends, and its session says how."""

import asyncio
import json
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.base import (
    Accepted,
    AgentHost,
    Delta,
    Failed,
    Final,
    Recovery,
    Sender,
    Skipped,
    Turn,
    TurnEvent,
)
from openclaw_channel_octo.host.embedded import host as host_module
from openclaw_channel_octo.host.embedded import seat
from openclaw_channel_octo.host.embedded.agents import (
    PART_END,
    Agent,
    AgentError,
    AnswerCut,
    EchoAgent,
    Prompt,
)
from openclaw_channel_octo.host.embedded.command import CommandAgent
from openclaw_channel_octo.host.embedded.host import EmbeddedHost
from openclaw_channel_octo.host.embedded.transcript import Message
from openclaw_channel_octo.session.status import SessionSnapshot
from openclaw_channel_octo.testing.clock import ManualClock
from tests.host.turns import a_turn
from tests.processes import gone

KEY = "agent:main:octo:group:g1"

MakeHost = Callable[..., Awaitable[EmbeddedHost]]


class Scripted:
    """An agent that says pieces, then ends, fails, or hangs; keeps what it was asked."""

    hide_thinking = False  # so that each piece is an event when it comes

    def __init__(self, *pieces: str, error: Exception | None = None, hangs: bool = False) -> None:
        self.pieces = pieces
        self.error = error
        self.hangs = hangs
        self.prompts: list[Prompt] = []
        self.ended = 0

    async def reply(self, prompt: Prompt) -> AsyncIterator[str]:
        self.prompts.append(prompt)
        try:
            for piece in self.pieces:
                yield piece
            if self.error is not None:
                raise self.error
            if self.hangs:
                await asyncio.Event().wait()
        finally:
            self.ended += 1


@pytest.fixture
async def make_host(tmp_path: Path, clock: ManualClock) -> AsyncIterator[MakeHost]:
    hosts: list[EmbeddedHost] = []

    async def make(agent: Agent, *, start: bool = True, **options: Any) -> EmbeddedHost:
        settings: dict[str, Any] = {"state_dir": tmp_path / "state", "agent_id": "main", "clock": clock}
        host = EmbeddedHost(agent=agent, **(settings | options))
        if start:
            await host.start()
            hosts.append(host)
        return host

    yield make
    for host in hosts:
        await host.stop()


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    return tmp_path / "state" / "agents" / "main" / "sessions"


def turn(run_id: str = "run-1", text: str = "hello", **fields: Any) -> Turn:
    usual = {"account_id": "bot", "message_id": "1", "sender": Sender(uid="u1", name="Alice")}
    return a_turn(run_id=run_id, text=text, **(usual | fields))


async def events(host: AgentHost, asked: Turn) -> list[TurnEvent]:
    return [event async for event in host.run(asked)]


def entry(sessions: Path, key: str = KEY) -> dict[str, Any]:
    entry = json.loads((sessions / "sessions.json").read_text())[key]
    assert isinstance(entry, dict)
    return entry


def write_entry(sessions: Path, **fields: Any) -> None:
    sessions.mkdir(parents=True, exist_ok=True)
    (sessions / "sessions.json").write_text(json.dumps({KEY: fields}))


def said(sessions: Path, session_id: str) -> list[dict[str, Any]]:
    lines = (sessions / f"{session_id}.jsonl").read_text().splitlines()
    return [json.loads(line)["message"] for line in lines[1:]]


async def begun(stream: AsyncIterator[TurnEvent], *expected: TurnEvent) -> None:
    for event in expected:
        assert await anext(stream) == event


async def test_a_turn_is_accepted_streams_and_ends_done(
    make_host: MakeHost, sessions: Path, clock: ManualClock
) -> None:
    host: AgentHost = await make_host(Scripted("Hel", "", "lo\n"))
    started = clock.wall_ms()
    assert await events(host, turn("run-1")) == [
        Accepted("run-1"),
        Delta("Hel", is_clean=True),
        Delta("lo\n", is_clean=True),
        Final("Hello"),
    ]
    stored = entry(sessions)
    assert stored == {
        "sessionId": stored["sessionId"],
        "sessionStartedAt": started,
        "status": "done",
        "startedAt": started,
        "abortedLastRun": False,
        "lastRunId": "run-1",
        "updatedAt": started,
        "endedAt": started,
        "runtimeMs": 0,
    }


async def test_while_it_runs_the_session_is_running_and_shows_progress(
    make_host: MakeHost, clock: ManualClock, sessions: Path
) -> None:
    host = await make_host(Scripted("working", hangs=True))
    stream = host.run(turn("run-1"))
    started = clock.wall_ms()
    await begun(stream, Accepted("run-1"), Delta("working", is_clean=True))
    await clock.advance(5)
    assert entry(sessions)["status"] == "running"
    assert await host.describe(KEY.upper()) == SessionSnapshot(
        session_key=KEY.upper(),
        session_id=entry(sessions)["sessionId"],
        status="running",
        last_run_id="run-1",
        started_at=started,
        last_progress_at=started,
        updated_at=started,
    )
    await stream.aclose()


async def test_a_session_nobody_spoke_in_is_not_there(make_host: MakeHost) -> None:
    host = await make_host(EchoAgent())
    assert await host.describe(KEY) is None


async def test_the_agent_learns_who_asks_what_in_which_conversation(
    make_host: MakeHost, sessions: Path
) -> None:
    agent = Scripted("ok")
    host = await make_host(agent)
    await events(host, turn("run-1", "question", context="earlier", conversation="thread"))
    assert agent.prompts == [
        Prompt(
            text="question",
            sender_name="Alice",
            context="earlier",
            conversation="thread",
            session_key=KEY,
            session_id=entry(sessions)["sessionId"],
            run_id="run-1",
        )
    ]


async def test_the_conversation_is_remembered_across_turns_and_hosts(make_host: MakeHost) -> None:
    host = await make_host(Scripted("first answer"))
    await events(host, turn("run-1", "first"))
    await host.stop()
    agent = Scripted("second answer")
    again = await make_host(agent)
    await events(again, turn("run-2", "second", sender=Sender(uid="u2")))
    assert agent.prompts[0].history == (
        Message(role="user", text="first", sender="Alice", message_id="1"),
        Message(role="assistant", text="first answer"),
    )


async def test_no_output_is_an_empty_final(make_host: MakeHost, sessions: Path) -> None:
    host = await make_host(CommandAgent(["true"]))
    assert await events(host, turn("run-1")) == [Accepted("run-1"), Final("")]
    assert entry(sessions)["status"] == "done"


class Thinking(Scripted):
    hide_thinking = True


@pytest.mark.parametrize(
    "pieces",
    [
        ("<th", "ink>hm", "</think", ">\n\nThe ", "answer"),
        ("hm\n</thi", "nk>\nThe answer"),
        (
            "<|channel|>ana",
            "lysis<|message|>hm<|end|><|start|>assistant<|channel|>fin",
            "al<|message|>The answer",
        ),
    ],
)
async def test_what_an_agent_thinks_is_neither_told_nor_remembered(
    make_host: MakeHost, sessions: Path, pieces: Sequence[str]
) -> None:
    agent = Thinking(*pieces)
    host = await make_host(agent)
    *told, end = await events(host, turn("run-1"))
    assert end == Final("The answer")
    assert "".join(event.text for event in told if isinstance(event, Delta)) == "The answer"
    assert said(sessions, entry(sessions)["sessionId"])[1]["content"] == [
        {"type": "text", "text": "The answer"}
    ]
    await events(host, turn("run-2"))
    assert [message.text for message in agent.prompts[1].history] == ["hello", "The answer"]


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        (("<think>a</think>First.", PART_END, "<think>b", "</think>Second."), "First.\n\nSecond."),
        (("<think>never closed", PART_END, "Second."), "Second."),
        (("First.", PART_END, PART_END, "", "\n", "Second."), "First.\n\nSecond."),
        (("First.", PART_END), "First."),
    ],
)
async def test_parts_of_an_answer_stand_apart_and_thinking_in_front_of_each_is_left_out(
    make_host: MakeHost, pieces: tuple[str, ...], said: str
) -> None:
    host = await make_host(Thinking(*pieces))
    assert (await events(host, turn("run-1")))[-1] == Final(said)


async def test_an_agent_that_ends_inside_its_thinking_has_no_answer_and_the_log_says_why(
    make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    host = await make_host(Thinking("<think>hm"))
    assert await events(host, turn("run-1")) == [Accepted("run-1"), Final("")]
    assert "run run-1 ended inside its thinking" in caplog.text


async def test_the_thinking_of_a_program_is_part_of_its_answer_where_it_is_not_to_be_hidden(
    make_host: MakeHost,
) -> None:
    for hide, text in ((True, "Hi"), (False, "<think>hm</think>Hi")):
        host = await make_host(CommandAgent(["printf", "<think>hm</think>Hi"], hide_thinking=hide))
        assert (await events(host, turn("run-1")))[-1] == Final(text)
        await host.stop()


async def test_half_of_an_emoji_in_an_answer_harms_no_later_turn(make_host: MakeHost, sessions: Path) -> None:
    agent = Scripted("smile ", "\ud83d")
    host = await make_host(agent)
    assert (await events(host, turn("run-1")))[-1] == Final("smile \ufffd")
    stored = sessions / f"{entry(sessions)['sessionId']}.jsonl"
    stored.write_text(stored.read_text().replace("\ufffd", "\\ud83d"))  # as an earlier release wrote it
    await events(host, turn("run-2"))
    assert [message.text for message in agent.prompts[1].history] == ["hello", "smile \ufffd"]


@pytest.mark.parametrize("filtered", [False, True])
async def test_an_answer_cut_by_its_model_is_marked_in_its_end_and_in_the_transcript(
    make_host: MakeHost, sessions: Path, filtered: bool
) -> None:
    host = await make_host(Scripted("half an", error=AnswerCut(filtered=filtered)))
    assert (await events(host, turn("run-1")))[-1] == Final("half an", cut=not filtered, filtered=filtered)
    stored = entry(sessions)
    assert stored["status"] == "done"
    assert said(sessions, stored["sessionId"])[1]["stopReason"] == "length"


async def test_a_failing_agent_fails_the_run_and_keeps_its_text(make_host: MakeHost, sessions: Path) -> None:
    host = await make_host(CommandAgent(["sh", "-c", "echo half; echo broken pipe >&2; exit 3"]))
    *_, end = await events(host, turn("run-1", "question"))
    message = "the agent's program ended with exit code 3: broken pipe"
    assert end == Failed("failed", message, "half")
    stored = entry(sessions)
    assert (stored["status"], stored["lastRunError"], stored["abortedLastRun"]) == ("failed", message, False)
    question, answer = said(sessions, stored["sessionId"])
    assert question["content"] == [{"type": "text", "text": "question"}]
    assert (answer["stopReason"], answer["errorMessage"]) == ("error", message)


async def test_a_program_that_does_not_exist_fails_the_run_with_advice(make_host: MakeHost) -> None:
    host = await make_host(CommandAgent(["no-such-program-anywhere"]))
    *_, end = await events(host, turn("run-1"))
    assert isinstance(end, Failed)
    assert "install it or give its full path" in end.message


async def test_an_agent_with_a_bug_fails_the_run_and_shows_the_bug_in_the_log(
    make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    host = await make_host(Scripted("so far", error=KeyError("private")))
    *_, end = await events(host, turn("run-1"))
    assert end == Failed("failed", "the agent broke with KeyError: see the log", "so far")
    assert "Traceback" in caplog.text


async def test_an_agent_that_cancels_itself_fails_the_run(make_host: MakeHost) -> None:
    class Cancelling:
        async def reply(self, prompt: Prompt) -> AsyncIterator[str]:
            yield prompt.text
            raise asyncio.CancelledError

    host = await make_host(Cancelling())
    *_, end = await events(host, turn("run-1", "hi"))
    assert end == Failed("failed", "the agent cancelled itself", "hi")


async def test_a_run_over_its_budget_times_out_and_its_agent_is_ended(
    make_host: MakeHost, sessions: Path, clock: ManualClock
) -> None:
    agent = Scripted("so far", hangs=True)
    host = await make_host(agent, timeout_s=30.0)
    stream = host.run(turn("run-1"))
    await begun(stream, Accepted("run-1"), Delta("so far", is_clean=True))
    await clock.advance(29.9)
    assert entry(sessions)["status"] == "running"
    await clock.advance(0.1)
    assert await anext(stream) == Failed("timeout", "the run took longer than its budget of 30 s", "so far")
    stored = entry(sessions)
    assert (stored["status"], stored["runtimeMs"], stored["abortedLastRun"]) == ("timeout", 30_000, False)
    assert agent.ended == 1
    assert [event async for event in stream] == []


async def test_a_program_over_its_budget_is_ended_with_its_children(
    make_host: MakeHost, clock: ManualClock
) -> None:
    program = CommandAgent(["sh", "-c", "sleep 1000 & echo $!; wait"], hide_thinking=False)
    host = await make_host(program, timeout_s=30.0)
    stream = host.run(turn("run-1"))
    await anext(stream)
    delta = await anext(stream)
    assert isinstance(delta, Delta)
    await clock.advance(30)
    assert isinstance(await anext(stream), Failed)
    assert await gone(int(delta.text))


async def test_an_aborted_run_is_killed_and_says_so(make_host: MakeHost, sessions: Path) -> None:
    agent = Scripted("so far", hangs=True)
    host = await make_host(agent)
    stream = host.run(turn("run-1"))
    await begun(stream, Accepted("run-1"), Delta("so far", is_clean=True))
    assert await host.abort(KEY, "another run") is False
    assert await host.abort(KEY, "run-1") is True
    assert entry(sessions)["status"] == "killed"
    assert entry(sessions)["abortedLastRun"] is True
    assert agent.ended == 1
    assert await anext(stream) == Failed("killed", "the run was aborted", "so far")
    assert await host.abort(KEY, "run-1") is False


async def test_lines_that_name_files_are_no_part_of_what_a_failed_run_had_written(
    make_host: MakeHost,
) -> None:
    host = await make_host(Scripted("MEDIA:a.png", error=AgentError("no luck")))
    assert (await events(host, turn("run-1")))[-1] == Failed("failed", "no luck", is_all=True)


async def test_closing_the_stream_kills_the_run(make_host: MakeHost, sessions: Path) -> None:
    agent = Scripted("so far", hangs=True)
    host = await make_host(agent)
    stream = host.run(turn("run-1"))
    await begun(stream, Accepted("run-1"))
    await stream.aclose()
    assert entry(sessions)["status"] == "killed"
    assert agent.ended == 1


async def test_cancelling_the_reader_kills_the_run(
    make_host: MakeHost, sessions: Path, clock: ManualClock
) -> None:
    host = await make_host(Scripted(hangs=True))
    reader = asyncio.create_task(events(host, turn("run-1")))
    await clock.sleepers(1)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert entry(sessions)["status"] == "killed"


async def test_an_agent_that_does_not_end_is_left_behind_and_its_late_text_dropped(
    make_host: MakeHost,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    release = asyncio.Event()

    class Stubborn:
        hide_thinking = False

        async def reply(self, prompt: Prompt) -> AsyncIterator[str]:
            yield "early"
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                yield "late"
                await release.wait()
                yield "later"

    monkeypatch.setattr(seat, "AGENT_STOP_S", 0.005)
    host = await make_host(Stubborn())
    stream = host.run(turn("run-1"))
    await begun(stream, Accepted("run-1"), Delta("early", is_clean=True))
    await host.abort(KEY, "run-1")
    assert [event async for event in stream] == [Failed("killed", "the run was aborted", "early")]
    assert "does not end when told to" in caplog.text
    release.set()
    await asyncio.sleep(0)


async def test_an_agent_that_breaks_while_it_is_stopped_is_only_logged(
    make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    class Breaking:
        hide_thinking = False

        async def reply(self, prompt: Prompt) -> AsyncIterator[str]:
            yield "early"
            try:
                await asyncio.Event().wait()
            finally:
                raise AgentError("on the way out")

    host = await make_host(Breaking())
    stream = host.run(turn("run-1"))
    await begun(stream, Accepted("run-1"), Delta("early", is_clean=True))
    await host.abort(KEY, "run-1")
    assert await anext(stream) == Failed("killed", "the run was aborted", "early")
    assert "broke while it was stopped" in caplog.text


async def test_a_second_turn_of_a_busy_session_is_skipped_and_another_session_runs(
    make_host: MakeHost,
) -> None:
    host = await make_host(Scripted("so far", hangs=True))
    stream = host.run(turn("run-1"))
    await begun(stream, Accepted("run-1"))
    assert await events(host, turn("run-2")) == [Skipped("busy with run run-1")]
    other = host.run(turn("run-3", session_key="agent:main:octo:group:g2"))
    await begun(other, Accepted("run-3"))
    await other.aclose()
    await stream.aclose()


async def test_the_same_run_id_replays_its_outcome_without_a_run(
    make_host: MakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_module, "OUTCOMES_KEPT", 2)
    agent = Scripted("answer")
    host = await make_host(agent)
    await events(host, turn("run-1"))
    agent.error = AgentError("no")
    await events(host, turn("run-2"))
    assert await events(host, turn("run-1", "other text")) == [Accepted("run-1"), Final("answer")]
    assert await events(host, turn("run-2")) == [Accepted("run-2"), Failed("failed", "no", "answer")]
    assert len(agent.prompts) == 2
    await events(host, turn("run-3"))
    await events(host, turn("run-1"))
    assert len(agent.prompts) == 4


@pytest.mark.parametrize("status", ["failed", "timeout", "killed", "interrupted"])
async def test_a_strict_host_skips_an_ended_session_until_it_is_recovered(
    make_host: MakeHost, sessions: Path, status: str
) -> None:
    write_entry(sessions, sessionKey=KEY, status=status, abortedLastRun=False, runtimeMs=394653)
    host = await make_host(EchoAgent(), strict=True)
    for run_id in ("run-1", "run-2"):
        assert await events(host, turn(run_id)) == [Skipped(f"session {status}")]
    snapshot = await host.describe(KEY)
    assert snapshot is not None
    assert await host.recover(snapshot) is Recovery.RECOVERED
    assert await events(host, turn("run-3", "hi")) == [
        Accepted("run-3"),
        Delta("hi", is_clean=True),
        Final("hi"),
    ]
    assert entry(sessions)["status"] == "done"


@pytest.mark.parametrize("status", [None, "done", "strange"])
async def test_a_strict_host_runs_other_sessions(
    make_host: MakeHost, sessions: Path, status: str | None
) -> None:
    write_entry(sessions, sessionId="s1", status=status)
    host = await make_host(EchoAgent(), strict=True)
    assert (await events(host, turn("run-1", "hi")))[-1] == Final("hi")


async def test_a_host_that_is_not_strict_runs_a_failed_session_at_once(
    make_host: MakeHost, sessions: Path
) -> None:
    write_entry(sessions, sessionId="s1", status="failed", lastRunError="x", modelOverride="m")
    host = await make_host(EchoAgent())
    assert (await events(host, turn("run-1", "hi")))[-1] == Final("hi")
    stored = entry(sessions)
    assert (stored["status"], stored["sessionId"], stored["modelOverride"]) == ("done", "s1", "m")
    assert "lastRunError" not in stored


async def test_memory_and_unknown_fields_survive_failure_and_recovery(
    make_host: MakeHost, sessions: Path
) -> None:
    write_entry(sessions, sessionId="s1", groupActivation="mention", skillsSnapshot={"a": [1]})
    agent = Scripted("half", error=AgentError("model gone"))
    host = await make_host(agent)
    await events(host, turn("run-1", "first"))
    snapshot = await host.describe(KEY)
    assert snapshot is not None
    assert snapshot.last_run_error == "model gone"
    assert await host.recover(snapshot) is Recovery.RECOVERED
    stored = entry(sessions)
    del stored["updatedAt"]
    assert stored == {"sessionId": "s1", "groupActivation": "mention", "skillsSnapshot": {"a": [1]}}
    agent.error = None
    await events(host, turn("run-2", "second"))
    assert [message.text for message in agent.prompts[1].history] == ["first", "half"]
    assert entry(sessions)["sessionId"] == "s1"


@pytest.mark.parametrize("ended", [True, False], ids=["failed", "process killed"])
async def test_a_request_asked_again_stands_in_the_transcript_once(
    make_host: MakeHost, sessions: Path, ended: bool
) -> None:
    agent = Scripted("fine")
    host = await make_host(agent)
    await events(host, turn("run-1", "before", message_id="m1"))
    agent.error, agent.pieces = AgentError("model gone"), ()
    await events(host, turn("run-2", "first", message_id="m2"))
    transcript = sessions / f"{entry(sessions)['sessionId']}.jsonl"
    if not ended:
        transcript.write_text("".join(transcript.read_text().splitlines(keepends=True)[:-1]))
    agent.error, agent.pieces = None, ("fine",)
    await events(host, turn("run-3", "first", message_id="m2", attempt=2, resumed=True))
    await events(host, turn("run-4", "other", message_id="m3", attempt=2, resumed=True))
    assert transcript.read_text().count('"first"') == 1
    seen = [[message.text for message in prompt.history] for prompt in agent.prompts]
    assert seen[2:] == [["before", "fine"], ["before", "fine", "first", "fine"]]


async def test_an_agent_that_reads_no_history_gets_none_and_its_errors_quote_nobody_all_the_same(
    make_host: MakeHost,
) -> None:
    class Forgetful(Scripted):
        history_messages = 0

    agent = Forgetful("fine")
    host = await make_host(agent)
    await events(host, turn("run-1", "the secret of the pyramids"))
    agent.error = AgentError("could not digest: the secret of the pyramids")
    await events(host, turn("run-2", "and now?"))
    assert [prompt.history for prompt in agent.prompts] == [(), ()]
    snapshot = await host.describe(KEY)
    assert snapshot is not None
    assert snapshot.last_run_error == "could not digest:[…]"


async def test_recovery_never_touches_a_newer_or_a_live_run(make_host: MakeHost, sessions: Path) -> None:
    agent = Scripted(error=AgentError("no"))
    host = await make_host(agent)
    await events(host, turn("run-1"))
    old = await host.describe(KEY)
    assert old is not None
    await events(host, turn("run-2"))
    assert await host.recover(old) is Recovery.CONFLICT
    agent.error, agent.hangs = None, True
    stream = host.run(turn("run-3"))
    await begun(stream, Accepted("run-3"))
    live = await host.describe(KEY)
    assert live is not None
    assert await host.recover(live) is Recovery.CONFLICT
    assert entry(sessions)["status"] == "running"
    await stream.aclose()


async def test_two_recoveries_of_one_snapshot_give_one_recovery(make_host: MakeHost, sessions: Path) -> None:
    write_entry(sessions, status="failed", runtimeMs=394653)
    host = await make_host(EchoAgent())
    snapshot = await host.describe(KEY)
    assert snapshot is not None
    results = tuple(await asyncio.gather(host.recover(snapshot), host.recover(snapshot)))
    assert results == (Recovery.RECOVERED, Recovery.CONFLICT)


async def test_a_reset_gives_an_empty_memory_and_keeps_the_old_transcript(
    make_host: MakeHost, sessions: Path
) -> None:
    agent = Scripted("answer")
    host = await make_host(agent)
    await events(host, turn("run-1"))
    old_id = entry(sessions)["sessionId"]
    fresh = await host.reset(KEY)
    assert fresh == await host.describe(KEY)
    assert fresh.session_id not in {None, old_id}
    assert fresh.status is None
    await events(host, turn("run-2"))
    assert agent.prompts[1].history == ()
    assert len(said(sessions, old_id)) == 2


async def test_a_reset_kills_what_runs(make_host: MakeHost, sessions: Path) -> None:
    host = await make_host(Scripted(hangs=True))
    stream = host.run(turn("run-1"))
    await begun(stream, Accepted("run-1"))
    fresh = await host.reset(KEY)
    assert await anext(stream) == Failed("killed", "the run was aborted")
    assert entry(sessions)["sessionId"] == fresh.session_id
    assert "status" not in entry(sessions)


async def test_stopping_the_host_interrupts_what_runs(make_host: MakeHost, sessions: Path) -> None:
    agent = Scripted("so far", hangs=True)
    host = await make_host(agent)
    streams = [host.run(turn(f"run-{n}", session_key=f"{KEY}{n}")) for n in range(2)]
    for number, stream in enumerate(streams):
        await begun(stream, Accepted(f"run-{number}"), Delta("so far", is_clean=True))
    await host.stop()
    for number, stream in enumerate(streams):
        assert await anext(stream) == Failed("killed", "the host was stopped during the run", "so far")
        stored = entry(sessions, f"{KEY}{number}")
        assert (stored["status"], stored["abortedLastRun"]) == ("interrupted", True)
    assert agent.ended == 2


async def test_a_host_that_is_not_started_or_was_stopped_runs_nothing(make_host: MakeHost) -> None:
    host = await make_host(EchoAgent(), start=False)
    with pytest.raises(HostError, match="start it"):
        await events(host, turn("run-1"))
    await host.stop()
    await host.start()
    await host.stop()
    with pytest.raises(HostError, match="not open"):
        await host.describe(KEY)


async def test_a_host_can_be_started_again(make_host: MakeHost) -> None:
    host = await make_host(EchoAgent())
    await host.stop()
    await host.start()
    assert (await events(host, turn("run-1", "hi")))[-1] == Final("hi")


@pytest.mark.parametrize("rounds", range(4))
async def test_a_start_that_is_cancelled_at_any_moment_leaves_the_state_folder_free(
    make_host: MakeHost, rounds: int
) -> None:
    first, other = await make_host(EchoAgent(), start=False), await make_host(EchoAgent(), start=False)
    starting = asyncio.create_task(first.start())
    for _ in range(rounds):
        await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait({starting})
    assert starting.cancelled()
    await other.start()
    await other.stop()


async def test_one_host_owns_a_state_folder(make_host: MakeHost, tmp_path: Path) -> None:
    host = await make_host(EchoAgent())
    second = await make_host(EchoAgent(), start=False)
    with pytest.raises(HostError, match="in use by process"):
        await second.start()
    await host.stop()
    await second.start()
    await second.stop()
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


async def test_a_start_that_fails_leaves_the_folder_free(make_host: MakeHost, sessions: Path) -> None:
    (sessions / "sessions.json").mkdir(parents=True)
    host = await make_host(EchoAgent(), start=False)
    with pytest.raises(HostError, match=r"sessions\.json cannot be used"):
        await host.start()
    (sessions / "sessions.json").rmdir()
    await host.start()
    await host.stop()


async def test_a_folder_that_cannot_be_made_is_a_clear_error(make_host: MakeHost, tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    host = await make_host(EchoAgent(), start=False)
    with pytest.raises(HostError, match=r"choose another host\.stateDir"):
        await host.start()


@pytest.mark.parametrize("agent_id", ["", "..", "a/b"])
async def test_an_agent_id_that_cannot_name_a_folder_is_refused(make_host: MakeHost, agent_id: str) -> None:
    with pytest.raises(HostError, match="agent id"):
        await make_host(EchoAgent(), start=False, agent_id=agent_id)


@pytest.mark.parametrize("status", ["running", "queued"])
async def test_runs_of_a_dead_process_are_interrupted_at_start(
    make_host: MakeHost, sessions: Path, clock: ManualClock, status: str
) -> None:
    write_entry(sessions, sessionId="s1", status=status, lastRunId="r0", startedAt=5, x=1)
    host = await make_host(EchoAgent())
    snapshot = await host.describe(KEY)
    assert snapshot is not None
    assert (snapshot.status, snapshot.last_run_id, snapshot.ended_at) == (
        "interrupted",
        "r0",
        clock.wall_ms(),
    )
    assert entry(sessions)["x"] == 1


DYING = """
import asyncio, sys
from pathlib import Path
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.host.base import Sender, Turn
from openclaw_channel_octo.host.embedded.command import CommandAgent
from openclaw_channel_octo.host.embedded.host import EmbeddedHost

async def main(state, key):
    agent = CommandAgent(["sh", "-c", "echo working; sleep 5"], hide_thinking=False)
    host = EmbeddedHost(state_dir=Path(state), agent_id="main", agent=agent, clock=SystemClock())
    await host.start()
    turn = Turn(run_id="lost", session_key=key, agent_id="main", account_id="bot", channel="octo",
                conversation="group", channel_id="g1", message_id="1", sender=Sender(uid="u1"), text="hello")
    async for event in host.run(turn):
        print(event, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_killed_process_leaves_a_session_the_next_one_can_use(
    make_host: MakeHost, tmp_path: Path, sessions: Path
) -> None:
    command = [sys.executable, "-c", DYING, str(tmp_path / "state"), KEY]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: ASYNC220  # a helper of the test
        assert process.stdout is not None
        assert process.stdout.readline() == b"Accepted(run_id='lost')\n"
        assert b"working" in process.stdout.readline()
        assert entry(sessions)["status"] == "running"
        process.send_signal(signal.SIGKILL)
        process.wait()
    agent = Scripted("here again")
    host = await make_host(agent)
    snapshot = await host.describe(KEY)
    assert snapshot is not None
    assert (snapshot.status, snapshot.last_run_id) == ("interrupted", "lost")
    assert (await events(host, turn("run-2")))[-1] == Final("here again")
    assert [message.text for message in agent.prompts[0].history] == ["hello"]


def test_a_loop_that_is_torn_down_leaves_the_row_ended(tmp_path: Path, sessions: Path) -> None:
    async def main() -> None:
        host = EmbeddedHost(
            state_dir=tmp_path / "state", agent_id="main", agent=Scripted(hangs=True), clock=ManualClock()
        )
        await host.start()
        stream = host.run(turn("run-1"))
        await begun(stream, Accepted("run-1"))
        assert entry(sessions)["status"] == "running"

    asyncio.run(main())
    assert entry(sessions)["status"] in {"interrupted", "killed"}


async def test_a_transcript_that_cannot_be_written_does_not_stop_the_turn(
    make_host: MakeHost, sessions: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_entry(sessions, sessionId="s1")
    (sessions / "s1.jsonl").mkdir()
    host = await make_host(EchoAgent())
    assert (await events(host, turn("run-1", "hi")))[-1] == Final("hi")
    assert "the turn goes on without it" in caplog.text


async def test_a_store_that_cannot_be_written_does_not_stop_the_turn(
    make_host: MakeHost, sessions: Path
) -> None:
    write_entry(sessions, sessionId="s1", status="failed")
    (sessions / "sessions.json").chmod(0o400)
    host = await make_host(EchoAgent())
    assert (await events(host, turn("run-1", "hi")))[-1] == Final("hi")
    snapshot = await host.describe(KEY)
    assert snapshot is not None
    assert snapshot.status == "done"
    (sessions / "sessions.json").chmod(0o600)


async def test_a_session_reset_by_hand_during_a_run_stays_as_it_was_edited(
    make_host: MakeHost, sessions: Path
) -> None:
    host = await make_host(Scripted("so far", hangs=True))
    stream = host.run(turn("run-1"))
    await begun(stream, Accepted("run-1"))
    write_entry(sessions, sessionId="by-hand")
    await stream.aclose()
    assert entry(sessions) == {"sessionId": "by-hand"}
