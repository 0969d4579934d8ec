import logging
from itertools import pairwise

import pytest

from openclaw_channel_octo.errors import ApiError, PermissionDenied
from openclaw_channel_octo.runtime.connection.supervisor import LONG_WAIT_S, LONGEST_WAIT_S, LinkState
from openclaw_channel_octo.wire.packets import ReasonCode
from tests.runtime.connection.scripted_wire import (
    BAD_TOKEN,
    DOWN,
    HOUR_S,
    NOBODY,
    UID,
    Account,
    Answer,
    Wire,
    accept,
    assert_status,
    drop,
    ignore,
    kick_after_connack,
    lose_after_connack,
    reject,
    seconds,
    supervised,
)

NOT_ALLOWED = PermissionDenied("register", "bot not available", status=403)


async def test_a_bot_registers_once_and_stays_online_for_a_day(bot: Account) -> None:
    assert_status(bot, LinkState.CONNECTING, 0, "starting")
    await bot.start(24 * HOUR_S)
    assert_status(bot, LinkState.ONLINE, 0, "protocol version 5")
    assert (len(bot.api.registered_at), bot.network.opened_at, bot.connected) == (1, [0], [0])
    assert [registration.robot_id for registration in bot.prepared] == [UID]


async def test_a_configured_address_wins_over_the_one_the_server_names() -> None:
    async with supervised(Account(ws_url="ws://proxy.test/ws")) as bot:
        assert bot.network.urls == ["ws://proxy.test/ws"]


async def test_a_lost_connection_is_opened_again_without_registering(bot: Account) -> None:
    await bot.start(100)
    bot.network.wires[0].drop()
    await bot.clock.settle()
    assert_status(bot, LinkState.CONNECTING, 100, "the server closed the connection")
    await bot.clock.advance(1)
    assert_status(bot, LinkState.ONLINE, 101, "protocol version")
    assert (len(bot.api.registered_at), len(bot.prepared)) == (1, 1)


async def test_an_unreachable_server_is_tried_with_doubling_waits_up_to_a_minute(bot: Account) -> None:
    bot.network.usual = NOBODY
    await bot.start(300)
    assert bot.network.waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert_status(bot, LinkState.CONNECTING, 0, "connection refused")
    assert len(bot.api.registered_at) == 1


@pytest.mark.parametrize(("jitter", "first"), [(0.75, 0.75), (1.25, 1.25)])
async def test_waits_are_spread_by_a_quarter_either_way(jitter: float, first: float) -> None:
    account = Account(jitter=jitter)
    account.network.usual = NOBODY
    async with supervised(account) as bot:
        await bot.clock.advance(60)
        assert bot.network.waits[:4] == [first, 2 * first, 4 * first, 8 * first]


async def test_a_session_of_half_a_minute_makes_the_waits_short_again(bot: Account) -> None:
    bot.network.script = [NOBODY] * 6
    await bot.start(63)
    assert bot.status.state is LinkState.ONLINE
    await bot.clock.advance(30)
    bot.network.wires[0].drop()
    await bot.clock.advance(1)
    assert bot.network.waits == [1, 2, 4, 8, 16, 32, 31]
    assert bot.status.state is LinkState.ONLINE


async def test_sessions_that_break_at_once_are_opened_more_and_more_rarely(bot: Account) -> None:
    bot.network.usual = lose_after_connack
    await bot.start(200)
    assert bot.network.waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert len(bot.api.registered_at) == 1


async def test_a_kick_closes_our_socket_waits_a_minute_says_why_and_recovers(bot: Account) -> None:
    await bot.start(100)
    bot.network.wires[0].kick("login in other device")
    await bot.clock.settle()
    assert bot.network.wires[0].closed
    assert_status(bot, LinkState.KICKED, 100, "another process uses this bot")
    assert "login in other device (reason 12, kicked)" in bot.status.why
    await bot.clock.advance(59)
    assert len(bot.network.wires) == 1
    await bot.clock.advance(1)
    assert_status(bot, LinkState.ONLINE, 160, "protocol version")
    assert len(bot.api.registered_at) == 1


@pytest.mark.parametrize("jitter", [0.75, 1.0, 1.25])
async def test_in_a_kick_storm_each_wait_is_twice_the_one_before_up_to_half_an_hour(jitter: float) -> None:
    account = Account(jitter=jitter)
    account.network.usual = kick_after_connack
    async with supervised(account) as bot:
        await bot.clock.advance(2 * HOUR_S)
        waits = [wait / jitter for wait in bot.network.waits]
        assert waits[:6] == [60, 120, 240, 480, 960, 1800]
        assert set(waits[6:]) <= {1800}
        assert (len(bot.api.registered_at), bot.status.state) == (1, LinkState.KICKED)


