"""Waiting: a case and what it waits for, locked while a person's word on it is written down."""

from typing import Any

from sqlalchemy import Connection, Row, select

from casehand.exceptions import CasehandError
from casehand.queue import schema
from casehand.queue.too_late import Taken, who_was_quicker

Cases = schema.cases.c
Escalations = schema.escalations.c


class NoSuchCase(CasehandError):
    """There is no such case, or none that may be seen."""

    def __init__(self, which: str) -> None:
        super().__init__(f"there is no case {which}: `casehand cases` lists those there are")


def lock_case(connection: Connection, case: str) -> Row[Any]:
    """The case, locked first, as everywhere, so that no two wait for each other. Raises NoSuchCase."""
    row = connection.execute(select(schema.cases).where(Cases.id == case).with_for_update()).first()
    if row is None:
        raise NoSuchCase(case)
    return row


def look_for_open(connection: Connection, case: str) -> Row[Any] | None:
    """The escalation that the case waits for."""
    query = select(schema.escalations).where(Escalations.case == case, Escalations.settled_at.is_(None))
    return connection.execute(query).first()


def find_open(connection: Connection, case: str, by: str, seen: int | None, over_others: bool) -> Row[Any]:
    """The escalation that the case waits for, to be settled or handed on by somebody.

    `seen` is the one that he was shown, where that is known. Raises TooLate when the case waits no more, or
    for something else, and Taken when somebody else has taken it, unless `over_others`.
    """
    row = look_for_open(connection, case)
    if row is None or seen not in (None, row.id):
        raise who_was_quicker(connection, case, seen)
    if not over_others:
        check_hand(row, by)
    return row


def check_hand(row: Row[Any], by: str) -> None:
    """Raise Taken when somebody else has taken the escalation."""
    if row.assigned_to not in (None, by):
        raise Taken(row.case, row.assigned_to, row.assigned_at)
