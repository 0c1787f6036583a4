"""Personal values, as screens show them."""

from datetime import date
from decimal import Decimal
from typing import Annotated

import pytest
from pydantic import ValidationError

from casehand import CaseData, Personal
from casehand.workflows.data import PersonalMark, personal_values


class Row(CaseData):
    claim: str
    claimant: Annotated[str, Personal]
    born: Annotated[date, PersonalMark]
    income: Annotated[Decimal | None, Personal] = None
    phone: Annotated[str, Personal] = ""


def test_only_fields_marked_as_personal_are_told() -> None:
    row = Row(claim="HB000101", claimant="Ms Test Alder", born=date(1970, 3, 9))
    assert "Ms Test Alder" in personal_values(row)
    assert "HB000101" not in personal_values(row)


def test_dates_and_amounts_are_told_in_the_ways_a_screen_shows_them() -> None:
    row = Row(claim="HB000101", claimant="Ms Test Alder", born=date(1970, 3, 9), income=Decimal("1234.50"))
    shown = personal_values(row)
    assert {"1970-03-09", "09/03/1970", "9 March 1970", "09 Mar 1970"} <= set(shown)
    assert {"1234.50", "1,234.50"} <= set(shown)


def test_what_is_empty_is_not_told() -> None:
    row = Row(claim="HB000101", claimant="Ms Test Alder", born=date(1970, 3, 9))
    assert "" not in personal_values(row)
    assert "None" not in personal_values(row)


def test_data_cannot_be_changed_and_takes_no_unknown_field() -> None:
    row = Row(claim="HB000101", claimant="Ms Test Alder", born=date(1970, 3, 9))
    with pytest.raises(ValidationError):
        row.claim = "HB000102"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Row(claim="HB000101", claimant="Ms Test Alder", born=date(1970, 3, 9), extra=1)  # type: ignore[call-arg]
