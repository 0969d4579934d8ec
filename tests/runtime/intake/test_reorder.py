"""The order of one conversation, whatever order its messages arrive in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.runtime.intake.reorder import ReorderBuffer


@given(st.permutations(range(1, 9)))
def test_whatever_the_order_of_arrival_everything_goes_on_once_and_in_order(arrival: list[int]) -> None:
    order: ReorderBuffer[int] = ReorderBuffer(0)
    passed = [item for seq in arrival for item in order.offer(seq, seq)]
    assert passed == list(range(1, 9))
    assert (order.cursor, order.held, order.gap) == (8, {}, None)


@given(st.lists(st.integers(1, 12), max_size=30), st.integers(0, 5))
def test_going_on_without_the_missing_passes_on_each_message_once_and_what_is_left_in_order(
    arrival: list[int], last: int
) -> None:
    order: ReorderBuffer[int] = ReorderBuffer(last)
    passed = [item for seq in arrival for item in order.offer(seq, seq)]
    rest = order.skip_gap()
    assert rest == sorted(rest)
    assert sorted(passed + rest) == sorted(arrival)
    assert order.held == {}


@pytest.fixture
def order() -> ReorderBuffer[str]:
    """A conversation that is complete up to its fourth message."""
    return ReorderBuffer(4)


def test_a_message_behind_a_hole_waits_until_the_hole_is_closed(order: ReorderBuffer[str]) -> None:
    assert order.offer(6, "six") == []
    assert (order.gap, order.cursor) == (6, 4)
    assert order.offer(5, "five") == ["five", "six"]
    assert order.cursor == 6


def test_a_hole_the_history_does_not_fill_is_taken_not_to_exist(order: ReorderBuffer[str]) -> None:
    order.offer(7, "seven")
    assert order.complete(7) == ["seven"]
    assert order.cursor == 7


def test_fetched_messages_stand_between_the_held_ones(order: ReorderBuffer[str]) -> None:
    order.offer(6, "six")
    order.offer(8, "eight")
    passed = [
        item
        for seq, name in ((5, "five"), (6, "six again"), (7, "seven"))
        for item in order.fetched(seq, name)
    ]
    assert passed == ["five", "six", "six again", "seven"]
    assert order.complete(8) == ["eight"]


def test_a_hole_passed_over_in_need_is_fetched_from_its_beginning_later(order: ReorderBuffer[str]) -> None:
    order.offer(7, "seven")
    assert order.skip_gap() == ["seven"]
    assert (order.cursor, order.behind) == (4, True)
    assert order.offer(8, "eight") == ["eight"]
    assert order.cursor == 4
    assert order.fetched(5, "five") == ["five"]
    assert order.complete(None) == []
    assert (order.cursor, order.behind) == (8, False)


def test_while_missed_messages_are_fetched_everything_new_is_held(order: ReorderBuffer[str]) -> None:
    assert order.offer(9, "nine", hold=True) == []
    assert order.offer(5, "five", hold=True) == []
    assert order.fetched(5, "five again") == ["five", "five again"]
    assert order.complete(None) == []
    assert (order.gap, order.cursor) == (9, 5)


def test_what_arrived_next_in_line_while_the_history_was_read_goes_on_with_it() -> None:
    order: ReorderBuffer[str] = ReorderBuffer(4)
    order.offer(6, "six", hold=True)
    assert order.fetched(5, "five") == ["five"]
    assert order.complete(None) == ["six"]


def test_a_copy_goes_on_at_once(order: ReorderBuffer[str]) -> None:
    order.offer(6, "six")
    assert order.offer(6, "copy") == ["copy"]
    assert order.offer(3, "old") == ["old"]
    assert len(order.held) == 1
