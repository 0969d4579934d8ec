"""People let in to a bot's direct messages: what they read, what the operator does, what lasts."""

import asyncio
import json
import logging
import re
from typing import Any

import pytest

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.control.client import ask
from openclaw_channel_octo.errors import ControlError
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing import ErrorAnswer, ScriptedHost
from tests.cli.asking import command, controlled
from tests.runtime.rig import BEN, HELPER, OTHER, OTHER_TOKEN, TOKEN, MovedClock, Rig

PAIRING: dict[str, Any] = {"dmPolicy": "pairing"}
DM_BEN = ChannelRef(BEN, 1)
CODE = re.compile(r"pairing approve ([A-Z0-9]{8})$")


@pytest.fixture
def clock(rig: Rig) -> MovedClock:
    moved = MovedClock()
    rig.clock = moved
    return moved


def code_in(text: str) -> str:
    found = CODE.search(text)
    assert found is not None, text
    return found[1]


async def asked_by(rig: Rig, who: str = BEN, text: str = "let me in") -> str:
    """Let somebody write who was not let in; return what they read last."""
    await rig.until_row(await rig.octo.say(who, rig.dm, text), "notified")
    return rig.said(ChannelRef(who, 1))[-1]


async def pairing(rig: Rig, *words: str, code: int = 0) -> str:
    """Carry out `openclaw-octo pairing` beside the bots; return its output and errors."""
    return (await command("pairing", *words, "--store", rig.state_dir, code=code)).output


def tables(rig: Rig) -> tuple[list[Any], list[Any]]:
    waiting = rig.sql("SELECT account, uid, code FROM pairing_request")
    return waiting, rig.sql("SELECT account, uid FROM paired")


async def test_a_stranger_gets_one_code_and_is_answered_once_the_owner_has_used_it(rig: Rig) -> None:
    host = await rig.start_with(ScriptedHost(), **PAIRING)
    first = await rig.octo.say(BEN, rig.dm, "hello?")
    assert await rig.until_row(first, "notified") == "not paired"
    await asked_by(rig, text="hello??")
    (told,) = rig.said(DM_BEN)
    assert host.turns == []
    assert rig.calls("readReceipt", "typing") == []
    said = "ben may now write to helper, and could not be told (the bot does not run)\n"
    assert await pairing(rig, "approve", code_in(told)) == said
    await rig.until_row(await rig.octo.say(BEN, rig.dm, "and now?"), "answered")
    assert rig.said(DM_BEN) == [told, "echo: and now?"]


async def test_who_is_let_in_while_the_bot_runs_reads_so_and_nobody_else_can_be_told(rig: Rig) -> None:
    await rig.start(rig.config(**PAIRING), ScriptedHost())
    told = await asked_by(rig)
    async with controlled(rig):
        said = await pairing(rig, "approve", code_in(told))
        assert said == "ben may now write to helper, and was told so\n"
        with pytest.raises(ControlError, match="nobody has let this person in"):
            await asyncio.to_thread(ask, rig.state_dir, "pairing.tell", {"account": "helper", "uid": "cat"})
    assert rig.said(DM_BEN) == [told, Texts().paired]
    assert rig.said(ChannelRef("cat", 1)) == []


async def test_who_is_let_in_but_cannot_be_reached_is_in_all_the_same_and_the_operator_reads_why(
    rig: Rig,
) -> None:
    await rig.start(rig.config(**PAIRING), ScriptedHost())
    told = await asked_by(rig)
    rig.octo.fail_next("sendMessage", ErrorAnswer(status=403, code="not_friend"), times=None)
    async with controlled(rig):
        output = await pairing(rig, "approve", code_in(told), "--json")
    assert json.loads(output)["told"] is False
    assert tables(rig) == ([], [("helper", BEN)])


async def test_both_messages_before_the_approval_ended_with_the_one_notice(rig: Rig) -> None:
    await rig.start(rig.config(**PAIRING), ScriptedHost())
    ids = [await rig.octo.say(BEN, rig.dm, text) for text in ("one", "two")]
    for message_id in ids:
        await rig.until_row(message_id, "notified")
    (line,) = [line for line in rig.octo.chat(DM_BEN) if line.from_uid == HELPER]
    found = dict(rig.sql("SELECT message_id, notice_id FROM inbound WHERE state = 'notified'"))
    assert found == dict.fromkeys(ids, line.message_id)


async def test_who_was_let_in_stays_so_after_a_restart_and_a_code_given_before_it_still_counts(
    rig: Rig,
) -> None:
    await rig.start(rig.config(**PAIRING), ScriptedHost())
    told = await asked_by(rig)
    await rig.stop()
    await pairing(rig, "approve", code_in(told).lower())
    for _ in range(2):
        await rig.start(rig.config(**PAIRING), ScriptedHost())
        await rig.until_row(await rig.octo.say(BEN, rig.dm, "hi"), "answered")
        await rig.stop()


