"""A small chat on a double, and clients for both of its halves."""

from collections.abc import AsyncIterator

import pytest

from openclaw_channel_octo.testing import ManualClock, OctoDouble
from openclaw_channel_octo.testing.pytest_plugin import manual_clock, scripted_host
from tests.testing.clients import ANN, HELPER, TOKEN, Api, Socket, Sockets

__all__ = ["api", "clock", "manual_clock", "octo", "scripted_host", "socket", "sockets"]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(wall_ms=1_779_000_000_000)


@pytest.fixture
async def octo(clock: ManualClock) -> AsyncIterator[OctoDouble]:
    """Ann, Ben and the bot Helper, whose owner is Ann; they are in the group ``g1``."""
    async with OctoDouble(clock, space_id="lab") as double:
        double.add_person(ANN, "Ann")
        double.add_person("ben", "Ben")
        double.add_bot(HELPER, TOKEN, name="Helper", owner=ANN)
        double.add_group("g1", [ANN, "ben", HELPER], name="Lab")
        yield double


@pytest.fixture
async def api(octo: OctoDouble) -> AsyncIterator[Api]:
    async with Api(octo) as client:
        yield client


@pytest.fixture
async def sockets(octo: OctoDouble) -> AsyncIterator[Sockets]:
    async with Sockets(octo) as opened:
        yield opened


@pytest.fixture
async def socket(sockets: Sockets) -> Socket:
    """The bot's socket, logged in."""
    return await sockets.connected()
