"""Faults: each happens in a real browser at a real system, and after each the change is made once."""

import re
from dataclasses import replace

import pytest
from rents import CHANGE, ORDINARY, row

from casehand import Case, workflow
from casehand.bots.benefits import BenefitsBot
from casehand.queue.commits import CommitState
from casehand.testing import Work, faults
from casehand.workflows.rent_change import RentChange, change_rent

SAID = {
    "session expires": "the session had ended",
    "page is slow": "Timeout 2000ms exceeded",
    "response is lost": "net::ERR_CONNECTION_RESET",
    "browser dies": "browser has been closed",
}
MADE_ALL_THE_SAME = ("page is slow", "response is lost", "browser dies")


@faults.every()
def test_a_rent_is_put_on_once_whatever_happens(work: Work, casehand_fault: faults.Fault) -> None:
    worked = work(change_rent, row(ORDINARY))
    worked.should_be_done().should_have_changed(CHANGE).should_have_taken(2)
    assert SAID[casehand_fault.words] in (worked.attempts[0].reason or "")
    # What the system had done when the answer did not come is found by the next attempt, and not done again.
    if casehand_fault.at == faults.FIRST_CHANGE and casehand_fault.words in MADE_ALL_THE_SAME:
        assert f"made by attempt 1: {CHANGE}" in [step["name"] for step in worked.attempts[1].steps]


@faults.every("find the claim", CHANGE, kinds=[faults.SessionExpires])
def test_a_fault_may_be_at_a_step_or_change_by_its_name(work: Work) -> None:
    work(change_rent, row(ORDINARY)).should_be_done().should_have_taken(2)


@faults.at_each([faults.ResponseLost("no such step")])
def test_a_fault_that_never_strikes_fails_the_test_and_says_where_it_could_have(work: Work) -> None:
    came_to = re.escape(f"(the case came to: {faults.BEGIN}, find the claim, {CHANGE})")
    with pytest.raises(AssertionError, match=f"never struck: response is lost at no such step {came_to}"):
        work(change_rent, row(ORDINARY))


@workflow("test/blind", reference="claim")
def change_blindly(case: Case[RentChange], benefits: BenefitsBot) -> None:
    """Looks for the change where it is not, so that it makes it again."""
    claim = benefits.open_claim(case.data.claim)
    seen = len(claim.rents)
    with case.commit(CHANGE, done=lambda: claim.has_rent(case.data.weekly_rent, case.data.from_date) > seen):
        claim.add_rent(case.data.weekly_rent, case.data.from_date)


@faults.at_each([faults.ResponseLost(faults.FIRST_CHANGE)])
def test_a_change_that_the_ledger_thinks_was_not_made_is_counted_by_the_system(work: Work) -> None:
    counted = work.count_changes
    with pytest.raises(AssertionError, match=r"the system counted \d changes, where 0"):
        work(change_blindly, row(ORDINARY))
    assert counted is not None
    assert counted() > 0


def test_a_change_that_was_made_twice_by_the_ledgers_own_word_fails(work: Work) -> None:
    worked = work(change_rent, row(ORDINARY))
    made = next(one for one in worked.story.commits if one.state is CommitState.MADE)
    twice = replace(worked, story=replace(worked.story, commits=[made, made]))
    fault = faults.ResponseLost(CHANGE).arm(change_rent.only_looks)
    fault.has_struck = True
    fault.check(worked)
    with pytest.raises(AssertionError, match=f"made more than once after: response is lost at {CHANGE}"):
        fault.check(twice)
