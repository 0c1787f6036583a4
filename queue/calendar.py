"""The working calendar: on which days a council works, by its nation's bank holidays and its own closed days."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from zoneinfo import ZoneInfo

from casehand.exceptions import CasehandError

LONDON = ZoneInfo("Europe/London")
ONE_DAY = timedelta(days=1)
SATURDAY = 5
LONGEST = 10_000
"""Working days that are counted at most: some forty years."""
LOOK_AHEAD_DAYS = 1_000
"""A calendar that is closed for longer has no next working day."""


class Nation(StrEnum):
    """Whose bank holidays are kept."""

    ENGLAND_AND_WALES = "england-and-wales"
    SCOTLAND = "scotland"
    NORTHERN_IRELAND = "northern-ireland"


SUBDIVISIONS = {Nation.ENGLAND_AND_WALES: "ENG", Nation.SCOTLAND: "SCT", Nation.NORTHERN_IRELAND: "NIR"}


@dataclass(frozen=True)
class WorkingCalendar:
    """Mondays to Fridays that are neither a bank holiday nor a closed day, in a time zone."""

    nation: Nation = Nation.ENGLAND_AND_WALES
    closed: frozenset[date] = frozenset()
    zone: ZoneInfo = LONDON

    def is_working_day(self, day: date) -> bool:
        """Whether people work on that day."""
        return (
            day.weekday() < SATURDAY
            and day not in self.closed
            and day not in _bank_holidays(self.nation, day.year)
        )

    def nth_of_month(self, year: int, month: int, number: int) -> date | None:
        """The working day of a month with that number, from 1, or -1 for the last; None where it has not so many."""
        days = [day for day in _days_of_month(year, month) if self.is_working_day(day)]
        place = number - 1 if number > 0 else number
        return days[place] if number and -len(days) <= place < len(days) else None

    def add_working_days(self, day: date, number: int) -> date:
        """The working day that is so many after `day`, which does not count itself; before it, when negative.

        0 is the day itself, or the next working day. Raises CasehandError where there are not so many.
        """
        if abs(number) > LONGEST:
            raise CasehandError(f"{number:,} working days are too many: give {LONGEST:,} at most")
        if number == 0:
            return self.working_day_from(day)
        step = ONE_DAY if number > 0 else -ONE_DAY
        for _ in range(abs(number)):
            day = self._nearest(day + step, step)
        return day

    def working_day_from(self, day: date) -> date:
        """That day, or the first working day after it. Raises CasehandError when there is none."""
        return self._nearest(day, ONE_DAY)

    def working_days_between(self, first: date, last: date) -> int:
        """How many working days there are after `first`, up to and with `last`."""
        return sum(
            self.is_working_day(first + timedelta(days=ahead)) for ahead in range(1, (last - first).days + 1)
        )

    def moment(self, day: date, clock: time) -> datetime:
        """When a clock on the wall shows that time on that day, in UTC.

        In the hour that comes twice it is the first; one that does not come is the moment after the gap.
        """
        return as_instant(datetime.combine(day, clock), self.zone)

    def _nearest(self, day: date, step: timedelta) -> date:
        for _ in range(LOOK_AHEAD_DAYS):
            if self.is_working_day(day):
                return day
            day += step
        raise CasehandError("the calendar has no working day left: correct [calendar] in casehand.toml")


def as_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant, in UTC, at which a clock on the wall of a zone shows a time: the first of two, or the end of a gap.

    Between two times of one zone Python reckons by the wall clock, which lies when the clocks change.
    """
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    # The clocks were put forward over it: with fold 1 it is reckoned by the time after, and falls before the gap.
    before, after = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), instant
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


def _days_of_month(year: int, month: int) -> Iterator[date]:
    day = date(year, month, 1)
    while day.month == month:
        yield day
        day += ONE_DAY


@cache
def _bank_holidays(nation: Nation, year: int) -> frozenset[date]:
    # Here, since it takes a tenth of a command's start, and most commands ask for no working day.
    import holidays

    return frozenset(holidays.country_holidays("GB", subdiv=SUBDIVISIONS[nation], years=year))
