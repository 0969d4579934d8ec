"""A send that went wrong: whether it may have been carried out, and that it is never simply repeated."""

from unittest.mock import Mock

import aiohttp
import pytest
from aioresponses import aioresponses
from pydantic import SecretStr

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.errors import AmbiguousOutcome, Unavailable
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.rest.client import BotApi

BASE = "http://octo.example:28080/api"
TOKEN = "bf_" + "0f" * 16
SEND = f"{BASE}/v1/bot/sendMessage"
GROUP = ChannelRef("9b1e", ChannelType.GROUP)
SERVER_DOWN = aiohttp.ClientConnectorError(Mock(), OSError("refused"))


def new_api(base: str = BASE) -> BotApi:
    return BotApi(base_url=base, token=SecretStr(TOKEN), clock=SystemClock())


def attempts(http: aioresponses) -> int:
    return sum(map(len, http.requests.values()))


@pytest.mark.parametrize(
    "broken",
    [
        TimeoutError(),
        aiohttp.SocketTimeoutError(),
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientOSError(104, "reset"),
        aiohttp.ClientPayloadError(),
        ConnectionResetError(),
    ],
    ids=repr,
)
async def test_a_send_that_broke_on_the_way_is_ambiguous_and_not_repeated(
    http_mock: aioresponses, broken: Exception
) -> None:
    http_mock.post(SEND, exception=broken)
    async with new_api() as api:
        with pytest.raises(AmbiguousOutcome):
            await api.send_message(GROUP, {"type": 1})

    assert attempts(http_mock) == 1


@pytest.mark.parametrize(
    "broken",
    [
        SERVER_DOWN,
        aiohttp.ClientConnectorDNSError(Mock(), OSError("unknown host")),
        aiohttp.ConnectionTimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_send_that_never_left_is_unavailable_and_left_to_the_caller(
    http_mock: aioresponses, broken: Exception
) -> None:
    http_mock.post(SEND, exception=broken)
    async with new_api() as api:
        with pytest.raises(Unavailable, match="check apiUrl"):
            await api.send_message(GROUP, {"type": 1})

    assert attempts(http_mock) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_send_the_server_failed_on_is_ambiguous_and_not_repeated(
    http_mock: aioresponses, status: int
) -> None:
    http_mock.post(SEND, status=status, payload={"msg": "boom"})
    async with new_api() as api:
        with pytest.raises(AmbiguousOutcome):
            await api.send_message(GROUP, {"type": 1})

    assert attempts(http_mock) == 1


async def test_a_send_accepted_without_an_id_is_ambiguous(http_mock: aioresponses) -> None:
    http_mock.post(SEND, payload={"status": 200})
    async with new_api() as api:
        with pytest.raises(AmbiguousOutcome):
            await api.send_message(GROUP, {"type": 1})


async def test_a_broken_request_does_not_leave_the_token_in_the_errors_context(
    http_mock: aioresponses,
) -> None:
    http_mock.post(SEND, exception=aiohttp.ClientResponseError(Mock(), ()))
    async with new_api() as api:
        with pytest.raises(AmbiguousOutcome) as caught:
            await api.send_message(GROUP, {"type": 1})

    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
