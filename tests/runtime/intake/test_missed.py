"""What arrives out of order or not at all: a short wait, then the history, then the answer, in order."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.runtime.intake.history import FETCH_WITHIN_S
from openclaw_channel_octo.store.admin import JournalAdmin
from openclaw_channel_octo.store.messages import Messages
from openclaw_channel_octo.store.records import InboundRow, NewInbound
from openclaw_channel_octo.testing import ErrorAnswer, Hang, JsonAnswer, RawMessage, ScriptedHost
from tests.runtime.rig import ANN, BEN, HELPER, Rig


def texts(host: ScriptedHost) -> list[str]:
    return [turn.text.removeprefix("@Helper ") for turn in host.turns]


async def started(rig: Rig, *, met: bool) -> ScriptedHost:
    """Start the bot, and let it meet the group, or look at the group's history at least; return the host."""
    host = await rig.start_with(ScriptedHost())
    if met:
        await rig.meet()
    else:
        await rig.octo.wait_for(lambda: [call for call in rig.calls("messages/sync") if call.status == 200])
    return host


async def assert_found(rig: Rig, host: ScriptedHost) -> None:
    """A message that the server never pushes is answered."""
    rig.octo.lose_next(HELPER)
    await rig.mentioned("lost on the way")
    assert texts(host)[-1] == "lost on the way"


async def test_mentions_sent_while_the_bot_was_away_are_answered_after_its_start(
    rig: Rig, away: None
) -> None:
    ids = [await rig.mention(f"m{number}") for number in range(3)]
    await rig.octo.say(BEN, rig.group, "chatter")
    host = await rig.start_with(ScriptedHost())
    await rig.until_answered(*ids)
    assert texts(host) == ["m0", "m1", "m2"]


async def test_mentions_sent_while_the_connection_was_lost_are_answered_in_their_order(fast_rig: Rig) -> None:
    host = await fast_rig.start_with(ScriptedHost())
    await fast_rig.meet()
    fast_rig.octo.stop_sockets()
    for number in range(3):
        await fast_rig.mention(f"m{number}")
    fast_rig.octo.start_sockets()
    await fast_rig.octo.wait_for(lambda: fast_rig.octo.online(HELPER))
    await fast_rig.mentioned("live")
    assert texts(host) == ["hello", "m0", "m1", "m2", "live"]


@pytest.mark.parametrize("broken", [{"message_idstr": "?"}, {"message_seq": "?"}, {"from_uid": ["?"]}])
async def test_a_message_of_the_history_that_cannot_be_read_does_not_hide_the_others(
    rig: Rig, caplog: pytest.LogCaptureFixture, broken: dict[str, Any], away: None
) -> None:
    ids = [await rig.mention(f"m{number}") for number in range(3)]
    rows = [
        {
            "message_idstr": line.message_id,
            "message_seq": line.message_seq,
            "from_uid": line.from_uid,
            "timestamp": line.timestamp,
            "payload": line.payload,
        }
        for line in rig.octo.chat(rig.group)[1:]
    ]
    rows[-2] |= broken
    rig.octo.fail_next("messages/sync", JsonAnswer({"messages": rows}))
    host = await rig.start_with(ScriptedHost())
    await rig.until_row(ids[2], "answered")
    assert texts(host) == ["m0", "m2"]
    assert "1 messages in the history of channel=g1 cannot be read and are skipped" in caplog.text


async def test_long_absences_are_fetched_page_by_page(rig: Rig, away: None) -> None:
    for number in range(450):
        await rig.octo.say(BEN, rig.group, f"chatter {number}")
    asked = await rig.mention("at last")
    await rig.start_with(ScriptedHost())
    await rig.until_row(asked, "answered")
    pages = [call.body["start_message_seq"] for call in rig.calls("messages/sync")]
    assert {2, 202, 402} <= set(pages)
    await rig.until_cursor(rig.group, 454)


async def test_a_message_that_overtook_another_waits_for_it(rig: Rig, host: ScriptedHost) -> None:
    await rig.meet()
    syncs = len(rig.calls("messages/sync"))
    for seq in (4, 3, 6, 5):
        await rig.octo.inject(HELPER, rig.raw_mention(f"m{seq}", seq))
    await host.wait_for_turns(5)
    assert texts(host) == ["hello", "m3", "m4", "m5", "m6"]
    assert len(rig.calls("messages/sync")) == syncs


@pytest.mark.parametrize("failures", [0, 3], ids=["at once", "later where it cannot be asked"])
async def test_a_hole_that_stays_open_is_filled_from_the_history(fast_rig: Rig, failures: int) -> None:
    host = await fast_rig.start_with(ScriptedHost())
    await fast_rig.meet()
    fast_rig.octo.lose_next(HELPER)
    if failures:
        fast_rig.octo.fail_next("messages/sync", ErrorAnswer(status=500), times=failures)
    await fast_rig.mention("lost on the way")
    await fast_rig.mention("arrives")
    await host.wait_for_turns(3)
    inside = ["arrives", "lost on the way"] if failures else ["lost on the way", "arrives"]
    assert texts(host) == ["hello", *inside]


