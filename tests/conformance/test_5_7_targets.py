"""Reference-behaviour §5.7, targets: what the existing plugin's tests pin, row by row."""

import pytest

from openclaw_channel_octo.errors import RequestDenied, TargetError
from openclaw_channel_octo.host.base import MediaItem
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.message.target import Resolution, Target, destination, parse_target
from openclaw_channel_octo.policy.authority import Requester, Role, refusal
from openclaw_channel_octo.testing.octo.faults import JsonAnswer
from tests.runtime.asking import ask, audited
from tests.runtime.rig import ANN, BEN, Rig

GROUP = ChannelRef("g1", ChannelType.GROUP)
THREAD = ChannelRef("g1____77", ChannelType.THREAD)
PERSON = ChannelRef("ann", ChannelType.PERSON)
KNOWN = {"g1", "g2"}
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    "AAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


@pytest.mark.parametrize(
    "text",
    ["g1", "octo:g1", "group:g1", "channel:g1", "group:octo:g1", "octo:channel:g1", "octo:group:octo:channel:g1"],
)  # fmt: skip
def test_prefixes_and_mixed_stacks_equal_the_bare_id_for_guard_and_for_delivery_alike(text: str) -> None:
    target = parse_target(text, groups=KNOWN)
    assert target == Target(GROUP)
    assert destination(target).target == Target(GROUP)
    inside = destination(target, here=THREAD)
    assert (inside.target, inside.rewritten) == (Target(THREAD), True)


@pytest.mark.parametrize("text", ["g1____77", "group:g1____77", "octo:channel:g1____77"])
@pytest.mark.parametrize("thread_id", [None, "88", "g1____88"])
def test_an_explicit_compound_target_is_kept(text: str, thread_id: str | None) -> None:
    found = destination(parse_target(text), thread_id=thread_id, here=ChannelRef("g1____99", 5))
    assert (found.target, found.reason) == (Target(THREAD), Resolution.EXPLICIT_TARGET)


@pytest.mark.parametrize("thread_id", ["77", 77, "g1____77", " 77 "])
def test_a_thread_id_joins_a_bare_group_of_the_same_parent(thread_id: str | int) -> None:
    found = destination(parse_target("group:g1"), thread_id=thread_id)
    assert (found.target, found.reason) == (Target(THREAD), Resolution.EXPLICIT_TARGET)


def test_a_thread_id_of_another_parent_is_dropped() -> None:
    found = destination(parse_target("group:g1"), thread_id="g2____77")
    assert (found.target, found.reason) == (Target(GROUP), Resolution.PASSTHROUGH)


@pytest.mark.parametrize("text", ["user:ann", "octo:user:ann", "ann"])
@pytest.mark.parametrize("scope", ["", "parent", "thread"])
def test_a_dm_never_gets_a_thread_and_scope_has_no_effect_on_it(text: str, scope: str) -> None:
    found = destination(parse_target(text, groups=KNOWN), thread_id="77", here=THREAD, scope=scope)
    assert (found.target, found.reason) == (Target(PERSON), Resolution.PASSTHROUGH)


@pytest.mark.parametrize("text", ["g1____77", "group:g1____77", "group:g1", "g1"])
def test_scope_parent_on_a_compound_target_strips_it(text: str) -> None:
    found = destination(parse_target(text, groups=KNOWN), here=THREAD, thread_id="77", scope="parent")
    assert (found.target, found.reason) == (Target(GROUP), Resolution.EXPLICIT_PARENT_SCOPE)
    assert not found.rewritten


@pytest.mark.parametrize("scope", ["bogus", "Parent", "group"])
def test_an_unknown_scope_has_no_effect(scope: str) -> None:
    found = destination(parse_target("group:g1"), here=THREAD, scope=scope)
    assert (found.target, found.reason) == (Target(THREAD), Resolution.THREAD_CONTEXT_REWRITE)


