"""What holds a queued case up: the same conditions that the dispatcher goes by, told one by one."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, or_, select

from casehand.queue import schema
from casehand.queue.breaker import OpenBreaker
from casehand.queue.ledger import Ledger
from casehand.queue.pauses import Pause, PauseKind
from casehand.queue.readiness import came_before, is_next_to
from casehand.queue.state import State

Cases = schema.cases.c
Pauses = schema.pauses.c
Breakers = schema.breakers.c
BotsOf = schema.workflow_bots.c


@dataclass(frozen=True)
class Holdups:
    """What a queued case waits for beside a free worker."""

    until: datetime | None  #: it may not begin before
    pauses: tuple[Pause, ...]
    breakers: tuple[OpenBreaker, ...]  #: of bots whose system fails case after case
    behind: "Ahead | None" = None  #: another case with its reference that goes first
    overdue: bool = False  #: its due date has passed: in a moment a person is asked, or it is cancelled


@dataclass(frozen=True)
class Ahead:
    """A case that goes first, since it has the same reference and needs the same bot, and what it waits for."""

    case: str
    workflow: str
    batch: str | None
    state: State
    held: Holdups


def holdups(ledger: Ledger, case: str) -> Holdups:
    """What holds a queued case up now."""
    with ledger.reading() as connection:
        row = connection.execute(select(schema.cases).where(Cases.id == case)).one()
        now = ledger.clock()
        return replace(_own(connection, row, now), behind=_behind(connection, case, now))


def _own(connection: Connection, row: Row[Any], now: datetime) -> Holdups:
    """What holds it up whatever other cases do."""
    return Holdups(
        until=row.not_before if row.not_before > now else None,
        pauses=_pauses(connection, row.workflow, row.batch),
        breakers=_breakers(connection, row.workflow, now),
        overdue=row.due is not None and row.due <= now and not row.may_be_late,
    )


def _pauses(connection: Connection, workflow: str, batch: str | None) -> tuple[Pause, ...]:
    bots = select(BotsOf.bot).where(BotsOf.workflow == workflow)
    concerns = or_(
        Pauses.kind == PauseKind.EVERYTHING,
        and_(Pauses.kind == PauseKind.WORKFLOW, Pauses.name == workflow),
        and_(Pauses.kind == PauseKind.BATCH, Pauses.name == batch),
        and_(Pauses.kind == PauseKind.BOT, Pauses.name.in_(bots)),
    )
    rows = connection.execute(select(schema.pauses).where(concerns).order_by(Pauses.kind, Pauses.name))
    return tuple(
        Pause(PauseKind(row.kind), row.name, row.reason, row.paused_at, row.paused_by) for row in rows
    )


def _breakers(connection: Connection, workflow: str, now: datetime) -> tuple[OpenBreaker, ...]:
    bots = select(BotsOf.bot).where(BotsOf.workflow == workflow)
    query = select(schema.breakers).where(
        Breakers.opened_at.is_not(None), Breakers.probe_at > now, Breakers.bot.in_(bots)
    )
    rows = connection.execute(query.order_by(Breakers.bot))
    return tuple(OpenBreaker(row.bot, row.opened_at, row.probe_at, row.probes) for row in rows)


def _behind(connection: Connection, case: str, now: datetime) -> Ahead | None:
    other = schema.cases.alias("other")
    goes_first = or_(other.c.state == State.WORKING, and_(other.c.state == State.QUEUED, came_before(other)))
    query = (
        select(other)
        .select_from(schema.cases.join(other, is_next_to(other)))
        .where(Cases.id == case, goes_first)
        .order_by((other.c.state == State.WORKING).desc(), other.c.handed_in_at, other.c.id)
        .limit(1)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    held = Holdups(None, (), ()) if row.state == State.WORKING else _own(connection, row, now)
    return Ahead(row.id, row.workflow, row.batch, State(row.state), held)
