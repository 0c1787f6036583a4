"""What waits for a person, grouped by reasons that differ only in their numbers: one look for many cases."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, FromClause, Row, and_, func, literal, select, tuple_

from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import EscalationKind

Cases = schema.cases.c
Escalations = schema.escalations.c

FEW = 200
"""Reasons that are gone through one by one: with more it is less work to go through all that waits."""


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
        firsts = _firsts(connection)
        found = _all(connection, workflows) if firsts is None else _each(connection, firsts, workflows)
        rows = sorted(found, key=lambda row: (-row[3], row[4], *row[:2], row[2] or b""))[:limit]
        latest = [row[5] for row in rows] if with_examples else []
        shown = examples(ledger, connection, latest)
    return [
        Similar(workflow, EscalationKind(kind), alike and alike.hex(), count, since, shown.get(one))
        for workflow, kind, alike, count, since, one in rows
    ]


def _firsts(connection: Connection) -> list[int] | None:
    """The escalation that waits longest for each reason; None where there are too many reasons, or some unknown."""
    unknown = select(Escalations.id).where(_waits(schema.escalations), Escalations.alike.is_(None)).limit(1)
    if connection.execute(unknown).first() is not None:
        return None
    found = _walk()
    firsts = connection.execute(select(found.c.id).where(found.c.id.is_not(None))).scalars().all()
    return None if len(firsts) > FEW else list(firsts)


def _walk() -> CTE:
    """From each reason to the next in the order of an index, so that none between them is read."""
    last, following = schema.escalations.alias("last"), schema.escalations.alias("following")
    begin = select(Escalations.id).where(_waits(schema.escalations)).order_by(*_order(schema.escalations))
    found = select(literal(0).label("number"), begin.limit(1).scalar_subquery().label("id"))
    walk = found.cte("reasons", recursive=True)
    behind = tuple_(*_group(following)) > tuple_(*_group(last))
    onward = select(following.c.id).where(_waits(following), behind).order_by(*_order(following)).limit(1)
    there = walk.join(last, last.c.id == walk.c.id)
    following_one = onward.correlate(last).scalar_subquery()
    return walk.union_all(
        select(walk.c.number + 1, following_one).select_from(there).where(walk.c.number < FEW)
    )


def _each(
    connection: Connection, firsts: Sequence[int], workflows: Collection[str] | None
) -> Sequence[Row[Any]]:
    """Each reason with how many wait for it: an index counts them, and has the latest at the end."""
    one = schema.escalations.alias("one")
    same = and_(_waits(one), *(its == ours for its, ours in zip(_group(one), _columns(), strict=True)))
    number = select(func.count()).select_from(one).where(same)
    latest = select(one.c.id).where(same).order_by(one.c.opened_at.desc(), one.c.id.desc()).limit(1)
    query = select(
        *_columns(),
        number.correlate(schema.escalations).scalar_subquery(),
        Escalations.opened_at,
        latest.correlate(schema.escalations).scalar_subquery(),
    ).where(Escalations.id.in_(firsts))
    if workflows is not None:
        query = query.where(Escalations.workflow.in_(workflows))
    return connection.execute(query).all()


def _all(connection: Connection, workflows: Collection[str] | None) -> Sequence[Row[Any]]:
    oldest, latest = func.min(Escalations.opened_at), func.max(Escalations.id)
    query = select(*_columns(), func.count(), oldest, latest).where(_waits(schema.escalations))
    if workflows is not None:
        query = query.where(Escalations.workflow.in_(workflows))
    return connection.execute(query.group_by(*_columns())).all()


def _waits(table: FromClause) -> ColumnElement[bool]:
    return table.c.settled_at.is_(None)


def _columns() -> list[ColumnElement[Any]]:
    return _group(schema.escalations)


def _group(table: FromClause) -> list[ColumnElement[Any]]:
    return [table.c.workflow, table.c.kind, table.c.alike]


def _order(table: FromClause) -> list[ColumnElement[Any]]:
    return [*_group(table), table.c.opened_at, table.c.id]


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
