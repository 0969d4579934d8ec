import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from openclaw_channel_octo.config.load import parse_config, select_accounts
from openclaw_channel_octo.errors import StoreError
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.rest.media_folder import MediaFolder
from openclaw_channel_octo.runtime.bot import Bot
from openclaw_channel_octo.runtime.connection.supervisor import LinkState
from openclaw_channel_octo.runtime.delivery.outputs import Outputs
from openclaw_channel_octo.runtime.turn.lanes import Lanes
from openclaw_channel_octo.runtime.turn.runs import Runs
from openclaw_channel_octo.runtime.wiring import ChannelContext
from openclaw_channel_octo.session.route import Routing
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.testing import ManualClock, ScriptedHost
from tests.runtime.connection.scripted_wire import (
    BAD_TOKEN,
    DOWN,
    HOUR_S,
    NOBODY,
    WALL_MS,
    Account,
    CountingApi,
    Network,
    Wire,
    accept,
    assert_status,
    drop,
    ignore,
    seconds,
)


def begun(part: str, **settings: object) -> Callable[[Account], Awaitable[None]]:
    """Return what starts a bot once a part of what surrounds it is set so."""

    async def reach(bot: Account) -> None:
        for name, value in settings.items():
            setattr(getattr(bot, part), name, value)
        await bot.start()

    return reach


async def online(bot: Account) -> None:
    await bot.start()


async def kicked(bot: Account) -> None:
    await bot.start()
    bot.network.wires[0].kick()
    await bot.clock.settle()


async def suspect(bot: Account) -> None:
    bot.network.usual = drop
    await bot.start(60)


async def paused(bot: Account) -> None:
    await bot.start()
    bot.intake.full = True
    bot.network.wires[0].push(7)
    await bot.clock.settle()


@pytest.mark.parametrize(
    ("reach", "state"),
    [
        pytest.param(begun("api", hang=True), LinkState.CONNECTING, id="registering"),
        pytest.param(begun("api", usual=DOWN), LinkState.CONNECTING, id="waiting to register"),
        pytest.param(begun("api", usual=BAD_TOKEN), LinkState.REFUSED, id="refused"),
        pytest.param(begun("network", hang=True), LinkState.CONNECTING, id="opening"),
        pytest.param(begun("network", usual=ignore), LinkState.CONNECTING, id="waiting for connack"),
        pytest.param(begun("network", usual=NOBODY), LinkState.CONNECTING, id="backing off"),
        (online, LinkState.ONLINE),
        (kicked, LinkState.KICKED),
        (suspect, LinkState.SUSPECT),
        (paused, LinkState.PAUSED),
    ],
)
async def test_stopping_ends_promptly_closes_the_socket_and_leaves_no_task(
    bot: Account, reach: Callable[[Account], Awaitable[None]], state: LinkState
) -> None:
    await reach(bot)
    assert bot.status.state is state
    await bot.stop()
    assert_status(bot, LinkState.STOPPED, bot.clock.now(), "stopped")


async def test_a_bot_that_broke_is_not_called_online(bot: Account) -> None:
    def broken(_: Wire) -> None:
        raise RuntimeError("nobody foresaw this")

    await bot.start()
    bot.network.usual = broken
    bot.network.wires[0].drop()
    await bot.clock.advance(1)
    assert bot.running is not None
    with pytest.raises(ExceptionGroup, match="TaskGroup"):
        bot.running.result()
    assert bot.status.state is LinkState.STOPPED
    bot.network.usual = accept
    bot.api.hang = True
    await bot.start()
    assert_status(bot, LinkState.CONNECTING, 1, "starting")


class ScriptedLease:
    """A lease another process holds until a test says otherwise."""

    def __init__(self) -> None:
        self.free = False
        self.asked = 0
        self.error: StoreError | None = None

    async def acquire(self) -> bool:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.free

    async def release(self) -> None:
        self.free = True

    def holder(self) -> str:
        return "process 4711"


