"""Pauses: what is not to be worked for now. A case that waits for one costs no attempt."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    delete,
    exists,
    false,
    func,
    insert,
    or_,
    select,
    true,
)
from sqlalchemy.exc import IntegrityError

from casehand.exceptions import CasehandError
from casehand.queue import audit, breaker, schema
from casehand.queue.ledger import Ledger
from casehand.queue.state import State

Pauses = schema.pauses.c
Cases = schema.cases.c
Batches = schema.batches.c
Known = schema.workflows.c
BotsOf = schema.workflow_bots.c
Schedules = schema.schedules.c


class PauseKind(StrEnum):
    """What may be paused."""

    BOT = "bot"
    WORKFLOW = "workflow"
    BATCH = "batch"
    SCHEDULE = "schedule"
    EVERYTHING = "everything"


ALL = "*"
"""The name of everything."""

COUNTED = 1_000
"""Whoever asks what waits for a pause is told of no more: to count a million would take as long as the page."""


@dataclass(frozen=True)
class Pause:
    """Something paused, since when, by whom and why."""

    kind: PauseKind
    name: str
    reason: str
    paused_at: datetime
    paused_by: str

    def __str__(self) -> str:
        """What is paused, as a sentence names it."""
        return named(self.kind, self.name)


def named(kind: PauseKind, name: str) -> str:
    """What may be paused, as a sentence and the audit name it."""
    return str(kind) if kind is PauseKind.EVERYTHING else f"{kind} {name}"


def pause(ledger: Ledger, kind: PauseKind, name: str, reason: str, by: str) -> bool:
    """Pause it; False when it was paused already (the first reason stands)."""
    try:
        with ledger.writing() as connection:
            return insert_pause(connection, Pause(kind, name, reason, ledger.clock(), by))
    except IntegrityError:
        # Another paused it between our look and our insert.
        return False


def insert_pause(connection: Connection, new: Pause) -> bool:
    """Pause it within a transaction; False when it was paused already. Raises IntegrityError beside another."""
    same = select(Pauses.name).where(Pauses.kind == new.kind, Pauses.name == new.name)
    if connection.execute(same).first():
        return False
    connection.execute(insert(schema.pauses).values(**asdict(new)))
    audit.record(connection, new.paused_at, new.paused_by, "paused", str(new), reason=new.reason)
    return True


def resume(ledger: Ledger, kind: PauseKind, name: str, by: str) -> None:
    """Let it go on; a bot whose breaker is open, with one case that tries at once.

    Raises CasehandError when nothing of it waits.
    """
    with ledger.writing() as connection:
        now = ledger.clock()
        gone = connection.execute(delete(schema.pauses).where(Pauses.kind == kind, Pauses.name == name))
        tries = kind is PauseKind.BOT and breaker.probe_now(connection, name, now, by)
        if gone.rowcount:
            audit.record(connection, now, by, "resumed", named(kind, name))
        elif not tries:
            what = "everything" if kind is PauseKind.EVERYTHING else f"the {kind} {name}"
            raise CasehandError(f"{what} is not paused: see `casehand status`")


def try_now(ledger: Ledger, bot: str, by: str) -> None:
    """Let one case try at once whether a bot's system works again. Raises CasehandError when none waits for that."""
    with ledger.writing() as connection:
        if not breaker.probe_now(connection, bot, ledger.clock(), by):
            raise CasehandError(f"no case waits for the system of the bot {bot} to work again")


def all_pauses(ledger: Ledger) -> list[Pause]:
    """What is paused now."""
    with ledger.reading() as connection:
        rows = connection.execute(select(schema.pauses).order_by(Pauses.kind, Pauses.name)).all()
    return [Pause(PauseKind(row.kind), row.name, row.reason, row.paused_at, row.paused_by) for row in rows]


def pauses_of_batch(ledger: Ledger, batch: str, workflow: str) -> list[Pause]:
    """What holds back the cases of a batch of a workflow now."""
    bots = select(BotsOf.bot).where(BotsOf.workflow == workflow)
    with ledger.reading() as connection:
        needed = set(connection.execute(bots).scalars())
    names = {
        PauseKind.BATCH: {batch},
        PauseKind.WORKFLOW: {workflow},
        PauseKind.BOT: needed,
        PauseKind.EVERYTHING: {ALL},
    }
    return [one for one in all_pauses(ledger) if one.name in names.get(one.kind, set())]


def is_paused(ledger: Ledger, kind: PauseKind, name: str) -> bool:
    """Whether it is paused now."""
    return any(one.kind == kind and one.name == name for one in all_pauses(ledger))


def count_held(ledger: Ledger, paused: Pause, workflows: Collection[str] | None = None) -> int:
    """How many queued cases wait for a pause, perhaps for others as well; no more than COUNTED are counted."""
    waiting = _waiting(paused, workflows)
    with ledger.reading() as connection:
        return connection.execute(select(func.count()).select_from(waiting.subquery())).scalar_one()


