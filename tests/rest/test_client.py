"""The calls as the server sees them, and what callers get for its answers."""

import logging

import pytest
from aioresponses import aioresponses
from yarl import URL

from openclaw_channel_octo.errors import (
    AmbiguousOutcome,
    ApiError,
    AuthError,
    BadAnswer,
    BadRequest,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    RateLimited,
    Unavailable,
)
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.rest.calls import POLICIES, Call
from openclaw_channel_octo.rest.client import MAX_PAYLOAD_BYTES, BotApi
from tests.rest.conftest import (
    BASE,
    GROUP,
    SEND,
    SERVER_DOWN,
    TOKEN,
    RecordingClock,
    attempts,
    bodies,
    new_api,
)

RECEIPT = f"{BASE}/v1/bot/readReceipt"
GROUPS = f"{BASE}/v1/bot/groups"
SENT = {"message_id": 2044043250838278144, "client_msg_no": "4f0c0", "message_seq": 0}


async def test_register_tells_who_asks_and_returns_the_credentials(
    http_mock: aioresponses, api: BotApi
) -> None:
    http_mock.post(
        f"{BASE}/v1/bot/register",
        payload={"robot_id": "x_bot", "name": "Helper", "im_token": TOKEN, "ws_url": "ws://h:5200"},
    )
    found = await api.register("2026.5.1" + "x" * 99, "0.1.0")

    assert (found.robot_id, found.im_token.get_secret_value()) == ("x_bot", TOKEN)
    body = bodies(http_mock, "/v1/bot/register")[0]
    assert body["plugin_version"] == "0.1.0"
    assert len(body["agent_version"]) == 50


async def test_register_without_versions_still_sends_a_json_object(
    http_mock: aioresponses, api: BotApi
) -> None:
    http_mock.post(f"{BASE}/v1/bot/register", payload={"robot_id": "x_bot", "im_token": TOKEN})
    await api.register()

    assert bodies(http_mock, "/v1/bot/register") == [{"agent_platform": "OpenClaw"}]


async def test_register_with_a_wrong_token_fails_at_once(http_mock: aioresponses, api: BotApi) -> None:
    http_mock.post(f"{BASE}/v1/bot/register", status=400, payload={"msg": "无效的bot token", "status": 400})
    with pytest.raises(AuthError, match="BotFather"):
        await api.register()

    assert attempts(http_mock) == 1


async def test_a_sent_message_has_an_exact_id(http_mock: aioresponses, api: BotApi) -> None:
    http_mock.post(SEND, payload=SENT)
    sent = await api.send_message(GROUP, {"type": 1, "content": "hello"})

    assert (sent.message_id, sent.client_msg_no, sent.message_seq) == ("2044043250838278144", "4f0c0", 0)
    expected = {"channel_id": "9b1e", "channel_type": 2, "payload": {"type": 1, "content": "hello"}}
    assert bodies(http_mock, "/v1/bot/sendMessage") == [expected]


async def test_text_travels_as_utf8_and_ids_as_given(http_mock: aioresponses, api: BotApi) -> None:
    http_mock.post(SEND, payload=SENT)
    payload = {"type": 1, "content": "你好 🙂", "reply": {"message_id": "2044043250838278144"}}
    await api.send_message(GROUP, payload)

    data = http_mock.requests[("POST", URL(SEND))][0].kwargs["data"]
    assert "你好 🙂".encode() in data
    assert b'"message_id":"2044043250838278144"' in data


async def test_half_a_surrogate_pair_does_not_stop_a_message(http_mock: aioresponses, api: BotApi) -> None:
    http_mock.post(SEND, payload=SENT)
    await api.send_message(GROUP, {"type": 1, "content": "a\ud83db"})

    assert bodies(http_mock, "/v1/bot/sendMessage")[0]["payload"]["content"] == "a?b"


async def test_a_payload_of_exactly_the_limit_is_sent(http_mock: aioresponses, api: BotApi) -> None:
    http_mock.post(SEND, payload=SENT)
    frame = len(b'{"content":""}')
    await api.send_message(GROUP, {"content": "x" * (MAX_PAYLOAD_BYTES - frame)})
    with pytest.raises(PayloadTooLarge):
        await api.send_message(GROUP, {"content": "x" * (MAX_PAYLOAD_BYTES - frame + 1)})

    assert attempts(http_mock) == 1


@pytest.mark.parametrize(
    "text", ["é" * 140_000, "<" * 50_000, "&" * 50_000], ids=["utf-8", "less", "ampersand"]
)
async def test_a_payload_that_grows_above_the_limit_on_its_way_is_refused(
    http_mock: aioresponses, text: str, api: BotApi
) -> None:
    with pytest.raises(PayloadTooLarge) as caught:
        await api.send_message(GROUP, {"content": text})

    assert attempts(http_mock) == 0
    assert text[:8] not in str(caught.value)


