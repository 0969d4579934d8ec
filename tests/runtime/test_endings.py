"""Everything that is started is ended by its owner: stops, drains, budgets, background work, one message at a time."""

import asyncio
import json
import logging
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.config.load import parse_config
from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.host.base import Accepted, Block, Final
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.policy.gate import GatePolicy, Identity, decide
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.runtime import pipeline
from openclaw_channel_octo.runtime.admission.limits import Limits
from openclaw_channel_octo.runtime.channel import OctoChannel
from openclaw_channel_octo.runtime.connection.file_lease import FileLease
from openclaw_channel_octo.runtime.delivery.presence import Presence
from openclaw_channel_octo.runtime.intake import inbox
from openclaw_channel_octo.runtime.intake.gaps import GapFiller
from openclaw_channel_octo.runtime.turn.downloads import MediaDownloads
from openclaw_channel_octo.runtime.turn.lanes import Lanes
from openclaw_channel_octo.session.route import Routing
from openclaw_channel_octo.session.status import Status
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.testing import HANG, ErrorAnswer, Hang, RateLimit, RawMessage, ScriptedHost
from openclaw_channel_octo.testing.host import Step
from openclaw_channel_octo.wire.events import InboundMessage, Received
from openclaw_channel_octo.wire.packets import Flags, Setting
from tests.runtime.rig import ANN, BEN, HELPER, TOKEN, FastClock, MovedClock, Rig
from tests.until import until

TEXTS = Texts()


def ours() -> set[str]:
    """Return the names of the channel's tasks that live."""
    return {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("octo:")}


def chunk_states(rig: Rig) -> list[str]:
    return [state for (state,) in rig.sql("SELECT state FROM delivery ORDER BY inbound_id, position")]


async def at_the_start(rig: Rig) -> None:
    rig.octo.fail_next("messages/sync", Hang(), times=None)
    await rig.start(rig.config(), ScriptedHost())


async def behind_a_hole(rig: Rig) -> None:
    await rig.start(rig.config(), ScriptedHost())
    await rig.meet()
    rig.octo.fail_next("messages/sync", Hang(), times=None)
    asked = len(rig.calls("messages/sync"))
    await rig.octo.inject(HELPER, rig.raw_mention("behind the hole", 9))
    await rig.octo.wait_for(lambda: len(rig.calls("messages/sync")) > asked)


async def after_a_reconnect(rig: Rig) -> None:
    await rig.start(rig.config(), ScriptedHost())
    await rig.meet()
    rig.octo.fail_next("messages/sync", Hang(), times=None)
    asked = len(rig.calls("messages/sync"))
    rig.octo.drop_connections(HELPER)
    await rig.octo.wait_for(lambda: len(rig.calls("messages/sync")) > asked)
    await rig.mention("held back meanwhile")


@pytest.mark.parametrize("reach", [at_the_start, behind_a_hole, after_a_reconnect])
async def test_a_history_that_hangs_does_not_keep_a_stop_from_ending_and_nobody_is_answered_after_it(
    rig: Rig, reach: Callable[[Rig], Awaitable[None]]
) -> None:
    await reach(rig)
    said, host = rig.said(), rig.host
    assert isinstance(host, ScriptedHost)
    turns = len(host.turns)
    async with asyncio.timeout(10):
        await rig.stop(0)
    calls = len(rig.octo.calls)
    rig.octo.release()
    for _ in range(50):
        await asyncio.sleep(0)
    assert ours() == set()
    assert (rig.said(), len(host.turns), len(rig.octo.calls)) == (said, turns, calls)
    assert not rig.octo.online(HELPER)


