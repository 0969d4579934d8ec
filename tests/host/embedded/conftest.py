"""Parts that the tests of the embedded host share."""

from collections.abc import AsyncIterator

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
