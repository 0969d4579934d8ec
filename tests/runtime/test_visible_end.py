"""No message that addresses the bot ends in silence: every way a turn can fail, over a real socket."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any, cast

import pytest

from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.base import (
    Accepted,
    Block,
    Delta,
    Failed,
    Final,
    MediaItem,
    Recovery,
    Skipped,
    Turn,
    TurnEvent,
)
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.session.status import SessionSnapshot
from openclaw_channel_octo.testing.host import HANG, ScriptedHost, Step
from openclaw_channel_octo.testing.octo.faults import ErrorAnswer, Hang, RateLimit, Refuse
from tests.runtime.rig import (
    ANN,
    BEN,
    HELPER,
    OTHER,
    OTHER_TOKEN,
    RESTART,
    TOKEN,
    FastClock,
    Rig,
    python_agent,
)
from tests.runtime.turn.model_server import ModelServer
from tests.runtime.wire_bench import SkippingClock

TEXTS = Texts()


async def until_it_wrote(rig: Rig) -> None:
    """Wait until the agent of the group's session has written something."""
    assert rig.host is not None
    async with asyncio.timeout(60):
        while True:
            found = await rig.host.describe("agent:main:octo:group:g1")
            if found is not None and (found.last_progress_at or 0) > (found.started_at or 0) > 0:
                return
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("source", "notice", "status"),
    [
        pytest.param(
            "print('no luck', file=sys.stderr); sys.exit(3)", TEXTS.failed, "failed", id="exits non-zero"
        ),
        pytest.param("", TEXTS.empty, "done", id="prints nothing"),
        pytest.param("print('NO_REPLY')", TEXTS.empty, "done", id="says NO_REPLY"),
        pytest.param("print('**no_reply**')", TEXTS.empty, "done", id="says no_reply in bold"),
        pytest.param("print('<think>hm</think>')", TEXTS.empty, "done", id="only thinks"),
        pytest.param("print('<think>hm')", TEXTS.empty, "done", id="thinks without an end"),
        pytest.param("print('\\u200b\\ufe0f \\u0301')", TEXTS.empty, "done", id="shows nothing"),
        pytest.param("print('```python\\n\\n```')", TEXTS.empty, "done", id="prints a fence"),
        pytest.param("os.kill(os.getpid(), 9)", TEXTS.failed, "failed", id="is killed"),
        pytest.param("time.sleep(60)", TEXTS.timeout, "timeout", id="hangs"),
        pytest.param(
            "print('half an', flush=True); time.sleep(60)", TEXTS.timeout, "timeout", id="hangs midway"
        ),
    ],
)
async def test_an_agent_that_fails_ends_in_a_notice(rig: Rig, source: str, notice: str, status: str) -> None:
    rig.clock = clock = SkippingClock(factor=1)
    await rig.start(rig.config(agent=python_agent(source), host={"timeoutSeconds": 400}))
    message_id = await rig.mention("please")
    if "print('half" in source:
        await until_it_wrote(rig)
    if status == "timeout":
        await clock.skip_sleep(399, 401)
    await rig.until_row(message_id, "notified")
    said = rig.said()
    assert said[-1] == notice
    assert said[:-1] == (["half an […]"] if "half" in source else [])
    assert rig.session()["status"] == status


