"""A single case is taken in as one of a batch is: with its reference once at a time, its key and its audit."""

from enum import Enum

import pytest
from pydantic import BaseModel

from casehand.exceptions import CasehandError
from casehand.queue import escalations
from casehand.queue.cases import find_case, tell
from casehand.queue.ledger import Ledger
from casehand.queue.single import take_in
from casehand.queue.state import State


class Ward(Enum):
    NORTH = "north"


class Row(BaseModel):
    claim: str
    ward: Ward = Ward.NORTH


def test_a_single_case_waits_to_be_worked_and_belongs_to_no_batch(ledger: Ledger) -> None:
    case = take_in(ledger, workflow="desk/one", reference="claim", data=Row(claim="HB1"), by="a person")
    story = tell(ledger, case)
    assert (story.line.reference, story.line.state, story.line.batch) == ("HB1", State.QUEUED, None)
    assert story.data == {"claim": "HB1", "ward": "north"}
    assert [(entry["actor"], entry["action"]) for entry in story.audit] == [("a person", "taken in")]


def test_what_is_open_is_not_taken_in_again(ledger: Ledger) -> None:
    row = Row(claim="HB1")
    first = take_in(ledger, workflow="desk/one", reference="claim", data=row, by="a person")
    with pytest.raises(CasehandError, match="HB1 is already queued: see `casehand case HB1`"):
        take_in(ledger, workflow="desk/one", reference="claim", data=row, by="a person")
    take_in(ledger, workflow="desk/two", reference="claim", data=row, by="a person")
    escalations.cancel(ledger, first, "a person")
    again = take_in(ledger, workflow="desk/one", reference="claim", data=row, by="a person")
    assert find_case(ledger, again).state is State.QUEUED


def test_a_reference_may_be_one_of_a_list(ledger: Ledger) -> None:
    case = take_in(ledger, workflow="desk/one", reference="ward", data=Row(claim="HB1"), by="a person")
    assert find_case(ledger, case).reference == "north"