@pytest.fixture
def lease() -> ScriptedLease:
    return ScriptedLease()


@pytest.fixture
async def leased(lease: ScriptedLease, tmp_path: Path) -> AsyncIterator[tuple[Bot, CountingApi, ManualClock]]:
    """A bot whose lease is in a test's hands, and which registers for ever once it has it."""
    clock = ManualClock(wall_ms=WALL_MS)
    api = CountingApi(clock)
    api.hang = True
    accounts = {"helper": {"botToken": "bf_0123456789abcdef"}}
    octo = {"channels": {"octo": {"apiUrl": "http://octo.test", "accounts": accounts}}}
    (config,) = select_accounts(parse_config(octo, base=tmp_path).config, ["helper"])
    host = ScriptedHost()
    shared = ChannelContext(
        routing=Routing(),
        outputs=Outputs(tmp_path, clock),
        media=MediaFolder(tmp_path / "media", clock),
        outgoing=MediaFolder(tmp_path / "outgoing", clock),
        host_timeout_s=600,
        journal=Journal(tmp_path / "octo.sqlite", clock),
        device_id="device",
        lanes=Lanes(),
        runs=Runs(host, clock, 1),
        hide=str,
        clock=clock,
        open_transport=Network(clock).open,
    )
    bot = Bot(config, shared, api, lease, BotLog(logging.getLogger("test"), "helper"))
    yield bot, api, clock
    await bot.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_bot_whose_lease_is_held_waits_says_who_holds_it_and_takes_over(
    lease: ScriptedLease, leased: tuple[Bot, CountingApi, ManualClock]
) -> None:
    bot, api, clock = leased
    await clock.advance(5)
    bot.start()
    await clock.advance(HOUR_S)
    assert (bot.connection.state, seconds(bot.connection)) == (LinkState.PAUSED, 5)
    assert "process 4711 on this machine runs this bot" in bot.connection.why
    assert api.registered_at == []
    lease.free = True
    await clock.advance(2)
    assert (len(api.registered_at), bot.connection.state) == (1, LinkState.CONNECTING)


async def test_a_bot_that_waits_for_its_lease_stops_at_once(
    lease: ScriptedLease, leased: tuple[Bot, CountingApi, ManualClock]
) -> None:
    bot, api, clock = leased
    bot.start()
    await clock.advance(60)
    await bot.disconnect()
    asked = lease.asked
    await clock.advance(60)
    assert (lease.asked, api.registered_at) == (asked, [])


async def test_a_bot_that_can_have_no_lease_here_warns_and_connects(
    lease: ScriptedLease,
    leased: tuple[Bot, CountingApi, ManualClock],
    caplog: pytest.LogCaptureFixture,
) -> None:
    bot, api, clock = leased
    lease.error = StoreError("no lease can be kept in /nowhere")
    bot.start()
    await clock.settle()
    assert len(api.registered_at) == 1
    assert "no lease can be kept in /nowhere; two processes" in caplog.text


async def test_a_bot_whose_process_has_no_descriptors_left_waits_for_its_lease_and_says_so_once(
    lease: ScriptedLease,
    leased: tuple[Bot, CountingApi, ManualClock],
    caplog: pytest.LogCaptureFixture,
) -> None:
    bot, api, clock = leased
    lease.error = StoreError("no file descriptors left: ulimit -n", retryable=True)
    bot.start()
    await clock.advance(60)
    assert (bot.connection.state, api.registered_at) == (LinkState.PAUSED, [])
    assert "ulimit -n" in bot.connection.why
    assert caplog.text.count("ulimit -n") == 1
    lease.error = None
    await clock.advance(2)
    assert "process 4711 on this machine runs this bot" in bot.connection.why
    lease.free = True
    await clock.advance(2)
    assert (len(api.registered_at), bot.connection.state) == (1, LinkState.CONNECTING)
