"""Reference-behaviour §5.10, accounts: whose token is used."""

import pytest

from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.testing.host import ScriptedHost
from tests.runtime.asking import ask
from tests.runtime.rig import ANN, HELPER, OTHER, OTHER_TOKEN, TOKEN, Rig

BOTS = {"helper": TOKEN, "other": OTHER_TOKEN}


async def test_a_sole_account_needs_no_name(city: Rig) -> None:
    await city.start(city.config(), ScriptedHost())
    assert await city.channel.operator_outbound().groups()


@pytest.mark.parametrize("asked", ["default", "third", "helper2"])
async def test_an_unknown_account_lists_the_options_and_is_never_another_token(city: Rig, asked: str) -> None:
    await city.start(city.config(bots=BOTS), ScriptedHost())
    seen = len(city.octo.calls)
    with pytest.raises(ConfigError, match="helper, other") as caught:
        city.channel.operator_outbound(asked)
    assert TOKEN not in str(caught.value)
    assert [call for call in city.octo.calls[seen:] if call.name == "sendMessage"] == []


async def test_the_sessions_account_is_authoritative(city: Rig) -> None:
    await city.start(city.config(bots=BOTS), ScriptedHost())
    await city.octo.wait_for(lambda: city.octo.online(OTHER))
    asked = await ask(city, ANN)
    await asked.outbound.send_text("group:g1", "as the bot that was asked")
    assert city.said(who=HELPER) == ["as the bot that was asked"]
    assert city.said(who=OTHER) == []


async def test_account_ids_match_in_any_case(city: Rig) -> None:
    await city.start(city.config(bots=BOTS), ScriptedHost())
    await city.octo.wait_for(lambda: city.octo.online(HELPER) and city.octo.online(OTHER))
    await city.channel.operator_outbound("OTHER").send_text("group:g1", "hello")
    assert city.said(who=OTHER) == ["hello"]
