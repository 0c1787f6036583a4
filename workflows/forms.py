"""Answers to forms: checked against the JSON schema of the pydantic model that asked for them."""

from typing import Any

from casehand.exceptions import CasehandError


def check_form(schema: Any, value: object) -> object:
    """The value, when it fits the schema. Raises CasehandError that names the first field that does not."""
    # Here, since it is slow to import and most commands check no answer.
    from jsonschema import Draft202012Validator

    faults = sorted(Draft202012Validator(schema).iter_errors(value), key=lambda fault: list(fault.path))
    if faults:
        field = ".".join(map(str, faults[0].path)) or "the form"
        raise CasehandError(f"{field}: {faults[0].message}")
    return value