@pytest.mark.parametrize(
    "channel", [ChannelRef("", 2), ChannelRef(" \t", 1), ChannelRef("9b1e", 6), ChannelRef("x", 0)]
)
async def test_a_channel_that_is_no_conversation_is_refused_before_any_request(
    http_mock: aioresponses, channel: ChannelRef, api: BotApi
) -> None:
    for refused in (
        api.send_message(channel, {"type": 1}),
        api.typing(channel),
        api.read_receipt(channel, ["1"]),
        api.sync_messages(channel),
    ):
        with pytest.raises(BadRequest):
            await refused

    assert attempts(http_mock) == 0


async def test_a_limited_send_waits_as_asked_and_then_succeeds(
    http_mock: aioresponses, api: BotApi, recording: RecordingClock
) -> None:
    http_mock.post(SEND, status=429, headers={"Retry-After": "2"})
    http_mock.post(SEND, status=503, body="<html>slow down</html>", content_type="text/html")
    http_mock.post(SEND, payload=SENT)
    sent = await api.send_message(GROUP, {"type": 1})

    assert sent.message_id
    assert recording.slept == [2.5, 1.25]


async def test_a_send_gives_up_after_two_more_limits(http_mock: aioresponses, api: BotApi) -> None:
    http_mock.post(SEND, status=429, repeat=True)
    with pytest.raises(RateLimited):
        await api.send_message(GROUP, {"type": 1})

    assert attempts(http_mock) == 3


async def test_a_limit_of_a_minute_is_told_at_once(
    http_mock: aioresponses, api: BotApi, recording: RecordingClock
) -> None:
    http_mock.post(SEND, status=429, headers={"Retry-After": "60"})
    with pytest.raises(RateLimited) as caught:
        await api.send_message(GROUP, {"type": 1})

    assert caught.value.retry_after == 60
    assert recording.slept == []


async def test_a_read_survives_two_failures(
    http_mock: aioresponses, api: BotApi, recording: RecordingClock
) -> None:
    http_mock.get(GROUPS, status=502, body="<html>", content_type="text/html")
    http_mock.get(GROUPS, exception=SERVER_DOWN)
    http_mock.get(GROUPS, payload=[{"group_no": "9b1e", "name": "Lab"}])
    groups = await api.groups()

    assert [group.name for group in groups] == ["Lab"]
    assert len(recording.slept) == 2


async def test_a_read_fails_after_the_third_failure(http_mock: aioresponses, api: BotApi) -> None:
    http_mock.get(GROUPS, exception=TimeoutError(), repeat=True)
    with pytest.raises(Unavailable):
        await api.groups()

    assert attempts(http_mock) == 3


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_periodic_calls_are_never_repeated(http_mock: aioresponses, status: int, api: BotApi) -> None:
    for route in ("typing", "readReceipt"):
        http_mock.post(f"{BASE}/v1/bot/{route}", status=status, repeat=True)
    for call in (api.typing(GROUP), api.read_receipt(GROUP, ["1"])):
        with pytest.raises(ApiError):
            await call

    assert attempts(http_mock) == 2


async def test_typing_and_receipt_say_what_the_server_expects(http_mock: aioresponses, api: BotApi) -> None:
    for route in ("typing", "readReceipt"):
        http_mock.post(f"{BASE}/v1/bot/{route}", payload={"status": 200})
    await api.typing(ChannelRef("g____t", ChannelType.THREAD))
    await api.read_receipt(ChannelRef("3f0c", ChannelType.PERSON), ["2044043250838278144"])

    assert bodies(http_mock, "/v1/bot/typing") == [{"channel_id": "g____t", "channel_type": 5}]
    assert bodies(http_mock, "/v1/bot/readReceipt") == [
        {"channel_id": "3f0c", "channel_type": 1, "message_ids": ["2044043250838278144"]}
    ]


async def test_a_receipt_for_too_many_messages_is_refused_before_any_request(
    http_mock: aioresponses, api: BotApi
) -> None:
    with pytest.raises(BadRequest, match="101"):
        await api.read_receipt(GROUP, ["1"] * 101)

    assert attempts(http_mock) == 0


