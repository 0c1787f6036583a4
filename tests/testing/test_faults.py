"""Faults: each happens in a real browser at a real system, and after each the change is made once."""

from rents import CHANGE, ORDINARY, row

from casehand.testing import Work, faults
from casehand.workflows.rent_change import change_rent


@faults.every()
def test_a_rent_is_put_on_whatever_happens(work: Work) -> None:
    work(change_rent, row(ORDINARY)).should_be_done().should_have_changed(CHANGE)
