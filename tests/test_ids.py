from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.ids import (
    ThreadId,
    peer_of_compound,
    person_channel,
    sides_of_compound,
    split_space,
    split_thread,
)
from tests.wire.vectors import VECTORS

SPACE = "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6"
UIDS = st.text(st.characters(exclude_characters="@#&", exclude_categories=["Cs"]), min_size=1, max_size=20)


@pytest.mark.parametrize("vector", VECTORS["person_channels"], ids=lambda vector: vector["fake_channel_id"])
def test_direct_conversation_has_the_id_of_the_vector_whoever_asks(vector: dict[str, Any]) -> None:
    assert person_channel(vector["a"], vector["b"]) == vector["fake_channel_id"]
    assert person_channel(vector["b"], vector["a"]) == vector["fake_channel_id"]


@pytest.mark.parametrize("vector", VECTORS["space_channels"], ids=lambda vector: vector["channel_id"])
def test_space_prefix_is_taken_off_as_in_the_vector(vector: dict[str, Any]) -> None:
    known = tuple(vector["known_space_ids"])
    assert split_space(vector["channel_id"], known) == (vector["space_id"], vector["peer"])


@pytest.mark.parametrize("vector", VECTORS["thread_channels"], ids=lambda vector: vector["channel_id"])
def test_thread_id_is_taken_apart_or_refused_as_in_the_vector(vector: dict[str, Any]) -> None:
    expected = None if "error" in vector else ThreadId(vector["group_no"], vector["short_id"])
    assert split_thread(vector["channel_id"]) == expected


@pytest.mark.parametrize(
    "channel_id", ["", "____", "g____", "____1", "________", "g____cmd", "g____1____cmd"]
)
def test_id_without_two_parts_or_of_a_command_log_is_no_thread(channel_id: str) -> None:
    assert split_thread(channel_id) is None


def test_thread_id_may_hold_a_single_underscore() -> None:
    assert split_thread("my_group____12") == ThreadId("my_group", "12")


def test_longest_known_space_wins() -> None:
    assert split_space("sa_b_ann", ("a", "a_b")) == ("a_b", "ann")


@pytest.mark.parametrize("uid", [f"s{SPACE}_", f"s{SPACE.upper()}_ann", "s_ann", "s", "sann"])
def test_what_only_looks_like_a_space_prefix_stays_part_of_the_uid(uid: str) -> None:
    assert split_space(uid) == ("", uid)


def test_known_space_with_nothing_behind_it_is_a_bare_uid() -> None:
    assert split_space("s42_", ("42",)) == ("", "s42_")


@given(UIDS, UIDS)
def test_peer_is_found_in_the_id_made_of_both_sides(own: str, peer: str) -> None:
    channel_id = person_channel(own, peer)
    if split_space(own)[0] or split_space(peer)[0] or peer.endswith(f"_{own}"):
        return
    assert peer_of_compound(channel_id, own) == peer


@pytest.mark.parametrize(
    ("channel_id", "peer"),
    [
        ("ann@me_bot", "ann"),
        ("me_bot@ann", "ann"),
        ("ann", "ann"),
        ("", ""),
        ("me_bot@me_bot", "me_bot"),
        (f"s{SPACE}_ann", "ann"),
        (f"s{SPACE}_ann@s{SPACE}_me_bot", "ann"),
        ("sminglue_default_me_bot@sminglue_default_ann", "ann"),
        ("sminglue_default_ann@sminglue_default_me_bot", "ann"),
        ("steve_bot@me_bot", "steve_bot"),
    ],
)
def test_peer_is_the_other_side_without_its_space(channel_id: str, peer: str) -> None:
    assert peer_of_compound(channel_id, "me_bot") == peer


def test_sides_of_a_conversation_between_others_are_theirs() -> None:
    assert sides_of_compound("ann@bob", "me_bot") == ["ann", "bob"]


def test_an_id_of_more_than_two_sides_is_told_from_one_of_two() -> None:
    assert len(sides_of_compound("ann@me_bot@ben@cho", "me_bot")) == 3
