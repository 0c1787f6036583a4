"""Batches as people look at them: what was not taken in, and what came of those that are over."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, exists, func, literal, select, tuple_, update

from casehand.exceptions import CasehandError
from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import EscalationKind
from casehand.queue.state import OPEN, State
from casehand.queue.storable import is_storable
from casehand.queue.worklist import IS_ESCALATED

Batches = schema.batches.c
Cases = schema.cases.c
Escalations = schema.escalations.c
Rejections = schema.rejections.c

COUNTED = 1_000
"""Cases that need a person, of one batch: of more, it is only told that there are more."""


class NoSuchBatch(CasehandError):
    """There is no such batch, or none that may be seen."""

    def __init__(self, batch: str) -> None:
        super().__init__(f"there is no batch {batch}: `casehand status` shows those there are")


class BatchSort(StrEnum):
    """What a list of batches is ordered by."""

    NAME = "name"
    WORKFLOW = "workflow"
    FILE = "file"
    WHO = "who"
    WHEN = "when"


ORDERS = {
    BatchSort.NAME: Batches.id,
    BatchSort.WORKFLOW: Batches.workflow,
    BatchSort.FILE: Batches.file,
    BatchSort.WHO: Batches.handed_in_by,
    BatchSort.WHEN: Batches.handed_in_at,
}


@dataclass(frozen=True)
class BatchLine:
    """One batch in a list."""

    name: str
    workflow: str
    file: str
    handed_in_at: datetime
    handed_in_by: str
    accepted: int
    rejected: int
    duplicates: int
    counts: Mapping[str, int]  #: its cases by state; every state is there

    @property
    def refused(self) -> int:
        """Rows that are no case."""
        return self.rejected + self.duplicates

    @property
    def ended(self) -> int:
        """Cases to which nothing more will be done."""
        return sum(number for state, number in self.counts.items() if state not in OPEN)

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is open."""
        return self.ended == self.accepted


@dataclass(frozen=True)
class Waiting:
    """A case of a batch that waits for a person."""

    case: str
    reference: str
    line: int
    kind: EscalationKind
    opened_at: datetime
    assigned_to: str | None


@dataclass(frozen=True)
class Rejected:
    """A row that did not become a case, and why."""

    line: int
    kind: str
    column: str | None
    reason: str
    reference: str | None


def batch_names(ledger: Ledger) -> list[str]:
    """The names of all batches."""
    with ledger.reading() as connection:
        return list(connection.execute(select(schema.batches.c.id).order_by(schema.batches.c.id)).scalars())


def find_batch(ledger: Ledger, name: str, workflows: Collection[str] | None = None) -> BatchLine:
    """One batch, only of `workflows`, if given. Raises NoSuchBatch."""
    if not is_storable(name):
        raise NoSuchBatch(name)
    query = select(schema.batches).where(Batches.id == name)
    if workflows is not None:
        query = query.where(Batches.workflow.in_(workflows))
    with ledger.reading() as connection:
        found = _lines(connection, connection.execute(query).all())
    if not found:
        raise NoSuchBatch(name)
    return found[0]


def list_batches(
    ledger: Ledger,
    workflows: Collection[str] | None = None,
    by: BatchSort = BatchSort.WHEN,
    backwards: bool = True,
    limit: int | None = None,
    after: str | None = None,
    is_open: bool = False,
) -> list[BatchLine]:
    """Batches in an order, only of `workflows`, if given; those behind the batch `after`; those that are not over.

    Raises NoSuchBatch when there is no batch `after`.
    """
    order = (ORDERS[by], Batches.id)
    query = select(schema.batches).order_by(*(one.desc() if backwards else one for one in order)).limit(limit)
    if workflows is not None:
        query = query.where(Batches.workflow.in_(workflows))
    if is_open:
        query = query.where(Batches.done.is_(None), _has_open_cases())
    with ledger.reading() as connection:
        if after is not None and not is_storable(after):
            raise NoSuchBatch(after)
        if after is not None:
            query = _behind(connection, query, by, backwards, after)
        return _lines(connection, connection.execute(query).all())


