"""Intents: what an attempt was about to change in a legacy system, written down before it tried."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from casehand.queue import audit, schema
from casehand.queue.ledger import Ledger
from casehand.queue.state import State

Cases = schema.cases.c
Commits = schema.commits.c


class StillUnresolved(Exception):
    """The change may be on its way already, so its body must not run: a fault of the workflow that asks."""


class CommitState(StrEnum):
    """What is known of a change."""

    INTENDED = "intended"  #: the body may have run; whether it took effect is not known yet
    MADE = "made"  #: read back from the legacy system, or a person said so
    NOT_MADE = "not made"  #: a no that counts, or a person said so
    FOUND = "found"  #: already there before any body ran


@dataclass(frozen=True)
class Intent:
    """One entry of the commit table."""

    id: int
    attempt: int
    name: str
    bot: str | None
    state: CommitState
    settles: timedelta
    intended_at: datetime
    body_ended_at: datetime | None
    resolved_at: datetime | None
    resolved_by: str | None

    @property
    def counts_from(self) -> datetime | None:
        """When a no begins to count; None while the body may still be running."""
        return None if self.body_ended_at is None else self.body_ended_at + self.settles


def of_case(connection: Connection, case: str) -> list[Intent]:
    """All intents of a case, oldest first."""
    rows = connection.execute(
        select(schema.commits).where(Commits.case == case).order_by(Commits.intended_at, Commits.id)
    )
    return [_intent(row) for row in rows]


def unresolved(connection: Connection, case: str) -> list[Intent]:
    """The intents of which nobody knows yet whether they took effect."""
    return [intent for intent in of_case(connection, case) if intent.state is CommitState.INTENDED]


def settle_at(connection: Connection, case: str) -> list[datetime]:
    """When a no begins to count for each unresolved intent whose body has ended."""
    ends = (intent.counts_from for intent in unresolved(connection, case))
    return [counts_from for counts_from in ends if counts_from is not None]


def intend(
    ledger: Ledger, case: str, attempt: int, name: str, bot: str | None, settles: timedelta
) -> int | None:
    """Write an intent durably; None when this attempt no longer holds the case and must stop.

    Raises StillUnresolved while nobody knows what became of an earlier intent of that name.
    """
    with ledger.writing() as connection:
        if not _holds(connection, ledger.clock(), case, attempt):
            return None
        if any(intent.name == name for intent in unresolved(connection, case)):
            raise StillUnresolved(f"what became of an earlier try is not known: {name}")
        return _insert(
            connection,
            case=case,
            attempt=attempt,
            name=name,
            bot=bot,
            state=CommitState.INTENDED,
            # Up, never down: a no must not count too early.
            settles_seconds=math.ceil(settles.total_seconds()),
            intended_at=ledger.clock(),
        )


def found(ledger: Ledger, case: str, attempt: int, name: str, bot: str | None) -> bool:
    """Note that the change was there already; False when the attempt no longer holds the case."""
    with ledger.writing() as connection:
        now = ledger.clock()
        if not _holds(connection, now, case, attempt):
            return False
        _insert(
            connection,
            case=case,
            attempt=attempt,
            name=name,
            bot=bot,
            state=CommitState.FOUND,
            settles_seconds=0,
            intended_at=now,
            body_ended_at=now,
            resolved_at=now,
            resolved_by=f"attempt {attempt}",
        )
        return True


def resolve(ledger: Ledger, case: str, attempt: int, intent: int, state: CommitState) -> bool:
    """Write what became of an intent; False when the attempt no longer holds the case."""
    with ledger.writing() as connection:
        if not _holds(connection, ledger.clock(), case, attempt):
            return False
        by = f"attempt {attempt}"
        _settle(connection, ledger.clock(), case, state, by, attempt, Commits.id == intent)
        return True


def resolve_all(connection: Connection, at: datetime, case: str, state: CommitState, by: str) -> None:
    """A person's word on every unresolved intent of a case."""
    _settle(connection, at, case, state, by, None)


def bodies_ended(connection: Connection, case: str, at: datetime) -> None:
    """Note that no body of this case can be running any more."""
    connection.execute(
        update(schema.commits)
        .where(Commits.case == case, Commits.state == CommitState.INTENDED, Commits.body_ended_at.is_(None))
        .values(body_ended_at=at)
    )


def _holds(connection: Connection, now: datetime, case: str, attempt: int) -> bool:
    held = select(Cases.id).where(
        Cases.id == case,
        Cases.state == State.WORKING,
        Cases.attempts == attempt,
        Cases.lease_until > now,
    )
    return connection.execute(held.with_for_update()).first() is not None


def _insert(connection: Connection, **values: object) -> int:
    key = connection.execute(insert(schema.commits).values(**values)).inserted_primary_key
    assert key is not None  # noqa: S101 — an insert of one row always has one
    return int(key[0])


def _settle(
    connection: Connection,
    at: datetime,
    case: str,
    state: CommitState,
    by: str,
    attempt: int | None,
    *which: ColumnElement[bool],
) -> None:
    settled = connection.execute(
        update(schema.commits)
        .where(Commits.case == case, Commits.state == CommitState.INTENDED, *which)
        .values(state=state, resolved_at=at, resolved_by=by)
    )
    if settled.rowcount:
        audit.record(connection, at, by, f"commit {state}", case, attempt=attempt)


def _intent(row: Row[Any]) -> Intent:
    return Intent(
        id=row.id,
        attempt=row.attempt,
        name=row.name,
        bot=row.bot,
        state=CommitState(row.state),
        settles=timedelta(seconds=row.settles_seconds),
        intended_at=row.intended_at,
        body_ended_at=row.body_ended_at,
        resolved_at=row.resolved_at,
        resolved_by=row.resolved_by,
    )
