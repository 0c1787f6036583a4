"""Whether a case may be begun now: the one condition that dispatch and begin both go by."""

from datetime import datetime

from sqlalchemy import ColumnElement, FromClause, and_, bindparam, exists, or_, select

from casehand.queue import schema
from casehand.queue.breaker import broken
from casehand.queue.pauses import held
from casehand.queue.state import State

Cases = schema.cases.c


def at(now: datetime) -> dict[str, datetime]:
    """The parameters of a statement that has READY in it."""
    return {NOW.key: now}


def is_next_to(other: FromClause) -> ColumnElement[bool]:
    """The SQL condition that a case of `other` is another with the reference of one of `cases`, in a bot of its."""
    mine, theirs = schema.workflow_bots.alias("mine"), schema.workflow_bots.alias("theirs")
    shares_a_bot = exists(
        select(mine.c.bot)
        .join(theirs, theirs.c.bot == mine.c.bot)
        .where(mine.c.workflow == Cases.workflow, theirs.c.workflow == other.c.workflow)
        .correlate(schema.cases, other)
    )
    return and_(other.c.reference == Cases.reference, other.c.id != Cases.id, shares_a_bot)


def came_before(other: FromClause) -> ColumnElement[bool]:
    """The SQL condition that a case of `other` came in before one of `cases`."""
    at_once = and_(other.c.handed_in_at == Cases.handed_in_at, other.c.id < Cases.id)
    return or_(other.c.handed_in_at < Cases.handed_in_at, at_once)


def is_behind_another() -> ColumnElement[bool]:
    """Another case with its reference, in a bot it needs too, is in work or came before it.

    One that waits for a person does not hold others up: that may take weeks.
    """
    other = schema.cases.alias("other")
    goes_first = and_(other.c.state == State.QUEUED, came_before(other))
    return exists(
        select(other.c.id).where(is_next_to(other), or_(other.c.state == State.WORKING, goes_first))
    )


def is_late(now: ColumnElement[datetime] | datetime, cases: FromClause = schema.cases) -> ColumnElement[bool]:
    """The SQL condition that the due date of a case of `cases` has passed, and nobody has said that it may."""
    return and_(cases.c.due.is_not(None), cases.c.due <= now, cases.c.may_be_late.is_(False))


NOW = bindparam("ready_at", type_=schema.Instant())

READY = and_(Cases.not_before <= NOW, ~is_late(NOW), ~held(), ~broken(NOW), ~is_behind_another())
"""The SQL condition that a queued case of `cases` may be begun; made once, since that takes longer than to ask it."""
