"""Times in words, and dates and times as they are written otherwise."""

from contextlib import suppress
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casehand.exceptions import CasehandError
from casehand.queue.calendar import LONDON, Nation, WorkingCalendar
from casehand.queue.when import Edge, read_moment

CALENDAR = WorkingCalendar()
THURSDAY = datetime(2026, 12, 24, 10, 30, tzinfo=UTC)
"""Christmas Eve; the next working day is Tuesday the 29th."""


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("now", "2026-12-24T10:30"),
        ("today at 5pm", "2026-12-24T17:00"),
        ("Tomorrow", "2026-12-25T00:00"),
        ("tomorrow at midday", "2026-12-25T12:00"),
        ("in 2 hours", "2026-12-24T12:30"),
        ("in a week", "2026-12-31T00:00"),
        ("in 3 working days", "2026-12-31T00:00"),
        ("in  three  working days at 9", "2026-12-31T09:00"),
        ("within 5 working days", "2027-01-05T23:59"),
        ("not before 9 on a working day", "2026-12-24T10:30"),
        ("not before 11 on a working day", "2026-12-24T11:00"),
        ("not before 16:00", "2026-12-24T16:00"),
        ("not before 9 on Mondays", "2026-12-28T09:00"),
        ("not before 9 on the third working day of the month", "2027-01-06T09:00"),
        ("the third working day of the month at 06:30", "2027-01-06T06:30"),
        ("the 3rd working day of the month at 6.30am", "2027-01-06T06:30"),
        ("the last working day of the month", "2026-12-31T00:00"),
        ("every working day at 06:30", "2026-12-29T06:30"),
        ("the next working day at 9am", "2026-12-29T09:00"),
        ("Friday", "2026-12-25T00:00"),
        ("every Monday and Thursday at 9.30pm", "2026-12-24T21:30"),
        ("2027-07-06T09:00", "2027-07-06T09:00"),
        ("2027-07-06 09:00:00", "2027-07-06T09:00"),
        ("2027-07-06", "2027-07-06T00:00"),
    ],
)
def test_a_time_is_read_as_it_is_meant(text: str, means: str) -> None:
    read = read_moment(text, THURSDAY, CALENDAR)

    assert read.astimezone(LONDON).strftime("%Y-%m-%dT%H:%M") == means


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("in 3 working days", "2026-12-31T23:59"),
        ("tomorrow", "2026-12-25T23:59"),
        ("2027-07-06", "2027-07-06T23:59"),
        ("in 3 working days at 9", "2026-12-31T09:00"),
        ("within 5 working days", "2027-01-05T23:59"),
        ("in 2 hours", "2026-12-24T12:30"),
    ],
)
def test_by_a_day_means_by_its_end(text: str, means: str) -> None:
    read = read_moment(text, THURSDAY, CALENDAR, Edge.END)

    assert read.astimezone(LONDON).strftime("%Y-%m-%dT%H:%M") == means


def test_a_time_with_a_zone_keeps_it() -> None:
    assert read_moment("2026-07-06T09:00+02:00", THURSDAY, CALENDAR) == datetime(2026, 7, 6, 7, tzinfo=UTC)


def test_words_follow_the_calendar_that_is_set() -> None:
    scotland = WorkingCalendar(Nation.SCOTLAND, frozenset({date(2027, 1, 5)}))

    assert read_moment("third working day of the month", THURSDAY, scotland).date() == date(2027, 1, 8)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "never",
        "soon",
        "in some working days",
        "in 3 working days at 25:00",
        "at 9",
        "the fifth day",
        "not before",
        "not before 9 on a blue moon",
        "the 99th working day of the month",
        "the third working day",
        "in 999999 working days",
        "in 999999 days",
        "2026-13-01",
        "9999-12-31T23:59-12:00",
        "tomorrow at 13pm",
        "x" * 5000,
    ],
)
def test_what_is_no_time_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(CasehandError) as refused:
        read_moment(text, THURSDAY, CALENDAR)

    assert "\n" not in str(refused.value)
    assert "give" in str(refused.value)
    assert len(str(refused.value)) < 400


@given(st.text(max_size=40))
def test_anything_typed_is_a_time_or_refused(text: str) -> None:
    with suppress(CasehandError):
        assert read_moment(text, THURSDAY, CALENDAR).tzinfo is not None
