"""Cases as people look at them: found, counted, and told whole."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, literal, select, true, tuple_, union_all

from casehand.queue import comments, commits, schema
from casehand.queue.comments import Comment
from casehand.queue.commits import CommitState, Intent
from casehand.queue.ledger import Ledger
from casehand.queue.lists import as_place, branches, in_order, read_place
from casehand.queue.outcome import EscalationKind
from casehand.queue.state import OPEN, State
from casehand.queue.vault import Key
from casehand.queue.waiting import NoSuchCase

Cases = schema.cases.c
Attempts = schema.attempts.c
Escalations = schema.escalations.c
Batches = schema.batches.c

STRUCTURE = frozenset({"name", "at", "seconds", "end"})
"""What of a step tells nothing of the case."""

FAULT = re.compile(r"the workflow has a fault: (?P<error>\w+) at (?P<place>[\w.-]+:[0-9]+)")
"""Why a case is escalated whose workflow is at fault."""

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
    priority: int
    not_before: datetime
    due: datetime | None
    changed_at: datetime
    handed_in_at: datetime

    def place(self, by: "CaseSort") -> str:
        """Where the case stands in a list, to go on from there."""
        if by is CaseSort.ARRIVAL:
            return self.id
        return as_place((self.due if by is CaseSort.DUE else None) or self.changed_at, self.id)


class CaseSort(StrEnum):
    """What a list of cases is ordered by."""

    ARRIVAL = "arrival"  #: when it came in; backwards, the youngest first
    CHANGED = "changed"  #: when it was moved last
    DUE = "due"  #: when it is due; cases that are not due at any time are left out


ORDERS: Mapping[CaseSort, Sequence[ColumnElement[Any]]] = {
    CaseSort.ARRIVAL: (Cases.handed_in_at, Cases.line, Cases.id),
    CaseSort.CHANGED: (Cases.changed_at, Cases.id),
    CaseSort.DUE: (Cases.due, Cases.id),
}


@dataclass(frozen=True)
class CaseFilter:
    """Which cases are looked for: those to which all that is given applies."""

    batch: str | None = None
    state: State | None = None
    workflow: str | None = None
    reference: str | None = None
    workflows: Collection[str] | None = None  #: what a person may see; None for all
    kind: EscalationKind | None = None  #: of the escalation it waits with
    since: datetime | None = None  #: from which it was handed in
    until: datetime | None = None  #: before which it was handed in
    overdue_at: datetime | None = None  #: only those that are not over, and whose due date has passed then

    @property
    def seen(self) -> Collection[str] | None:
        """The workflows of which a case may be."""
        if self.workflow is None:
            return self.workflows
        return [self.workflow] if self.workflows is None or self.workflow in self.workflows else []


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

    id: int
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
    assigned_to: str | None
    assigned_at: datetime | None
    due: datetime | None
    alike: str | None
    answer: object = None  #: what a person answered, where it was settled so


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
    comments: list[Comment]
    audit: list[dict[str, object]]
    is_erased: bool = False  #: what it held can be read no more


def counts(
    ledger: Ledger,
    batch: str | None = None,
    workflow: str | None = None,
    workflows: Collection[str] | None = None,
) -> dict[str, int]:
    """How many cases are in each state; every state is there. `workflows` is what a person may see."""
    table = {str(state): 0 for state in State}
    for _, state, _, number in _counted(ledger, CaseFilter(batch, workflow=workflow, workflows=workflows)):
        table[state] += number
    return table


def counts_by_batch(
    ledger: Ledger,
    batch: str | None = None,
    workflow: str | None = None,
    workflows: Collection[str] | None = None,
) -> list[dict[str, object]]:
    """How many cases are in each state, for each batch and workflow."""
    table: dict[tuple[str, str], dict[str, object]] = {}
    which = CaseFilter(batch, workflow=workflow, workflows=workflows)
    for name, state, of, number in _counted(ledger, which):
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
    return list_cases(ledger, CaseFilter(batch, state, workflow, reference), limit=limit, after=after)


def list_cases(
    ledger: Ledger,
    which: CaseFilter,
    by: CaseSort = CaseSort.ARRIVAL,
    backwards: bool = False,
    limit: int | None = None,
    after: str | None = None,
) -> list[CaseLine]:
    """The cases that match, in an order; only those behind `after`: a case's id, or its `place` in the list."""
    order = ORDERS[by]
    with ledger.reading() as connection:
        behind = None if after is None else _place(connection, after, order)
        query = select(schema.cases).where(*_conditions(which, by))
        rows = connection.execute(in_order(query, _parts(which, by), order, backwards, behind, limit)).all()
        return lines(ledger, connection, rows)