async def test_a_program_that_does_not_exist_ends_in_a_notice(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.start(rig.config(agent={"kind": "command", "command": ["/no/such/program"]}))
    with caplog.at_level(logging.INFO):
        await rig.mentioned("please", "notified")
    assert rig.said() == [TEXTS.failed]
    assert "/no/such/program" in caplog.text


@pytest.mark.parametrize("mode", ["400", "429", "500", "drop"])
async def test_a_model_that_fails_ends_in_a_notice(
    rig: Rig, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with ModelServer().served() as model:
        model.mode = mode
        with caplog.at_level(logging.DEBUG):
            await rig.start(rig.config(agent=model.agent()))
            await rig.mentioned("please", "notified")
            assert rig.said()[-1] == TEXTS.failed
            assert rig.said()[:-1] == (["It works […]"] if mode == "drop" else [])
            model.mode = "ok"
            await rig.mentioned("again")
        assert rig.said()[-2:] == [RESTART, "It works"]
        await rig.stop()
    assert "sk-planted-secret" not in caplog.text


async def test_an_error_notice_does_not_use_up_the_announcement(rig: Rig) -> None:
    await rig.start(rig.config(agent=python_agent("sys.exit(1) if 'bad' in prompt else print('fine')")))
    await rig.mentioned("bad", "notified")
    await rig.mentioned("good")
    await rig.mentioned("good")
    assert rig.said() == [TEXTS.failed, RESTART, "fine", "fine"]


async def test_a_direct_conversation_recovers_without_an_announcement(rig: Rig) -> None:
    await rig.start(rig.config(agent=python_agent("sys.exit(1) if 'bad' in prompt else print('fine')")))
    await rig.until_row(await rig.octo.say(ANN, rig.dm, "bad"), "notified")
    await rig.until_row(await rig.octo.say(ANN, rig.dm, "good"), "answered")
    assert rig.said(ChannelRef(ANN, 1)) == [TEXTS.failed, "fine"]


async def test_a_thread_is_a_session_of_its_own(rig: Rig) -> None:
    await rig.start(rig.config(agent=python_agent("sys.exit(1) if 'bad' in prompt else print('fine')")))
    await rig.mentioned("bad", "notified")
    await rig.mentioned("good", where=rig.thread)
    assert rig.said(rig.thread) == ["fine"]
    assert rig.said() == [TEXTS.failed]
    assert rig.session(f"agent:main:octo:group:{rig.thread.id}")["status"] == "done"


FAIL = (Accepted("r"), Failed("failed", "no luck"))
"""A run that fails."""
TWO_FAILED = [TEXTS.failed, RESTART, TEXTS.failed]


async def fail(rig: Rig, times: int, *steps: Step) -> ScriptedHost:
    """Let so many runs fail one after the other, and the next one do ``steps``."""
    host = await rig.start_with(ScriptedHost(*[FAIL] * times, [Accepted("r"), *steps]))
    for _ in range(times):
        await rig.mentioned("go", "notified")
    return host


async def test_from_the_third_failure_in_a_row_one_message_counts_them(rig: Rig) -> None:
    await fail(rig, 5, Final("fine"))
    counted = [TEXTS.third_failure % count for count in (3, 4, 5)]
    assert rig.said() == [*TWO_FAILED, *counted]
    await rig.mentioned("go")
    await rig.mentioned("go on")
    assert rig.said()[6:] == [RESTART, "fine", "echo: @Helper go on"]


@pytest.mark.parametrize(
    ("steps", "state", "said"),
    [
        pytest.param([Final("fine")], "answered", [RESTART, "fine"], id="answered"),
        pytest.param([Block("so"), Final("fine")], "answered", [RESTART, "so", "fine"], id="streamed"),
        pytest.param([Final()], "notified", [RESTART, TEXTS.empty], id="empty"),
        pytest.param([Failed("killed", "aborted")], "notified", ["⏹️ Stopped."], id="stopped"),
        pytest.param(
            [Failed("timeout", "late")],
            "notified",
            [f"{TEXTS.timeout}\n{TEXTS.third_failure % 3}"],
            id="timed out",
        ),
        pytest.param(
            [Failed("failed", "no luck", "half")],
            "notified",
            ["half […]", TEXTS.third_failure % 3],
            id="with what it had written",
        ),
        pytest.param(
            [Block("so"), Failed("failed", "no luck")],
            "notified",
            [RESTART, "so", TEXTS.third_failure % 3],
            id="in the middle of its answer",
        ),
    ],
)
async def test_a_run_after_two_failures_ends_as_people_expect(
    rig: Rig, steps: Sequence[Step], state: str, said: list[str]
) -> None:
    await fail(rig, 2, *steps)
    await rig.mentioned("go", state)
    assert rig.said() == [*TWO_FAILED, *said]


async def test_during_an_outage_a_restart_loses_and_repeats_nothing(rig: Rig) -> None:
    await fail(rig, 2, HANG)
    message_id = await rig.under_way("go")
    await rig.stop()
    host = ScriptedHost([Accepted("r"), Final("fine")])
    host.set_status("agent:main:octo:group:g1", "interrupted")
    await rig.start_with(host)
    await rig.until_row(message_id, "answered")
    assert rig.said() == [*TWO_FAILED, RESTART, "fine"]


@pytest.mark.parametrize("fault", [ErrorAnswer(status=500), Refuse(), RateLimit(retry_after=30), Hang()])
async def test_an_announcement_that_cannot_be_sent_does_not_stop_the_turn(
    fast_rig: Rig, fault: ErrorAnswer | Refuse | RateLimit | Hang
) -> None:
    fast_rig.write_session({"status": "failed", "sessionId": "s1"})
    await fast_rig.start(fast_rig.config())
    fast_rig.octo.fail_next("sendMessage", fault)
    await fast_rig.mentioned("hello?")
    assert fast_rig.said() == ["@Helper hello?"]
    fast_rig.octo.release()


async def test_mentions_at_the_same_instant_share_one_announcement_and_are_answered_in_order(
    rig: Rig,
) -> None:
    rig.write_session({"status": "failed", "sessionId": "s1"})
    await rig.start(rig.config())
    ids = [await rig.mention(f"m{number}", who=who) for number, who in enumerate((ANN, BEN, ANN, BEN))]
    await rig.until_answered(*ids)
    assert rig.said() == [RESTART, *(f"@Helper m{number}" for number in range(4))]


async def test_two_bots_of_one_agent_in_a_group_share_session_lane_and_announcement(rig: Rig) -> None:
    rig.write_session({"status": "failed", "sessionId": "s1"})
    await rig.start(rig.config(bots={"helper": TOKEN, "other": OTHER_TOKEN}))
    await rig.octo.wait_for(lambda: rig.octo.online(OTHER))
    await rig.octo.say(ANN, rig.group, "both of you", mention=[HELPER, OTHER])
    await rig.until_said(1, who=HELPER)
    await rig.until_said(1, who=OTHER)
    await rig.octo.wait_for(
        lambda: len([1 for line in rig.octo.chat(rig.group) if line.from_uid != ANN]) == 3
    )
    bots_said = rig.said(who=HELPER) + rig.said(who=OTHER)
    assert bots_said.count(RESTART) == 1
    assert sum("both of you" in text for text in bots_said) == 2


async def test_a_skipped_turn_is_run_once_more_and_then_reported(rig: Rig) -> None:
    host = ScriptedHost(
        [Skipped("busy")], [Skipped("busy")], [Skipped("busy")], [Accepted("r"), Final("here")]
    )
    await rig.start(rig.config(), host)
    await rig.mentioned("one", "notified")
    await rig.mentioned("two")
    assert rig.said() == [TEXTS.failed, "here"]
    run_ids = [turn.run_id for turn in host.turns]
    assert len(set(run_ids)) == 4


async def test_a_stream_without_any_event_counts_as_skipped_and_one_that_breaks_off_as_failed(
    rig: Rig,
) -> None:
    await rig.start_with(ScriptedHost([], [Accepted("r"), Final("second try")], [Accepted("r"), Delta("he")]))
    await rig.mentioned("one")
    await rig.mentioned("two", "notified")
    assert rig.said() == ["second try", "he […]", TEXTS.failed]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        pytest.param([Block("one"), Delta("…"), Block("two")], ["one", "two"], id="as they come"),
        pytest.param(
            [Block("\u200b"), Block("```\n```"), Block("seen")], ["seen"], id="where one can see them"
        ),
    ],
)
async def test_blocks_are_posted_and_a_bare_final_adds_nothing(
    rig: Rig, steps: list[Step], said: list[str]
) -> None:
    await rig.start_with(ScriptedHost([Accepted("r"), *steps, Final("")]))
    await rig.mentioned("go")
    assert rig.said() == said


