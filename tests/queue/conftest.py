"""What the tests of the ledger have in hand: a clock held still, and cases made without a file."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from casehand.queue import attempts, endings, schema
from casehand.queue.attempts import Begun
from casehand.queue.backoff import Backoff
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import Escalated, EscalationKind
from casehand.queue.state import State

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
WORKFLOW = "housing-benefit/rent-change"
BOT = "benefits"


@pytest.fixture
def pass_time(ledger: Ledger) -> Callable[..., None]:
    """Holds the ledger's clock still; called with a span, as `timedelta` takes it, it moves it on."""
    now = START

    def move_on(**span: float) -> None:
        nonlocal now
        now += timedelta(**span)

    ledger.clock = lambda: now
    return move_on


@pytest.fixture
def known(ledger: Ledger) -> str:
    """A workflow that the ledger knows, in the bot `benefits`."""
    make_known(ledger, WORKFLOW, [BOT], timedelta(minutes=5))
    return WORKFLOW


@pytest.fixture
def take_in(ledger: Ledger) -> Callable[..., str]:
    """Makes a queued case and returns its id; columns of the table may be given."""

    def take(
        reference: str = "HB000125",
        data: dict[str, Any] | None = None,
        batch: str | None = None,
        **columns: Any,
    ) -> str:
        case, now = ledger.new_id(), ledger.clock()
        key, wrapped = ledger.vault.new_key(case)
        values: dict[str, Any] = {
            "id": case,
            "reference": reference,
            "workflow": WORKFLOW,
            "batch": batch,
            "state": State.QUEUED,
            "priority": 0,
            "not_before": now,
            "attempts": 0,
            "failures": 0,
            "crashes": 0,
            "key": wrapped,
            "sealed_data": key.seal_text(json.dumps(data or {"weekly_rent": "112.40"})),
            "handed_in_at": now,
            "changed_at": now,
        }
        with ledger.writing() as connection:
            if batch is not None:
                _make_batch(ledger, connection, batch)
            connection.execute(insert(schema.cases).values(values | columns))
        return case

    return take


@pytest.fixture
def begin(ledger: Ledger) -> Callable[..., Begun]:
    """Takes a case in hand as its next attempt, which must go well."""

    def take(case: str, worker: str = "worker-1") -> Begun:
        with ledger.reading() as connection:
            done = connection.execute(
                select(schema.cases.c.attempts).where(schema.cases.c.id == case)
            ).scalar_one()
        begun = attempts.begin(ledger, case, done + 1, worker)
        assert begun is not None
        return begun

    return take


@pytest.fixture
def escalate(ledger: Ledger, begin: Callable[..., Begun]) -> Callable[..., Begun]:
    """Works a case once, so that it waits for a person; returns the attempt that is over."""

    def put(
        case: str,
        kind: EscalationKind = EscalationKind.BUSINESS,
        reason: str = "the claim is closed",
        question: dict[str, Any] | None = None,
    ) -> Begun:
        begun = begin(case)
        asked = None if question is None else json.dumps(question)
        outcome = Escalated(kind, reason, asked)
        assert endings.end(ledger, begun, outcome, "[]", Backoff(), 0.0) is State.ESCALATED
        return begun

    return put


@pytest.fixture
def row_of(ledger: Ledger) -> Callable[[str], Any]:
    """Reads a case's row as it stands in the ledger."""

    def read(case: str) -> Any:
        with ledger.reading() as connection:
            return connection.execute(select(schema.cases).where(schema.cases.c.id == case)).one()

    return read


@pytest.fixture
def audit_of(ledger: Ledger) -> Callable[[str], list[tuple[str, str | None, str | None]]]:
    """Reads the audit of a case or bot: actions with the states before and after, oldest first."""

    def read(subject: str) -> list[tuple[str, str | None, str | None]]:
        entries = schema.audit.c
        query = select(entries.action, entries.before, entries.after).where(entries.subject == subject)
        with ledger.reading() as connection:
            return [
                (row.action, row.before, row.after) for row in connection.execute(query.order_by(entries.id))
            ]

    return read


def _make_batch(ledger: Ledger, connection: Connection, batch: str) -> None:
    if connection.execute(select(schema.batches.c.id).where(schema.batches.c.id == batch)).first():
        return
    _, wrapped = ledger.vault.new_key(batch)
    connection.execute(
        insert(schema.batches).values(
            id=batch,
            workflow=WORKFLOW,
            file=f"{batch}.csv",
            key=wrapped,
            accepted=0,
            rejected=0,
            duplicates=0,
            handed_in_at=ledger.clock(),
            handed_in_by="a person",
        )
    )
