"""Overdue: what becomes of a queued case whose due date passes. It is never begun late unless a person says so."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Row, Select, select, tuple_, update

from casehand.exceptions import CasehandError
from casehand.queue import asking, audit, commits, schema
from casehand.queue.asking import Ask
from casehand.queue.commits import CommitState
from casehand.queue.ledger import Ledger
from casehand.queue.move import move
from casehand.queue.order import IS_QUEUED
from casehand.queue.outcome import EscalationKind
from casehand.queue.policy import Late
from casehand.queue.readiness import is_late
from casehand.queue.state import State
from casehand.queue.too_late import in_words

AT_ONCE = 100
"""Cases in one transaction: more would keep the workers waiting."""

BUDGET = timedelta(seconds=1)
"""How long one look lasts: whoever takes it has other work."""

PASSED = "its due date passed before it was begun"
PASSED_AGAIN = "its due date passed before it was tried again"
IN_DOUBT = "and it is not known whether a change was made"

Cases = schema.cases.c
Known = schema.workflows.c

log = structlog.get_logger()


class PastDue(CasehandError):
    """A case would be worked late, and nobody has said that it may."""

    def __init__(self, due: datetime) -> None:
        self.due = due
        super().__init__(
            f"it was due by {in_words(due)}: say that it may be worked late (--late), give it another due date, "
            "or close or cancel it"
        )


def sweep(ledger: Ledger, by: str, budget: timedelta = BUDGET) -> int:
    """Put before a person, or cancel, what is queued and past its due date; returns how many cases that were.

    A case whose key cannot be opened stays where it is, and holds up no other.
    """
    until, swept, last = ledger.clock() + budget, 0, None
    while page := _page(ledger, last):
        with ledger.writing() as connection:
            swept += sum(_settle(ledger, connection, row.id, by) for row in page)
        last = page[-1]
        if len(page) < AT_ONCE or ledger.clock() >= until:
            break
    return swept


def let_be_late(connection: Connection, case: str, at: datetime, by: str) -> None:
    """Have a case worked though its due date has passed, by a person's word."""
    connection.execute(update(schema.cases).where(Cases.id == case).values(may_be_late=True))
    audit.record(connection, at, by, "let be late", case)


def _page(ledger: Ledger, last: Row[Any] | None) -> Sequence[Row[Any]]:
    place = (Cases.due, Cases.id)
    query: Select[Any] = (
        select(*place).where(IS_QUEUED, is_late(ledger.clock())).order_by(*place).limit(AT_ONCE)
    )
    if last is not None:
        query = query.where(tuple_(*place) > tuple_(*last))
    with ledger.reading() as connection:
        return connection.execute(query).all()


def _settle(ledger: Ledger, connection: Connection, case: str, by: str) -> bool:
    """Settle one case, if it is still late; False when it is not, or a worker has just begun it."""
    now = ledger.clock()
    query = select(schema.cases).where(Cases.id == case, IS_QUEUED, is_late(now))
    row = connection.execute(query.with_for_update(skip_locked=True)).first()
    if row is None:
        return False
    try:
        return _escalate_or_cancel(ledger, connection, row, now, by)
    except CasehandError as error:
        log.error("overdue_not_settled", case=case, why=str(error))
        return False


def _escalate_or_cancel(
    ledger: Ledger, connection: Connection, row: Row[Any], now: datetime, by: str
) -> bool:
    key = ledger.vault.open_key(row.id, row.key)
    states = {intent.state for intent in commits.of_case(connection, row.id)}
    reason = PASSED_AGAIN if row.attempts else PASSED
    if not states & {CommitState.MADE, CommitState.INTENDED} and _rule_of(connection, row) is Late.CANCEL:
        sealed = key.seal_text(reason)
        return move(
            connection,
            row.id,
            State.QUEUED,
            State.CANCELLED,
            at=now,
            actor=by,
            action="cancelled",
            attempt=row.attempts,
            reason=reason,
            sealed_reason=sealed,
        )
    ask = Ask(EscalationKind.LATE, reason)
    if CommitState.INTENDED in states:
        ask = Ask(EscalationKind.IN_DOUBT, f"{reason}, {IN_DOUBT}")
    return asking.escalate(connection, ledger.vault, key, row, ask, at=now, actor=by)


def _rule_of(connection: Connection, row: Row[Any]) -> Late:
    rule = connection.execute(select(Known.late).where(Known.name == row.workflow)).scalar()
    return Late(rule) if rule else Late.ESCALATE
