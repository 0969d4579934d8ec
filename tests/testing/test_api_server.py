"""Faults in the way of calls, the record of calls, and what becomes of a call that is cut off."""

import asyncio
from typing import Any

import aiohttp
import pytest

from openclaw_channel_octo.rest.calls import Call
from openclaw_channel_octo.testing import (
    ANY_CALL,
    Envelope,
    ErrorAnswer,
    Fault,
    Hang,
    JsonAnswer,
    LoseAnswer,
    ManualClock,
    OctoDouble,
    ProxyPage,
    RateLimit,
    Refuse,
    Slow,
)
from tests.testing.clients import ANN, GROUP, HELPER, Api, Socket

HELLO = {"type": 1, "content": "hello"}


async def test_calls_are_recorded_in_order_with_body_query_and_status(
    octo: OctoDouble, api: Api, clock: ManualClock
) -> None:
    await api.send(GROUP, HELLO)
    await clock.advance(2)
    await api.get(f"/v1/bot/user/info?uid={ANN}")
    await api.get("/v1/bot/groups/g2/members")

    sent, profile, members = octo.calls
    assert (sent.name, sent.bot, sent.status, sent.at) == ("sendMessage", HELPER, 200, 0.0)
    assert sent.body == {"channel_id": "g1", "channel_type": 2, "payload": HELLO}
    assert (profile.name, profile.body, profile.query, profile.at) == ("userInfo", None, {"uid": ANN}, 2.0)
    assert (members.name, members.query, members.status) == ("groupMembers", {"group_no": "g2"}, 400)


async def test_calls_at_once_keep_their_own_status(octo: OctoDouble, api: Api) -> None:
    paths = ["/v1/bot/groups", "/v1/bot/groups/g2", "/v1/bot/user/info"] * 10

    replies = await asyncio.gather(*(api.get(path) for path in paths))

    assert [reply.status for reply in replies] == [200, 400, 404] * 10
    statuses = {"groups": 200, "groupInfo": 400, "userInfo": 404}
    assert all(call.status == statuses[call.name] for call in octo.calls)


async def test_an_error_comes_in_the_envelope_of_the_day_and_nothing_is_done(
    octo: OctoDouble, api: Api
) -> None:
    octo.fail_next("sendMessage", ErrorAnswer(status=500, msg="发送消息失败", code="send_failed"), times=2)

    reply = await api.send(GROUP, HELLO)
    assert (reply.status, reply.json) == (500, {"msg": "发送消息失败", "status": 500})

    octo.envelope = Envelope.N
    reply = await api.send(GROUP, HELLO)
    assert reply.json["error"]["code"] == "err.server.bot_api.send_failed"
    assert octo.chat(GROUP) == []
    assert (await api.send(GROUP, HELLO)).status == 200


async def test_the_proxys_own_limit_is_a_page_without_retry_after(octo: OctoDouble, api: Api) -> None:
    octo.fail_next("groups", ProxyPage())

    reply = await api.get("/v1/bot/groups")

    assert (reply.status, reply.headers["Content-Type"].partition(";")[0]) == (503, "text/html")
    assert "nginx" in reply.text
    assert "Retry-After" not in reply.headers


@pytest.mark.parametrize(("retry_after", "header"), [(3, "3"), (None, None)])
async def test_a_rate_limit_comes_with_its_headers(
    octo: OctoDouble, api: Api, retry_after: int | None, header: str | None
) -> None:
    octo.fail_next("sendMessage", RateLimit(retry_after))

    reply = await api.send(GROUP, HELLO)

    assert (reply.status, reply.json) == (429, {"msg": "请求过于频繁，请稍后再试", "status": 429})
    assert reply.headers["X-RateLimit-Remaining"] == "0"
    assert reply.headers.get("Retry-After") == header
    assert octo.chat(GROUP) == []


async def test_the_newer_rate_limit_repeats_the_wait_in_its_details(octo: OctoDouble, api: Api) -> None:
    octo.envelope = Envelope.N
    octo.fail_next("groups", RateLimit(3))

    error = (await api.get("/v1/bot/groups")).json["error"]

    assert (error["code"], error["details"]) == ("err.shared.rate.limited", {"retry_after": 3})


@pytest.mark.parametrize(
    ("body", "status"), [({"status": 0, "msg": "redis"}, 200), (None, 200), ("text", 404)]
)
async def test_any_json_can_take_an_answers_place(octo: OctoDouble, api: Api, body: Any, status: int) -> None:
    octo.fail_next("events", JsonAnswer(body, status))

    reply = await api.post("/v1/bot/events", {})

    assert (reply.status, reply.json) == (status, body)


