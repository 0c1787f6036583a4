"""Times in words, wherever a time is typed: "in 3 working days", "not before 9 on a working day", or 2026-04-06T09:00.

One small grammar; docs/schedules.md has it whole.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator

from casehand.exceptions import CasehandError
from casehand.queue.calendar import ONE_DAY, WorkingCalendar

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
MOST = 23
"""No month has more working days."""
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
END_OF_DAY = time(23, 59)
LONGEST_SHOWN = 60
FARTHEST = timedelta(days=10_000)
LOOK_AHEAD_DAYS = 11_000
"""The leap day that is a Monday comes every 28 years."""

CLOCK = r"(\d{1,2}(?:[:.]\d\d)?(?: ?[ap]m)?|midday|noon|midnight)"
AT_CLOCK = rf"(?: at {CLOCK})?"

EXAMPLES = (
    '"in 3 working days", "not before 9 on a working day", "the third working day of the month at 06:30"'
)


SOME_TIME = datetime(2026, 1, 5, 12, tzinfo=UTC)
"""Words that can be read at one time can be at any."""


class Edge(StrEnum):
    """Which end of a day is meant where no time of day is given."""

    BEGIN = "begin"  #: midnight before it: when something may begin
    END = "end"  #: a minute to the midnight after it: by when something must be done


@dataclass(frozen=True)
class Days:
    """Days that come again and again, as words name them."""

    is_one: Callable[[date], bool]

    def ahead(self, day: date) -> Iterator[date]:
        """Those from that day on, earliest first, as long as there is one within LOOK_AHEAD_DAYS of the last."""
        return self._along(day, ONE_DAY)

    def back(self, day: date) -> Iterator[date]:
        """Those from that day back, latest first."""
        return self._along(day, -ONE_DAY)

    def _along(self, day: date, step: timedelta) -> Iterator[date]:
        looked = 0
        while looked < LOOK_AHEAD_DAYS and date.min < day < date.max:
            looked += 1
            if self.is_one(day):
                looked = 0
                yield day
            day += step


def read_moment(text: str, now: datetime, calendar: WorkingCalendar, edge: Edge = Edge.BEGIN) -> datetime:
    """The moment that words or a date and time mean, as clocks in the calendar's zone show it; aware.

    Raises CasehandError that says how a time is written.
    """
    plain = _plain(text)
    moment = _iso(text.strip(), calendar, edge) or _in_words(plain, now, calendar, edge)
    if moment is None:
        raise CasehandError(
            f"{text.strip()[:LONGEST_SHOWN]!r} is no time: give one such as 2026-04-06T09:00, {EXAMPLES}"
        )
    return moment.astimezone(calendar.zone)


def _check(text: str) -> str:
    try:
        read_moment(text, SOME_TIME, WorkingCalendar())
    except CasehandError as error:
        raise ValueError(str(error)) from None
    return text


Moment = Annotated[str, AfterValidator(_check)]
"""A time in a settings file, as it stands there: what it means is known when it is read."""


def read_days(text: str, calendar: WorkingCalendar) -> tuple[Days, time | None] | None:
    """The days that words name, and the time of day if they do; None for other words.

    Such as "every working day at 06:30", "every Monday and Thursday at 9am" or "last working day of the month".
    """
    found = re.fullmatch(
        rf"(?:the |a |an |every |next )*(.+?)(?: (?:of|in) (?:the|each|every) month)?{AT_CLOCK}", text
    )
    if found is None:
        return None
    days = _days(found[1], "month" in text, calendar)
    return None if days is None else (days, read_clock(found[2]))


def read_clock(text: str | None) -> time | None:
    """A time of day such as 9, 06:30, 4.30pm, midday or midnight. Raises CasehandError."""
    if text is None:
        return None
    if text in ("midday", "noon"):
        return time(12)
    if text == "midnight":
        return time()
    found = re.fullmatch(r"(\d{1,2})(?:[:.](\d\d))?(?: ?([ap])m)?", text)
    hour, minute = (int(found[1]), int(found[2] or 0)) if found else (99, 0)
    half = found[3] if found else None
    if half:
        hour = hour % 12 + (12 if half == "p" else 0) if 1 <= hour <= 12 else 99
    try:
        return time(hour, minute)
    except ValueError:
        raise CasehandError(f"there is no time of day {text}: give one such as 06:30 or 4pm") from None


def _iso(text: str, calendar: WorkingCalendar, edge: Edge) -> datetime | None:
    """As ISO 8601 has it, or as it is written here: 24/11/2026 17:00."""
    if found := re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})(?:,? (\d{1,2}:\d\d))?", text):
        day, month, year, clock = found.groups()
        text = f"{year}-{month:0>2}-{day:0>2}" + (f"T{clock:0>5}" if clock else "")
    try:
        day = date.fromisoformat(text) if len(text) == len("2026-04-06") else None
        moment = datetime.fromisoformat(text) if day is None else datetime.combine(day, _edge(edge))
        # Where it has no place in UTC, it cannot be kept.
        return (
            moment if moment.tzinfo and moment.astimezone(calendar.zone) else calendar.moment(*_parts(moment))
        )
    except OverflowError:
        raise CasehandError(f"{text} is too far away: give a nearer time") from None
    except ValueError:
        return None


def _parts(moment: datetime) -> tuple[date, time]:
    return moment.date(), moment.time()


def _in_words(text: str, now: datetime, calendar: WorkingCalendar, edge: Edge) -> datetime | None:
    for read in (_now, _named_day, _ahead, _not_before, _next_of_days):
        moment = read(text, now, calendar, edge)
        if moment is not None:
            return moment
    return None


def _now(text: str, now: datetime, calendar: WorkingCalendar, edge: Edge) -> datetime | None:
    return now if text in ("now", "at once") else None


def _named_day(text: str, now: datetime, calendar: WorkingCalendar, edge: Edge) -> datetime | None:
    found = re.fullmatch(rf"(today|tomorrow){AT_CLOCK}", text)
    if found is None:
        return None
    day = _today(now, calendar) + (ONE_DAY if found[1] == "tomorrow" else timedelta())
    return _on(day, found[2], calendar, edge)


def _ahead(text: str, now: datetime, calendar: WorkingCalendar, edge: Edge) -> datetime | None:
    """So many minutes, hours, days or working days from now; "within" always means the end of the day."""
    found = re.fullmatch(rf"(in|within) (\w+) (minute|hour|day|week|working day)s?{AT_CLOCK}", text)
    number = _number(found[2]) if found else None
    if found is None or number is None:
        return None
    unit, clock = found[3], found[4]
    if unit in ("minute", "hour"):
        return None if clock else now + _span(unit, number)
    today = _today(now, calendar)
    day = calendar.add_working_days(today, number) if unit == "working day" else today + _span(unit, number)
    return _on(day, clock, calendar, Edge.END if found[1] == "within" else edge)


def _not_before(text: str, now: datetime, calendar: WorkingCalendar, edge: Edge) -> datetime | None:
    """Now, where it is late enough on such a day; else the next time that it is."""
    found = re.fullmatch(rf"not before {CLOCK}(?: on (.+))?", text)
    if found is None:
        return None
    days = (
        _days(re.sub(r"^(?:a |an |the |next )", "", found[2]), "month" in text, calendar)
        if found[2]
        else Days(_any)
    )
    clock = read_clock(found[1])
    if days is None or clock is None:
        return None
    for day in days.ahead(_today(now, calendar)):
        opening = calendar.moment(day, clock)
        if opening >= now or _today(now, calendar) == day:
            return max(opening, now)
    return None


def _next_of_days(text: str, now: datetime, calendar: WorkingCalendar, edge: Edge) -> datetime | None:
    """The next of days that come again and again: at a time of day that is still to come, else after today."""
    named = read_days(text, calendar)
    if named is None:
        return None
    days, clock = named
    for day in days.ahead(_today(now, calendar)):
        moment = calendar.moment(day, clock or _edge(edge))
        if moment > now and (clock or day > _today(now, calendar)):
            return moment
    raise CasehandError(f"there is no such day as {text!r}: give another, or correct [calendar]")


def _days(text: str, is_of_month: bool, calendar: WorkingCalendar) -> Days | None:
    if text == "day" and not is_of_month:
        return Days(_any)
    if text == "working day" and not is_of_month:
        return Days(calendar.is_working_day)
    if (
        found := re.fullmatch(r"(\w+) working day(?: (?:of|in) (?:the|each|every) month)?", text)
    ) and is_of_month:
        return _nth(_ordinal(found[1]), calendar)
    parts = [part.removesuffix("s") for part in re.split(r",? and |, ?", text)]
    if is_of_month or not set(parts) <= set(WEEKDAYS):
        return None
    numbers = frozenset(map(WEEKDAYS.index, parts))
    return Days(lambda day: day.weekday() in numbers)


def _nth(number: int | None, calendar: WorkingCalendar) -> Days | None:
    if number is None:
        return None

    def is_one(day: date) -> bool:
        return calendar.is_working_day(day) and calendar.nth_of_month(day.year, day.month, number) == day

    return Days(is_one)


def _any(day: date) -> bool:
    return True


def _ordinal(word: str) -> int | None:
    if word == "last":
        return -1
    if word in ORDINALS:
        return ORDINALS.index(word) + 1
    found = re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th)", word)
    return int(found[1]) if found and 0 < int(found[1]) <= MOST else None


def _number(word: str) -> int | None:
    if word in ("a", "an"):
        return 1
    if word in NUMBERS:
        return NUMBERS.index(word) + 1
    return int(word) if re.fullmatch(r"[0-9]{1,6}", word) else None


def _span(unit: str, number: int) -> timedelta:
    span = number * {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "week": 7 * ONE_DAY}.get(
        unit, ONE_DAY
    )
    if span > FARTHEST:
        raise CasehandError(f"{number:,} {unit}s are too many: give a nearer time")
    return span


def _on(day: date, clock: str | None, calendar: WorkingCalendar, edge: Edge) -> datetime:
    return calendar.moment(day, read_clock(clock) or _edge(edge))


def _edge(edge: Edge) -> time:
    return END_OF_DAY if edge is Edge.END else time()


def _today(now: datetime, calendar: WorkingCalendar) -> date:
    return now.astimezone(calendar.zone).date()


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.strip().lower())
