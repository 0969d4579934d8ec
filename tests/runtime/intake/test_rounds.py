"""How often the history of conversations is asked for what was never pushed."""

import logging
from collections import Counter
from collections.abc import Sequence

import pytest

from openclaw_channel_octo.errors import Unavailable
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.runtime.intake.gaps import LOOKS_A_PASS
from openclaw_channel_octo.runtime.intake.rounds import (
    GROUPS_A_LISTING,
    LONGEST_PASS_S,
    LONGEST_S,
    PASS_EVERY_S,
    RETRY_S,
    SOON_S,
    Rounds,
)
from openclaw_channel_octo.testing.clock import ManualClock
from tests.runtime.one_loop import LoopClock

A, B, C, D = (ChannelRef(name, 2) for name in "abcd")


class Listing:
    """A server that lists conversations."""

    def __init__(self, listed: Sequence[ChannelRef] = ()) -> None:
        self.listed = listed
        self.fails = False

    async def conversations(self) -> list[ChannelRef]:
        if self.fails:
            raise Unavailable("groups", "no answer")
        return list(self.listed)


def rounds(clock: ManualClock, *refs: ChannelRef, listing: Listing | None = None) -> Rounds:
    made = Rounds(listing or Listing(), clock, BotLog(logging.getLogger("t"), "helper"))  # type: ignore[arg-type]  # all it asks
    for ref in refs:
        made.add(ref)
    return made


def taken(some: Rounds) -> list[ChannelRef]:
    found = []
    while (ref := some.take()) is not None:
        found.append(ref)
    return found


async def until_due(clock: ManualClock, some: Rounds, ref: ChannelRef) -> float:
    """Return the seconds until a conversation is looked at."""
    begun = clock.now()
    while taken(some) != [ref]:
        await clock.advance(10)
        assert clock.now() - begun < 2 * LONGEST_S
    return clock.now() - begun


async def test_a_quiet_conversation_is_looked_at_ever_more_rarely_up_to_once_an_hour() -> None:
    clock = ManualClock()
    some = rounds(clock, A)
    assert taken(some) == [A]
    waits = []
    for _ in range(7):
        some.looked(A, done=True, found=False)
        waits.append(await until_due(clock, some, A))
    assert waits == [180, 360, 720, 1440, 2880, LONGEST_S, LONGEST_S]


async def test_each_of_thousands_of_quiet_conversations_is_looked_at_within_an_hour_and_few_of_them_at_once() -> (
    None
):
    clock = LoopClock()
    refs = [ChannelRef(f"{number}", 2) for number in range(3_000)]
    some = rounds(clock, *refs)
    looks: list[list[ChannelRef]] = []
    for _ in range(int(2 * LONGEST_S / PASS_EVERY_S)):
        looks.append([ref for _ in range(LOOKS_A_PASS) if (ref := some.take()) is not None])
        for ref in looks[-1]:
            some.quiet(ref)
        await clock.advance(PASS_EVERY_S)
    first_round = len(refs) // LOOKS_A_PASS
    assert {ref for taken in looks[:first_round] for ref in taken} == {*refs}
    later = looks[first_round:]
    assert max(Counter(ref for taken in later for ref in taken).values()) <= 2
    hour = later[: int(3_600 / PASS_EVERY_S)]
    assert {ref for taken in hour for ref in taken} == {*refs}


async def test_among_thousands_one_where_people_spoke_is_looked_at_soon_after_and_then_as_rarely_as_the_others() -> (
    None
):
    clock = ManualClock()
    some = rounds(clock, *(ChannelRef(f"{number}", 2) for number in range(3_000)))
    for ref in taken(some):
        some.quiet(ref)
    some.heard(A)
    assert await until_due(clock, some, A) == SOON_S
    some.quiet(A)
    await clock.advance(LONGEST_S - SOON_S - 1)
    assert A not in taken(some)


@pytest.mark.parametrize("found", [True, False])
async def test_a_message_makes_the_next_look_soon_again(clock: ManualClock, *, found: bool) -> None:
    some = rounds(clock, A)
    taken(some)
    for _ in range(6):
        some.looked(A, done=True, found=False)
        await until_due(clock, some, A)
    if found:
        some.looked(A, done=True, found=True)
    else:
        some.looked(A, done=True, found=False)
        await clock.advance(5)
        some.heard(A)
    assert await until_due(clock, some, A) == SOON_S


