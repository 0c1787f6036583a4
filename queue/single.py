"""A single case: taken in by itself, without a file."""

from datetime import datetime
from enum import Enum

from pydantic import BaseModel
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from casehand.exceptions import CasehandError
from casehand.queue import audit, schema
from casehand.queue.check import as_stored
from casehand.queue.intake import open_references
from casehand.queue.ledger import Ledger
from casehand.queue.state import State


def take_in(
    ledger: Ledger,
    *,
    workflow: str,
    reference: str,
    data: BaseModel,
    by: str,
    due: datetime | None = None,
) -> str:
    """Take in one case that belongs to no batch; returns its id. `reference` is the model's field that names it.

    Raises CasehandError when a case with its reference is open already.
    """
    case, now = ledger.new_id(), ledger.clock()
    key, wrapped = ledger.vault.new_key(case)
    named = reference_of(data, reference)
    values = {
        "id": case,
        "reference": named,
        "workflow": workflow,
        "state": State.QUEUED,
        "priority": 0,
        "not_before": now,
        "due": due,
        "attempts": 0,
        "failures": 0,
        "crashes": 0,
        "key": wrapped,
        "sealed_data": key.seal(as_stored(data)),
        "handed_in_at": now,
        "changed_at": now,
    }
    try:
        with ledger.writing() as connection:
            connection.execute(insert(schema.cases).values(values))
            audit.record(connection, now, by, "taken in", case, after=State.QUEUED)
    except IntegrityError:
        raise _is_open(ledger, workflow, named) from None
    return case


def reference_of(data: BaseModel, field: str) -> str:
    """What people call the case."""
    value = getattr(data, field)
    return str(value.value if isinstance(value, Enum) else value)


def _is_open(ledger: Ledger, workflow: str, reference: str) -> CasehandError:
    with ledger.reading() as connection:
        where = open_references(connection, workflow, [reference]).get(reference, "already there")
    return CasehandError(f"{reference} is {where}: see `casehand case {reference}`")
