"""One message on its way: waits between its tries, and what the chat already shows as answered."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from openclaw_channel_octo.errors import ApiError, Unavailable
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.message.payload import parse_payload
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.rest.attempts import Origin
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.runtime.delivery.sender import Sender
from openclaw_channel_octo.store.records import Chunk, InboundRow
from openclaw_channel_octo.store.states import RowState
from openclaw_channel_octo.testing import ErrorAnswer, ManualClock, ProxyPage, RateLimit, RawMessage
from tests.runtime.rig import ANN, HELPER, TOKEN, Rig


class Desk:
    """A sender over the double, its clock, and another bot's API to the same server."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.clock = ManualClock()
        self.origin = Origin()
        self.sender = Sender(
            api=self._api(),
            own_uid=HELPER,
            clock=self.clock,
            people=lambda _: {},
            everyone=lambda: False,
            log=BotLog(logging.getLogger("openclaw_channel_octo.sender"), "helper"),
        )
        self.other = self._api()

    def _api(self) -> BotApi:
        return BotApi(
            base_url=self.rig.octo.api_url, token=SecretStr(TOKEN), clock=self.clock, origin=self.origin
        )

    def row(self, message_id: str = "7", seq: int = 1, where: ChannelRef | None = None) -> InboundRow:
        return InboundRow(
            id=1,
            account="helper",
            message_id=message_id,
            message_seq=seq,
            from_uid=ANN,
            channel=where or self.rig.group,
            payload=b"{}",
            decision="turn",
            reason="uid",
            session_key="k",
            trace="t",
            attempt=0,
            state=RowState.QUEUED,
        )

    def begin(self, text: str = "answer", ref: str = "r1") -> "asyncio.Task[str]":
        """Begin to deliver an answer in the group."""
        row = self.row()
        return asyncio.create_task(self.sender.deliver(row.channel, Chunk(ref=ref, text=text), row))

    async def pass_time(self, seconds: float, step: float = 0.25) -> None:
        """Let time pass in small steps, with what it sets in motion."""
        for _ in range(round(seconds / step)):
            await self.clock.sleepers()
            await self.clock.advance(step)

    async def until_waiting(self, caplog: pytest.LogCaptureFixture, seconds: int) -> None:
        """Let time pass until the log says how long the next wait is."""
        for _ in range(1_000):
            if f"next try in {seconds} s" in caplog.text:
                await self.clock.sleepers()
                return
            await self.pass_time(0.25)
        raise AssertionError(caplog.text)


@pytest.fixture
async def desk(rig: Rig) -> AsyncIterator[Desk]:
    made = Desk(rig)
    yield made
    await made.origin.close()


