"""What a case holds: a pydantic model, in which fields about a person are marked."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict


class PersonalMark:
    """Marks a field as personal: masked in screenshots."""


Personal = PersonalMark()
"""`name: Annotated[str, Personal]` says that the field is about a person."""


class CaseData(BaseModel):
    """One row of what is handed in. Subclass it with a field for each column."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def personal_values(data: BaseModel) -> list[str]:
    """The values of the fields marked as personal, in the ways in which a screen may show them."""
    return [
        shown
        for name, field in type(data).model_fields.items()
        if any(isinstance(mark, PersonalMark) or mark is PersonalMark for mark in field.metadata)
        for shown in _as_shown(getattr(data, name))
    ]


def _as_shown(value: Any) -> Iterator[str]:
    if value is None or value == "":
        return
    yield str(value)
    if isinstance(value, date):
        yield from (value.strftime(form) for form in ("%d/%m/%Y", "%d %B %Y", "%d %b %Y"))
        yield f"{value.day} {value:%B %Y}"
    elif isinstance(value, Decimal):
        yield f"{value:,.2f}"