def how_many(ledger: Ledger, which: CaseFilter, most: int) -> int:
    """How many cases match, counted no further than `most`."""
    query = select(Cases.id).where(*_conditions(which, CaseSort.ARRIVAL))
    parts = [query if part is None else query.where(part) for part in _parts(which, CaseSort.ARRIVAL)]
    with ledger.reading() as connection:
        found = union_all(*(select(part.limit(most).subquery()) for part in parts)).limit(most).subquery()
        return connection.execute(select(func.count()).select_from(found)).scalar_one()


def lines(ledger: Ledger, connection: Connection, rows: Sequence[Row[Any]]) -> list[CaseLine]:
    """Rows of the table of cases as a person reads them."""
    made = _commits_made(connection, [row.id for row in rows])
    return [_line(ledger, row, made.get(row.id, 0)) for row in rows]


def cases_by_id(ledger: Ledger, ids: Sequence[str]) -> list[CaseLine]:
    """The cases with these ids, a page of them at most, in the order of the ids."""
    with ledger.reading() as connection:
        rows = connection.execute(select(schema.cases).where(Cases.id.in_(ids))).all()
        made = _commits_made(connection, ids)
    found = {row.id: _line(ledger, row, made.get(row.id, 0)) for row in rows}
    return [found[one] for one in ids if one in found]


def find_case(ledger: Ledger, which: str, workflows: Collection[str] | None = None) -> CaseLine:
    """The one case with this id or reference; of several with one reference, the open or else the latest.

    Only in `workflows`, if given. Raises NoSuchCase when there is none.
    """
    query = (
        select(schema.cases)
        .where((Cases.id == which) | (Cases.reference == which))
        .order_by(Cases.state.in_(OPEN).desc())
        .order_by(Cases.handed_in_at.desc())
        .limit(1)
    )
    if workflows is not None:
        query = query.where(Cases.workflow.in_(workflows))
    with ledger.reading() as connection:
        row = connection.execute(query).first()
        if row is None:
            raise NoSuchCase(which)
        return lines(ledger, connection, [row])[0]


def cases_called(
    ledger: Ledger, reference: str, workflows: Collection[str] | None, limit: int
) -> list[CaseLine]:
    """The cases with this reference, or the one with this id: the open ones first, then the latest.

    Only in `workflows`, if given.
    """
    query = (
        select(schema.cases)
        .where((Cases.reference == reference) | (Cases.id == reference))
        .order_by(Cases.state.in_(OPEN).desc(), Cases.handed_in_at.desc(), Cases.id)
        .limit(limit)
    )
    if workflows is not None:
        query = query.where(Cases.workflow.in_(workflows))
    with ledger.reading() as connection:
        return lines(ledger, connection, connection.execute(query).all())


def tell(ledger: Ledger, which: str) -> CaseStory:
    """The whole story of the case with this id or reference. Raises CasehandError when it has been erased."""
    line = find_case(ledger, which)
    ledger.key_of(line.id)
    return story_of(ledger, line)


