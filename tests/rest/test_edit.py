"""Editing one of the bot's own messages, also one that was sent a moment ago."""

import json

import pytest
from pydantic import SecretStr

from openclaw_channel_octo.errors import NotFound, PayloadTooLarge, PermissionDenied
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.testing import ErrorAnswer, OctoDouble
from tests.rest.conftest import RecordingClock

TOKEN = "bf_0123456789abcdef"
BETTER = {"type": 1, "content": "better <é>"}


def deployment(octo: OctoDouble) -> tuple[BotApi, ChannelRef, RecordingClock]:
    octo.add_person("ann", "Ann")
    octo.add_bot("helper_bot", TOKEN, name="Helper", owner="ann")
    group = octo.add_group("g1", ["ann", "helper_bot"])
    clock = RecordingClock()
    return BotApi(base_url=octo.api_url, token=SecretStr(TOKEN), clock=clock), group, clock


@pytest.mark.parametrize(
    "fault",
    [
        None,
        ErrorAnswer(status=400, msg="消息不存在", code="message_not_found"),
        ErrorAnswer(status=400, msg="消息尚未投递完成，请稍后重试", code="message_not_delivered"),
        ErrorAnswer(status=500),
    ],
)
async def test_a_message_is_replaced_also_where_it_is_stored_a_moment_later(
    octo: OctoDouble, fault: ErrorAnswer | None
) -> None:
    api, group, clock = deployment(octo)
    async with api:
        sent = await api.send_message(group, {"type": 1, "content": "good"})
        if fault is not None:
            octo.fail_next("editMessage", fault, times=2)
        await api.edit_message(group, sent.message_id, BETTER)
    (line,) = octo.chat(group)
    assert (line.text, line.edited) == ("better <é>", True)
    assert sum(clock.slept) <= 2.0
    assert json.loads(octo.calls[-1].body["content_edit"]) == BETTER


async def test_a_message_that_is_not_there_is_an_error_after_three_tries(octo: OctoDouble) -> None:
    api, group, _ = deployment(octo)
    async with api:
        with pytest.raises(NotFound):
            await api.edit_message(group, "2044043250838278144", BETTER)
    assert [call.name for call in octo.calls] == ["editMessage"] * 3


async def test_a_message_of_somebody_else_and_one_too_large_are_refused_at_once(octo: OctoDouble) -> None:
    api, group, _ = deployment(octo)
    message_id = await octo.say("ann", group, "mine")
    async with api:
        with pytest.raises(PermissionDenied):
            await api.edit_message(group, message_id, BETTER)
        with pytest.raises(PayloadTooLarge):
            await api.edit_message(group, message_id, {"type": 1, "content": "x" * 300_000})
    assert len(octo.calls) == 1
