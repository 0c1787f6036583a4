"""Too late: what a person is told when somebody else was quicker."""

from datetime import datetime

from sqlalchemy import Connection, select

from casehand.exceptions import CasehandError
from casehand.queue import schema
from casehand.queue.calendar import LONDON
from casehand.queue.state import State

Escalations = schema.escalations.c


class TooLate(CasehandError):
    """The case does not wait for that any more; says who settled it, when and how, where somebody did."""

    def __init__(
        self,
        case: str,
        settled_by: str | None = None,
        settled_at: datetime | None = None,
        settlement: str | None = None,
    ) -> None:
        self.case = case
        self.settled_by = settled_by
        self.settled_at = settled_at
        self.settlement = settlement  #: such as "answered"
        super().__init__(f"the case does not wait for that any more: {self._what_became()}")

    def _what_became(self) -> str:
        if self.settled_by is None or self.settled_at is None:
            return f"see `casehand case {self.case}`"
        return f"{self.settled_by} settled it on {in_words(self.settled_at)} ({self.settlement})"


class Taken(CasehandError):
    """Somebody else has taken the case."""

    def __init__(self, case: str, by: str, at: datetime) -> None:
        self.case = case
        self.taken_by = by
        self.taken_at = at
        super().__init__(
            f"{by} has had this case since {in_words(at)}: ask for it to be handed on, or ask a supervisor"
        )


def who_was_quicker(connection: Connection, case: str, seen: int | None = None) -> TooLate:
    """Find who settled what a person was shown, or, where that is not known, what the case waited for last."""
    settled = (
        select(Escalations.settled_by, Escalations.settled_at, Escalations.settlement)
        .where(Escalations.case == case, Escalations.settled_at.is_not(None))
        .order_by(Escalations.id.desc())
        .limit(1)
    )
    if seen is not None:
        settled = settled.where(Escalations.id == seen)
    return TooLate(case, *(connection.execute(settled).first() or ()))


def who_ended_it(connection: Connection, case: str) -> TooLate | None:
    """Find who closed or cancelled the case; None when nobody did."""
    entries = schema.audit.c
    ended = (
        select(entries.actor, entries.at, entries.action)
        .where(entries.subject == case, entries.after.in_([State.CLOSED, State.CANCELLED]))
        .order_by(entries.id.desc())
        .limit(1)
    )
    row = connection.execute(ended).first()
    return None if row is None else TooLate(case, *row)


def in_words(at: datetime) -> str:
    """A time as a person reads it, by the clocks there."""
    local = at.astimezone(LONDON)
    return f"{local.day} {local:%B %Y at %H:%M:%S}"
