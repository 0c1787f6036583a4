"""Due: a workflow's rule for by when a case must be done, worked out from its data when it comes in."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel

from casehand.queue.calendar import WorkingCalendar
from casehand.queue.when import END_OF_DAY


@dataclass(frozen=True)
class WorkingDaysAfter:
    """The end of the working day that is so many after the date in a field."""

    field: str
    days: int

    def on(self, data: BaseModel, calendar: WorkingCalendar) -> date | None:
        """That day; None where the field is empty. Raises TypeError when it holds no date."""
        begins = getattr(data, self.field)
        if isinstance(begins, datetime):
            begins = begins.astimezone(calendar.zone).date() if begins.tzinfo else begins.date()
        if begins is None:
            return None
        if not isinstance(begins, date):
            raise TypeError(f"{self.field} is no date")
        return calendar.add_working_days(begins, self.days)


DueRule = WorkingDaysAfter | Callable[[Any], date | datetime | None]
"""How a due date is worked out: to a time, or to the end of a day; None for no date."""


def working_days_after(field: str, days: int) -> WorkingDaysAfter:
    """The rule that a case is due by the end of the working day that is so many after the date in `field`.

    The settings' calendar says which days are working days. A case whose field is empty has no due date.
    """
    return WorkingDaysAfter(field, days)


def due_by(rule: DueRule, data: BaseModel, calendar: WorkingCalendar) -> datetime | None:
    """By when a case with this data must be done; None for no date.

    Raises TypeError when the rule gives neither a date nor a time with its zone, and whatever the rule raises.
    """
    due = rule.on(data, calendar) if isinstance(rule, WorkingDaysAfter) else rule(data)
    if due is None or (isinstance(due, datetime) and due.tzinfo is not None):
        return due
    if isinstance(due, datetime) or not isinstance(due, date):
        raise TypeError("a due date is a date, or a time with its zone")
    return calendar.moment(due, END_OF_DAY)