async def test_a_restart_gives_no_second_code_within_the_hour(rig: Rig) -> None:
    for _ in range(2):
        await rig.start(rig.config(**PAIRING), ScriptedHost())
        await asked_by(rig)
        await rig.stop()
    assert len(rig.said(DM_BEN)) == 1


async def test_a_code_is_fresh_again_after_an_hour_and_the_old_one_is_worth_nothing(
    rig: Rig, clock: MovedClock
) -> None:
    clock.ahead_s = -3_601
    await rig.start(rig.config(**PAIRING), ScriptedHost())
    old = code_in(await asked_by(rig))
    assert "older than an hour" in await pairing(rig, "approve", old, code=1)
    clock.ahead_s = 0
    fresh = code_in(await asked_by(rig))
    assert fresh != old
    await pairing(rig, "approve", fresh)


async def test_a_code_lets_one_person_in_once(rig: Rig) -> None:
    await rig.start(rig.config(**PAIRING), ScriptedHost())
    code = code_in(await asked_by(rig))
    await pairing(rig, "approve", code)
    await pairing(rig, "approve", code, code=1)


async def test_at_most_three_wait_at_a_time_and_the_next_is_refused_as_others_are(rig: Rig) -> None:
    await rig.start(rig.config(**PAIRING), ScriptedHost())
    people = [f"stranger{number}" for number in range(4)]
    for uid in people:
        rig.octo.add_person(uid, uid)
    told = [await asked_by(rig, uid) for uid in people]
    codes = {code_in(text) for text in told[:3]}
    assert len(codes) == 3
    assert told[3] == Texts().refused
    assert {row[2] for row in tables(rig)[0]} == codes


async def test_a_notice_that_failed_leaves_the_code_for_the_next_message(rig: Rig) -> None:
    await rig.start(rig.config(**PAIRING), ScriptedHost())
    rig.octo.fail_next("sendMessage", ErrorAnswer(status=400))
    await rig.until_row(await rig.octo.say(BEN, rig.dm, "one"), "dead")
    ((_, _, made),) = tables(rig)[0]
    assert code_in(await asked_by(rig)) == made


async def test_being_let_in_opens_no_group(rig: Rig) -> None:
    await rig.start(rig.config(groupPolicy="allowlist", **PAIRING), ScriptedHost())
    await pairing(rig, "approve", code_in(await asked_by(rig)))
    assert await rig.until_row(await rig.mention("hi", who=BEN), "notified") == "not in groupAllowFrom"


async def test_the_owner_and_listed_people_need_no_code(rig: Rig) -> None:
    await rig.start(rig.config(dmPolicy="pairing", allowFrom=[BEN]), ScriptedHost())
    for uid in ("ann", BEN):
        await rig.until_row(await rig.octo.say(uid, rig.dm, "hi"), "answered")
    assert tables(rig) == ([], [])


async def test_somebody_blocked_gets_no_code(rig: Rig) -> None:
    await rig.start(rig.config(blockFrom=[BEN], **PAIRING), ScriptedHost())
    await rig.octo.say(BEN, rig.dm, "hi")
    await rig.mentioned("hi")
    assert rig.said(DM_BEN) == []
    assert tables(rig) == ([], [])


async def test_revoking_counts_from_the_next_message(rig: Rig, clock: MovedClock) -> None:
    clock.ahead_s = -60
    await rig.start(rig.config(**PAIRING), ScriptedHost())
    told = await asked_by(rig)
    await pairing(rig, "approve", code_in(told))
    await rig.until_row(await rig.octo.say(BEN, rig.dm, "hi"), "answered")
    assert await pairing(rig, "revoke", BEN) == "ben may no longer write to helper\n"
    clock.ahead_s = 0
    assert await asked_by(rig) == "echo: hi"
    clock.ahead_s = 3_600
    assert code_in(await asked_by(rig)) != code_in(told)
    await pairing(rig, "revoke", BEN)
    await pairing(rig, "revoke", BEN, code=1)


async def test_each_bot_lets_in_people_of_its_own(rig: Rig) -> None:
    bots = {"helper": TOKEN, "other": OTHER_TOKEN}
    await rig.start(rig.config(bots=bots, **PAIRING), ScriptedHost())
    await rig.octo.wait_for(lambda: rig.octo.online(OTHER))
    code = code_in(await asked_by(rig))
    await pairing(rig, "approve", code, "--account", "other", code=1)
    await pairing(rig, "approve", code, "--account", "Helper")
    await rig.until_row(await rig.octo.say(BEN, rig.dm, "hi"), "answered")
    await rig.until_row(await rig.octo.say(BEN, ChannelRef(OTHER, 1), "hi"), "notified")


