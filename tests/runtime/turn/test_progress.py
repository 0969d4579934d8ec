"""A turn that takes long shows one message: it says what the agent does, and becomes the answer."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.host.base import Accepted, Activity, Block, Failed, Final, Media, MediaItem
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.message.payload import ANSWERS_KEY
from openclaw_channel_octo.testing import (
    HANG,
    ErrorAnswer,
    Hang,
    LoseAnswer,
    ManualClock,
    OctoDouble,
    RateLimit,
    ScriptedHost,
)
from openclaw_channel_octo.testing.host import Step
from openclaw_channel_octo.testing.octo.faults import Fault
from tests.runtime.rig import ANN, BEN, RESTART, Rig
from tests.until import until

TEXTS = Texts()
AFTER_S = 15
WORKING = "⏳ Working on it… TIME"
TIME = re.compile(r"\d+:\d\d")
NO_ROUTE = ErrorAnswer(status=404, msg="", code="")


class Chat:
    """A deployment whose time stands still, and what Ann sees of her direct conversation with the bot."""

    def __init__(self, octo: OctoDouble, folder: Path) -> None:
        self.clock = ManualClock()
        self.rig = Rig(octo, folder, self.clock)
        self.octo = octo

    async def ask(self, *steps: Step, where: ChannelRef | None = None, **settings: object) -> str:
        """Let Ann ask, of a bot whose agent takes these steps; return the message's id once the agent has begun."""
        if self.rig.running is None:
            await self.rig.start_with(ScriptedHost(), **settings)
        assert isinstance(self.rig.host, ScriptedHost)
        self.rig.host.script(Accepted("r"), *steps)
        return await self.rig.under_way("go", where=where or self.rig.dm)

    def seen(self, where: ChannelRef | None = None) -> list[str]:
        """Return what the bot has said there as it is now, without the time that a turn has taken."""
        return [TIME.sub("TIME", text) for text in self.rig.said(where or self.rig.dm)]

    async def later(self, condition: Callable[[], object], seconds: float = 120) -> None:
        """Let time pass, a second after the other, until something is so."""
        for _ in range(round(seconds)):
            await self.clock.advance(1)
            for _ in range(20):
                if condition():
                    return
                await asyncio.sleep(0.002)
        raise AssertionError(f"never came: {self.seen()}, {self.seen(self.rig.group)}")

    async def until(self, *texts: str, where: ChannelRef | None = None) -> None:
        await self.later(lambda: self.seen(where) == [*texts])

    async def working(
        self, *steps: Step, where: ChannelRef | None = None, behind: Sequence[str] = (), **settings: object
    ) -> str:
        """Let Ann ask, and wait until she sees that the bot is at work; return the message's id."""
        message_id = await self.ask(*steps, where=where, **settings)
        await self.until(*behind, WORKING, where=where)
        return message_id

    def go_on(self) -> None:
        assert isinstance(self.rig.host, ScriptedHost)
        self.rig.host.release()

    @property
    def sends(self) -> int:
        """How often people were notified."""
        return len(self.rig.calls("sendMessage"))


@pytest.fixture
async def chat(octo: OctoDouble, tmp_path: Path) -> AsyncIterator[Chat]:
    found = Chat(octo, tmp_path / "state")
    yield found
    await found.rig.stop()
    assert found.rig.left_open() == []


async def test_a_turn_that_takes_long_shows_what_its_agent_does_and_then_its_answer_in_the_same_message(
    chat: Chat,
) -> None:
    message_id = await chat.working(HANG, Activity("web_search"), Activity("exec"), HANG, Final("It is red."))
    chat.go_on()
    await chat.until(f"{WORKING}\n🔧 `web_search`, `exec`")
    chat.go_on()
    await chat.rig.until_row(message_id, "answered")
    assert chat.seen() == ["It is red."]
    assert chat.sends == 1
    assert chat.rig.sql("SELECT state, replaces = message_id FROM delivery") == [("sent", 1)]
    assert chat.rig.sql("SELECT * FROM progress") == []


