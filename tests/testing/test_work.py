"""The plugin: one case through the real ledger, commit points, bot and browser, told in sentences."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from pydantic import BaseModel
from rents import CHANGE, ENDED, ORDINARY, QUESTION, THERE_ALREADY, row

from casehand import Case, CaseData, SystemException, workflow
from casehand.fixtures.practice.mischief import Kind
from casehand.fixtures.practice.server import PracticeServer
from casehand.queue.state import State
from casehand.testing import FrozenClock, Work
from casehand.workflows.rent_change import RentChange, change_rent

ASKED = "The rent rises by 14%. Put it through?"


def test_a_case_is_worked_to_its_end_in_a_real_system(work: Work, practice: PracticeServer) -> None:
    worked = work(change_rent, row(ORDINARY))
    worked.should_be_done(weekly_award=Decimal("125.23")).should_have_changed(CHANGE).should_have_taken(1)
    assert worked.steps == ("find the claim",)
    assert worked.found == ()
    assert [entry.reference for entry in practice.journal()] == [ORDINARY]


def test_what_is_given_may_be_the_model_itself_and_what_is_there_already_is_left_alone(work: Work) -> None:
    worked = work(change_rent, RentChange.model_validate(row(THERE_ALREADY)))
    worked.should_be_done().should_have_changed_nothing().should_have_found(CHANGE)


def test_a_question_is_answered_as_it_is_asked(work: Work) -> None:
    worked = work(change_rent, row(QUESTION), answers={"rises by 14%": "yes"})
    worked.should_be_done().should_have_asked(ASKED).should_have_changed(CHANGE).should_have_taken(2)


def test_another_answer_leads_elsewhere_and_none_leaves_the_case_with_the_question(work: Work) -> None:
    work(change_rent, row(QUESTION), answers={ASKED: "no"}).should_need_a_person("turned down")
    worked = work(change_rent, row("HB000106"), answers={"something else": "yes"})
    worked.should_be_asking("18%").should_have_changed_nothing()
    assert worked.state is State.ESCALATED


def test_a_system_that_fails_is_tried_again_while_the_clock_goes_on(
    work: Work, practice: PracticeServer, casehand_clock: FrozenClock
) -> None:
    begun = casehand_clock.now
    practice.plant(ORDINARY, Kind.SESSION_ENDS)
    work(change_rent, row(ORDINARY)).should_be_done().should_have_taken(2)
    assert casehand_clock.now - begun >= timedelta(seconds=5)


def test_a_sentence_that_is_not_so_fails_with_the_story_and_the_pictures(work: Work) -> None:
    worked = work(change_rent, row(ORDINARY))
    sentences: dict[str, Callable[[], object]] = {
        "should have changed nothing": worked.should_have_changed_nothing,
        "should have made the changes: 'another'": lambda: worked.should_have_changed("another"),
        "should have found these changes made already: 'another'": lambda: worked.should_have_found(
            "another"
        ),
        "should need a person because: the claim is ended": lambda: worked.should_need_a_person(
            "the claim is ended"
        ),
        "should be asking: why": lambda: worked.should_be_asking("why"),
        "should have asked: 'why'": lambda: worked.should_have_asked("why"),
        "should have weekly_award = 1 in its result": lambda: worked.should_be_done(weekly_award=Decimal(1)),
        "should have taken 2 attempts": lambda: worked.should_have_taken(2),
        "should have failed because: it": lambda: worked.should_have_failed("it"),
        "should be in doubt because": worked.should_be_in_doubt,
        "should be a fault of the workflow": worked.should_be_at_fault,
    }
    for says, sentence in sentences.items():
        with pytest.raises(AssertionError, match=re.escape(f"the case {says}")) as raised:
            sentence()
        assert f"the case {ORDINARY} is done" in str(raised.value)
    pictures = sorted(path.name for path in worked.pictures().rglob("*.jpg"))
    assert pictures == [
        "01-before-put-the-new-rent-on-the-claim.jpg",
        "02-after-put-the-new-rent-on-the-claim.jpg",
    ]


def test_a_case_that_is_not_done_says_why(work: Work) -> None:
    worked = work(change_rent, row(ENDED))
    worked.should_need_a_person("the claim is ended").should_have_changed_nothing()
    with pytest.raises(AssertionError, match=r"is escalated \(business\): the claim is ended"):
        worked.should_be_done()


def test_a_system_that_refuses_the_account_leaves_the_case_waiting(
    work: Work,
) -> None:
    work.settings.bot["benefits"]["password"] = "not-the-password"
    worked = work(change_rent, row(ORDINARY))
    assert worked.state is State.QUEUED
    assert "the bot benefits is paused" in (worked.reason or "")


class Task(CaseData):
    task: str


class Returned(BaseModel):
    at: datetime


@workflow("test/time", reference="task")
def tell_time(case: Case[Task]) -> Returned:
    """Needs no system."""
    with case.step("look at the clock"):
        return Returned(at=case.now)


def test_the_clock_stands_still_where_it_was_set(work: Work, casehand_clock: FrozenClock) -> None:
    casehand_clock.set(datetime(2027, 1, 4, 10, tzinfo=UTC))
    work(tell_time, {"task": "T1"}).should_be_done(at=datetime(2027, 1, 4, 10, tzinfo=UTC))
    with pytest.raises(ValueError, match="with its zone"):
        casehand_clock.set(datetime(2027, 1, 4))  # noqa: DTZ001


def test_a_workflow_with_a_fault_and_one_that_is_not_tried_for_ever(work: Work) -> None:
    @workflow("test/fault", reference="task")
    def fail(case: Case[Task]) -> None:
        raise KeyError(case.data.task)

    work(fail, {"task": "T1"}).should_be_at_fault("KeyError").should_have_taken(1)

    @workflow("test/system", reference="task")
    def misbehave(case: Case[Task]) -> None:
        raise SystemException("it does not answer")

    work(misbehave, {"task": "T2"}).should_have_failed("it does not answer").should_have_taken(4)
