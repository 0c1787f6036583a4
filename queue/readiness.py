"""Whether a case may be begun now: the one condition that dispatch and begin both go by."""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, or_, select

from casehand.queue import schema
from casehand.queue.breaker import broken
from casehand.queue.pauses import held
from casehand.queue.state import State

Cases = schema.cases.c


def ready(now: datetime) -> ColumnElement[bool]:
    """The SQL condition that a queued case of `cases` may be begun."""
    return and_(Cases.not_before <= now, ~held(), ~broken(now), ~_is_behind_another())


def _is_behind_another() -> ColumnElement[bool]:
    """Another case with its reference, in a bot it needs too, is in work or came before it.

    One that waits for a person does not hold others up: that may take weeks.
    """
    other = schema.cases.alias("other")
    mine, theirs = schema.workflow_bots.alias("mine"), schema.workflow_bots.alias("theirs")
    came_before = or_(
        other.c.handed_in_at < Cases.handed_in_at,
        and_(other.c.handed_in_at == Cases.handed_in_at, other.c.id < Cases.id),
    )
    shares_a_bot = exists(
        select(mine.c.bot)
        .join(theirs, theirs.c.bot == mine.c.bot)
        .where(mine.c.workflow == Cases.workflow, theirs.c.workflow == other.c.workflow)
        .correlate(schema.cases, other)
    )
    return exists(
        select(other.c.id).where(
            other.c.reference == Cases.reference,
            other.c.id != Cases.id,
            or_(other.c.state == State.WORKING, and_(other.c.state == State.QUEUED, came_before)),
            shares_a_bot,
        )
    )