async def test_the_list_shows_who_waits_and_who_was_let_in(rig: Rig) -> None:
    await rig.start(rig.config(**PAIRING), ScriptedHost())
    assert await pairing(rig, "list") == "Nobody waits, and nobody was let in.\n"
    code = code_in(await asked_by(rig))
    assert f"pending   helper        ben  code {code}\n" in (await pairing(rig, "list"))
    (waiting,) = map(json.loads, (await pairing(rig, "list", "--json")).splitlines())
    assert waiting["expires_at"] - waiting["since"] == 3_600_000
    assert (waiting["account"], waiting["uid"], waiting["state"], waiting["code"]) == (
        "helper",
        BEN,
        "pending",
        code,
    )
    approved = json.loads(await pairing(rig, "approve", code, "--json"))
    assert approved == {"verdict": "approved", "account": "helper", "uid": BEN, "told": False}
    (let_in,) = map(json.loads, (await pairing(rig, "list", "--json")).splitlines())
    assert (let_in["uid"], let_in["state"], let_in["code"]) == (BEN, "approved", "")
    assert (await pairing(rig, "list", "--account", "other", "--json")) == ""


async def test_after_ten_wrong_codes_each_takes_five_seconds_and_the_right_one_still_counts(
    rig: Rig, clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    class NotedClock(SystemClock):
        async def sleep(self, seconds: float) -> None:
            waits.append(seconds)

    monkeypatch.setattr("openclaw_channel_octo.cli.operate.pairing.SystemClock", NotedClock)
    clock.ahead_s = -60
    await rig.start(rig.config(**PAIRING), ScriptedHost())
    code = code_in(await asked_by(rig))
    for _ in range(10):
        assert "mistyped" in await pairing(rig, "approve", "AAAAAAAA", code=1)
    assert waits == []
    for _ in range(3):
        error = await pairing(rig, "approve", "AAAAAAAA", code=1)
        assert error.split(":")[0] == "10 wrong codes within the last hour"
    assert waits == [5.0] * 3
    await pairing(rig, "approve", code)
    assert tables(rig) == ([], [("helper", BEN)])


async def test_the_slowness_is_over_an_hour_after_the_wrong_codes(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.start(rig.config(**PAIRING), ScriptedHost())
    for _ in range(10):
        await pairing(rig, "approve", "AAAAAAAA", code=1)
    rig.sql("UPDATE pairing_miss SET at = at - 3600000")
    monkeypatch.setattr("openclaw_channel_octo.cli.operate.pairing.SLOW_S", float("inf"))
    await pairing(rig, "approve", code_in(await asked_by(rig)))


async def test_three_who_ask_again_and_again_do_not_keep_a_fourth_out(rig: Rig, clock: MovedClock) -> None:
    puppets = [f"puppet{number}" for number in range(3)]
    for uid in puppets:
        rig.octo.add_person(uid, uid)
    clock.ahead_s = -3 * 3_590 - 3_500
    await rig.start(rig.config(**PAIRING), ScriptedHost())
    for _ in range(3):
        for uid in puppets:
            await asked_by(rig, uid)
        clock.ahead_s += 3_590  # their codes never end, however slowly they ask
    assert await asked_by(rig) != Texts().refused
    code = code_in(rig.said(DM_BEN)[-1])
    clock.ahead_s += 60
    assert await asked_by(rig, puppets[0]) != Texts().refused  # told an hour ago, and without a place now
    clock.ahead_s += 3_000
    for uid in puppets:
        await asked_by(rig, uid)
    assert code in {row[2] for row in tables(rig)[0]}
    await pairing(rig, "approve", code)


async def test_who_came_while_three_others_had_just_asked_gets_a_place_a_quarter_of_an_hour_later(
    rig: Rig, clock: MovedClock
) -> None:
    for number in range(3):
        rig.octo.add_person(f"puppet{number}", "Puppet")
    clock.ahead_s = -2_000
    await rig.start(rig.config(**PAIRING), ScriptedHost())
    for number in range(3):
        await asked_by(rig, f"puppet{number}")
    assert await asked_by(rig) == Texts().refused
    clock.ahead_s += 950
    code = code_in(await asked_by(rig))
    for number in range(3):
        await asked_by(rig, f"puppet{number}")
    await pairing(rig, "approve", code)


async def test_codes_stay_out_of_the_log(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await rig.start(rig.config(**PAIRING), ScriptedHost())
    code = code_in(await asked_by(rig))
    assert "deliver: " in caplog.text
    assert code not in caplog.text


async def test_the_text_is_the_operators_to_choose(rig: Rig) -> None:
    await rig.start(rig.config(texts={"pairing": "Zeig das Ann: %s."}, **PAIRING), ScriptedHost())
    assert re.fullmatch(r"Zeig das Ann: [A-Z0-9]{8}\.", await asked_by(rig))
