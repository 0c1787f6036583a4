"""Occasions: what there is to tell people of, found in the ledger as it stands. Never what a case holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    String,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
)

from casehand.queue import schema
from casehand.queue.pauses import PauseKind
from casehand.queue.runs import UNSEEN, without_names
from casehand.queue.state import OPEN, State

Batches = schema.batches.c
BotsOf = schema.workflow_bots.c
Breakers = schema.breakers.c
Cases = schema.cases.c
Escalations = schema.escalations.c
Pauses = schema.pauses.c
Slots = schema.schedule_slots.c
Told = schema.told.c

NEWS = timedelta(days=3)
"""How long a batch that is finished is news: over a weekend, and not for those who are told from today on."""

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)

Workflows = frozenset[str] | None
"""The workflows that somebody is told of; None for all."""


class What(StrEnum):
    """What people may be told of."""

    ESCALATION = "escalation"  #: a case of high priority waits for a person
    OVERDUE = "overdue"  #: a case waits for a person past its due date
    PAUSED = "paused"  #: a bot is paused, or its system fails case after case
    RUN = "run"  #: a run of a schedule failed, or did not hand in all there was
    STOPPED = "stopped"  #: a batch has stopped itself
    FINISHED = "finished"  #: nothing of a batch is open any more
    SUMMARY = "summary"  #: how things stand, once a day
    HOURLY = "hourly"  #: the same after each hour in which anything has happened


@dataclass(frozen=True)
class Occasion:
    """One thing to be told once; with another `since` it is another thing."""

    what: What
    subject: str
    since: datetime
    name: str  #: the case's reference, the batch, the bot or the schedule
    kind: str | None = None  #: of a run, what was said of it
    workflow: str | None = None
    numbers: tuple[tuple[str, int], ...] = ()  #: of a batch, how its cases ended


@dataclass(frozen=True)
class Standing:
    """How things stand, for a summary."""

    queued: int
    working: int
    escalated: int
    overdue: int
    urgent: int  #: escalated and of high priority
    done: int  #: by the robot in the last day or hour
    asked: int  #: put before a person in it
    oldest: datetime | None  #: since when the oldest escalation waits
    bots: tuple[str, ...]  #: paused or failing


# Of a pause and its batch: it has stopped itself, and nobody has let it go on since.
_HAS_STOPPED = and_(Pauses.kind == PauseKind.BATCH, Pauses.paused_at == Batches.stopped_at)


def untold(
    connection: Connection, what: What, receiver: str, workflows: Workflows, now: datetime, most: int
) -> list[Occasion]:
    """What this receiver has not been told of yet, oldest first, `most` at most; a summary is no such thing."""
    match what:
        case What.ESCALATION:
            return _escalations(connection, receiver, workflows, most)
        case What.OVERDUE:
            return _overdue(connection, receiver, workflows, now, most)
        case What.PAUSED:
            return _paused(connection, receiver, workflows)
        case What.RUN:
            return _runs(connection, receiver, workflows, most)
        case What.STOPPED:
            return _stopped(connection, receiver, workflows)
        case What.FINISHED:
            return _finished(connection, receiver, workflows, now, most)
        case What.SUMMARY | What.HOURLY:
            return []


def is_told(connection: Connection, occasion: Occasion, receiver: str) -> bool:
    """Whether this receiver has been told of it."""
    asked = select(_told(occasion.what, receiver, literal(occasion.subject), literal(occasion.since)))
    return bool(connection.execute(asked).scalar())


def still_stands(past: datetime) -> ColumnElement[bool]:
    """The SQL condition that what a row of `told` tells of would be told again, if that row were not there.

    `past` is a time before which nothing is news any more.
    """
    of_case = Told.what.in_((What.ESCALATION, What.OVERDUE))
    # Only the subject of these is a number.
    escalation = cast(case((of_case, Told.subject)), Integer)
    waits = exists().where(Escalations.id == escalation, Escalations.settled_at.is_(None))
    paused = exists().where(Pauses.kind == PauseKind.BOT, Pauses.paused_at == Told.since)
    failing = exists().where(Breakers.opened_at == Told.since)
    unseen = exists().where(Slots.schedule == Told.subject, Slots.ended_at == Told.since, UNSEEN)
    stopped = exists().where(
        Pauses.name == Batches.id, Batches.id == Told.subject, Batches.stopped_at == Told.since, _HAS_STOPPED
    )
    return or_(
        of_case & waits,
        (Told.what == What.PAUSED) & or_(paused, failing),
        (Told.what == What.RUN) & unseen,
        (Told.what == What.STOPPED) & stopped,
        Told.what.in_((What.FINISHED, What.SUMMARY, What.HOURLY)) & (Told.since > past),
    )


def standing(
    connection: Connection, workflows: Workflows, now: datetime, within: timedelta = DAY
) -> Standing:
    """How things stand in these workflows, and what was done `within` so long before a time."""
    by_state = select(Cases.state, func.count()).where(Cases.state.in_(OPEN), *_of(Cases.workflow, workflows))
    states: dict[str, int] = dict(connection.execute(by_state.group_by(Cases.state)).all())
    done = select(func.count()).where(
        Cases.state == State.DONE,
        Cases.changed_at.between(now - within, now),
        *_of(Cases.workflow, workflows),
    )
    asked = select(func.count()).where(
        Escalations.opened_at.between(now - within, now), *_of(Escalations.workflow, workflows)
    )
    columns: Sequence[ColumnElement[Any]] = (
        func.count().filter(_due() < now).label("overdue"),
        func.count().filter(Cases.priority > 0).label("urgent"),
        func.min(Escalations.opened_at).label("oldest"),
    )
    row = connection.execute(_waiting(select(*columns), workflows)).one()
    return Standing(
        queued=states.get(State.QUEUED, 0),
        working=states.get(State.WORKING, 0),
        escalated=states.get(State.ESCALATED, 0),
        overdue=row.overdue,
        urgent=row.urgent,
        done=connection.execute(done).scalar_one(),
        asked=connection.execute(asked).scalar_one(),
        oldest=row.oldest,
        bots=tuple(_standing_still(connection, workflows)),
    )


def _escalations(connection: Connection, receiver: str, workflows: Workflows, most: int) -> list[Occasion]:
    subject, since = cast(Escalations.id, String), Escalations.opened_at
    query = _waiting(_case(subject, since), workflows).where(
        Cases.priority > 0, ~_told(What.ESCALATION, receiver, subject, since)
    )
    rows = connection.execute(query.order_by(since, Escalations.id).limit(most)).all()
    return [_of_case(What.ESCALATION, row) for row in rows]


def _overdue(
    connection: Connection, receiver: str, workflows: Workflows, now: datetime, most: int
) -> list[Occasion]:
    subject, since = cast(Escalations.id, String), _due()
    query = _waiting(_case(subject, since), workflows).where(
        since < now, ~_told(What.OVERDUE, receiver, subject, since)
    )
    rows = connection.execute(query.order_by(since, Escalations.id).limit(most)).all()
    return [_of_case(What.OVERDUE, row) for row in rows]


def _due() -> ColumnElement[datetime]:
    """When a person is to have settled it: the escalation's own date, or else the case's."""
    return func.coalesce(Escalations.due, Cases.due, type_=schema.Instant())


def _case(subject: ColumnElement[str], since: ColumnElement[datetime]) -> Select[Any]:
    return select(
        subject.label("subject"), since.label("since"), Escalations.kind, Cases.reference, Cases.workflow
    )


def _of_case(what: What, row: Row[Any]) -> Occasion:
    return Occasion(what, row.subject, row.since, row.reference, row.kind, row.workflow)


def _waiting(query: Select[Any], workflows: Workflows) -> Select[Any]:
    joined = query.select_from(schema.escalations.join(schema.cases, Cases.id == Escalations.case))
    return joined.where(Escalations.settled_at.is_(None), *_of(Cases.workflow, workflows))


def _paused(connection: Connection, receiver: str, workflows: Workflows) -> list[Occasion]:
    by_hand = select(literal("paused").label("kind"), Pauses.name, Pauses.paused_at.label("since")).where(
        Pauses.kind == PauseKind.BOT, *_serving(Pauses.name, workflows)
    )
    failing = select(literal("failing").label("kind"), Breakers.bot, Breakers.opened_at).where(
        Breakers.opened_at.is_not(None), *_serving(Breakers.bot, workflows)
    )
    found = [
        Occasion(What.PAUSED, f"{kind} {bot}", since, bot, kind)
        for query in (by_hand, failing)
        for kind, bot, since in connection.execute(query)
    ]
    new = [occasion for occasion in found if not is_told(connection, occasion, receiver)]
    return sorted(new, key=lambda occasion: (occasion.since, occasion.subject))


def _runs(connection: Connection, receiver: str, workflows: Workflows, most: int) -> list[Occasion]:
    query = select(schema.schedule_slots).where(
        UNSEEN,
        *_of(Slots.workflow, workflows),
        ~_told(What.RUN, receiver, Slots.schedule, Slots.ended_at),
    )
    rows = connection.execute(query.order_by(Slots.ended_at, Slots.schedule).limit(most)).all()
    return [
        Occasion(
            What.RUN,
            row.schedule,
            row.ended_at,
            row.schedule,
            row.said and without_names(row.said),
            row.workflow,
        )
        for row in rows
    ]


def _stopped(connection: Connection, receiver: str, workflows: Workflows) -> list[Occasion]:
    query = (
        select(Batches.id, Batches.stopped_at, Batches.workflow)
        .join_from(schema.pauses, schema.batches, Batches.id == Pauses.name)
        .where(_HAS_STOPPED, *_of(Batches.workflow, workflows))
        .order_by(Batches.stopped_at, Batches.id)
    )
    found = [
        Occasion(What.STOPPED, row.id, row.stopped_at, row.id, None, row.workflow)
        for row in connection.execute(query)
    ]
    return [occasion for occasion in found if not is_told(connection, occasion, receiver)]


def _finished(
    connection: Connection, receiver: str, workflows: Workflows, now: datetime, most: int
) -> list[Occasion]:
    query = select(schema.batches).where(
        Batches.finished_at > now - NEWS,
        *_of(Batches.workflow, workflows),
        ~_told(What.FINISHED, receiver, Batches.id, Batches.finished_at),
    )
    rows = connection.execute(query.order_by(Batches.finished_at, Batches.id).limit(most)).all()
    return [_of_batch(row) for row in rows]


def _of_batch(row: Row[Any]) -> Occasion:
    counted = ("done", "closed", "cancelled", "rejected", "duplicates")
    numbers = tuple((name, getattr(row, name)) for name in counted)
    return Occasion(What.FINISHED, row.id, row.finished_at, row.id, None, row.workflow, numbers)


def _standing_still(connection: Connection, workflows: Workflows) -> Sequence[str]:
    paused = select(Pauses.name).where(Pauses.kind == PauseKind.BOT, *_serving(Pauses.name, workflows))
    failing = select(Breakers.bot).where(Breakers.opened_at.is_not(None), *_serving(Breakers.bot, workflows))
    return sorted(connection.execute(paused.union(failing)).scalars().all())


def _of(column: ColumnElement[str], workflows: Workflows) -> list[ColumnElement[bool]]:
    return [] if workflows is None else [column.in_(workflows)]


def _serving(bot: ColumnElement[str], workflows: Workflows) -> list[ColumnElement[bool]]:
    return [] if workflows is None else [bot.in_(select(BotsOf.bot).where(BotsOf.workflow.in_(workflows)))]


def _told(
    what: What, receiver: str, subject: ColumnElement[str], since: ColumnElement[datetime]
) -> ColumnElement[bool]:
    return exists().where(
        Told.receiver == receiver, Told.what == what, Told.subject == subject, Told.since == since
    )