async def test_no_turn_begins_during_a_drain_and_what_waits_is_answered_once_after_the_next_start(
    rig: Rig,
) -> None:
    host = await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("one")]), maxTurns=1)
    running = await rig.under_way("one")
    for_a_slot = await rig.mention("two", where=rig.thread)
    in_the_lane = await rig.mention("three")
    await rig.until_row(for_a_slot, "queued")
    await rig.until_row(in_the_lane, "queued")
    stopping = asyncio.create_task(rig.channel.stop(30))
    await rig.octo.wait_for(lambda: not rig.octo.online(HELPER))
    host.release()
    assert await stopping is True
    assert len(host.turns) == 1
    assert rig.column("state") == {running: "answered", for_a_slot: "queued", in_the_lane: "queued"}
    assert rig.column("attempt") == {running: 1, for_a_slot: 0, in_the_lane: 0}
    again = await rig.start_with(ScriptedHost())
    await rig.until_answered(for_a_slot, in_the_lane)
    assert sorted(turn.text for turn in again.turns) == ["@Helper three", "@Helper two"]
    assert rig.said() == ["one", "echo: @Helper three"]


@pytest.mark.parametrize("rounds", range(1, 30, 3))
async def test_a_stop_that_is_cancelled_at_any_moment_and_again_has_closed_everything_when_it_returns(
    rig: Rig, tmp_path: Path, rounds: int
) -> None:
    config = parse_config(rig.config(), base=tmp_path).config
    rig.octo.fail_next("messages/sync", Hang(), times=None)
    channel = OctoChannel(config, clock=rig.clock, leases=tmp_path / "leases")
    rig.state_dir.mkdir()
    await channel.start("helper", ScriptedHost())
    await rig.octo.wait_for(lambda: rig.octo.online(HELPER))
    stopping = asyncio.create_task(channel.stop(0))
    for _ in range(3):
        for _ in range(rounds):
            await asyncio.sleep(0)
        stopping.cancel()
    await asyncio.wait({stopping})
    assert ours() == set()
    lease = FileLease(tmp_path / "leases", f"{rig.octo.api_url} {TOKEN}")
    assert await lease.acquire()
    await lease.release()
    assert not (rig.state_dir / "octo.sqlite-wal").exists()
    assert channel.status().bots == {}


async def test_typing_ends_for_messages_that_a_drain_leaves_to_the_next_start(fast_rig: Rig) -> None:
    host = await fast_rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("one")]), maxTurns=1)
    await fast_rig.under_way("one")
    await fast_rig.mentioned("two", "queued", where=fast_rig.thread)
    stopping = asyncio.create_task(fast_rig.channel.stop(1_000))
    await fast_rig.octo.wait_for(lambda: not fast_rig.octo.online(HELPER))
    shown = len(fast_rig.calls("typing"))
    await fast_rig.octo.wait_for(lambda: len(fast_rig.calls("typing")) >= shown + 3)
    assert {call.body["channel_id"] for call in fast_rig.calls("typing")[shown + 1 :]} == {fast_rig.group.id}
    host.release()
    assert await stopping


async def no_host(host: ScriptedHost) -> None:
    host.reachable.clear()


async def busy_elsewhere(host: ScriptedHost) -> None:
    host.set_status("agent:main:octo:group:g1", Status.RUNNING)


@pytest.mark.parametrize("prepare", [no_host, busy_elsewhere])
async def test_a_message_that_waits_for_its_host_does_not_hold_up_a_stop(
    rig: Rig, prepare: Callable[[ScriptedHost], Awaitable[None]]
) -> None:
    host = ScriptedHost()
    await prepare(host)
    await rig.start(rig.config(), host)
    waiting = await rig.mentioned("hello", "queued")
    async with asyncio.timeout(60):
        assert await rig.channel.stop(3_600) is True
    assert (rig.column("attempt"), host.turns) == ({waiting: 0}, [])
    await rig.start(rig.config(), ScriptedHost())
    await rig.until_row(waiting, "answered")


