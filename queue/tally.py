"""Tallies: how cases ended and why people were asked, counted from the cases themselves, for a part of a day."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, case, exists, extract, func, select, union_all

from casehand.queue import schema
from casehand.queue.state import State

Cases = schema.cases.c
Escalations = schema.escalations.c

MINUTE, HOUR, DAY = 60, 3600, 86400
SPANS = (
    *(1, 2, 5, 10, 20, 30),
    *(one * MINUTE for one in (1, 2, 3, 5, 7, 10, 15, 20, 30, 45)),
    *(one * HOUR for one in (1, 1.5, 2, 3, 4, 6, 8, 12, 18)),
    *(one * DAY for one in (1, 1.5, 2, 3, 4, 5, 7, 10, 14, 21, 30, 45, 60, 90, 180, 365, 730)),
)
"""The ends, in seconds, of the spans that times from arrival to end are counted by; longer ones are a last span."""


class End(StrEnum):
    """How a case ended."""

    DONE_ALONE = "done alone"  #: by the robot, and no person was asked
    DONE_AFTER_PERSON = "done after a person"  #: by the robot, after a person had settled something
    CLOSED = "closed by a person"
    CANCELLED = "cancelled"


WORKED = (End.DONE_ALONE, End.DONE_AFTER_PERSON, End.CLOSED)
"""Cancelled cases were worked by nobody, and count neither in the share nor in the times."""

Ends = Mapping[tuple[date, str, str], int]
"""How many ended, by day, workflow and end."""

Times = Mapping[tuple[date, str, int], int]
"""How many were done or closed, by day, workflow and span of time."""

Asked = Mapping[tuple[date, str, str], int]
"""How many escalations were opened, by day, workflow and kind."""


@dataclass(frozen=True)
class Window:
    """A part of one local day."""

    day: date
    begin: datetime
    end: datetime  #: not in it


def windows(begin: datetime, end: datetime, zone: ZoneInfo) -> Iterator[Window]:
    """The time between two moments, cut where a local day ends: at midnight there, however long that day was."""
    # Two times in one zone are compared by their clocks, which an hour each year has twice.
    begin, end = begin.astimezone(UTC), end.astimezone(UTC)
    while begin < end:
        day = begin.astimezone(zone).date()
        midnight = datetime.combine(day + timedelta(days=1), time(), zone)
        upto = min(midnight.astimezone(UTC), end)
        yield Window(day, begin, upto)
        begin = upto


def count_ends(connection: Connection, window: Window) -> list[tuple[date, str, str, int, int]]:
    """The cases that ended in a part of a day, counted by workflow, end and span of time."""
    was_asked = exists(select(Escalations.id).where(Escalations.case == Cases.id))
    end = case(
        (Cases.state == State.CLOSED, End.CLOSED.value),
        (Cases.state == State.CANCELLED, End.CANCELLED.value),
        (was_asked, End.DONE_AFTER_PERSON.value),
        else_=End.DONE_ALONE.value,
    ).label("how")
    took = _span(_seconds(connection)).label("took")
    parts = [
        select(Cases.workflow, end, took).where(
            Cases.state == state, Cases.changed_at >= window.begin, Cases.changed_at < window.end
        )
        for state in (State.DONE, State.CLOSED, State.CANCELLED)
    ]
    ended = union_all(*parts).subquery()
    group = (ended.c.workflow, ended.c.how, ended.c.took)
    rows = connection.execute(select(*group, func.count()).group_by(*group))
    return [(window.day, workflow, how, took, number) for workflow, how, took, number in rows]


def summed_up(counted: Iterable[tuple[date, str, str, int, int]]) -> tuple[Ends, Times]:
    """What `count_ends` has counted, by how they ended and by how long they took."""
    ends: dict[tuple[date, str, str], int] = {}
    times: dict[tuple[date, str, int], int] = {}
    for day, workflow, end, took, number in counted:
        ends[day, workflow, end] = ends.get((day, workflow, end), 0) + number
        if end in WORKED:
            times[day, workflow, took] = times.get((day, workflow, took), 0) + number
    return ends, times


def count_reasons(connection: Connection, window: Window) -> list[tuple[date, str, str, bytes, int]]:
    """The escalations that were opened in a part of a day, counted by workflow, kind and what is alike."""
    group = (Escalations.workflow, Escalations.kind, Escalations.alike)
    query = select(*group, func.count()).where(
        Escalations.opened_at >= window.begin, Escalations.opened_at < window.end
    )
    rows = connection.execute(query.group_by(*group))
    return [(window.day, workflow, kind, alike or b"", number) for workflow, kind, alike, number in rows]


def asked_by_kind(counted: Iterable[tuple[date, str, str, bytes, int]]) -> Asked:
    """What `count_reasons` has counted, whatever the reasons have in common."""
    asked: dict[tuple[date, str, str], int] = {}
    for day, workflow, kind, _, number in counted:
        asked[day, workflow, kind] = asked.get((day, workflow, kind), 0) + number
    return asked


def _seconds(connection: Connection) -> ColumnElement[Any]:
    if connection.dialect.name == "postgresql":
        return extract("epoch", Cases.changed_at - Cases.handed_in_at)
    days = func.julianday(Cases.changed_at) - func.julianday(Cases.handed_in_at)
    return func.round(days * DAY, 3)


def _span(seconds: ColumnElement[Any]) -> ColumnElement[int]:
    return case(*((seconds <= upto, number) for number, upto in enumerate(SPANS)), else_=len(SPANS))