async def test_sessions_of_a_minute_between_kicks_do_not_shorten_the_waits(bot: Account) -> None:
    await bot.start()
    for wait_s in (60, 120, 240):
        await bot.clock.advance(60)
        bot.network.wires[-1].kick()
        await bot.clock.advance(wait_s)
        assert bot.status.state is LinkState.ONLINE
    assert bot.network.waits == [120, 180, 300]


@pytest.mark.parametrize(("session_s", "wait_s"), [(HOUR_S / 4, 240), (HOUR_S, 60)])
async def test_only_a_session_of_half_an_hour_makes_the_wait_after_a_kick_short_again(
    bot: Account, session_s: float, wait_s: float
) -> None:
    bot.network.script = [kick_after_connack, kick_after_connack]
    await bot.start(60 + 120 + session_s)
    bot.network.wires[-1].kick()
    await bot.clock.advance(wait_s - 1)
    assert len(bot.network.wires) == 3
    await bot.clock.advance(1)
    assert len(bot.network.wires) == 4


async def test_three_silent_drops_register_once_and_the_new_token_is_used(bot: Account) -> None:
    bot.network.script = [drop, drop, drop]
    await bot.start(3)
    assert_status(bot, LinkState.SUSPECT, 3, "the server dropped our token")
    assert len(bot.api.registered_at) == 1
    await bot.clock.advance(4)
    assert_status(bot, LinkState.ONLINE, 7, "protocol version")
    assert bot.api.registered_at == [0, 7]
    assert bot.tokens == ["im-token-1"] * 3 + ["im-token-2"]
    assert len(bot.prepared) == 1


async def test_two_silent_drops_are_no_reason_to_register(bot: Account) -> None:
    bot.network.script = [drop, drop]
    await bot.start(3)
    assert_status(bot, LinkState.ONLINE, 3, "protocol version")
    assert len(bot.api.registered_at) == 1


@pytest.mark.parametrize("answer", [drop, ignore, reject(ReasonCode.AUTH_FAILED), reject(ReasonCode.BANNED)])
async def test_a_token_that_stays_bad_is_registered_and_tried_ever_more_rarely(
    bot: Account, answer: Answer
) -> None:
    bot.network.usual = answer
    await bot.start(60)
    assert bot.status.state is LinkState.SUSPECT
    suspect_since = seconds(bot.status)
    await bot.clock.advance(HOUR_S - 60)
    again = bot.network.opened_at.index(bot.api.registered_at[1])
    assert bot.network.opened_at[again:] == bot.api.registered_at[1:]  # a new token for each try
    waits = bot.network.waits[again:]
    assert waits == sorted(waits)
    assert waits[0] >= 60
    assert len(bot.network.opened_at) <= 10
    assert_status(bot, LinkState.SUSPECT, suspect_since, "the server dropped our token")


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("lives", [lose_after_connack, drop])
async def test_a_token_that_is_dropped_again_soon_after_it_was_registered_again_heals_every_time(
    bot: Account, times: int, lives: Answer
) -> None:
    """Each new token lives for less than half a minute, or not at all."""
    bot.network.script = [drop, drop, drop, *[lives, drop, drop, drop] * times]
    await bot.start(12 * HOUR_S)
    assert bot.status.state is LinkState.ONLINE
    assert bot.tokens[-1] == f"im-token-{len(bot.api.registered_at)}"
    last_drop = bot.network.opened_at[-2]
    assert bot.api.registered_at[-1] - last_drop <= LONGEST_WAIT_S
    between = [later - earlier for earlier, later in pairwise(bot.api.registered_at[1:])]
    assert all(wait >= LONG_WAIT_S for wait in between)


async def test_the_log_and_the_status_name_a_dropped_token_and_that_it_was_registered_again(
    bot: Account, caplog: pytest.LogCaptureFixture
) -> None:
    bot.network.script = [drop, drop, drop, ignore]
    await bot.start(7)
    assert "the server dropped our token; registered again" in caplog.text
    assert_status(bot, LinkState.SUSPECT, 3, "the server dropped our token; registered again")
    assert "im-token" not in caplog.text + bot.status.why


async def test_short_sessions_between_silent_drops_register_again_at_the_long_waits_only(
    bot: Account,
) -> None:
    bot.network.script = [drop, drop, drop, *[lose_after_connack, drop, drop, drop] * 20]
    bot.network.usual = drop
    await bot.start(HOUR_S)
    assert len(bot.api.registered_at) <= 8
    assert bot.status.state is LinkState.SUSPECT


async def test_after_a_healthy_session_a_bad_token_is_registered_once_more(bot: Account) -> None:
    bot.network.script = [drop, drop, drop, accept, drop, drop, drop]
    await bot.start(10)
    await bot.clock.advance(60)
    bot.network.wires[-1].drop()
    await bot.clock.advance(30)
    assert bot.status.state is LinkState.ONLINE
    assert len(bot.api.registered_at) == 3