@pytest.mark.parametrize("fault", [ErrorAnswer(status=400), Hang()])
async def test_when_the_history_cannot_be_asked_what_is_there_is_answered_all_the_same(
    fast_rig: Rig, fault: ErrorAnswer | Hang
) -> None:
    host = await fast_rig.start_with(ScriptedHost())
    await fast_rig.meet()
    fast_rig.octo.fail_next("messages/sync", fault, times=3)
    await fast_rig.octo.inject(HELPER, fast_rig.raw_mention("behind the hole", 9))
    await host.wait_for_turns(2)
    assert texts(host) == ["hello", "behind the hole"]
    fast_rig.octo.release()


async def test_the_first_words_of_a_group_spoken_before_the_bot_was_ever_there_are_answered(rig: Rig) -> None:
    await rig.octo.say(BEN, rig.group, "chatter")
    asked = await rig.mention("are you coming?")
    host = await rig.start_with(ScriptedHost())
    await rig.until_row(asked, "answered")
    assert texts(host) == ["are you coming?"]


async def test_what_an_earlier_program_has_answered_or_is_too_old_is_left_alone_in_an_unknown_group(
    rig: Rig,
) -> None:
    old = rig.raw_mention("from yesterday", 1, timestamp=int(time.time()) - 86_400)
    await rig.octo.inject(HELPER, old, stored=True)
    await rig.mention("answered by somebody else")
    await rig.octo.say(HELPER, rig.group, "here you are")
    open_question = await rig.mention("and this?")
    host = await rig.start_with(ScriptedHost())
    await rig.until_row(open_question, "answered")
    await rig.mentioned("now")
    assert texts(host) == ["and this?", "now"]
    assert len(rig.rows()) == 2


async def test_where_nobody_has_to_mention_it_the_bot_does_not_answer_the_talk_from_before_it_came(
    rig: Rig,
) -> None:
    old = rig.raw_mention("before it came", 1, timestamp=int(time.time()) - 60)
    await rig.octo.inject(HELPER, old, stored=True)
    host = await rig.start_with(ScriptedHost(), requireMention=False)
    await rig.until_row(await rig.octo.say(BEN, rig.group, "hello"), "answered")
    assert texts(host) == ["hello"]


async def test_a_group_the_bot_was_put_into_while_it_was_away_is_found(fast_rig: Rig) -> None:
    host = await fast_rig.start_with(ScriptedHost())
    fast_rig.octo.stop_sockets()
    new = fast_rig.octo.add_group("g-new", [ANN, HELPER])
    asked = await fast_rig.mention("welcome!", where=new)
    fast_rig.octo.start_sockets()
    await fast_rig.until_row(asked, "answered")
    assert texts(host) == ["welcome!"]


@pytest.mark.parametrize("met", [True, False])
async def test_a_message_the_server_never_pushed_is_found_on_a_quiet_connection(
    fast_rig: Rig, met: bool
) -> None:
    rig, host = fast_rig, await started(fast_rig, met=met)
    await assert_found(rig, host)


async def test_a_server_that_lists_no_groups_stops_nothing(rig: Rig) -> None:
    rig.octo.fail_next("groups", ErrorAnswer(status=404), times=None)
    await rig.start(rig.config(), ScriptedHost())
    await rig.mentioned("hello")
    assert rig.said() == ["echo: @Helper hello"]


@pytest.mark.parametrize("fault", [ErrorAnswer(status=400), Hang()])
async def test_a_first_word_is_answered_though_the_past_of_its_group_cannot_be_read(
    fast_rig: Rig, fault: ErrorAnswer | Hang
) -> None:
    host = await fast_rig.start_with(ScriptedHost())
    fast_rig.octo.fail_next("messages/sync", fault, times=None)
    new = fast_rig.octo.add_group("g-new", [ANN, HELPER])
    await fast_rig.mentioned("welcome!", where=new)
    assert texts(host) == ["welcome!"]
    fast_rig.octo.release()


async def test_old_mentions_found_at_a_start_get_one_line_that_says_so(
    rig: Rig, caplog: pytest.LogCaptureFixture, away: None
) -> None:
    day_ago = int(time.time()) - 86_400
    old = [rig.raw_mention(f"from yesterday {seq}", seq, timestamp=day_ago) for seq in (3, 4)]
    old_ids = [await rig.octo.inject(HELPER, message, stored=True) for message in old]
    new_id = await rig.mention("from just now")
    host = await rig.start_with(ScriptedHost())
    await rig.until_row(new_id, "answered")
    for old_id in old_ids:
        assert "too old" in await rig.until_row(old_id, "notified")
    assert texts(host) == ["from just now"]
    assert sorted(rig.said()[1:]) == sorted([Texts().too_late, "echo: @Helper from just now"])
    assert "2 messages to the bot are older than 3600 s" in caplog.text
    await rig.stop()
    reader = JournalAdmin(rig.state_dir / "octo.sqlite")
    (row,) = reader.find(old_ids[0])
    assert reader.retry(row, rig.clock.wall_ms())
    await rig.start(rig.config(), ScriptedHost())
    await rig.until_row(old_ids[0], "answered")
    assert rig.said()[-1] == "echo: @Helper from yesterday 3"