def all_held(ledger: Ledger, paused: Sequence[Pause], workflows: Collection[str] | None = None) -> list[int]:
    """The same for several pauses, in their order, at one look."""
    if not paused:
        return []
    waiting = [_waiting(one, workflows).subquery() for one in paused]
    counted = [select(func.count()).select_from(one).scalar_subquery() for one in waiting]
    with ledger.reading() as connection:
        return list(connection.execute(select(*counted)).one())


def all_workflows_held(ledger: Ledger, paused: Collection[Pause]) -> dict[Pause, set[str]]:
    """The workflows whose cases wait for each pause; of everything, none is named."""
    named = {
        PauseKind.BOT: workflows_of_bots(ledger),
        PauseKind.BATCH: _workflows_of_batches(ledger, paused),
        PauseKind.SCHEDULE: _workflows_of_schedules(ledger, paused),
    }
    return {
        one: {one.name} if one.kind is PauseKind.WORKFLOW else named.get(one.kind, {}).get(one.name, set())
        for one in paused
    }


def workflows_of_bots(ledger: Ledger) -> dict[str, set[str]]:
    """The workflows that each bot works for."""
    bots: dict[str, set[str]] = {}
    with ledger.reading() as connection:
        for bot, workflow in connection.execute(select(BotsOf.bot, BotsOf.workflow)):
            bots.setdefault(bot, set()).add(workflow)
    return bots


def bots_of_workflows(ledger: Ledger) -> dict[str, set[str]]:
    """The bots that each workflow works with."""
    workflows: dict[str, set[str]] = {}
    for bot, names in workflows_of_bots(ledger).items():
        for name in names:
            workflows.setdefault(name, set()).add(bot)
    return workflows


def names_of(ledger: Ledger, kind: PauseKind, workflows: Collection[str] | None = None) -> set[str]:
    """The names of what the ledger knows and may be paused, only what concerns `workflows`, if given."""
    name, workflow = {
        PauseKind.BOT: (BotsOf.bot, BotsOf.workflow),
        PauseKind.WORKFLOW: (Known.name, Known.name),
        PauseKind.BATCH: (Batches.id, Batches.workflow),
        PauseKind.SCHEDULE: (Schedules.name, Schedules.workflow),
    }[kind]
    query = select(name).distinct()
    if workflows is not None:
        query = query.where(workflow.in_(workflows))
    with ledger.reading() as connection:
        return set(connection.execute(query).scalars())


def workflows_held_by(ledger: Ledger, kind: PauseKind, name: str) -> set[str]:
    """The workflows whose cases wait while it is paused; of everything, none is named."""
    query = {
        PauseKind.BOT: select(BotsOf.workflow).where(BotsOf.bot == name),
        PauseKind.BATCH: select(Batches.workflow).where(Batches.id == name),
        PauseKind.SCHEDULE: select(Schedules.workflow).where(Schedules.name == name),
    }.get(kind)
    if query is None:
        return {name} if kind is PauseKind.WORKFLOW else set()
    with ledger.reading() as connection:
        return set(connection.execute(query).scalars())


def held(cases: FromClause = schema.cases) -> ColumnElement[bool]:
    """The SQL condition that a case of `cases` waits for a pause of all, its batch, workflow or a bot of that."""
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
                Pauses.kind == PauseKind.EVERYTHING,
            )
        )
    )


def _waiting(paused: Pause, workflows: Collection[str] | None) -> Select[Any]:
    waiting = select(Cases.id).where(Cases.state == State.QUEUED, _is_held_by(paused)).limit(COUNTED)
    return waiting if workflows is None else waiting.where(Cases.workflow.in_(workflows))


def _workflows_of_batches(ledger: Ledger, paused: Collection[Pause]) -> dict[str, set[str]]:
    names = [one.name for one in paused if one.kind is PauseKind.BATCH]
    query = select(Batches.id, Batches.workflow).where(Batches.id.in_(names))
    with ledger.reading() as connection:
        return {name: {workflow} for name, workflow in connection.execute(query)}


def _workflows_of_schedules(ledger: Ledger, paused: Collection[Pause]) -> dict[str, set[str]]:
    names = [one.name for one in paused if one.kind is PauseKind.SCHEDULE]
    query = select(Schedules.name, Schedules.workflow).where(Schedules.name.in_(names))
    found: dict[str, set[str]] = {}
    with ledger.reading() as connection:
        for name, workflow in connection.execute(query):
            found.setdefault(name, set()).add(workflow)
    return found


def _is_held_by(paused: Pause) -> ColumnElement[bool]:
    match paused.kind:
        case PauseKind.WORKFLOW:
            return Cases.workflow == paused.name
        case PauseKind.BATCH:
            return Cases.batch == paused.name
        case PauseKind.BOT:
            return Cases.workflow.in_(select(BotsOf.workflow).where(BotsOf.bot == paused.name))
        case PauseKind.SCHEDULE:
            return false()  # It holds back what is to be handed in, and no case.
        case PauseKind.EVERYTHING:
            return true()
