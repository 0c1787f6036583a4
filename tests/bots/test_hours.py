"""Opening hours: what may begin before closing time, on ordinary days and on those that are not."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casehand.bots.hours import LONDON, Hours

FIVE_MINUTES = timedelta(minutes=5)
NO_TIME = timedelta()
START = datetime(2026, 1, 1, tzinfo=UTC)


def _at(text: str) -> datetime:
    """A time in London, as a clock on the wall there shows it."""
    return datetime.fromisoformat(text).replace(tzinfo=LONDON)


@pytest.mark.parametrize(
    ("at", "may"),
    [
        ("2026-11-02T06:59:59", False),
        ("2026-11-02T07:00:00", True),
        ("2026-11-02T18:55:00", True),
        ("2026-11-02T18:55:01", False),
        ("2026-11-02T19:00:00", False),
        ("2026-11-01T12:00:00", False),  # a Sunday
        ("2026-11-03T12:00:00", False),  # a day on which it is closed
    ],
)
def test_a_case_begins_only_where_it_would_be_over_before_closing_time(at: str, may: bool) -> None:
    hours = Hours.parse("Mon-Sat 07:00-19:00", frozenset({date(2026, 11, 3)}))

    assert hours.may_begin(_at(at), FIVE_MINUTES) is may


def test_it_opens_next_on_a_day_that_is_not_closed() -> None:
    hours = Hours.parse("Mon-Sat 07:00-19:00", frozenset({date(2026, 11, 2), date(2026, 11, 3)}))

    assert hours.next_opening(_at("2026-10-31T18:59:00")) == _at("2026-11-04T07:00:00")
    assert hours.next_opening(_at("2026-11-04T07:00:00")) == _at("2026-11-05T07:00:00")


def test_on_working_days_it_is_closed_on_those_that_are_none() -> None:
    holiday = date(2026, 11, 2)
    hours = Hours.parse("working days 07:00-19:00", is_working=lambda day: day != holiday)

    assert not hours.may_begin(_at("2026-11-02T12:00"), FIVE_MINUTES)
    assert not hours.may_begin(_at("2026-11-01T12:00"), FIVE_MINUTES)  # a Sunday
    assert hours.next_opening(_at("2026-10-31T12:00")) == _at("2026-11-03T07:00:00")
    assert hours.ever_fits(timedelta(hours=12))


def test_a_system_that_says_its_days_is_open_on_them_whatever_the_calendar_says() -> None:
    hours = Hours.parse("Mon-Fri 07:00-19:00", is_working=lambda _: False)

    assert hours.may_begin(_at("2026-11-02T12:00"), FIVE_MINUTES)


def test_hours_that_never_open_are_an_error() -> None:
    first = date(2026, 11, 2)
    always = frozenset(first + timedelta(days=ahead) for ahead in range(500))

    with pytest.raises(ValueError, match="never open"):
        Hours.parse("Mon-Sun 07:00-19:00", always).next_opening(_at("2026-11-02T12:00:00"))


@pytest.mark.parametrize(("at", "may"), [("2026-11-02T23:58:00", True), ("2026-11-06T23:58:00", False)])
def test_midnight_closes_nothing_that_is_open_on_the_day_after(at: str, may: bool) -> None:
    assert Hours.parse("Mon-Fri 00:00-24:00").may_begin(_at(at), FIVE_MINUTES) is may


def test_midnight_is_a_whole_minute() -> None:
    hours = Hours.parse("Mon-Fri 20:00-24:00")

    assert hours.may_begin(_at("2026-11-02T23:55:00"), FIVE_MINUTES)
    assert not hours.may_begin(_at("2026-11-02T23:55:01"), FIVE_MINUTES)


@pytest.mark.parametrize(
    ("hours", "utc", "may"),
    [
        # The clocks go from 01:00 to 02:00 on 29 March 2026: 03:00 is two o'clock in UTC.
        ("Mon-Sun 00:00-03:00", "2026-03-29T00:59:00", True),
        ("Mon-Sun 00:00-03:00", "2026-03-29T01:01:00", False),
        # 02:00 is one o'clock in UTC, and 01:30 never comes: nothing may begin that ends after it.
        ("Mon-Sun 00:00-02:00", "2026-03-29T00:01:00", False),
        ("Mon-Sun 00:00-01:30", "2026-03-29T00:15:00", False),
        # They go back from 02:00 to 01:00 on 25 October 2026: 02:30 is half past two in UTC.
        ("Mon-Sun 00:00-02:30", "2026-10-25T01:29:00", True),
        ("Mon-Sun 00:00-02:30", "2026-10-25T01:31:00", False),
        # 01:30 comes twice: the first is the safe one.
        ("Mon-Sun 00:00-01:30", "2026-10-24T23:29:00", True),
        ("Mon-Sun 00:00-01:30", "2026-10-25T00:15:00", False),
    ],
)
def test_an_hour_is_an_hour_on_the_nights_when_the_clocks_change(hours: str, utc: str, may: bool) -> None:
    at = datetime.fromisoformat(utc).replace(tzinfo=UTC)

    assert Hours.parse(hours).may_begin(at, timedelta(hours=1)) is may


@given(
    st.timedeltas(NO_TIME, timedelta(days=365)).map(lambda span: START + span),
    st.timedeltas(NO_TIME, timedelta(hours=30)),
    st.sampled_from(
        ["Mon-Sat 07:00-19:00", "Mon-Sun 00:00-24:00", "Sat,Sun 00:30-03:00", "Sun-Tue 22:00-24:00"]
    ),
)
def test_whatever_may_begin_is_never_outside_the_hours_while_it_lasts(
    at: datetime, length: timedelta, text: str
) -> None:
    hours = Hours.parse(text)
    if not hours.may_begin(at, length):
        return
    for part in range(9):
        moment = at + length * part / 8 - (timedelta(microseconds=1) if part == 8 and length else NO_TIME)
        local = moment.astimezone(LONDON)
        assert local.weekday() in hours.weekdays
        assert hours.opens <= local.time() <= hours.closes


@pytest.mark.parametrize(
    ("hours", "length", "fits"),
    [
        ("Mon-Sat 07:00-19:00", timedelta(hours=12), True),
        ("Mon-Sat 07:00-19:00", timedelta(hours=12, seconds=1), False),
        ("Mon-Sun 00:00-00:01", FIVE_MINUTES, False),
        ("Mon-Tue 00:00-24:00", timedelta(hours=48), True),
        ("Mon-Tue 00:00-24:00", timedelta(hours=49), False),
        ("Mon-Sun 00:00-24:00", timedelta(days=30), True),
    ],
)
def test_work_that_takes_longer_than_any_opening_never_fits(
    hours: str, length: timedelta, fits: bool
) -> None:
    assert Hours.parse(hours).ever_fits(length) is fits


@pytest.mark.parametrize(
    "text", ["9-5", "Mon-Fri", "Mon-Fri 19:00-07:00", "Mon-Fri 07:00-25:00", "Moo-Fri 07:00-19:00", ""]
)
def test_hours_that_cannot_be_read_are_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"hour|day"):
        Hours.parse(text)
