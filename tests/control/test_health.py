"""What a service manager hears of a process, and what counts as ready."""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from openclaw_channel_octo.control.health import Health, reported
from openclaw_channel_octo.observe.notify import ServiceManager
from openclaw_channel_octo.runtime.channel import ChannelStatus
from openclaw_channel_octo.runtime.connection.supervisor import ConnectionStatus, LinkState
from openclaw_channel_octo.testing import ManualClock
from tests.managers import Heard, listening_manager
from tests.runtime.rig import TOKEN


class Bots:
    """Bots in the states a test gives them."""

    def __init__(self, trouble: str = "", **states: LinkState) -> None:
        self.trouble = trouble
        self.states = states
        self.why = "why"

    def status(self) -> ChannelStatus:
        bots = {
            name: ConnectionStatus(state=state, since_ms=0, why=self.why)
            for name, state in self.states.items()
        }
        return ChannelStatus(bots=bots, turns={}, lanes={}, failing={}, trouble=self.trouble)


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[Heard]:
    with listening_manager(tmp_path / "notify") as listening:
        yield listening


def begun(bots: Bots) -> Health:
    health = Health(bots.status, lambda text: text.replace(TOKEN, "[hidden]"))
    health.begun = True
    return health


@pytest.mark.parametrize(
    ("bots", "line", "troubles"),
    [
        (Bots(a=LinkState.ONLINE, b=LinkState.ONLINE), "2 of 2 bots online", ()),
        (
            Bots(a=LinkState.ONLINE, b=LinkState.REFUSED),
            "1 of 2 bots online; b: refused: why",
            ("b: refused: why",),
        ),
        (Bots(a=LinkState.ONLINE, b=LinkState.ENDING), "1 of 1 bots online", ()),
        (
            Bots("disk full", a=LinkState.ONLINE),
            "1 of 1 bots online; the journal cannot be written: disk full",
            ("the journal cannot be written: disk full",),
        ),
    ],
)
def test_what_keeps_bots_from_working_is_told_in_a_line_each(
    bots: Bots, line: str, troubles: tuple[str, ...]
) -> None:
    assert begun(bots).line == line
    assert begun(bots).troubles == troubles


@pytest.mark.parametrize("why", ["token refused", "语" * 3000, "x\ud800" * 3000])
async def test_many_bots_in_trouble_fit_a_datagram_and_hold_up_neither_ready_nor_signs_of_life(
    heard: Heard, clock: ManualClock, why: str
) -> None:
    bots = Bots(**{f"bot{number}": LinkState.REFUSED for number in range(60)})
    bots.why = why
    async with reported(begun(bots), ServiceManager(heard.address, watchdog_s=6), clock):
        await clock.advance(0.05)
    status = next(line for line in heard.look() if line.startswith("STATUS="))
    assert len(status.encode()) < 4096
    assert status.startswith("STATUS=0 of 60 bots online; bot0: refused: ")
    assert status.endswith("; and 55 more")
    assert sorted(heard.told) == [["READY=1"], [status], ["WATCHDOG=1"]]


def test_a_process_that_starts_or_stops_is_in_trouble_whatever_its_bots_are() -> None:
    health = Health(Bots(a=LinkState.ONLINE).status)
    assert (health.line, health.troubles, health.settled) == ("starting", ("starting",), False)
    health.begun, health.ending = True, "SIGTERM"
    assert (health.line, health.troubles) == ("stopping: SIGTERM", ("stopping: SIGTERM",))


def test_a_line_holds_no_secret_and_cannot_forge_another() -> None:
    bots = Bots(a=LinkState.REFUSED)
    bots.why = f"bad {TOKEN}\nREADY=1"
    assert begun(bots).line == "0 of 1 bots online; a: refused: bad [hidden]\\nREADY=1"


async def test_ready_is_told_when_every_bot_is_online_and_not_before(
    heard: Heard, clock: ManualClock
) -> None:
    bots = Bots(a=LinkState.ONLINE, b=LinkState.CONNECTING)
    async with reported(begun(bots), ServiceManager(heard.address), clock):
        await clock.advance(10)
        assert heard.look() == ["STATUS=1 of 2 bots online; b: connecting: why"]
        bots.states["b"] = LinkState.ONLINE
        await clock.advance(0.2)
        assert heard.told[1:] == []
        assert heard.look()[1:] == ["STATUS=2 of 2 bots online", "READY=1"]
        bots.states["a"] = LinkState.KICKED
        await clock.advance(20)
    assert heard.look()[3:] == ["STATUS=1 of 2 bots online; a: kicked: why"]


