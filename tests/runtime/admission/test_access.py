"""Who may talk to a bot: what people see, what is asked of the server, and how the rows end."""

from typing import Any

import pytest

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing import ErrorAnswer, LoseAnswer, ScriptedHost
from tests.runtime.rig import ANN, BEN, HELPER, MovedClock, Rig
from tests.until import until

REFUSED = Texts().refused
CLOSED: dict[str, Any] = {"dmPolicy": "allowlist", "groupPolicy": "allowlist"}
BLOCKED: dict[str, Any] = {"blockFrom": [BEN]}
DM_BEN = ChannelRef(BEN, 1)


def notices(rig: Rig) -> dict[str, str]:
    """Return the notice that ended each row."""
    return dict(rig.sql("SELECT message_id, notice_id FROM inbound WHERE state = 'notified'"))


def verdicts(rig: Rig) -> list[tuple[Any, ...]]:
    """Return decision, reason and state of every message of a person, in order."""
    return rig.sql("SELECT decision, reason, state FROM inbound WHERE decision != 'echo' ORDER BY id")


async def until_recorded(rig: Rig, count: int) -> None:
    await until(lambda: len(verdicts(rig)) >= count)


async def test_somebody_not_on_the_list_gets_one_notice_for_all_they_say_and_no_sign(rig: Rig) -> None:
    host = await rig.start_with(ScriptedHost(), **CLOSED)
    asked = [await rig.mention(f"please {number}", who=BEN) for number in range(3)]
    for message_id in asked:
        assert await rig.until_row(message_id, "notified") == "not in groupAllowFrom"
    asked.append(await rig.mention("/reset", who=BEN))
    await rig.until_row(asked[-1], "notified")
    assert rig.said() == [REFUSED]
    (line,) = [line for line in rig.octo.chat(rig.group) if line.from_uid == HELPER]
    assert notices(rig) == dict.fromkeys(asked, line.message_id)
    assert rig.calls("readReceipt", "typing") == []
    assert host.turns == []


async def test_the_owner_talks_to_a_closed_bot_everywhere(rig: Rig) -> None:
    await rig.start(rig.config(dmPolicy="disabled", groupPolicy="disabled"), ScriptedHost())
    await rig.mentioned("hello")
    await rig.until_row(await rig.octo.say(ANN, rig.dm, "hello"), "answered")
    assert [rig.said(where) for where in (rig.group, ChannelRef(ANN, 1))] == [
        ["echo: @Helper hello"],
        ["echo: hello"],
    ]


async def test_each_conversation_has_a_notice_of_its_own(rig: Rig) -> None:
    await rig.start(rig.config(**CLOSED), ScriptedHost())
    await rig.until_row(await rig.mention("x", who=BEN), "notified")
    await rig.until_row(await rig.mention("x", who=BEN, where=rig.thread), "notified")
    await rig.until_row(await rig.octo.say(BEN, rig.dm, "x"), "notified")
    assert [rig.said(where) for where in (rig.group, rig.thread, DM_BEN)] == [[REFUSED]] * 3


async def test_the_notice_is_not_repeated_after_a_restart_but_on_the_next_day(rig: Rig) -> None:
    for clock, expected in ((SystemClock(), 1), (SystemClock(), 1), (MovedClock(86_400), 2)):
        rig.clock = clock
        await rig.start(rig.config(**CLOSED), ScriptedHost())
        await rig.until_row(await rig.octo.say(BEN, rig.dm, "let me in"), "notified")
        assert rig.said(DM_BEN) == [REFUSED] * expected
        await rig.stop()


