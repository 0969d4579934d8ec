"""What `/stop` and `/reset` end: whatever is done for a message, its answer on the way included."""

import asyncio

import pytest

from openclaw_channel_octo.errors import RequestDenied
from openclaw_channel_octo.host.base import Accepted, Block, Failed, Final, MediaItem
from openclaw_channel_octo.testing import HANG, ErrorAnswer, Hang, RateLimit, ScriptedHost
from openclaw_channel_octo.testing.host import Step
from openclaw_channel_octo.testing.octo.faults import Fault, Slow
from tests.runtime.asking import ask
from tests.runtime.rig import ANN, BEN, Rig
from tests.until import until

PARTS = [f"{number} " + "x" * 90 for number in range(8)]
ANSWER = "\n\n".join(PARTS)
STOPPED = "⏹️ Stopped."
STOPPING = "Stopping."
RESET = "🔄 New conversation. What was said before is forgotten."
NOTHING = "Nothing is running here."


async def posting(rig: Rig, *steps: Step, fault: Fault, others: Fault | None = None) -> str:
    """Let an answer be on its way, two parts of it in the chat and the third in trouble; return what it answers.

    Later messages meet ``others``.
    """
    rig.octo.fail_next("sendMessage", Slow(0), times=2)
    rig.octo.fail_next("sendMessage", fault)
    if others is not None:
        rig.octo.fail_next("sendMessage", others, times=None)
    await rig.start(rig.config(replyChunk=100), ScriptedHost([Accepted("r"), *steps]))
    message_id = await rig.mention("go", who=BEN)
    await rig.octo.wait_for(lambda: len(rig.calls("sendMessage")) == 3)
    return message_id


FAULTS = [
    pytest.param(Hang(), id="on its way"),
    pytest.param(RateLimit(60), id="waiting for a rate limit"),
    pytest.param(ErrorAnswer(status=503), id="tried again"),
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([Final(ANSWER)], id="the run has ended"),
        pytest.param([Block(ANSWER), HANG, Final("never")], id="the run goes on"),
        pytest.param([Failed("failed", "no luck", ANSWER)], id="the run has failed"),
    ],
)
@pytest.mark.parametrize(("command", "told"), [("/stop", STOPPING), ("停止", STOPPING), ("/reset", RESET)])
async def test_no_further_part_leaves_and_the_message_ends_with_what_was_shown_and_the_text(
    rig: Rig, fault: Fault, steps: list[Step], command: str, told: str
) -> None:
    message_id = await posting(rig, *steps, fault=fault)
    await rig.until_row(await rig.mention(command), "answered")
    assert await rig.until_row(message_id, "notified") == "stopped by a person"
    assert rig.said()[:2] == PARTS[:2]
    assert sorted(rig.said()[2:]) == sorted([told, STOPPED])
    await rig.mentioned("next")
    assert rig.said()[-1] == "echo: @Helper next"


async def test_what_a_stopped_run_had_written_and_not_shown_is_not_shown(rig: Rig) -> None:
    await rig.start_with(ScriptedHost([Accepted("r"), HANG, Failed("killed", "aborted", "half a sentence")]))
    message_id = await rig.under_way("long job")
    await rig.until_row(await rig.mention("/stop"), "answered")
    await rig.until_row(message_id, "notified")
    assert sorted(rig.said()) == sorted([STOPPING, STOPPED])


async def test_a_file_that_is_being_uploaded_is_not_waited_for(rig: Rig) -> None:
    rig.octo.fail_next("presignUpload", Hang(), times=None)
    file = MediaItem(kind="file", url="data:text/plain,content", name="a.txt")
    await rig.start_with(ScriptedHost([Accepted("r"), Final("here", (file,))]))
    message_id = await rig.mention("go")
    await rig.octo.wait_for(lambda: rig.calls("presignUpload"))
    await rig.mentioned("/stop")
    await rig.until_row(message_id, "notified")
    assert sorted(rig.said()[1:]) == sorted([STOPPING, STOPPED])
    assert list((rig.state_dir / "outgoing").iterdir()) == []


