"""Figures for service managers: how cases ended by local day, why people were asked, and what that saved.

How ended cases ended never changes, so what is past is rolled up once, into rows by day; only the last minutes
are counted from the cases themselves.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Select, case, func, literal, select, union_all

from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.lists import branches
from casehand.queue.outcome import EscalationKind
from casehand.queue.rolling import catch_up
from casehand.queue.similar import Example, examples
from casehand.queue.state import OPEN
from casehand.queue.tally import (
    SPANS,
    WORKED,
    End,
    asked_by_kind,
    count_ends,
    count_reasons,
    summed_up,
    windows,
)

Cases = schema.cases.c
Escalations = schema.escalations.c
Figures = schema.figures.c
Spans = schema.figures_times.c
Asked = schema.figures_asked.c
Reasons = schema.figures_reasons.c
Head = schema.figures_head.c
Workflows = schema.workflows.c

LONDON = ZoneInfo("Europe/London")

BEHIND = timedelta(hours=1)
"""So far behind, what was not rolled up is to be; the reconciler does it every ten minutes where any runs."""

MOST_LIVE = timedelta(days=1)
"""No more than this is counted from the cases themselves while somebody waits for the figures."""

MOST_REASONS = 20

EPOCH = date(1970, 1, 1)

BINS = (
    *(timedelta(minutes=one) for one in (1, 10)),
    *(timedelta(hours=one) for one in (1, 4)),
    *(timedelta(days=one) for one in (1, 3, 7, 30)),
)
"""The ends of the lengths of time that people are shown; each is the end of a span too."""


class Piece(StrEnum):
    """A piece of the figures that is read by itself."""

    DAYS = "days"  #: what happened on each, and their sums
    TIMES = "times"
    REASONS = "reasons"
    OLDEST = "oldest"


@dataclass(frozen=True)
class Ended:
    """How many cases of a workflow ended on a day, by how they did, and how many were put in front of a person."""

    day: date  #: the first, of several that are taken together
    workflow: str
    ends: Mapping[End, int]
    asked: Mapping[EscalationKind, int]  #: times that a case was put in front of a person on that day, by why
    minutes_given_back: float

    @property
    def escalated(self) -> int:
        """How often a case was put in front of a person on that day."""
        return sum(self.asked.values())


@dataclass(frozen=True)
class Reason:
    """Why people were asked, and how often."""

    workflow: str
    kind: EscalationKind
    alike: str | None  #: the same for reasons that differ only in their numbers
    number: int
    example: Example | None  #: the latest; none where it has been erased or is not to be seen


@dataclass(frozen=True)
class Times:
    """From arrival to end, as near as the spans are: within a fifth or so."""

    number: int
    median: timedelta
    nine_in_ten: timedelta  #: as long as nine in ten took, or less


@dataclass(frozen=True)
class Took:
    """How many took no longer than so long, and longer than those before."""

    upto: timedelta | None  #: None for however long
    number: int


@dataclass(frozen=True)
class Overview:
    """What a service manager wants to know of some days."""

    since: date
    until: date  #: with this day
    days: list[Ended]
    ends: Mapping[End, int]
    escalated: int
    share_alone: float | None  #: of what was done or closed, what was done without a person; None for none
    minutes_given_back: float
    times: Times | None
    took: list[Took]
    reasons: list[Reason]  #: most frequent first
    oldest_open: datetime | None  #: when the oldest case that is still open came in
    oldest: Mapping[str, datetime]  #: the same of each workflow that has one
    upto: datetime | None  #: only what came before is counted; None when that is all


def overview(
    ledger: Ledger,
    since: date,
    until: date,
    zone: ZoneInfo = LONDON,
    workflows: Collection[str] | None = None,
    with_examples: bool = True,
) -> Overview:
    """The figures of the local days from `since` to `until`, with both; `workflows` is what a person may see.

    All that is not rolled up yet is, which takes long where nobody has reconciled for long.
    """
    catch_up(ledger, zone)
    return overview_at_once(ledger, since, until, zone, workflows, with_examples)


def overview_at_once(
    ledger: Ledger,
    since: date,
    until: date,
    zone: ZoneInfo = LONDON,
    workflows: Collection[str] | None = None,
    with_examples: bool = True,
    pieces: Collection[Piece] = tuple(Piece),
) -> Overview:
    """The same from what is rolled up, and at most a day beside it: `upto` says where more than that is missing.

    Of pieces that are not wanted it says nothing.
    """
    with ledger.reading() as connection:
        found = _Counted(connection, since, until, zone, workflows, ledger.clock())
        by_hand = connection.execute(select(Workflows.name, Workflows.minutes_by_hand))
        minutes = {row.name: row.minutes_by_hand for row in by_hand}
        days = _by_day(found.ends(), found.asked(), minutes) if Piece.DAYS in pieces else []
        ends = summed(day.ends for day in days)
        spans = found.spans() if Piece.TIMES in pieces else {}
        reasons = found.reasons() if Piece.REASONS in pieces else []
        is_with_oldest = Piece.OLDEST in pieces
        return Overview(
            since=since,
            until=until,
            days=days,
            ends=ends,
            escalated=sum(day.escalated for day in days),
            share_alone=share_alone(ends),
            minutes_given_back=sum(day.minutes_given_back for day in days),
            times=_times(spans),
            took=_took(spans),
            reasons=_reasons(ledger, connection, reasons, with_examples),
            oldest_open=_oldest_open(connection, workflows) if is_with_oldest else None,
            oldest=_oldest_by_workflow(connection, workflows) if is_with_oldest else {},
            upto=found.upto,
        )


def is_behind(ledger: Ledger, zone: ZoneInfo) -> bool:
    """Whether so much is not rolled up that `catch_up` should be called."""
    with ledger.reading() as connection:
        head = connection.execute(select(schema.figures_head)).one()
    is_anew = head.until is None or head.zone != zone.key
    return is_anew or bool(head.until < ledger.clock() - BEHIND)


def share_alone(ends: Mapping[End, int]) -> float | None:
    """Of what was done or closed, what was done without a person; None for none."""
    worked = sum(ends[end] for end in WORKED)
    return ends[End.DONE_ALONE] / worked if worked else None


def summed(ends: Iterable[Mapping[End, int]]) -> dict[End, int]:
    """How many ended in each way, of several."""
    total = dict.fromkeys(End, 0)
    for one in ends:
        for end, number in one.items():
            total[end] += number
    return total


def together(days: Sequence[Ended]) -> Ended:
    """Some days of one workflow as if they were one: at least one must be given."""
    asked: dict[EscalationKind, int] = {}
    for one in days:
        for kind, number in one.asked.items():
            asked[kind] = asked.get(kind, 0) + number
    minutes = sum(one.minutes_given_back for one in days)
    return Ended(days[0].day, days[0].workflow, summed(one.ends for one in days), asked, minutes)


Row = TypeVar("Row", bound=tuple[Any, ...])
ByDay = dict[tuple[date, str], dict[str, int]]
"""Numbers of a day and workflow, by what they are of."""


class _Counted:
    """Rows of one look: those rolled up, and beside them what has come since."""

    def __init__(
        self,
        connection: Connection,
        since: date,
        until: date,
        zone: ZoneInfo,
        workflows: Collection[str] | None,
        now: datetime,
    ) -> None:
        self._connection = connection
        self._days = (since, until)
        self._workflows = workflows
        head = connection.execute(select(schema.figures_head)).one()
        rolled = head.until if head.zone == zone.key else None
        is_current = rolled is not None and now - rolled <= MOST_LIVE
        self.upto: datetime | None = None if is_current else rolled or datetime.min.replace(tzinfo=UTC)
        # Neither before there were computers nor beyond tomorrow has anything ended, whatever somebody asks for.
        first, last = max(since, EPOCH), min(until, now.astimezone(zone).date() + timedelta(days=1))
        begin = datetime.combine(first, time(), zone)
        end = datetime.combine(last + timedelta(days=1), time(), zone)
        fresh = list(windows(max(begin, rolled or begin), end, zone)) if is_current else []
        counted = [row for window in fresh for row in count_ends(connection, window)]
        self._fresh_ends, self._fresh_times = summed_up(self._seen(counted))
        self._fresh_reasons = [row for window in fresh for row in count_reasons(connection, window)]

    def ends(self) -> ByDay:
        """How many ended, by day and workflow, and by end."""
        return _with(self._rolled(Figures, Figures.end, End), self._fresh_ends)

    def spans(self) -> dict[int, int]:
        """How many took how long."""
        rolled = self._of_days(select(Spans.took, func.sum(Spans.number)), Spans).group_by(Spans.took)
        spans = {took: number for (took,), number in self._from(rolled).items()}
        for (_, _, took), number in self._fresh_times.items():
            spans[took] = spans.get(took, 0) + number
        return spans

    def asked(self) -> ByDay:
        """How many escalations were opened, by day and workflow, and by kind."""
        fresh = asked_by_kind(self._seen(self._fresh_reasons))
        return _with(self._rolled(Asked, Asked.kind, EscalationKind), fresh)

    def reasons(self) -> list[tuple[tuple[str, str, bytes], int]]:
        """The most frequent reasons: workflow, kind and what is alike, with how often."""
        group = (Reasons.workflow, Reasons.kind, Reasons.alike)
        rolled = self._of_days(select(*group, func.sum(Reasons.number)), Reasons).group_by(*group)
        counted = self._from(rolled)
        for _, workflow, kind, alike, number in self._seen(self._fresh_reasons):
            counted[workflow, kind, alike] = counted.get((workflow, kind, alike), 0) + number
        return sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:MOST_REASONS]

    def _rolled(self, table: Any, column: ColumnElement[str], kinds: Iterable[str]) -> ByDay:
        """Each day and workflow as one row: a year has a thousand of them, and not four."""
        named = [str(kind) for kind in kinds]
        numbers = [func.sum(case((column == name, table.number), else_=0)) for name in named]
        query = self._of_days(select(table.day, table.workflow, *numbers), table)
        rows = self._connection.execute(query.group_by(table.day, table.workflow))
        return {
            (day, workflow): dict(zip(named, map(int, each), strict=True)) for day, workflow, *each in rows
        }

    def _of_days(self, query: Select[Any], table: Any) -> Select[Any]:
        query = query.where(table.day.between(*self._days))
        return query if self._workflows is None else query.where(table.workflow.in_(self._workflows))

    def _from(self, query: Select[Any]) -> dict[Any, int]:
        return {tuple(row[:-1]): int(row[-1]) for row in self._connection.execute(query)}

    def _seen(self, rows: list[Row]) -> list[Row]:
        return [row for row in rows if self._workflows is None or row[1] in self._workflows]


def _with(rolled: ByDay, fresh: Mapping[tuple[date, str, str], int]) -> ByDay:
    for (day, workflow, what), number in fresh.items():
        numbers = rolled.setdefault((day, workflow), {})
        numbers[what] = numbers.get(what, 0) + number
    return rolled


def _by_day(ends: ByDay, asked: ByDay, minutes: Mapping[str, float]) -> list[Ended]:
    found = []
    for key in sorted(ends.keys() | asked.keys()):
        of, why = ends.get(key, {}), asked.get(key, {})
        ended = {end: of.get(end, 0) for end in End}
        whys = {kind: number for kind in EscalationKind if (number := why.get(kind, 0))}
        found.append(Ended(*key, ended, whys, minutes.get(key[1], 0) * _done(ended)))
    return found


def _done(ends: Mapping[End, int]) -> int:
    return ends[End.DONE_ALONE] + ends[End.DONE_AFTER_PERSON]


def _times(spans: Mapping[int, int]) -> Times | None:
    number = sum(spans.values())
    if not number:
        return None
    return Times(number, _quantile(spans, number / 2), _quantile(spans, number * 0.9))


def _took(spans: Mapping[int, int]) -> list[Took]:
    found, last = [], 0.0
    for edge in (*BINS, None):
        upto = float("inf") if edge is None else edge.total_seconds()
        number = sum(n for span, n in spans.items() if last < _end_of(span) <= upto)
        found.append(Took(edge, number))
        last = upto
    return found


def _end_of(span: int) -> float:
    return SPANS[span] if span < len(SPANS) else float("inf")


def _quantile(spans: Mapping[int, int], rank: float) -> timedelta:
    """How long the case of that rank took, as if those of its span were spread over it evenly."""
    passed = 0
    for span in sorted(spans):
        if passed + spans[span] >= rank:
            begin = SPANS[span - 1] if span else 0
            end = SPANS[span] if span < len(SPANS) else SPANS[-1]
            return timedelta(seconds=begin + (end - begin) * (rank - passed) / spans[span])
        passed += spans[span]
    return timedelta(seconds=SPANS[-1])


def _reasons(
    ledger: Ledger,
    connection: Connection,
    counted: Sequence[tuple[tuple[str, str, bytes], int]],
    with_examples: bool,
) -> list[Reason]:
    latest = _latest(connection, [alike for (_, _, alike), _ in counted if alike]) if with_examples else {}
    shown = examples(ledger, connection, list(latest.values()))
    return [
        Reason(workflow, EscalationKind(kind), alike.hex() or None, number, shown.get(latest.get(alike, 0)))
        for (workflow, kind, alike), number in counted
    ]


def _latest(connection: Connection, alike: Sequence[bytes]) -> dict[bytes, int]:
    """The latest escalation with each of these reasons, each the last of its part of the index."""
    if not alike:
        return {}
    each = [
        select(literal(one).label("alike"), func.max(Escalations.id).label("id")).where(
            Escalations.alike == one
        )
        for one in set(alike)
    ]
    return {one: latest for one, latest in connection.execute(union_all(*each)) if latest is not None}


def _oldest_open(connection: Connection, workflows: Collection[str] | None) -> datetime | None:
    firsts = [
        select(func.min(Cases.handed_in_at)).where(*([] if part is None else [part])).scalar_subquery()
        for part in branches((Cases.workflow, workflows), (Cases.state, OPEN))
    ]
    return min((at for at in connection.execute(select(*firsts)).one() if at is not None), default=None)


def _oldest_by_workflow(connection: Connection, workflows: Collection[str] | None) -> dict[str, datetime]:
    # One look into the index for each workflow and state, and not through all that is open.
    firsts = [
        select(func.min(Cases.handed_in_at))
        .where(Cases.workflow == Workflows.name, Cases.state == state)
        .correlate(schema.workflows)
        .scalar_subquery()
        for state in sorted(OPEN)
    ]
    query = select(Workflows.name, *firsts).order_by(Workflows.name)
    if workflows is not None:
        query = query.where(Workflows.name.in_(workflows))
    found = {}
    for name, *ages in connection.execute(query):
        if known := [at for at in ages if at is not None]:
            found[name] = min(known)
    return found
