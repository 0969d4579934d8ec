"""Waiting between attempts: as long as asked, never too long, and only where repeating does no harm."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.errors import (
    AmbiguousOutcome,
    ApiError,
    AuthError,
    BadAnswer,
    BadRequest,
    NotFound,
    PermissionDenied,
    RateLimited,
    Unavailable,
)
from openclaw_channel_octo.rest.answers import ProxyRefusal
from openclaw_channel_octo.rest.attempts import RetryBudget
from openclaw_channel_octo.rest.calls import POLICIES, Call, CallPolicy
from openclaw_channel_octo.testing.clock import ManualClock

GENEROUS = CallPolicy(on_failure=99, on_limit=99)
DOWN = Unavailable("groups", "down")


def limited(seconds: float) -> RateLimited:
    return RateLimited("groups", "slow", retry_after=seconds)


class Jitter(ManualClock):
    """A clock whose jitter lies at some place of the range it is asked for.

    Args:
        spread: 0 for the lowest factor, 1 for the highest.
    """

    def __init__(self, spread: float) -> None:
        super().__init__()
        self._spread = spread

    def jitter(self, low: float, high: float) -> float:
        return low + (high - low) * self._spread


lowest, highest = Jitter(0), Jitter(1)


def waits(policy: CallPolicy, error: ApiError) -> list[float]:
    budget = RetryBudget(policy, lowest)
    found = []
    while (wait := budget.wait_after(error)) is not None:
        found.append(wait)
    return found


def test_every_call_has_a_policy() -> None:
    assert set(POLICIES) == set(Call)


def test_what_people_notice_twice_must_not_be_repeated() -> None:
    once = {call: policy for call, policy in POLICIES.items() if not policy.repeatable}
    assert set(once) == {
        *(Call.SEND, Call.WRITE_NOTES, Call.CREATE_GROUP, Call.RENAME_GROUP, Call.ADD_MEMBERS),
        *(Call.REMOVE_MEMBERS, Call.CREATE_THREAD, Call.ARCHIVE_THREAD),
    }
    assert {(policy.on_failure, policy.on_limit) for policy in once.values()} == {(0, 2)}


@pytest.mark.parametrize(
    ("call", "after_failures", "after_limits"),
    [
        (Call.REGISTER, 0, 2),
        (Call.SEND, 0, 2),
        (Call.TYPING, 0, 0),
        (Call.READ_RECEIPT, 0, 0),
        (Call.SYNC, 2, 2),
        (Call.GROUPS, 2, 2),
        (Call.GROUP_INFO, 2, 2),
        (Call.GROUP_MEMBERS, 2, 2),
        (Call.USER_INFO, 2, 2),
    ],
)
def test_each_call_is_repeated_as_often_as_its_row_says(
    call: Call, after_failures: int, after_limits: int
) -> None:
    assert len(waits(POLICIES[call], DOWN)) == after_failures
    assert len(waits(POLICIES[call], limited(1))) == after_limits
    assert len(waits(POLICIES[call], ProxyRefusal(call, "page"))) == after_limits


@pytest.mark.parametrize(
    "kind", [AuthError, PermissionDenied, NotFound, BadRequest, BadAnswer, AmbiguousOutcome]
)
def test_an_error_that_waiting_does_not_cure_is_final(kind: type[ApiError]) -> None:
    assert RetryBudget(GENEROUS, lowest).wait_after(kind("groups", "no")) is None


def test_a_limit_is_waited_for_at_least_as_long_as_it_asks_and_a_quarter_longer_at_most() -> None:
    assert RetryBudget(GENEROUS, lowest).wait_after(limited(4)) == 4
    assert RetryBudget(GENEROUS, highest).wait_after(limited(4)) == 5


def test_a_limit_that_asks_for_more_than_ten_seconds_is_final() -> None:
    assert RetryBudget(GENEROUS, lowest).wait_after(limited(10)) == 10
    assert RetryBudget(GENEROUS, lowest).wait_after(limited(10.1)) is None


def test_a_proxys_refusal_is_waited_for_a_second() -> None:
    assert RetryBudget(GENEROUS, lowest).wait_after(ProxyRefusal("groups", "page")) == 1


def test_failures_back_off_by_doubling() -> None:
    assert waits(CallPolicy(on_failure=3, on_limit=0), DOWN) == [0.375, 0.75, 1.5]


def test_failures_and_limits_are_counted_apart() -> None:
    budget = RetryBudget(CallPolicy(on_failure=1, on_limit=1), lowest)

    assert budget.wait_after(DOWN) is not None
    assert budget.wait_after(limited(1)) is not None
    assert budget.wait_after(DOWN) is None
    assert budget.wait_after(limited(1)) is None


@given(
    errors=st.lists(st.floats(0.1, 20).map(limited) | st.just(DOWN), max_size=30),
    spread=st.floats(0, 1),
)
def test_all_waits_of_a_call_stay_within_fifteen_seconds(errors: list[ApiError], spread: float) -> None:
    budget = RetryBudget(GENEROUS, Jitter(spread))

    assert sum(budget.wait_after(error) or 0.0 for error in errors) <= 15


async def test_the_time_of_a_call_begins_with_its_first_attempt_and_ends_its_repetitions() -> None:
    clock = Jitter(0)
    budget = RetryBudget(GENEROUS, clock, within_s=10)
    await clock.advance(60)  # it waits for its slot
    first = asyncio.create_task(budget.limited(clock.sleep(9)))
    await clock.advance(9)
    assert first.done()
    assert budget.wait_after(DOWN) == 0.375
    assert budget.wait_after(limited(1)) is None
    late = asyncio.create_task(budget.limited(clock.sleep(9)))
    await clock.advance(1)
    with pytest.raises(TimeoutError):
        late.result()