async def test_a_message_that_waits_for_its_host_is_stopped_and_never_run(
    rig: Rig, host: ScriptedHost
) -> None:
    host.reachable.clear()
    message_id = await rig.mention("go")
    await rig.octo.wait_for(lambda: rig.calls("typing"))
    await rig.mentioned("/stop")
    await rig.until_row(message_id, "notified")
    host.reachable.set()
    await rig.mentioned("next")
    assert [turn.text for turn in host.turns] == ["@Helper next"]


async def test_a_second_stop_finds_nothing_to_stop(rig: Rig) -> None:
    await posting(rig, Final(ANSWER), fault=RateLimit(60))
    for _ in range(2):
        await rig.mentioned("/stop")
    assert rig.said().count(STOPPED) == 1
    assert rig.said()[-1] == NOTHING


async def test_status_says_which_part_is_being_sent(rig: Rig) -> None:
    await posting(rig, Final(ANSWER), fault=RateLimit(60))
    await rig.mentioned("/status")
    assert rig.said()[-1] == "Session: done\nWaiting messages: 0\nSending part 3 of 8"


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_was_stopped_is_not_sent_at_the_next_start(rig: Rig, fault: Fault) -> None:
    message_id = await posting(rig, Final(ANSWER), fault=fault, others=Hang())
    await rig.mention("/stop")
    await until(lambda: rig.column("ending")[message_id] == "notified", "the plan of a stop")
    await rig.stop()
    rig.octo.heal()
    await rig.start_with(ScriptedHost(), replyChunk=100)
    await rig.until_row(message_id, "notified")
    assert [part for part in rig.said() if part in PARTS] == PARTS[:2]
    assert rig.said().count(STOPPED) == 1


async def test_a_run_that_was_stopped_does_not_run_again_at_the_next_start(rig: Rig) -> None:
    await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("never")]))
    message_id = await rig.under_way("long job")
    rig.octo.fail_next("sendMessage", Hang(), times=None)
    await rig.mention("/stop")
    await until(lambda: rig.column("ending")[message_id] == "notified", "the plan of a stop")
    await rig.stop()
    rig.octo.heal()
    again = await rig.start_with(ScriptedHost())
    await rig.until_row(message_id, "notified")
    assert rig.said().count(STOPPED) == 1
    assert again.turns == []


async def test_what_an_earlier_process_had_left_to_send_is_stopped_too(rig: Rig) -> None:
    message_id = await posting(rig, Final(ANSWER), fault=Hang())
    await rig.stop()
    rig.octo.fail_next("sendMessage", RateLimit(60))
    await rig.start_with(ScriptedHost(), replyChunk=100)
    await rig.octo.wait_for(lambda: len(rig.calls("sendMessage")) == 4)
    await rig.until_row(await rig.mention("/stop", who=ANN), "answered")
    await rig.until_row(message_id, "notified")
    assert [part for part in rig.said() if part in PARTS] == PARTS[:2]
    assert sorted(rig.said()[2:]) == sorted([STOPPING, STOPPED])


@pytest.mark.parametrize("word", ["停止", "/stop"])
async def test_a_word_said_while_the_bot_is_away_stops_what_is_left_to_send(rig: Rig, word: str) -> None:
    message_id = await posting(rig, Final(ANSWER), fault=Hang())
    await rig.stop()
    stop_id = await rig.mention(word)
    rig.octo.fail_next("sendMessage", Slow(0.05), times=None)
    again = await rig.start_with(ScriptedHost(), replyChunk=100)
    await rig.until_row(stop_id, "answered")
    assert await rig.until_row(message_id, "notified") == "stopped by a person"
    assert {STOPPING, STOPPED} <= set(rig.said())
    assert again.turns == []


async def test_an_agent_whose_message_waits_to_be_sent_is_told_that_it_was_stopped(rig: Rig) -> None:
    asked = await ask(rig, ANN)
    rig.octo.fail_next("sendMessage", RateLimit(60))
    sending = asyncio.create_task(asked.outbound.send_text("group:g1", "a note"))
    await rig.octo.wait_for(lambda: rig.calls("sendMessage"))
    await rig.mentioned("/stop")
    with pytest.raises(RequestDenied, match="stopped"):
        await sending
    await rig.until_said(2)
    assert sorted(rig.said()) == sorted([STOPPING, STOPPED])
