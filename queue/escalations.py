"""Escalations: the cases in front of a person, and the ways a person settles one."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, insert, select, update

from casehand.exceptions import CasehandError
from casehand.queue import commits, schema
from casehand.queue.commits import CommitState
from casehand.queue.ledger import Ledger
from casehand.queue.lists import branches, in_order
from casehand.queue.move import AMENDED, move
from casehand.queue.outcome import EscalationKind
from casehand.queue.overdue import PastDue, let_be_late
from casehand.queue.part import Part, done, name_of
from casehand.queue.state import State
from casehand.queue.too_late import who_ended_it, who_was_quicker
from casehand.queue.vault import Key
from casehand.queue.waiting import check_hand, find_open, lock_case, look_for_open

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
    assigned_to: str | None  #: who has taken it
    assigned_at: datetime | None
    #: when it must be settled; when the case must be done, unless somebody said otherwise
    due: datetime | None
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
    assigned_to: str | None = None
    unassigned: bool = False  #: only what nobody has taken
    alike: str | None = None  #: only with such a reason, as `Escalation.alike` has it

    def conditions(
        self,
        kind: ColumnElement[Any] = Escalations.kind,
        alike: ColumnElement[Any] = Escalations.alike,
    ) -> list[ColumnElement[bool]]:
        """All but the workflow, which says what part of an index is read; `kind` and `alike` are where to look."""
        given = (
            (Cases.batch, self.batch),
            (kind, self.kind),
            (Escalations.assigned_to, self.assigned_to),
            (alike, None if self.alike is None else _digest(self.alike)),
        )
        conditions: list[ColumnElement[bool]] = [
            column == value for column, value in given if value is not None
        ]
        if self.unassigned:
            conditions.append(Escalations.assigned_to.is_(None))
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
    *,
    workflows: Collection[str] | None = None,
    assigned_to: str | None = None,
    unassigned: bool = False,
) -> list[Escalation]:
    """What waits for a person, oldest first; only behind the case with the id `after`, settled or not.

    `workflows` are those that may be seen, None for all; `assigned_to` and `unassigned` narrow it to what
    one person has taken, or nobody.
    """
    which = EscalationFilter(batch, workflow, workflows, assigned_to=assigned_to, unassigned=unassigned)
    return list_waiting(ledger, which, limit=limit, after=after)


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
    query = _query().where(*which.conditions())
    with ledger.reading() as connection:
        behind = None if after is None else _place(connection, after, order)
        parts = branches((Escalations.workflow, which.seen))
        rows = connection.execute(in_order(query, parts, order, backwards, behind, limit)).all()
    return [_escalation(ledger.vault.open_key(row.case, row.key), row) for row in rows]


def similar(
    ledger: Ledger, escalation: int, workflows: Collection[str] | None = None, limit: int = 20
) -> list[Escalation]:
    """What else waits in the same workflow for the same reason, oldest first; only in `workflows`, if given."""
    with ledger.reading() as connection:
        this = connection.execute(
            select(Escalations.case, Escalations.alike, Escalations.workflow).where(
                Escalations.id == escalation
            )
        ).first()
        if this is None or not this.alike or (workflows is not None and this.workflow not in workflows):
            return []
        others = (
            _query()
            .where(
                Escalations.alike == this.alike,
                Escalations.workflow == this.workflow,
                Escalations.case != this.case,
            )
            .order_by(*ORDERS[EscalationSort.OPENED])
            .limit(limit)
        )
        rows = connection.execute(others).all()
    return [_escalation(ledger.vault.open_key(row.case, row.key), row) for row in rows]


def last_answer(ledger: Ledger, case: str, question: str) -> object | None:
    """What was answered to a question (its key) that is asked again, since it broke a rule of the workflow's own."""
    answers = schema.answers.c
    query = select(answers.sealed_answer).where(answers.case == case, answers.question == question)
    with ledger.reading() as connection:
        sealed = connection.execute(query).scalar()
    given: object | None = None if sealed is None else json.loads(ledger.key_of(case).open_text(sealed))
    return given


