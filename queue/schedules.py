"""Schedules: every time that one names is a slot, one row in the ledger with a key of its own.

Whoever writes the row first has written the slot, so any number of schedulers may run, on any number of machines.
What is done at a slot is a run: see `runs.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice, takewhile
from json import loads
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.pauses import PauseKind, held
from casehand.queue.readiness import is_behind_another
from casehand.queue.rules import Rule
from casehand.queue.state import State

Schedules = schema.schedules.c
Slots = schema.schedule_slots.c
Pauses = schema.pauses.c
Cases = schema.cases.c

ON_TIME = timedelta(minutes=5)
"""A slot that is found so long after its time has not been missed."""

MOST_MISSED = 100
"""So many missed slots are made up for at most, the latest."""

SOON = timedelta(hours=1)
"""A case that is put off for longer is not waited for: that may be for months."""

KEPT = timedelta(days=400)
"""How long it can be looked up what became of a slot."""

LONGEST_RULE = 200


class Missed(StrEnum):
    """What becomes of runs whose time came while no scheduler ran."""

    ONCE = "run once"  #: the latest is run, for all
    ALL = "run all"
    SKIP = "skip"


class Overlap(StrEnum):
    """What becomes of a run while the one before it is still going: the cases it handed in are part of it."""

    WAIT = "wait"
    SKIP = "skip"


class RunState(StrEnum):
    """What becomes of a slot."""

    WAITING = "waiting"  #: to be run
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


OPEN = (RunState.WAITING, RunState.RUNNING)


@dataclass(frozen=True)
class Plan:
    """What of a schedule the ledger goes by."""

    name: str
    rule: Rule
    workflow: str
    bots: frozenset[str] = field(default=frozenset())  #: those that its producer needs
    missed: Missed = Missed.ONCE
    overlap: Overlap = Overlap.WAIT

    @property
    def key(self) -> str:
        """The rule as the ledger knows it."""
        return f"{self.rule.zone.key} {self.rule.text}"[:LONGEST_RULE]


class _Verdict(NamedTuple):
    """What is to become of a slot that is due."""

    at: datetime
    state: RunState
    said: str | None = None
    concerns: bool = False


def note(ledger: Ledger, plan: Plan) -> None:
    """Keep the schedule from now on, if it is not kept already."""
    kept = (Schedules.name == plan.name, Schedules.rule == plan.key)
    with ledger.reading() as connection:
        since = connection.execute(select(Schedules.since).where(*kept)).scalar()
    if since is not None:
        _correct(ledger, kept, since)
        return
    new = {"name": plan.name, "rule": plan.key, "workflow": plan.workflow}
    try:
        with ledger.writing() as connection:
            connection.execute(insert(schema.schedules).values(**new, since=ledger.clock()))
    except IntegrityError:
        # Another noted it between our look and our insert.
        return


def _correct(ledger: Ledger, kept: Sequence[ColumnElement[bool]], since: datetime) -> None:
    """What was noted while the clock was ahead must not hide what comes until then."""
    now = ledger.clock()
    if since > now:
        with ledger.writing() as connection:
            connection.execute(update(schema.schedules).where(*kept, Schedules.since > now).values(since=now))


def write_due(ledger: Ledger, plan: Plan, *, asked: bool = False) -> int:
    """Write the slots of a schedule that have come and that nobody has written; returns how many are to be run.

    With `asked`, as plain cron asks, the latest is run though nobody kept the schedule when it came. Nothing is
    written while the schedule is paused: when it is resumed, what came meanwhile has been missed.
    """
    note(ledger, plan)
    with ledger.reading() as connection:
        if not _due(connection, plan, ledger.clock(), asked) or is_held_back(connection, plan):
            return 0
    try:
        with ledger.writing() as connection:
            lock(connection, plan)
            return _write(connection, plan, ledger.clock(), asked)
    except IntegrityError:
        # Another, who goes by another rule, has written one of them.
        return 0


def lock(connection: Connection, plan: Plan) -> None:
    """Have the schedule to oneself for this transaction."""
    kept = select(Schedules.since).where(Schedules.name == plan.name, Schedules.rule == plan.key)
    connection.execute(kept.with_for_update())


def is_held_back(connection: Connection, plan: Plan) -> bool:
    """Whether a pause holds it back: its own, a bot's that its producer needs, or that of everything."""
    held = or_(
        (Pauses.kind == PauseKind.SCHEDULE) & (Pauses.name == plan.name),
        (Pauses.kind == PauseKind.BOT) & Pauses.name.in_(plan.bots),
        Pauses.kind == PauseKind.EVERYTHING,
    )
    return connection.execute(select(Pauses.name).where(held).limit(1)).first() is not None


