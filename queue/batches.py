"""Batches as people look at them: what was not taken in, and what came of those that are over."""

from dataclasses import dataclass

from sqlalchemy import Connection, exists, func, select, update

from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.state import OPEN, State

Batches = schema.batches.c
Cases = schema.cases.c
Rejections = schema.rejections.c


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


def rejections_of(ledger: Ledger, batch: str) -> list[Rejected]:
    """The rows of a batch that were not taken in, in their order."""
    query = select(schema.rejections).where(Rejections.batch == batch).order_by(Rejections.line)
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
    still_open = exists(select(Cases.id).where(Cases.batch == Batches.id, Cases.state.in_(OPEN)))
    over = select(Batches.id).where(Batches.done.is_(None), ~still_open)
    with ledger.reading() as connection:
        return [(batch, _ended(connection, batch)) for batch in connection.execute(over).scalars().all()]


def _ended(connection: Connection, batch: str) -> dict[str, int]:
    by_state = select(Cases.state, func.count()).where(Cases.batch == batch).group_by(Cases.state)
    none = {str(state): 0 for state in (State.DONE, State.CLOSED, State.CANCELLED)}
    rows = connection.execute(by_state).all()
    return none | dict(rows)
