"""Opening hours: when a legacy system may be worked in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONDON = ZoneInfo("Europe/London")
LOOK_AHEAD_DAYS = 400


@dataclass(frozen=True)
class Hours:
    """Weekdays, and the times between which a system is open on each of them, in local time."""

    weekdays: frozenset[int]
    opens: time
    closes: time
    closed: frozenset[date] = frozenset()
    zone: ZoneInfo = LONDON

    @classmethod
    def parse(cls, text: str, closed: frozenset[date] = frozenset()) -> "Hours":
        """Read hours such as "Mon-Sat 07:00-19:00" or "Mon,Wed 09:00-24:00". Raises ValueError."""
        found = re.fullmatch(r"([a-z,\- ]+?)\s+(\d\d):(\d\d)-(\d\d):(\d\d)", text.strip().lower())
        if found is None:
            raise ValueError(f"hours must look like 'Mon-Sat 07:00-19:00', not {text!r}")
        days, *numbers = found.groups()
        first_hour, first_minute, last_hour, last_minute = map(int, numbers)
        closes = time.max if (last_hour, last_minute) == (24, 0) else time(last_hour, last_minute)
        hours = cls(frozenset(_weekdays(days)), time(first_hour, first_minute), closes, closed)
        if hours.opens >= hours.closes:
            raise ValueError(f"hours must open before they close: {text!r}")
        return hours

    def may_begin(self, at: datetime, length: timedelta) -> bool:
        """Whether work that takes so long would be over before closing time."""
        local = at.astimezone(self.zone)
        return self._is_day(local.date()) and self._at(local.date(), self.opens) <= at <= (
            self._at(local.date(), self.closes) - length
        )

    def next_opening(self, at: datetime) -> datetime:
        """The next time it opens after `at`. Raises ValueError when it never does."""
        today = at.astimezone(self.zone).date()
        for day in (today + timedelta(days=ahead) for ahead in range(LOOK_AHEAD_DAYS)):
            opening = self._at(day, self.opens)
            if self._is_day(day) and opening > at:
                return opening
        raise ValueError("these hours never open")

    def _is_day(self, day: date) -> bool:
        return day.weekday() in self.weekdays and day not in self.closed

    def _at(self, day: date, when: time) -> datetime:
        return datetime.combine(day, when, self.zone)


def _weekdays(text: str) -> Iterator[int]:
    for part in text.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if first[:3] not in DAYS or (dash and last[:3] not in DAYS):
            raise ValueError(f"no such day: {part!r}")
        start = DAYS.index(first[:3])
        end = DAYS.index(last[:3]) if dash else start
        yield from (day % 7 for day in range(start, end + 1 if end >= start else end + 8))
