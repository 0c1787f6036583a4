"""Pauses: what is not to be worked for now. A case that waits for one costs no attempt."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, delete, exists, insert, or_, select

from casehand.exceptions import CasehandError
from casehand.queue import audit, schema
from casehand.queue.ledger import Ledger

Cases = schema.cases.c
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
    with ledger.writing() as connection:
        if connection.execute(select(Pauses.name).where(Pauses.kind == kind, Pauses.name == name)).first():
            return False
        now = ledger.clock()
        connection.execute(
            insert(schema.pauses).values(kind=kind, name=name, reason=reason, paused_at=now, paused_by=by)
        )
        audit.record(connection, now, by, "paused", f"{kind} {name}")
    return True


def resume(ledger: Ledger, kind: PauseKind, name: str, by: str) -> None:
    """Let it go on. Raises CasehandError when it is not paused."""
    with ledger.writing() as connection:
        gone = connection.execute(delete(schema.pauses).where(Pauses.kind == kind, Pauses.name == name))
        if gone.rowcount == 0:
            raise CasehandError(f"the {kind} {name} is not paused: see `casehand status`")
        audit.record(connection, ledger.clock(), by, "resumed", f"{kind} {name}")


def all_pauses(ledger: Ledger) -> list[Pause]:
    """What is paused now."""
    with ledger.reading() as connection:
        rows = connection.execute(select(schema.pauses).order_by(Pauses.kind, Pauses.name)).all()
    return [Pause(PauseKind(row.kind), row.name, row.reason, row.paused_at, row.paused_by) for row in rows]


def is_paused(ledger: Ledger, kind: PauseKind, name: str) -> bool:
    """Whether it is paused now."""
    return any(one.kind == kind and one.name == name for one in all_pauses(ledger))


def held() -> ColumnElement[bool]:
    """The SQL condition that a case of `cases` waits for a pause of its batch, workflow or a bot of that."""
    bots = select(schema.workflow_bots.c.bot).where(schema.workflow_bots.c.workflow == Cases.workflow)
    return exists(
        select(Pauses.name).where(
            or_(
                (Pauses.kind == PauseKind.WORKFLOW) & (Pauses.name == Cases.workflow),
                (Pauses.kind == PauseKind.BATCH) & (Pauses.name == Cases.batch),
                (Pauses.kind == PauseKind.BOT) & Pauses.name.in_(bots),
            )
        )
    )