def waiting_in(ledger: Ledger, batch: str, limit: int) -> tuple[dict[EscalationKind, int], list[Waiting]]:
    """What of a batch waits for a person: how many for which reason, and the first of them, as the list goes.

    No more than COUNTED are counted.
    """
    waits = (Cases.batch == batch, IS_ESCALATED)
    some = select(Cases.escalated_kind).where(*waits).limit(COUNTED).subquery()
    counted = select(some.c.escalated_kind, func.count()).group_by(some.c.escalated_kind)
    first = (
        select(
            Escalations.case,
            Cases.reference,
            Cases.line,
            Escalations.kind,
            Escalations.opened_at,
            Escalations.assigned_to,
        )
        .join(schema.cases, Cases.id == Escalations.case)
        .where(*waits, Escalations.settled_at.is_(None))
        .order_by(Cases.priority.desc(), Cases.not_before, Cases.handed_in_at, Cases.line, Cases.id)
        .limit(limit)
    )
    with ledger.reading() as connection:
        kinds = {EscalationKind(kind): number for kind, number in connection.execute(counted)}
        rows = connection.execute(first).all()
    return kinds, [Waiting(*row[:3], EscalationKind(row.kind), *row[4:]) for row in rows]


def rejections_of(ledger: Ledger, batch: str, limit: int | None = None, after: int = 0) -> list[Rejected]:
    """The rows of a batch that were not taken in, in their order; only those behind the line `after`."""
    query = select(schema.rejections).where(Rejections.batch == batch, Rejections.line > after)
    # In the order of the file they were written, and by their numbers the index gives them.
    query = query.order_by(Rejections.id).limit(limit)
    with ledger.reading() as connection:
        rows = connection.execute(query).all()
    return [Rejected(row.line, row.kind, row.column, row.reason, row.reference) for row in rows]


def note_finished(ledger: Ledger) -> None:
    """Write down how the cases of each batch ended in which nothing is open any more.

    No case comes out of an ended state, so this is never wrong again, and `status` need not count a ledger's
    whole past. A count kept with every move would make all workers of a batch wait for each other's commit.
    """
    for batch, ended in _newly_finished(ledger):
        with ledger.writing() as connection:
            connection.execute(
                update(schema.batches)
                .where(Batches.id == batch, Batches.done.is_(None))
                .values(ended | {"finished_at": ledger.clock()})
            )


def _newly_finished(ledger: Ledger) -> list[tuple[str, dict[str, int]]]:
    over = select(Batches.id).where(Batches.done.is_(None), ~_has_open_cases())
    with ledger.reading() as connection:
        return [(batch, _ended(connection, batch)) for batch in connection.execute(over).scalars().all()]


def _ended(connection: Connection, batch: str) -> dict[str, int]:
    by_state = select(Cases.state, func.count()).where(Cases.batch == batch).group_by(Cases.state)
    none = {str(state): 0 for state in (State.DONE, State.CLOSED, State.CANCELLED)}
    rows = connection.execute(by_state).all()
    return none | dict(rows)


def _has_open_cases() -> ColumnElement[bool]:
    """The SQL condition that something of a batch of `batches` is open."""
    return exists(select(Cases.id).where(Cases.batch == Batches.id, Cases.state.in_(OPEN)))


def _behind(
    connection: Connection, query: Select[Any], by: BatchSort, backwards: bool, after: str
) -> Select[Any]:
    column = ORDERS[by]
    place = connection.execute(select(column, Batches.id).where(Batches.id == after)).first()
    if place is None:
        raise NoSuchBatch(after)
    order = tuple_(column, Batches.id)
    behind = tuple_(literal(place[0], column.type), literal(place[1]))
    return query.where(order < behind if backwards else order > behind)


def _lines(connection: Connection, rows: Sequence[Row[Any]]) -> list[BatchLine]:
    counted = _counts(connection, [row.id for row in rows if row.done is None])
    return [
        BatchLine(
            name=row.id,
            workflow=row.workflow,
            file=row.file,
            handed_in_at=row.handed_in_at,
            handed_in_by=row.handed_in_by,
            accepted=row.accepted,
            rejected=row.rejected,
            duplicates=row.duplicates,
            counts=_ended_of(row) if row.done is not None else counted[row.id],
        )
        for row in rows
    ]


def _counts(connection: Connection, batches: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many cases of each are in which state."""
    if not batches:
        return {}
    # Each number by itself: to count a stretch of an index takes a third of the time that grouping it does.
    numbers = [
        select(func.count()).select_from(schema.cases).where(Cases.batch == Batches.id, Cases.state == state)
        for state in State
    ]
    query = select(Batches.id, *(number.scalar_subquery() for number in numbers))
    rows = connection.execute(query.where(Batches.id.in_(batches)))
    return {batch: dict(zip(map(str, State), counted, strict=True)) for batch, *counted in rows}


def _ended_of(row: Row[Any]) -> dict[str, int]:
    none = {str(state): 0 for state in State}
    return none | {"done": row.done, "closed": row.closed, "cancelled": row.cancelled}
