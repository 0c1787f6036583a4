"""The backlog: what is left that workers could work now or after a retry's wait."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, FromClause, and_, exists, func, or_, select

from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.pauses import held
from casehand.queue.readiness import came_before, is_late, is_next_to
from casehand.queue.state import State

Cases = schema.cases.c

SHORTLY = timedelta(seconds=60)
"""Whatever is due so soon is waited for, such as a case put off until a bot has a session free."""


def unfinished(ledger: Ledger, patience: timedelta, most: int | None = None) -> int:
    """Cases in work, due, or to be tried again within `patience`.

    Not those paused, past their due date or meant for later, nor those whose turn comes after one of these.
    Counts no further than `most`: whether there are any is found out at once, however many wait.
    """
    now = ledger.clock()
    earlier = schema.cases.alias("earlier")
    comes_first = and_(earlier.c.state == State.QUEUED, is_next_to(earlier), came_before(earlier))
    is_behind = exists(select(earlier.c.id).where(comes_first, ~_is_soon(earlier, now, patience)))
    waiting = and_(Cases.state == State.QUEUED, _is_soon(schema.cases, now, patience), ~is_behind)
    found = select(Cases.id).where(or_(Cases.state == State.WORKING, waiting)).limit(most).subquery()
    with ledger.reading() as connection:
        return connection.execute(select(func.count()).select_from(found)).scalar_one()


def left_to_work(ledger: Ledger, workflows: Collection[str] | None = None) -> int:
    """Cases that the robots have still to work, now or later; only of those workflows."""
    query = select(func.count()).where(Cases.state.in_((State.QUEUED, State.WORKING)))
    if workflows is not None:
        query = query.where(Cases.workflow.in_(workflows))
    with ledger.reading() as connection:
        return connection.execute(query).scalar_one()


def _is_soon(cases: FromClause, now: datetime, patience: timedelta) -> ColumnElement[bool]:
    again = and_(cases.c.attempts > 0, cases.c.not_before <= now + patience)
    return and_(or_(cases.c.not_before <= now + SHORTLY, again), ~held(cases), ~is_late(now, cases))