async def test_restarts_under_load_cost_a_message_that_never_ran_no_attempt(rig: Rig) -> None:
    waiting: list[str] = []
    for start in range(3):
        host = ScriptedHost(default=lambda turn: [Accepted(turn.run_id), HANG, Final("done")])
        await rig.start(rig.config(maxTurns=1), host)
        if not start:
            waiting = [await rig.octo.say(ANN, rig.dm, "one")]
            waiting += [await rig.mention("two"), await rig.mention("three", where=rig.thread)]
        await rig.until_attempts(start + 1)
        await rig.stop(0)
        assert sum(rig.column("attempt").values()) == start + 1
    attempts = rig.column("attempt")
    await rig.start(rig.config(), ScriptedHost())
    for message_id in waiting:
        await rig.until_row(message_id, "notified" if attempts[message_id] == 2 else "answered")


@pytest.mark.parametrize(
    ("steps", "state", "said"),
    [
        pytest.param(
            [Block("part"), Final("end")], "answered", ["part", "end"], id="and what the run ended with"
        ),
        pytest.param(
            [Block("part"), Block("more"), HANG],
            "notified",
            ["part", "more", TEXTS.timeout],
            id="before a notice",
        ),
    ],
)
async def test_a_block_whose_sending_outlasts_the_budget_arrives(
    fast_rig: Rig, steps: list[Step], state: str, said: list[str]
) -> None:
    host = ScriptedHost([Accepted("r"), *steps])
    await fast_rig.start(fast_rig.config(host={"timeoutSeconds": 10}), host)
    fast_rig.octo.fail_next("sendMessage", RateLimit(retry_after=8), times=4)
    await fast_rig.mentioned("go", state)
    assert fast_rig.said() == said
    assert chunk_states(fast_rig) == ["sent"] * len(said)


@pytest.mark.parametrize("online", [True, False], ids=["online", "away"])
async def test_the_first_words_of_a_conversation_nobody_knew_are_found_once_a_second_message_arrives(
    rig: Rig, online: bool
) -> None:
    host = ScriptedHost()
    if online:
        await rig.start(rig.config(), host)
        await rig.mentioned("hello")
        rig.octo.lose_next(HELPER)
    first = await rig.octo.say(BEN, rig.dm, "first")
    if not online:
        await rig.start(rig.config(), host)
    second = await rig.octo.say(BEN, rig.dm, "second")
    await rig.until_row(second, "answered")
    assert [turn.message_id for turn in host.turns][-2:] == [first, second]


async def test_first_words_that_could_not_be_looked_for_are_found_although_the_bot_has_spoken_there_since(
    fast_rig: Rig,
) -> None:
    rig, host = fast_rig, ScriptedHost()
    await rig.start(rig.config(), host)
    await rig.meet()
    rig.octo.lose_next(HELPER)
    first = await rig.octo.say(BEN, rig.dm, "first")
    rig.octo.fail_next("messages/sync", ErrorAnswer(status=500), times=None)
    second = await rig.octo.say(BEN, rig.dm, "second")
    await rig.until_row(second, "answered")
    await rig.stop()
    rig.octo.heal()
    await rig.start(rig.config(), host)
    third = await rig.octo.say(BEN, rig.dm, "third")
    await rig.until_answered(first, third)
    assert sorted(turn.message_id for turn in host.turns)[1:] == [first, second, third]


async def test_an_unknown_conversation_is_looked_back_into_no_further_than_the_cold_start_age(
    rig: Rig, host: ScriptedHost
) -> None:
    group = rig.octo.add_group("g-new", [ANN, HELPER])
    rig.octo.lose_next(HELPER)
    old = RawMessage(
        from_uid=ANN,
        channel=group,
        payload=json.dumps({"type": 1, "content": "@Helper", "mention": {"uids": [HELPER]}}).encode(),
        message_seq=1,
        timestamp=int(time.time()) - 86_400,
    )
    await rig.octo.inject(ANN, old, stored=True)
    lost = await rig.mention("lost", where=group)
    asked = await rig.mentioned("arrives", where=group)
    assert [turn.message_id for turn in host.turns] == [lost, asked]


POINTS: dict[str, tuple[Any, str]] = {
    "the limits": (Limits, "excess"),
    "the presence": (Presence, "begin"),
    "the downloads": (MediaDownloads, "begin"),
    "the lanes": (Lanes, "submit"),
    "the rendering": (pipeline, "files_of"),
}