async def test_a_run_that_outlives_its_budget_is_aborted_and_what_it_wrote_is_shown(fast_rig: Rig) -> None:
    host = ScriptedHost([Accepted("r"), Delta("half "), Delta("done"), HANG])
    await fast_rig.start(fast_rig.config(dispatchTimeoutMs=20_000), host)
    await fast_rig.mentioned("go", "notified")
    assert fast_rig.said() == ["half done […]", TEXTS.timeout]
    assert [run_id for _, run_id in host.aborts] == [host.turns[0].run_id]


async def test_a_host_that_breaks_with_an_unknown_error_ends_in_a_notice_and_spares_the_next_turn(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.start_with(ScriptedHost([RuntimeError("boom")], [Accepted("r"), Final("fine")]))
    await rig.mentioned("one", "notified")
    await rig.mentioned("two")
    assert rig.said() == [TEXTS.failed, RESTART, "fine"]
    assert "boom" in caplog.text


HALF = "\ud83d"
"""What JavaScript leaves of an emoji that it cuts in two; UTF-8 has no form for it."""


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (Failed("failed", f"the model said {HALF}"), [TEXTS.failed]),
        (Failed("failed", "no", partial=f"so far {HALF}"), ["so far \ufffd […]", TEXTS.failed]),
        (Skipped(f"not now {HALF}"), [TEXTS.failed]),
        (Final(f"fine {HALF}"), ["fine \ufffd"]),
        (
            Final("fine", (MediaItem(kind="file", url="/no/file", name=f"{HALF}.txt"),)),
            ["fine", f"{TEXTS.file_failed} "],
        ),
        (
            Final("fine", (MediaItem(kind="file", url=f"/no/{HALF}"),)),
            ["fine", f"{TEXTS.file_failed} "],
        ),
    ],
    ids=["failure", "partial answer", "skipped", "answer", "file name", "file"],
)
async def test_half_an_emoji_of_a_host_changes_nothing_about_the_end(
    rig: Rig, end: Final | Failed | Skipped, said: list[str]
) -> None:
    await rig.start(rig.config(), ScriptedHost([end], [end], [Final("next")]))
    await rig.until_row(await rig.mention("go"), "answered" if isinstance(end, Final) else "notified")
    seen = rig.said()
    assert len(seen) == len(said)
    assert all(there.startswith(begin) for there, begin in zip(seen, said, strict=True)), seen


