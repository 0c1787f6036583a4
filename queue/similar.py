"""What waits for a person, grouped by reasons that differ only in their numbers: one look for many cases."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import EscalationKind

Cases = schema.cases.c
Escalations = schema.escalations.c

GROUP = (Escalations.workflow, Escalations.kind, Escalations.alike)


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
    with ledger.reading() as connection:
        found = [*_known(connection, workflows, limit), *_unknown(connection, workflows)]
        rows = sorted(found, key=lambda row: (-row.number, row.oldest))[:limit]
        latest = [row.latest for row in rows] if with_examples else []
        shown = examples(ledger, connection, latest)
    return [
        Similar(
            row.workflow,
            EscalationKind(row.kind),
            row.alike and row.alike.hex(),
            row.number,
            row.oldest,
            shown.get(row.latest),
        )
        for row in rows
    ]


def _known(
    connection: Connection, workflows: Collection[str] | None, limit: int | None
) -> Sequence[Row[Any]]:
    """Those whose reasons have been indexed."""
    number = func.count().label("number")
    query = select(*GROUP, number).where(*_waits(workflows), Escalations.alike.is_not(None))
    most = query.group_by(*GROUP).order_by(number.desc(), *GROUP).limit(limit).subquery()
    # Only counted where it may be all that waits: of those shown, the index has the oldest first and the latest last.
    one = schema.escalations.alias("one")
    same = (one.c[column.key] == most.c[column.key] for column in GROUP)
    its = select(one.c.id).where(one.c.settled_at.is_(None), *same)
    oldest = its.with_only_columns(one.c.opened_at).order_by(one.c.opened_at, one.c.id)
    latest = its.order_by(one.c.opened_at.desc(), one.c.id.desc())
    ends = (
        end.limit(1).correlate(most).scalar_subquery().label(name)
        for name, end in (("oldest", oldest), ("latest", latest))
    )
    return connection.execute(select(most, *ends)).all()


def _unknown(connection: Connection, workflows: Collection[str] | None) -> Sequence[Row[Any]]:
    """Those from before there was an index, until it has caught up with them."""
    ends = (func.min(Escalations.opened_at).label("oldest"), func.max(Escalations.id).label("latest"))
    query = select(*GROUP, func.count().label("number"), *ends)
    query = query.where(*_waits(workflows), Escalations.alike.is_(None))
    return connection.execute(query.group_by(*GROUP)).all()


def _waits(workflows: Collection[str] | None) -> list[ColumnElement[bool]]:
    seen = [] if workflows is None else [Escalations.workflow.in_(workflows)]
    return [Escalations.settled_at.is_(None), *seen]


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
