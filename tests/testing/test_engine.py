"""The socket half of the double, seen by a real client."""

import json
from typing import Any

import pytest
import websockets
from msgspec.structs import replace

from openclaw_channel_octo.errors import TransportError
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing import (
    Damage,
    ManualClock,
    OctoDouble,
    RawEvent,
    RawMessage,
    Split,
)
from openclaw_channel_octo.wire.codec import encode
from openclaw_channel_octo.wire.crypto import SessionCipher
from openclaw_channel_octo.wire.events import Connected, Kicked, Pushed, Undecodable
from openclaw_channel_octo.wire.packets import (
    Connack,
    Flags,
    Ping,
    ReasonCode,
    Send,
    Sendack,
    Setting,
)
from tests.testing.clients import ANN, GROUP, HELPER, KEYS, TOKEN, Api, Socket, Sockets
from tests.wire.vectors import CONNECT

COMMAND = Flags.NO_PERSIST | Flags.SYNC_ONCE


def raw(text: str = "hi", **fields: Any) -> RawMessage:
    plain = RawMessage(from_uid=ANN, channel=GROUP, payload=json.dumps({"type": 1, "content": text}).encode())
    return replace(plain, **fields)


def connect_with(client_key: str) -> bytes:
    """Return a CONNECT of the bot, encoded."""
    packet = replace(CONNECT, uid=HELPER, token=TOKEN, client_key=client_key)
    return encode(packet, 5)


@pytest.mark.parametrize(
    ("announced", "agreed", "node"), [(5, 5, 1001), (6, 5, 1001), (4, 4, 1001), (3, 3, None)]
)
async def test_the_version_is_the_clients_up_to_five(
    sockets: Sockets, announced: int, agreed: int, node: int | None
) -> None:
    socket = await sockets.open(version=announced)

    connected = await socket.event(Connected)

    assert (connected.server_version, connected.node_id, connected.encrypted) == (agreed, node, True)


async def test_a_message_reaches_the_bot_encrypted_and_with_its_sequence_number(
    octo: OctoDouble, socket: Socket
) -> None:
    first = await octo.say(ANN, GROUP, "one")
    await octo.say("ben", GROUP, "two")

    message = await socket.message()
    assert (str(message.message_id), message.message_seq, message.from_uid) == (first, 1, ANN)
    assert (message.channel_id, message.channel_type, message.flags) == ("g1", 2, Flags.RED_DOT)
    assert message.timestamp == 1_779_000_000
    assert message.message_id > 2**53
    assert (await socket.message()).message_seq == 2
    assert b"one" not in b"".join(socket.raw)


async def test_sequence_numbers_count_per_conversation(octo: OctoDouble, sockets: Sockets) -> None:
    thread = octo.add_thread("g1", "2039626171074744320")
    socket = await sockets.connected()

    for channel in (GROUP, thread, ChannelRef(HELPER, 1), GROUP):
        await octo.say(ANN, channel, "hi")

    seen = [await socket.message() for _ in range(4)]
    assert [message.message_seq for message in seen] == [1, 1, 1, 2]
    assert [message.channel_id for message in seen] == ["g1", "g1____2039626171074744320", ANN, "g1"]


async def test_an_acknowledgement_is_recorded_with_its_flags(
    octo: OctoDouble, clock: ManualClock, socket: Socket
) -> None:
    await clock.advance(3)
    await octo.say(ANN, GROUP, "one")
    message = await socket.message()

    await socket.ack(message)
    await octo.wait_for(lambda: octo.acks)

    (ack,) = octo.acks
    assert (ack.uid, ack.message_id, ack.message_seq) == (HELPER, str(message.message_id), 1)
    assert (ack.flags, ack.at) == (Flags.RED_DOT, 3.0)


async def test_only_unacknowledged_stored_messages_are_sent_again_byte_for_byte(
    octo: OctoDouble, socket: Socket
) -> None:
    await octo.say(ANN, GROUP, "acknowledged")
    await octo.say(ANN, GROUP, "forgotten")
    await octo.start_typing(ANN, GROUP)
    await socket.ack(await socket.message())
    await socket.message()
    await socket.message()
    await octo.wait_for(lambda: octo.acks)
    forgotten = socket.raw[2]

    assert octo.resend_unacked() == 1

    assert json.loads((await socket.message()).payload)["content"] == "forgotten"
    assert socket.raw[-1] == forgotten


