"""The audit: who did what to which case or bot, and when. Never what the case holds."""

from datetime import datetime

from sqlalchemy import Connection, insert

from casehand.queue import schema
from casehand.queue.state import State


def record(
    connection: Connection,
    at: datetime,
    actor: str,
    action: str,
    subject: str,
    before: State | None = None,
    after: State | None = None,
    attempt: int | None = None,
    *,
    reason: str | None = None,
    detail: str | None = None,
) -> None:
    """Write one entry, in the transaction of what it tells of; neither `reason` nor `detail` tells of a case."""
    connection.execute(
        insert(schema.audit).values(
            at=at,
            actor=actor,
            action=action,
            subject=subject,
            before=before,
            after=after,
            attempt=attempt,
            reason=reason,
            detail=detail,
        )
    )
