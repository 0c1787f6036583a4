"""Runs: a slot of a schedule in somebody's hands, kept by a lease, and how it ended."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from json import dumps, loads
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Row,
    Select,
    TextClause,
    func,
    select,
    text,
    union_all,
    update,
)

from casehand.exceptions import CasehandError
from casehand.queue import audit, schema
from casehand.queue.intake import BatchTaken
from casehand.queue.ledger import Ledger
from casehand.queue.schedules import Overlap, Plan, RunState, has_cases_to_work, is_held_back, lock

Batches = schema.batches.c
Slots = schema.schedule_slots.c

LEASE = timedelta(seconds=60)
"""How long a run stays with a scheduler that is not heard of."""

MOST_TRIES = 4
"""So often a run is begun: its scheduler may have died of it, or the system may have failed."""

LONGEST_SAID = 500

_QUOTED = re.compile("“[^”]*(”|$)")

# Word for word the condition of the partial index, which SQLite then uses.
UNSEEN = text(schema.UNSEEN_SLOTS)
"""The SQL condition that a run went wrong, and nobody has said that he knows of it."""

NOT_SEEN = {"concerns": False, "seen_at": None, "seen_by": None}


@dataclass(frozen=True)
class Run:
    """A slot in a scheduler's hands."""

    schedule: str
    at: datetime
    holder: str
    tries: int  #: this one too
    begun_at: datetime  #: for the first time

    @property
    def by(self) -> str:
        """Who hands in, as the audit and the batches name it."""
        return _by(self.schedule)

    @property
    def key(self) -> str:
        """What its batches are known by, whoever hands them in."""
        return f"schedule {self.schedule} {self.at.isoformat()}"


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    state: RunState  #: DONE or FAILED
    said: str  #: one line, of which nothing is of a case
    accepted: int = 0
    rejected: int = 0
    batches: tuple[str, ...] = ()

    @property
    def concerns(self) -> bool:
        """Whether a person must know."""
        return self.state is RunState.FAILED or self.rejected > 0


@dataclass(frozen=True)
class RunLine:
    """What became of a slot, as people are shown it."""

    schedule: str
    at: datetime
    workflow: str
    state: RunState
    not_before: datetime
    tries: int
    begun_at: datetime | None
    ended_at: datetime | None
    accepted: int
    rejected: int
    batches: list[str]
    said: str | None
    waits_for_a_person: bool


@dataclass(frozen=True)
class GoneWrong:
    """The runs of a schedule that went wrong and that nobody has said he knows of."""

    schedule: str
    number: int
    until: datetime  #: when the last of them ended
    last: RunLine  #: that of the latest slot, which says why


def take(ledger: Ledger, plan: Plan, holder: str) -> Run | None:
    """The oldest slot that is to be run, or one whose scheduler was lost, in this holder's hands; None for none.

    The runs of one schedule come one after another, in their order.
    """
    with ledger.reading() as connection:
        if _next(connection, plan) is None:
            return None
    with ledger.writing() as connection:
        lock(connection, plan)
        now = ledger.clock()
        row = _next(connection, plan)
        if row is None or not _may_begin(connection, plan, row, now):
            return None
        if row.tries >= MOST_TRIES:
            _give_up(connection, plan, row, now)
            return None
        return _begin(connection, row, now, holder)


def tries_again_at(ledger: Ledger, plan: Plan) -> datetime | None:
    """From when on the slot that comes next may be begun; None where none is to be."""
    with ledger.reading() as connection:
        row = _next(connection, plan)
    return row.not_before if row is not None and row.state == RunState.WAITING else None


def renew(ledger: Ledger, run: Run) -> bool:
    """Keep it for longer; False when it is somebody else's by now."""
    return _change(ledger, run, until=ledger.clock() + LEASE)


def handed_in(ledger: Ledger, run: Run) -> list[BatchTaken]:
    """What has been handed in for it so far: whoever began it before may not have lived to say so."""
    with ledger.reading() as connection:
        return _handed_in(connection, run.schedule, run.begun_at)


def failed(said: str, taken: Sequence[BatchTaken]) -> Ended:
    """How a run ended that failed after something had been handed in."""
    accepted, rejected = sum(one.accepted for one in taken), sum(one.rejected for one in taken)
    return Ended(RunState.FAILED, said, accepted, rejected, tuple(one.batch for one in taken))


def quoted(said: str, name: str) -> str:
    """What is said of a file, with its name marked so that `without_names` finds it: it may be a person's."""
    plain = name.replace("”", '"')
    return said.replace(name, f"“{plain}”")


def without_names(said: str) -> str:
    """The same, as it may be told outside."""
    return _QUOTED.sub("a file", said)


def end(ledger: Ledger, run: Run, ended: Ended) -> bool:
    """Write how it ended; False when it was somebody else's by then."""
    with ledger.writing() as connection:
        now = ledger.clock()
        changed = connection.execute(
            update(schema.schedule_slots).where(*_is(run)).values(**_ending(ended, now))
        )
        if changed.rowcount and ended.state is RunState.FAILED:
            _record_failure(connection, now, run.schedule, ended.said)
        return changed.rowcount == 1


