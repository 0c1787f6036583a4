"""The backlog: what is left that workers could work now or after a retry's wait."""

from datetime import timedelta

from sqlalchemy import and_, func, or_, select

from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.pauses import held
from casehand.queue.state import State

Cases = schema.cases.c

SHORTLY = timedelta(seconds=60)
"""Whatever is due so soon is waited for, such as a case put off until a bot has a session free."""


def unfinished(ledger: Ledger, patience: timedelta, most: int | None = None) -> int:
    """Cases in work, due, or to be tried again within `patience`; not those paused or meant for later.

    Counts no further than `most`: whether there are any is found out at once, however many wait.
    """
    now = ledger.clock()
    due = or_(Cases.not_before <= now + SHORTLY, and_(Cases.attempts > 0, Cases.not_before <= now + patience))
    waiting = and_(Cases.state == State.QUEUED, due, ~held())
    found = select(Cases.id).where(or_(Cases.state == State.WORKING, waiting)).limit(most).subquery()
    with ledger.reading() as connection:
        return connection.execute(select(func.count()).select_from(found)).scalar_one()