async def test_a_short_turn_shows_nothing_but_its_answer(chat: Chat) -> None:
    message_id = await chat.ask(HANG, Final("quick"))
    await chat.clock.advance(AFTER_S - 1)
    chat.go_on()
    await chat.rig.until_row(message_id, "answered")
    await chat.clock.advance(60)
    assert chat.seen() == ["quick"]
    assert chat.rig.calls("editMessage") == []


ENDS: dict[str, tuple[list[Step], str, str]] = {
    "answers": ([HANG, Final("yes")], "answered", "yes"),
    "says a part": ([HANG, Block("a part"), Final("")], "answered", "a part"),
    "says nothing": ([HANG, Final("")], "notified", TEXTS.empty),
    "fails": ([HANG, Failed("failed", "no luck")], "notified", TEXTS.failed),
    "times out": ([HANG, Failed("timeout", "too slow")], "notified", TEXTS.timeout),
    "breaks": ([HANG, RuntimeError("broken")], "notified", TEXTS.failed),
}


@pytest.mark.parametrize(("steps", "state", "text"), ENDS.values(), ids=ENDS)
async def test_whatever_ends_a_turn_stands_in_the_place_of_its_progress(
    chat: Chat, steps: list[Step], state: str, text: str
) -> None:
    message_id = await chat.working(*steps)
    chat.go_on()
    await chat.rig.until_row(message_id, state)
    assert chat.seen() == [text]
    assert chat.sends == 1


async def test_a_stop_stands_in_the_place_of_the_progress(chat: Chat) -> None:
    message_id = await chat.working(HANG)
    await chat.octo.say(ANN, chat.rig.dm, "/stop")
    await chat.rig.until_row(message_id, "notified")
    assert chat.seen()[0] == TEXTS.stopped


async def test_an_agent_that_says_nothing_on_purpose_leaves_that_it_is_done(chat: Chat) -> None:
    message_id = await chat.working(HANG, Final("NO_REPLY"), silentReplies="allow")
    chat.go_on()
    await chat.rig.until_row(message_id, "answered")
    await chat.until(TEXTS.worked)
    assert chat.sends == 1


async def test_a_short_turn_that_says_nothing_on_purpose_shows_nothing_later_either(chat: Chat) -> None:
    message_id = await chat.ask(Final("NO_REPLY"), silentReplies="allow")
    await chat.rig.until_row(message_id, "answered")
    for _ in range(AFTER_S + 5):
        await chat.clock.advance(1)
    assert chat.seen() == []


async def test_an_answer_of_several_messages_begins_in_the_place_of_the_progress(chat: Chat) -> None:
    message_id = await chat.working(HANG, Final("one " * 20 + "\n\n" + "two " * 20), replyChunk=100)
    chat.go_on()
    await chat.rig.until_row(message_id, "answered")
    assert [text.split()[0] for text in chat.seen()] == ["one", "two"]


@pytest.mark.parametrize(
    ("end", "answer"),
    [
        (Final("@Ben, look"), "@Ben, look"),
        (Media(MediaItem(kind="file", url="data:text/plain,hello", name="a.txt")), ""),
    ],
    ids=["calls somebody", "is a file"],
)
async def test_what_an_edit_cannot_show_is_a_message_of_its_own_behind_one_that_says_that_it_is_done(
    chat: Chat, end: Step, answer: str
) -> None:
    where = chat.rig.group
    message_id = await chat.working(HANG, end, Final("and this"), where=where, streaming="progress")
    chat.go_on()
    await chat.rig.until_row(message_id, "answered")
    await until(lambda: chat.seen(where)[0] == TEXTS.worked, lambda: chat.seen(where))
    last = chat.octo.chat(where)[-1]
    assert (last.payload or {})[ANSWERS_KEY] == message_id
    if answer:
        assert chat.seen(where)[1:] == [answer]
        assert (last.payload or {})["mention"]["uids"] == [BEN]
    else:
        assert chat.seen(where)[-1] == "and this"


async def shown(chat: Chat) -> None:
    await chat.working(HANG, Final("yes"))


async def sending(chat: Chat) -> None:
    chat.octo.fail_next("sendMessage", Hang())
    await chat.ask(HANG, Final("yes"))
    await chat.later(lambda: chat.sends)


async def sent(chat: Chat) -> None:
    chat.octo.fail_next("sendMessage", LoseAnswer())
    await chat.ask(HANG, Final("yes"))
    await chat.later(lambda: chat.seen() == [WORKING])


