"""Risk: which queued cases may miss their due date, by the pace at which cases are worked and when bots are open.

It is an estimate, made anew whenever somebody looks: cases are taken to go one after another in their order, at
the pace that was measured last, while the bots of their workflow are open.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, select, tuple_

from casehand.queue import schema
from casehand.queue.cases import CaseLine, cases_by_id
from casehand.queue.ledger import Ledger
from casehand.queue.order import BY_AGE, BY_URGENCY, IS_QUEUED
from casehand.queue.pace import SPAN, has_ended_lately, measured
from casehand.queue.pauses import ALL, Pause, PauseKind, all_pauses, bots_of_workflows

NEAR = timedelta(days=1)
"""What is held back is at risk when its due date is so near: it may be let go long before another."""

OpenTime = Callable[[str, datetime, datetime], timedelta]
"""For how long the bots of a workflow are open between two moments."""

Cases = schema.cases.c

IS_TOO_LATE: ColumnElement[bool] = Cases.not_before >= Cases.due
"""That a case may not even begin before its due date."""


class Why(StrEnum):
    """Why a case may miss its due date."""

    PACE = "pace"  #: at the pace of late its turn does not come in time
    HELD = "held"  #: it waits for a pause
    STILL = "still"  #: nothing is being worked, though it could be
    LATER = "later"  #: it may not begin before


@dataclass(frozen=True)
class AtRisk:
    """Cases of one priority, due date, workflow and batch, of which the last may be late."""

    priority: int
    due: datetime
    workflow: str
    batch: str | None
    queued: int
    number: int  #: how many of them may be late: those that came in last
    why: Why


class Outlook:
    """What may miss its due date: looked at anew when somebody asks, but not while the last look is `fresh`.

    A look counts all that is queued, so that pages which many people have open share one.
    """

    def __init__(self, ledger: Ledger, open_time: OpenTime, fresh: timedelta = timedelta()) -> None:
        self._ledger = ledger
        self._open_time = open_time
        self._fresh = fresh
        self._found: tuple[datetime, list[AtRisk]] | None = None

    def at_risk(self, workflows: Collection[str] | None = None, batch: str | None = None) -> list[AtRisk]:
        """What may miss its due date now, most urgent first; only of `workflows` and of the batch, if given."""
        return [
            one
            for one in self._all()
            if (workflows is None or one.workflow in workflows) and (batch is None or one.batch == batch)
        ]

    def risk_of(self, case: str) -> Why | None:
        """Why a queued case may miss its due date; None when it need not."""
        columns = (Cases.priority, Cases.due, Cases.workflow, Cases.batch, IS_TOO_LATE.label("too_late"))
        query: Select[Any] = select(*BY_AGE, *columns).where(
            Cases.id == case, IS_QUEUED, Cases.due.is_not(None)
        )
        with self._ledger.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        for one in self.at_risk([row.workflow]):
            its_own = (row.priority, row.due, row.batch, bool(row.too_late))
            if (one.priority, one.due, one.batch, one.why is Why.LATER) == its_own:
                return one.why if self._behind(one, row) < one.number else None
        return None

    def _all(self) -> list[AtRisk]:
        now = self._ledger.clock()
        if self._found is None or now - self._found[0] >= self._fresh:
            self._found = now, list(self._look())
        return self._found[1]

    def _look(self) -> Iterator[AtRisk]:
        dated = select(Cases.id).where(IS_QUEUED, Cases.due.is_not(None)).limit(1)
        with self._ledger.reading() as connection:
            rows = connection.execute(_groups()).all() if connection.execute(dated).first() else []
        if rows:
            forecast = _Forecast(self._ledger, self._open_time)
            yield from (one for row in rows if (one := forecast.risk_of(row)) is not None)

    def _behind(self, one: AtRisk, row: Row[Any]) -> int:
        """How many of its group came in after a case, counted no further than those at risk."""
        later = _of(one).where(tuple_(*BY_AGE) > tuple_(*row[: len(BY_AGE)])).limit(one.number)
        with self._ledger.reading() as connection:
            return connection.execute(select(func.count()).select_from(later.subquery())).scalar_one()


def list_at_risk(ledger: Ledger, risks: Sequence[AtRisk], limit: int | None) -> list[tuple[CaseLine, Why]]:
    """The cases at risk, by the group of which they are, those first that come in time the soonest."""
    found: list[tuple[str, Why]] = []
    for one in risks:
        left = one.number if limit is None else min(one.number, limit - len(found))
        if left <= 0:
            break
        query = _of(one).order_by(*(column.desc() for column in BY_AGE)).limit(one.number)
        with ledger.reading() as connection:
            ids = list(connection.execute(query).scalars())
        found += [(case, one.why) for case in reversed(ids)][:left]
    lines = {line.id: line for line in _lines(ledger, [case for case, _ in found])}
    return [(lines[case], why) for case, why in found if case in lines]


class _Forecast:
    """What is known of how fast cases are worked; told the groups in their order, it says of each what is at risk."""

    def __init__(self, ledger: Ledger, open_time: OpenTime) -> None:
        self._now = ledger.clock()
        self._open_time = open_time
        self._pace = measured(ledger)
        self._is_still = not has_ended_lately(ledger)
        self._pauses = all_pauses(ledger)
        self._bots_of = bots_of_workflows(ledger)
        self._open: dict[tuple[str, datetime, datetime], timedelta] = {}
        self._ahead = 0

    def risk_of(self, row: Row[Any]) -> AtRisk | None:
        is_held = any(self._holds(one, row) for one in self._pauses)
        ahead = self._ahead
        if not is_held and row.not_before <= self._now:
            self._ahead += row.number
        if row.due is None or row.due <= self._now:
            return None
        why = self._why(row, is_held)
        number = row.number if why else min(row.number, ahead + row.number - self._in_time(row))
        if number <= 0:
            return None
        return AtRisk(row.priority, row.due, row.workflow, row.batch, row.number, number, why or Why.PACE)

    def _why(self, row: Row[Any], is_held: bool) -> Why | None:
        """Why none of the group may be in time, whatever the pace."""
        if row.too_late:
            return Why.LATER
        if row.due - self._now > NEAR:
            return None
        if is_held:
            return Why.HELD
        since = self._now - SPAN
        stands = self._is_still and row.not_before <= since
        return Why.STILL if stands and self._open_time(row.workflow, since, self._now) >= SPAN else None

    def _in_time(self, row: Row[Any]) -> int:
        """How many cases are worked before the group's due date, if nothing else is."""
        if self._pace is None:
            return self._ahead + int(row.number)
        # To the hour: there may be thousands of due dates, and this is an estimate.
        begin, end = max(self._now, row.not_before), row.due.replace(minute=0, second=0, microsecond=0)
        span = (row.workflow, begin, end if end > begin else row.due)
        if span not in self._open:
            self._open[span] = self._open_time(*span)
        return int(self._pace * self._open[span].total_seconds())

    def _holds(self, paused: Pause, row: Row[Any]) -> bool:
        names = {
            PauseKind.BATCH: {row.batch},
            PauseKind.WORKFLOW: {row.workflow},
            PauseKind.BOT: self._bots_of.get(row.workflow, set()),
            PauseKind.EVERYTHING: {ALL},
        }
        return paused.name in names.get(paused.kind, set())


def _groups() -> Select[Any]:
    group = (Cases.priority, Cases.due, Cases.workflow, Cases.batch, IS_TOO_LATE.label("too_late"))
    return (
        select(
            *group,
            func.min(Cases.not_before).label("not_before"),
            func.count().label("number"),
        )
        .where(IS_QUEUED)
        .group_by(*group)
        .order_by(*BY_URGENCY[:3], Cases.workflow, Cases.batch)
    )


def _of(one: AtRisk) -> Select[Any]:
    same = (Cases.priority == one.priority, Cases.due == one.due, Cases.workflow == one.workflow)
    mine = Cases.batch.is_(None) if one.batch is None else Cases.batch == one.batch
    begins = IS_TOO_LATE if one.why is Why.LATER else ~IS_TOO_LATE
    return select(Cases.id).where(IS_QUEUED, *same, mine, begins)


def _lines(ledger: Ledger, ids: Sequence[str]) -> Iterator[CaseLine]:
    for start in range(0, len(ids), 500):
        yield from cases_by_id(ledger, ids[start : start + 500])
