"""Rules: no time of day is lost and none comes twice, through ten years of clock changes and holidays."""

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from casehand.exceptions import CasehandError
from casehand.queue.calendar import LONDON, ONE_DAY, Nation, WorkingCalendar
from casehand.queue.rules import Rule

EXAMPLES = int(os.environ.get("SCHEDULE_EXAMPLES", "60"))
FIRST, LAST = datetime(2021, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CALENDAR = WorkingCalendar()

several = settings(max_examples=EXAMPLES, deadline=None)


def _changes(zone: ZoneInfo) -> list[date]:
    """The days on which the clocks of a zone are changed, in ten years."""
    days = [(FIRST + timedelta(days=ahead)) for ahead in range(3652)]
    return [
        at.date()
        for at in days
        if at.astimezone(zone).utcoffset() != (at + ONE_DAY).astimezone(zone).utcoffset()
    ]


ZONES = {
    name: _changes(ZoneInfo(name))
    for name in ("Europe/London", "America/Sao_Paulo", "America/Havana", "Australia/Lord_Howe")
}
assert len(ZONES["Europe/London"]) == 20

ZONED_DAYS = st.sampled_from(sorted(ZONES)).flatmap(
    lambda name: st.tuples(
        st.just(ZoneInfo(name)),
        st.dates(FIRST.date(), LAST.date())
        | st.sampled_from(ZONES[name] or [FIRST.date()]).flatmap(
            lambda day: st.integers(-1, 1).map(lambda by: day + by * ONE_DAY)
        ),
    )
)
CLOCKS = st.tuples(st.integers(0, 23), st.integers(0, 59)) | st.tuples(
    st.integers(0, 3), st.sampled_from([0, 30])
)


@several
@given(ZONED_DAYS, st.sets(CLOCKS, min_size=1, max_size=4))
@example((LONDON, date(2026, 3, 29)), {(1, 0), (1, 30), (2, 0)})
@example((LONDON, date(2026, 10, 25)), {(1, 0), (1, 30), (2, 0)})
def test_a_time_of_day_is_when_a_clock_first_shows_it_or_something_later(
    where: tuple[ZoneInfo, date], clocks: set[tuple[int, int]]
) -> None:
    zone, day = where
    hours, minutes = (",".join(map(str, sorted(part))) for part in map(set, zip(*clocks, strict=True)))
    rule = Rule.from_cron(f"{minutes} {hours} * * *", zone)
    begin = datetime.combine(day, time(), UTC) - timedelta(hours=30)
    passing = [begin + number * MINUTE for number in range(3 * 24 * 60)]
    shown = [at.astimezone(zone).replace(tzinfo=None) for at in passing]

    def first_shown(wall: datetime) -> datetime:
        return next(at for at, now in zip(passing, shown, strict=True) if now >= wall)

    expected = {first_shown(datetime.combine(day, clock)) for clock in rule.clocks}
    window = max(expected) + MINUTE
    found = set(takewhile(lambda at: at < window, rule.after(min(expected) - MINUTE)))

    assert expected <= found
    assert all(at in expected or at.astimezone(zone).date() != day for at in found)


@several
@given(ZONED_DAYS, st.integers(0, 59))
def test_every_hour_means_every_hour_that_there_is(where: tuple[ZoneInfo, date], minute: int) -> None:
    zone, day = where
    rule = Rule.from_cron(f"{minute} * * * *", zone)
    begin = datetime.combine(day, time(), UTC) - timedelta(hours=20)
    passing = [begin + number * MINUTE for number in range(1, 2 * 24 * 60)]

    expected = [at for at in passing if at.astimezone(zone).minute == minute]
    assert list(takewhile(lambda at: at <= passing[-1], rule.after(begin))) == expected


RULES: list[Callable[[], Rule]] = [
    lambda: Rule.from_cron("30 1 * * *", LONDON),
    lambda: Rule.from_cron("*/20 1,2 * * *", LONDON),
    lambda: Rule.from_cron("15 */6 * * 1-5", LONDON),
    lambda: Rule.from_cron("0 0 1 * *", ZoneInfo("America/Sao_Paulo")),
    lambda: Rule.from_cron("30 0 * * SUN", ZoneInfo("America/Havana")),
    lambda: Rule.from_words("every working day at 01:30", CALENDAR, LONDON),
    lambda: Rule.from_words("the third working day of the month at 06:30", CALENDAR, LONDON),
    lambda: Rule.from_words("every Sunday at 1:30am", WorkingCalendar(Nation.SCOTLAND), LONDON),
]


@pytest.mark.parametrize("number", range(len(RULES)))
def test_wherever_one_begins_to_look_the_same_times_come(number: int) -> None:
    rule = RULES[number]()
    whole = list(takewhile(lambda at: at <= LAST, rule.after(FIRST)))
    assert whole == sorted(set(whole))

    @several
    @given(st.integers(0, len(whole) - 1), st.timedeltas(timedelta(), timedelta(days=2)))
    def looks_from(place: int, later: timedelta) -> None:
        at = min(whole[place] + later, LAST)
        ahead = [one for one in whole if one > at][:5]
        past = [one for one in reversed(whole) if one <= at][:5]
        assert [one for one in islice(rule.after(at), 5) if one <= LAST] == ahead
        assert [one for one in islice(rule.before(at), 5) if one > FIRST] == past

    looks_from()


@pytest.mark.parametrize("nation", list(Nation))
def test_every_working_day_comes_once_in_ten_years_and_no_other(nation: Nation) -> None:
    calendar = WorkingCalendar(nation, frozenset({date(2026, 12, 24)}))
    rule = Rule.from_words("every working day at 01:30", calendar, LONDON)
    days = [(FIRST + timedelta(days=ahead)).date() for ahead in range(3652)]

    found = [at.astimezone(LONDON).date() for at in takewhile(lambda at: at < LAST, rule.after(FIRST))]

    assert found == [day for day in days if calendar.is_working_day(day)]


def test_the_third_working_day_comes_twelve_times_a_year() -> None:
    rule = Rule.from_words("the third working day of the month at 06:30", CALENDAR, LONDON)
    found = list(takewhile(lambda at: at < LAST, rule.after(FIRST)))

    assert len(found) == 120
    for day in (at.astimezone(LONDON).date() for at in found):
        until_then = (day.replace(day=one) for one in range(1, day.day + 1))
        assert CALENDAR.is_working_day(day)
        assert sum(map(CALENDAR.is_working_day, until_then)) == 3
    assert all(at.astimezone(LONDON).time() == time(6, 30) for at in found)


@pytest.mark.parametrize(
    "text", ["", "30 2 * *", "60 * * * *", "* 24 * * *", "0 0 30 2 *", "0 0 * * MOO", "@daily", "0 0 * * * *"]
)
def test_a_wrong_expression_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(CasehandError, match=r"cron expression .*"):
        Rule.from_cron(text, LONDON)


@pytest.mark.parametrize("text", ["", "soon", "every day", "in 3 working days", "not before 9", "at 9"])
def test_words_that_do_not_come_again_are_refused(text: str) -> None:
    with pytest.raises(CasehandError, match="days and time that come again"):
        Rule.from_words(text, CALENDAR, LONDON)
