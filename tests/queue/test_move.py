"""The one way in which the state of a case is written."""

from collections.abc import Callable
from typing import Any

import pytest

from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.move import move
from casehand.queue.state import IllegalMove, State

TakeIn = Callable[..., str]
RowOf = Callable[[str], Any]
AuditOf = Callable[[str], list[tuple[str, str | None, str | None]]]


def _move(ledger: Ledger, case: str, before: State, after: State, **more: Any) -> bool:
    with ledger.writing() as connection:
        return move(
            connection, case, before, after, at=ledger.clock(), actor="somebody", action="moved", **more
        )


def test_a_move_changes_the_state_and_leaves_an_audit_entry(
    ledger: Ledger, take_in: TakeIn, row_of: RowOf, audit_of: AuditOf
) -> None:
    case = take_in()

    assert _move(ledger, case, State.QUEUED, State.CANCELLED)

    assert row_of(case).state == "cancelled"
    assert audit_of(case) == [("moved", "queued", "cancelled")]


def test_who_read_the_case_in_another_state_is_told_no_and_leaves_nothing(
    ledger: Ledger, take_in: TakeIn, row_of: RowOf, audit_of: AuditOf
) -> None:
    case = take_in()

    assert not _move(ledger, case, State.ESCALATED, State.CLOSED)

    assert row_of(case).state == "queued"
    assert audit_of(case) == []


def test_who_read_the_case_with_another_attempt_is_told_no(
    ledger: Ledger, take_in: TakeIn, row_of: RowOf, audit_of: AuditOf
) -> None:
    case = take_in()

    assert not _move(ledger, case, State.QUEUED, State.WORKING, attempt=1)

    assert row_of(case).state == "queued"
    assert audit_of(case) == []


def test_a_condition_that_does_not_hold_is_a_no(ledger: Ledger, take_in: TakeIn, audit_of: AuditOf) -> None:
    case = take_in()

    assert not _move(ledger, case, State.QUEUED, State.WORKING, only_if=schema.cases.c.priority > 0)

    assert audit_of(case) == []


def test_a_case_that_is_not_there_is_a_no(ledger: Ledger, audit_of: AuditOf) -> None:
    assert not _move(ledger, "nowhere", State.QUEUED, State.CANCELLED)
    assert audit_of("nowhere") == []


def test_a_move_outside_the_table_is_refused_before_anything_is_written(
    ledger: Ledger, take_in: TakeIn, row_of: RowOf, audit_of: AuditOf
) -> None:
    case = take_in()

    with pytest.raises(IllegalMove):
        _move(ledger, case, State.QUEUED, State.DONE)

    assert row_of(case).state == "queued"
    assert audit_of(case) == []


def test_a_move_whose_transaction_fails_leaves_neither_state_nor_audit(
    ledger: Ledger, take_in: TakeIn, row_of: RowOf, audit_of: AuditOf
) -> None:
    case = take_in()

    def move_and_die() -> None:
        with ledger.writing() as connection:
            now = ledger.clock()
            move(connection, case, State.QUEUED, State.CANCELLED, at=now, actor="somebody", action="moved")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        move_and_die()

    assert row_of(case).state == "queued"
    assert audit_of(case) == []