async def test_a_server_in_trouble_that_says_so_does_not_make_the_token_suspect(bot: Account) -> None:
    bot.network.script = [reject(ReasonCode.SYSTEM_ERROR)] * 6
    await bot.start(62)
    assert_status(bot, LinkState.CONNECTING, 0, "reason 15")
    assert len(bot.api.registered_at) == 1
    await bot.clock.advance(1)
    assert bot.status.state is LinkState.ONLINE


async def test_a_bot_stays_suspect_while_registering_again_fails(bot: Account) -> None:
    bot.network.script = [drop, drop, drop]
    await bot.start()
    bot.api.usual = DOWN
    await bot.clock.advance(60)
    assert_status(bot, LinkState.SUSPECT, 3, "a proxy answered in its place")
    assert len(bot.network.opened_at) == 3
    bot.api.usual = None
    await bot.clock.advance(60)
    assert bot.status.state is LinkState.ONLINE


@pytest.mark.parametrize("refusal", [BAD_TOKEN, NOT_ALLOWED])
async def test_a_refused_bot_says_so_connects_nothing_and_asks_again_every_now_and_then(
    bot: Account, refusal: ApiError, caplog: pytest.LogCaptureFixture
) -> None:
    bot.api.usual = refusal
    await bot.start(2 * HOUR_S)
    assert bot.api.registered_at == [0, 300, 900, 2100, 3900, 5700]
    assert_status(bot, LinkState.REFUSED, 0, "ask its owner")
    assert refusal.detail in bot.status.why
    assert (bot.network.opened_at, bot.prepared) == ([], [])
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == len(bot.api.registered_at)
    bot.api.usual = None
    await bot.clock.advance(300)
    assert_status(bot, LinkState.ONLINE, 7500, "protocol version")


async def test_a_bot_whose_owner_revoked_it_is_refused_when_it_registers_again(bot: Account) -> None:
    bot.network.usual = drop
    await bot.start()
    bot.api.usual = BAD_TOKEN
    await bot.clock.advance(HOUR_S)
    assert bot.status.state is LinkState.REFUSED
    assert (len(bot.network.opened_at), len(bot.api.registered_at)) == (3, 5)


async def test_a_bot_that_is_taken_again_is_no_longer_called_refused(bot: Account) -> None:
    bot.api.script = [BAD_TOKEN]
    bot.network.hang = True
    await bot.start(300)
    assert_status(bot, LinkState.CONNECTING, 300, "registered")


async def test_an_api_that_is_down_at_the_start_is_asked_again_until_it_answers(bot: Account) -> None:
    bot.api.script = [DOWN] * 3
    await bot.start()
    assert_status(bot, LinkState.CONNECTING, 0, "a proxy answered in its place")
    await bot.clock.advance(14)
    assert bot.api.registered_at == [0, 2, 6, 14]
    assert_status(bot, LinkState.ONLINE, 14, "protocol version")


async def test_a_connack_that_never_comes_costs_eight_seconds_and_then_the_wait(bot: Account) -> None:
    bot.network.script = [ignore]
    await bot.start(8)
    assert_status(bot, LinkState.CONNECTING, 0, "nothing received for 8 s")
    assert bot.network.wires[0].closed
    await bot.clock.advance(1)
    assert_status(bot, LinkState.ONLINE, 9, "protocol version")


async def test_a_connection_without_pongs_is_closed_after_seventy_seconds_and_opened_again(
    bot: Account,
) -> None:
    await bot.start()
    bot.network.wires[0].mute = True
    await bot.clock.advance(70)
    assert bot.network.wires[0].closed
    assert_status(bot, LinkState.CONNECTING, 70, "nothing received for 70 s")
    await bot.clock.advance(1)
    assert_status(bot, LinkState.ONLINE, 71, "protocol version")


async def test_a_full_disk_pauses_the_bot_which_resumes_by_itself(bot: Account) -> None:
    await bot.start()
    bot.intake.full = True
    bot.network.wires[0].push(7)
    await bot.clock.settle()
    assert_status(bot, LinkState.PAUSED, 0, "the disk is full: make room")
    assert bot.network.wires[0].acks == []
    bot.intake.full = False
    await bot.clock.advance(1)
    assert_status(bot, LinkState.ONLINE, 1, "protocol version")
    assert len(bot.api.registered_at) == 1


async def test_a_disk_that_stays_full_is_tried_more_and_more_rarely(bot: Account) -> None:
    bot.intake.full = True

    def push(wire: Wire) -> None:
        accept(wire)
        wire.push(7)

    bot.network.usual = push
    await bot.start(130)
    assert bot.network.waits == [1, 2, 4, 8, 16, 32, 60]


async def test_garbage_from_the_server_is_told_and_the_bot_connects_anew(bot: Account) -> None:
    await bot.start(5)
    bot.network.wires[0].push_bytes(b"\xf0\x00")
    await bot.clock.settle()
    assert_status(bot, LinkState.CONNECTING, 5, "does not exist")
    await bot.clock.advance(1)
    assert bot.status.state is LinkState.ONLINE
