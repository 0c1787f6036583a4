"""A workflow's rule for by when a case is due."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from casehand import BatchStop, Case, CaseData, workflow, working_days_after
from casehand.queue.calendar import WorkingCalendar
from casehand.queue.policy import Late

CALENDAR = WorkingCalendar()


class Notice(CaseData):
    """One notice."""

    reference: str
    notice_date: date | None = None


def _declared(**rules: Any) -> Any:
    @workflow("desk/notice", reference="reference", **rules)
    def serve(case: Case[Notice]) -> None:
        """Serve it."""

    return serve


def _notice(day: date | None) -> Notice:
    return Notice(reference="N1", notice_date=day)


def test_working_days_are_those_of_the_calendar_and_the_day_is_due_to_its_end() -> None:
    declared = _declared(due=working_days_after("notice_date", 3))

    # The Thursday before Easter: Good Friday and Easter Monday are bank holidays.
    assert declared.due_of(_notice(date(2026, 4, 2)), CALENDAR) == datetime(2026, 4, 9, 22, 59, tzinfo=UTC)


def test_without_a_rule_or_a_date_there_is_no_due_date() -> None:
    assert _declared().due_of(_notice(date(2026, 4, 2)), CALENDAR) is None
    assert _declared(due=working_days_after("notice_date", 3)).due_of(_notice(None), CALENDAR) is None


def test_a_function_may_give_a_date_or_a_time_with_its_zone_and_nothing_else() -> None:
    moment = datetime(2026, 12, 1, 9, tzinfo=UTC)

    assert _declared(due=lambda data: moment).due_of(_notice(None), CALENDAR) == moment
    assert _declared(due=lambda data: moment.date()).due_of(_notice(None), CALENDAR) == moment + timedelta(
        hours=14, minutes=59
    )
    for wrong in (datetime(2026, 12, 1), "tomorrow"):  # noqa: DTZ001
        with pytest.raises(TypeError, match="a due date is a date"):
            _declared(due=lambda data, wrong=wrong: wrong).due_of(_notice(None), CALENDAR)


def test_a_rule_over_a_field_that_there_is_not_is_refused_where_it_is_declared() -> None:
    with pytest.raises(TypeError, match="no field 'notice'"):
        _declared(due=working_days_after("notice", 3))


def test_what_becomes_of_the_late_and_when_a_batch_stops_is_declared_with_it() -> None:
    assert (_declared().late, _declared().batch_stop) == (Late.ESCALATE, BatchStop())
    other = _declared(late="cancel", batch_stop=None)
    assert (other.late, other.batch_stop) == (Late.CANCEL, None)
    with pytest.raises(ValueError, match="ignore"):
        _declared(late="ignore")
