"""A turn at the bulk actions that are under way: a few cases at a time, by one process at a time."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, exists, select, update

from casehand.exceptions import CasehandError
from casehand.queue import assignments, audit, commits, escalations, leases, schema, urgency
from casehand.queue.bulk import (
    LATE,
    Bulk,
    BulkAction,
    BulkState,
    Came,
    all_bulks,
    find_bulk,
    list_more,
    subject,
)
from casehand.queue.ledger import Ledger
from casehand.queue.part import Part

LEASE = "bulk"
HELD = timedelta(seconds=10)
BUDGET = timedelta(seconds=1)
"""How long a turn lasts: whoever takes it has other work."""

A_FEW = 20
"""Cases of one bulk action before the next has its turn."""

Bulks = schema.bulk_actions.c
Listed = schema.bulk_cases.c


class _Stopped(Exception):
    """It was paused or cancelled meanwhile, or another has done the case: nothing is to be written."""


def turn(ledger: Ledger, holder: str, budget: timedelta = BUDGET, only: str | None = None) -> int:
    """Go on with what is under way, if no other process does; returns to how many cases something was done.

    Cases that were refused count too. `only` is the id of one bulk action, for whoever waits for that.
    """
    if not _under_way(ledger, only) or not leases.hold(ledger, LEASE, holder, HELD):
        return 0
    until = ledger.clock() + budget
    worked = 0
    while bulks := _under_way(ledger, only):
        for bulk in bulks:
            worked += _some(ledger, bulk)
        if ledger.clock() >= until:
            break
    return worked


def end_turn(ledger: Ledger, holder: str) -> None:
    """Let others have their turn at once, not only when this one is not heard of any more."""
    leases.let_go(ledger, LEASE, holder)


def _under_way(ledger: Ledger, only: str | None) -> list[Bulk]:
    if only is not None:
        return [one for one in [find_bulk(ledger, only)] if one.state is BulkState.WORKING]
    under_way = all_bulks(ledger, under_way=True)
    return [one for one in reversed(under_way) if one.state is BulkState.WORKING]


def _some(ledger: Ledger, bulk: Bulk) -> int:
    if not list_more(ledger, bulk.id):
        return 0
    left = (
        select(Listed.number, Listed.case, Listed.escalation)
        .where(Listed.bulk == bulk.id, Listed.outcome.is_(None))
        .order_by(Listed.number)
        .limit(A_FEW)
    )
    with ledger.reading() as connection:
        rows = connection.execute(left).all()
    for row in rows:
        try:
            _do(ledger, bulk, row)
        except _Stopped:
            return 0
    if len(rows) < A_FEW:
        _finish(ledger, bulk)
    return len(rows)


def _do(ledger: Ledger, bulk: Bulk, row: Row[Any, Any, Any]) -> None:
    """One case, in one transaction with the note that it is done; a refusal changes nothing, and is noted after."""
    check = _refuse_in_doubt if bulk.action in (BulkAction.CANCEL, BulkAction.CLOSE) else None

    def note(connection: Connection) -> None:
        if check is not None:
            check(connection, row.case)
        _note(connection, bulk.id, row.number, ledger.clock(), Came.DONE)

    try:
        _DO[bulk.action](ledger, bulk, row, Part(subject(bulk.id), note))
    except CasehandError as refused:
        with ledger.writing() as connection:
            _note(connection, bulk.id, row.number, ledger.clock(), Came.REFUSED, str(refused))


def _refuse_in_doubt(connection: Connection, case: str) -> None:
    if commits.unresolved(connection, case):
        raise CasehandError("it is not known whether a change was made: settle this case by itself")


def _note(
    connection: Connection, bulk: str, number: int, at: datetime, came: Came, why: str | None = None
) -> None:
    """Write down what came of a case, if the action is still under way and nobody has done so."""
    counted = Bulks.done if came is Came.DONE else Bulks.refused
    goes_on = connection.execute(
        update(schema.bulk_actions)
        .where(Bulks.id == bulk, Bulks.state == BulkState.WORKING)
        .values({counted.name: counted + 1})
    )
    noted = connection.execute(
        update(schema.bulk_cases)
        .where(Listed.bulk == bulk, Listed.number == number, Listed.outcome.is_(None))
        .values(outcome=came, why=why, at=at)
    )
    if goes_on.rowcount != 1 or noted.rowcount != 1:
        raise _Stopped


def _finish(ledger: Ledger, bulk: Bulk) -> None:
    left = exists(select(Listed.number).where(Listed.bulk == bulk.id, Listed.outcome.is_(None)))
    with ledger.writing() as connection:
        now = ledger.clock()
        ended = connection.execute(
            update(schema.bulk_actions)
            .where(Bulks.id == bulk.id, Bulks.state == BulkState.WORKING, Bulks.listed_at.is_not(None), ~left)
            .values(state=BulkState.DONE, ended_at=now)
        )
        if ended.rowcount:
            row = connection.execute(select(schema.bulk_actions).where(Bulks.id == bulk.id)).one()
            detail = f"{row.done} done, {row.refused} refused, of {row.total}"
            audit.record(connection, now, bulk.begun_by, "bulk done", subject(bulk.id), detail=detail)


def _cancel(ledger: Ledger, bulk: Bulk, row: Row[Any, Any, Any], part: Part) -> None:
    by, why = bulk.begun_by, bulk.reason
    escalations.cancel(ledger, row.case, by, why, row.escalation, over_others=True, part=part)


def _return(ledger: Ledger, bulk: Bulk, row: Row[Any, Any, Any], part: Part) -> None:
    seen, late = row.escalation, bulk.value == LATE
    escalations.send_back(
        ledger, row.case, bulk.begun_by, seen=seen, over_others=True, may_be_late=late, part=part
    )


def _close(ledger: Ledger, bulk: Bulk, row: Row[Any, Any, Any], part: Part) -> None:
    by, note, seen = bulk.begun_by, str(bulk.value), row.escalation
    escalations.close(ledger, row.case, by, note, seen, over_others=True, part=part)


def _hand_on(ledger: Ledger, bulk: Bulk, row: Row[Any, Any, Any], part: Part) -> None:
    by, to, seen = bulk.begun_by, str(bulk.value), row.escalation
    assignments.hand_on(ledger, row.case, to, by, seen, over_others=True, part=part)


def _set_due(ledger: Ledger, bulk: Bulk, row: Row[Any, Any, Any], part: Part) -> None:
    due = datetime.fromisoformat(str(bulk.value))
    urgency.set_due(ledger, row.case, due, bulk.begun_by, part=part)


def _set_priority(ledger: Ledger, bulk: Bulk, row: Row[Any, Any, Any], part: Part) -> None:
    urgency.set_priority(ledger, row.case, int(str(bulk.value)), bulk.begun_by, part=part)


def _put_off(ledger: Ledger, bulk: Bulk, row: Row[Any, Any, Any], part: Part) -> None:
    until = datetime.fromisoformat(str(bulk.value))
    urgency.put_off(ledger, row.case, until, bulk.begun_by, part=part)


_DO: Mapping[BulkAction, Callable[[Ledger, Bulk, Row[Any, Any, Any], Part], None]] = {
    BulkAction.CANCEL: _cancel,
    BulkAction.RETURN: _return,
    BulkAction.CLOSE: _close,
    BulkAction.HAND_ON: _hand_on,
    BulkAction.SET_DUE: _set_due,
    BulkAction.SET_PRIORITY: _set_priority,
    BulkAction.PUT_OFF: _put_off,
}
