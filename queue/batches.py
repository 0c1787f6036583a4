"""Batches as people look at them: what was not taken in."""

from dataclasses import dataclass

from sqlalchemy import select

from casehand.queue import schema
from casehand.queue.ledger import Ledger

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