async def test_where_messages_keep_coming_nothing_is_asked(clock: ManualClock) -> None:
    some = rounds(clock, A)
    taken(some)
    some.heard(A)
    for _ in range(100):
        await clock.advance(60)
        some.heard(A)
        assert taken(some) == []


async def test_a_look_that_failed_is_tried_again_soon(clock: ManualClock) -> None:
    some = rounds(clock, A)
    taken(some)
    some.looked(A, done=False, found=False)
    assert await until_due(clock, some, A) == RETRY_S


async def test_after_a_connect_all_are_due_the_urgent_ones_first_then_those_heard_last() -> None:
    clock = ManualClock()
    some = rounds(clock, A, B, C, D)
    assert taken(some) == [A, B, C, D]
    for ref in (B, A, C, D):
        await clock.advance(1)
        some.looked(ref, done=True, found=ref != D)
    assert taken(some) == []
    some.recall([D, ChannelRef("unknown", 2)])
    some.recall([D])
    assert taken(some) == [D, C, A, B]
    assert some.latest() == [C, A, B, D]


async def test_what_speaks_after_a_connect_is_not_asked_for_any_more(clock: ManualClock) -> None:
    some = rounds(clock, A, B)
    some.recall()
    some.heard(A)
    assert taken(some) == [B]


async def test_passes_follow_each_other_while_something_is_due_and_else_wait_for_it() -> None:
    clock = ManualClock()
    some = rounds(clock, A, B)
    assert some.next_pass_s() == PASS_EVERY_S
    taken(some)
    some.looked(A, done=True, found=True)
    assert some.next_pass_s() == LONGEST_PASS_S
    await clock.advance(SOON_S - 7)
    assert some.next_pass_s() == 7
    assert rounds(clock).next_pass_s() == LONGEST_PASS_S


async def test_a_conversation_that_was_forgotten_is_not_looked_at() -> None:
    some = rounds(ManualClock(), A, B)
    some.drop(A)
    assert taken(some) == [B]


async def test_listed_conversations_are_looked_at_once_and_large_lists_are_asked_for_less_often() -> None:
    clock = ManualClock()
    listing = Listing([A, B])
    some = rounds(clock, A, listing=listing)
    assert some.list_is_old
    await some.list()
    await some.list()
    assert Counter(taken(some)) == {A: 1, B: 1}
    assert some.listed >= {A}
    assert C not in some.listed
    for count, wait_s in ((2, SOON_S), (3 * GROUPS_A_LISTING, 4 * SOON_S), (10**5, LONGEST_S)):
        listing.listed = [ChannelRef(f"{number}", 2) for number in range(count)]
        await some.list()
        await clock.advance(wait_s - 1)
        assert not some.list_is_old
        await clock.advance(1)
        assert some.list_is_old


async def test_a_list_that_stays_the_same_is_asked_for_ever_more_rarely_until_it_changes_or_after_a_connect() -> (
    None
):
    clock = ManualClock()
    listing = Listing([A])
    some = rounds(clock, listing=listing)

    async def wait_s() -> float:
        await some.list()
        begun = clock.now()
        while not some.list_is_old:
            await clock.advance(1)
        return clock.now() - begun

    assert [await wait_s() for _ in range(4)] == [SOON_S, 2 * SOON_S, 4 * SOON_S, 8 * SOON_S]
    listing.listed = [A, B]
    assert await wait_s() == SOON_S
    assert await wait_s() == 2 * SOON_S
    some.recall()
    assert await wait_s() == SOON_S


async def test_a_list_that_cannot_be_had_leaves_what_is_known_and_is_asked_for_again_later() -> None:
    clock = ManualClock()
    listing = Listing([A])
    some = rounds(clock, listing=listing)
    await some.list()
    listing.fails = True
    await some.list()
    assert A in some.listed
    assert not some.list_is_old
    await clock.advance(SOON_S)
    assert some.list_is_old