def has_cases_to_work(
    connection: Connection, plan: Plan, now: datetime, before: datetime | None = None
) -> bool:
    """Whether robots are still busy with what the last run handed in, or the last one before some slot.

    What waits for a person is over for them. What a pause holds, what is put off for longer than SOON, and what is
    behind another case may wait for months: it holds up no run.
    """
    ran = select(Slots.batches).where(Slots.schedule == plan.name, Slots.batches != "[]")
    if before is not None:
        ran = ran.where(Slots.at < before)
    batches = connection.execute(ran.order_by(Slots.at.desc()).limit(1)).scalar()
    if batches is None:
        return False
    waits = and_(Cases.state == State.QUEUED, Cases.not_before <= now + SOON, ~held(), ~is_behind_another())
    left = exists(
        select(Cases.id).where(Cases.batch.in_(loads(batches)), or_(Cases.state == State.WORKING, waits))
    )
    return bool(connection.execute(select(left)).scalar())


def _due(connection: Connection, plan: Plan, now: datetime, asked: bool) -> Sequence[datetime]:
    """The slots that have come and that nobody has written, latest first; one more than may be made up for."""
    kept = select(Schedules.since).where(Schedules.name == plan.name, Schedules.rule == plan.key)
    since: datetime = connection.execute(kept).scalar_one()
    # Asked for like this, the database looks at the last entry of the key and no further; not at what was written
    # while the clock was ahead.
    written = select(func.max(Slots.at)).where(Slots.schedule == plan.name, Slots.at <= now)
    last = connection.execute(written).scalar()
    start = since if last is None else max(since, last)
    found = list(islice(takewhile(lambda at: at > start, plan.rule.before(now)), MOST_MISSED + 1))
    if found or not asked:
        return found
    latest = next(plan.rule.before(now), None)
    there = select(Slots.at).where(Slots.schedule == plan.name, Slots.at == latest)
    return [] if latest is None or connection.execute(there).first() else [latest]


def _write(connection: Connection, plan: Plan, now: datetime, asked: bool) -> int:
    due = _due(connection, plan, now, asked)
    if not due or is_held_back(connection, plan):
        return 0
    is_going = _has_open_slot(connection, plan) or has_cases_to_work(connection, plan, now)
    verdicts = _verdicts(plan, due, now, is_going, asked)
    connection.execute(insert(schema.schedule_slots), [_row(plan, one, now) for one in verdicts])
    old = (Slots.schedule == plan.name, Slots.at < now - KEPT, Slots.state.not_in(OPEN))
    connection.execute(delete(schema.schedule_slots).where(*old))
    return sum(one.state is RunState.WAITING for one in verdicts)


def _has_open_slot(connection: Connection, plan: Plan) -> bool:
    there = select(Slots.at).where(Slots.schedule == plan.name, text(schema.OPEN_SLOTS)).limit(1)
    return connection.execute(there).first() is not None


def _verdicts(
    plan: Plan, due: Sequence[datetime], now: datetime, is_going: bool, asked: bool
) -> list[_Verdict]:
    newest, *older = due[:MOST_MISSED]
    if plan.overlap is Overlap.SKIP and is_going:
        return [_Verdict(at, RunState.SKIPPED, "the run before it was still going") for at in due]
    left_out = [
        _Verdict(
            at,
            RunState.SKIPPED,
            f"more than {MOST_MISSED} runs were missed: this one and those before it are left out",
            concerns=plan.missed is Missed.ALL,
        )
        for at in due[MOST_MISSED:]
    ]
    if plan.missed is Missed.ALL:
        return [*left_out, *(_Verdict(at, RunState.WAITING) for at in due[:MOST_MISSED])]
    is_missed = plan.missed is Missed.SKIP and now - newest > ON_TIME and not asked
    last = _Verdict(newest, RunState.SKIPPED, "missed") if is_missed else _Verdict(newest, RunState.WAITING)
    why = "missed" if plan.missed is Missed.SKIP else "missed: the latest was run for it too"
    return [*left_out, *(_Verdict(at, RunState.SKIPPED, why) for at in older), last]


def _row(plan: Plan, verdict: _Verdict, now: datetime) -> dict[str, Any]:
    return {
        "schedule": plan.name,
        "at": verdict.at,
        "workflow": plan.workflow,
        "state": verdict.state,
        "not_before": verdict.at,
        "tries": 0,
        "ended_at": now if verdict.state is RunState.SKIPPED else None,
        "accepted": 0,
        "rejected": 0,
        "batches": "[]",
        "said": verdict.said,
        "concerns": verdict.concerns,
    }
