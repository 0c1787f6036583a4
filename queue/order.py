"""Order: which of the cases that may be begun is worked next.

The higher priority goes first, of one priority what is due first, and of those what came in first. So that the
lowest have their turn too, of every ten cases begun one is the oldest that waits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice, takewhile
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, literal, select

from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.readiness import READY, at
from casehand.queue.state import State

EVERY = 10
"""Of so many cases begun, one is the oldest that waits."""

Cases = schema.cases.c
Entries = schema.audit.c

# Written out, so that whoever plans the statement sees that the index of what is queued will do.
IS_QUEUED = Cases.state == literal(str(State.QUEUED), Cases.state.type, literal_execute=True)

BY_AGE: Sequence[ColumnElement[Any]] = (Cases.handed_in_at, Cases.line, Cases.id)
BY_URGENCY: Sequence[ColumnElement[Any]] = (
    Cases.priority.desc(),
    Cases.due.is_(None),
    Cases.due,
    *BY_AGE,
)


@dataclass(frozen=True)
class Next:
    """A case that may be begun now, as its attempt `attempt`."""

    case: str
    attempt: int
    timeout: int  #: seconds

    @property
    def job(self) -> str:
        """The id of its job."""
        return f"{self.case}-{self.attempt}"


def next_cases(ledger: Ledger, most: int) -> list[Next]:
    """The cases to begin next, the first of them first; `most` at most."""
    now = ledger.clock()
    with ledger.reading() as connection:
        urgent = _ready(connection, now, BY_URGENCY, most)
        oldest = _ready(connection, now, BY_AGE, most // EVERY + 1) if urgent else []
        passed_over = _passed_over(connection, oldest[0]) if oldest else 0
    woven = _woven(urgent, oldest, EVERY - 1 - passed_over)
    return [Next(row.id, row.attempts + 1, row.timeout_seconds) for row in islice(woven, most)]


def _ready(
    connection: Connection, now: datetime, order: Sequence[ColumnElement[Any]], most: int
) -> Sequence[Row[Any]]:
    timeout = schema.workflows.c.timeout_seconds
    query: Select[Any] = (
        select(*BY_AGE, Cases.attempts, timeout)
        .join(schema.workflows, schema.workflows.c.name == Cases.workflow)
        .where(IS_QUEUED, READY)
        .order_by(*order)
        .limit(most)
    )
    return connection.execute(query, at(now)).all()


def _passed_over(connection: Connection, oldest: Row[Any]) -> int:
    """How many cases that came in after the oldest were begun one after another of late; fewer than EVERY."""
    begun = (
        select(*BY_AGE)
        .join_from(schema.audit, schema.cases, Cases.id == Entries.subject)
        .where(Entries.action == "begun")
        .order_by(Entries.at.desc(), Entries.id.desc())
        .limit(EVERY - 1)
    )
    came_in = tuple(oldest[: len(BY_AGE)])
    return len(list(takewhile(lambda row: tuple(row) > came_in, connection.execute(begun))))


def _woven(urgent: Sequence[Row[Any]], oldest: Sequence[Row[Any]], until: int) -> Iterator[Row[Any]]:
    """The urgent ones, with the oldest in the place `until` and in every tenth behind it; each once."""
    by_urgency, by_age, given = iter(urgent), iter(oldest), set[str]()
    for place in range(len(urgent)):
        line = chain(by_age, by_urgency) if place % EVERY == until else by_urgency
        found = next((row for row in line if row.id not in given), None)
        if found is not None:
            given.add(found.id)
            yield found
