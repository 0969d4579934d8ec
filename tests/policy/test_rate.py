"""Token buckets: what is let through, and that it never is too much."""

from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.policy.rate import TokenBuckets


def test_a_minutes_worth_may_come_at_once_and_then_evenly() -> None:
    buckets = TokenBuckets(6)

    assert [buckets.take("ann", 0.0) for _ in range(7)] == [True] * 6 + [False]
    assert not buckets.take("ann", 9.9)
    assert buckets.take("ann", 10.1)
    assert not buckets.take("ann", 10.2)


def test_everybody_has_a_bucket_of_their_own() -> None:
    buckets = TokenBuckets(1)

    assert buckets.take("ann", 0.0)
    assert buckets.take("ben", 0.0)
    assert not buckets.take("ann", 0.0)


def test_without_a_limit_everything_is_let_through() -> None:
    buckets = TokenBuckets(0)

    assert all(buckets.take("ann", 0.0) for _ in range(1_000))


def test_memory_is_bounded_whoever_asks() -> None:
    buckets = TokenBuckets(1, keys=10)

    for number in range(1_000):
        buckets.take(str(number), 0.0)

    assert len(buckets._buckets) == 10


@given(st.integers(1, 30), st.lists(st.floats(0, 600), max_size=200))
def test_never_more_than_the_bucket_and_its_refill_in_any_span(per_minute: int, times: list[float]) -> None:
    buckets = TokenBuckets(per_minute)

    taken = [at for at in sorted(times) if buckets.take("ann", at)]

    for first in range(len(taken)):
        for last in range(first, len(taken)):
            allowed = per_minute + (taken[last] - taken[first]) * per_minute / 60
            assert last - first + 1 <= allowed + 1e-6


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=50))
def test_a_clock_that_goes_back_fills_no_bucket(times: list[float]) -> None:
    buckets = TokenBuckets(1)

    taken = sum(buckets.take("ann", at) for at in times)

    assert taken <= 1 + (max(times) - times[0]) / 60 + 1e-6
