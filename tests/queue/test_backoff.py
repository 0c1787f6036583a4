"""How long a case waits before it is tried again."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from casehand.queue.backoff import Backoff

failures = st.integers(min_value=1, max_value=10_000)
chances = st.floats(min_value=0, max_value=1, exclude_max=True)
backoffs = st.builds(
    Backoff,
    first=st.timedeltas(min_value=timedelta(milliseconds=1), max_value=timedelta(hours=1)),
    longest=st.timedeltas(min_value=timedelta(hours=1), max_value=timedelta(days=1)),
    limit=st.integers(min_value=0, max_value=100),
)


@given(backoffs, failures, chances)
def test_no_wait_is_longer_than_the_longest_or_shorter_than_half_of_the_first(
    backoff: Backoff, failed: int, chance: float
) -> None:
    rounding = timedelta(microseconds=1)
    assert backoff.first / 2 - rounding <= backoff.delay(failed, chance) <= backoff.longest


@given(backoffs, failures, chances)
def test_a_further_failure_never_shortens_the_wait(backoff: Backoff, failed: int, chance: float) -> None:
    assert backoff.delay(failed, chance) <= backoff.delay(failed + 1, chance)


@given(backoffs, failures, st.tuples(chances, chances))
def test_chance_spreads_the_waits(backoff: Backoff, failed: int, two: tuple[float, float]) -> None:
    low, high = sorted(two)
    assert backoff.delay(failed, low) <= backoff.delay(failed, high)


def test_the_waits_grow_threefold_up_to_the_longest() -> None:
    backoff = Backoff(first=timedelta(seconds=10), longest=timedelta(minutes=5))

    waits = [backoff.delay(failed, 0.0).total_seconds() for failed in range(1, 6)]

    assert waits == [5, 15, 45, 135, 150]


def test_a_case_is_tried_again_after_each_failure_within_the_limit() -> None:
    assert [Backoff(limit=3).is_spent(failed) for failed in range(1, 6)] == [False, False, False, True, True]
