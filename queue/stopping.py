"""Stopping: a batch that goes wrong stops itself, and the rest of it waits for a person.

It is looked at after a case has been escalated, when others see that too: whichever of several workers was the
last to write sees what all of them wrote, so that it needs no lock, and no worker waits for another.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, select, update
from sqlalchemy.exc import IntegrityError

from casehand.queue import pauses, schema
from casehand.queue.ledger import Ledger
from casehand.queue.pauses import Pause, PauseKind
from casehand.queue.policy import BatchStop
from casehand.queue.state import State

CASEHAND = "casehand"
"""Who paused a batch that stopped itself."""

LATER = 100
"""So many cases behind the first ones the verdict stands: workers that wrote at once have all looked by then."""

Attempts = schema.attempts.c
Batches = schema.batches.c
Cases = schema.cases.c
Known = schema.workflows.c

LEFT = (State.DONE, State.ESCALATED, State.CLOSED)
"""Where the cases are that the robots have ended."""


def stop_if_wrong(ledger: Ledger, case: str) -> bool:
    """Pause the batch of a case that has just been escalated, if it goes wrong; whether it was paused now."""
    with ledger.reading() as connection:
        found = _rule_for(connection, case)
        if found is None:
            return False
        batch, rule = found
        alike = _most_alike(_first_ended(connection, batch, rule.first))
    if alike <= rule.share * rule.first:
        return False
    try:
        with ledger.writing() as connection:
            return _stop(connection, batch, alike, ledger.clock())
    except IntegrityError:
        # Somebody paused it between our look and our insert.
        return False


def _rule_for(connection: Connection, case: str) -> tuple[str, BatchStop] | None:
    """The batch of a case and its rule; None where it cannot stop itself any more, or never."""
    query = (
        select(Cases.batch, Known.stop_share, Known.stop_first)
        .join(schema.batches, Batches.id == Cases.batch)
        .join(schema.workflows, Known.name == Cases.workflow)
        .where(Cases.id == case, Batches.stopped_at.is_(None), Known.stop_first.is_not(None))
    )
    row = connection.execute(query).first()
    return None if row is None else (row.batch, BatchStop(row.stop_share, row.stop_first))


def _first_ended(connection: Connection, batch: str, first: int) -> Sequence[Row[Any]]:
    """The first cases of a batch that the robots ended; none once so many have that they are not to be looked at."""
    ended: Select[Any] = (
        select(Cases.id, Cases.state, Cases.escalated_alike, Attempts.ended_at)
        .join_from(
            schema.cases,
            schema.attempts,
            (Attempts.case == Cases.id) & (Attempts.number == Cases.attempts),
        )
        # Those that were put before a person without an attempt, such as for their date, no robot ended.
        .where(Cases.batch == batch, Cases.state.in_(LEFT), Attempts.ended_at.is_not(None))
        .limit(first + LATER + 1)
    )
    rows = connection.execute(ended).all()
    if len(rows) > first + LATER:
        return []
    return sorted(rows, key=lambda row: (row.ended_at, row.id))[:first]


def _most_alike(ended: Sequence[Row[Any]]) -> int:
    """How many of them were put before a person, and not answered since, for the one reason that most have."""
    reasons = Counter(row.escalated_alike for row in ended if row.state in (State.ESCALATED, State.CLOSED))
    return max(reasons.values(), default=0)


def _stop(connection: Connection, batch: str, alike: int, now: datetime) -> bool:
    mine = Batches.id == batch
    stopped_at = connection.execute(select(Batches.stopped_at).where(mine).with_for_update()).scalar()
    new = Pause(PauseKind.BATCH, batch, _reason(alike), now, CASEHAND)
    # Where a person has paused it, it is looked at again when it goes on.
    if stopped_at is not None or not pauses.insert_pause(connection, new):
        return False
    connection.execute(update(schema.batches).where(mine).values(stopped_at=now))
    return True


def _reason(alike: int) -> str:
    return f"it stopped itself: {alike} of its first cases need a person for the same reason"
