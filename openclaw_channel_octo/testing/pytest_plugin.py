"""Fixtures for tests of plugins: ``pytest_plugins = ["openclaw_channel_octo.testing.pytest_plugin"]``."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from openclaw_channel_octo.testing.clock import ManualClock
from openclaw_channel_octo.testing.host import ScriptedHost
from openclaw_channel_octo.testing.octo.double import OctoDouble

__all__ = ["manual_clock", "octo_double", "scripted_host"]


@pytest.fixture
def manual_clock() -> ManualClock:
    """Return a clock that stands still until the test advances it."""
    return ManualClock()


@pytest_asyncio.fixture
async def octo_double(manual_clock: ManualClock) -> AsyncIterator[OctoDouble]:
    """Yield an empty Octo server on loopback that lives on `manual_clock`."""
    async with OctoDouble(manual_clock) as octo:
        yield octo


@pytest.fixture
def scripted_host(manual_clock: ManualClock) -> ScriptedHost:
    """Return a host that echoes until a test scripts it; it lives on `manual_clock`."""
    return ScriptedHost(clock=manual_clock)
