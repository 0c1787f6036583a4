"""What needs a person, counted by why."""

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, literal, select, union_all

from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import EscalationKind

Escalations = schema.escalations.c

URGENCY = (
    EscalationKind.IN_DOUBT,
    EscalationKind.FAULT,
    EscalationKind.FAILURE,
    EscalationKind.LATE,
    EscalationKind.QUESTION,
    EscalationKind.BUSINESS,
)
"""Which kinds come first: where a change may have been made, what holds up others, what is late, then the rest."""


@dataclass(frozen=True)
class Need:
    """How many cases wait for a person for one reason, and since when the oldest."""

    kind: EscalationKind
    number: int
    oldest_at: datetime


def needs_by_kind(ledger: Ledger, workflows: Set[str] | None = None) -> list[Need]:
    """What waits, most urgent first; only of those workflows."""
    with ledger.reading() as connection:
        rows = connection.execute(union_all(*(_need(kind, workflows) for kind in URGENCY))).all()
    found = [Need(EscalationKind(kind), number, oldest) for kind, number, oldest in rows if number]
    return sorted(found, key=lambda one: URGENCY.index(one.kind))


def _need(kind: EscalationKind, workflows: Set[str] | None) -> Select[Any]:
    """Each kind by itself: an index counts its rows without looking at them, and begins with the oldest."""
    waits = [Escalations.settled_at.is_(None), Escalations.kind == kind]
    if workflows is not None:
        waits.append(Escalations.workflow.in_(workflows))
    number = select(func.count()).select_from(schema.escalations).where(*waits)
    oldest = select(func.min(Escalations.opened_at)).where(*waits)
    return select(literal(str(kind)), number.scalar_subquery(), oldest.scalar_subquery())