async def test_an_answer_leaves_as_soon_as_any_call_to_the_server_succeeds_again(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.rig.octo.fail_next("sendMessage", ProxyPage(), times=None)
    sending = desk.begin()
    await desk.until_waiting(caplog, 16)
    (since_ms,) = desk.sender.unsent.values()
    assert 1_700_000_000_000 < since_ms < desk.clock.wall_ms() - 15_000
    assert list(desk.sender.unsent) == ["k"]
    await desk.pass_time(1)  # what a proxy that refuses wants in any case
    desk.rig.octo.heal()
    begun = desk.clock.now()
    await desk.other.typing(desk.rig.group)
    async with asyncio.timeout(60):
        await sending
    assert desk.clock.now() == begun
    assert desk.rig.said() == ["answer"]
    assert desk.sender.unsent == {}


async def test_answers_that_wait_for_the_server_go_all_at_once_and_each_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.rig.octo.fail_next("sendMessage", ErrorAnswer(status=500), times=None)
    sending = [desk.begin(f"answer {number}", f"r{number}") for number in range(30)]
    await desk.until_waiting(caplog, 8)
    await desk.clock.sleepers(30)
    await desk.pass_time(1)
    desk.rig.octo.heal()
    await desk.other.typing(desk.rig.group)
    async with asyncio.timeout(60):
        await asyncio.gather(*sending)
    assert sorted(desk.rig.said()) == sorted(f"answer {number}" for number in range(30))


async def test_a_rate_limit_is_waited_for_to_its_end_whatever_else_succeeds(desk: Desk) -> None:
    desk.rig.octo.fail_next("sendMessage", RateLimit(retry_after=30))
    sending = desk.begin()
    await desk.clock.sleepers()
    await desk.other.typing(desk.rig.group)
    await desk.pass_time(29)
    assert not sending.done()
    assert len(desk.rig.calls("sendMessage")) == 1
    await desk.pass_time(1)
    await sending
    assert desk.rig.said() == ["answer"]


async def test_calls_that_go_on_succeeding_do_not_use_up_the_tries_of_a_message_nor_flood_the_server(
    desk: Desk,
) -> None:
    desk.rig.octo.fail_next("sendMessage", ProxyPage(), times=None)
    sending = desk.begin()
    while not sending.done():
        await desk.clock.advance(0.5)
        await desk.other.typing(desk.rig.group)
        if desk.clock.now() < 60:
            assert not sending.done()
    with pytest.raises(Unavailable):
        await sending
    # the client itself tries a refusing proxy three times
    assert len(desk.rig.calls("sendMessage")) <= 3 * 16


async def test_what_another_message_names_as_answered_is_known_from_its_echo(desk: Desk) -> None:
    desk.rig.octo.fail_next("messages/sync", ErrorAnswer(status=400), times=None)
    desk.sender.on_echo(parse_payload(b'{"type":1,"content":"yes","client_answers":"7"}'), 99)
    assert await desk.sender.answered_in_chat(desk.row("7"))
    assert desk.rig.calls("messages/sync") == []


async def test_an_echo_that_names_nothing_useful_is_nothing(desk: Desk) -> None:
    for payload in (b"{}", b"[]", b"\xff", b'{"client_answers":7}', b'{"client_answers":["7"]}'):
        desk.sender.on_echo(parse_payload(payload), 99)
    desk.sender.on_echo(None, 99)
    assert not await desk.sender.answered_in_chat(desk.row("7"))


async def say(desk: Desk, who: str, answers: object, where: ChannelRef | None = None) -> str:
    content = {"type": 1, "content": "yes", "client_answers": answers}
    return await desk.rig.octo.say(who, where or desk.rig.group, content)


async def test_a_later_message_of_ours_in_the_history_that_names_a_message_has_answered_it(
    desk: Desk,
) -> None:
    asked = [await desk.rig.mention(text) for text in ("one", "two", "three")]
    await say(desk, HELPER, asked[1])
    found = [
        await desk.sender.answered_in_chat(desk.row(name, number + 1)) for number, name in enumerate(asked)
    ]
    assert found == [False, True, False]


async def test_in_a_direct_conversation_too(desk: Desk) -> None:
    asked = await desk.rig.octo.say(ANN, desk.rig.dm, "hello")
    await say(desk, HELPER, asked, ChannelRef(ANN, 1))
    assert await desk.sender.answered_in_chat(desk.row(asked, 1, ChannelRef(ANN, 1)))


@pytest.mark.parametrize("who", [ANN, "other_bot"])
async def test_nobody_else_can_say_that_a_message_is_answered(desk: Desk, who: str) -> None:
    asked = await desk.rig.mention("one")
    await say(desk, who, asked)
    assert not await desk.sender.answered_in_chat(desk.row(asked))


async def test_an_answer_may_stand_pages_behind_its_message(desk: Desk) -> None:
    asked = await desk.rig.mention("one")
    for number in range(430):
        await desk.rig.octo.say(ANN, desk.rig.group, f"chatter {number}")
    await say(desk, HELPER, asked)
    assert await desk.sender.answered_in_chat(desk.row(asked))
    starts = [call.body["start_message_seq"] for call in desk.rig.calls("messages/sync")]
    assert starts == [2, 202, 402]


@pytest.mark.parametrize("count", [0, 1, 199, 200])
async def test_the_end_of_the_history_is_the_end(desk: Desk, count: int) -> None:
    asked = await desk.rig.mention("one")
    for number in range(count):
        await desk.rig.octo.say(ANN, desk.rig.group, f"chatter {number}")
    assert not await desk.sender.answered_in_chat(desk.row(asked))
    assert len(desk.rig.calls("messages/sync")) == 1 + count // 200


async def test_messages_nobody_can_read_are_skipped(desk: Desk) -> None:
    asked = await desk.rig.mention("one")
    for number, payload in enumerate((b"", b"\xff\xfe", b"not json", b"[1]", b"[" * 100_000)):
        raw = RawMessage(from_uid=HELPER, channel=desk.rig.group, payload=payload, message_seq=2 + number)
        await desk.rig.octo.inject(HELPER, raw, stored=True)
    await say(desk, HELPER, asked)
    assert await desk.sender.answered_in_chat(desk.row(asked))


async def test_a_message_without_a_number_is_looked_for_in_no_history(desk: Desk) -> None:
    assert not await desk.sender.answered_in_chat(desk.row(seq=0))
    assert desk.rig.calls("messages/sync") == []


async def test_a_history_that_cannot_be_read_is_no_answer_either_way(desk: Desk) -> None:
    desk.rig.octo.fail_next("messages/sync", ErrorAnswer(status=403), times=None)
    with pytest.raises(ApiError):
        await desk.sender.answered_in_chat(desk.row())
