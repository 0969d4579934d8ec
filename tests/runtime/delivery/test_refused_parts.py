"""A part of an answer that the chat does not take for what it is: the rest arrives, and people are told."""

import pytest

from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.errors import (
    AmbiguousOutcome,
    ApiError,
    AuthError,
    BadAnswer,
    BadRequest,
    FileTypeRefused,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    RateLimited,
    Unavailable,
)
from openclaw_channel_octo.host.base import Accepted, Block, Failed, Final, MediaItem
from openclaw_channel_octo.testing.host import HANG, ScriptedHost, Step
from openclaw_channel_octo.testing.octo.faults import (
    ErrorAnswer,
    Fault,
    Hang,
    JsonAnswer,
    ProxyPage,
    Refuse,
    Slow,
)
from tests.runtime.asking import Asked, ask
from tests.runtime.rig import ANN, BEN, HELPER, Rig
from tests.until import until

TEXTS = Texts()
TOLD = TEXTS.part_refused
PASS = Slow(0)
FILTERED = ErrorAnswer(status=400, msg="内容违规")
PARTS = ["one " * 22 + "one", "two " * 22 + "two", "three " * 14 + "three"]
ANSWER = "\n\n".join(PARTS)
REFUSALS: list[Fault] = [
    FILTERED,
    ErrorAnswer(status=413, msg="too large"),
    ErrorAnswer(status=400, msg="不支持的文件类型"),
    JsonAnswer({}, status=302),
]


def plan(rig: Rig, *faults: Fault) -> None:
    """Let the next messages meet these, in order."""
    for fault in faults:
        rig.octo.fail_next("sendMessage", fault)


async def answering(rig: Rig, *faults: Fault) -> None:
    """Start a bot whose answer has three parts, which meet these faults in order."""
    await rig.start_with(ScriptedHost([Accepted("r"), Final(ANSWER)]), replyChunk=100)
    plan(rig, *faults)


def ended(rig: Rig, message_id: str) -> tuple[str, list[str], str]:
    """Return how a row stands: its state, its chunks' states, and the text of its notice."""
    select = "SELECT id, state, notice_id FROM inbound WHERE message_id = ?"
    ((row_id, state, notice_id),) = rig.sql(select, message_id)
    chunks = rig.sql("SELECT state FROM delivery WHERE inbound_id = ? ORDER BY position", row_id)
    states = [chunk_state for (chunk_state,) in chunks]
    lines = [line for channel in (rig.group, rig.thread) for line in rig.octo.chat(channel)]
    return state, states, next((line.text for line in lines if line.message_id == notice_id), "")


@pytest.mark.parametrize(
    ("error", "about_content"),
    [
        (BadRequest("sendMessage", "no"), True),
        (FileTypeRefused("sendMessage", "no"), True),
        (PayloadTooLarge("sendMessage", "no"), True),
        (BadAnswer("sendMessage", "no"), True),
        (NotFound("sendMessage", "no"), False),
        (PermissionDenied("sendMessage", "no"), False),
        (AuthError("sendMessage", "no"), False),
        (RateLimited("sendMessage", "no", retry_after=1), False),
        (Unavailable("sendMessage", "no"), False),
        (AmbiguousOutcome("sendMessage", "no"), False),
    ],
)
def test_which_errors_say_that_another_message_may_be_taken(error: ApiError, about_content: bool) -> None:
    assert error.about_content is about_content


@pytest.mark.parametrize("fault", REFUSALS)
@pytest.mark.parametrize("refused", [0, 1, 2])
async def test_the_other_parts_arrive_in_order_and_a_notice_tells_of_the_one_that_was_refused(
    rig: Rig, fault: Fault, refused: int
) -> None:
    await answering(rig, *[PASS] * refused, fault)
    message_id = await rig.mention("go")
    detail = await rig.until_row(message_id, "notified")
    assert detail.startswith("a part was refused: sendMessage: ")
    assert rig.said() == [part for part in PARTS if part != PARTS[refused]] + [TOLD]
    states = ["dead" if number == refused else "sent" for number in range(4)]
    assert ended(rig, message_id) == ("notified", states, TOLD)


async def test_one_notice_tells_of_all_parts_that_were_refused(rig: Rig) -> None:
    await answering(rig, FILTERED, PASS, FILTERED)
    message_id = await rig.mentioned("go", "notified")
    assert rig.said() == [PARTS[1], TOLD]
    assert ended(rig, message_id) == ("notified", ["dead", "sent", "dead", "sent"], TOLD)


async def test_a_file_message_that_is_refused_does_not_keep_back_what_stands_behind_it(rig: Rig) -> None:
    file = MediaItem(kind="file", url="data:text/plain;base64,aGVsbG8=", name="hello.txt")
    await rig.start_with(ScriptedHost([Accepted("r"), Final("look", (file, file))]))
    plan(rig, PASS, FILTERED)
    await rig.mentioned("go", "notified")
    assert rig.said() == ["look", TOLD]
    assert list((rig.state_dir / "outgoing").glob("*")) == []


