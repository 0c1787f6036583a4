"""Acting on many: one action, for one reason, on a list of cases that is written down before it begins.

The list is that of the moment the action began: what comes in later is not in it. Each case is then settled
by the very function that settles it alone, in one transaction with the note that it was, so that whatever
dies and whenever, no case is left out and none is done twice.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, insert, literal, select, update

from casehand.exceptions import CasehandError
from casehand.queue import audit, lists, schema
from casehand.queue.assignments import checked_receiver
from casehand.queue.bulk_filter import (
    MOST_SELECTED,
    BulkFilter,
    Preview,
    find_matching,
    in_order,
    preview,
    workflows_of,
)
from casehand.queue.cases import came_in_behind
from casehand.queue.ledger import Ledger
from casehand.queue.state import OPEN, State
from casehand.queue.storable import is_storable, storable
from casehand.queue.urgency import checked_due, checked_priority, checked_time
from casehand.queue.waiting import NoSuchCase

LISTED_AT_ONCE = 1_000
"""Cases written to the list in one transaction: more would keep the workers waiting."""

LATE = "late"
"""Said of cases that are sent back: they may be worked though their due date has passed."""

LONGEST_REASON = 1_000
LONGEST_NOTE = 10_000

Bulks = schema.bulk_actions.c
Listed = schema.bulk_cases.c
Cases = schema.cases.c


class BulkAction(StrEnum):
    """What may be done to many cases."""

    CANCEL = "cancel"
    RETURN = "return"
    CLOSE = "close"  #: with a note
    HAND_ON = "hand on"  #: to somebody
    SET_DUE = "set due"
    SET_PRIORITY = "set priority"
    PUT_OFF = "put off"  #: not to begin before a time


STATES: Mapping[BulkAction, frozenset[State]] = {
    # In work, too: these are refused, and the person sees which.
    BulkAction.CANCEL: OPEN,
    BulkAction.RETURN: frozenset({State.ESCALATED}),
    BulkAction.CLOSE: frozenset({State.ESCALATED}),
    BulkAction.HAND_ON: frozenset({State.ESCALATED}),
    BulkAction.SET_DUE: OPEN,
    BulkAction.SET_PRIORITY: OPEN,
    BulkAction.PUT_OFF: frozenset({State.QUEUED}),
}
"""The states of the cases that an action takes in."""


class BulkState(StrEnum):
    """How far a bulk action is."""

    WORKING = "working"
    PAUSED = "paused"
    CANCELLED = "cancelled"  #: what was done stays done
    DONE = "done"


class Came(StrEnum):
    """What came of one case."""

    DONE = "done"
    REFUSED = "refused"


class NoSuchBulk(CasehandError):
    """There is no such bulk action, or none that may be seen."""

    def __init__(self, bulk: str) -> None:
        super().__init__(f"there is no bulk action {bulk}: `casehand bulk list` shows those there are")


@dataclass(frozen=True)
class Bulk:
    """One action on many cases, and how far it is."""

    id: str
    action: BulkAction
    value: (
        str | None
    )  #: the note, the person, the time or the number, as text; of those sent back, LATE or nothing
    reason: str
    filter: str  #: JSON; of a selection, how many were selected
    workflows: tuple[str, ...]  #: whose cases it takes in
    state: BulkState
    begun_at: datetime
    begun_by: str
    listed_at: datetime | None
    ended_at: datetime | None
    total: int
    done: int
    refused: int

    @property
    def left(self) -> int:
        """Cases on the list that nothing has been done about yet."""
        return self.total - self.done - self.refused


@dataclass(frozen=True)
class BulkCase:
    """One case of a bulk action, and what came of it."""

    number: int
    case: str
    reference: str
    outcome: Came | None
    why: str | None  #: it was refused
    at: datetime | None


def preview_bulk(
    ledger: Ledger, action: BulkAction, which: BulkFilter, workflows: Collection[str] | None = None
) -> Preview:
    """How many cases it would take in, and which come first. Raises CasehandError for a filter that says nothing."""
    return preview(ledger, which, STATES[action], workflows)


def begin(
    ledger: Ledger,
    action: BulkAction,
    which: BulkFilter | Sequence[str],
    reason: str,
    by: str,
    value: str | None = None,
    workflows: Collection[str] | None = None,
) -> str:
    """Begin to act on the cases of a filter, or on those whose ids are given; returns the id of the action.

    `value` is a note to close with, whom to hand on to, a time (ISO), a priority or LATE. Only cases of
    `workflows` are taken in, if given. Raises CasehandError when there is no reason, no such case or no case
    at all, or the filter says nothing; NoSuchCase for a selected case that is not there.
    """
    said, checked = _checked_reason(reason), _checked_value(action, value)
    if isinstance(which, BulkFilter):
        which.check()
        bulk = _begin_filter(ledger, action, which, said, by, checked, workflows)
        while not list_more(ledger, bulk):
            pass
        return bulk
    return _begin_selection(ledger, action, list(dict.fromkeys(which)), said, by, checked, workflows)


def list_more(ledger: Ledger, bulk: str) -> bool:
    """Write the next cases to the list, as many as do not keep others waiting; True when it is whole.

    True as well when the action is paused or over: then nothing is to be listed now.
    """
    with ledger.writing() as connection:
        row = _locked(connection, bulk)
        if row.listed_at is not None or row.state != BulkState.WORKING:
            return True
        page = _next_page(connection, row)
        _list(connection, bulk, row.total, page)
        whole = len(page) < LISTED_AT_ONCE
        now = ledger.clock() if whole else None
        connection.execute(
            update(schema.bulk_actions)
            .where(Bulks.id == bulk)
            .values(total=Bulks.total + len(page), listed_at=now)
        )
        if now is not None:
            detail = f"{row.total + len(page)} cases"
            audit.record(connection, now, row.begun_by, "bulk listed", subject(bulk), detail=detail)
        return whole


def pause(ledger: Ledger, bulk: str, by: str) -> None:
    """Let it wait. Raises CasehandError when it is not being worked."""
    _change(ledger, bulk, by, [BulkState.WORKING], BulkState.PAUSED, "bulk paused")


def resume(ledger: Ledger, bulk: str, by: str) -> None:
    """Let it go on. Raises CasehandError when it does not wait."""
    _change(ledger, bulk, by, [BulkState.PAUSED], BulkState.WORKING, "bulk resumed")


def cancel(ledger: Ledger, bulk: str, by: str) -> None:
    """End it: what was done stays done. Raises CasehandError when it is over already."""
    _change(ledger, bulk, by, [BulkState.WORKING, BulkState.PAUSED], BulkState.CANCELLED, "bulk cancelled")


def find_bulk(ledger: Ledger, bulk: str) -> Bulk:
    """One bulk action. Raises NoSuchBulk."""
    with ledger.reading() as connection:
        row = connection.execute(select(schema.bulk_actions).where(Bulks.id == bulk)).first()
    if row is None:
        raise NoSuchBulk(bulk)
    return _bulk(row)


def all_bulks(ledger: Ledger, limit: int | None = None, under_way: bool = False) -> list[Bulk]:
    """The bulk actions, latest first; only those that are not over, if asked."""
    query = select(schema.bulk_actions).order_by(Bulks.begun_at.desc(), Bulks.id).limit(limit)
    if under_way:
        query = query.where(Bulks.state.in_([BulkState.WORKING, BulkState.PAUSED]))
    with ledger.reading() as connection:
        return [_bulk(row) for row in connection.execute(query)]


def list_bulks(
    ledger: Ledger,
    workflows: Collection[str] | None = None,
    limit: int | None = None,
    after: str | None = None,
    *,
    oldest_first: bool = False,
) -> list[Bulk]:
    """The bulk actions all of whose cases are of `workflows`, if given; latest first or the other way round.

    Only those behind the one `after`. Raises NoSuchBulk when there is none.
    """
    with ledger.reading() as connection:
        place = None if after is None else _place(connection, after)
        most = limit if workflows is None else None
        order = (Bulks.begun_at, Bulks.id)
        query = lists.in_order(select(schema.bulk_actions), [None], order, not oldest_first, place, most)
        # Read only as far as the page needs: whose cases an action takes in is known when its row is read.
        with connection.execution_options(yield_per=LISTED_AT_ONCE).execute(query) as rows:
            every = map(_bulk, rows)
            mine = (one for one in every if workflows is None or set(one.workflows) <= set(workflows))
            return list(islice(mine, limit))


def outcomes(
    ledger: Ledger,
    bulk: str,
    outcome: Came | None = None,
    limit: int | None = None,
    after: int | None = None,
) -> list[BulkCase]:
    """The cases of a bulk action in their order; only those that came out so, and behind the number `after`."""
    query = (
        select(schema.bulk_cases, Cases.reference)
        .join(schema.cases, Cases.id == Listed.case)
        .where(Listed.bulk == bulk)
        .order_by(Listed.number)
        .limit(limit)
    )
    if outcome is not None:
        # Written out, so that the index of those that were refused is seen to do.
        query = query.where(
            Listed.outcome == literal(str(outcome), Listed.outcome.type, literal_execute=True)
        )
    if after is not None:
        query = query.where(Listed.number > after)
    with ledger.reading() as connection:
        rows = connection.execute(query).all()
    return [
        BulkCase(row.number, row.case, row.reference, _came(row.outcome), row.why, row.at) for row in rows
    ]


def subject(bulk: str) -> str:
    """What the audit calls a bulk action."""
    return f"bulk {bulk}"


def _begin_filter(
    ledger: Ledger,
    action: BulkAction,
    which: BulkFilter,
    reason: str,
    by: str,
    value: str | None,
    workflows: Collection[str] | None,
) -> str:
    with ledger.reading() as connection:
        concerned = workflows_of(connection, which, STATES[action], workflows)
    if not concerned:
        raise CasehandError("there are no such cases: nothing is to be done")
    with ledger.writing() as connection:
        return _write(
            ledger, connection, action, which.as_text(), concerned, reason=reason, by=by, value=value
        )


def _begin_selection(
    ledger: Ledger,
    action: BulkAction,
    cases: list[str],
    reason: str,
    by: str,
    value: str | None,
    workflows: Collection[str] | None,
) -> str:
    if not cases:
        raise CasehandError("no case is selected: choose some")
    if len(cases) > MOST_SELECTED:
        raise CasehandError(f"at most {MOST_SELECTED:,} cases can be selected: use a filter for more")
    with ledger.writing() as connection:
        rows = _selected(connection, list(filter(is_storable, cases)))
        for case in cases:
            if case not in rows or (workflows is not None and rows[case].workflow not in workflows):
                raise NoSuchCase(case)
        concerned = sorted({row.workflow for row in rows.values()})
        filter_text = json.dumps({"selected": len(cases)})
        bulk = _write(ledger, connection, action, filter_text, concerned, reason=reason, by=by, value=value)
        _list(connection, bulk, 0, [rows[case] for case in cases])
        connection.execute(
            update(schema.bulk_actions)
            .where(Bulks.id == bulk)
            .values(total=len(cases), listed_at=ledger.clock())
        )
        return bulk


def _write(
    ledger: Ledger,
    connection: Connection,
    action: BulkAction,
    filter_text: str,
    concerned: list[str],
    **columns: str | None,
) -> str:
    bulk, now, by = ledger.new_id(), ledger.clock(), str(columns["by"])
    connection.execute(
        insert(schema.bulk_actions).values(
            id=bulk,
            action=action,
            value=columns["value"],
            reason=columns["reason"],
            filter=filter_text,
            workflows=json.dumps(concerned),
            state=BulkState.WORKING,
            begun_at=now,
            begun_by=by,
            total=0,
            done=0,
            refused=0,
        )
    )
    detail = f"{action}: {filter_text}"
    audit.record(connection, now, by, "bulk begun", subject(bulk), reason=columns["reason"], detail=detail)
    return bulk


def _next_page(connection: Connection, row: Row[Any]) -> Sequence[Row[Any]]:
    bulk = _bulk(row)
    which = BulkFilter.from_text(bulk.filter)
    query = in_order(find_matching(which, STATES[bulk.action], bulk.workflows)).where(
        Cases.handed_in_at <= bulk.begun_at
    )
    last = connection.execute(
        select(Listed.case).where(Listed.bulk == bulk.id).order_by(Listed.number.desc()).limit(1)
    ).scalar()
    if last is not None:
        query = query.where(came_in_behind(connection, last))
    return connection.execute(query.limit(LISTED_AT_ONCE)).all()


def _selected(connection: Connection, cases: list[str]) -> dict[str, Row[Any]]:
    waits = schema.escalations.c
    found: dict[str, Row[Any]] = {}
    for start in range(0, len(cases), 500):
        query = (
            select(Cases.id, Cases.workflow, waits.id.label("escalation"))
            .outerjoin_from(
                schema.cases, schema.escalations, (waits.case == Cases.id) & waits.settled_at.is_(None)
            )
            .where(Cases.id.in_(cases[start : start + 500]))
        )
        found |= {row.id: row for row in connection.execute(query)}
    return found


def _list(connection: Connection, bulk: str, before: int, page: Sequence[Row[Any]]) -> None:
    if page:
        rows = [
            {"bulk": bulk, "number": number, "case": row.id, "escalation": row.escalation}
            for number, row in enumerate(page, start=before + 1)
        ]
        connection.execute(insert(schema.bulk_cases), rows)


def _place(connection: Connection, bulk: str) -> tuple[datetime, str]:
    begun_at = None
    if is_storable(bulk):
        begun_at = connection.execute(select(Bulks.begun_at).where(Bulks.id == bulk)).scalar()
    if begun_at is None:
        raise NoSuchBulk(bulk)
    return begun_at, bulk


def _locked(connection: Connection, bulk: str) -> Row[Any]:
    row = connection.execute(select(schema.bulk_actions).where(Bulks.id == bulk).with_for_update()).first()
    if row is None:
        raise NoSuchBulk(bulk)
    return row


def _change(
    ledger: Ledger, bulk: str, by: str, before: list[BulkState], after: BulkState, action: str
) -> None:
    with ledger.writing() as connection:
        row = _locked(connection, bulk)
        if row.state not in before:
            raise CasehandError(f"the bulk action is {row.state}, so it cannot become {after}")
        now = ledger.clock()
        ended = now if after is BulkState.CANCELLED else None
        connection.execute(
            update(schema.bulk_actions).where(Bulks.id == bulk).values(state=after, ended_at=ended)
        )
        detail = f"{row.done} done, {row.refused} refused, of {row.total}"
        audit.record(connection, now, by, action, subject(bulk), detail=detail)


def _checked_reason(reason: str) -> str:
    said = storable(reason).strip()
    if not said:
        raise CasehandError("say why: it is kept in the audit")
    if len(said) > LONGEST_REASON:
        raise CasehandError(f"a reason has at most {LONGEST_REASON:,} characters")
    return said


def _checked_value(action: BulkAction, value: str | None) -> str | None:
    """What the action needs, or None. Raises CasehandError when it is missing, or one too many."""
    check = _VALUES.get(action)
    if check is None:
        if value is not None:
            raise CasehandError(f"to {action} takes nothing more than a reason")
        return None
    return check(storable(value or "").strip())


def _checked_late(value: str) -> str | None:
    if value not in ("", LATE):
        raise CasehandError(f"to send back takes nothing more than a reason, or {LATE!r}")
    return value or None


def _checked_note(value: str) -> str:
    if not value:
        raise CasehandError("say what was done about the cases: it is kept with each")
    if len(value) > LONGEST_NOTE:
        raise CasehandError(f"a note has at most {LONGEST_NOTE:,} characters")
    return value


def _checked_due(value: str) -> str:
    due = _time(value, "by when")
    checked_due(due)
    return due.isoformat()


def _checked_begin(value: str) -> str:
    return checked_time(_time(value, "not before when")).isoformat()


def _time(value: str, what: str) -> datetime:
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise CasehandError(f"say {what}, with the time zone, such as 2026-04-06T17:00+01:00")
    return time


def _checked_number(value: str) -> str:
    try:
        return str(checked_priority(int(value)))
    except ValueError:
        raise CasehandError("say which priority: a whole number such as 5") from None


_VALUES: Mapping[BulkAction, Callable[[str], str | None]] = {
    BulkAction.RETURN: _checked_late,
    BulkAction.CLOSE: _checked_note,
    BulkAction.HAND_ON: checked_receiver,
    BulkAction.SET_DUE: _checked_due,
    BulkAction.SET_PRIORITY: _checked_number,
    BulkAction.PUT_OFF: _checked_begin,
}


def _came(outcome: str | None) -> Came | None:
    return None if outcome is None else Came(outcome)


def _bulk(row: Row[Any]) -> Bulk:
    return Bulk(
        id=row.id,
        action=BulkAction(row.action),
        value=row.value,
        reason=row.reason,
        filter=row.filter,
        workflows=tuple(json.loads(row.workflows)),
        state=BulkState(row.state),
        begun_at=row.begun_at,
        begun_by=row.begun_by,
        listed_at=row.listed_at,
        ended_at=row.ended_at,
        total=row.total,
        done=row.done,
        refused=row.refused,
    )
