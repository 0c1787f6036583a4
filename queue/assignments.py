"""Assignments: who has taken what waits for a person, so that no two look into the same case."""

from datetime import datetime

from sqlalchemy import Connection, update

from casehand.exceptions import CasehandError
from casehand.queue import audit, schema
from casehand.queue.ledger import Ledger
from casehand.queue.part import Part, done, name_of
from casehand.queue.waiting import find_open, lock_case

LONGEST_NAME = 200

Escalations = schema.escalations.c


def take(ledger: Ledger, case: str, by: str, seen: int | None = None) -> None:
    """Take what waits for a person; to take it twice does no harm.

    Raises Taken when somebody else has it, and TooLate when it waits no more.
    """
    with ledger.writing() as connection:
        lock_case(connection, case)
        row = find_open(connection, case, by, seen, over_others=False)
        if row.assigned_to is None:
            now = ledger.clock()
            _assign(connection, row.id, by, now)
            audit.record(connection, now, by, "taken", case)


def hand_on(
    ledger: Ledger,
    case: str,
    to: str,
    by: str,
    seen: int | None = None,
    *,
    over_others: bool = False,
    part: Part | None = None,
) -> None:
    """Give what waits for a person to somebody else, whether or not anybody had taken it.

    Raises Taken when somebody else has it, unless `over_others`, and TooLate when it waits no more.
    """
    receiver = checked_receiver(to)
    with ledger.writing() as connection:
        lock_case(connection, case)
        row = find_open(connection, case, by, seen, over_others)
        now = ledger.clock()
        _assign(connection, row.id, receiver, now)
        detail = "; ".join(filter(None, (f"to {receiver}", name_of(part))))
        audit.record(connection, now, by, "handed on", case, detail=detail)
        done(part, connection)


def give_back(
    ledger: Ledger, case: str, by: str, seen: int | None = None, *, over_others: bool = False
) -> None:
    """Let go of what had been taken, so that anybody may take it.

    Raises Taken when somebody else has it, unless `over_others`, and TooLate when it waits no more.
    """
    with ledger.writing() as connection:
        lock_case(connection, case)
        row = find_open(connection, case, by, seen, over_others)
        if row.assigned_to is not None:
            _assign(connection, row.id, None, None)
            audit.record(
                connection, ledger.clock(), by, "given back", case, detail=f"was with {row.assigned_to}"
            )


def checked_receiver(to: str) -> str:
    """A name that the audit can hold. Raises CasehandError."""
    receiver = to.strip()
    if not receiver or len(receiver) > LONGEST_NAME or not receiver.isprintable():
        raise CasehandError("say to whom it is handed on, by the name they sign in with")
    return receiver


def _assign(connection: Connection, escalation: int, to: str | None, at: datetime | None) -> None:
    # The case is locked: nobody takes or settles it between the look and this.
    connection.execute(
        update(schema.escalations)
        .where(Escalations.id == escalation, Escalations.settled_at.is_(None))
        .values(assigned_to=to, assigned_at=at)
    )