async def answering(chat: Chat) -> None:
    await shown(chat)
    chat.octo.fail_next("editMessage", Hang())
    edits = len(chat.rig.calls("editMessage"))
    chat.go_on()
    await chat.later(lambda: len(chat.rig.calls("editMessage")) > edits)


async def answered(chat: Chat) -> None:
    await shown(chat)
    chat.octo.fail_next("editMessage", LoseAnswer(), times=None)
    chat.go_on()
    await chat.until("yes")


async def asked_for_edits(chat: Chat) -> None:
    chat.octo.fail_next("editMessage", Hang())
    await chat.ask(HANG, Final("yes"))
    await chat.later(lambda: chat.rig.calls("editMessage"))


@pytest.mark.parametrize("point", [asked_for_edits, sending, sent, shown, answering, answered])
async def test_wherever_a_process_ends_the_next_one_puts_the_answer_in_the_place_of_the_progress(
    chat: Chat, point: Callable[[Chat], Awaitable[None]]
) -> None:
    await point(chat)
    await chat.rig.stop()
    chat.octo.heal()
    await chat.rig.start_with(ScriptedHost(default=lambda _: [Accepted("r"), Final("yes")]))
    await chat.later(lambda: next(iter(chat.rig.rows().values()))[0] == "answered")
    assert chat.seen() == ["yes"]
    assert chat.rig.sql("SELECT * FROM progress") == []


async def test_a_turn_that_is_taken_up_after_a_restart_goes_on_with_the_same_message(chat: Chat) -> None:
    await shown(chat)
    await chat.rig.stop()
    host = await chat.rig.start_with(ScriptedHost([Accepted("r"), Activity("exec"), HANG, Final("yes")]))
    await host.wait_for_turns(1)
    await chat.until(f"{WORKING}\n🔧 `exec`")
    chat.go_on()
    await chat.until("yes")
    assert chat.sends == 1


async def test_an_answer_stands_behind_the_announcement_of_a_restart_also_of_an_earlier_process(
    chat: Chat,
) -> None:
    where = chat.rig.group
    await chat.working(HANG, Final("yes"), where=where, streaming="progress")
    await chat.rig.stop()
    host = ScriptedHost([Accepted("r"), HANG])
    host.set_status("agent:main:octo:group:g1", "interrupted")
    await chat.rig.start_with(host, streaming="progress")
    await chat.until(WORKING, RESTART, where=where)
    await chat.rig.stop()
    chat.rig.sql("UPDATE inbound SET attempt = 1")  # whether it died before the run or behind its beginning
    await chat.rig.start_with(ScriptedHost([Accepted("r"), Final("yes")]), streaming="progress")
    await chat.until(TEXTS.worked, RESTART, "yes", where=where)
    assert chat.sends == 3


async def test_the_rest_of_an_answer_that_was_broken_off_stands_behind_its_beginning(chat: Chat) -> None:
    where = chat.rig.group
    settings: dict[str, Any] = {"streaming": "progress", "replyChunk": 100}
    said = "@Ben " + "one " * 20 + "\n\n" + "two " * 20
    message_id = await chat.working(HANG, Final(said), where=where, **settings)
    chat.octo.fail_next("sendMessage", Hang())
    chat.go_on()
    await chat.later(lambda: chat.sends == 2)
    await chat.rig.stop()
    chat.octo.heal()
    await chat.rig.start_with(ScriptedHost(), **settings)
    await chat.later(lambda: chat.rig.rows()[message_id][0] == "answered")
    await chat.later(lambda: chat.seen(where)[0] == TEXTS.worked)
    assert [text.split()[0] for text in chat.seen(where)[1:]] == ["@Ben", "two"]


async def test_a_stop_that_takes_its_time_leaves_word_that_the_turn_goes_on_later(chat: Chat) -> None:
    await shown(chat)
    stopping = asyncio.create_task(chat.rig.stop(30))
    await chat.until(TEXTS.paused)
    await chat.later(stopping.done)
    assert chat.sends == 1