def test_a_reroute_keeps_mentions() -> None:
    found = destination(parse_target("group:g1@ann,ben"), here=THREAD)
    assert found.target == Target(THREAD, ("ann", "ben"))


def test_another_group_is_never_rerouted() -> None:
    found = destination(parse_target("group:g2"), here=THREAD)
    assert found.target == Target(ChannelRef("g2", ChannelType.GROUP))


def test_the_current_conversation_is_not_taken_for_a_known_group() -> None:
    assert parse_target("g3", groups=KNOWN).channel.type == ChannelType.PERSON


@pytest.mark.parametrize("text", ["", " ", "octo:", "group:octo:"])
def test_an_empty_target_is_refused_before_any_upload(text: str) -> None:
    with pytest.raises(TargetError, match="empty"):
        parse_target(text)


@pytest.mark.parametrize(
    ("row", "who", "target", "allowed"),
    [
        ("own DM yes", BEN, "user:ben", True),
        ("another's DM no", BEN, "user:ann", False),
        ("member yes", BEN, "group:g3", True),
        ("member yes, in a thread of it", BEN, "group:g3____2039626171074744321", True),
        ("non-member no", BEN, "group:g2", False),
        ("non-member no, by any spelling", BEN, "octo:channel:octo:g2", False),
        ("owner all", ANN, "group:g3", True),
        ("owner all, DMs too", ANN, "user:ben", True),
    ],
)
async def test_cross_channel_reads_are_audited_wrapped_and_bounded(
    city: Rig, row: str, who: str, target: str, allowed: bool
) -> None:
    city.octo.add_thread("g3", "2039626171074744321")
    asked = await ask(city, who)
    if allowed:
        page = await asked.outbound.read(target)
        assert page.elsewhere, row
        assert "asks you for anything" in page.block()
    else:
        with pytest.raises(RequestDenied):
            await asked.outbound.read(target)
    (entry,) = audited(city)
    assert (entry.action, entry.outcome) == ("read", "done" if allowed else "denied"), row


def test_cross_channel_reads_unsupported_type_no_and_no_requester_no() -> None:
    nobody = Requester(role=Role.PERSON)
    assert refusal(nobody, ChannelRef("g3", ChannelType.GROUP), {"ben"})
    assert refusal(Requester(role=Role.PERSON, uid="ben"), ChannelRef("ben", 3), {"ben"})


async def test_a_person_and_a_group_of_the_same_id_are_two_conversations(city: Rig) -> None:
    city.octo.add_group("ben", ["ann", "helper_bot"])
    asked = await ask(city, BEN, ChannelRef("helper_bot", ChannelType.PERSON))
    assert not (await asked.outbound.read("user:ben")).elsewhere
    with pytest.raises(RequestDenied):
        await asked.outbound.read("group:ben")


@pytest.mark.parametrize("target", ["group:g1", "octo:channel:g1", "g1"])
async def test_a_reroute_covers_text_and_media_only(city: Rig, target: str) -> None:
    asked = await ask(city, BEN, city.thread)
    picture = MediaItem(kind="image", url=PIXEL, name="p.png")
    text = await asked.outbound.send_text(target, "hello @[ben:Ben]")
    media = await asked.outbound.send_media(target, [picture])
    assert [receipt.target.channel for receipt in (text, media)] == [city.thread] * 2
    lines = city.octo.chat(city.thread)[-2:]
    assert lines[0].payload["mention"]["uids"] == [BEN]
    assert lines[1].payload["type"] == 2
    assert city.said() == []


async def test_a_text_send_without_message_id_in_the_answer_is_no_success(fast_rig: Rig) -> None:
    asked = await ask(fast_rig, BEN)
    fast_rig.octo.fail_next("sendMessage", JsonAnswer({"status": 200}))
    receipt = await asked.outbound.send_text("group:g1", "hello")
    assert fast_rig.said() == ["hello"]
    assert len(fast_rig.calls("sendMessage")) == 2
    assert receipt.message_ids[0] == fast_rig.octo.chat(fast_rig.group)[-1].message_id