def story_of(ledger: Ledger, line: CaseLine, with_data: bool = True) -> CaseStory:
    """The story of a case; of one that has been erased, only what it has left.

    Without data: when what was done and how it ended, and where the code is at fault, but neither what the case
    holds, nor why, nor what was asked or said, nor what the pages showed.
    """
    with ledger.reading() as connection:
        row = connection.execute(select(schema.cases).where(Cases.id == line.id)).one()
        key = None if row.key is None else ledger.vault.open_key(row.id, row.key)
        whole = key if with_data else None
        return CaseStory(
            line=line if with_data else replace(line, reason=None),
            data=_opened_json(whole, row.sealed_data) or {},
            result=_opened_json(whole, row.sealed_result),
            handed_in_at=row.handed_in_at,
            attempts=_attempts(connection, key, row.id, with_data),
            commits=commits.of_case(connection, row.id),
            escalations=_escalations(connection, key, row.id, with_data),
            comments=[] if whole is None else comments.of_case(connection, whole, row.id),
            audit=_audit(connection, row.id),
            is_erased=key is None,
        )


def came_in_behind(connection: Connection, case: str) -> ColumnElement[bool]:
    """The SQL condition that a case of `cases` came in behind this one. Raises NoSuchCase."""
    columns = (Cases.handed_in_at, Cases.line, Cases.id)
    place = connection.execute(select(*columns).where(Cases.id == case)).first()
    if place is None:
        raise NoSuchCase(case)
    return tuple_(*columns) > tuple_(
        *(literal(value, column.type) for value, column in zip(place, columns, strict=True))
    )


def _conditions(which: CaseFilter, by: CaseSort) -> list[ColumnElement[bool]]:
    """All but the workflow and the state, which say what part of an index is read."""
    given = ((Cases.batch, which.batch), (Cases.reference, which.reference))
    conditions: list[ColumnElement[bool]] = [column == value for column, value in given if value is not None]
    if which.since is not None:
        conditions.append(Cases.handed_in_at >= which.since)
    if which.until is not None:
        conditions.append(Cases.handed_in_at < which.until)
    if which.kind is not None:
        waits = select(Escalations.case).where(
            Escalations.settled_at.is_(None), Escalations.kind == which.kind
        )
        conditions.append(Cases.id.in_(waits))
    if which.overdue_at is not None:
        conditions.append(Cases.due <= which.overdue_at)
    if by is CaseSort.DUE:
        conditions.append(Cases.due.is_not(None))
    return conditions


def _parts(which: CaseFilter, by: CaseSort) -> list[ColumnElement[bool] | None]:
    states = sorted(OPEN) if which.overdue_at is not None else None
    states = states if which.state is None else [which.state]
    if which.reference is not None or which.kind is not None or (which.batch and by is not CaseSort.ARRIVAL):
        # These are few: found first, and then put in order.
        return [and_(_only(Cases.workflow, which.seen), _only(Cases.state, states))]
    if which.batch is not None:
        parts = branches((Cases.state, states or list(State)))
        return [and_(*[] if part is None else [part], _only(Cases.workflow, which.seen)) for part in parts]
    if states is None and (by is not CaseSort.ARRIVAL or which.seen is not None):
        # Each of these orders is kept for each state.
        states = list(State)
    return branches((Cases.workflow, which.seen), (Cases.state, states))


def _only(column: ColumnElement[str], values: Collection[str] | None) -> ColumnElement[bool]:
    """That it is one of these, said so that SQLite does not take an index for it that another condition has better."""
    return true() if values is None else func.coalesce(column, "").in_(values)


def _place(connection: Connection, after: str, order: Sequence[ColumnElement[Any]]) -> Sequence[Any]:
    if place := read_place(after):
        return place
    found = connection.execute(select(*order).where(Cases.id == after)).first()
    if found is None:
        raise NoSuchCase(after)
    return found


