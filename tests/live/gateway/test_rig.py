"""The rig starts real gateways of both releases; skipped unless asked for."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.live.gateway.install import VERSIONS, CannotInstall
from tests.live.gateway.model import StubModel
from tests.live.gateway.rig import RealGateway

pytestmark = pytest.mark.skipif(
    not os.environ.get("OCTO_LIVE_GATEWAY"),
    reason="starts a real OpenClaw gateway from npm: set OCTO_LIVE_GATEWAY=1 or call `make test-gateway`",
)


@pytest.fixture
async def model() -> AsyncIterator[StubModel]:
    async with StubModel() as stub:
        yield stub


async def test_a_gateway_that_is_left_leaves_no_process_and_no_file(model: StubModel) -> None:
    try:
        async with RealGateway(VERSIONS[0], model_url=model.url) as gateway:
            processes = _processes(gateway)
            assert gateway.pid in processes
    except CannotInstall as missing:
        pytest.skip(str(missing))
    assert not gateway.folder.exists()
    async with asyncio.timeout(10):
        while _processes(gateway):  # noqa: ASYNC110  # what was killed goes when the system comes to it
            await asyncio.sleep(0.01)


def _processes(gateway: RealGateway) -> set[int]:
    """Return the processes that were given the gateway's state folder, wherever they moved to since."""
    mark = f"OPENCLAW_STATE_DIR={gateway.state_dir}".encode()
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.add(int(entry.name))
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
    return found
