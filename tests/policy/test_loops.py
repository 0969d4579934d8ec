"""Bots that answer each other are stopped, and go on once a person speaks."""

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.policy.rate import CONVERSATIONS, OTHERS, LoopCounter, LoopLimits

GROUP, OTHER_GROUP = ChannelRef("g1", 2), ChannelRef("g2", 2)
LIMITS = LoopLimits(events=3, window_s=60.0, cooldown_s=100.0)


def admitted(counter: LoopCounter, *times: float, channel: ChannelRef = GROUP, bot: str = "b") -> list[bool]:
    return [counter.admit(channel, bot, at) for at in times]


def test_so_many_turns_in_a_row_and_no_more() -> None:
    assert admitted(LoopCounter(LIMITS), 0, 1, 2, 3, 4) == [True, True, True, False, False]


def test_a_person_starts_the_count_anew() -> None:
    counter = LoopCounter(LIMITS)
    admitted(counter, 0, 1, 2, 3)

    counter.person(GROUP)

    assert admitted(counter, 4, 5, 6, 7) == [True, True, True, False]


def test_slow_talk_between_bots_is_no_loop() -> None:
    assert admitted(LoopCounter(LIMITS), *range(0, 400, 40)) == [True] * 10


def test_after_the_cooldown_the_other_bot_is_listened_to_again() -> None:
    counter = LoopCounter(LIMITS)
    admitted(counter, 0, 1, 2)

    assert admitted(counter, 101, 102.1) == [False, True]


def test_every_pair_and_conversation_counts_for_itself() -> None:
    counter = LoopCounter(LIMITS)
    admitted(counter, 0, 1, 2)

    assert admitted(counter, 3, bot="c") == [True]
    assert admitted(counter, 3, channel=OTHER_GROUP) == [True]
    counter.person(OTHER_GROUP)
    assert admitted(counter, 4) == [False]


def test_without_a_limit_nobody_is_stopped() -> None:
    assert all(admitted(LoopCounter(LoopLimits(events=0)), *range(100)))


def test_memory_is_bounded() -> None:
    counter = LoopCounter(LIMITS)
    for number in range(3 * CONVERSATIONS):
        counter.admit(ChannelRef(str(number), 2), "b", 0.0)
        counter.admit(GROUP, str(number), 0.0)

    assert len(counter._seen) <= CONVERSATIONS
    assert len(counter._seen[GROUP]) <= OTHERS
