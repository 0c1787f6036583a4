"""Actions: what somebody may do with a case as it is now, so that a page shows these and no others."""

from enum import StrEnum

from sqlalchemy import select

from casehand.console.person import Person
from casehand.console.rights import Right, may
from casehand.queue import commits, schema
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import EscalationKind
from casehand.queue.state import OPEN, State
from casehand.queue.waiting import look_for_open

Cases = schema.cases.c


class Action(StrEnum):
    """Something that is done with one case."""

    TAKE = "take"
    GIVE_BACK = "give back"
    HAND_ON = "hand on"
    ANSWER = "answer"
    RETURN = "return"
    AMEND = "amend"
    CLOSE = "close"
    CANCEL = "cancel"
    COMMENT = "comment"
    SET_DUE = "set due"
    SET_PRIORITY = "set priority"


RIGHT_FOR = {
    Action.TAKE: Right.SETTLE,
    Action.GIVE_BACK: Right.SETTLE,
    Action.HAND_ON: Right.SETTLE,
    Action.ANSWER: Right.SETTLE,
    Action.RETURN: Right.SETTLE,
    Action.AMEND: Right.SETTLE,
    Action.CLOSE: Right.SETTLE,
    Action.CANCEL: Right.SETTLE,
    Action.COMMENT: Right.SETTLE,
    Action.SET_DUE: Right.SCHEDULE,
    Action.SET_PRIORITY: Right.SCHEDULE,
}
"""The right that each needs."""

_OF_ANOTHERS = frozenset({Action.COMMENT, Action.SET_DUE, Action.SET_PRIORITY})
"""What may be done while somebody else has taken the case."""


def actions_for(ledger: Ledger, person: Person, case: str) -> tuple[Action, ...]:
    """What somebody may do with a case now, by its state, what it waits for, who has it and his rights."""
    with ledger.reading() as connection:
        row = connection.execute(select(Cases.state, Cases.workflow).where(Cases.id == case)).first()
        if row is None:
            return ()
        state, waits = State(row.state), look_for_open(connection, case)
        fitting = {Action.COMMENT}
        if state in OPEN:
            fitting |= {Action.SET_DUE, Action.SET_PRIORITY}
        if state is State.QUEUED:
            fitting.add(Action.CANCEL)
        if waits is not None:
            in_doubt = bool(commits.unresolved(connection, case))
            asks = waits.sealed_question is not None or waits.kind == EscalationKind.IN_DOUBT
            fitting |= _of_waiting(person, waits.assigned_to, asks, in_doubt)
    if waits is not None and waits.assigned_to not in (None, person.id):
        fitting = fitting if may(person, Right.SUPERVISE, row.workflow) else fitting & _OF_ANOTHERS
    return tuple(one for one in Action if one in fitting and may(person, RIGHT_FOR[one], row.workflow))


def _of_waiting(person: Person, assigned_to: str | None, asks: bool, in_doubt: bool) -> set[Action]:
    fitting = {Action.HAND_ON, Action.RETURN, Action.CLOSE, Action.CANCEL}
    fitting.add(Action.TAKE if assigned_to is None else Action.GIVE_BACK)
    if asks:
        fitting.add(Action.ANSWER)
    if not in_doubt:
        fitting.add(Action.AMEND)
    return fitting
