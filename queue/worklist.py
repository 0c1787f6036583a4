"""The worklist: what waits for a person, in the orders in which people work through it, a page at a time.

A list may be as long as all that waits, so each order is that of an index, and narrowed by a workflow, a batch, a
kind or a reason it is that of another. Such an order falls into stretches (those with a due date, then those
without), and a place in it says in which stretch it is and behind what.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Integer, Row, Select, and_, false, func, literal, or_, select, true

from casehand.exceptions import CasehandError
from casehand.queue import schema
from casehand.queue.escalations import EscalationFilter
from casehand.queue.ledger import Ledger
from casehand.queue.lists import unsought
from casehand.queue.needs import Need
from casehand.queue.outcome import EscalationKind
from casehand.queue.state import State
from casehand.queue.storable import is_storable

Cases = schema.cases.c
Escalations = schema.escalations.c

SOON = timedelta(days=7)
SEPARATOR = "~"
MOST_SHARED = 20

# Written out, so that whoever plans the statement sees that an index of these alone will do.
IS_ESCALATED = Cases.state == literal(str(State.ESCALATED), Cases.state.type, literal_execute=True)


class Order(StrEnum):
    """What the list goes by."""

    #: what is overdue, then by priority, then what has been on its way longest; narrowed to dates, by these
    URGENT = "urgent"
    OPENED = "opened"  #: since when it waits
    DUE = "due"  #: by when it must be settled; without a date last, either way round


class Due(StrEnum):
    """What the list is narrowed to."""

    OVERDUE = "overdue"
    SOON = "soon"  #: within SOON
    NONE = "none"


@dataclass(frozen=True)
class Listed:
    """One of those that wait, and its place in the list."""

    id: int
    case: str
    reference: str
    workflow: str
    batch: str | None
    kind: EscalationKind
    reason: str | None  #: none when the case was erased
    opened_at: datetime
    due: datetime | None
    priority: int
    assigned_to: str | None
    place: str


@dataclass(frozen=True)
class Waiting:
    """How many wait, and with whom."""

    all: int
    unassigned: int
    mine: int


@dataclass(frozen=True)
class Under:
    """A case under a reference, which another workflow may have too."""

    id: str
    reference: str
    workflow: str


@dataclass(frozen=True)
class Settled:
    """What became of one that waited."""

    reference: str
    case: str
    settlement: str
    settled_at: datetime
    not_before: datetime


@dataclass(frozen=True)
class _Stretch:
    condition: ColumnElement[bool]
    order: tuple[ColumnElement[Any], ...]
    down: tuple[bool, ...]  #: of each column, whether the highest comes first


def worklist(
    ledger: Ledger,
    which: EscalationFilter,
    by: Order = Order.URGENT,
    backwards: bool = False,
    *,
    due: Due | None = None,
    limit: int,
    after: str | None = None,
) -> list[Listed]:
    """What waits and matches; only behind the place `after`. Raises CasehandError when that is no place."""
    now = ledger.clock()
    stretches = _stretches(by, backwards, due, now)
    number, values = (0, None) if after is None else _read_place(after, stretches)
    found: list[Listed] = []
    with ledger.reading() as connection:
        while number < len(stretches) and len(found) < limit:
            query = _query(which, due, now, by).where(stretches[number].condition)
            rows = connection.execute(_part(query, stretches[number], values, limit - len(found))).all()
            found += [_listed(ledger, row, number, stretches[number]) for row in rows if row.id is not None]
            number, values = number + 1, None
    return found


def count_waiting(ledger: Ledger, which: EscalationFilter, by: str, needs: Sequence[Need]) -> Waiting:
    """How many wait in the workflows of the filter, how many of them nobody has taken, and how many `by` has.

    `needs` are those of the same workflows, which count all that waits: it is not to be counted twice.
    """
    waits: list[ColumnElement[bool]] = [Escalations.settled_at.is_(None)]
    if which.seen is not None:
        waits.append(_of(which.seen, Escalations.workflow))
    # Each by an index of its own, without reading a row.
    taken, mine = (
        select(func.count()).select_from(schema.escalations).where(*waits, of)
        for of in (Escalations.assigned_to.is_not(None), Escalations.assigned_to == by)
    )
    with ledger.reading() as connection:
        assigned, own = connection.execute(select(taken.scalar_subquery(), mine.scalar_subquery())).one()
    number = sum(need.number for need in needs)
    # One may have been taken since the needs were counted.
    return Waiting(number, max(number - assigned, 0), own)


def shared_references(ledger: Ledger, references: Sequence[str]) -> frozenset[str]:
    """Those of the references under which more than one case waits, of different workflows."""
    query = (
        select(Cases.reference)
        .where(Cases.reference.in_(references), unsought(Cases.state) == State.ESCALATED)
        .group_by(Cases.reference)
        .having(func.count() > 1)
    )
    with ledger.reading() as connection:
        return frozenset(connection.execute(query).scalars())


def waiting_under(
    ledger: Ledger, reference: str, workflow: str | None, workflows: Collection[str] | None
) -> list[Under]:
    """The cases that wait under a reference; only of one workflow, and only of `workflows`, if given."""
    query = select(Cases.id, Cases.reference, Cases.workflow).where(
        Cases.reference == reference, unsought(Cases.state) == State.ESCALATED
    )
    if workflow is not None:
        query = query.where(Cases.workflow == workflow)
    if workflows is not None:
        query = query.where(Cases.workflow.in_(workflows))
    with ledger.reading() as connection:
        rows = connection.execute(query.order_by(Cases.workflow).limit(MOST_SHARED)).all()
    return [Under(*row) for row in rows]


def find_settled(ledger: Ledger, escalation: int, by: str) -> Settled | None:
    """What became of an escalation that this person has settled; None when it was not he."""
    query = (
        select(Cases.reference, Cases.id, Escalations.settlement, Escalations.settled_at, Cases.not_before)
        .join(schema.cases, Cases.id == Escalations.case)
        .where(Escalations.id == escalation, Escalations.settled_by == by)
    )
    with ledger.reading() as connection:
        row = connection.execute(query).first()
    return None if row is None else Settled(*row)


def _stretches(by: Order, backwards: bool, due: Due | None, now: datetime) -> tuple[_Stretch, ...]:
    if by is Order.OPENED:
        return (_Stretch(true(), (Escalations.opened_at, Escalations.id), (backwards, backwards)),)
    by_due = (Cases.due, Cases.id)
    # As the robots take them too: by priority, and then what came first.
    order = (Cases.priority, Cases.not_before, Cases.handed_in_at, Cases.line, Cases.id)
    down = (True, False, False, False, False)
    dated = _Stretch(Cases.due.is_not(None), by_due, (backwards, backwards))
    undated = _Stretch(Cases.due.is_(None), order, down)
    if due is not None:
        return (undated,) if due is Due.NONE else (dated,)
    if by is Order.DUE:
        return dated, undated
    overdue = _Stretch(Cases.due < now, by_due, (False, False))
    return overdue, _Stretch(or_(Cases.due.is_(None), Cases.due >= now), order, down)


def _query(which: EscalationFilter, due: Due | None, now: datetime, by: Order) -> Select[Any]:
    query = select(
        Escalations.id,
        Escalations.case,
        Escalations.kind,
        Escalations.sealed_reason,
        Escalations.opened_at,
        Escalations.assigned_to,
        Cases.reference,
        Cases.workflow,
        Cases.batch,
        Cases.key,
        Cases.due,
        Cases.priority,
        Cases.not_before,
        Cases.handed_in_at,
        Cases.line,
        Cases.id.label("case_id"),
    )
    its, waits = Cases.id == Escalations.case, Escalations.settled_at.is_(None)
    if by is Order.OPENED or which.assigned_to is not None:
        looked_up = _conditions(which, due, now, Escalations.workflow, Escalations.kind, Escalations.alike)
        return query.join(schema.cases, its).where(waits, *looked_up)
    # Each of these cases has one that waits. Joined so, PostgreSQL knows that it loses none of them by it: it would
    # guess that few are left, and sort all instead of reading a page in the order of an index.
    looked_up = _conditions(which, due, now, Cases.workflow, Cases.escalated_kind, Cases.escalated_alike)
    joined = schema.cases.outerjoin(schema.escalations, and_(its, waits))
    return query.select_from(joined).where(IS_ESCALATED, *looked_up)


def _conditions(
    which: EscalationFilter,
    due: Due | None,
    now: datetime,
    workflow: ColumnElement[Any],
    kind: ColumnElement[Any],
    alike: ColumnElement[Any],
) -> list[ColumnElement[bool]]:
    named = (which.batch, which.workflow, which.assigned_to)
    if not all(is_storable(name) for name in named if name is not None):
        return [false()]
    conditions = which.conditions(unsought(kind) if which.alike else kind, alike)
    if which.seen is not None:
        is_narrowed = any((which.alike, which.kind, which.batch)) or len(which.seen) > 1
        conditions.append(_of(which.seen, unsought(workflow) if is_narrowed else workflow))
    kinds: Mapping[Due, ColumnElement[bool]] = {
        Due.OVERDUE: Cases.due < now,
        Due.SOON: and_(Cases.due >= now, Cases.due < now + SOON),
        Due.NONE: Cases.due.is_(None),
    }
    return conditions if due is None else [*conditions, kinds[due]]


def _of(workflows: Collection[str], column: ColumnElement[str]) -> ColumnElement[bool]:
    """Of one of these; of one alone, an index that begins with it keeps its order."""
    only = next(iter(workflows), "")
    return column == only if len(workflows) == 1 else column.in_(workflows)


def _part(query: Select[Any], stretch: _Stretch, values: Sequence[Any] | None, limit: int) -> Select[Any]:
    if values is not None:
        query = query.where(_behind(stretch, values))
    directed = zip(stretch.order, stretch.down, strict=True)
    return query.order_by(*(column.desc() if down else column for column, down in directed)).limit(limit)


def _behind(stretch: _Stretch, values: Sequence[Any]) -> ColumnElement[bool]:
    """Behind a place, column by column; first what lets an index begin there."""
    conditions: list[ColumnElement[bool]] = []
    same: list[ColumnElement[bool]] = []
    for column, down, value in zip(stretch.order, stretch.down, values, strict=True):
        there = literal(value, column.type)
        conditions.append(and_(*same, column < there if down else column > there))
        same.append(column == there)
    first, there = stretch.order[0], literal(values[0], stretch.order[0].type)
    return and_(first <= there if stretch.down[0] else first >= there, or_(*conditions))


def _listed(ledger: Ledger, row: Row[Any], number: int, stretch: _Stretch) -> Listed:
    reason = None
    if row.key is not None:
        reason = ledger.vault.open_key(row.case, row.key).open_text(row.sealed_reason)
    return Listed(
        id=row.id,
        case=row.case,
        reference=row.reference,
        workflow=row.workflow,
        batch=row.batch,
        kind=EscalationKind(row.kind),
        reason=reason,
        opened_at=row.opened_at,
        due=row.due,
        priority=row.priority,
        assigned_to=row.assigned_to,
        place=SEPARATOR.join([str(number), *(_as_text(row, column) for column in stretch.order)]),
    )


def _as_text(row: Row[Any], column: ColumnElement[Any]) -> str:
    value = row.case_id if column is Cases.id else getattr(row, str(column.key))
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _read_place(text: str, stretches: Sequence[_Stretch]) -> tuple[int, list[Any]]:
    number, *values = text.split(SEPARATOR)
    try:
        stretch = stretches[["0", "1"].index(number)]
        return int(number), [_read(*one) for one in zip(values, stretch.order, strict=True)]
    except (ValueError, IndexError):
        raise CasehandError("there is no such place in the list: begin at its beginning") from None


def _read(text: str, column: ColumnElement[Any]) -> Any:
    if isinstance(column.type, schema.Instant):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError(text)
        return moment
    if isinstance(column.type, Integer):
        number = int(text)
        if abs(number) >= 2**63:
            raise ValueError(text)
        return number
    if not is_storable(text):
        raise ValueError(text)
    return text
