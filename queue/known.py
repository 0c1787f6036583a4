"""What the ledger must know of a workflow so that the dispatcher need not import it."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from casehand.queue import schema
from casehand.queue.ledger import Ledger


def make_known(ledger: Ledger, workflow: str, bots: Sequence[str], timeout: timedelta) -> None:
    """Write down a workflow's time limit and the bots it needs, where that is new."""
    seconds = round(timeout.total_seconds())
    if _as_known(ledger, workflow) == (seconds, sorted(bots)):
        return
    # Another that makes it known beside us, on PostgreSQL, has then done so.
    with suppress(IntegrityError), ledger.writing() as connection:
        changed = update(schema.workflows).where(schema.workflows.c.name == workflow)
        if connection.execute(changed.values(timeout_seconds=seconds)).rowcount == 0:
            connection.execute(insert(schema.workflows).values(name=workflow, timeout_seconds=seconds))
        connection.execute(delete(schema.workflow_bots).where(schema.workflow_bots.c.workflow == workflow))
        if bots:
            rows = [{"workflow": workflow, "bot": bot} for bot in bots]
            connection.execute(insert(schema.workflow_bots), rows)


def _as_known(ledger: Ledger, workflow: str) -> tuple[int, list[str]] | None:
    with ledger.reading() as connection:
        seconds = connection.execute(
            select(schema.workflows.c.timeout_seconds).where(schema.workflows.c.name == workflow)
        ).scalar()
        bots = connection.execute(
            select(schema.workflow_bots.c.bot).where(schema.workflow_bots.c.workflow == workflow)
        ).scalars()
        return None if seconds is None else (seconds, sorted(bots))
