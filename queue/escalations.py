"""Escalations: the cases in front of a person, and the ways a person settles one."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update

from casehand.exceptions import CasehandError
from casehand.queue import commits, schema
from casehand.queue.commits import CommitState
from casehand.queue.ledger import Ledger
from casehand.queue.lists import branches, in_order
from casehand.queue.move import AMENDED, move
from casehand.queue.outcome import EscalationKind
from casehand.queue.state import State
from casehand.queue.vault import Key

Cases = schema.cases.c
Escalations = schema.escalations.c

WAS_DONE = "it was done"
WAS_NOT_DONE = "it was not done"


@dataclass(frozen=True)
class Escalation:
    """A case that waits for a person, and why."""

    id: int
    case: str
    reference: str
    workflow: str
    batch: str | None
    kind: EscalationKind
    reason: str
    question: dict[str, object] | None
    page: str | None
    screenshot: str | None
    attempt: int
    opened_at: datetime
    alike: str | None  #: the same for reasons that differ only in their numbers: see `similar.py`


class EscalationSort(StrEnum):
    """What a list of escalations is ordered by."""

    OPENED = "opened"  #: since when it waits; backwards, the youngest first


ORDERS: Mapping[EscalationSort, Sequence[ColumnElement[Any]]] = {
    EscalationSort.OPENED: (Escalations.opened_at, Escalations.id),
}


@dataclass(frozen=True)
class EscalationFilter:
    """Which escalations are looked for: those to which all that is given applies."""

    batch: str | None = None
    workflow: str | None = None
    workflows: Collection[str] | None = None  #: what a person may see; None for all
    kind: EscalationKind | None = None
    since: datetime | None = None  #: from which it was opened
    until: datetime | None = None  #: before which it was opened
    alike: str | None = None  #: only with such a reason, as `Escalation.alike` has it

    def conditions(self) -> list[ColumnElement[bool]]:
        """All but the workflow, which says what part of an index is read."""
        given = ((Cases.batch, self.batch), (Escalations.kind, self.kind))
        conditions: list[ColumnElement[bool]] = [
            column == value for column, value in given if value is not None
        ]
        if self.alike is not None:
            conditions.append(Escalations.alike == _digest(self.alike))
        if self.since is not None:
            conditions.append(Escalations.opened_at >= self.since)
        if self.until is not None:
            conditions.append(Escalations.opened_at < self.until)
        return conditions

    @property
    def seen(self) -> Collection[str] | None:
        """The workflows of which a case may be."""
        if self.workflow is None:
            return self.workflows
        return [self.workflow] if self.workflows is None or self.workflow in self.workflows else []


def waiting(
    ledger: Ledger,
    workflow: str | None = None,
    batch: str | None = None,
    limit: int | None = None,
    after: str | None = None,
) -> list[Escalation]:
    """What waits for a person, oldest first; only behind the case with the id `after`, settled or not."""
    return list_waiting(ledger, EscalationFilter(batch, workflow), limit=limit, after=after)


def list_waiting(
    ledger: Ledger,
    which: EscalationFilter,
    by: EscalationSort = EscalationSort.OPENED,
    backwards: bool = False,
    limit: int | None = None,
    after: str | None = None,
) -> list[Escalation]:
    """What waits for a person, in an order; only behind the case with the id `after`, settled or not."""
    order = ORDERS[by]
    query = (
        select(schema.escalations, Cases.reference, Cases.batch, Cases.key)
        .join(schema.cases, Cases.id == Escalations.case)
        .where(Escalations.settled_at.is_(None), *which.conditions())
    )
    with ledger.reading() as connection:
        behind = None if after is None else _place(connection, after, order)
        parts = branches((Escalations.workflow, which.seen))
        rows = connection.execute(in_order(query, parts, order, backwards, behind, limit)).all()
    return [_escalation(ledger.vault.open_key(row.case, row.key), row) for row in rows]


def answer(ledger: Ledger, case: str, given: object, by: str, seen: int | None = None) -> None:
    """Answer what the case asks, and queue it again.

    `given` is one of the choices, or the JSON value of a form the caller has checked. A case in doubt takes
    WAS_DONE or WAS_NOT_DONE. `seen` is the id of the escalation that the person was shown, where that is
    known: an answer is never taken for that of a later question. Raises CasehandError when the case asks
    nothing, something else by now, or the answer is none of the choices.
    """
    with ledger.writing() as connection:
        now = ledger.clock()
        not_before = now
        kind, question, key, attempt = _open_one(ledger, connection, case, seen)
        if kind is EscalationKind.IN_DOUBT:
            _check_choice(given, [WAS_DONE, WAS_NOT_DONE])
            if given == WAS_NOT_DONE:
                # This no may be early too: where `done` can tell, it looks when nothing is on its way any more.
                not_before = max([now, *commits.settle_at(connection, case)])
            state = CommitState.MADE if given == WAS_DONE else CommitState.NOT_MADE
            commits.resolve_all(connection, now, case, state, by)
        elif question is None:
            raise CasehandError("this case asks nothing: use `return`, `close` or `cancel`")
        else:
            _check_choice(given, question.get("choices"))
            sealed = key.seal_text(json.dumps(given))
            _keep_answer(connection, case, attempt, str(question["key"]), sealed, now, by)
        _requeue(connection, case, now, by, "answered", not_before=not_before)


def send_back(
    ledger: Ledger, case: str, by: str, amended: str | None = None, seen: int | None = None
) -> None:
    """Queue the case again, perhaps with amended data (JSON that the caller has checked against the model).

    What was answered before counts no more for amended data. Raises CasehandError when the case does not
    wait for a person, or would be amended while it is not known whether it has made a change already.
    """
    with ledger.writing() as connection:
        _, _, key, attempt = _open_one(ledger, connection, case, seen)
        now = ledger.clock()
        if amended is None:
            _requeue(connection, case, now, by, "returned")
            return
        if commits.unresolved(connection, case):
            # Nothing could tell afterwards whether a change with the old data was made beside the new one.
            raise CasehandError(
                "whether a change was made is not known: answer that, or return the case as it is, before amending it"
            )
        _requeue(connection, case, now, by, AMENDED, attempt=attempt, sealed_data=key.seal_text(amended))


def close(ledger: Ledger, case: str, by: str, note: str, seen: int | None = None) -> None:
    """Close the case: a person did it by hand, or rejected it; the note says which."""
    with ledger.writing() as connection:
        _, _, key, _ = _open_one(ledger, connection, case, seen)
        now = ledger.clock()
        _settle(connection, case, now, by, "closed")
        if not move(
            connection,
            case,
            State.ESCALATED,
            State.CLOSED,
            at=now,
            actor=by,
            action="closed",
            sealed_reason=key.seal_text(note),
        ):
            raise _too_late(case)


def cancel(ledger: Ledger, case: str, by: str) -> None:
    """Cancel a case that is queued or waits for a person. Raises CasehandError when it is neither."""
    with ledger.writing() as connection:
        now = ledger.clock()
        row = connection.execute(select(Cases.state).where(Cases.id == case).with_for_update()).first()
        if row is None or row.state not in (State.QUEUED, State.ESCALATED):
            raise CasehandError("only a case that is queued or escalated can be cancelled")
        _settle(connection, case, now, by, "cancelled")
        move(connection, case, State(row.state), State.CANCELLED, at=now, actor=by, action="cancelled")


def _digest(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise CasehandError("there are no such reasons: begin with the list of all that waits") from None


def _place(connection: Connection, case: str, order: Sequence[ColumnElement[Any]]) -> Sequence[Any]:
    last = select(*order).where(Escalations.case == case).order_by(Escalations.id.desc()).limit(1)
    place = connection.execute(last).first()
    if place is None:
        raise CasehandError(
            f"case {case} never waited for a person: `casehand escalations` lists those that do"
        )
    return place


def _open_one(
    ledger: Ledger, connection: Connection, case: str, seen: int | None
) -> tuple[EscalationKind, dict[str, object] | None, Key, int]:
    # The case is locked first, as everywhere, so that no two wait for each other.
    case_row = connection.execute(
        select(Cases.key, Cases.attempts).where(Cases.id == case).with_for_update()
    ).first()
    row = connection.execute(
        select(schema.escalations).where(Escalations.case == case, Escalations.settled_at.is_(None))
    ).first()
    if case_row is None or row is None or seen not in (None, row.id):
        raise _too_late(case)
    key = ledger.vault.open_key(case, case_row.key)
    return EscalationKind(row.kind), _json(key, row.sealed_question), key, case_row.attempts


def _check_choice(given: object, choices: object) -> None:
    if isinstance(choices, list) and given not in choices:
        raise CasehandError(f"the answer must be one of: {', '.join(map(str, choices))}")


def _keep_answer(
    connection: Connection, case: str, attempt: int, question: str, sealed: bytes, now: datetime, by: str
) -> None:
    answers = schema.answers
    connection.execute(delete(answers).where(answers.c.case == case, answers.c.question == question))
    connection.execute(
        insert(answers).values(
            case=case,
            question=question,
            attempt=attempt,
            sealed_answer=sealed,
            answered_at=now,
            answered_by=by,
        )
    )


def _requeue(
    connection: Connection,
    case: str,
    now: datetime,
    by: str,
    action: str,
    not_before: datetime | None = None,
    **columns: Any,
) -> None:
    _settle(connection, case, now, by, action)
    if not move(
        connection,
        case,
        State.ESCALATED,
        State.QUEUED,
        at=now,
        actor=by,
        action=action,
        not_before=not_before or now,
        failures=0,
        crashes=0,
        sealed_reason=None,
        **columns,
    ):
        raise _too_late(case)


def _settle(connection: Connection, case: str, now: datetime, by: str, settlement: str) -> None:
    connection.execute(
        update(schema.escalations)
        .where(Escalations.case == case, Escalations.settled_at.is_(None))
        .values(settled_at=now, settled_by=by, settlement=settlement)
    )


def _too_late(case: str) -> CasehandError:
    return CasehandError(f"the case does not wait for that any more: see `casehand case {case}`")


def _escalation(key: Key, row: Row[Any]) -> Escalation:
    return Escalation(
        id=row.id,
        case=row.case,
        reference=row.reference,
        workflow=row.workflow,
        batch=row.batch,
        kind=EscalationKind(row.kind),
        reason=key.open_text(row.sealed_reason),
        question=_json(key, row.sealed_question),
        page=None if row.sealed_page is None else key.open_text(row.sealed_page),
        screenshot=row.screenshot,
        attempt=row.attempt,
        opened_at=row.opened_at,
        alike=row.alike and row.alike.hex(),
    )


def _json(key: Key, sealed: bytes | None) -> dict[str, object] | None:
    if sealed is None:
        return None
    opened: dict[str, object] = json.loads(key.open_text(sealed))
    return opened