def answer(
    ledger: Ledger,
    case: str,
    given: object,
    by: str,
    seen: int | None = None,
    *,
    over_others: bool = False,
    may_be_late: bool = False,
    part: Part | None = None,
) -> None:
    """Answer what the case asks, and queue it again.

    `given` is one of the choices, or the JSON value of a form the caller has checked. A case in doubt takes
    WAS_DONE or WAS_NOT_DONE. `seen` is the id of the escalation that the person was shown, where that is
    known: an answer is never taken for that of a later question. Raises CasehandError when the case asks
    nothing or the answer is none of the choices, TooLate when it asks something else by now, Taken when
    another has taken it, unless `over_others`, and PastDue when its due date has passed, unless `may_be_late`.
    """
    with _settling(ledger, case, by, seen, over_others, part) as one:
        one.check_due(may_be_late)
        not_before = one.now
        if one.kind is EscalationKind.IN_DOUBT:
            _check_choice(given, [WAS_DONE, WAS_NOT_DONE])
            if given == WAS_NOT_DONE:
                # This no may be early too: where `done` can tell, it looks when nothing is on its way any more.
                not_before = max([one.now, *commits.settle_at(one.connection, case)])
            state = CommitState.MADE if given == WAS_DONE else CommitState.NOT_MADE
            commits.resolve_all(one.connection, one.now, case, state, by)
        elif one.question is None:
            raise CasehandError("this case asks nothing: use `return`, `close` or `cancel`")
        else:
            _check_choice(given, one.question.get("choices"))
            one.keep_answer(str(one.question["key"]), json.dumps(given))
        one.note_answer(json.dumps(given))
        one.requeue("answered", not_before=not_before)


def send_back(
    ledger: Ledger,
    case: str,
    by: str,
    amended: str | None = None,
    seen: int | None = None,
    *,
    over_others: bool = False,
    may_be_late: bool = False,
    part: Part | None = None,
) -> None:
    """Queue the case again, perhaps with amended data (JSON that the caller has checked against the model).

    What was answered before counts no more for amended data. Raises TooLate when the case does not wait for
    a person, Taken when another has taken it (unless `over_others`), PastDue when its due date has passed
    (unless `may_be_late`), and CasehandError when it would be amended while it is not known whether it has
    made a change already.
    """
    with _settling(ledger, case, by, seen, over_others, part) as one:
        one.check_due(may_be_late)
        if amended is None:
            one.requeue("returned")
            return
        if commits.unresolved(one.connection, case):
            # Nothing could tell afterwards whether a change with the old data was made beside the new one.
            raise CasehandError(
                "whether a change was made is not known: answer that, or return the case as it is, before amending it"
            )
        one.requeue(AMENDED, attempt=one.attempt, sealed_data=one.key.seal_text(amended))


def close(
    ledger: Ledger,
    case: str,
    by: str,
    note: str,
    seen: int | None = None,
    *,
    over_others: bool = False,
    part: Part | None = None,
) -> None:
    """Close the case: a person did it by hand, or rejected it; the note says which."""
    with _settling(ledger, case, by, seen, over_others, part) as one:
        one.move(State.CLOSED, "closed", sealed_reason=one.key.seal_text(note))


def cancel(
    ledger: Ledger,
    case: str,
    by: str,
    reason: str | None = None,
    seen: int | None = None,
    *,
    over_others: bool = False,
    part: Part | None = None,
) -> None:
    """Cancel a case that is queued or waits for a person; the reason is kept with the case.

    Raises CasehandError when it is neither, TooLate when somebody has ended it, and Taken when another has
    taken it, unless `over_others`.
    """
    with ledger.writing() as connection:
        query = select(Cases.state, Cases.key).where(Cases.id == case)
        row = connection.execute(query.with_for_update()).first()
        if row is None or row.state not in (State.QUEUED, State.ESCALATED):
            raise who_ended_it(connection, case) or CasehandError(
                "only a case that is queued or escalated can be cancelled"
            )
        waits = look_for_open(connection, case)
        if seen is not None and (waits is None or waits.id != seen):
            raise who_was_quicker(connection, case, seen)
        if waits is not None and not over_others:
            check_hand(waits, by)
        columns: dict[str, Any] = {}
        if reason is not None:
            columns["sealed_reason"] = ledger.vault.open_key(case, row.key).seal_text(reason)
        now = ledger.clock()
        _mark_settled(connection, case, now, by, "cancelled")
        move(
            connection,
            case,
            State(row.state),
            State.CANCELLED,
            at=now,
            actor=by,
            action="cancelled",
            detail=name_of(part),
            **columns,
        )
        done(part, connection)