async def test_what_a_killed_process_left_of_a_turn_that_has_ended_says_that_it_is_done(chat: Chat) -> None:
    message_id = await chat.working(HANG, Final("yes"))
    await chat.rig.stop()
    chat.rig.sql("UPDATE inbound SET state = 'dead' WHERE message_id = ?", message_id)
    await chat.rig.start_with(ScriptedHost())
    await chat.until(TEXTS.worked)
    assert chat.sends == 1


async def test_a_restored_journal_has_the_answer_put_in_the_same_place_once_more(
    chat: Chat, tmp_path: Path
) -> None:
    await chat.rig.start_with(ScriptedHost())
    await chat.rig.mentioned("first", where=chat.rig.dm)
    await chat.rig.stop()
    shutil.copytree(chat.rig.state_dir, tmp_path / "backup")
    message_id = await chat.working(HANG, Final("yes"), behind=["echo: @Helper first"])
    chat.go_on()
    await chat.rig.until_row(message_id, "answered")
    await chat.rig.stop()
    shutil.rmtree(chat.rig.state_dir)
    shutil.copytree(tmp_path / "backup", chat.rig.state_dir)
    await chat.rig.start_with(ScriptedHost([Accepted("r"), Final("yes again")]))
    await chat.later(lambda: chat.rig.rows().get(message_id, ("",))[0] == "answered")
    assert chat.seen() == ["echo: @Helper first", "yes again"]


async def test_a_server_without_edits_is_asked_once_and_nothing_is_shown(
    chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    chat.octo.fail_next("editMessage", NO_ROUTE, times=None)
    for text in ("one", "two"):
        message_id = await chat.ask(HANG, Final(text))
        await chat.clock.advance(AFTER_S)
        await chat.octo.wait_for(lambda: chat.rig.calls("editMessage"))
        await chat.later(lambda: "no progress is shown from now on" in caplog.text)
        chat.go_on()
        await chat.rig.until_row(message_id, "answered")
    assert chat.seen() == ["one", "two"]
    assert len(chat.rig.calls("editMessage")) == 1
    assert caplog.text.count("no progress is shown") == 1


REFUSALS = {
    "gone": ErrorAnswer(status=403, msg="bot is not a member of this group", code="not_group_member"),
    "refused": ErrorAnswer(status=400, msg="数据格式有误", code="request_invalid"),
    "without an answer": LoseAnswer(),
    "broken": ErrorAnswer(status=500, msg="操作失败", code="store_failed"),
}


@pytest.mark.parametrize("fault", REFUSALS.values(), ids=REFUSALS)
async def test_an_answer_whose_edit_fails_is_sent_all_the_same(chat: Chat, fault: Fault) -> None:
    message_id = await chat.working(HANG, Final("yes"))
    chat.octo.fail_next("editMessage", fault, times=None)
    chat.go_on()
    await chat.later(lambda: chat.rig.rows()[message_id][0] == "answered")
    chat.octo.heal()
    await chat.later(lambda: chat.rig.sql("SELECT count(*) FROM progress") == [(0,)], 300)
    assert chat.seen()[-1] == "yes"
    assert chat.seen().count("yes") == 1


async def test_an_edit_that_may_still_come_never_covers_the_answer(chat: Chat) -> None:
    message_id = await chat.working(HANG, Activity("exec"), HANG, Final("yes"))
    chat.octo.fail_next("editMessage", Hang())
    edits = len(chat.rig.calls("editMessage"))
    chat.go_on()
    await chat.later(lambda: len(chat.rig.calls("editMessage")) > edits)
    chat.go_on()
    await chat.later(lambda: chat.rig.rows()[message_id][0] == "answered")
    assert chat.seen()[-1] == "yes"
    chat.octo.release()
    await chat.until(TEXTS.worked, "yes")


async def test_edits_keep_to_the_pace_the_server_asks_for(chat: Chat) -> None:
    tools = [step for number in range(40) for step in (Activity(f"tool{number}"), HANG)]
    await chat.working(HANG, *tools)
    chat.octo.fail_next("editMessage", RateLimit(retry_after=20))
    edits = len(chat.rig.calls("editMessage"))
    for _ in range(40):
        chat.go_on()
        await chat.clock.advance(1)
        await asyncio.sleep(0.005)
    assert 2 <= len(chat.rig.calls("editMessage")) - edits <= 5
