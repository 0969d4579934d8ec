"""What people do in the double, and what they see."""

import pytest

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing import ManualClock, OctoDouble
from tests.testing.clients import ANN, GROUP, HELPER, Api, Socket, Sockets

TO_BOT = ChannelRef(HELPER, 1)


async def test_a_picked_name_becomes_uid_and_entity(octo: OctoDouble, socket: Socket) -> None:
    await octo.say(ANN, GROUP, "sum up", mention=[HELPER])

    assert await socket.payload() == {
        "type": 1,
        "content": "@Helper sum up",
        "mention": {"uids": [HELPER], "entities": [{"uid": HELPER, "offset": 0, "length": 7}]},
    }


async def test_entities_count_utf_16_units_where_the_name_stands(octo: OctoDouble, sockets: Sockets) -> None:
    octo.add_bot("fox_bot", "bf_2", name="🦊Fox")
    octo.add_member("g1", "fox_bot")
    socket = await sockets.connected()

    await octo.say(ANN, GROUP, "👋🏽 @Helper and @🦊Fox!", mention=[HELPER, "fox_bot"])

    payload = await socket.payload()
    assert payload["content"] == "👋🏽 @Helper and @🦊Fox!"
    assert [(e["offset"], e["length"]) for e in payload["mention"]["entities"]] == [(5, 7), (17, 6)]


async def test_a_whole_payload_is_sent_as_it_is(octo: OctoDouble, socket: Socket) -> None:
    await octo.say(ANN, TO_BOT, {"type": 8, "url": "u", "size": 2**60})

    assert await socket.payload() == {"type": 8, "url": "u", "size": 2**60}


async def test_a_direct_text_carries_the_space(octo: OctoDouble, socket: Socket) -> None:
    await octo.say(ANN, TO_BOT, "hi")

    assert await socket.payload() == {"type": 1, "content": "hi", "space_id": "lab"}


async def test_the_system_speaks_with_an_empty_uid(octo: OctoDouble, socket: Socket) -> None:
    await octo.say("", GROUP, {"type": 1002, "content": "Ann邀请{0}加入群聊"})

    message = await socket.message()
    assert (message.from_uid, message.message_seq) == ("", 1)
    assert octo.chat(GROUP)[0].text == "[1002]"


async def test_a_person_typing_is_a_command_with_the_persons_name(octo: OctoDouble, socket: Socket) -> None:
    await octo.start_typing(ANN, TO_BOT)

    message = await socket.message()
    assert (message.channel_id, message.channel_type, message.from_uid) == ("", 1, "")
    await octo.start_typing(ANN, GROUP)
    assert (await socket.payload())["param"] == {
        "from_uid": ANN,
        "from_name": "Ann",
        "channel_id": "g1",
        "channel_type": 2,
    }


async def test_a_stranger_is_told_to_become_a_friend_first_in_the_bots_name(
    octo: OctoDouble, sockets: Sockets
) -> None:
    octo.add_person("stranger", "Sid", stranger=True)
    socket = await sockets.connected()

    await octo.say("stranger", TO_BOT, "hello?")

    assert (await socket.payload())["content"] == "hello?"
    echo = await socket.message()
    assert (echo.from_uid, echo.channel_id) == (HELPER, "stranger")
    assert [line.text for line in octo.chat(TO_BOT)] == ["hello?", "请先添加好友后再与我对话"]


async def test_a_conversation_is_shown_with_names_times_and_without_commands(
    octo: OctoDouble, api: Api, clock: ManualClock
) -> None:
    await octo.say(ANN, GROUP, "one")
    await clock.advance(60)
    await octo.start_typing("ben", GROUP)
    await octo.say("ben", GROUP, {"type": 14, "content": [], "plain": "see[图片]"})
    await api.send(GROUP, {"type": 1, "content": "three"})

    lines = octo.chat(GROUP)

    assert [(line.name, line.text, line.message_seq) for line in lines] == [
        ("Ann", "one", 1),
        ("Ben", "see[图片]", 2),
        ("Helper", "three", 3),
    ]
    assert [line.timestamp - 1_779_000_000 for line in lines] == [0, 60, 60]


async def test_direct_conversations_are_shown_from_either_side(octo: OctoDouble, api: Api) -> None:
    await octo.say(ANN, TO_BOT, "from Ann")
    await octo.say("ben", TO_BOT, "from Ben")
    await api.send(ChannelRef(ANN, 1), {"type": 1, "content": "to Ann"})

    assert [line.text for line in octo.chat(TO_BOT)] == ["from Ann", "from Ben", "to Ann"]
    assert [line.text for line in octo.chat(ChannelRef(ANN, 1))] == ["from Ann", "to Ann"]
    assert octo.chat(TO_BOT, ANN) == octo.chat(ChannelRef(ANN, 1), HELPER)


async def test_a_message_that_is_no_json_is_shown_as_such(octo: OctoDouble, api: Api) -> None:
    await octo.say(ANN, GROUP, {"content": 7})

    assert (octo.chat(GROUP)[0].text, octo.chat(GROUP)[0].payload) == ("[?]", {"content": 7})


async def test_mistakes_of_a_test_are_told(octo: OctoDouble) -> None:
    octo.add_person("cleo", "Cleo")

    with pytest.raises(ValueError, match="'cleo' is no member of 'g1'"):
        await octo.say("cleo", GROUP, "let me in")
    with pytest.raises(ValueError, match="is no member of 'g9'"):
        await octo.say(ANN, ChannelRef("g9", 2), "where am I")
    with pytest.raises(ValueError, match="mentions are put into texts only"):
        await octo.say(ANN, GROUP, {"type": 8}, mention=[HELPER])
    with pytest.raises(KeyError, match="no account 'dan'"):
        octo.add_group("g2", ["dan"])
    with pytest.raises(KeyError, match="no group 'g9'"):
        octo.add_thread("g9", "1")
