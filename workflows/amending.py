"""Amending: other data for a case, as a person types it field by field, checked against the workflow's model."""

import json
from collections.abc import Mapping
from enum import Enum

from pydantic import ValidationError

from casehand.queue.check import as_stored
from casehand.queue.fields import Unfit, reader_for, takes_none
from casehand.queue.reasons import reason_for
from casehand.workflows.forms import WHOLE, WrongFields
from casehand.workflows.workflow import Workflow


def amended(
    workflow: Workflow, data: Mapping[str, object], reference: str, changes: Mapping[str, str]
) -> str:
    """The case's data with the changes, as JSON to be stored; what was emptied is none where that is a value.

    Raises WrongFields that says of every field at once what it must be.
    """
    typed, faults = _typed(workflow, changes)
    by_name = {info.alias or name: name for name, info in workflow.model.model_fields.items()}
    before = {by_name.get(key, key): value for key, value in data.items()}
    try:
        checked = workflow.model.model_validate_json(
            json.dumps({**before, **typed}, default=_as_json), by_alias=False, by_name=True
        )
    except ValidationError as error:
        raise WrongFields(_of_model(workflow, error) | faults) from None
    except Exception as error:  # noqa: BLE001 - an author's validator may raise anything, holding the value
        fault = f"the workflow's own check failed ({type(error).__name__})"
        raise WrongFields(faults or {WHOLE: fault}) from None
    if faults:
        raise WrongFields(faults)
    if _as_json(getattr(checked, workflow.reference)) != reference:
        fault = "the reference of a case cannot be amended: cancel it and hand in another"
        raise WrongFields({workflow.reference: fault})
    return as_stored(checked).decode()


def _typed(workflow: Workflow, changes: Mapping[str, str]) -> tuple[dict[str, object], dict[str, str]]:
    fields = workflow.model.model_fields
    typed: dict[str, object] = {}
    faults: dict[str, str] = {}
    for name, text in changes.items():
        if name not in fields:
            faults[name] = f"is no field of this case: it has {', '.join(fields)}"
        elif not text.strip() and takes_none(fields[name].annotation):
            typed[name] = None
        else:
            try:
                typed[name] = reader_for(fields[name].annotation)(text.strip())
            except Unfit as unfit:
                faults[name] = str(unfit) if text.strip() else "is empty"
    return typed, faults


def _as_json(value: object) -> str:
    return str(value.value if isinstance(value, Enum) else value)


def _of_model(workflow: Workflow, error: ValidationError) -> dict[str, str]:
    """What the model found, by field."""
    faults: dict[str, str] = {}
    for detail in error.errors(include_url=False, include_input=False):
        name = str(detail["loc"][0]) if detail["loc"] else WHOLE
        info = workflow.model.model_fields.get(name)
        faults.setdefault(name, reason_for(detail, info.examples if info else None))
    return faults