def break_once(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """Let the next call of a function fail with an error that nobody foresaw."""
    original = getattr(owner, name)

    def breaks(*_: Any, **__: Any) -> Any:
        monkeypatch.setattr(owner, name, original)
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(owner, name, breaks)


@pytest.mark.parametrize("point", POINTS)
async def test_an_unexpected_error_in_the_handling_of_one_message_leaves_the_rest_of_its_batch_alone(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    rig.clock = FastClock()
    host = await rig.start_with(ScriptedHost())
    break_once(monkeypatch, *POINTS[point])
    ids = [await rig.mention(f"m{number}") for number in range(4)]
    await rig.until_answered(*ids)
    assert sorted(turn.message_id for turn in host.turns) == sorted(ids)


async def test_a_message_that_breaks_its_handling_twice_is_a_dead_letter_and_people_are_told(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = Presence.begin
    broken: list[str] = []

    def breaks(presence: Presence, channel: ChannelRef, message_id: str) -> None:
        if message_id in broken:
            raise RuntimeError("nobody foresaw this")
        begin(presence, channel, message_id)

    monkeypatch.setattr(Presence, "begin", breaks)
    await rig.start(rig.config(), ScriptedHost())
    await rig.meet()
    await rig.stop()
    poison, fine = await rig.mention("poison"), await rig.mention("fine")
    broken.append(poison)
    await rig.start(rig.config(), ScriptedHost())
    await rig.until_row(fine, "answered")
    await rig.stop()
    assert rig.column("breaks")[poison] == 1
    await rig.start(rig.config(), ScriptedHost())
    assert "RuntimeError" in await rig.until_row(poison, "dead")
    assert rig.said()[1:] == ["echo: @Helper fine", TEXTS.failed]


async def test_a_message_that_breaks_the_gate_is_a_dead_letter_with_its_payload_and_the_others_are_answered(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(envelope: Any, payload: Any, *rest: Any) -> Any:
        if payload.text and "poison" in payload.text:
            raise RuntimeError("nobody foresaw this")
        return decide(envelope, payload, *rest)

    monkeypatch.setattr(inbox, "decide", breaks)
    await rig.start(rig.config(), ScriptedHost())
    poison, fine = await rig.mention("poison"), await rig.mention("fine")
    await rig.until_row(fine, "answered")
    (found,) = rig.sql("SELECT state, detail, payload FROM inbound WHERE message_id = ?", poison)
    assert found[:2] == ("dead", "could not be judged: RuntimeError")
    assert b"poison" in found[2]
    await rig.octo.wait_for(lambda: poison in {str(ack.message_id) for ack in rig.octo.acks})


async def test_a_bot_that_breaks_takes_up_what_it_had_recorded_and_not_begun(
    fast_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await fast_rig.start_with(ScriptedHost())
    break_once(monkeypatch, GapFiller, "take")
    ids = [await fast_rig.mention(f"m{number}") for number in range(3)]
    await fast_rig.until_answered(*ids)
    assert [turn.message_id for turn in host.turns] == ids


async def test_a_background_job_that_breaks_is_shown_in_the_status_and_goes_on(
    fast_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, check, breaks = fast_rig, GapFiller.check, [True]

    async def broken(sequence: GapFiller, online: Callable[[], bool]) -> None:
        if breaks[0]:
            raise RuntimeError("nobody foresaw this")
        await check(sequence, online)

    monkeypatch.setattr(GapFiller, "check", broken)
    await rig.start(rig.config(), ScriptedHost())
    await rig.meet()
    channel = rig.channel
    await until(lambda: channel.status().failing, "a job that fails")
    assert channel.status().failing == {"helper": {"keep-up": "RuntimeError, see the log"}}
    breaks[0] = False
    rig.octo.lose_next(HELPER)
    await rig.mentioned("never pushed")
    await until(lambda: channel.status().failing == {}, "the end of a pass")  # it may look at others yet


async def test_receipts_of_a_conversation_go_on_after_an_error_nobody_foresaw(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_once(monkeypatch, BotApi, "read_receipt")
    host = await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("one")]))
    await rig.under_way("one")
    second = await rig.mention("two")
    await rig.octo.wait_for(
        lambda: second in {line.message_id for line in rig.octo.chat(rig.group) if line.read_by}
    )
    assert len([call for call in rig.calls("readReceipt") if second in call.body["message_ids"]]) == 1
    host.release()


@pytest.mark.parametrize("kept", [0, 3], ids=["wiped", "restored"])
async def test_mentions_after_the_servers_numbering_went_back_are_answered_once(
    fast_rig: Rig, caplog: pytest.LogCaptureFixture, kept: int
) -> None:
    rig, host = fast_rig, ScriptedHost()
    await rig.start(rig.config(), host)
    for number in range(4):
        await rig.mentioned(f"before {number}")
    await rig.until_cursor(rig.group, 8)
    rig.octo.stop_sockets()
    rig.octo.roll_back(rig.group, kept)
    missed = [await rig.mention(f"missed {number}") for number in range(2)]
    rig.octo.start_sockets()
    await rig.until_answered(*missed)
    await rig.octo.wait_for(lambda: rig.octo.online(HELPER))
    await rig.mentioned("live")
    texts = [turn.text.removeprefix("@Helper ") for turn in host.turns]
    assert texts == [*(f"before {number}" for number in range(4)), "missed 0", "missed 1", "live"]
    assert f"went back from 8 to {kept + 2}" in caplog.text
    await rig.stop()
    ((cursor,),) = rig.sql("SELECT seq FROM cursor WHERE channel_id = 'g1'")
    assert cursor < 8 + kept


async def test_ages_are_measured_by_the_servers_clock(rig: Rig, away: None) -> None:
    asked = [await rig.mention(f"m{number}") for number in range(3)]
    first_words = await rig.octo.say(BEN, rig.dm, "and here?")
    await rig.octo.say(BEN, rig.dm, "hello?")
    rig.clock = MovedClock(7_200)
    host = await rig.start_with(ScriptedHost())
    await rig.until_answered(*asked)
    await rig.until_row(await rig.octo.say(BEN, rig.dm, "third"), "answered")
    assert first_words in {turn.message_id for turn in host.turns}


async def test_a_bot_whose_socket_cannot_be_opened_answers_what_an_earlier_process_left_open(
    fast_rig: Rig,
) -> None:
    await fast_rig.start_with(ScriptedHost([Accepted("r"), HANG]))
    message_id = await fast_rig.under_way("hello")
    await fast_rig.stop()
    fast_rig.octo.stop_sockets()
    await fast_rig.start_blind(fast_rig.config(), ScriptedHost())
    await fast_rig.until_row(message_id, "answered")
    assert fast_rig.said() == ["echo: @Helper hello"]
    assert not fast_rig.octo.online(HELPER)


async def test_many_conversations_on_a_slow_server_are_all_caught_up_with(
    rig: Rig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FastClock(10)
    rig.clock = clock
    exchange = BotApi._exchange

    async def slow(api: BotApi, asked: Any) -> Any:
        if asked.path.endswith("/messages/sync"):
            await clock.sleep(1)
        return await exchange(api, asked)

    monkeypatch.setattr(BotApi, "_exchange", slow)
    groups = [rig.octo.add_group(f"many-{number}", [ANN, HELPER]) for number in range(60)]
    asked = [await rig.mention("hello", where=group) for group in groups]
    caplog.set_level(logging.WARNING)
    await rig.start(rig.config(maxTurns=32), ScriptedHost())
    await rig.until_answered(*asked)
    assert "could not be read" not in caplog.text


async def test_a_state_folder_older_than_the_chat_answers_nothing_twice(rig: Rig) -> None:
    """A restored backup: some mentions it does not know at all, one it knows as waiting, one as half sent."""
    await rig.start(rig.config(), ScriptedHost())
    await rig.meet()
    await rig.stop(0)
    host = ScriptedHost([Accepted("r"), HANG], default=lambda turn: [Accepted(turn.run_id), Final(turn.text)])
    await rig.start(rig.config(), host)
    waiting = [await rig.mention("runs"), await rig.mention("waits")]
    await rig.until_row(waiting[0], "running")
    await rig.until_row(waiting[1], "queued")
    await rig.stop(0)
    shutil.copytree(rig.state_dir, rig.state_dir.with_name("backup"))

    await rig.start(rig.config(), ScriptedHost())
    await rig.until_answered(*waiting)
    unknown = [await rig.mention(f"later {number}") for number in range(3)]
    unknown.append(await rig.octo.say(ANN, rig.dm, "directly"))
    command = await rig.mention("/status")
    await rig.until_answered(*unknown, command)
    await rig.stop()
    said = rig.said()
    open_question = await rig.mention("nobody has answered this")

    shutil.rmtree(rig.state_dir)
    rig.state_dir.with_name("backup").rename(rig.state_dir)
    again = await rig.start_with(ScriptedHost())
    await rig.until_row(open_question, "answered")
    for message_id in [*waiting, *unknown[:3], command]:
        assert await rig.until_row(message_id, "answered") == "found in the chat"
    assert [turn.message_id for turn in again.turns] == [open_question]
    assert rig.said() == [*said, "echo: @Helper nobody has answered this"]


async def test_what_names_no_message_or_is_somebody_elses_answers_nothing(rig: Rig, away: None) -> None:
    asked = await rig.mention("is anybody there?")
    await rig.octo.say(HELPER, rig.group, "something else")
    forged = {"type": 1, "content": "me!", "client_answers": asked}
    raw = RawMessage(from_uid=BEN, channel=rig.group, payload=json.dumps(forged).encode())
    await rig.octo.inject(ANN, raw, stored=True)
    host = await rig.start_with(ScriptedHost())
    await rig.until_row(asked, "answered")
    assert [turn.message_id for turn in host.turns] == [asked]


async def test_mentions_too_old_to_be_answered_that_were_answered_are_not_told_so(
    rig: Rig, away: None
) -> None:
    old = rig.raw_mention("from yesterday", 3, timestamp=int(time.time()) - 86_400)
    message_id = await rig.octo.inject(HELPER, old, stored=True)
    answer = {"type": 1, "content": "yesterday's answer", "client_answers": message_id}
    raw = RawMessage(from_uid=HELPER, channel=rig.group, payload=json.dumps(answer).encode())
    await rig.octo.inject(ANN, raw, stored=True)
    await rig.start(rig.config(), ScriptedHost())
    assert await rig.until_row(message_id, "answered") == "found in the chat"
    assert TEXTS.too_late not in rig.said()


async def test_a_sequence_number_no_journal_can_hold_is_no_reason_not_to_answer(rig: Rig) -> None:
    await rig.start_with(ScriptedHost())
    await rig.mentioned("before")
    account = "helper"
    async with Journal(rig.state_dir / "numbers.sqlite", rig.clock) as journal:
        received = Received(
            message=InboundMessage(
                message_id=7,
                message_seq=2**63 + 5,
                client_msg_no="c",
                from_uid=ANN,
                channel_id="g1",
                channel_type=2,
                timestamp=int(time.time()),
                payload=json.dumps({"type": 1, "content": "x", "mention": {"uids": [HELPER]}}).encode(),
                setting=Setting.NONE,
                flags=Flags.NONE,
            )
        )
        taken = inbox.Inbox(account, Identity(uid=HELPER), Routing(), lambda _: GatePolicy(), journal)
        (outcome,) = await taken.accept([received])
    assert outcome.row is not None
    assert (outcome.row.message_seq, outcome.message.message_seq) == (0, 2**63 + 5)
