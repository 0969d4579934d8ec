"""How a client is set up and put away."""

import asyncio

import aiohttp
import pytest
from aioresponses import aioresponses
from yarl import URL

from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.rest.client import BotApi
from tests.rest.conftest import BASE, new_api


@pytest.mark.parametrize(
    "base",
    [
        "",
        "octo.example",
        "ftp://octo.example",
        "http://",
        "http://user:secret@octo.example",
        "http://octo.example/?token=secret",
        "http://octo.example/#top",
        "http://octo.example:port",
        "http://octo..example/api",
        f"http://{'o' * 64}.example/api",
        "http://[::1",
    ],
)
def test_an_address_that_cannot_be_the_servers_is_a_config_error_that_shows_nothing(base: str) -> None:
    with pytest.raises(ConfigError, match="apiUrl") as caught:
        new_api(base=base)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "bf_0f\n", "bf 0f", "bf_ö"])
def test_a_token_that_cannot_travel_in_a_header_is_a_config_error_that_shows_nothing(token: str) -> None:
    with pytest.raises(ConfigError, match="token") as caught:
        new_api(token=token)

    assert "bf" not in str(caught.value)


async def test_a_client_that_was_never_used_closes_without_fuss() -> None:
    api = new_api()

    await api.close()
    await api.close()

    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_attempt_has_thirty_seconds_and_its_connection_ten(
    http_mock: aioresponses, api: BotApi
) -> None:
    http_mock.get(f"{BASE}/v1/bot/groups", payload=[])
    await api.groups()

    asked = http_mock.requests[("GET", URL(f"{BASE}/v1/bot/groups"))][0].kwargs
    assert asked["timeout"] == aiohttp.ClientTimeout(total=30, connect=10)
    assert asked["allow_redirects"] is False
