"""Pauses: what is not to be worked for now. A case that waits for one costs no attempt."""

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, FromClause, delete, exists, insert, or_, select
from sqlalchemy.exc import IntegrityError

from casehand.exceptions import CasehandError
from casehand.queue import audit, breaker, schema
from casehand.queue.ledger import Ledger

Pauses = schema.pauses.c


class PauseKind(StrEnum):
    """What may be paused."""

    BOT = "bot"
    WORKFLOW = "workflow"
    BATCH = "batch"


@dataclass(frozen=True)
class Pause:
    """Something paused, since when, by whom and why."""

    kind: PauseKind
    name: str
    reason: str
    paused_at: datetime
    paused_by: str


def pause(ledger: Ledger, kind: PauseKind, name: str, reason: str, by: str) -> bool:
    """Pause it; False when it was paused already (the first reason stands)."""
    try:
        with ledger.writing() as connection:
            return _pause(connection, Pause(kind, name, reason, ledger.clock(), by))
    except IntegrityError:
        # Another paused it between our look and our insert.
        return False


def resume(ledger: Ledger, kind: PauseKind, name: str, by: str) -> None:
    """Let it go on; a bot whose breaker is open, with one case that tries at once.

    Raises CasehandError when nothing of it waits.
    """
    with ledger.writing() as connection:
        now = ledger.clock()
        gone = connection.execute(delete(schema.pauses).where(Pauses.kind == kind, Pauses.name == name))
        tries = kind is PauseKind.BOT and breaker.probe_now(connection, name, now, by)
        if gone.rowcount:
            audit.record(connection, now, by, "resumed", f"{kind} {name}")
        elif not tries:
            raise CasehandError(f"the {kind} {name} is not paused: see `casehand status`")


def all_pauses(ledger: Ledger) -> list[Pause]:
    """What is paused now."""
    with ledger.reading() as connection:
        rows = connection.execute(select(schema.pauses).order_by(Pauses.kind, Pauses.name)).all()
    return [Pause(PauseKind(row.kind), row.name, row.reason, row.paused_at, row.paused_by) for row in rows]


def is_paused(ledger: Ledger, kind: PauseKind, name: str) -> bool:
    """Whether it is paused now."""
    return any(one.kind == kind and one.name == name for one in all_pauses(ledger))


def held(cases: FromClause = schema.cases) -> ColumnElement[bool]:
    """The SQL condition that a case of `cases` waits for a pause of its batch, workflow or a bot of that."""
    # Two queries down, SQLAlchemy would not know `cases` for the outer one, and hold every case.
    bots = (
        select(schema.workflow_bots.c.bot)
        .where(schema.workflow_bots.c.workflow == cases.c.workflow)
        .correlate(cases)
    )
    return exists(
        select(Pauses.name).where(
            or_(
                (Pauses.kind == PauseKind.WORKFLOW) & (Pauses.name == cases.c.workflow),
                (Pauses.kind == PauseKind.BATCH) & (Pauses.name == cases.c.batch),
                (Pauses.kind == PauseKind.BOT) & Pauses.name.in_(bots),
            )
        )
    )


def _pause(connection: Connection, new: Pause) -> bool:
    same = select(Pauses.name).where(Pauses.kind == new.kind, Pauses.name == new.name)
    if connection.execute(same).first():
        return False
    connection.execute(insert(schema.pauses).values(**asdict(new)))
    audit.record(
        connection, new.paused_at, new.paused_by, "paused", f"{new.kind} {new.name}", reason=new.reason
    )
    return True