async def test_nothing_is_pushed_after_a_reconnect(octo: OctoDouble, sockets: Sockets) -> None:
    first = await sockets.connected()
    await octo.say(ANN, GROUP, "never acknowledged")
    await first.message()
    octo.drop_connections(HELPER)
    await octo.say(ANN, GROUP, "while away")

    again = await sockets.connected()

    assert octo.resend_unacked() == 0
    await again.pong()


async def test_ping_is_answered_with_pong(socket: Socket) -> None:
    assert await socket.heard() == 0, "the answer, and nothing else before it"


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": "bf_wrong"},
        {"token": ""},
        {"uid": "nobody"},
        {"uid": ""},
        {"uid": "a@b"},
        {"device_flag": 1},
    ],
    ids=str,
)
async def test_refused_credentials_see_the_connection_drop_without_a_word(
    octo: OctoDouble, sockets: Sockets, wrong: dict[str, Any]
) -> None:
    socket = await sockets.open(**wrong)

    assert await socket.ended()
    assert socket.raw == []
    assert octo.online(HELPER) == 0


@pytest.mark.parametrize("closing", [False, True], ids=["dropped by the server", "closed by the client"])
async def test_the_server_never_sends_a_close_frame(octo: OctoDouble, closing: bool) -> None:
    async with websockets.connect(octo.ws_url, compression=None, proxy=None) as socket:
        await socket.send(connect_with("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="))
        await socket.recv()
        if closing:
            await socket.close()
        else:
            octo.drop_connections()
        with pytest.raises(websockets.ConnectionClosedError):
            await socket.recv()

    assert socket.close_code == 1006


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x70", id="ping"),
        pytest.param(b"\x00", id="type 0"),
        pytest.param(b'{"method":"connect","params":{},"id":"1"}', id="json-rpc"),
        pytest.param(b"\x12\x00", id="broken connect"),
        pytest.param(connect_with("") + encode(Ping(), 5), id="a packet right behind connect"),
    ],
)
async def test_anything_but_connect_alone_ends_the_connection(octo: OctoDouble, data: bytes) -> None:
    async with websockets.connect(octo.ws_url, compression=None, proxy=None) as socket:
        await socket.send(data)
        with pytest.raises(websockets.ConnectionClosedError):
            await socket.recv()


async def test_another_device_kicks_the_first_which_stays_open_and_dead(
    octo: OctoDouble, sockets: Sockets
) -> None:
    first = await sockets.connected(device_id="dev-1")
    second = await sockets.connected(device_id="dev-2")

    assert await first.event(Kicked) == Kicked(reason=12, text="login in other device")
    await octo.say(ANN, GROUP, "who hears this?")
    await second.message()
    await first.ping()
    assert await first.silent()
    assert octo.online(HELPER) == 1


async def test_the_same_device_again_leaves_the_first_dead_without_a_word(
    octo: OctoDouble, sockets: Sockets
) -> None:
    first = await sockets.connected()
    second = await sockets.connected()

    await octo.say(ANN, GROUP, "who hears this?")
    await second.message()
    await first.ping()
    assert await first.silent()
    assert await first.silent()


async def test_registering_kicks_the_live_connection_and_a_new_one_works_at_once(
    sockets: Sockets, api: Api
) -> None:
    first = await sockets.connected()

    await api.post("/v1/bot/register", {})

    assert await first.event(Kicked) == Kicked(reason=12, text="账号在其他设备上登录")
    await first.ping()
    assert await first.silent()
    await (await sockets.connected()).pong()


@pytest.mark.parametrize("text", ["server kick", ""])
async def test_a_test_can_kick_with_any_words(octo: OctoDouble, text: str, socket: Socket) -> None:
    octo.kick(HELPER, text)

    assert await socket.event(Kicked) == Kicked(reason=12, text=text)


async def test_a_dead_connection_can_be_dropped(octo: OctoDouble, socket: Socket) -> None:
    octo.kick(HELPER, None)

    octo.drop_connections(HELPER)

    assert await socket.ended()


async def test_a_forgotten_token_is_refused_until_the_bot_registers(
    octo: OctoDouble, sockets: Sockets, api: Api
) -> None:
    octo.forget_tokens()
    assert await (await sockets.open()).ended()

    assert (await api.post("/v1/bot/register", {})).status == 200

    await sockets.connected()


async def test_a_changed_token_kicks_and_the_old_one_is_refused(
    octo: OctoDouble, sockets: Sockets, api: Api, socket: Socket
) -> None:
    octo.change_token(HELPER, "bf_new")

    assert await socket.event(Kicked) == Kicked(reason=12, text="")
    assert (await api.get("/v1/bot/groups")).status == 401
    assert (await api.post("/v1/bot/register", {}, "bf_new")).status == 200
    await sockets.connected(token="bf_new")


