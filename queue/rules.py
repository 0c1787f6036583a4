"""Rules: when something comes again and again, as a cron expression or in words, in a time zone.

A rule names instants, in UTC. A time of day that the clocks are put forward over counts once, at the moment after
the gap; one that comes twice counts once, the first time. Only an expression whose hour field begins with `*` goes by
the clock as it runs: every hour that there is, and none that there is not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from itertools import product
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from casehand.exceptions import CasehandError
from casehand.queue.calendar import ONE_DAY, WorkingCalendar, as_instant
from casehand.queue.when import Days, read_days

FIELDS = 5
ANY_TIME = datetime(2000, 1, 1)  # noqa: DTZ001 — an expression is read alike at any time


@dataclass(frozen=True)
class Rule:
    """Days, and the times of day on each, by the clocks of a zone."""

    text: str
    days: Days
    clocks: tuple[time, ...]
    zone: ZoneInfo
    follows_clock: bool = False  #: whether every hour that there is counts, also one that comes twice

    @classmethod
    def from_cron(cls, text: str, zone: ZoneInfo) -> "Rule":
        """Read an expression of five fields, as Debian's cron does. Raises CasehandError."""
        fields = text.split()
        if len(fields) != FIELDS:
            raise CasehandError(
                f"a cron expression has {FIELDS} fields, such as 30 2 * * 1-5, not {len(fields)}"
            )
        try:
            cron = CronSim(text, ANY_TIME)
        except CronSimError as error:
            raise CasehandError(f"the cron expression cannot be read ({_plain(error)}): correct it") from None

        def is_day(day: date) -> bool:
            return day.month in cron.months and cron.match_day(day)

        clocks = tuple(
            time(hour, minute) for hour, minute in product(sorted(cron.hours), sorted(cron.minutes))
        )
        return cls(" ".join(fields), Days(is_day), clocks, zone, fields[1].startswith("*"))

    @classmethod
    def from_words(cls, text: str, calendar: WorkingCalendar, zone: ZoneInfo) -> "Rule":
        """Read words such as "every working day at 06:30". Raises CasehandError."""
        plain = " ".join(text.lower().split())
        days, clock = read_days(plain, replace(calendar, zone=zone)) or (None, None)
        if days is None or clock is None:
            raise CasehandError(
                'it says no days and time that come again: give such as "every working day at 06:30" or '
                '"the third working day of the month at 06:30"'
            )
        return cls(plain, days, (clock,), zone)

    def after(self, at: datetime) -> Iterator[datetime]:
        """The instants after that one, earliest first; perhaps without end."""
        last = at
        # The day before: where a zone skips a day, what was meant for it comes after.
        for day in self.days.ahead(self._day(at) - ONE_DAY):
            for instant in self._on(day):
                if instant > last:
                    yield instant
                    last = instant

    def before(self, at: datetime) -> Iterator[datetime]:
        """That instant, if it is one of them, and those before it, latest first; perhaps without end."""
        last: datetime | None = None
        for day in self.days.back(self._day(at) + ONE_DAY):
            for instant in reversed(self._on(day)):
                if instant <= at and (last is None or instant < last):
                    yield instant
                    last = instant

    def _on(self, day: date) -> list[datetime]:
        walls = [datetime.combine(day, clock) for clock in self.clocks]
        if not self.follows_clock:
            return sorted({as_instant(wall, self.zone) for wall in walls})
        both = (
            (wall, wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC))
            for wall in walls
            for fold in (0, 1)
        )
        # One that the clocks are put forward over is shown at neither.
        return sorted({at for wall, at in both if at.astimezone(self.zone).replace(tzinfo=None) == wall})

    def _day(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()


def _plain(error: CronSimError) -> str:
    said = str(error)
    return said[:1].lower() + said[1:]
