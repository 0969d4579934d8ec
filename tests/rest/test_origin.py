"""Many bots and one server: bounded requests, and no kind of call behind another."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.errors import BadRequest
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.rest.attempts import AT_ONCE, Origin
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.testing.clock import ManualClock
from tests.serving import serving

GROUP = ChannelRef("9b1e", ChannelType.GROUP)
CALLS = 40


class SlowOcto:
    """A server whose history does not answer until it is let go."""

    def __init__(self) -> None:
        self.slow = "messages/sync"
        self.order: list[str] = []
        self.go = asyncio.Event()
        self.full = asyncio.Event()
        self.asked = Counter[str]()
        self.now = 0
        self.most = 0
        self.status = 200

    async def answer(self, request: web.Request) -> web.Response:
        call = request.path.removeprefix("/v1/bot/")
        self.asked[call] += 1
        self.order.append((await request.json())["channel_id"])
        if call == self.slow:
            self.now += 1
            self.most = max(self.most, self.now)
            if self.now == AT_ONCE:
                self.full.set()
            await self.go.wait()
            self.now -= 1
            return web.json_response({"messages": []} if call == "messages/sync" else {"status": 200})
        answer: Mapping[str, Any] = {"message_id": 1} if call == "sendMessage" else {"status": self.status}
        return web.json_response(answer, status=self.status)


@asynccontextmanager
async def many_bots(origin: Origin) -> AsyncIterator[tuple[SlowOcto, list[BotApi]]]:
    octo = SlowOcto()
    async with serving("/{path:.*}", octo.answer) as base:
        token = SecretStr("bf_" + "0f" * 16)
        yield octo, [BotApi(base_url=base, token=token, clock=SystemClock(), origin=origin) for _ in range(4)]
        await origin.close()


async def test_all_bots_together_ask_no_more_at_once_than_the_bound_and_every_call_has_its_turn() -> None:
    async with many_bots(Origin()) as (octo, bots):
        asked = [asyncio.create_task(bots[number % 4].sync_messages(GROUP)) for number in range(CALLS)]
        await octo.full.wait()
        octo.go.set()
        assert await asyncio.gather(*asked) == [[]] * CALLS
        assert octo.asked["messages/sync"] == CALLS
        assert octo.most == AT_ONCE


async def test_signs_and_messages_pass_a_crowd_that_waits_for_history() -> None:
    async with many_bots(Origin()) as (octo, bots):
        asked = [asyncio.create_task(bots[number % 4].sync_messages(GROUP)) for number in range(CALLS)]
        await octo.full.wait()
        await bots[0].typing(GROUP)
        await bots[1].read_receipt(GROUP, ["7"])
        await bots[2].send_message(GROUP, {"type": 1, "content": "hello"})
        assert octo.asked == {"messages/sync": AT_ONCE, "typing": 1, "readReceipt": 1, "sendMessage": 1}
        octo.go.set()
        await asyncio.gather(*asked)


async def test_a_first_sign_passes_the_repeats_that_wait_and_a_group_the_crowd_of_strangers() -> None:
    async with many_bots(Origin()) as (octo, bots):
        octo.slow = "typing"
        now = [bots[0].typing(ChannelRef(f"now{number}", 1)) for number in range(AT_ONCE)]
        repeats = [bots[0].typing(ChannelRef(f"repeat{number}", 2), again=True) for number in range(CALLS)]
        strangers = [bots[0].typing(ChannelRef(f"stranger{number}", 1)) for number in range(300)]
        asked = [asyncio.create_task(call) for call in (*now, *repeats, *strangers)]
        await octo.full.wait()
        asked.append(asyncio.create_task(bots[0].typing(GROUP)))
        asked.append(asyncio.create_task(bots[1].typing(ChannelRef("other", 1))))
        await asyncio.sleep(0)
        octo.go.set()
        await asyncio.gather(*asked)
        assert max(octo.order.index(channel) for channel in (GROUP.id, "other")) < 2 * AT_ONCE
        firsts = [name for name in octo.order[:100] if not name.startswith("repeat")]
        assert len(firsts) > 80


async def test_a_call_that_is_given_up_leaves_its_place_to_others() -> None:
    async with many_bots(Origin()) as (octo, bots):
        for _ in range(2):
            octo.full.clear()
            asked = [asyncio.create_task(bots[0].sync_messages(GROUP)) for _ in range(AT_ONCE)]
            await octo.full.wait()
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
            octo.now = 0
        octo.go.set()
        assert await bots[0].sync_messages(GROUP) == []


async def test_a_bot_that_leaves_does_not_take_the_connections_of_the_others_along() -> None:
    async with many_bots(Origin()) as (octo, bots):
        await bots[0].typing(GROUP)
        await bots[0].close()
        await bots[1].typing(GROUP)
        assert octo.asked["typing"] == 2


async def test_whoever_waits_for_the_server_goes_on_with_the_first_call_of_any_bot_that_succeeds() -> None:
    clock = ManualClock()
    async with many_bots(Origin()) as (_, bots):
        waiting = [asyncio.create_task(bots[0]._origin.pause(clock, 16)) for _ in range(40)]
        await clock.sleepers(40)
        await bots[1].typing(GROUP)
        assert await asyncio.gather(*waiting) == [True] * 40
        assert clock.now() == 0


async def test_a_call_that_fails_ends_no_wait_and_the_time_does(clock: ManualClock) -> None:
    async with many_bots(Origin()) as (octo, bots):
        octo.status = 400
        waiting = asyncio.create_task(bots[0]._origin.pause(clock, 16))
        await clock.sleepers()
        with pytest.raises(BadRequest):
            await bots[1].typing(GROUP)
        await clock.advance(15)
        assert not waiting.done()
        await clock.advance(1)
        assert await waiting is False


async def test_a_success_before_the_wait_does_not_end_it(clock: ManualClock) -> None:
    async with many_bots(Origin()) as (_, bots):
        await bots[0].typing(GROUP)
        waiting = asyncio.create_task(bots[0]._origin.pause(clock, 16))
        await clock.advance(15)
        assert not waiting.done()
        await bots[0].typing(GROUP)
        assert await waiting is True


async def test_a_wait_that_is_cancelled_leaves_nothing_behind(clock: ManualClock) -> None:
    async with many_bots(Origin()) as (_, bots):
        before = asyncio.all_tasks()
        waiting = asyncio.create_task(bots[0]._origin.pause(clock, 16))
        await clock.sleepers()
        waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled()
        assert asyncio.all_tasks() == before
        await bots[0].typing(GROUP)
