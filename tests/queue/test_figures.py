"""Figures: whatever is rolled up when and by how many, they are those of the cases."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from casehand.queue import endings, escalations, schema
from casehand.queue.attempts import Begun
from casehand.queue.backoff import Backoff
from casehand.queue.figures import LONDON, Overview, Piece, overview, overview_at_once, together
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import Done, EscalationKind
from casehand.queue.rolling import LAG, catch_up, roll_up
from casehand.queue.tally import SPANS, End, windows

TakeIn = Callable[..., str]
Begin = Callable[..., Begun]
Escalate = Callable[..., Begun]
PassTime = Callable[..., None]

ALWAYS = (date(2026, 1, 1), date(2027, 12, 31))
KYIV = ZoneInfo("Europe/Kyiv")


@pytest.fixture
def end_at(ledger: Ledger, take_in: TakeIn) -> Callable[..., str]:
    """Makes a case that ended at a moment."""
    numbers = iter(range(10_000))

    def make(at: datetime, state: str = "done", took: timedelta = timedelta(minutes=5), **more: Any) -> str:
        return take_in(f"X{next(numbers):06}", state=state, changed_at=at, handed_in_at=at - took, **more)

    return make


def _ends(found: Overview) -> dict[End, int]:
    return {end: number for end, number in found.ends.items() if number}


def _came_in(ledger: Ledger, case: str) -> datetime:
    columns = schema.cases.c
    with ledger.reading() as connection:
        came: datetime = connection.execute(
            select(columns.handed_in_at).where(columns.id == case)
        ).scalar_one()
    return came


def _days(found: Overview) -> dict[str, int]:
    return {day.day.isoformat(): sum(day.ends.values()) for day in found.days}


def test_cases_are_counted_by_how_they_ended(
    ledger: Ledger, known: str, take_in: TakeIn, begin: Begin, escalate: Escalate, pass_time: PassTime
) -> None:
    alone, after, closed, cancelled, still = (take_in(f"HB00000{number}") for number in range(5))
    pass_time(minutes=30)
    endings.end(ledger, begin(alone), Done(None), "[]", Backoff(), 0.0)
    for case in (after, closed, still):
        escalate(case)
    escalations.send_back(ledger, after, "a person")
    endings.end(ledger, begin(after), Done(None), "[]", Backoff(), 0.0)
    escalations.close(ledger, closed, "a person", "by hand")
    escalations.cancel(ledger, cancelled, "a person")
    make_known(ledger, known, [], timedelta(minutes=5), minutes_by_hand=4)

    expected = {End.DONE_ALONE: 1, End.DONE_AFTER_PERSON: 1, End.CLOSED: 1, End.CANCELLED: 1}
    for _ in ("live", "rolled up"):
        found = overview(ledger, *ALWAYS)
        assert _ends(found) == expected
        assert found.escalated == 3
        assert found.share_alone == pytest.approx(1 / 3)
        assert found.minutes_given_back == 8
        assert found.times is not None
        assert found.times.number == 3
        assert found.times.median == timedelta(minutes=25)
        assert found.oldest_open == _came_in(ledger, still)
        assert [(day.day, day.workflow) for day in found.days] == [(date(2026, 11, 2), known)]
        pass_time(days=3)
    with ledger.reading() as connection:
        assert connection.execute(select(func.sum(schema.figures.c.number))).scalar() == 4


def test_nothing_has_figures_of_nothing(ledger: Ledger, pass_time: PassTime) -> None:
    found = overview(ledger, *ALWAYS)
    assert (found.days, found.share_alone, found.times, found.reasons, found.oldest_open) == (
        [],
        None,
        None,
        [],
        None,
    )
    assert overview(ledger, date.min, date.max).days == []


def test_a_case_counts_on_the_local_day_on_which_it_ended(
    ledger: Ledger, pass_time: PassTime, end_at: Callable[..., str]
) -> None:
    # In summer, London's day begins at eleven in the evening UTC; on 25 October it has 25 hours.
    for at in (
        datetime(2026, 7, 1, 22, 59, 59, 999999, UTC),
        datetime(2026, 7, 1, 23, 0, tzinfo=UTC),
        datetime(2026, 10, 24, 23, 0, tzinfo=UTC),
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
        datetime(2026, 10, 25, 23, 59, 59, tzinfo=UTC),
        datetime(2026, 10, 26, 0, 0, tzinfo=UTC),
    ):
        end_at(at)
    expected = {"2026-07-01": 1, "2026-07-02": 1, "2026-10-25": 4, "2026-10-26": 1}

    assert _days(overview(ledger, *ALWAYS)) == expected
    assert _days(overview(ledger, date(2026, 10, 25), date(2026, 10, 25))) == {"2026-10-25": 4}
    assert _days(overview(ledger, date(2026, 7, 2), date(2026, 10, 24))) == {"2026-07-02": 1}


def test_after_a_change_of_the_time_zone_all_is_counted_anew(
    ledger: Ledger, pass_time: PassTime, end_at: Callable[..., str]
) -> None:
    end_at(datetime(2026, 7, 1, 21, 30, tzinfo=UTC))
    assert _days(overview(ledger, *ALWAYS)) == {"2026-07-01": 1}
    assert _days(overview(ledger, *ALWAYS, zone=KYIV)) == {"2026-07-02": 1}
    assert _days(overview(ledger, *ALWAYS)) == {"2026-07-01": 1}


def test_what_ends_around_midnight_while_figures_are_rolled_up_is_counted_once(
    ledger: Ledger, pass_time: PassTime, end_at: Callable[..., str]
) -> None:
    pass_time(hours=14.5)
    expected: Counter[str] = Counter()
    for minute in range(60):
        end_at(ledger.clock())
        expected[ledger.clock().astimezone(LONDON).date().isoformat()] += 1
        if minute % 7 == 0:
            roll_up(ledger, LONDON)
        assert _days(overview(ledger, *ALWAYS)) == expected
        pass_time(minutes=1)

    assert len(expected) == 2
    pass_time(days=1)
    catch_up(ledger, LONDON)
    assert _days(overview(ledger, *ALWAYS)) == expected


def test_a_case_whose_end_is_committed_late_is_still_counted(
    ledger: Ledger, pass_time: PassTime, end_at: Callable[..., str]
) -> None:
    ended = ledger.clock()
    end_at(ended - timedelta(days=1))
    pass_time(seconds=LAG.total_seconds() - 1)
    catch_up(ledger, LONDON)
    end_at(ended)
    pass_time(days=1)
    assert sum(_days(overview(ledger, *ALWAYS)).values()) == 2


def test_many_who_roll_up_at_once_count_nothing_twice(
    ledger: Ledger, pass_time: PassTime, end_at: Callable[..., str], take_in: TakeIn, escalate: Escalate
) -> None:
    for hour in range(80):
        end_at(ledger.clock() - timedelta(hours=hour))
    for number in range(6):
        escalate(take_in(f"HB00000{number}"))
        pass_time(hours=5)
    pass_time(days=2)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: catch_up(ledger, LONDON), range(6)))

    found = overview(ledger, *ALWAYS)
    assert _ends(found) == {End.DONE_ALONE: 80}
    assert found.escalated == 6
    with ledger.reading() as connection:
        assert connection.execute(select(func.sum(schema.figures.c.number))).scalar() == 80
        assert connection.execute(select(func.sum(schema.figures_asked.c.number))).scalar() == 6
        assert connection.execute(select(func.sum(schema.figures_reasons.c.number))).scalar() == 6


def test_a_day_on_which_nothing_ended_is_passed_over(
    ledger: Ledger, pass_time: PassTime, end_at: Callable[..., str]
) -> None:
    end_at(ledger.clock() - timedelta(days=4_000))
    end_at(ledger.clock() - timedelta(days=1))
    assert roll_up(ledger, LONDON) == 2
    assert roll_up(ledger, LONDON) == 0


def test_a_clock_that_is_put_back_rolls_up_nothing(
    ledger: Ledger, pass_time: PassTime, end_at: Callable[..., str]
) -> None:
    end_at(ledger.clock() - timedelta(hours=1))
    catch_up(ledger, LONDON)
    pass_time(days=-3)
    assert roll_up(ledger, LONDON) == 0
    pass_time(days=3)
    assert sum(_days(overview(ledger, *ALWAYS)).values()) == 1


def test_figures_are_of_the_workflows_that_a_person_may_see(
    ledger: Ledger,
    pass_time: PassTime,
    end_at: Callable[..., str],
    take_in: TakeIn,
    escalate: Escalate,
    known: str,
) -> None:
    for at in (ledger.clock(), ledger.clock() - timedelta(days=9)):
        end_at(at)
        end_at(at, workflow="council-tax/refund")
    escalate(take_in("CT1", workflow="council-tax/refund"))

    for scope, number, escalated in (
        (None, 4, 1),
        ([known], 2, 0),
        (["council-tax/refund"], 2, 1),
        ([known, "council-tax/refund"], 4, 1),
        ([], 0, 0),
    ):
        found = overview(ledger, *ALWAYS, workflows=scope)
        assert (sum(found.ends.values()), found.escalated) == (number, escalated)
        assert len(found.reasons) == escalated
        assert (found.oldest_open is not None) == bool(escalated)


def test_reasons_are_told_most_frequent_first_with_an_example(
    ledger: Ledger, pass_time: PassTime, take_in: TakeIn, escalate: Escalate
) -> None:
    for number in range(3):
        escalate(take_in(f"HB00000{number}"), reason=f"the rent rises by {number}%")
        pass_time(days=1)
    escalate(take_in("HB000009"), EscalationKind.FAILURE, reason="the page is late")

    often, once = overview(ledger, *ALWAYS).reasons

    assert (often.number, often.kind, once.number, once.kind) == (3, "business", 1, "failure")
    assert often.example is not None
    assert (often.example.reference, often.example.reason) == ("HB000002", "the rent rises by 2%")
    assert all(one.example is None for one in overview(ledger, *ALWAYS, with_examples=False).reasons)


@pytest.mark.usefixtures("known", "pass_time")
def test_a_piece_read_by_itself_is_as_in_the_whole(
    ledger: Ledger, end_at: Callable[..., str], take_in: TakeIn, escalate: Escalate
) -> None:
    end_at(ledger.clock() - timedelta(days=3))
    escalate(take_in("HB000001"))
    whole = overview(ledger, *ALWAYS)

    told = {
        Piece.DAYS: ("days", "ends", "escalated", "share_alone"),
        Piece.TIMES: ("times", "took"),
        Piece.REASONS: ("reasons",),
        Piece.OLDEST: ("oldest", "oldest_open"),
    }
    for piece in Piece:
        alone = overview_at_once(ledger, *ALWAYS, pieces=[piece])
        for other, names in told.items():
            for name in names:
                assert (getattr(alone, name) == getattr(whole, name)) is (other is piece)


def test_days_taken_together_are_their_sum(
    ledger: Ledger, pass_time: PassTime, end_at: Callable[..., str], take_in: TakeIn, escalate: Escalate
) -> None:
    for number in range(3):
        end_at(ledger.clock() - timedelta(days=number))
        escalate(take_in(f"HB00000{number}"))
        pass_time(days=1)
    found = overview(ledger, *ALWAYS)

    one = together(found.days)

    assert len(found.days) > 1
    assert (one.day, one.ends, one.escalated) == (found.days[0].day, found.ends, 3)


def test_times_are_as_near_as_their_spans(
    ledger: Ledger, pass_time: PassTime, end_at: Callable[..., str]
) -> None:
    took = [timedelta(minutes=number) for number in range(1, 101)]
    for one in took:
        end_at(ledger.clock(), took=one)
    end_at(ledger.clock(), state="cancelled", took=timedelta(days=400))
    times = overview(ledger, *ALWAYS).times
    assert times is not None
    assert times.number == 100
    assert abs(times.median - timedelta(minutes=50)) < timedelta(minutes=2)
    assert abs(times.nine_in_ten - timedelta(minutes=90)) < timedelta(minutes=5)


def test_times_of_no_length_and_of_any_length_are_counted(
    ledger: Ledger, pass_time: PassTime, end_at: Callable[..., str]
) -> None:
    end_at(ledger.clock(), took=timedelta())
    end_at(ledger.clock(), took=timedelta(days=5_000))
    times = overview(ledger, *ALWAYS).times
    assert times is not None
    assert times.median <= timedelta(seconds=SPANS[0])
    assert times.nine_in_ten == timedelta(seconds=SPANS[-1])


@given(
    minutes=st.integers(0, 10 * 366 * 24 * 60),
    hours=st.integers(0, 24 * 40),
    zone=st.sampled_from(
        [LONDON, KYIV, ZoneInfo("America/Sao_Paulo"), ZoneInfo("Asia/Kathmandu"), ZoneInfo("UTC")]
    ),
)
def test_windows_fill_the_time_without_gap_and_each_is_of_one_local_day(
    minutes: int, hours: int, zone: ZoneInfo
) -> None:
    begin = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    end = begin + timedelta(hours=hours)
    found = list(windows(begin, end, zone))
    edges = [begin, *(one.end for one in found)]
    assert [one.begin for one in found] == edges[:-1]
    assert edges[-1] == end
    for one in found:
        assert one.begin.astimezone(zone).date() == one.day
        assert (one.end - timedelta(microseconds=1)).astimezone(zone).date() == one.day