@pytest.mark.parametrize(
    ("state", "after_s"), [(LinkState.NO_TOKEN, 0.2), (LinkState.PAUSED, 0.2), (LinkState.CONNECTING, 31)]
)
async def test_a_bot_that_cannot_come_online_does_not_hold_up_the_start_for_ever(
    heard: Heard, clock: ManualClock, state: LinkState, after_s: float
) -> None:
    async with reported(begun(Bots(a=state)), ServiceManager(heard.address), clock):
        await clock.advance(after_s)
    assert heard.look() == [f"STATUS=0 of 1 bots online; a: {state}: why", "READY=1"]


async def test_a_process_that_is_stopped_during_its_start_is_never_ready(
    heard: Heard, clock: ManualClock
) -> None:
    health = Health(Bots(a=LinkState.CONNECTING).status)
    async with reported(health, ServiceManager(heard.address), clock):
        health.ending = "SIGTERM"
        await clock.advance(60)
    assert heard.look() == ["STATUS=stopping: SIGTERM"]


async def test_a_watchdog_hears_from_the_loop_three_times_in_its_time_and_never_afterwards(
    heard: Heard, clock: ManualClock
) -> None:
    health = begun(Bots(a=LinkState.ONLINE))
    async with reported(health, ServiceManager(heard.address, watchdog_s=6), clock):
        await clock.advance(0.05)
        before = heard.look().count("WATCHDOG=1")
        await clock.advance(12)
        assert heard.look().count("WATCHDOG=1") - before == 6
    await clock.advance(12)
    assert heard.look().count("WATCHDOG=1") - before == 6


async def test_what_a_manager_that_is_away_did_not_hear_is_told_again(
    tmp_path: Path, clock: ManualClock
) -> None:
    manager = ServiceManager(str(tmp_path / "notify"))
    async with reported(begun(Bots(a=LinkState.ONLINE)), manager, clock):
        await clock.advance(1)
        with listening_manager(tmp_path / "notify") as heard:
            await clock.advance(1)
            assert heard.look() == ["STATUS=1 of 1 bots online", "READY=1"]


def test_a_manager_that_does_not_read_is_not_waited_for(heard: Heard) -> None:
    manager = ServiceManager(heard.address)
    while manager.tell("STATUS=x"):
        pass
    assert set(heard.look()) == {"STATUS=x"}


@pytest.mark.parametrize(
    ("env", "watchdog_s", "listens"),
    [
        ({}, 0, False),
        ({"NOTIFY_SOCKET": "/run/notify"}, 0, True),
        ({"NOTIFY_SOCKET": "@notify", "WATCHDOG_USEC": "6000000"}, 6, True),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "6000000", "WATCHDOG_PID": str(os.getpid())}, 6, True),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "6000000", "WATCHDOG_PID": "1"}, 0, True),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "soon"}, 0, True),
        ({"NOTIFY_SOCKET": "vsock:2:9"}, 0, False),
    ],
)
def test_the_environment_names_the_manager_once_and_programs_started_later_do_not_inherit_it(
    env: dict[str, str], watchdog_s: float, listens: bool
) -> None:
    env["HOME"] = "/home/ann"
    manager = ServiceManager.from_environment(env)
    assert (manager.watchdog_s, manager.listens) == (watchdog_s, listens)
    assert env == {"HOME": "/home/ann"}


@pytest.mark.skipif(not hasattr(socket, "SO_PASSCRED"), reason="abstract addresses are Linux's")
def test_an_abstract_address_is_told_too() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0octo-test-{os.getpid()}")
        assert ServiceManager(f"@octo-test-{os.getpid()}").tell("READY=1")
        assert listening.recv(100) == b"READY=1"


def test_a_reload_is_told_with_its_time_and_ends_ready_also_where_it_fails(
    heard: Heard, clock: ManualClock
) -> None:
    manager = ServiceManager(heard.address)
    with manager.reloading(clock):
        pass
    assert heard.look() == []  # a start is not over before READY=1
    manager.tell("READY=1")
    with suppress(ValueError), manager.reloading(clock):
        assert heard.look() == ["READY=1", "RELOADING=1", "MONOTONIC_USEC=0"]
        raise ValueError("faulty")
    assert heard.look()[3:] == ["READY=1"]


async def test_the_end_of_a_reload_that_a_full_socket_has_lost_is_told_by_the_next_report(
    heard: Heard, clock: ManualClock
) -> None:
    manager = ServiceManager(heard.address)
    async with reported(begun(Bots(a=LinkState.ONLINE)), manager, clock):
        await clock.advance(1)
        with manager.reloading(clock):
            while manager.tell("STATUS=x"):
                pass
            await clock.advance(10)
        heard.look()
        seen = len(heard.told)
        await clock.advance(10)
        heard.look()
        assert heard.told[seen:] == [["READY=1"]]
