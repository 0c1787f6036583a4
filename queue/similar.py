"""What waits for a person, grouped by reasons that differ only in their numbers: one look for many cases."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import EscalationKind

Cases = schema.cases.c
Escalations = schema.escalations.c


@dataclass(frozen=True)
class Example:
    """One of those whose reasons are alike."""

    case: str
    reference: str
    reason: str


@dataclass(frozen=True)
class Similar:
    """Escalations that wait with reasons that are alike."""

    workflow: str
    kind: EscalationKind
    alike: str | None  #: as `Escalation.alike` has it
    number: int
    oldest: datetime
    example: Example | None  #: the latest; none where it has been erased or is not to be seen


def waiting_by_reason(
    ledger: Ledger,
    workflows: Collection[str] | None = None,
    limit: int | None = None,
    with_examples: bool = True,
) -> list[Similar]:
    """What waits for a person by workflow, kind and reason, most first. `workflows` is what a person may see."""
    number, oldest = func.count(), func.min(Escalations.opened_at)
    group = (Escalations.workflow, Escalations.kind, Escalations.alike)
    query = select(*group, number, oldest, func.max(Escalations.id)).where(Escalations.settled_at.is_(None))
    if workflows is not None:
        query = query.where(Escalations.workflow.in_(workflows))
    query = query.group_by(*group).order_by(number.desc(), oldest, *group).limit(limit)
    with ledger.reading() as connection:
        rows = connection.execute(query).all()
        latest = [row[5] for row in rows] if with_examples else []
        shown = examples(ledger, connection, latest)
    return [
        Similar(workflow, EscalationKind(kind), alike and alike.hex(), count, since, shown.get(one))
        for workflow, kind, alike, count, since, one in rows
    ]


def examples(ledger: Ledger, connection: Connection, which: Sequence[int]) -> dict[int, Example]:
    """Escalations by their ids, as examples; those that have been erased are left out."""
    query = (
        select(Escalations.id, Escalations.case, Escalations.sealed_reason, Cases.reference, Cases.key)
        .join(schema.cases, Cases.id == Escalations.case)
        .where(Escalations.id.in_(which), Cases.key.is_not(None))
    )
    return {
        row.id: Example(
            row.case, row.reference, ledger.vault.open_key(row.case, row.key).open_text(row.sealed_reason)
        )
        for row in connection.execute(query)
    }
