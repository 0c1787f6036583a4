"""Opening hours: when a legacy system may be worked in."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONDON = ZoneInfo("Europe/London")
LOOK_AHEAD_DAYS = 400
ONE_DAY = timedelta(days=1)
WORKING_DAYS = "working days"
MIDNIGHT = time.max
"""Stands for 24:00, which no `time` can be."""


@dataclass(frozen=True)
class Hours:
    """Weekdays, and the times between which a system is open on each of them, in local time."""

    weekdays: frozenset[int]
    opens: time
    closes: time
    closed: frozenset[date] = frozenset()
    zone: ZoneInfo = LONDON
    is_working: Callable[[date], bool] | None = None  #: asked too, where the hours are those of working days

    @classmethod
    def parse(
        cls,
        text: str,
        closed: frozenset[date] = frozenset(),
        is_working: Callable[[date], bool] | None = None,
    ) -> "Hours":
        """Read hours such as "Mon-Sat 07:00-19:00", "Mon,Wed 09:00-24:00" or "working days 07:00-19:00".

        `is_working` says which days are working days; without it they are Mondays to Fridays. Raises ValueError.
        """
        found = re.fullmatch(r"([a-z,\- ]+?)\s+(\d\d):(\d\d)-(\d\d):(\d\d)", text.strip().lower())
        if found is None:
            raise ValueError(f"hours must look like 'Mon-Sat 07:00-19:00', not {text!r}")
        days, *numbers = found.groups()
        first_hour, first_minute, last_hour, last_minute = map(int, numbers)
        closes = MIDNIGHT if (last_hour, last_minute) == (24, 0) else time(last_hour, last_minute)
        if days == WORKING_DAYS:
            days = "mon-fri"
        else:
            is_working = None
        opens = time(first_hour, first_minute)
        hours = cls(frozenset(_weekdays(days)), opens, closes, closed, is_working=is_working)
        if hours.opens >= hours.closes:
            raise ValueError(f"hours must open before they close: {text!r}")
        return hours

    def may_begin(self, at: datetime, length: timedelta) -> bool:
        """Whether work that takes so long would be over before closing time."""
        day = at.astimezone(self.zone).date()
        if not self._is_day(day) or at < self._opening(day):
            return False
        while self._closing(day) < at + length and self._is_open_all_night_after(day):
            day += ONE_DAY
        return at + length <= self._closing(day)

    def ever_fits(self, length: timedelta) -> bool:
        """Whether it is open for so long at a stretch on any of its days."""
        return any(
            self._is_day(day) and self.may_begin(self._opening(day), length)
            for day in (date(2001, 1, 1) + timedelta(days=ahead) for ahead in range(7))
        )

    def open_time(self, begin: datetime, end: datetime) -> timedelta:
        """For how long it is open between two moments, LOOK_AHEAD_DAYS ahead at most."""
        total, day = timedelta(), begin.astimezone(self.zone).date()
        for one in (day + timedelta(days=ahead) for ahead in range(LOOK_AHEAD_DAYS)):
            opens, closes = max(self._opening(one), begin), min(self._closing(one), end)
            if opens >= end:
                break
            if self._is_day(one) and closes > opens:
                total += closes - opens
        return total

    def next_opening(self, at: datetime) -> datetime:
        """The next time it opens after `at`. Raises ValueError when it never does."""
        today = at.astimezone(self.zone).date()
        for day in (today + timedelta(days=ahead) for ahead in range(LOOK_AHEAD_DAYS)):
            opening = self._opening(day)
            if self._is_day(day) and opening > at:
                return opening
        raise ValueError("these hours never open")

    def _is_open_all_night_after(self, day: date) -> bool:
        return self.opens == time.min and self.closes == MIDNIGHT and self._is_day(day + ONE_DAY)

    def _is_day(self, day: date) -> bool:
        open_as_a_rule = day.weekday() in self.weekdays and day not in self.closed
        return open_as_a_rule and (self.is_working is None or self.is_working(day))

    def _opening(self, day: date) -> datetime:
        return self._in_utc(day, self.opens)

    def _closing(self, day: date) -> datetime:
        if self.closes == MIDNIGHT:
            return self._in_utc(day + ONE_DAY, time.min)
        # On the two nights when the clocks change this may be two moments: the earlier is the safe one.
        return min(self._in_utc(day, self.closes.replace(fold=fold)) for fold in (0, 1))

    def _in_utc(self, day: date, when: time) -> datetime:
        # Between two times of one zone Python reckons by the wall clock, which lies when the clocks change.
        return datetime.combine(day, when, self.zone).astimezone(UTC)


def _weekdays(text: str) -> Iterator[int]:
    for part in text.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if first[:3] not in DAYS or (dash and last[:3] not in DAYS):
            raise ValueError(f"no such day: {part!r}")
        start = DAYS.index(first[:3])
        end = DAYS.index(last[:3]) if dash else start
        yield from (day % 7 for day in range(start, end + 1 if end >= start else end + 8))
