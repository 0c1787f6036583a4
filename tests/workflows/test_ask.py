"""Questions: a case waits for a person without anybody waiting with it."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, Field

from casehand import BusinessException, Case, CaseData, CasehandError, workflow
from casehand.queue import escalations
from casehand.queue.outcome import EscalationKind
from casehand.queue.state import State
from casehand.workflows.forms import check_form


class Row(CaseData):
    claim: str


class Decision(BaseModel):
    amount: Decimal = Field(gt=0)
    why: str = Field(min_length=3)


class Result(BaseModel):
    answers: list[str]


@workflow("test/ask", reference="claim")
def asking(case: Case[Row]) -> Result:
    first = case.ask("Put it through?", choices=["yes", "no"])
    if first == "no":
        raise BusinessException("it was turned down")
    second = case.ask("To whom?", choices=["tenant", "landlord"])
    return Result(answers=[first, second])


@workflow("test/form", reference="claim")
def asking_for_a_form(case: Case[Row]) -> Result:
    decision = case.ask("How much?", choices=Decision)
    return Result(answers=[f"{decision.amount:.2f}", decision.why])


def answer(desk: Any, given: object) -> None:
    escalations.answer(desk.ledger, desk.story("C1").line.id, given, "a person")


def test_a_question_is_put_in_front_of_a_person_and_its_answer_returned(desk: Any) -> None:
    desk.takes(asking, "C1")
    assert desk.work("C1") is State.ESCALATED
    (asked,) = escalations.waiting(desk.ledger)
    assert (asked.kind, asked.reason) == (EscalationKind.QUESTION, "Put it through?")
    assert asked.question is not None
    assert asked.question["choices"] == ["yes", "no"]
    answer(desk, "yes")
    assert desk.work("C1") is State.ESCALATED
    answer(desk, "landlord")
    assert desk.work("C1") is State.DONE
    assert desk.story("C1").result == {"answers": ["yes", "landlord"]}


def test_a_no_is_an_answer_too(desk: Any) -> None:
    desk.takes(asking, "C1")
    desk.work("C1")
    answer(desk, "no")
    assert desk.work("C1") is State.ESCALATED
    assert desk.story("C1").line.reason == "it was turned down"


def test_an_answer_that_is_none_of_the_choices_is_refused_and_the_case_goes_on_waiting(desk: Any) -> None:
    desk.takes(asking, "C1")
    desk.work("C1")
    with pytest.raises(CasehandError, match="yes"):
        answer(desk, "perhaps")
    assert desk.story("C1").line.state is State.ESCALATED


def test_a_form_comes_back_as_the_model_that_asked(desk: Any) -> None:
    desk.takes(asking_for_a_form, "C1")
    desk.work("C1")
    answer(desk, {"amount": "12.50", "why": "as agreed"})
    assert desk.work("C1") is State.DONE
    assert desk.story("C1").result == {"answers": ["12.50", "as agreed"]}


def test_an_answer_that_breaks_a_rule_of_the_model_is_asked_for_again(desk: Any) -> None:
    desk.takes(asking_for_a_form, "C1")
    desk.work("C1")
    answer(desk, {"amount": "-1", "why": "as agreed"})
    assert desk.work("C1") is State.ESCALATED
    (asked,) = escalations.waiting(desk.ledger)
    assert (asked.kind, asked.reason) == (EscalationKind.QUESTION, "How much? (amount must be more than 0)")
    answer(desk, {"amount": "1", "why": "as agreed"})
    assert desk.work("C1") is State.DONE


def test_a_form_that_does_not_fit_is_refused_with_the_field() -> None:
    schema = Decision.model_json_schema()
    assert check_form(schema, {"amount": "12.50", "why": "as agreed"})
    with pytest.raises(CasehandError, match=r"^why: "):
        check_form(schema, {"amount": "12.50", "why": "x"})
    with pytest.raises(CasehandError, match="is empty"):
        check_form(schema, {"why": "as agreed"})


def test_a_case_that_asks_nothing_takes_no_answer(desk: Any) -> None:
    @workflow("test/no", reference="claim")
    def refusing(case: Case[Row]) -> None:
        raise BusinessException("the claim is ended")

    desk.takes(refusing, "C1")
    desk.work("C1")
    with pytest.raises(CasehandError, match="asks nothing"):
        answer(desk, "yes")
