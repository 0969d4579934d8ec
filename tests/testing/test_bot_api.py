"""The bot API of the double, call by call, as a bare HTTP client sees it."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.capture.format import ApiCall, read_capture
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing import Envelope, JsonAnswer, ManualClock, OctoDouble, RawMessage
from openclaw_channel_octo.wire.packets import Flags
from tests.testing.clients import ANN, GROUP, HELPER, TOKEN, Api, Socket, Sockets

FIXTURES = Path(__file__).parents[2] / "fixtures" / "wukongim"
DM = ChannelRef(ANN, 1)
JSON_ROUTES = ["sendMessage", "typing", "readReceipt", "events", "messages/sync", "message/edit"]


async def test_register_gives_the_credentials(octo: OctoDouble, api: Api) -> None:
    reply = await api.post("/v1/bot/register", {"agent_platform": "python"})

    assert reply.status == 200
    assert reply.json == {
        "robot_id": HELPER,
        "name": "Helper",
        "im_token": TOKEN,
        "ws_url": octo.ws_url,
        "api_url": octo.api_url,
        "owner_uid": ANN,
        "owner_channel_id": ANN,
    }


async def test_register_can_tell_a_socket_address_that_leads_nowhere(octo: OctoDouble, api: Api) -> None:
    octo.ws_url_override = "ws://127.0.0.1:1"

    assert (await api.post("/v1/bot/register", {})).json["ws_url"] == "ws://127.0.0.1:1"


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("Bearer bf_wrong", "无效的bot token"),
        (f"bearer {TOKEN}", "缺少Authorization头"),
        (None, "缺少Authorization头"),
    ],
)
async def test_register_refuses_a_bad_token_with_400(api: Api, header: str | None, text: str) -> None:
    headers = {"Authorization": header} if header else {}

    reply = await api.request("POST", "/v1/bot/register", data=b"{}", headers=headers)

    assert (reply.status, reply.json) == (400, {"msg": text, "status": 400})


@pytest.mark.parametrize("header", ["Bearer bf_wrong", f"bearer {TOKEN}", f"Bearer  {TOKEN}", TOKEN, None])
async def test_every_other_call_refuses_a_bad_token_with_401(
    octo: OctoDouble, api: Api, header: str | None
) -> None:
    headers = {"Authorization": header} if header else {}

    reply = await api.request("GET", "/v1/bot/groups", headers=headers)

    assert reply.status == 401
    assert list(reply.json) == ["msg"]
    assert octo.calls[-1].bot == ""


@pytest.mark.parametrize("route", JSON_ROUTES)
@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"channel_id":NaN}', b'{"channel_id":1e999}'])
async def test_a_body_that_is_no_json_object_is_400(api: Api, route: str, data: bytes) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}

    reply = await api.request("POST", f"/v1/bot/{route}", data=data, headers=headers)

    assert (reply.status, reply.json) == (400, {"msg": "数据格式有误", "status": 400})


@pytest.mark.parametrize("route", ["register", "heartbeat", "events/7/ack"])
async def test_calls_without_fields_take_an_empty_body(api: Api, route: str) -> None:
    reply = await api.request("POST", f"/v1/bot/{route}", headers={"Authorization": f"Bearer {TOKEN}"})

    assert reply.status == 200


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/v1/bot/stream/start", "POST"),
        ("/v1/bot/sendMessage", "GET"),
        ("/v2", "GET"),
        ("/v1/bot/obo-grant", "GET"),
    ],
)
async def test_an_unknown_route_is_a_plain_404(api: Api, path: str, method: str) -> None:
    reply = await api.request(method, path, headers={"Authorization": f"Bearer {TOKEN}"})

    assert (reply.status, reply.text) == (404, "404 page not found")


async def test_the_api_is_served_behind_the_proxys_prefix_too(api: Api) -> None:
    assert (await api.get("/api/v1/bot/groups")).status == 200


async def test_every_answer_carries_the_rate_limit(api: Api) -> None:
    headers = (await api.get("/v1/bot/groups")).headers

    assert headers["X-RateLimit-Limit"] == "1000"
    assert headers["X-RateLimit-Remaining"] == "999"
    assert headers["X-RateLimit-Scope"] == "ip"


class TestSendMessage:
    async def test_the_answer_has_a_large_number_for_an_id_and_no_sequence_number(self, api: Api) -> None:
        reply = await api.send(GROUP, {"type": 1, "content": "hello"})

        assert set(reply.json) == {"message_id", "client_msg_no", "message_seq"}
        assert reply.json["message_id"] > 2**53
        assert float(reply.json["message_id"]) != reply.json["message_id"]
        assert reply.json["message_seq"] == 0
        assert len(reply.json["client_msg_no"]) == 33
        assert reply.json["client_msg_no"].endswith("0")

    async def test_people_see_the_message(self, octo: OctoDouble, api: Api) -> None:
        reply = await api.send(GROUP, {"type": 1, "content": "hello"})

        (line,) = octo.chat(GROUP)
        assert (line.text, line.name, line.message_id) == ("hello", "Helper", str(reply.json["message_id"]))

    async def test_a_client_msg_no_of_the_clients_is_ignored_and_sending_twice_makes_two(
        self, octo: OctoDouble, api: Api
    ) -> None:
        body = {
            "channel_id": "g1",
            "channel_type": 2,
            "payload": {"type": 1, "content": "x"},
            "client_msg_no": "mine",
        }

        replies = [await api.post("/v1/bot/sendMessage", body | {"no_such_field": 1}) for _ in range(2)]

        assert "mine" not in {reply.json["client_msg_no"] for reply in replies}
        assert len(octo.chat(GROUP)) == 2

    async def test_unknown_payload_keys_pass_and_large_integers_come_back_rounded(
        self, api: Api, socket: Socket
    ) -> None:
        payload = {
            "type": 1,
            "zebra": [2**53, 2**53 + 1, -(2**53) - 1, 1.0, 0.5, True, None],
            "content": "x",
            "client_ref": "chunk-7",
            "reply": {"message_id": 2044043250838278144},
        }

        await api.send(GROUP, payload)

        message = await socket.message()
        assert json.loads(message.payload) == {
            "client_ref": "chunk-7",
            "content": "x",
            "reply": {"message_id": 2044043250838278100},
            "type": 1,
            "zebra": [2**53, 9007199254740992, -9007199254740992, 1, 0.5, True, None],
        }
        assert message.payload.startswith(b'{"client_ref":')

    @pytest.mark.parametrize(("space_id", "expected"), [("lab", {"space_id": "lab"}), ("", {})])
    async def test_a_direct_message_is_stamped_with_the_space_or_freed_of_it(
        self, clock: ManualClock, space_id: str, expected: dict[str, str]
    ) -> None:
        async with OctoDouble(clock, space_id=space_id) as octo, Api(octo) as api:
            octo.add_person(ANN, "Ann")
            octo.add_bot(HELPER, TOKEN)

            await api.send(DM, {"type": 1, "content": "hi", "space_id": "forged"})

            assert octo.chat(DM, HELPER)[0].payload == {"type": 1, "content": "hi"} | expected

    @pytest.mark.parametrize(
        ("body", "text"),
        [
            ({"channel_type": 2, "payload": {"type": 1}}, "channel_id不能为空"),
            ({"channel_id": " ", "channel_type": 2, "payload": {"type": 1}}, "channel_id不能为空"),
            ({"channel_id": "g1", "payload": {"type": 1}}, "channel_type不能为空"),
            ({"channel_id": "g1", "channel_type": 2}, "payload不能为空"),
            ({"channel_id": "g1", "channel_type": 2, "payload": {}}, "payload不能为空"),
            ({"channel_id": "g1", "channel_type": "2", "payload": {"type": 1}}, "数据格式有误"),
            ({"channel_id": 7, "channel_type": 2, "payload": {"type": 1}}, "数据格式有误"),
            ({"channel_id": "g1", "channel_type": 2, "payload": "text"}, "数据格式有误"),
            (
                {"channel_id": "g2", "channel_type": 2, "payload": {"type": 1}},
                "bot is not a member of this group",
            ),
            (
                {"channel_id": "g1", "channel_type": 5, "payload": {"type": 1}},
                "invalid thread channel_id format",
            ),
            (
                {"channel_id": "g2____1", "channel_type": 5, "payload": {"type": 1}},
                "bot is not a member of this group",
            ),
            (
                {"channel_id": "nobody", "channel_type": 1, "payload": {"type": 1}},
                "bot is not a friend of this user",
            ),
        ],
    )
    async def test_a_refusal_is_400_with_its_text(
        self, octo: OctoDouble, api: Api, body: dict[str, Any], text: str
    ) -> None:
        reply = await api.post("/v1/bot/sendMessage", body)

        assert (reply.status, reply.json) == (400, {"msg": text, "status": 400})
        assert octo.chat(GROUP) == []

    async def test_garbage_in_the_payload_is_delivered(self, octo: OctoDouble, api: Api) -> None:
        assert (await api.send(GROUP, {"nonsense": True})).status == 200
        assert octo.chat(GROUP)[0].text == "[?]"

    async def test_a_bot_out_of_the_group_is_refused(self, octo: OctoDouble, api: Api) -> None:
        octo.remove_member("g1", HELPER)

        assert (await api.send(GROUP, {"type": 1, "content": "x"})).status == 400

        octo.add_member("g1", HELPER)
        assert (await api.send(GROUP, {"type": 1, "content": "x"})).status == 200

    async def test_a_thread_takes_members_of_its_group(self, octo: OctoDouble, api: Api) -> None:
        thread = octo.add_thread("g1", "2039626171074744320")

        assert (await api.send(thread, {"type": 1, "content": "in the thread"})).status == 200
        assert [line.text for line in octo.chat(thread)] == ["in the thread"]

        octo.delete_thread(thread)
        assert (await api.send(thread, {"type": 1, "content": "too late"})).status == 200
        assert len(octo.chat(thread)) == 1

    async def test_a_disbanded_group_swallows_messages_or_refuses_them(
        self, octo: OctoDouble, api: Api
    ) -> None:
        octo.disband("g1")

        assert (await api.send(GROUP, {"type": 1, "content": "x"})).status == 200
        assert octo.chat(GROUP) == []

        octo.envelope = Envelope.N
        reply = await api.send(GROUP, {"type": 1, "content": "x"})
        assert (reply.status, reply.json["error"]["http_status"]) == (400, 403)
        assert reply.json["error"]["code"] == "err.server.bot_api.group_disbanded"

    async def test_friends_and_the_owner_can_be_written_to(self, octo: OctoDouble, api: Api) -> None:
        octo.add_person("stranger", "Sid", stranger=True)
        stranger = ChannelRef("stranger", 1)

        assert (await api.send(stranger, {"type": 1, "content": "x"})).status == 400
        octo.befriend(HELPER, "stranger")
        assert (await api.send(stranger, {"type": 1, "content": "x"})).status == 200
        octo.unfriend(HELPER, "stranger")
        assert (await api.send(stranger, {"type": 1, "content": "x"})).status == 400
        octo.unfriend(HELPER, ANN)
        assert (await api.send(DM, {"type": 1, "content": "x"})).status == 200

    async def test_an_app_bot_talks_in_direct_messages_only(self, octo: OctoDouble, api: Api) -> None:
        octo.add_bot("app_x_bot", "app_1")
        octo.add_member("g1", "app_x_bot")
        octo.add_person("stranger", "Sid", stranger=True)

        assert (await api.send(DM, {"type": 1, "content": "x"}, "app_1")).status == 200
        reply = await api.send(GROUP, {"type": 1, "content": "x"}, "app_1")
        assert reply.json["msg"] == "app bot only supports direct messages"
        reply = await api.send(ChannelRef("stranger", 1), {"type": 1, "content": "x"}, "app_1")
        assert reply.json["msg"] == "user has not started conversation with this bot"
        assert (await api.get("/v1/bot/groups/g1", "app_1")).json[
            "msg"
        ] == "app bot does not support group operations"


class TestTyping:
    async def type(self, api: Api, channel: ChannelRef = GROUP) -> int:
        return (
            await api.post("/v1/bot/typing", {"channel_id": channel.id, "channel_type": channel.type})
        ).status

    async def test_it_is_broadcast_to_the_group_and_the_bot_itself_as_a_command_of_the_system(
        self, api: Api, socket: Socket
    ) -> None:
        assert await self.type(api) == 200

        message = await socket.message()
        assert (message.from_uid, message.message_seq, message.channel_id) == ("", 0, "g1")
        assert message.flags == Flags.NO_PERSIST | Flags.SYNC_ONCE
        assert message.message_id > 2**53
        assert json.loads(message.payload) == {
            "type": 99,
            "cmd": "typing",
            "param": {"from_uid": HELPER, "channel_id": "g1", "channel_type": 2},
        }

    async def test_in_a_direct_conversation_only_the_person_sees_it(
        self, octo: OctoDouble, api: Api, sockets: Sockets
    ) -> None:
        octo.add_person("cleo", "Cleo", token="cleo's")
        bot, cleo = await sockets.connected(), await sockets.connected("cleo", "cleo's")

        assert await self.type(api, ChannelRef("cleo", 1)) == 200

        message = await cleo.message()
        assert (message.from_uid, message.channel_id, message.channel_type) == ("", "", 1)
        assert json.loads(message.payload)["param"]["channel_id"] == HELPER
        await bot.pong()

    async def test_it_fades_after_ninety_seconds_until_a_new_window_opens(
        self, api: Api, clock: ManualClock, socket: Socket
    ) -> None:
        seen = []
        for pause in (0, 45, 44, 1, 45, 44, 1):
            await clock.advance(pause)
            assert await self.type(api) == 200
            if await socket.heard():
                seen.append(clock.now())

        assert seen == [0, 45, 89, 180]

    async def test_a_sent_message_starts_it_anew(self, api: Api, clock: ManualClock, socket: Socket) -> None:
        await self.type(api)
        await socket.message()
        await clock.advance(100)
        await self.type(api)
        await socket.pong()

        await api.send(GROUP, {"type": 1, "content": "still on it"})
        await socket.message()
        await self.type(api)

        assert (await socket.payload())["cmd"] == "typing"

    async def test_it_needs_the_same_rights_as_sending(self, api: Api) -> None:
        assert await self.type(api, ChannelRef("g2", 2)) == 400


class TestReadReceipt:
    async def read(self, api: Api, **body: Any) -> int:
        return (await api.post("/v1/bot/readReceipt", {"channel_id": "g1", "channel_type": 2, **body})).status

    async def test_people_see_who_has_read(self, octo: OctoDouble, api: Api) -> None:
        first = await octo.say(ANN, GROUP, "one")
        await octo.say(ANN, GROUP, "two")

        assert await self.read(api, message_ids=[first, "not a number", "999"]) == 200

        assert [line.read_by for line in octo.chat(GROUP)] == [{HELPER}, frozenset()]

    async def test_up_to_a_hundred_ids_are_taken_and_they_are_strings(self, api: Api) -> None:
        assert await self.read(api) == 200
        assert await self.read(api, message_ids=["1"] * 100) == 200
        assert await self.read(api, message_ids=["1"] * 101) == 400
        assert await self.read(api, message_ids=[2044043250838278144]) == 400
        assert await self.read(api, message_ids="1") == 400

    async def test_without_a_channel_type_it_is_about_a_person(self, api: Api) -> None:
        assert await self.read(api, channel_id=ANN, channel_type=0) == 200
        assert await self.read(api, channel_type=0) == 400


class TestHistory:
    async def sync(self, api: Api, channel: ChannelRef, **body: Any) -> Any:
        reply = await api.post(
            "/v1/bot/messages/sync", {"channel_id": channel.id, "channel_type": channel.type, **body}
        )
        assert reply.status == 200
        return reply.json

    async def test_every_recorded_range_gives_the_recorded_rows(self, clock: ManualClock) -> None:
        capture = read_capture(FIXTURES / "reconnect-with-gap.wkcap")
        calls = [call for call in capture.records if isinstance(call, ApiCall)]
        bot, owner = capture.header.account.robot_id, capture.header.account.owner_uid
        async with OctoDouble(clock) as octo, Api(octo) as api:
            octo.add_person(owner, "Owner")
            octo.add_bot(bot, TOKEN, owner=owner)
            for row in [row for call in calls for row in call.response["messages"]]:
                channel = ChannelRef(
                    owner if row["channel_type"] == 1 else row["channel_id"], row["channel_type"]
                )
                if channel.type == 2:
                    octo.add_group(channel.id, [owner, bot])
                raw = RawMessage(
                    from_uid=row["from_uid"],
                    channel=channel,
                    payload=base64.b64decode(row["payload"]),
                    message_id=row["message_id"],
                    message_seq=row["message_seq"],
                    client_msg_no=row["client_msg_no"],
                    timestamp=row["timestamp"],
                    flags=Flags.RED_DOT,
                )
                await octo.inject(bot, raw, stored=True)

            for call in calls:
                asked = {
                    k: v for k, v in call.body.items() if k not in {"channel_id", "channel_type", "login_uid"}
                }
                got = await self.sync(
                    api, ChannelRef(call.body["channel_id"], call.body["channel_type"]), **asked
                )
                rows = [{k: v for k, v in row.items() if k != "header"} for row in call.response["messages"]]
                assert [{k: row[k] for k in rows[0]} for row in got["messages"]] == rows

    async def say(self, octo: OctoDouble, count: int, channel: ChannelRef = GROUP) -> None:
        for number in range(1, count + 1):
            await octo.say(ANN, channel, str(number))

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            ((0, 0, 3, 0), [7, 8, 9]),
            ((0, 0, 3, 1), [7, 8, 9]),
            ((4, 0, 3, 1), [4, 5, 6]),
            ((4, 6, 9, 1), [4, 5]),
            ((0, 3, 9, 1), [1, 2]),
            ((4, 4, 9, 1), []),
            ((10, 0, 9, 1), []),
            ((9, 4, 9, 0), [5, 6, 7, 8, 9]),
            ((9, 4, 2, 0), [8, 9]),
            ((5, 0, 2, 0), [4, 5]),
            ((0, 4, 9, 0), []),
            ((4, 9, 9, 0), []),
        ],
        ids=str,
    )
    async def test_ranges_are_half_open_and_rows_ascend(
        self, octo: OctoDouble, api: Api, asked: tuple[int, int, int, int], expected: list[int]
    ) -> None:
        await self.say(octo, 9)
        names = ("start_message_seq", "end_message_seq", "limit", "pull_mode")

        got = await self.sync(api, GROUP, **dict(zip(names, asked, strict=True)))

        assert [row["message_seq"] for row in got["messages"]] == expected
        assert (got["start_message_seq"], got["end_message_seq"], got["pull_mode"]) == (0, 0, 0)
        assert "more" not in got

    async def test_a_page_has_fifty_rows_and_at_most_two_hundred(self, octo: OctoDouble, api: Api) -> None:
        await self.say(octo, 205)

        assert len((await self.sync(api, GROUP))["messages"]) == 50
        assert len((await self.sync(api, GROUP, limit=900))["messages"]) == 200

    async def test_a_row_has_its_id_twice_and_its_payload_in_base64(self, octo: OctoDouble, api: Api) -> None:
        message_id = await octo.say(ANN, GROUP, "你好")

        (row,) = (await self.sync(api, GROUP))["messages"]

        assert (row["message_idstr"], row["message_id"]) == (message_id, int(message_id))
        assert json.loads(base64.b64decode(row["payload"])) == {"type": 1, "content": "你好"}
        assert row["header"] == {"no_persist": 0, "red_dot": 1, "sync_once": 0}
        assert (row["from_uid"], row["channel_id"], row["channel_type"]) == (ANN, "g1", 2)

    async def test_a_direct_row_names_the_side_its_sender_wrote_to(self, octo: OctoDouble, api: Api) -> None:
        await octo.say(ANN, ChannelRef(HELPER, 1), "question")
        await api.send(DM, {"type": 1, "content": "answer"})

        rows = (await self.sync(api, DM))["messages"]

        assert [row["channel_id"] for row in rows] == [HELPER, ANN]

    async def test_commands_are_not_in_it_and_a_strange_channel_is_empty(
        self, octo: OctoDouble, api: Api
    ) -> None:
        await octo.start_typing(ANN, GROUP)

        assert (await self.sync(api, GROUP))["messages"] == []
        assert (await self.sync(api, ChannelRef("ben", 1)))["messages"] == []


class TestEdit:
    async def edit(self, api: Api, message_id: Any, content: Any = '{"type":1,"content":"better"}') -> Any:
        body = {"message_id": message_id, "channel_id": "g1", "channel_type": 2, "content_edit": content}
        reply = await api.post("/v1/bot/message/edit", body)
        return reply.json.get("msg", reply.status)

    async def test_people_see_the_new_text_and_the_channel_hears_of_it_once(
        self, octo: OctoDouble, api: Api, sockets: Sockets
    ) -> None:
        sent = str((await api.send(GROUP, {"type": 1, "content": "draft"})).json["message_id"])
        socket = await sockets.connected()

        assert await self.edit(api, sent) == 200
        assert await self.edit(api, sent) == 200

        (line,) = octo.chat(GROUP)
        assert (line.text, line.edited) == ("better", True)
        assert await socket.payload() == {"type": 99, "cmd": "syncMessageExtra"}
        await socket.pong()

    async def test_only_own_messages_of_that_channel_can_be_edited(self, octo: OctoDouble, api: Api) -> None:
        anns = await octo.say(ANN, GROUP, "mine")
        direct = str((await api.send(DM, {"type": 1, "content": "x"})).json["message_id"])

        assert await self.edit(api, anns) == "只能编辑自己发送的消息"
        assert await self.edit(api, direct) == "消息不存在"
        assert await self.edit(api, "17") == "消息不存在"
        assert await self.edit(api, int(direct)) == "数据格式有误"
        assert await self.edit(api, direct, {"type": 1}) == "数据格式有误"

    async def test_history_keeps_the_first_text(self, api: Api) -> None:
        sent = str((await api.send(GROUP, {"type": 1, "content": "draft"})).json["message_id"])
        await self.edit(api, sent)

        reply = await api.post("/v1/bot/messages/sync", {"channel_id": "g1", "channel_type": 2})

        assert json.loads(base64.b64decode(reply.json["messages"][0]["payload"]))["content"] == "draft"


class TestGroupsAndPeople:
    async def test_the_bots_groups_are_a_list_or_null(self, octo: OctoDouble, api: Api) -> None:
        octo.add_group("g2", [ANN])
        assert (await api.get("/v1/bot/groups")).json == [
            {"group_no": "g1", "name": "Lab", "space_id": "lab"}
        ]

        octo.remove_member("g1", HELPER)
        assert (await api.get("/v1/bot/groups")).text == "null"

    async def test_a_groups_own_data_is_for_members(self, octo: OctoDouble, api: Api) -> None:
        octo.add_group("g2", [ANN])

        info = (await api.get("/v1/bot/groups/g1")).json
        assert (info["group_no"], info["name"], info["creator"], info["status"]) == ("g1", "Lab", ANN, 1)
        octo.disband("g1")
        assert (await api.get("/v1/bot/groups/g1")).json["status"] == 2
        assert (await api.get("/v1/bot/groups/g2")).status == 400
        assert (await api.get("/v1/bot/groups/g2/members")).status == 400

    async def test_members_come_with_their_roles_and_bots_with_their_owners(self, api: Api) -> None:
        members = (await api.get("/v1/bot/groups/g1/members")).json

        assert [(m["uid"], m["name"], m["role"], m["robot"]) for m in members] == [
            (ANN, "Ann", 1, 0),
            ("ben", "Ben", 0, 0),
            (HELPER, "Helper", 0, 1),
        ]
        assert (members[2]["owner_uid"], members[2]["owner_name"]) == (ANN, "Ann")
        assert "owner_uid" not in members[0]

    async def test_an_empty_roster_can_be_null(self, octo: OctoDouble, api: Api) -> None:
        octo.fail_next("groupMembers", JsonAnswer(None))

        assert (await api.get("/v1/bot/groups/g1/members")).text == "null"

    async def test_a_profile_is_found_with_and_without_a_space_or_is_404(
        self, octo: OctoDouble, api: Api
    ) -> None:
        profile = {"uid": ANN, "name": "Ann", "avatar": f"{octo.api_url}/users/{ANN}/avatar"}

        assert (await api.get(f"/v1/bot/user/info?uid={ANN}")).json == profile
        assert (await api.get(f"/v1/bot/user/info?uid=s12_{ANN}")).json == profile
        reply = await api.get("/v1/bot/user/info?uid=nobody")
        assert (reply.status, reply.json) == (404, {"msg": "用户不存在"})

    async def test_the_event_queue_is_empty(self, api: Api) -> None:
        assert (await api.post("/v1/bot/events", {"event_id": 0, "limit": 20})).json == {
            "status": 1,
            "results": [],
        }


@pytest.mark.parametrize(
    ("path", "status", "code", "semantic"),
    [
        ("/v1/bot/groups/g2", 400, "err.server.bot_api.not_group_member", 403),
        ("/v1/bot/user/info?uid=nobody", 404, "err.server.bot_api.user_not_found", 404),
    ],
)
async def test_the_newer_envelope_has_both_blocks(
    octo: OctoDouble, api: Api, path: str, status: int, code: str, semantic: int
) -> None:
    octo.envelope = Envelope.N

    reply = await api.get(path)

    assert (reply.status, reply.json["status"]) == (status, status)
    assert reply.json["msg"] == reply.json["error"]["message"]
    assert (reply.json["error"]["code"], reply.json["error"]["http_status"]) == (code, semantic)


async def test_the_newer_envelope_names_the_field_and_keeps_400_for_a_bad_token_at_register(
    octo: OctoDouble, api: Api
) -> None:
    octo.envelope = Envelope.N

    reply = await api.post("/v1/bot/typing", {"channel_type": 2})
    assert reply.json["error"]["details"] == {"field": "channel_id"}
    reply = await api.post("/v1/bot/register", {}, "bf_wrong")
    assert (reply.status, reply.json["error"]["http_status"]) == (400, 401)
    assert reply.json["error"]["code"] == "err.server.bot_api.auth_failed"
    assert (await api.get("/v1/bot/groups", "bf_wrong")).status == 401
