"""Dating: by when the case of a row must be done."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from casehand.queue.check import Accepted, Kind, Rejection
from casehand.queue.urgency import checked_due

DueOf = Callable[[Any], datetime | None]
"""Works out from a case's data by when it must be done."""


def no_date(data: object) -> None:
    """The rule of a workflow that has none."""


def due_date(accepted: Accepted, due_of: DueOf) -> datetime | Rejection | None:
    """By when it must be done, None for no date; a rejection where the rule fails."""
    try:
        return checked_due(due_of(accepted.data))
    except Exception as error:  # noqa: BLE001 — the workflow's own code, which must cost no other row
        reason = f"the workflow cannot work out by when it is due ({type(error).__name__})"
        return Rejection(accepted.line, Kind.REJECTED, None, reason, accepted.reference, accepted.row)
