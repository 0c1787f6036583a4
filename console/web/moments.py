"""Moments in words: local times with their date, days, and how long ago something was."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

SECONDS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def in_words(moment: datetime, zone: ZoneInfo) -> str:
    """Such as "Tuesday 24 November 2026 at 10:42am"; the zone is named in the hour that comes twice."""
    local = moment.astimezone(zone)
    name = f" ({local.tzname()})" if _comes_twice(local) else ""
    return f"{local:%A} {day_in_words(moment, zone)} at {clock_in_words(moment, zone)}{name}"


def day_in_words(moment: datetime, zone: ZoneInfo) -> str:
    """Such as "24 November 2026"."""
    local = moment.astimezone(zone)
    return f"{local.day} {local:%B} {local.year}"


def clock_in_words(moment: datetime, zone: ZoneInfo) -> str:
    """Such as "10:42am", "2pm", "midday" or "midnight"."""
    local = moment.astimezone(zone)
    if local.minute == 0 and local.hour in (0, 12):
        return "midday" if local.hour else "midnight"
    minutes = f":{local.minute:02d}" if local.minute else ""
    return f"{(local.hour - 1) % 12 + 1}{minutes}{'pm' if local.hour >= 12 else 'am'}"


def seconds_in_words(moment: datetime, zone: ZoneInfo) -> str:
    """Such as "10:42:07am"."""
    local = moment.astimezone(zone)
    half = "pm" if local.hour >= 12 else "am"
    return f"{(local.hour - 1) % 12 + 1}:{local:%M:%S}{half}"


def span_in_words(span: timedelta) -> str:
    """A length of time in its largest unit, such as "3 hours"; "less than a minute" at the least."""
    seconds = int(span.total_seconds())
    for unit, length in SECONDS:
        if seconds >= length:
            number = seconds // length
            return f"{number:,} {unit}" if number == 1 else f"{number:,} {unit}s"
    return "less than a minute"


def _comes_twice(local: datetime) -> bool:
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
