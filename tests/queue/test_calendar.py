"""The working calendar: bank holidays of three nations, own closed days, and reckoning in working days."""

import os
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casehand.exceptions import CasehandError
from casehand.queue.calendar import LONDON, ONE_DAY, Nation, WorkingCalendar, as_instant

EXAMPLES = int(os.environ.get("SCHEDULE_EXAMPLES", "60"))
FIRST, LAST = date(2021, 1, 1), date(2030, 12, 31)

CALENDAR = WorkingCalendar()
DAYS = st.dates(FIRST, LAST)
MOMENTS = st.datetimes(datetime(2021, 1, 1), datetime(2030, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
CALENDARS = st.builds(
    WorkingCalendar,
    st.sampled_from(Nation),
    st.frozensets(DAYS, max_size=30),
    st.sampled_from([LONDON, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("UTC")]),
)
several = settings(max_examples=EXAMPLES, deadline=None)


@pytest.mark.parametrize(
    ("day", "nations"),
    [
        ("2026-01-02", {Nation.SCOTLAND}),
        ("2026-03-17", {Nation.NORTHERN_IRELAND}),
        ("2026-04-03", set(Nation)),  # Good Friday
        ("2026-04-06", {Nation.ENGLAND_AND_WALES, Nation.NORTHERN_IRELAND}),  # Easter Monday
        ("2026-07-13", {Nation.NORTHERN_IRELAND}),  # in place of the 12th, a Sunday
        ("2026-08-03", {Nation.SCOTLAND}),
        ("2026-08-31", {Nation.ENGLAND_AND_WALES, Nation.NORTHERN_IRELAND}),
        ("2026-11-30", {Nation.SCOTLAND}),  # St Andrew
        ("2026-12-28", set(Nation)),  # in place of Boxing Day, a Saturday
        ("2023-05-08", set(Nation)),  # the coronation
        ("2027-12-27", set(Nation)),
        ("2027-12-28", set(Nation)),
    ],
)
def test_each_nation_keeps_its_own_bank_holidays(day: str, nations: set[Nation]) -> None:
    closed = {one for one in Nation if not WorkingCalendar(one).is_working_day(date.fromisoformat(day))}

    assert closed == nations


def test_own_closed_days_and_weekends_are_no_working_days() -> None:
    calendar = WorkingCalendar(closed=frozenset({date(2026, 12, 29)}))

    assert not calendar.is_working_day(date(2026, 12, 29))
    assert not calendar.is_working_day(date(2026, 12, 27))
    assert calendar.add_working_days(date(2026, 12, 24), 1) == date(2026, 12, 30)
    assert CALENDAR.add_working_days(date(2026, 12, 24), 1) == date(2026, 12, 29)


def test_the_third_working_day_of_a_month_and_the_last() -> None:
    assert CALENDAR.nth_of_month(2026, 1, 3) == date(2026, 1, 6)
    assert CALENDAR.nth_of_month(2026, 12, -1) == date(2026, 12, 31)
    assert CALENDAR.nth_of_month(2026, 12, 22) is None
    assert CALENDAR.nth_of_month(2026, 12, 0) is None


def test_a_calendar_without_working_days_says_so() -> None:
    closed = frozenset(FIRST + timedelta(days=ahead) for ahead in range(1500))

    with pytest.raises(CasehandError, match=r"no working day left: correct \[calendar\]"):
        WorkingCalendar(closed=closed).working_day_from(FIRST)


def test_too_many_working_days_are_refused() -> None:
    with pytest.raises(CasehandError, match="too many"):
        CALENDAR.add_working_days(FIRST, 10_001)


@several
@given(CALENDARS, DAYS, st.integers(-40, 40))
def test_so_many_working_days_later_there_are_so_many_between(
    calendar: WorkingCalendar, day: date, number: int
) -> None:
    there = calendar.add_working_days(day, number)

    assert calendar.is_working_day(there)
    if number > 0:
        assert calendar.working_days_between(day, there) == number
    elif number < 0:
        assert calendar.working_days_between(there - ONE_DAY, day - ONE_DAY) == -number
    else:
        assert calendar.working_days_between(day - ONE_DAY, there) == 1


@several
@given(CALENDARS, DAYS)
def test_the_working_days_of_a_month_are_numbered_without_a_gap(calendar: WorkingCalendar, day: date) -> None:
    days = [
        one
        for one in (day.replace(day=1) + timedelta(days=ahead) for ahead in range(31))
        if one.month == day.month and calendar.is_working_day(one)
    ]

    assert [calendar.nth_of_month(day.year, day.month, place + 1) for place in range(len(days))] == days
    assert calendar.nth_of_month(day.year, day.month, len(days) + 1) is None
    assert calendar.nth_of_month(day.year, day.month, -1) == (days[-1] if days else None)


@pytest.mark.parametrize(
    ("wall", "utc"),
    [
        ("2026-03-29T00:59", "2026-03-29T00:59"),
        ("2026-03-29T01:00", "2026-03-29T01:00"),  # does not come: the moment after the gap
        ("2026-03-29T01:59:59", "2026-03-29T01:00"),
        ("2026-03-29T02:00", "2026-03-29T01:00"),
        ("2026-10-25T01:30", "2026-10-25T00:30"),  # comes twice: the first
        ("2026-10-25T02:00", "2026-10-25T02:00"),
    ],
)
def test_a_wall_clock_is_read_right_when_the_clocks_change(wall: str, utc: str) -> None:
    assert as_instant(datetime.fromisoformat(wall), LONDON) == datetime.fromisoformat(f"{utc}+00:00")


@several
@given(st.datetimes(datetime(2021, 1, 1), datetime(2030, 12, 31)), CALENDARS)  # noqa: DTZ001
def test_later_on_the_wall_is_never_earlier_in_truth(wall: datetime, calendar: WorkingCalendar) -> None:
    instant, later = (as_instant(one, calendar.zone) for one in (wall, wall + timedelta(minutes=7)))

    assert instant <= later
    shown = instant.astimezone(calendar.zone).replace(tzinfo=None)
    assert shown == wall or (shown > wall and as_instant(shown, calendar.zone) == instant)
