"""Many bots of one server reconnect one after the other, a few at once."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from openclaw_channel_octo.runtime.connection.pace import AT_ONCE, PER_S
from openclaw_channel_octo.runtime.connection.supervisor import LinkState
from tests.runtime.connection.scripted_wire import NOBODY, Account

BOTS = 150
BACKOFF_S = 1


@asynccontextmanager
async def crowd() -> AsyncIterator[tuple[Account, Sequence[Account]]]:
    """Run bots with one clock, network and pace, those of the first; stop them in the end."""
    first = Account()
    bots = [first, *(Account(beside=first) for _ in range(BOTS - 1))]
    yield first, bots
    for bot in bots:
        if bot.running is not None:
            bot.running.cancel()
    await first.clock.settle()
    assert all(bot.running is None or bot.running.done() for bot in bots)


async def test_bots_that_lose_their_server_together_come_back_over_a_window_the_first_at_once() -> None:
    async with crowd() as (first, bots):
        for bot in bots:
            await bot.start()
        clock, network = first.clock, first.network
        await clock.advance(100)
        for wire in list(network.wires):
            wire.drop()
        await clock.advance(BACKOFF_S)
        assert network.opened_at[BOTS:] == [100 + BACKOFF_S] * AT_ONCE
        await clock.advance(1)
        assert len(network.opened_at) == BOTS + AT_ONCE + PER_S
        await clock.advance(BOTS / PER_S)
        assert {bot.status.state for bot in bots} == {LinkState.ONLINE}
        assert len(network.opened_at) == 2 * BOTS


async def test_a_server_that_is_down_is_not_tried_by_all_of_its_bots_in_one_second() -> None:
    async with crowd() as (first, bots):
        first.network.usual = NOBODY
        for bot in bots:
            await bot.start()
        await first.clock.advance(20)
        tries = Counter(int(at) for at in first.network.opened_at)
        assert tries.pop(0) == BOTS
        assert max(tries.values()) <= AT_ONCE + PER_S
        assert tries.total() >= 3 * BOTS
