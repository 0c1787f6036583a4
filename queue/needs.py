"""What needs a person: counted by why, and the first of it."""

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select

from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import EscalationKind

Cases = schema.cases.c
Escalations = schema.escalations.c

URGENCY = (
    EscalationKind.IN_DOUBT,
    EscalationKind.FAULT,
    EscalationKind.FAILURE,
    EscalationKind.QUESTION,
    EscalationKind.BUSINESS,
)
"""Which kinds come first: where a change may have been made, then what holds up others, then the rest."""


@dataclass(frozen=True)
class Need:
    """How many cases wait for a person for one reason, and since when the oldest."""

    kind: EscalationKind
    number: int
    oldest_at: datetime


@dataclass(frozen=True)
class Urgent:
    """A case that waits, without what it holds."""

    case: str
    reference: str
    workflow: str
    batch: str | None
    kind: EscalationKind
    opened_at: datetime
    due: datetime | None
    priority: int
    assigned_to: str | None


def needs_by_kind(ledger: Ledger, workflows: Set[str] | None = None) -> list[Need]:
    """What waits, most urgent first; only of those workflows."""
    query = (
        select(Escalations.kind, func.count(), func.min(Escalations.opened_at))
        .where(Escalations.settled_at.is_(None))
        .group_by(Escalations.kind)
    )
    if workflows is not None:
        query = query.join(schema.cases, Cases.id == Escalations.case).where(Cases.workflow.in_(workflows))
    with ledger.reading() as connection:
        rows = connection.execute(query).all()
    found = [Need(EscalationKind(kind), number, oldest) for kind, number, oldest in rows]
    return sorted(found, key=lambda one: URGENCY.index(one.kind))


def most_urgent(ledger: Ledger, limit: int, workflows: Set[str] | None = None) -> list[Urgent]:
    """Those that are to be settled first: what is overdue, then by priority and age."""
    now = ledger.clock()
    due = func.coalesce(Escalations.due, Cases.due)
    overdue: ColumnElement[bool] = func.coalesce(due < now, False)
    query = (
        select(
            Escalations.case,
            Cases.reference,
            Cases.workflow,
            Cases.batch,
            Escalations.kind,
            Escalations.opened_at,
            due.label("due"),
            Cases.priority,
            Escalations.assigned_to,
        )
        .join(schema.cases, Cases.id == Escalations.case)
        .where(Escalations.settled_at.is_(None))
        .order_by(overdue.desc(), Cases.priority.desc(), Escalations.opened_at, Escalations.id)
        .limit(limit)
    )
    if workflows is not None:
        query = query.where(Cases.workflow.in_(workflows))
    with ledger.reading() as connection:
        rows = connection.execute(query).all()
    return [Urgent(*row[:4], EscalationKind(row.kind), *row[5:]) for row in rows]