async def test_a_lost_answer_means_the_message_is_there_and_the_connection_is_gone(
    octo: OctoDouble, api: Api, socket: Socket
) -> None:
    octo.fail_next("sendMessage", LoseAnswer())

    with pytest.raises(aiohttp.ClientError):
        await api.send(GROUP, HELLO)

    assert (await socket.payload())["content"] == "hello"
    assert [line.text for line in octo.chat(GROUP)] == ["hello"]
    await octo.wait_for(lambda: octo.calls[0].status == 0)


async def test_a_refused_connection_means_nothing_was_done(octo: OctoDouble, api: Api) -> None:
    octo.fail_next("sendMessage", Refuse())

    with pytest.raises(aiohttp.ClientError):
        await api.send(GROUP, HELLO)

    assert octo.chat(GROUP) == []
    assert octo.calls[0].status == 0


async def test_a_call_hangs_until_it_is_released_and_is_then_carried_out(octo: OctoDouble, api: Api) -> None:
    octo.fail_next("sendMessage", Hang())
    call = asyncio.create_task(api.send(GROUP, HELLO))
    await octo.wait_for(lambda: octo.calls)
    assert octo.calls[0].status is None
    assert octo.chat(GROUP) == []

    octo.release()

    assert (await call).status == 200
    assert [line.text for line in octo.chat(GROUP)] == ["hello"]


async def test_a_release_does_not_free_later_calls(octo: OctoDouble, api: Api) -> None:
    octo.fail_next("groups", Hang(), times=2)
    octo.release()
    calls = [asyncio.create_task(api.get("/v1/bot/groups")) for _ in range(2)]
    await octo.wait_for(lambda: len(octo.calls) == len(calls))
    assert not any(call.done() for call in calls)

    octo.release()

    assert [(await call).status for call in calls] == [200, 200]


async def test_a_hanging_call_does_not_keep_the_double_from_closing() -> None:
    async with OctoDouble() as octo:
        octo.add_bot(HELPER, "bf_1")
        octo.fail_next("groups", Hang())
        api = Api(octo)
        call = asyncio.create_task(api.get("/v1/bot/groups", "bf_1"))
        await octo.wait_for(lambda: octo.calls)

    with pytest.raises(aiohttp.ClientError):
        await call
    await api.close()


async def test_a_slow_call_takes_the_clocks_time(octo: OctoDouble, api: Api, clock: ManualClock) -> None:
    octo.fail_next("groups", Slow(20))
    call = asyncio.create_task(api.get("/v1/bot/groups"))
    await clock.sleepers(1)

    await clock.advance(19.9)
    assert not call.done()
    await clock.advance(0.1)

    assert (await call).status == 200


async def test_faults_come_in_order_and_only_to_their_call(octo: OctoDouble, api: Api) -> None:
    octo.fail_next("groups", RateLimit(), times=2)
    octo.fail_next("groups", ProxyPage())

    assert (await api.send(GROUP, HELLO)).status == 200
    assert [(await api.get("/v1/bot/groups")).status for _ in range(4)] == [429, 429, 503, 200]


async def test_a_standing_fault_stays_until_it_is_healed(octo: OctoDouble, api: Api) -> None:
    octo.fail_next(ANY_CALL, ProxyPage(502), times=None)

    assert [(await api.send(GROUP, HELLO)).status for _ in range(3)] == [502, 502, 502]
    assert (await api.get("/v1/bot/groups")).status == 502

    octo.heal()
    assert (await api.send(GROUP, HELLO)).status == 200


async def test_healing_one_call_leaves_the_others(octo: OctoDouble, api: Api) -> None:
    for name in ("groups", "sendMessage"):
        octo.fail_next(name, ProxyPage(), times=None)

    octo.heal("groups")

    assert (await api.get("/v1/bot/groups")).status == 200
    assert (await api.send(GROUP, HELLO)).status == 503


@pytest.mark.parametrize(
    "call", [call for call in Call if call is not Call.PROGRESS]
)  # to the server an edit is an edit
async def test_every_call_of_the_client_can_be_made_to_fail(octo: OctoDouble, call: Call) -> None:
    fault = ProxyPage()
    octo.fail_next(call, fault)
    assert octo._server.faults.take(call) is fault


@pytest.mark.parametrize("fault", [ProxyPage(), Hang()])
async def test_a_fault_for_an_unknown_call_is_an_error_of_the_test(octo: OctoDouble, fault: Fault) -> None:
    with pytest.raises(ValueError, match=r"no call 'sendMesage'; there are .*sendMessage"):
        octo.fail_next("sendMesage", fault)