async def test_a_frozen_server_closes_nothing_and_does_everything_at_once_when_it_thaws(
    octo: OctoDouble, socket: Socket
) -> None:
    octo.freeze()
    await socket.ping()
    await socket.ping()
    await octo.say(ANN, GROUP, "held back")
    assert await socket.silent()

    octo.thaw()

    await socket.packet(3)
    assert socket.raw.count(b"\x80") == 2
    assert (await socket.payload())["content"] == "held back"
    assert octo.online(HELPER) == 1


async def test_a_stopped_server_drops_and_refuses_until_it_is_back(
    octo: OctoDouble, sockets: Sockets, socket: Socket
) -> None:
    octo.stop_sockets()

    assert await socket.ended()
    with pytest.raises(TransportError, match="cannot open a WebSocket"):
        await sockets.open()
    octo.start_sockets()
    await sockets.connected()


@pytest.mark.parametrize("split", Split)
async def test_packets_survive_every_way_of_cutting_them_into_messages(
    octo: OctoDouble, sockets: Sockets, split: Split
) -> None:
    octo.split = split
    socket = await sockets.connected()

    for number in range(3):
        await octo.say(ANN, GROUP, f"message {number} 👋")
    seen = [(await socket.payload())["content"] for _ in range(3)]

    assert seen == ["message 0 👋", "message 1 👋", "message 2 👋"]
    sizes = {Split.WHOLE: 4, Split.COALESCED: 2, Split.BYTEWISE: sum(map(len, socket.raw))}
    assert len(socket.raw) == sizes[split]


async def test_an_injected_message_arrives_exactly_as_given(octo: OctoDouble, socket: Socket) -> None:
    item = raw(
        from_uid="",
        channel=ChannelRef("", 1),
        payload=b"\xff not json",
        message_id=7,
        message_seq=4_000_000_000,
        client_msg_no="no",
        timestamp=1,
        flags=Flags.SYNC_ONCE | Flags.DUP,
        setting=Setting.TOPIC | Setting.RECEIPT,
        topic="weather",
    )

    assert await octo.inject(HELPER, item) == "7"

    message = await socket.message()
    assert (message.message_id, message.message_seq, message.client_msg_no) == (7, 4_000_000_000, "no")
    assert (message.from_uid, message.channel_id, message.channel_type) == ("", "", 1)
    assert (message.payload, message.timestamp, message.topic) == (b"\xff not json", 1, "weather")
    assert message.flags == Flags.SYNC_ONCE | Flags.DUP
    assert message.setting == Setting.TOPIC | Setting.RECEIPT


async def test_what_an_injected_message_leaves_open_is_filled_in(octo: OctoDouble, socket: Socket) -> None:
    await octo.say(ANN, GROUP, "first")
    await socket.message()

    stored = await octo.inject(HELPER, raw())
    command = await octo.inject(HELPER, raw(flags=COMMAND))

    message = await socket.message()
    assert (str(message.message_id), message.message_seq, len(message.client_msg_no)) == (stored, 2, 32)
    assert message.timestamp == 1_779_000_000
    message = await socket.message()
    assert (str(message.message_id), message.message_seq) == (command, 0)


async def test_copies_are_the_same_bytes(octo: OctoDouble, socket: Socket) -> None:
    await octo.inject(HELPER, raw(), copies=3)

    assert len({(await socket.message()).message_id for _ in range(3)}) == 1
    assert len(set(socket.raw[1:])) == 1


@pytest.mark.parametrize("damage", Damage)
async def test_a_damaged_message_cannot_be_decoded(octo: OctoDouble, damage: Damage, socket: Socket) -> None:
    message_id = await octo.inject(HELPER, raw(damage=damage))

    assert str((await socket.event(Undecodable)).message_id) == message_id


@pytest.mark.parametrize("split", [Split.WHOLE, Split.COALESCED])
async def test_packets_can_come_before_connack(octo: OctoDouble, sockets: Sockets, split: Split) -> None:
    octo.split = split
    await octo.inject(HELPER, raw("early"), before_connack=True)
    await octo.inject(
        HELPER, RawEvent(id="e", type="stream.delta", timestamp=1, data=b"{}"), before_connack=True
    )

    socket = await sockets.open()

    await socket.event(Connected)
    assert (await socket.payload())["content"] == "early"
    assert (await socket.event(Pushed)).event.type == "stream.delta"
    assert socket.raw[0][0] >> 4 == 5


