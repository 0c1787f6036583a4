"""Cases as people look at them: found, counted, and told whole."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, literal, select, tuple_

from casehand.exceptions import CasehandError
from casehand.queue import commits, schema
from casehand.queue.commits import CommitState, Intent
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import EscalationKind
from casehand.queue.state import State
from casehand.queue.vault import Key

Cases = schema.cases.c
Attempts = schema.attempts.c
Escalations = schema.escalations.c
Batches = schema.batches.c

Counted = tuple[str | None, str, str, int]
"""A batch, a state, a workflow and how many of its cases are in that state."""


@dataclass(frozen=True)
class CaseLine:
    """One case in a list."""

    id: str
    reference: str
    workflow: str
    batch: str | None
    state: State
    reason: str | None
    attempts: int
    commits: int  #: changes made in the legacy system
    not_before: datetime
    changed_at: datetime


@dataclass(frozen=True)
class AttemptStory:
    """One attempt, with its steps."""

    number: int
    worker: str
    begun_at: datetime
    ended_at: datetime | None
    end: str | None
    reason: str | None
    steps: list[dict[str, object]]


@dataclass(frozen=True)
class EscalationStory:
    """One time the case was put in front of a person."""

    kind: EscalationKind
    attempt: int
    opened_at: datetime
    reason: str
    question: dict[str, object] | None
    page: str | None
    screenshot: str | None
    settled_at: datetime | None
    settled_by: str | None
    settlement: str | None


@dataclass(frozen=True)
class CaseStory:
    """All there is to know of a case."""

    line: CaseLine
    data: dict[str, object]
    result: dict[str, object] | None
    handed_in_at: datetime
    attempts: list[AttemptStory]
    commits: list[Intent]
    escalations: list[EscalationStory]
    audit: list[dict[str, object]]


def counts(ledger: Ledger, batch: str | None = None, workflow: str | None = None) -> dict[str, int]:
    """How many cases are in each state; every state is there."""
    table = {str(state): 0 for state in State}
    for _, state, _, number in _counted(ledger, batch, workflow):
        table[state] += number
    return table


def counts_by_batch(
    ledger: Ledger, batch: str | None = None, workflow: str | None = None
) -> list[dict[str, object]]:
    """How many cases are in each state, for each batch and workflow."""
    table: dict[tuple[str, str], dict[str, object]] = {}
    for name, state, of, number in _counted(ledger, batch, workflow):
        empty = {str(one): 0 for one in State}
        row = table.setdefault((of, name or ""), {"batch": name, "workflow": of, **empty})
        row[state] = number
    return [table[key] for key in sorted(table)]


def find_cases(
    ledger: Ledger,
    batch: str | None = None,
    state: State | None = None,
    workflow: str | None = None,
    reference: str | None = None,
    limit: int | None = None,
    after: str | None = None,
) -> list[CaseLine]:
    """The cases that match, in the order they came in; only those behind the case with the id `after`."""
    conditions: list[ColumnElement[bool]] = []
    given = (
        (Cases.batch, batch),
        (Cases.state, state),
        (Cases.workflow, workflow),
        (Cases.reference, reference),
    )
    conditions += [column == value for column, value in given if value is not None]
    query = select(schema.cases).order_by(Cases.handed_in_at, Cases.line, Cases.id).limit(limit)
    with ledger.reading() as connection:
        if after is not None:
            conditions.append(_came_in_behind(connection, after))
        rows = connection.execute(query.where(*conditions)).all()
        made = _commits_made(connection, [row.id for row in rows])
    return [_line(ledger, row, made.get(row.id, 0)) for row in rows]


def find_case(ledger: Ledger, which: str) -> CaseLine:
    """The one case with this id or reference; of several with one reference, the open or else the latest.

    Raises CasehandError when there is none.
    """
    with ledger.reading() as connection:
        row = connection.execute(
            select(schema.cases)
            .where((Cases.id == which) | (Cases.reference == which))
            .order_by(Cases.state.in_([State.QUEUED, State.WORKING, State.ESCALATED]).desc())
            .order_by(Cases.handed_in_at.desc())
            .limit(1)
        ).first()
        if row is None:
            raise _no_case(which)
        return _line(ledger, row, _commits_made(connection, [row.id]).get(row.id, 0))


def tell(ledger: Ledger, which: str) -> CaseStory:
    """The whole story of the case with this id or reference."""
    line = find_case(ledger, which)
    with ledger.reading() as connection:
        row = connection.execute(select(schema.cases).where(Cases.id == line.id)).one()
        key = ledger.vault.open_key(row.id, row.key)
        return CaseStory(
            line=line,
            data=json.loads(key.open_text(row.sealed_data)),
            result=_opened_json(key, row.sealed_result),
            handed_in_at=row.handed_in_at,
            attempts=_attempts(connection, key, row.id),
            commits=commits.of_case(connection, row.id),
            escalations=_escalations(connection, key, row.id),
            audit=_audit(connection, row.id),
        )


def _counted(ledger: Ledger, batch: str | None, workflow: str | None) -> list[Counted]:
    """Counts the cases of open batches; of the others, which may be nearly all, what was written down."""
    group = (Cases.batch, Cases.state, Cases.workflow)
    # Not a join: SQLite would go through all cases and look up the batch of each.
    still_open = select(Batches.id).where(Batches.done.is_(None))
    of_open = select(*group, func.count()).where(Cases.batch.in_(still_open)).group_by(*group)
    of_none = select(*group, func.count()).where(Cases.batch.is_(None)).group_by(*group)
    finished = select(Batches.id, Batches.workflow, Batches.done, Batches.closed, Batches.cancelled).where(
        Batches.done.is_not(None)
    )
    if batch is not None:
        of_open, finished = of_open.where(Cases.batch == batch), finished.where(Batches.id == batch)
    if workflow is not None:
        of_open, of_none = (
            of_open.where(Cases.workflow == workflow),
            of_none.where(Cases.workflow == workflow),
        )
        finished = finished.where(Batches.workflow == workflow)
    with ledger.reading() as connection:
        found: list[Counted] = [tuple(row) for row in connection.execute(of_open)]
        if batch is None:
            found += [tuple(row) for row in connection.execute(of_none)]
        for row in connection.execute(finished):
            numbers = ((State.DONE, row.done), (State.CLOSED, row.closed), (State.CANCELLED, row.cancelled))
            found += [(row.id, state, row.workflow, number) for state, number in numbers]
    return found


def _came_in_behind(connection: Connection, case: str) -> ColumnElement[bool]:
    columns = (Cases.handed_in_at, Cases.line, Cases.id)
    place = connection.execute(select(*columns).where(Cases.id == case)).first()
    if place is None:
        raise _no_case(case)
    return tuple_(*columns) > tuple_(
        *(literal(value, column.type) for value, column in zip(place, columns, strict=True))
    )


def _no_case(which: str) -> CasehandError:
    return CasehandError(f"there is no case {which}: `casehand cases` lists those there are")


def _commits_made(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    made: dict[str, int] = {}
    column = schema.commits.c
    for start in range(0, len(ids), 500):
        query = (
            select(column.case, func.count())
            .where(column.case.in_(ids[start : start + 500]), column.state == CommitState.MADE)
            .group_by(column.case)
        )
        made.update(connection.execute(query).all())
    return made


def _line(ledger: Ledger, row: Row[Any], made: int) -> CaseLine:
    reason = None
    if row.sealed_reason is not None:
        reason = ledger.vault.open_key(row.id, row.key).open_text(row.sealed_reason)
    return CaseLine(
        id=row.id,
        reference=row.reference,
        workflow=row.workflow,
        batch=row.batch,
        state=State(row.state),
        reason=reason,
        attempts=row.attempts,
        commits=made,
        not_before=row.not_before,
        changed_at=row.changed_at,
    )


def _attempts(connection: Connection, key: Key, case: str) -> list[AttemptStory]:
    query = select(schema.attempts).where(Attempts.case == case).order_by(Attempts.number)
    return [
        AttemptStory(
            number=row.number,
            worker=row.worker,
            begun_at=row.begun_at,
            ended_at=row.ended_at,
            end=row.end,
            reason=_opened(key, row.sealed_reason),
            steps=json.loads(key.open_text(row.sealed_steps)) if row.sealed_steps else [],
        )
        for row in connection.execute(query)
    ]


def _escalations(connection: Connection, key: Key, case: str) -> list[EscalationStory]:
    query = select(schema.escalations).where(Escalations.case == case).order_by(Escalations.id)
    return [
        EscalationStory(
            kind=EscalationKind(row.kind),
            attempt=row.attempt,
            opened_at=row.opened_at,
            reason=key.open_text(row.sealed_reason),
            question=_opened_json(key, row.sealed_question),
            page=_opened(key, row.sealed_page),
            screenshot=row.screenshot,
            settled_at=row.settled_at,
            settled_by=row.settled_by,
            settlement=row.settlement,
        )
        for row in connection.execute(query)
    ]


def _audit(connection: Connection, case: str) -> list[dict[str, object]]:
    told = [column for column in schema.audit.c if column.name not in ("place", "link")]
    query = select(*told).where(schema.audit.c.subject == case).order_by(schema.audit.c.id)
    return [dict(row) for row in connection.execute(query).mappings()]


def _opened(key: Key, sealed: bytes | None) -> str | None:
    return None if sealed is None else key.open_text(sealed)


def _opened_json(key: Key, sealed: bytes | None) -> dict[str, object] | None:
    if sealed is None:
        return None
    opened: dict[str, object] | None = json.loads(key.open_text(sealed))
    return opened
