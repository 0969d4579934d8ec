"""A send that went wrong: whether it may have been carried out, and that it is never simply repeated."""

from unittest.mock import Mock

import aiohttp
import pytest
from aioresponses import aioresponses

from openclaw_channel_octo.errors import AmbiguousOutcome, Unavailable
from openclaw_channel_octo.rest.client import BotApi
from tests.rest.conftest import GROUP, SEND, SERVER_DOWN, attempts

UNKNOWN_HOST = aiohttp.ClientConnectorDNSError(Mock(), OSError("unknown host"))
NEVER_LEFT = [SERVER_DOWN, UNKNOWN_HOST, aiohttp.ConnectionTimeoutError()]
BROKE_ON_THE_WAY = [
    TimeoutError(),
    aiohttp.SocketTimeoutError(),
    aiohttp.ServerDisconnectedError(),
    aiohttp.ClientOSError(104, "reset"),
    aiohttp.ClientPayloadError(),
    ConnectionResetError(),
]


@pytest.mark.parametrize("broken", [*BROKE_ON_THE_WAY, *NEVER_LEFT], ids=lambda error: type(error).__name__)
async def test_a_broken_send_is_not_repeated_and_ambiguous_unless_it_never_left(
    http_mock: aioresponses, api: BotApi, broken: Exception
) -> None:
    http_mock.post(SEND, exception=broken)
    expected = Unavailable if broken in NEVER_LEFT else AmbiguousOutcome
    with pytest.raises(expected, match="check apiUrl"):
        await api.send_message(GROUP, {"type": 1})

    assert attempts(http_mock) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_send_the_server_failed_on_is_ambiguous_and_not_repeated(
    http_mock: aioresponses, api: BotApi, status: int
) -> None:
    http_mock.post(SEND, status=status, payload={"msg": "boom"})
    with pytest.raises(AmbiguousOutcome):
        await api.send_message(GROUP, {"type": 1})

    assert attempts(http_mock) == 1


async def test_a_send_accepted_without_an_id_is_ambiguous(http_mock: aioresponses, api: BotApi) -> None:
    http_mock.post(SEND, payload={"status": 200})
    with pytest.raises(AmbiguousOutcome):
        await api.send_message(GROUP, {"type": 1})


async def test_a_broken_request_does_not_leave_the_token_in_the_errors_context(
    http_mock: aioresponses, api: BotApi
) -> None:
    http_mock.post(SEND, exception=aiohttp.ClientResponseError(Mock(), ()))
    with pytest.raises(AmbiguousOutcome) as caught:
        await api.send_message(GROUP, {"type": 1})

    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