async def test_a_stored_injection_is_found_in_history_even_when_the_bot_is_away(
    octo: OctoDouble, api: Api
) -> None:
    message_id = await octo.inject(HELPER, raw("kept", message_seq=41), stored=True)

    reply = await api.post("/v1/bot/messages/sync", {"channel_id": "g1", "channel_type": 2})

    assert [(row["message_idstr"], row["message_seq"]) for row in reply.json["messages"]] == [
        (message_id, 41)
    ]
    assert [line.text for line in octo.chat(GROUP)] == ["kept"]


async def test_an_injection_for_nobody_is_an_error(octo: OctoDouble) -> None:
    with pytest.raises(RuntimeError, match="helper_bot is not connected"):
        await octo.inject(HELPER, raw())


async def test_the_bots_own_message_is_echoed_with_its_number_and_without_the_red_dot(
    octo: OctoDouble, api: Api, socket: Socket
) -> None:
    await octo.say(ANN, GROUP, "one")
    await socket.message()

    reply = await api.send(GROUP, {"type": 1, "content": "two"})

    echo = await socket.message()
    assert (echo.from_uid, echo.message_seq, echo.flags) == (HELPER, 2, Flags.NONE)
    assert (echo.message_id, echo.client_msg_no) == (reply.json["message_id"], reply.json["client_msg_no"])


async def test_the_echo_of_a_direct_message_names_the_person(api: Api, socket: Socket) -> None:
    await api.send(ChannelRef(ANN, 1), {"type": 1, "content": "hello"})

    echo = await socket.message()
    assert (echo.from_uid, echo.channel_id, echo.channel_type) == (HELPER, ANN, 1)


async def test_a_payload_of_a_mebibyte_takes_every_connection_down(
    octo: OctoDouble, api: Api, socket: Socket
) -> None:
    reply = await api.send(GROUP, {"type": 1, "content": "x" * 1024 * 1024})

    assert reply.status == 200
    assert await socket.ended()
    assert octo.chat(GROUP) == []


async def test_a_large_message_below_that_arrives_in_one_piece(octo: OctoDouble, socket: Socket) -> None:
    await octo.say(ANN, GROUP, "x" * 1_040_000)

    assert len((await socket.message()).payload) > 1_040_000
    assert len(socket.raw[-1]) > 1_386_000


async def sealed(socket: Socket, send: Send, payload: bytes) -> bytes:
    """Return a SEND as a client encrypts it."""
    connack = await socket.packet(0)
    assert isinstance(connack, Connack)
    cipher = SessionCipher.agree(KEYS, connack.server_key, connack.salt)
    send = replace(send, payload=cipher.encrypt(payload))
    return encode(replace(send, msg_key=cipher.send_msg_key(send)), 5)


def sent_to(channel_id: str) -> Send:
    return Send(
        client_seq=3,
        client_msg_no="n1",
        channel_id=channel_id,
        channel_type=2,
        payload=b"",
        flags=Flags.RED_DOT,
    )


async def test_a_client_may_speak_over_its_socket_and_does_not_hear_itself(
    octo: OctoDouble, sockets: Sockets
) -> None:
    octo.add_person("cleo", "Cleo", token="cleo's")
    octo.add_member("g1", "cleo")
    bot, cleo = await sockets.connected(), await sockets.connected("cleo", "cleo's")

    await cleo.send(await sealed(cleo, sent_to("g1"), b'{"type":1,"content":"by SEND"}'))

    message = await bot.message()
    assert (message.from_uid, message.client_msg_no, message.message_seq) == ("cleo", "n1", 1)
    ack = await cleo.packet(1)
    assert isinstance(ack, Sendack)
    assert (ack.reason_code, ack.client_seq, ack.message_id) == (1, 3, message.message_id)
    assert [line.text for line in octo.chat(GROUP)] == ["by SEND"]
    assert len(cleo.raw) == 2


@pytest.mark.parametrize("reason", [ReasonCode.PAYLOAD_DECODE_FAILED, ReasonCode.NOT_A_SUBSCRIBER])
async def test_a_send_with_a_wrong_key_or_to_a_foreign_group_is_answered_with_its_reason(
    socket: Socket, reason: ReasonCode
) -> None:
    wrong_key = encode(sent_to("g1"), 5)
    foreign = await sealed(socket, sent_to("elsewhere"), b"{}")
    await socket.send(wrong_key if reason == ReasonCode.PAYLOAD_DECODE_FAILED else foreign)

    ack = await socket.packet(1)
    assert isinstance(ack, Sendack)
    assert ack.reason_code == reason
