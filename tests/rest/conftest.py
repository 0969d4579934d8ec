"""A client of the bot API whose clock never waits, and the addresses it asks."""

import json
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aioresponses import aioresponses
from pydantic import SecretStr
from yarl import URL

from openclaw_channel_octo.clock import Clock, SystemClock
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.rest.client import BotApi

BASE = "http://octo.example:28080/api"
TOKEN = "bf_" + "0f" * 16
GROUP = ChannelRef("9b1e", ChannelType.GROUP)
SEND = f"{BASE}/v1/bot/sendMessage"
SERVER_DOWN = aiohttp.ClientConnectorError(Mock(), OSError("refused"))


class RecordingClock:
    """A clock that never waits and remembers what it was asked to wait."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return sum(self.slept)

    def wall_ms(self) -> int:
        return 0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def jitter(self, low: float, high: float) -> float:
        return high

    def new_id(self) -> str:
        return "0" * 32


def new_api(base: str = BASE, token: str = TOKEN, clock: Clock | None = None) -> BotApi:
    return BotApi(base_url=base, token=SecretStr(token), clock=clock or SystemClock())


def bodies(http: aioresponses, path: str) -> list[Any]:
    calls = http.requests[("POST", URL(f"{BASE}{path}"))]
    return [json.loads(call.kwargs["data"]) for call in calls]


def attempts(http: aioresponses) -> int:
    return sum(map(len, http.requests.values()))


@pytest.fixture
def recording() -> RecordingClock:
    return RecordingClock()


@pytest.fixture
async def api(recording: RecordingClock) -> AsyncIterator[BotApi]:
    async with new_api(clock=recording) as client:
        yield client
