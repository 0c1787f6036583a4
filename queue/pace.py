"""Pace: how fast cases come to an end, and when what is left will be worked at that pace."""

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.lists import unsought

Attempts = schema.attempts.c
Cases = schema.cases.c

SPAN = timedelta(minutes=15)
"""Over which the pace is taken: long enough for slow cases, short enough to see that work has stopped."""
ENDS = ("done", "escalated")


@dataclass(frozen=True)
class Pace:
    """How many cases left the robots' hands in a span."""

    ended: int
    span: timedelta

    @property
    def an_hour(self) -> float:
        """Cases an hour."""
        return self.ended / (self.span / timedelta(hours=1))

    def finish(self, left: int, now: datetime) -> datetime | None:
        """When so many will be worked; None while nothing moves."""
        if not self.ended:
            return None
        return now + left * self.span / self.ended


def measured(ledger: Ledger) -> float | None:
    """Cases a second over the last SPAN in which cases were worked, however long ago; None if none ever was.

    From when the first of them was begun to when the last ended.
    """
    latest = select(func.max(Attempts.ended_at).label("latest")).where(Attempts.ended_at.is_not(None))
    with ledger.reading() as connection:
        last = connection.execute(latest).scalar()
        if last is None:
            return None
        row = connection.execute(
            select(func.count().label("number"), func.min(Attempts.begun_at).label("begun"))
            .select_from(schema.attempts)
            .where(Attempts.ended_at > last - SPAN, Attempts.end.in_(ENDS))
        ).one()
    if not row.number:
        return None
    return float(row.number / max((last - row.begun).total_seconds(), 1.0))


def has_ended_lately(ledger: Ledger) -> bool:
    """Whether any attempt ended within the last SPAN."""
    some = select(Attempts.case).where(Attempts.ended_at > ledger.clock() - SPAN).limit(1)
    with ledger.reading() as connection:
        return connection.execute(some).first() is not None


def pace(ledger: Ledger, workflows: Set[str] | None = None) -> Pace:
    """The pace of late; only of those workflows."""
    since = ledger.clock() - SPAN
    query = (
        select(func.count())
        .select_from(schema.attempts)
        .where(Attempts.ended_at > since, Attempts.end.in_(ENDS))
    )
    if workflows is not None:
        query = query.join(schema.cases, Cases.id == Attempts.case).where(
            unsought(Cases.workflow).in_(workflows)
        )
    with ledger.reading() as connection:
        return Pace(connection.execute(query).scalar_one(), SPAN)