def _counted(ledger: Ledger, which: CaseFilter) -> list[Counted]:
    """Counts the cases of open batches; of the others, which may be nearly all, what was written down."""
    group = (Cases.batch, Cases.state, Cases.workflow)
    # Not a join: SQLite would go through all cases and look up the batch of each.
    still_open = select(Batches.id).where(Batches.done.is_(None))
    of_open = select(*group, func.count()).where(Cases.batch.in_(still_open)).group_by(*group)
    of_none = select(*group, func.count()).where(Cases.batch.is_(None)).group_by(*group)
    finished = select(Batches.id, Batches.workflow, Batches.done, Batches.closed, Batches.cancelled).where(
        Batches.done.is_not(None)
    )
    batch, seen = which.batch, which.seen
    if batch is not None:
        of_open, finished = of_open.where(Cases.batch == batch), finished.where(Batches.id == batch)
    if seen is not None:
        of_open, of_none = (
            of_open.where(_only(Cases.workflow, seen)),
            of_none.where(_only(Cases.workflow, seen)),
        )
        finished = finished.where(Batches.workflow.in_(seen))
    with ledger.reading() as connection:
        found: list[Counted] = [tuple(row) for row in connection.execute(of_open)]
        if batch is None:
            found += [tuple(row) for row in connection.execute(of_none)]
        for row in connection.execute(finished):
            numbers = ((State.DONE, row.done), (State.CLOSED, row.closed), (State.CANCELLED, row.cancelled))
            found += [(row.id, state, row.workflow, number) for state, number in numbers]
    return found


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
    # Of an erased case, the list tells that it was there.
    if row.sealed_reason is not None and row.key is not None:
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
        priority=row.priority,
        not_before=row.not_before,
        due=row.due,
        changed_at=row.changed_at,
        handed_in_at=row.handed_in_at,
    )


def _attempts(connection: Connection, key: Key | None, case: str, with_data: bool) -> list[AttemptStory]:
    query = select(schema.attempts).where(Attempts.case == case).order_by(Attempts.number)
    return [
        AttemptStory(
            number=row.number,
            worker=row.worker,
            begun_at=row.begun_at,
            ended_at=row.ended_at,
            end=row.end,
            reason=_opened(key, row.sealed_reason) if with_data else None,
            steps=_steps(key, row.sealed_steps, with_data),
        )
        for row in connection.execute(query)
    ]


def _steps(key: Key | None, sealed: bytes | None, with_data: bool) -> list[dict[str, object]]:
    text = _opened(key, sealed)
    steps: list[dict[str, object]] = [] if text is None else json.loads(text)
    return steps if with_data else [_without_data(step) for step in steps]


def _without_data(step: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in step.items() if name in STRUCTURE}


def _escalations(
    connection: Connection, key: Key | None, case: str, with_data: bool
) -> list[EscalationStory]:
    query = select(schema.escalations).where(Escalations.case == case).order_by(Escalations.id)
    return [_escalation(key, row, with_data) for row in connection.execute(query)]


def _escalation(key: Key | None, row: Row[Any], with_data: bool) -> EscalationStory:
    whole = key if with_data else None
    answer = _opened(whole, row.sealed_answer)
    reason = _opened(key, row.sealed_reason) or ""
    return EscalationStory(
        id=row.id,
        kind=EscalationKind(row.kind),
        attempt=row.attempt,
        opened_at=row.opened_at,
        reason=reason if with_data else _place_in_code(reason),
        question=_opened_json(whole, row.sealed_question),
        page=_opened(whole, row.sealed_page),
        screenshot=row.screenshot if with_data else None,
        settled_at=row.settled_at,
        settled_by=row.settled_by,
        settlement=row.settlement,
        assigned_to=row.assigned_to,
        assigned_at=row.assigned_at,
        due=row.due,
        alike=None if row.alike is None or not with_data else row.alike.hex(),
        answer=None if answer is None else json.loads(answer),
    )


def _place_in_code(reason: str) -> str:
    """Of a reason, the kind of error and the line of code, which tell nothing of the case."""
    found = FAULT.fullmatch(reason)
    return "" if found is None else f"{found['error']} at {found['place']}"


def _audit(connection: Connection, case: str) -> list[dict[str, object]]:
    told = [column for column in schema.audit.c if column.name not in ("place", "link")]
    query = select(*told).where(schema.audit.c.subject == case).order_by(schema.audit.c.id)
    return [dict(row) for row in connection.execute(query).mappings()]


def _opened(key: Key | None, sealed: bytes | None) -> str | None:
    return None if sealed is None or key is None else key.open_text(sealed)


def _opened_json(key: Key | None, sealed: bytes | None) -> dict[str, object] | None:
    text = _opened(key, sealed)
    opened: dict[str, object] | None = None if text is None else json.loads(text)
    return opened