@pytest.mark.parametrize("status", ["failed", "running"])
async def test_half_an_emoji_in_a_session_that_somebody_edited_does_not_keep_it_from_recovering(
    rig: Rig, status: str
) -> None:
    rig.write_session({"status": status, "sessionId": f"s{HALF}", "lastRunId": HALF, "startedAt": 1})
    await rig.start(rig.config())
    for number in range(2):
        await rig.mentioned(f"message {number}")
    assert rig.said() == [RESTART, "@Helper message 0", "@Helper message 1"]


class Repairs(logging.Handler):
    """Takes a planted trigger out of the journal once somebody complains of it."""

    def __init__(self, rig: Rig) -> None:
        super().__init__()
        self._rig = rig

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and "planted" in str(record.exc_info[1]):
            self._rig.sql("DROP TRIGGER IF EXISTS refuse")


async def test_a_journal_that_refuses_an_end_after_it_was_shown_does_not_make_it_show_twice(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.start(rig.config(), ScriptedHost([Failed("failed", "the model said no")]))
    rig.sql(
        "CREATE TRIGGER refuse BEFORE UPDATE ON inbound WHEN new.state = 'notified'"
        " BEGIN SELECT raise(ABORT, 'planted'); END"
    )
    repairs = Repairs(rig)
    logging.getLogger("openclaw_channel_octo").addHandler(repairs)
    assert await rig.until_row(await rig.mention("go"), "notified") == "the model said no"
    assert rig.said() == [TEXTS.failed]
    assert "planted" in caplog.text


@pytest.mark.parametrize("error", [None, HostError("the store is gone")], ids=["hangs", "fails"])
async def test_an_answer_counts_although_its_host_does_not_come_to_rest_behind_it(
    fast_rig: Rig, error: Exception | None
) -> None:
    class Restless(ScriptedHost):
        async def run(self, turn: Turn) -> AsyncGenerator[TurnEvent]:
            try:
                yield Final("the answer")
                yield Failed("failed", "a second end")
            finally:
                if error is not None:
                    raise error
                await asyncio.Event().wait()

    await fast_rig.start(fast_rig.config(dispatchTimeoutMs=20_000), Restless())
    await fast_rig.mentioned("go")
    assert fast_rig.said() == ["the answer"]


@pytest.mark.parametrize("error", [HostError("the store is gone"), KeyError("status")])
async def test_a_host_that_cannot_describe_sessions_is_asked_to_run_all_the_same(
    rig: Rig, error: Exception
) -> None:
    host = ScriptedHost([Accepted("r"), Final("fine")])
    host.describe_error = error
    await rig.start(rig.config(), host)
    await rig.mentioned("one")
    assert rig.said() == ["fine"]


class StuckHost(ScriptedHost):
    """A host whose calls for a session hang, or break."""

    def __init__(self, *scripts: Sequence[Step], error: Exception | None = None) -> None:
        super().__init__(*scripts)
        self.error = error

    async def stick(self) -> Any:
        if self.error is not None:
            raise self.error
        await asyncio.Event().wait()

    async def describe(self, session_key: str) -> SessionSnapshot | None:
        if self.describe_error is not None:
            await self.stick()
        return await super().describe(session_key)

    async def recover(self, snapshot: SessionSnapshot) -> Recovery:
        return cast("Recovery", await self.stick())

    async def abort(self, session_key: str, run_id: str) -> bool:
        return cast("bool", await self.stick())

    async def reset(self, session_key: str) -> SessionSnapshot:
        return cast("SessionSnapshot", await self.stick())


@pytest.mark.parametrize("error", [None, RuntimeError("no such row")], ids=["hangs", "breaks"])
@pytest.mark.parametrize("status", ["failed", "running"])
async def test_a_host_that_cannot_recover_a_session_is_asked_to_run_all_the_same(
    fast_rig: Rig, error: Exception | None, status: str
) -> None:
    fast_rig.clock = FastClock(20)  # an announcement has five seconds of it
    host = StuckHost([Accepted("r"), Final("fine")], error=error)
    key = "agent:main:octo:group:g1"
    host.sessions[key] = SessionSnapshot(
        session_key=key, session_id="s", status=status, last_run_id="r0", started_at=1, last_progress_at=1
    )
    await fast_rig.start(fast_rig.config(), host)
    await fast_rig.mentioned("one")
    assert fast_rig.said() == [RESTART, "fine"]


@pytest.mark.parametrize("error", [None, RuntimeError("no such row")], ids=["hangs", "breaks"])
@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("/status", [TEXTS.command_failed]),
        ("/reset", [TEXTS.command_failed, "⏹️ Stopped."]),
        ("/stop", ["Stopping.", "⏹️ Stopped."]),
    ],
)
async def test_a_command_whose_host_hangs_or_breaks_is_answered(
    fast_rig: Rig, error: Exception | None, command: str, told: list[str]
) -> None:
    host = StuckHost([Accepted("r"), HANG], error=error)
    await fast_rig.start(fast_rig.config(dispatchTimeoutMs=2_000_000, streaming="off"), host)
    await fast_rig.octo.say(ANN, fast_rig.dm, "work")
    await host.wait_for_turns(1)
    host.describe_error = RuntimeError("from here on")
    await fast_rig.until_row(await fast_rig.octo.say(ANN, fast_rig.dm, command), "answered")
    assert sorted(await fast_rig.until_said(len(told), ChannelRef(ANN, 1))) == sorted(told)