async def test_history_is_asked_for_by_range_and_direction(http_mock: aioresponses, api: BotApi) -> None:
    row = {"message_id": 2044043250838278144, "message_seq": 13, "payload": "eyJ0eXBlIjoxfQ=="}
    http_mock.post(f"{BASE}/v1/bot/messages/sync", payload={"messages": [row]})
    http_mock.post(f"{BASE}/v1/bot/messages/sync", payload={"messages": None})
    found = await api.sync_messages(GROUP, start=13, limit=100)
    assert await api.sync_messages(GROUP, start=9, end=4, pull_up=False) == []

    assert (found[0].message_id, found[0].payload) == ("2044043250838278144", b'{"type":1}')
    channel = {"channel_id": "9b1e", "channel_type": 2}
    assert bodies(http_mock, "/v1/bot/messages/sync") == [
        channel | {"start_message_seq": 13, "end_message_seq": 0, "limit": 100, "pull_mode": 1},
        channel | {"start_message_seq": 9, "end_message_seq": 4, "limit": 50, "pull_mode": 0},
    ]


@pytest.mark.parametrize("limit", [0, 201])
async def test_a_page_the_server_cannot_give_is_refused(
    http_mock: aioresponses, limit: int, api: BotApi
) -> None:
    with pytest.raises(BadRequest):
        await api.sync_messages(GROUP, limit=limit)


async def test_groups_members_and_people_are_read(http_mock: aioresponses, api: BotApi) -> None:
    http_mock.get(GROUPS, body="null")
    http_mock.get(f"{GROUPS}/9b1e", payload={"group_no": "9b1e", "name": "Lab", "status": 1})
    http_mock.get(f"{GROUPS}/9b1e/members", payload=[{"uid": "3f0c", "name": "Ann", "role": 1, "robot": 0}])
    http_mock.get(f"{BASE}/v1/bot/user/info?uid=3f0c", payload={"uid": "3f0c", "name": "Ann"})
    assert await api.groups() == []
    assert (await api.group_info("9b1e")).name == "Lab"
    assert [member.uid for member in await api.group_members("9b1e")] == ["3f0c"]
    assert (await api.user_info("3f0c")).name == "Ann"


async def test_an_unknown_person_is_not_found(http_mock: aioresponses, api: BotApi) -> None:
    http_mock.get(f"{BASE}/v1/bot/user/info?uid=nobody", status=404, payload={"msg": "用户不存在"})
    with pytest.raises(NotFound):
        await api.user_info("nobody")


@pytest.mark.parametrize("group_no", ["", " ", ".", ".."])
async def test_a_group_number_that_would_be_another_route_is_refused(
    http_mock: aioresponses, group_no: str, api: BotApi
) -> None:
    with pytest.raises(BadRequest):
        await api.group_info(group_no)

    assert attempts(http_mock) == 0


@pytest.mark.parametrize("call", [call for call in Call if call is not Call.UPLOAD])
def test_every_call_has_a_bound_for_its_answer(call: Call) -> None:
    listing = {Call.GROUPS, Call.GROUP_MEMBERS, Call.SYNC}
    most = POLICIES[call].max_answer_bytes
    assert 1024 * 1024 < most <= 8 * 1024 * 1024 if call in listing else most <= 512 * 1024


async def test_an_answer_without_end_is_cut_off(http_mock: aioresponses, api: BotApi) -> None:
    http_mock.post(RECEIPT, body="{" + " " * 64 * 1024 + "}")
    http_mock.post(SEND, body="{" + " " * 64 * 1024 + "}")
    with pytest.raises(BadAnswer, match="larger than 65536 bytes"):
        await api.read_receipt(GROUP, ["7"])
    with pytest.raises(AmbiguousOutcome, match="larger than 65536 bytes"):
        await api.send_message(GROUP, {"type": 1})


async def test_an_error_page_of_any_size_means_what_its_status_says(
    http_mock: aioresponses, api: BotApi
) -> None:
    http_mock.post(RECEIPT, status=403, body="x" * 100_000)
    with pytest.raises(PermissionDenied):
        await api.read_receipt(GROUP, ["7"])


async def test_neither_errors_nor_logs_nor_repr_show_token_or_text(
    http_mock: aioresponses, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    legacy = "legacy-token-of-some-form"
    http_mock.post(SEND, status=429, payload={"msg": f"slow down, {legacy}"}, repeat=2)
    http_mock.post(SEND, status=400, payload={"msg": f"who is {legacy}?"})
    async with new_api(token=legacy, clock=RecordingClock()) as api:
        with pytest.raises(BadRequest) as caught:
            await api.send_message(GROUP, {"type": 1, "content": "very private"})

    shown = f"{caught.value!r} {caught.value} {api!r} {vars(api)} {caplog.text}"
    assert "who is ***?" in shown
    assert "next attempt in" in caplog.text
    assert legacy not in shown
    assert "private" not in shown
