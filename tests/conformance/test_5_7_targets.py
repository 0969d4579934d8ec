"""Reference-behaviour §5.7, targets: what the existing plugin's tests pin, row by row."""

import pytest

from openclaw_channel_octo.errors import TargetError
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.message.target import Resolution, Target, destination, parse_target

GROUP = ChannelRef("g1", ChannelType.GROUP)
THREAD = ChannelRef("g1____77", ChannelType.THREAD)
ANN = ChannelRef("ann", ChannelType.PERSON)
KNOWN = {"g1", "g2"}


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
    assert (found.target, found.reason) == (Target(ANN), Resolution.PASSTHROUGH)


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
