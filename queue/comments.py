"""Comments: what people say of a case to those who look at it after them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from casehand.exceptions import CasehandError
from casehand.queue import audit, schema
from casehand.queue.ledger import Ledger
from casehand.queue.vault import Key
from casehand.queue.waiting import lock_case

LONGEST = 10_000
"""Characters to a comment."""

Comments = schema.comments.c


@dataclass(frozen=True)
class Comment:
    """What somebody said of a case."""

    at: datetime
    by: str
    text: str


def comment(ledger: Ledger, case: str, text: str, by: str) -> None:
    """Say something of a case, whatever its state. Raises CasehandError for an empty or very long text."""
    said = text.strip()
    if not said:
        raise CasehandError("a comment cannot be empty: say something")
    if len(said) > LONGEST:
        raise CasehandError(f"a comment has at most {LONGEST:,} characters: say it in several")
    with ledger.writing() as connection:
        row = lock_case(connection, case)
        sealed = ledger.vault.open_key(case, row.key).seal_text(said)
        now = ledger.clock()
        connection.execute(insert(schema.comments).values(case=case, at=now, by=by, sealed_text=sealed))
        audit.record(connection, now, by, "commented", case)


def of_case(connection: Connection, key: Key, case: str) -> list[Comment]:
    """What was said of a case, oldest first."""
    rows = connection.execute(select(schema.comments).where(Comments.case == case).order_by(Comments.id))
    return [Comment(row.at, row.by, key.open_text(row.sealed_text)) for row in rows]
