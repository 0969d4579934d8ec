"""Groups and threads changed over the bot API: this package's client and the double's server, and what people see."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from pydantic import SecretStr

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.errors import (
    AmbiguousOutcome,
    ApiError,
    BadRequest,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
)
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.testing import Envelope, LoseAnswer, OctoDouble, RateLimit

ANN, BEN, HELPER, OTHER, TOKEN = "ann", "ben", "helper_bot", "other_bot", "bf_1"
GROUP = ChannelRef("g1", 2)

Change = Callable[[BotApi], Awaitable[Any]]


@pytest.fixture
async def octo() -> AsyncIterator[OctoDouble]:
    async with OctoDouble() as double:
        for uid in (ANN, BEN):
            double.add_person(uid, uid.title())
        double.add_bot(HELPER, TOKEN, name="Helper", owner=ANN)
        double.add_bot(OTHER, "bf_2", owner=BEN)
        double.add_group("g1", [ANN, BEN, HELPER, OTHER], name="Old")
        double.envelope = Envelope.N
        yield double


@pytest.fixture
async def api(octo: OctoDouble) -> AsyncIterator[BotApi]:
    async with BotApi(base_url=octo.api_url, token=SecretStr(TOKEN), clock=SystemClock()) as client:
        yield client


def told(octo: OctoDouble, channel: ChannelRef = GROUP) -> list[Any]:
    return [line.payload["type"] for line in octo.chat(channel)]


async def test_a_group_is_made_with_its_people_and_the_bot(octo: OctoDouble, api: BotApi) -> None:
    made = await api.create_group("Launch", [BEN, OTHER], ANN)
    assert octo.members(made.group_no) == [ANN, BEN, HELPER]
    assert [group.name for group in await api.groups()] == ["Old", "Launch"]
    assert (await api.group_members(made.group_no))[0].role == 1
    assert told(octo, ChannelRef(made.group_no, 2)) == [1001]
    with pytest.raises(BadRequest):
        await api.create_group("Bots", [OTHER], "")


async def test_an_admin_renames_adds_and_removes(octo: OctoDouble, api: BotApi) -> None:
    octo.make_admin("g1", HELPER)
    octo.add_person("cat", "Cat")
    await api.rename_group("g1", "New")
    await api.add_members("g1", ["cat", OTHER])
    await api.remove_members("g1", [BEN, HELPER])
    assert (await api.group_info("g1")).name == "New"
    assert octo.members("g1") == [ANN, HELPER, "cat"]  # the bot that Ben brought goes with him
    assert told(octo) == [1005, 1002, 1003]
    with pytest.raises(PermissionDenied):
        await api.remove_members("g1", [ANN])
    octo.envelope = Envelope.S
    await api.remove_members("g1", [ANN])
    assert octo.members("g1") == ["cat"]


async def test_notes_are_replaced_and_every_bot_hears_of_it(octo: OctoDouble, api: BotApi) -> None:
    thread = octo.add_thread("g1", "2039626171074744320")
    octo.make_admin("g1", HELPER)
    assert [await api.write_notes(GROUP, text) for text in ("Be brief.", "")] == [1, 2]
    assert await api.write_notes(thread, "Here too.") == 1
    assert [(await api.notes(where)).content for where in (GROUP, thread)] == ["", "Here too."]
    event = octo.chat(thread)[0].payload["event"]
    assert (event["type"], event["updated_by"]) == ("thread_md_updated", HELPER)
    with pytest.raises(BadRequest):
        await api.write_notes(thread, " ")
    calls = len(octo.calls)
    with pytest.raises(PayloadTooLarge):
        await api.write_notes(GROUP, "ä" * 5_121)
    assert len(octo.calls) == calls


async def test_a_thread_is_opened_archived_and_active_again_with_the_next_message(
    octo: OctoDouble, api: BotApi
) -> None:
    made = await api.create_thread("g1", "Launch")
    thread = ChannelRef(made.channel_id, 5)
    assert [one.name for one in await api.threads("g1")] == ["Launch"]
    assert told(octo) == [1100]
    await api.archive_thread(thread)
    await api.archive_thread(thread)
    assert await api.threads("g1") == []
    await octo.say(ANN, thread, "one more thing")
    assert [one.name for one in await api.threads("g1")] == ["Launch"]
    with pytest.raises(ApiError, match="the server failed"):
        await api.leave_thread(thread)  # who opened it stays


async def test_a_thread_is_joined_and_left(octo: OctoDouble, api: BotApi) -> None:
    thread = octo.add_thread("g1", "2039626171074744320")
    await api.join_thread(thread)
    assert octo.thread_members(thread) == {HELPER}
    await api.leave_thread(thread)
    assert octo.thread_members(thread) == frozenset()


@pytest.mark.parametrize("envelope", list(Envelope))
@pytest.mark.parametrize(
    "change",
    [
        lambda api: api.rename_group("g1", "x"),
        lambda api: api.remove_members("g1", [BEN]),
        lambda api: api.write_notes(GROUP, "x"),
    ],
)
async def test_a_bot_that_is_no_admin_is_refused(
    octo: OctoDouble, api: BotApi, envelope: Envelope, change: Change
) -> None:
    octo.envelope = envelope
    with pytest.raises(PermissionDenied):
        await change(api)
    assert told(octo) == []


async def test_an_older_server_cannot_archive(octo: OctoDouble, api: BotApi) -> None:
    octo.envelope = Envelope.S
    with pytest.raises(NotFound):
        await api.archive_thread(ChannelRef("g1____2039626171074744320", 5))


@pytest.mark.parametrize(
    ("call", "change"),
    [
        ("createGroup", lambda api: api.create_group("x", [ANN], ANN)),
        ("renameGroup", lambda api: api.rename_group("g1", "x")),
        ("addMembers", lambda api: api.add_members("g1", [BEN])),
        ("removeMembers", lambda api: api.remove_members("g1", [BEN])),
        ("writeGroupMd", lambda api: api.write_notes(GROUP, "x")),
        ("createThread", lambda api: api.create_thread("g1", "x")),
    ],
)
async def test_a_change_without_an_answer_is_not_repeated_and_its_outcome_unknown(
    octo: OctoDouble, api: BotApi, call: str, change: Change
) -> None:
    octo.make_admin("g1", HELPER)
    octo.fail_next(call, RateLimit(retry_after=0))
    octo.fail_next(call, LoseAnswer())
    with pytest.raises(AmbiguousOutcome, match="may have been carried out"):
        await change(api)
    assert [one.status for one in octo.calls if one.name == call] == [429, 0]


@pytest.mark.parametrize("uids", [[], ["u"] * 201])
async def test_nobody_and_too_many_people_are_refused_before_any_request(
    octo: OctoDouble, api: BotApi, uids: list[str]
) -> None:
    with pytest.raises(BadRequest):
        await api.add_members("g1", uids)
    assert octo.calls == []
