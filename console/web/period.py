"""The period that figures are of: from the address, and cut into days, weeks or months."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from casehand.queue.figures import EPOCH

DAYS = 30
LONGEST_BY_DAY = 62
LONGEST_BY_WEEK = 2 * 366


class Unit(StrEnum):
    """What a period is cut into."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True)
class Part:
    """A day, week or month of a period, or what is in the period of it."""

    first: date
    last: date  #: with this day
    unit: Unit

    @property
    def label(self) -> str:
        """Short, for a chart."""
        return f"{self.first:%b %y}" if self.unit is Unit.MONTH else f"{self.first.day} {self.first:%b}"

    def __str__(self) -> str:
        """In words."""
        if self.unit is Unit.DAY:
            return f"{self.first:%A} {in_words(self.first)}"
        if self.unit is Unit.MONTH:
            return f"{self.first:%B %Y}"
        return days_in_words(self.first, self.last)


@dataclass(frozen=True)
class Period:
    """From one day to another, with both."""

    since: date
    until: date

    def __str__(self) -> str:
        """In words."""
        return days_in_words(self.since, self.until)

    @property
    def unit(self) -> Unit:
        """What it is cut into: a year of days would be no chart that anybody can read."""
        days = (self.until - self.since).days + 1
        if days <= LONGEST_BY_DAY:
            return Unit.DAY
        return Unit.WEEK if days <= LONGEST_BY_WEEK else Unit.MONTH

    def begun_with(self, first: date | None, today: date) -> "Period":
        """Without what is still to come, and if it is long, without what was before there was anything."""
        since, until = max(self.since, EPOCH), max(min(self.until, today), self.since)
        if (until - since).days >= LONGEST_BY_DAY and first is not None:
            since = min(max(since, first), until)
        return Period(since, until)

    def parts(self) -> list[Part]:
        """Its days, weeks or months."""
        unit, found, first = self.unit, [], self.since
        while first <= self.until:
            following = _NEXT[unit](first)
            found.append(Part(first, min(following - timedelta(days=1), self.until), unit))
            first = following
        return found


def part_of(parts: Sequence[Part], day: date) -> int:
    """Which of the parts a day is in."""
    return max(bisect_right(parts, day, key=lambda part: part.first) - 1, 0)


def days_in_words(first: date, last: date) -> str:
    """Such as "2 to 8 November 2026"."""
    if first == last:
        return in_words(first)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day} to {in_words(last)}"
    if first.year == last.year:
        return f"{first.day} {first:%B} to {in_words(last)}"
    return f"{in_words(first)} to {in_words(last)}"


def in_words(day: date) -> str:
    """Such as "24 November 2026"."""
    return f"{day.day} {day:%B} {day.year}"


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


_NEXT: dict[Unit, Callable[[date], date]] = {
    Unit.DAY: lambda day: day + timedelta(days=1),
    Unit.WEEK: lambda day: day + timedelta(days=7 - day.weekday()),
    Unit.MONTH: _next_month,
}