async def test_own_messages_and_direct_conversations_are_caught_up_with_too(rig: Rig) -> None:
    await rig.start(rig.config(), ScriptedHost())
    await rig.until_row(await rig.octo.say(ANN, rig.dm, "hello"), "answered")
    await rig.until_cursor(ChannelRef(ANN, 1), 2)
    await rig.stop()
    missed = await rig.octo.say(ANN, rig.dm, "are you there?")
    host = await rig.start_with(ScriptedHost())
    await rig.until_row(missed, "answered")
    assert texts(host) == ["are you there?"]


async def test_a_group_the_bot_was_put_out_of_does_not_hold_up_the_start(rig: Rig, away: None) -> None:
    rig.octo.remove_member("g1", HELPER)
    host = await rig.start_with(ScriptedHost())
    await rig.until_row(await rig.octo.say(ANN, rig.dm, "still here?"), "answered")
    assert texts(host) == ["still here?"]


async def test_a_crash_between_commit_and_lane_does_not_change_the_order(rig: Rig, away: None) -> None:
    first, second = await rig.mention("m3"), await rig.mention("m4")
    line = rig.octo.chat(rig.group)[-1]
    rig.sql(
        "INSERT INTO inbound (account, message_id, message_seq, client_msg_no, from_uid, channel_id, channel_type,"
        " timestamp, payload, decision, reason, session_key, trace, state, received_at, updated_at)"
        " VALUES ('helper', ?, 4, '', 'ann', 'g1', 2, 0, ?, 'turn', '', 'agent:main:octo:group:g1', 't',"
        " 'received', 0, 0)",
        second,
        rig.payload_of(line),
    )
    host = await rig.start_with(ScriptedHost())
    await rig.until_answered(first, second)
    assert texts(host) == ["m3", "m4"]


@pytest.mark.parametrize("met", [True, False])
async def test_a_disk_slower_than_the_time_for_fetching_loses_no_message(
    fast_rig: Rig, monkeypatch: pytest.MonkeyPatch, met: bool
) -> None:
    """What is recorded is passed on: a message on the disk that nobody works on would wait for the next start."""
    rig, host = fast_rig, await started(fast_rig, met=met)
    append = Messages.append

    async def slow(self: Messages, rows: Sequence[NewInbound]) -> list[InboundRow | None]:
        recorded = await append(self, rows)
        await rig.clock.sleep(FETCH_WITHIN_S + 5)
        return recorded

    monkeypatch.setattr(Messages, "append", slow)
    await assert_found(rig, host)


def slow_commit(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Hold up what follows the next commit; return what is set once that is done, and what lets it go on."""
    append, recorded, gate = Messages.append, asyncio.Event(), asyncio.Event()

    async def slow_once(self: Messages, rows: Sequence[NewInbound]) -> list[InboundRow | None]:
        found = await append(self, rows)
        if not recorded.is_set():
            recorded.set()
            await gate.wait()
        return found

    monkeypatch.setattr(Messages, "append", slow_once)
    return recorded, gate


async def test_a_message_whose_copy_is_pushed_while_the_history_brings_it_is_answered(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, host: ScriptedHost
) -> None:
    await rig.meet()
    recorded, gate = slow_commit(monkeypatch)
    rig.octo.lose_next(HELPER)
    lost = await rig.mention("lost on the way")
    catching_up = asyncio.create_task(rig.channel._running_fleet().bots["helper"]._gaps.catch_up())
    await recorded.wait()
    line = rig.octo.chat(rig.group)[-1]
    copy = RawMessage(
        from_uid=ANN,
        channel=rig.group,
        payload=rig.payload_of(line),
        message_id=int(lost),
        message_seq=line.message_seq,
    )
    await rig.octo.inject(HELPER, copy)
    await rig.octo.wait_for(lambda: lost in {ack.message_id for ack in rig.octo.acks})
    gate.set()
    await catching_up
    await rig.until_row(lost, "answered")
    assert texts(host) == ["hello", "lost on the way"]


async def test_the_history_overtakes_no_message_that_is_recorded_and_not_in_its_lane_yet(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow disk between the commit of a pushed message and its lane, while the history is read past it."""
    host = await rig.start_with(ScriptedHost())
    await rig.meet()
    recorded, gate = slow_commit(monkeypatch)
    first = await rig.mention("first")
    await recorded.wait()
    second = await rig.mention("second")
    catching_up = asyncio.create_task(rig.channel._running_fleet().bots["helper"]._gaps.catch_up())
    await rig.until_row(second, "received")
    for _ in range(50):
        await asyncio.sleep(0)
    gate.set()
    await catching_up
    await rig.until_answered(first, second)
    assert texts(host) == ["hello", "first", "second"]
