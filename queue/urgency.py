"""Urgency: by when a case must be done or settled, and which is worked first."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, update

from casehand.exceptions import CasehandError
from casehand.queue import audit, commits, schema
from casehand.queue.ledger import Ledger
from casehand.queue.part import Part, done, name_of
from casehand.queue.state import OPEN, State
from casehand.queue.waiting import lock_case

HIGHEST = 1_000
YEARS = range(2000, 3000)

Cases = schema.cases.c
Escalations = schema.escalations.c


def set_due(ledger: Ledger, case: str, due: datetime | None, by: str, *, part: Part | None = None) -> None:
    """Say by when an open case must be done, and what it waits for be settled; None for no date.

    Raises CasehandError when the case is over.
    """
    with ledger.writing() as connection:
        _lock_open(connection, case)
        # With another date, it is not to be late again.
        _update(connection, case, due=due, may_be_late=False)
        connection.execute(
            update(schema.escalations)
            .where(Escalations.case == case, Escalations.settled_at.is_(None))
            .values(due=due)
        )
        shown = "none" if due is None else due.isoformat()
        _record(ledger, connection, case, by, "due date set", shown, part)


def set_priority(ledger: Ledger, case: str, priority: int, by: str, *, part: Part | None = None) -> None:
    """Say how urgent an open case is: higher is worked first.

    Raises CasehandError when the case is over, or the priority is no number from -HIGHEST to HIGHEST.
    """
    checked_priority(priority)
    with ledger.writing() as connection:
        _lock_open(connection, case)
        _update(connection, case, priority=priority)
        _record(ledger, connection, case, by, "priority set", str(priority), part)


def put_off(ledger: Ledger, case: str, until: datetime, by: str, *, part: Part | None = None) -> None:
    """Say before when a queued case may not begin; one whose change may be on its way waits for that as well.

    Raises CasehandError when it is not queued.
    """
    with ledger.writing() as connection:
        row = lock_case(connection, case)
        if row.state != State.QUEUED:
            raise CasehandError(f"the case is {row.state}: only one that is queued can be put off")
        _update(connection, case, not_before=max([until, *commits.settle_at(connection, case)]))
        _record(ledger, connection, case, by, "put off", until.isoformat(), part)


def checked_time(time: datetime) -> datetime:
    """A time before which work may not begin, as it can be. Raises CasehandError."""
    if time.tzinfo is None or time.year not in YEARS:
        raise CasehandError(f"a time has a time zone, and a year from {YEARS.start} to {YEARS.stop - 1}")
    return time


def checked_due(due: datetime | None) -> datetime | None:
    """A due date as it can be. Raises CasehandError."""
    if due is not None and (due.tzinfo is None or due.year not in YEARS):
        raise CasehandError(f"a due date has a time zone, and a year from {YEARS.start} to {YEARS.stop - 1}")
    return due


def checked_priority(priority: int) -> int:
    """A priority as it can be. Raises CasehandError."""
    if not -HIGHEST <= priority <= HIGHEST:
        raise CasehandError(f"a priority is a number from {-HIGHEST} to {HIGHEST}")
    return priority


def _lock_open(connection: Connection, case: str) -> Row[Any]:
    row = lock_case(connection, case)
    if row.state not in OPEN:
        raise CasehandError(f"the case is {row.state}: nothing of it is still to come")
    return row


def _update(connection: Connection, case: str, **columns: Any) -> None:
    connection.execute(update(schema.cases).where(Cases.id == case).values(**columns))


def _record(
    ledger: Ledger,
    connection: Connection,
    case: str,
    by: str,
    action: str,
    value: str,
    part: Part | None,
) -> None:
    detail = "; ".join(filter(None, (value, name_of(part))))
    audit.record(connection, ledger.clock(), by, action, case, detail=detail)
    done(part, connection)
