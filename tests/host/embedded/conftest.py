"""Parts that the tests of the embedded host share."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from openclaw_channel_octo.host.embedded import openai_client
from openclaw_channel_octo.testing.clock import ManualClock
from tests.host.embedded.endpoint import Endpoint


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def plain_user_folder() -> Iterator[Path]:
    """A folder of a user without privileges, who the test runs as: nothing is read-only to root."""
    nobody = 65534
    is_root = os.geteuid() == 0
    with TemporaryDirectory() as name:
        folder = Path(name)
        if is_root and not all(parent.stat().st_mode & 0o001 for parent in folder.parents):
            pytest.skip("the folder for temporary files is closed to other users")
        if is_root:
            os.chown(folder, nobody, nobody)
            os.seteuid(nobody)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
            folder.chmod(0o700)


@pytest.fixture
async def endpoint(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Endpoint]:
    """A model endpoint; what it refuses is not asked for again, which would wait in real time."""
    monkeypatch.setattr(openai_client, "RETRIES", 0)
    endpoint = Endpoint()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", endpoint.serve)
    server = TestServer(app)
    await server.start_server()
    endpoint.url = str(server.make_url("/v1"))
    yield endpoint
    await server.close()