@pytest.mark.parametrize("reply", ["NO_REPLY", "**no_reply**", "<think>hm</think>NO_REPLY\\nNO_REPLY"])
async def test_silence_is_an_answer_only_where_the_operator_allows_it(rig: Rig, reply: str) -> None:
    await rig.start(rig.config(agent=python_agent(f"print('{reply}')"), silentReplies="allow"))
    await rig.mentioned("psst")
    assert rig.said() == []


@pytest.mark.parametrize("setting", ["notify", "allow"])
async def test_the_token_of_silence_is_never_posted(rig: Rig, setting: str) -> None:
    await rig.start_with(
        ScriptedHost(
            [Accepted("r"), Final("Done.\n\nNO_REPLY")],
            [Accepted("r"), Block("NO_REPLY"), Block("one"), Final("no_reply")],
            [Accepted("r"), Failed("failed", "no", partial="so far\nNO_REPLY")],
            [Accepted("r"), Block("NO_REPLY"), Final("")],
        ),
        silentReplies=setting,
    )
    await rig.mentioned("first")
    await rig.mentioned("second")
    await rig.mentioned("third", "notified")
    await rig.mentioned("fourth", "answered" if setting == "allow" else "notified")
    silent = [] if setting == "allow" else [TEXTS.empty]
    assert rig.said() == ["Done.", "one", "so far […]", TEXTS.failed, RESTART, *silent]


