"""What the ledger must know of a workflow so that the dispatcher need not import it."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.policy import BatchStop, Late


def make_known(
    ledger: Ledger,
    workflow: str,
    bots: Sequence[str],
    timeout: timedelta,
    minutes_by_hand: float = 0,
    *,
    late: Late = Late.ESCALATE,
    stop: BatchStop | None = None,
) -> None:
    """Write down a workflow's time limit, what a case costs a person, its bots and its rules, where that is new.

    `late` is what becomes of a case whose due date passes before it is begun, `stop` when a batch stops itself.
    """
    values: dict[str, Any] = {
        "timeout_seconds": round(timeout.total_seconds()),
        "minutes_by_hand": float(minutes_by_hand),
        "late": str(late),
        "stop_first": None if stop is None else stop.first,
        "stop_share": None if stop is None else stop.share,
    }
    if _as_known(ledger, workflow) == (values, sorted(bots)):
        return
    # Another that makes it known beside us, on PostgreSQL, has then done so.
    with suppress(IntegrityError), ledger.writing() as connection:
        changed = update(schema.workflows).where(schema.workflows.c.name == workflow)
        if connection.execute(changed.values(values)).rowcount == 0:
            connection.execute(insert(schema.workflows).values(name=workflow, **values))
        connection.execute(delete(schema.workflow_bots).where(schema.workflow_bots.c.workflow == workflow))
        if bots:
            rows = [{"workflow": workflow, "bot": bot} for bot in bots]
            connection.execute(insert(schema.workflow_bots), rows)


def _as_known(ledger: Ledger, workflow: str) -> tuple[dict[str, Any], list[str]] | None:
    known = schema.workflows.c
    with ledger.reading() as connection:
        values = (
            connection.execute(
                select(
                    known.timeout_seconds,
                    known.minutes_by_hand,
                    known.late,
                    known.stop_first,
                    known.stop_share,
                ).where(known.name == workflow)
            )
            .mappings()
            .first()
        )
        bots = connection.execute(
            select(schema.workflow_bots.c.bot).where(schema.workflow_bots.c.workflow == workflow)
        ).scalars()
        return None if values is None else (dict(values), sorted(bots))
