"""The backlog: what is left that workers could work now or after a retry's wait."""

from sqlalchemy import and_, func, or_, select

from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.pauses import held
from casehand.queue.state import State

Cases = schema.cases.c


def unfinished(ledger: Ledger) -> int:
    """Cases in work, due, or waiting for another try; not those that are paused or meant for later."""
    due = or_(Cases.not_before <= ledger.clock(), Cases.attempts > 0)
    waiting = and_(Cases.state == State.QUEUED, due, ~held())
    query = select(func.count()).where(or_(Cases.state == State.WORKING, waiting))
    with ledger.reading() as connection:
        return connection.execute(query.select_from(schema.cases)).scalar_one()
