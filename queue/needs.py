"""What needs a person, counted by why."""

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import EscalationKind

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


def needs_by_kind(ledger: Ledger, workflows: Set[str] | None = None) -> list[Need]:
    """What waits, most urgent first; only of those workflows."""
    query = (
        select(Escalations.kind, func.count(), func.min(Escalations.opened_at))
        .where(Escalations.settled_at.is_(None))
        .group_by(Escalations.kind)
    )
    if workflows is not None:
        query = query.where(Escalations.workflow.in_(workflows))
    with ledger.reading() as connection:
        rows = connection.execute(query).all()
    found = [Need(EscalationKind(kind), number, oldest) for kind, number, oldest in rows]
    return sorted(found, key=lambda one: URGENCY.index(one.kind))