async def test_the_text_of_the_notice_can_be_configured(rig: Rig) -> None:
    config = rig.config(texts={"partRefused": "not all of it"})
    await rig.start(config, ScriptedHost([Accepted("r"), Final("answer")]))
    plan(rig, FILTERED)
    await rig.mentioned("go", "notified")
    assert rig.said() == ["not all of it"]


@pytest.mark.parametrize("fault", REFUSALS)
async def test_a_block_that_is_refused_ends_no_run_and_the_end_tells_of_it(rig: Rig, fault: Fault) -> None:
    host = ScriptedHost([Accepted("r"), Block("one"), Block("two"), Block("three"), Final("four")])
    await rig.start(rig.config(), host)
    plan(rig, PASS, fault)
    message_id = await rig.mention("go")
    detail = await rig.until_row(message_id, "notified")
    assert detail.startswith("a part was refused: ")
    assert rig.said() == ["one", "three", "four", TOLD]
    assert ended(rig, message_id) == ("notified", ["sent", "dead", "sent", "sent", "sent"], TOLD)
    assert host.aborts == []


async def test_of_a_block_of_many_messages_only_the_refused_one_is_missing(rig: Rig) -> None:
    await rig.start(rig.config(replyChunk=100), ScriptedHost([Accepted("r"), Block(ANSWER), Final("end")]))
    plan(rig, PASS, FILTERED)
    await rig.mentioned("go", "notified")
    assert rig.said() == [PARTS[0], PARTS[2], "end", TOLD]


@pytest.mark.parametrize("final", ["", "NO_REPLY"])
@pytest.mark.parametrize("blocks", [["one"], ["one", "two"]])
async def test_an_answer_that_ends_without_a_word_tells_of_a_refused_block(
    rig: Rig, final: str, blocks: list[str]
) -> None:
    steps: list[Step] = [Accepted("r"), *map(Block, blocks), Final(final)]
    await rig.start(rig.config(silentReplies="allow"), ScriptedHost(steps))
    plan(rig, FILTERED)
    await rig.mentioned("go", "notified")
    assert rig.said() == [*blocks[1:], TOLD]


async def test_a_run_that_fails_after_a_refused_block_ends_with_the_notice_of_its_failure(rig: Rig) -> None:
    host = ScriptedHost([Accepted("r"), Block("one"), Failed("failed", "no luck", partial="two")])
    await rig.start(rig.config(), host)
    plan(rig, FILTERED)
    assert await rig.until_row(await rig.mention("go"), "notified") == "no luck"
    assert rig.said() == ["two […]", TEXTS.failed]


async def test_what_a_failed_run_had_written_may_be_refused_its_notice_arrives(rig: Rig) -> None:
    await rig.start_with(ScriptedHost([Accepted("r"), Failed("failed", "no luck", partial="half")]))
    plan(rig, FILTERED)
    message_id = await rig.mention("go")
    assert await rig.until_row(message_id, "notified") == "no luck"
    assert rig.said() == [TEXTS.failed]
    assert ended(rig, message_id) == ("notified", ["dead", "sent"], TEXTS.failed)


async def test_where_the_notice_is_refused_too_a_dead_letter_has_the_reason(rig: Rig) -> None:
    await rig.start(rig.config(replyChunk=100), ScriptedHost([Accepted("r"), Final(ANSWER)]))
    rig.octo.fail_next("sendMessage", FILTERED, times=None)
    message_id = await rig.mention("go")
    assert "内容违规" in await rig.until_row(message_id, "dead")
    assert len(rig.calls("sendMessage")) == 4
    assert ended(rig, message_id) == ("dead", ["dead"] * 4, "")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (ErrorAnswer(status=403), "may not do this here"),
        (ErrorAnswer(status=401), "token is refused"),
        (ErrorAnswer(status=404), "no such thing"),
        (ProxyPage(), "a proxy refuses"),
        (Refuse(), "no answer"),
    ],
)
async def test_where_the_bot_may_not_write_or_octo_is_away_nothing_more_is_tried(
    fast_rig: Rig, fault: Fault, reason: str
) -> None:
    await answering(fast_rig, PASS)
    fast_rig.octo.fail_next("sendMessage", fault, times=None)
    message_id = await fast_rig.mention("go")
    assert reason in await fast_rig.until_row(message_id, "dead")
    assert fast_rig.said() == [PARTS[0]]
    assert len({call.body["payload"]["content"] for call in fast_rig.calls("sendMessage")}) == 2
    assert ended(fast_rig, message_id) == ("dead", ["sent", "dead", "dead"], "")


async def test_a_process_that_dies_behind_a_refused_part_leaves_the_rest_and_the_notice_to_the_next(
    rig: Rig,
) -> None:
    await answering(rig, FILTERED, Hang())
    message_id = await rig.broken_off(2)
    again = await rig.start_with(ScriptedHost(), replyChunk=100)
    assert (await rig.until_row(message_id, "notified")).startswith("a part was refused: ")
    assert rig.said() == [*PARTS[1:], TOLD]
    assert again.turns == []