@dataclass(frozen=True)
class _Settling:
    """What the ways of settling a case have in common."""

    connection: Connection
    now: datetime
    case: str
    by: str
    kind: EscalationKind
    question: dict[str, object] | None
    key: Key
    attempt: int
    due: datetime | None
    was_let: bool  #: worked though its due date passes
    part: Part | None

    def check_due(self, may_be_late: bool) -> None:
        """Let it be worked late from now on, if somebody says so. Raises PastDue when nobody does."""
        if self.due is None or self.due > self.now or self.was_let:
            return
        if not may_be_late:
            raise PastDue(self.due)
        let_be_late(self.connection, self.case, self.now, self.by)

    def requeue(self, action: str, not_before: datetime | None = None, **columns: Any) -> None:
        begin = not_before or self.now
        again: dict[str, Any] = {"failures": 0, "crashes": 0, "sealed_reason": None}
        self.move(State.QUEUED, action, not_before=begin, **again, **columns)

    def move(self, after: State, action: str, **columns: Any) -> None:
        _mark_settled(self.connection, self.case, self.now, self.by, action)
        moved = move(
            self.connection,
            self.case,
            State.ESCALATED,
            after,
            at=self.now,
            actor=self.by,
            action=action,
            detail=name_of(self.part),
            **columns,
        )
        if not moved:
            raise who_was_quicker(self.connection, self.case)

    def note_answer(self, answer: str) -> None:
        """Beside who gave it and when: asked again, a person may say something else."""
        self.connection.execute(
            update(schema.escalations)
            .where(Escalations.case == self.case, Escalations.settled_at.is_(None))
            .values(sealed_answer=self.key.seal_text(answer))
        )

    def keep_answer(self, question: str, answer: str) -> None:
        """For the workflow, which goes by the last answer to each of its questions."""
        answers = schema.answers
        same = (answers.c.case == self.case, answers.c.question == question)
        self.connection.execute(delete(answers).where(*same))
        self.connection.execute(
            insert(answers).values(
                case=self.case,
                question=question,
                attempt=self.attempt,
                sealed_answer=self.key.seal_text(answer),
                answered_at=self.now,
                answered_by=self.by,
            )
        )


@contextmanager
def _settling(
    ledger: Ledger, case: str, by: str, seen: int | None, over_others: bool, part: Part | None
) -> Iterator[_Settling]:
    with ledger.writing() as connection:
        case_row = lock_case(connection, case)
        row = find_open(connection, case, by, seen, over_others)
        key = ledger.vault.open_key(case, case_row.key)
        question = _json(key, row.sealed_question)
        kind = EscalationKind(row.kind)
        yield _Settling(
            connection=connection,
            now=ledger.clock(),
            case=case,
            by=by,
            kind=kind,
            question=question,
            key=key,
            attempt=case_row.attempts,
            due=case_row.due,
            was_let=case_row.may_be_late,
            part=part,
        )
        done(part, connection)


def _query() -> Select[Any]:
    columns = (Cases.reference, Cases.batch, Cases.key, Cases.due.label("case_due"))
    return (
        select(schema.escalations, *columns)
        .join(schema.cases, Cases.id == Escalations.case)
        .where(Escalations.settled_at.is_(None))
    )


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


def _check_choice(given: object, choices: object) -> None:
    if isinstance(choices, list) and given not in choices:
        raise CasehandError(f"the answer must be one of: {', '.join(map(str, choices))}")


def _mark_settled(connection: Connection, case: str, now: datetime, by: str, settlement: str) -> None:
    connection.execute(
        update(schema.escalations)
        .where(Escalations.case == case, Escalations.settled_at.is_(None))
        .values(settled_at=now, settled_by=by, settlement=settlement)
    )


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
        assigned_to=row.assigned_to,
        assigned_at=row.assigned_at,
        due=row.due or row.case_due,
        alike=row.alike and row.alike.hex(),
    )


def _json(key: Key, sealed: bytes | None) -> dict[str, object] | None:
    if sealed is None:
        return None
    opened: dict[str, object] = json.loads(key.open_text(sealed))
    return opened