async def test_the_thinking_of_any_host_stays_out_of_the_chat(rig: Rig) -> None:
    await rig.start_with(
        ScriptedHost(
            [Accepted("r"), Delta("<thi"), Delta("nk>hm"), Final("<think>hm</think>answer")],
            [Accepted("r"), Block("<think>hm"), Block("hm"), Block("hm</think>one"), Final("<think>two")],
            [Accepted("r"), Delta("<think>hm</think>so "), Delta("far"), Failed("failed", "no")],
            [Accepted("r"), Failed("failed", "no", partial="<think>hm")],
        )
    )
    for number, end in enumerate(("answered", "answered", "notified", "notified")):
        await rig.mentioned(f"mention {number}", end)
    assert rig.said() == ["answer", "one", "so far […]", TEXTS.failed, RESTART, TEXTS.failed]


async def test_an_answer_that_its_length_limit_cut_says_so(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    async with ModelServer().served() as model:
        model.mode = "length"
        await rig.start(rig.config(agent=model.agent(), texts={"lengthLimit": "(cut)"}))
        await rig.mentioned("please")
    assert rig.said() == ["It works", "(cut)"]
    assert [record.levelname for record in caplog.records if "length limit" in record.message] == ["WARNING"]


@pytest.mark.parametrize(
    ("steps", "state", "said"),
    [
        ([Final("", cut=True)], "notified", [TEXTS.length_limit]),
        ([Final("<think>hm", cut=True)], "notified", [TEXTS.length_limit]),
        ([Block("one"), Final("", cut=True)], "answered", ["one", TEXTS.length_limit]),
        ([Final("", filtered=True)], "notified", [TEXTS.content_filter]),
        ([Final("half", filtered=True)], "answered", ["half", TEXTS.content_filter]),
        ([Failed("failed", "no", partial="half")], "notified", ["half […]", TEXTS.failed]),
    ],
)
async def test_an_answer_its_model_did_not_end_never_ends_in_silence(
    rig: Rig, caplog: pytest.LogCaptureFixture, steps: list[Step], state: str, said: list[str]
) -> None:
    await rig.start_with(ScriptedHost([Accepted("r"), *steps]))
    await rig.mentioned("please", state)
    assert rig.said() == said
    assert ("ends at a content filter of its model" in caplog.text) == (TEXTS.content_filter in said)


async def test_a_failed_run_with_a_status_of_its_own_gets_the_matching_notice(rig: Rig) -> None:
    await rig.start_with(ScriptedHost([Failed("killed", "aborted by hand")], [Failed("odd", "?")]))
    await rig.mentioned("one", "notified")
    await rig.mentioned("two", "notified")
    assert rig.said() == ["⏹️ Stopped.", TEXTS.failed]


async def test_an_answer_nobody_can_be_given_ends_as_a_dead_letter_with_its_reason(rig: Rig) -> None:
    await rig.start(rig.config())
    rig.octo.fail_next("sendMessage", ErrorAnswer(status=400, msg="bot is not a member of this group"))
    detail = await rig.until_row(await rig.mention("one"), "dead")
    assert "not a member" in detail
    assert rig.said() == []


@pytest.mark.parametrize("fault", [Refuse(), RateLimit(retry_after=1)])
async def test_a_send_that_was_not_carried_out_is_repeated(fast_rig: Rig, fault: Refuse | RateLimit) -> None:
    await fast_rig.start(fast_rig.config())
    fast_rig.octo.fail_next("sendMessage", fault, times=2)
    await fast_rig.mentioned("one")
    assert fast_rig.said() == ["@Helper one"]
