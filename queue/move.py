"""A move of a case from one state to another: the only code that writes the state."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, update

from casehand.queue import audit, schema
from casehand.queue.state import State, check_move

Cases = schema.cases.c

AMENDED = "amended"
"""The action of a case that goes back with other data: what was known of it may not hold for the new."""


def move(
    connection: Connection,
    case: str,
    before: State,
    after: State,
    *,
    at: datetime,
    actor: str,
    action: str,
    attempt: int | None = None,
    only_if: ColumnElement[bool] | None = None,
    parameters: Mapping[str, Any] | None = None,
    reason: str | None = None,
    detail: str | None = None,
    **columns: Any,
) -> bool:
    """Move a case, with its audit entry, if it is still in the state (and attempt) it was read with.

    Returns False, and changes nothing, for who comes too late. `columns` are set along with the state, and
    `parameters` are those that `only_if` needs. `reason` and `detail` go into the audit, and are never case data.
    """
    check_move(before, after)
    statement = update(schema.cases).where(Cases.id == case, Cases.state == before)
    if attempt is not None:
        statement = statement.where(Cases.attempts == attempt)
    if only_if is not None:
        statement = statement.where(only_if)
    changed = connection.execute(statement.values(state=after, changed_at=at, **columns), parameters)
    if changed.rowcount != 1:
        return False
    number = columns.get("attempts", attempt)
    audit.record(connection, at, actor, action, case, before, after, number, reason, detail)
    return True
