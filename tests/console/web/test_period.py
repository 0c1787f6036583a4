"""Periods: cut into days, weeks or months without gap or overlap."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casehand.console.web.period import Period, Unit, days_in_words, part_of

DAYS = st.dates(date(1990, 1, 1), date(2060, 12, 31))


@given(DAYS, st.integers(0, 4_000))
def test_the_parts_of_a_period_are_the_whole_of_it(since: date, days: int) -> None:
    period = Period(since, since + timedelta(days=days))
    parts = period.parts()
    assert parts[0].first == since
    assert parts[-1].last == period.until
    for one, following in pairwise(parts):
        assert one.last + timedelta(days=1) == following.first
    assert len(parts) <= 140
    for place, one in enumerate(parts):
        assert part_of(parts, one.first) == part_of(parts, one.last) == place


@pytest.mark.parametrize(
    ("days", "unit"), [(1, Unit.DAY), (62, Unit.DAY), (63, Unit.WEEK), (732, Unit.WEEK), (733, Unit.MONTH)]
)
def test_a_long_period_is_cut_into_weeks_and_a_very_long_one_into_months(days: int, unit: Unit) -> None:
    first = date(2026, 1, 1)
    assert Period(first, first + timedelta(days=days - 1)).unit is unit


def test_weeks_begin_on_monday_and_the_parts_are_named_in_words() -> None:
    parts = Period(date(2026, 9, 1), date(2026, 11, 24)).parts()
    assert [str(one) for one in parts[:2]] == ["1 to 6 September 2026", "7 to 13 September 2026"]
    assert str(parts[4]) == "28 September to 4 October 2026"
    assert str(Period(date(2026, 11, 24), date(2026, 11, 24)).parts()[0]) == "Tuesday 24 November 2026"
    assert days_in_words(date(2025, 12, 29), date(2026, 1, 4)) == "29 December 2025 to 4 January 2026"


def test_what_is_still_to_come_and_what_was_before_the_first_is_left_out() -> None:
    today, first = date(2026, 11, 24), date(2026, 5, 1)
    assert Period(date.min, date.max).begun_with(first, today) == Period(first, today)
    assert Period(date.min, date.max).begun_with(None, today).until == today
    assert Period(date(2026, 11, 20), date.max).begun_with(first, today) == Period(date(2026, 11, 20), today)
    later = Period(date(2027, 1, 1), date(2027, 1, 31)).begun_with(first, today)
    assert later.since == later.until == date(2027, 1, 1)