def put_off(ledger: Ledger, run: Run, until: datetime, why: str, *, is_try: bool) -> bool:
    """Have it begin again at `until`; a try counts, and to have found a system closed is none."""
    tries = run.tries if is_try else run.tries - 1
    waits = {"state": RunState.WAITING, "holder": None, "until": None, "not_before": until}
    return _change(ledger, run, **waits, tries=tries, said=_as_said(why))


def run_again(ledger: Ledger, schedule: str, at: datetime, by: str) -> None:
    """Have a slot that failed or was skipped run after all. Raises CasehandError when it is neither."""
    with ledger.writing() as connection:
        now = ledger.clock()
        changed = connection.execute(
            update(schema.schedule_slots)
            .where(Slots.schedule == schedule, Slots.at == at)
            .where(Slots.state.in_((RunState.FAILED, RunState.SKIPPED)))
            .values(state=RunState.WAITING, not_before=now, tries=0, ended_at=None, **NOT_SEEN)
        )
        if not changed.rowcount:
            raise CasehandError(
                f"the run of {schedule} neither failed nor was skipped: see `casehand schedule`"
            )
        audit.record(connection, now, by, "run again", _by(schedule))


def note_seen(ledger: Ledger, schedule: str, by: str, until: datetime | None = None) -> int:
    """Note that a person knows of the runs that went wrong; returns how many those were.

    With `until`, only of those that had ended by then: what went wrong since, he was not shown.
    """
    shown = () if until is None else (Slots.ended_at <= until,)
    with ledger.writing() as connection:
        now = ledger.clock()
        seen = connection.execute(
            update(schema.schedule_slots)
            .where(Slots.schedule == schedule, UNSEEN, *shown)
            .values(seen_at=now, seen_by=by)
        )
        if seen.rowcount:
            audit.record(connection, now, by, "failed runs seen", _by(schedule))
        return seen.rowcount


def runs_of(ledger: Ledger, schedule: str, limit: int) -> list[RunLine]:
    """What became of the latest slots of a schedule, latest first."""
    query = select(schema.schedule_slots).where(Slots.schedule == schedule)
    return _lines(ledger, query.order_by(Slots.at.desc()).limit(limit))


def last_runs(
    ledger: Ledger, schedules: Sequence[str], limit: int, workflows: Collection[str] | None = None
) -> dict[str, list[RunLine]]:
    """The same for several schedules, by their names, at one look; only what was for `workflows`, None for all."""
    return _latest(ledger, schedules, limit, _of(workflows))


def run_at(ledger: Ledger, schedule: str, at: datetime) -> RunLine | None:
    """What became of a slot; None when nobody has written it."""
    found = _lines(ledger, select(schema.schedule_slots).where(Slots.schedule == schedule, Slots.at == at))
    return found[0] if found else None


def count_unseen(ledger: Ledger, workflows: Collection[str] | None = None) -> int:
    """How many runs went wrong that nobody has said he knows of."""
    query = select(func.count()).select_from(schema.schedule_slots)
    with ledger.reading() as connection:
        return connection.execute(query.where(UNSEEN, *_of(workflows))).scalar_one()


def gone_wrong(
    ledger: Ledger, workflows: Collection[str] | None = None, limit: int | None = None
) -> list[GoneWrong]:
    """The same by schedule, in the order of their names: one that fails every minute is one thing to know."""
    wrong: list[ColumnElement[bool] | TextClause] = [UNSEEN, *_of(workflows)]
    query = select(Slots.schedule, func.count().label("number"), func.max(Slots.ended_at).label("until"))
    grouped = query.where(*wrong).group_by(Slots.schedule).order_by(Slots.schedule).limit(limit)
    with ledger.reading() as connection:
        found = connection.execute(grouped).all()
    last = _latest(ledger, [row.schedule for row in found], 1, wrong)
    return [
        # Between the two looks, somebody may have said that he knows.
        GoneWrong(row.schedule, row.number, row.until, *last[row.schedule])
        for row in found
        if last[row.schedule]
    ]


def workflows_gone_wrong(ledger: Ledger, schedule: str) -> set[str]:
    """The workflows that they were for."""
    query = select(Slots.workflow).distinct().where(Slots.schedule == schedule, UNSEEN)
    with ledger.reading() as connection:
        return set(connection.execute(query).scalars())


def _next(connection: Connection, plan: Plan) -> Row[Any] | None:
    """The slot that somebody has in hand, or else the oldest that is to be run."""
    there = select(schema.schedule_slots).where(Slots.schedule == plan.name, text(schema.OPEN_SLOTS))
    first = (Slots.state != RunState.RUNNING, Slots.at)
    return connection.execute(there.order_by(*first).limit(1)).first()


