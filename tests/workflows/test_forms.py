"""Forms: what a page draws, and all that is wrong with what was typed."""

from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from casehand.workflows.forms import (
    WHOLE,
    FieldType,
    FormField,
    WrongFields,
    check_form,
    check_typed,
    fields_of,
)


class Tenure(Enum):
    COUNCIL = "council"
    PRIVATE = "private"


class Address(BaseModel):
    line: str


class Decision(BaseModel):
    pay: Decimal = Field(
        gt=0, max_digits=7, decimal_places=2, title="Weekly award", description="Before tax."
    )
    because: str = Field(min_length=3, max_length=20)
    begins: date
    weeks: int = Field(ge=1, le=52)
    urgent: bool = False
    tenure: Tenure = Tenure.COUNCIL
    letter: Literal["first", "second"]
    floor: Literal[0, 1, 2] = 0
    arrears: Decimal | None = None
    address: Address | None = None
    others: list[str] = []


FORM = Decision.model_json_schema()
RIGHT = {"pay": "12.50", "because": "letter", "begins": "06/04/2026", "weeks": "4", "letter": "first"}


def test_a_page_is_told_what_to_draw() -> None:
    fields = {field.name: field for field in fields_of(FORM)}

    assert list(fields) == list(Decision.model_fields)
    assert fields["pay"] == FormField(
        "pay", "Weekly award", "Before tax.", FieldType.NUMBER, (), required=True, default=None, longest=None
    )
    assert {name: str(field.type) for name, field in fields.items()} == {
        "pay": "number",
        "because": "text",
        "begins": "date",
        "weeks": "whole number",
        "urgent": "yes or no",
        "tenure": "choice",
        "letter": "choice",
        "floor": "choice",
        "arrears": "number",
        "address": "json",
        "others": "json",
    }
    assert fields["tenure"].choices == ("council", "private")
    assert fields["floor"].choices == ("0", "1", "2")
    assert (fields["urgent"].default, fields["tenure"].default) == ("no", "council")
    assert [field.name for field in fields.values() if field.required] == list(RIGHT)
    assert fields["because"].longest == 20


def test_what_was_typed_is_read_as_its_field_has_it() -> None:
    typed = RIGHT | {
        "urgent": "yes",
        "floor": "2",
        "arrears": "",
        "others": '["Ms Invented"]',
        "tenure": "private",
    }

    given = check_typed(FORM, typed)

    decided = Decision.model_validate(given)
    assert (decided.pay, decided.begins, decided.weeks) == (Decimal("12.50"), date(2026, 4, 6), 4)
    assert (decided.urgent, decided.floor, decided.arrears, decided.others) == (
        True,
        2,
        None,
        ["Ms Invented"],
    )
    assert decided.tenure is Tenure.PRIVATE


@pytest.mark.parametrize(
    ("typed", "fault"),
    [
        ({"pay": "-1"}, "must be more than 0"),
        ({"pay": "£12"}, "must be a plain number such as 123.45, without a currency sign"),
        ({"pay": ""}, "is empty"),
        ({"because": "no"}, "must have at least 3 characters"),
        ({"because": "x" * 21}, "must have no more than 20 characters"),
        ({"begins": "31/02/2026"}, "must be a real date such as 2026-04-06 or 06/04/2026 (day first)"),
        ({"weeks": "53"}, "must be no more than 52"),
        ({"weeks": "4.5"}, "must be a whole number such as 12"),
        ({"urgent": "perhaps"}, "must be yes or no"),
        ({"tenure": "tent"}, "must be one of council, private"),
        ({"floor": "9"}, "must be one of 0, 1, 2"),
        ({"others": "Ms Invented"}, 'must be JSON, such as ["one", "two"]'),
        ({"address": '{"street": "x"}'}, "lacks line"),
        ({"colour": "red"}, "is no field of this form"),
    ],
)
def test_a_field_that_cannot_be_taken_so_is_told_what_it_must_be(typed: dict[str, str], fault: str) -> None:
    with pytest.raises(WrongFields) as wrong:
        check_typed(FORM, RIGHT | typed)

    assert list(wrong.value.faults.values()) == [fault]


def test_everything_that_is_wrong_is_told_at_once_and_nothing_of_what_was_typed() -> None:
    secret = "QQ 12 34 56 C"
    with pytest.raises(WrongFields) as wrong:
        check_typed(FORM, dict.fromkeys(["pay", "begins", "weeks", "urgent", "letter", "others"], secret))

    assert list(wrong.value.faults) == ["pay", "begins", "weeks", "urgent", "letter", "others", "because"]
    assert secret not in str(wrong.value)


@pytest.mark.parametrize(
    ("value", "faults"),
    [
        (5, {WHOLE: 'must be several fields, in JSON such as {"field": "value"}'}),
        (
            {"pay": True, "because": 5, "begins": "2026-13-01", "weeks": "4", "letter": "third"},
            {
                "pay": "must be a plain number such as 123.45",
                "because": "must be text",
                "begins": "must be a real date such as 2026-04-06",
                "weeks": "must be a whole number such as 12",
                "letter": "must be one of first, second",
            },
        ),
    ],
)
def test_json_is_told_of_every_field_too(value: Any, faults: dict[str, str]) -> None:
    with pytest.raises(WrongFields) as wrong:
        check_form(FORM, value)

    assert wrong.value.faults == faults