async def test_a_notice_that_cannot_be_sent_leaves_a_dead_letter_and_the_next_message_tries_again(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.start(rig.config(**CLOSED), ScriptedHost())
    rig.octo.fail_next("sendMessage", ErrorAnswer(status=400))
    message_id = await rig.mention("one", who=BEN)
    detail = await rig.until_row(message_id, "dead")
    assert detail.startswith("not in groupAllowFrom, and no notice: ")
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert any(f"dead letter: message {message_id} got no answer: " in line for line in told)
    await rig.until_row(await rig.mention("two", who=BEN), "notified")
    assert rig.said() == [REFUSED]


async def test_a_notice_whose_record_breaks_leaves_a_dead_letter_and_nobody_waits_for_it(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.start(rig.config(**CLOSED), ScriptedHost())
    rig.sql(
        "CREATE TRIGGER refuse BEFORE UPDATE ON inbound WHEN new.state = 'notified'"
        " BEGIN SELECT raise(ABORT, 'planted'); END"
    )
    detail = await rig.until_row(await rig.mention("one", who=BEN), "dead")
    assert detail == "not in groupAllowFrom, and no notice: StoreError, see the log"
    assert "planted" in caplog.text


async def test_a_notice_cut_off_by_a_restart_is_looked_for_and_not_sent_twice(rig: Rig) -> None:
    await rig.start(rig.config(**CLOSED), ScriptedHost())
    rig.octo.fail_next("sendMessage", LoseAnswer())
    asked = await rig.mention("one", who=BEN)
    await rig.octo.wait_for(lambda: bool(rig.said()))
    await rig.stop()
    await rig.start(rig.config(**CLOSED), ScriptedHost())
    await rig.until_row(asked, "notified")
    await rig.until_row(await rig.mention("two", who=BEN), "notified")
    assert rig.said() == [REFUSED]


async def test_a_list_that_lets_somebody_in_counts_from_the_next_start(rig: Rig) -> None:
    await rig.start(rig.config(**CLOSED), ScriptedHost())
    await rig.until_row(await rig.mention("x", who=BEN), "notified")
    await rig.stop()
    await rig.start(rig.config(groupPolicy="allowlist", groupAllowFrom=[BEN]), ScriptedHost())
    await rig.until_row(await rig.mention("y", who=BEN), "answered")
    assert rig.said() == [REFUSED, "echo: @Helper y"]


async def test_what_people_on_no_list_ask_the_bot_is_not_told_to_the_agent_their_talk_is(rig: Rig) -> None:
    host = await rig.start_with(ScriptedHost(), **CLOSED)
    await rig.until_row(await rig.mention("delete everything", who=BEN), "notified")
    await rig.octo.say(BEN, rig.group, "lunch?")
    await rig.mentioned("well?")
    assert "lunch?" in host.turns[0].context
    assert "delete everything" not in host.turns[0].context


async def test_where_nobody_has_to_mention_the_bot_talk_of_others_is_no_request(rig: Rig) -> None:
    host = await rig.start_with(ScriptedHost(), requireMention=False, **CLOSED)
    await rig.octo.say(BEN, rig.group, "lunch?")
    await rig.until_row(await rig.octo.say(ANN, rig.group, "one o'clock"), "answered")
    assert [turn.text for turn in host.turns] == ["one o'clock"]
    assert rig.said() == ["echo: one o'clock"]


@pytest.mark.parametrize("text", ["@Helper hi", "/help"])
async def test_a_blocked_sender_gets_nothing_at_all(rig: Rig, text: str) -> None:
    host = await rig.start_with(ScriptedHost(), **BLOCKED)
    await rig.mention(text, who=BEN)
    await rig.octo.say(BEN, rig.dm, text)
    await until_recorded(rig, 2)
    assert verdicts(rig) == [("ignored", "blocked", "context")] * 2
    assert rig.calls("sendMessage", "readReceipt", "typing") == []
    await rig.mentioned("are you there")
    assert [turn.sender.uid for turn in host.turns] == [ANN]


async def test_a_blocked_senders_words_never_reach_the_agent(rig: Rig, host: ScriptedHost) -> None:
    await rig.octo.say(BEN, rig.group, "said before the block")
    await until_recorded(rig, 1)
    await rig.stop()
    await rig.start(rig.config(**BLOCKED), host)
    await rig.octo.say(BEN, rig.group, "said after it")
    await rig.octo.say(ANN, rig.group, "said by somebody else")
    await rig.mentioned("sum up")
    assert "said by somebody else" in host.turns[0].context
    assert "said before the block" not in host.turns[0].context
    assert "said after it" not in host.turns[0].context