def _may_begin(connection: Connection, plan: Plan, row: Row[Any], now: datetime) -> bool:
    if row.state == RunState.RUNNING:
        return bool(row.until < now)
    if row.not_before > now or is_held_back(connection, plan):
        return False
    return plan.overlap is not Overlap.WAIT or not has_cases_to_work(connection, plan, now, row.at)


def _begin(connection: Connection, row: Row[Any], now: datetime, holder: str) -> Run | None:
    tries = row.tries + 1
    begun = connection.execute(
        update(schema.schedule_slots)
        .where(Slots.schedule == row.schedule, Slots.at == row.at)
        .where(Slots.state == row.state, Slots.tries == row.tries)
        .values(
            state=RunState.RUNNING,
            holder=holder,
            until=now + LEASE,
            tries=tries,
            begun_at=row.begun_at or now,
        )
    )
    return Run(row.schedule, row.at, holder, tries, row.begun_at or now) if begun.rowcount else None


def _give_up(connection: Connection, plan: Plan, row: Row[Any], now: datetime) -> None:
    why = f"it was begun {row.tries} times, and whoever ran it was lost each time"
    ended = failed(why, _handed_in(connection, row.schedule, row.begun_at))
    connection.execute(
        update(schema.schedule_slots)
        .where(Slots.schedule == row.schedule, Slots.at == row.at)
        .values(**_ending(ended, now))
    )
    _record_failure(connection, now, plan.name, why)


def _handed_in(connection: Connection, schedule: str, since: datetime) -> list[BatchTaken]:
    columns = (Batches.id, Batches.accepted, Batches.rejected, Batches.duplicates, Batches.handed_in_at)
    mine = (Batches.handed_in_at >= since, Batches.handed_in_by == _by(schedule))
    found = connection.execute(select(*columns).where(*mine).order_by(Batches.handed_in_at, Batches.id))
    return [
        BatchTaken(
            batch=one.id,
            accepted=one.accepted,
            rejected=one.rejected,
            duplicates=one.duplicates,
            already=True,
            handed_in_at=one.handed_in_at,
        )
        for one in found
    ]


def _ending(ended: Ended, now: datetime) -> dict[str, Any]:
    return {
        "state": ended.state,
        "ended_at": now,
        "until": None,
        "accepted": ended.accepted,
        "rejected": ended.rejected,
        "batches": dumps(list(ended.batches)),
        "said": _as_said(ended.said),
        "concerns": ended.concerns,
    }


def _as_said(words: str) -> str:
    # A file's name may hold bytes that are no text.
    return words.encode(errors="replace").decode().replace("\0", "?")[:LONGEST_SAID]


def _by(schedule: str) -> str:
    return f"schedule {schedule}"


def _record_failure(connection: Connection, now: datetime, schedule: str, why: str) -> None:
    by = _by(schedule)
    audit.record(connection, now, by, "run failed", by, reason=_as_said(why))


def _change(ledger: Ledger, run: Run, **values: Any) -> bool:
    with ledger.writing() as connection:
        changed = connection.execute(update(schema.schedule_slots).where(*_is(run)).values(**values))
        return changed.rowcount == 1


def _is(run: Run) -> Sequence[ColumnElement[bool]]:
    return (
        Slots.schedule == run.schedule,
        Slots.at == run.at,
        Slots.state == RunState.RUNNING,
        Slots.holder == run.holder,
        Slots.tries == run.tries,
    )


def _of(workflows: Collection[str] | None) -> Sequence[ColumnElement[bool]]:
    return () if workflows is None else (Slots.workflow.in_(workflows),)


def _latest(
    ledger: Ledger, schedules: Sequence[str], limit: int, which: Sequence[ColumnElement[bool] | TextClause]
) -> dict[str, list[RunLine]]:
    """The latest slots of each schedule, latest first: of each, no more are read than that."""
    found: dict[str, list[RunLine]] = {name: [] for name in schedules}
    if not schedules:
        return found
    every = select(schema.schedule_slots).where(*which).order_by(Slots.at.desc()).limit(limit)
    each = (select(every.where(Slots.schedule == name).subquery()) for name in schedules)
    for line in _lines(ledger, union_all(*each)):
        found[line.schedule].append(line)
    return {name: sorted(lines, key=lambda one: one.at, reverse=True) for name, lines in found.items()}


def _lines(ledger: Ledger, query: Select[Any] | CompoundSelect[Any]) -> list[RunLine]:
    with ledger.reading() as connection:
        return [_line(row) for row in connection.execute(query)]


def _line(row: Row[Any]) -> RunLine:
    return RunLine(
        schedule=row.schedule,
        at=row.at,
        workflow=row.workflow,
        state=RunState(row.state),
        not_before=row.not_before,
        tries=row.tries,
        begun_at=row.begun_at,
        ended_at=row.ended_at,
        accepted=row.accepted,
        rejected=row.rejected,
        batches=loads(row.batches),
        said=row.said,
        waits_for_a_person=row.concerns and row.seen_at is None,
    )
