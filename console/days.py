"""Days and times as people type them: in local time, or in words."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import typer

from casehand.console.office import Office
from casehand.exceptions import CasehandError
from casehand.queue.when import Edge, read_moment


def as_day(typed: str | None, option: str) -> date | None:
    """Read a day. Raises CasehandError that says what it looks like."""
    if typed is None:
        return None
    try:
        return date.fromisoformat(typed)
    except ValueError:
        raise CasehandError(f"{option} {typed!r} is no day: give it as 2026-04-06") from None


def as_moment(typed: str | None, option: str, office: Office, edge: Edge = Edge.BEGIN) -> datetime | None:
    """Read a time, in words or not. Raises BadParameter that says what it looks like."""
    if typed is None:
        return None
    try:
        return read_moment(typed, office.ledger.clock(), office.settings.working_calendar, edge)
    except CasehandError as error:
        raise typer.BadParameter(str(error), param_hint=f"'{option}'") from None


def begin_of(day: date | None, zone: ZoneInfo) -> datetime | None:
    """The moment at which a local day begins."""
    return None if day is None else datetime.combine(day, time(), zone)


def end_of(day: date | None, zone: ZoneInfo) -> datetime | None:
    """The moment at which it is over, and the next one begins."""
    return None if day is None else datetime.combine(day + timedelta(days=1), time(), zone)