async def test_a_part_that_is_refused_to_the_next_process_is_told_too(rig: Rig) -> None:
    await answering(rig, Hang())
    message_id = await rig.broken_off()
    plan(rig, PASS, FILTERED)
    await rig.start(rig.config(replyChunk=100), ScriptedHost())
    await rig.until_row(message_id, "notified")
    assert rig.said() == [PARTS[0], PARTS[2], TOLD]


async def test_a_process_that_dies_behind_a_refused_notice_leaves_a_dead_letter(rig: Rig) -> None:
    await rig.start(rig.config(), ScriptedHost([Accepted("r"), Final("answer")]))
    plan(rig, FILTERED, Hang())
    message_id = await rig.broken_off(2)
    rig.sql("UPDATE delivery SET state = 'dead'")
    await rig.start(rig.config(), ScriptedHost())
    assert "earlier process" in await rig.until_row(message_id, "dead")
    assert rig.said() == []


@pytest.mark.parametrize("shown", [True, False])
async def test_a_process_that_dies_in_a_run_behind_a_refused_block_leaves_no_silence(
    rig: Rig, shown: bool
) -> None:
    steps: list[Step] = [Accepted("r"), Block("one"), *([Block("two")] if shown else []), HANG]
    await rig.start_with(ScriptedHost(steps))
    plan(rig, FILTERED)
    message_id = await rig.mention("go")
    await rig.octo.wait_for(lambda: len(rig.calls("sendMessage")) == 1 + shown)
    if shown:
        await rig.until_said(1)
    await rig.stop()
    await rig.start(rig.config(), ScriptedHost([Accepted("r"), Final("all of it")]))
    await rig.until_row(message_id, "notified" if shown else "answered")
    assert rig.said() == (["two", TEXTS.cut_off] if shown else ["all of it"])


async def test_a_run_that_outlives_its_process_still_tells_of_the_block_that_was_refused_before(
    rig: Rig,
) -> None:
    host = ScriptedHost([Accepted("r"), Block("one"), HANG])
    host.keeps_runs = True
    await rig.start(rig.config(), host)
    plan(rig, FILTERED)
    message_id = await rig.mention("go")
    await rig.octo.wait_for(lambda: rig.calls("sendMessage"))
    await until(lambda: ended(rig, message_id)[1] == ["dead"], "the end of the block")
    await rig.stop()
    again = ScriptedHost([Accepted("r"), Final("two")])
    again.keeps_runs = True
    await rig.start(rig.config(), again)
    await rig.until_row(message_id, "notified")
    assert rig.said() == ["two", TOLD]
    assert again.turns[0].run_id == host.turns[0].run_id


@pytest.mark.parametrize(
    ("target", "state", "said"),
    [
        pytest.param("group:g1", "notified", ["a better word", "done", TOLD], id="of its own sends"),
        pytest.param("group:g3", "answered", ["a better word", "done"], id="in another conversation"),
    ],
)
async def test_an_agent_is_told_what_the_chat_did_not_take(
    city: Rig, asked: Asked, target: str, state: str, said: list[str]
) -> None:
    plan(city, FILTERED)
    with pytest.raises(BadRequest, match="内容违规"):
        await asked.outbound.send_text(target, "a bad word")
    await asked.outbound.send_text("group:g1", "a better word")
    asked.host.release()
    await city.until_row(asked.host.turns[-1].message_id, state)
    assert city.said() == said


async def test_a_send_of_an_agent_that_failed_is_not_sent_by_the_next_process(city: Rig) -> None:
    asked = await ask(city, BEN)
    plan(city, ErrorAnswer(status=403))
    with pytest.raises(PermissionDenied):
        await asked.outbound.send_text("group:g1", "hello")
    plan(city, Hang())
    asked.host.release()
    await city.octo.wait_for(lambda: len(city.calls("sendMessage")) == 2)
    await city.stop()
    await city.start(city.config(), ScriptedHost())
    await city.until_row(asked.host.turns[-1].message_id, "answered")
    assert city.said() == ["done"]


async def test_the_answer_of_a_command_that_is_refused_is_told(rig: Rig, host: ScriptedHost) -> None:
    plan(rig, FILTERED)
    message_id = await rig.octo.say(ANN, rig.group, "/help", mention=[HELPER])
    await rig.until_row(message_id, "notified")
    assert rig.said() == [TOLD]


async def test_a_message_whose_fate_the_history_does_not_tell_is_told_of(fast_rig: Rig) -> None:
    await fast_rig.start(fast_rig.config(), ScriptedHost([Accepted("r"), Final("answer")]))
    plan(fast_rig, Refuse())
    fast_rig.octo.fail_next("messages/sync", ErrorAnswer(status=400), times=None)
    await fast_rig.mentioned("go", "notified")
    assert fast_rig.said() == [TOLD]
