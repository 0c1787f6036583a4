"""What a person settles, and how."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select

from casehand.exceptions import CasehandError
from casehand.queue import commits, endings, escalations, schema
from casehand.queue.attempts import Begun
from casehand.queue.backoff import Backoff
from casehand.queue.cases import tell
from casehand.queue.commits import CommitState
from casehand.queue.escalations import WAS_DONE, WAS_NOT_DONE
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import Escalated, EscalationKind, Failed
from casehand.queue.state import State

TakeIn = Callable[..., str]
Begin = Callable[..., Begun]
Escalate = Callable[..., Begun]
PassTime = Callable[..., None]
RowOf = Callable[[str], Any]
AuditOf = Callable[[str], list[tuple[str, str | None, str | None]]]

CHANGE = "put the new rent on the claim"


def _question(prompt: str = "The rent rises by 14%. Put it through?") -> dict[str, Any]:
    return {"prompt": prompt, "choices": ["yes", "no"], "key": prompt}


def _ask(escalate: Escalate, case: str, prompt: str = "The rent rises by 14%. Put it through?") -> None:
    escalate(case, EscalationKind.QUESTION, prompt, _question(prompt))


def _put_in_doubt(ledger: Ledger, begin: Begin, case: str) -> None:
    begun = begin(case)
    commits.intend(ledger, case, begun.number, CHANGE, "benefits", timedelta(seconds=60))
    outcome = Escalated(EscalationKind.IN_DOUBT, "there is no way to tell")
    endings.end(ledger, begun, outcome, "[]", Backoff(), 0.0)


def _commit_states(ledger: Ledger, case: str) -> list[CommitState]:
    with ledger.reading() as connection:
        return [intent.state for intent in commits.of_case(connection, case)]


def test_what_waits_is_listed_oldest_first_with_why(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, pass_time: PassTime
) -> None:
    for reference in ("HB000003", "HB000001", "HB000002"):
        escalate(take_in(reference), reason=f"the claim {reference} is closed")
        pass_time(seconds=1)
    take_in("HB000004")

    waiting = escalations.waiting(ledger)

    assert [one.reference for one in waiting] == ["HB000003", "HB000001", "HB000002"]
    assert waiting[0].reason == "the claim HB000003 is closed"
    assert (waiting[0].kind, waiting[0].attempt, waiting[0].question) == (EscalationKind.BUSINESS, 1, None)


def test_what_waits_is_listed_behind_a_case_even_when_that_has_been_settled_meanwhile(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, pass_time: PassTime
) -> None:
    cases = [take_in(f"HB00000{number}") for number in range(6)]
    for number, case in enumerate(cases):
        escalate(case)
        pass_time(seconds=number % 2)

    def listed(after: str, limit: int | None = None) -> list[str]:
        return [one.case for one in escalations.waiting(ledger, limit=limit, after=after)]

    assert [listed(case) for case in cases] == [cases[place + 1 :] for place in range(6)]
    assert listed(cases[1], limit=2) == cases[2:4]
    escalations.close(ledger, cases[1], "a person", "done by hand")
    assert listed(cases[1]) == cases[2:]
    assert listed(cases[0]) == cases[2:]
    with pytest.raises(CasehandError, match="never waited for a person"):
        listed(take_in("HB000009"))


def test_what_waits_is_listed_of_one_workflow_or_batch_alone(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate
) -> None:
    escalate(take_in("HB000001", batch="november"))
    escalate(take_in("HB000002", batch="december"))
    escalate(take_in("CT000003", workflow="council-tax/refund"))

    def references(**which: str) -> list[str]:
        return [one.reference for one in escalations.waiting(ledger, **which)]

    assert references(batch="november") == ["HB000001"]
    assert references(workflow="council-tax/refund") == ["CT000003"]
    assert references(batch="november", workflow="council-tax/refund") == []


def test_an_answer_queues_the_case_and_the_next_attempt_has_it(
    ledger: Ledger, take_in: TakeIn, begin: Begin, escalate: Escalate, audit_of: AuditOf
) -> None:
    case = take_in()
    _ask(escalate, case)

    escalations.answer(ledger, case, "yes", "a person")

    assert escalations.waiting(ledger) == []
    assert dict(begin(case).answers) == {"The rent rises by 14%. Put it through?": '"yes"'}
    assert [action for action, _, _ in audit_of(case)] == ["begun", "escalated", "answered", "begun"]


def test_the_answer_to_a_form_comes_back_as_it_was_given(
    ledger: Ledger, take_in: TakeIn, begin: Begin, escalate: Escalate
) -> None:
    case = take_in()
    escalate(case, EscalationKind.QUESTION, "Which tenant?", {"prompt": "Which?", "form": {}, "key": "which"})

    escalations.answer(ledger, case, {"tenant": "Mrs Invented", "share": "0.50"}, "a person")

    assert json.loads(begin(case).answers["which"]) == {"tenant": "Mrs Invented", "share": "0.50"}


@pytest.mark.parametrize("given", ["maybe", "", "YES", None, ["yes"]])
def test_an_answer_that_is_none_of_the_choices_is_refused_and_the_question_stays(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, given: object
) -> None:
    case = take_in()
    _ask(escalate, case)

    with pytest.raises(CasehandError, match="the answer must be one of: yes, no"):
        escalations.answer(ledger, case, given, "a person")

    assert len(escalations.waiting(ledger)) == 1


def test_a_case_that_asks_nothing_takes_no_answer(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate
) -> None:
    case = take_in()
    escalate(case)

    with pytest.raises(CasehandError, match="asks nothing: use `return`, `close` or `cancel`"):
        escalations.answer(ledger, case, "yes", "a person")


def test_answers_to_several_questions_are_kept_side_by_side(
    ledger: Ledger, take_in: TakeIn, begin: Begin, escalate: Escalate
) -> None:
    case = take_in()
    _ask(escalate, case, "The rent rises by 14%. Put it through?")
    escalations.answer(ledger, case, "yes", "a person")
    _ask(escalate, case, "The tenant has moved. Go on?")
    escalations.answer(ledger, case, "no", "another person")

    assert sorted(begin(case).answers.values()) == ['"no"', '"yes"']


def test_of_a_question_that_is_answered_again_each_answer_is_kept_with_who_and_when(
    ledger: Ledger, take_in: TakeIn, begin: Begin, escalate: Escalate, pass_time: PassTime
) -> None:
    case, first = take_in(), ledger.clock()
    _ask(escalate, case)
    escalations.answer(ledger, case, "no", "a person")
    pass_time(minutes=1)
    _ask(escalate, case)
    escalations.answer(ledger, case, "yes", "another person")

    told = tell(ledger, case).escalations
    assert [(one.answer, one.settled_by, one.settled_at) for one in told] == [
        ("no", "a person", first),
        ("yes", "another person", ledger.clock()),
    ]
    assert list(begin(case).answers.values()) == ['"yes"']


def test_an_answer_to_an_earlier_question_is_not_taken_for_the_answer_to_a_later_one(
    ledger: Ledger, take_in: TakeIn, begin: Begin, escalate: Escalate
) -> None:
    case = take_in()
    _ask(escalate, case, "The rent rises by 14%. Put it through?")
    (shown,) = escalations.waiting(ledger)
    escalations.answer(ledger, case, "no", "another person", seen=shown.id)
    _ask(escalate, case, "Shall the claim be closed?")

    for settle in (
        lambda: escalations.answer(ledger, case, "yes", "a person", seen=shown.id),
        lambda: escalations.send_back(ledger, case, "a person", seen=shown.id),
        lambda: escalations.close(ledger, case, "a person", "by hand", seen=shown.id),
    ):
        with pytest.raises(CasehandError, match="does not wait for that any more"):
            settle()

    (now,) = escalations.waiting(ledger)
    escalations.answer(ledger, case, "no", "a person", seen=now.id)


def test_what_was_answered_for_the_old_data_is_asked_again_for_amended_data(
    ledger: Ledger, take_in: TakeIn, begin: Begin, escalate: Escalate, pass_time: PassTime
) -> None:
    case = take_in(data={"tenant": "Mr Invented"})
    _ask(escalate, case, "Is this the tenant?")
    pass_time(minutes=1)
    escalations.answer(ledger, case, "yes", "a person")
    escalate(case)
    pass_time(minutes=1)
    escalations.send_back(ledger, case, "a person", amended='{"tenant": "Mrs Invented"}')

    amended = begin(case)
    assert json.loads(amended.data) == {"tenant": "Mrs Invented"}
    assert dict(amended.answers) == {}
    asked = Escalated(EscalationKind.QUESTION, "Is this?", json.dumps(_question("Is this the tenant?")))
    endings.end(ledger, amended, asked, "[]", Backoff(), 0.0)
    pass_time(minutes=1)
    escalations.answer(ledger, case, "no", "a person")
    assert dict(begin(case).answers) == {"Is this the tenant?": '"no"'}


def test_an_answer_for_the_old_data_counts_no_more_though_the_clock_of_who_amended_it_is_behind(
    ledger: Ledger, take_in: TakeIn, begin: Begin, escalate: Escalate, pass_time: PassTime
) -> None:
    case = take_in(data={"tenant": "Mr Invented"})
    _ask(escalate, case, "Is this the tenant?")
    escalations.answer(ledger, case, "yes", "a person")
    escalate(case)

    pass_time(seconds=-4)
    escalations.send_back(ledger, case, "a person", amended='{"tenant": "Mrs Invented"}')

    assert dict(begin(case).answers) == {}


def test_an_answer_for_amended_data_counts_though_the_clock_of_who_amended_it_is_ahead(
    ledger: Ledger, take_in: TakeIn, begin: Begin, escalate: Escalate, pass_time: PassTime
) -> None:
    case = take_in(data={"tenant": "Mr Invented"})
    escalate(case)
    escalations.send_back(ledger, case, "a person", amended='{"tenant": "Mrs Invented"}')
    _ask(escalate, case, "Is this the tenant?")

    pass_time(seconds=-4)
    escalations.answer(ledger, case, "yes", "a person")

    assert dict(begin(case).answers) == {"Is this the tenant?": '"yes"'}


def test_a_case_sent_back_as_it_is_keeps_its_data_and_answers_and_gets_all_its_tries_anew(
    ledger: Ledger, take_in: TakeIn, begin: Begin, escalate: Escalate, row_of: RowOf
) -> None:
    case = take_in(data={"weekly_rent": "112.40"}, failures=2, crashes=2)
    _ask(escalate, case)
    escalations.answer(ledger, case, "yes", "a person")
    escalate(case)

    escalations.send_back(ledger, case, "a person")

    row = row_of(case)
    assert (row.state, row.failures, row.crashes, row.sealed_reason) == ("queued", 0, 0, None)
    begun = begin(case)
    assert json.loads(begun.data) == {"weekly_rent": "112.40"}
    assert list(begun.answers.values()) == ['"yes"']


@pytest.mark.parametrize(("said", "seconds"), [(WAS_DONE, 0), (WAS_NOT_DONE, 50)])
def test_a_person_who_answers_while_the_change_may_be_on_its_way_does_not_hurry_the_robot(
    ledger: Ledger, take_in: TakeIn, begin: Begin, row_of: RowOf, pass_time: PassTime, said: str, seconds: int
) -> None:
    case = take_in()
    _put_in_doubt(ledger, begin, case)
    pass_time(seconds=10)

    escalations.answer(ledger, case, said, "a person")

    assert row_of(case).not_before == ledger.clock() + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("said", "known_as"), [(WAS_DONE, CommitState.MADE), (WAS_NOT_DONE, CommitState.NOT_MADE)]
)
def test_a_persons_word_settles_a_change_in_doubt(
    ledger: Ledger,
    take_in: TakeIn,
    begin: Begin,
    audit_of: AuditOf,
    pass_time: PassTime,
    said: str,
    known_as: CommitState,
) -> None:
    case = take_in()
    _put_in_doubt(ledger, begin, case)
    pass_time(seconds=60)

    escalations.answer(ledger, case, said, "a person")

    assert _commit_states(ledger, case) == [known_as]
    assert f"commit {known_as}" in [action for action, _, _ in audit_of(case)]
    begun = begin(case)
    assert begun.unresolved == ()
    assert begun.made == ({CHANGE} if said == WAS_DONE else frozenset())


@pytest.mark.parametrize("given", ["yes", "", None, "It was done"])
def test_a_change_in_doubt_is_settled_by_the_two_words_alone(
    ledger: Ledger, take_in: TakeIn, begin: Begin, given: object
) -> None:
    case = take_in()
    _put_in_doubt(ledger, begin, case)

    with pytest.raises(CasehandError, match="it was done, it was not done"):
        escalations.answer(ledger, case, given, "a person")

    assert _commit_states(ledger, case) == [CommitState.INTENDED]


def test_a_case_in_doubt_that_is_sent_back_is_looked_at_again(
    ledger: Ledger, take_in: TakeIn, begin: Begin
) -> None:
    case = take_in()
    _put_in_doubt(ledger, begin, case)

    escalations.send_back(ledger, case, "a person")

    assert [intent.name for intent in begin(case).unresolved] == [CHANGE]


def test_data_is_not_amended_while_a_change_with_the_old_data_may_have_been_made(
    ledger: Ledger, take_in: TakeIn, begin: Begin, row_of: RowOf
) -> None:
    case = take_in()
    _put_in_doubt(ledger, begin, case)

    with pytest.raises(CasehandError, match="answer that, or return the case as it is"):
        escalations.send_back(ledger, case, "a person", amended='{"weekly_rent": "120.00"}')

    assert row_of(case).state == "escalated"
    assert len(escalations.waiting(ledger)) == 1


def test_a_closed_case_keeps_the_note_and_leaves_the_list(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, row_of: RowOf, audit_of: AuditOf
) -> None:
    case = take_in()
    key = escalate(case).key

    escalations.close(ledger, case, "a person", "put on the claim by hand")

    row = row_of(case)
    assert (row.state, key.open_text(row.sealed_reason)) == ("closed", "put on the claim by hand")
    assert escalations.waiting(ledger) == []
    assert audit_of(case)[-1] == ("closed", "escalated", "closed")


def test_a_queued_or_escalated_case_is_cancelled_and_its_reference_is_free_again(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, row_of: RowOf
) -> None:
    queued, waiting = take_in("HB000001"), take_in("HB000002")
    escalate(waiting)

    for case in (queued, waiting):
        escalations.cancel(ledger, case, "a person")
        assert row_of(case).state == "cancelled"

    assert escalations.waiting(ledger) == []
    take_in("HB000001")
    take_in("HB000002")


@pytest.mark.parametrize("state", [State.WORKING, State.DONE, State.CLOSED, State.CANCELLED])
def test_a_case_in_work_or_over_cannot_be_cancelled(
    ledger: Ledger, take_in: TakeIn, row_of: RowOf, state: State
) -> None:
    case = take_in(state=state)

    with pytest.raises(CasehandError, match="only a case that is queued or escalated"):
        escalations.cancel(ledger, case, "a person")
    assert row_of(case).state == state


@pytest.mark.parametrize("case", ["queued", "nowhere"])
def test_a_case_that_does_not_wait_for_a_person_is_settled_by_nobody(
    ledger: Ledger, take_in: TakeIn, case: str
) -> None:
    case = take_in() if case == "queued" else case

    for settle in (
        lambda: escalations.answer(ledger, case, "yes", "a person"),
        lambda: escalations.send_back(ledger, case, "a person"),
        lambda: escalations.close(ledger, case, "a person", "by hand"),
    ):
        with pytest.raises(CasehandError, match=r"does not wait for that any more|there is no case nowhere"):
            settle()


def test_every_time_a_case_waited_is_kept_with_who_settled_it_and_how(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate
) -> None:
    case = take_in()
    _ask(escalate, case)
    escalations.answer(ledger, case, "yes", "one")
    escalate(case)
    escalations.send_back(ledger, case, "two")
    escalate(case)
    escalations.send_back(ledger, case, "three", amended="{}")
    escalate(case)
    escalations.close(ledger, case, "four", "by hand")

    table = schema.escalations.c
    with ledger.reading() as connection:
        settled = connection.execute(select(table.settlement, table.settled_by).order_by(table.id)).all()
    assert [tuple(row) for row in settled] == [
        ("answered", "one"),
        ("returned", "two"),
        ("amended", "three"),
        ("closed", "four"),
    ]


def test_of_many_that_settle_one_case_at_once_one_does_and_the_others_hear_so(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, audit_of: AuditOf
) -> None:
    cases = [take_in(f"HB{number:06}") for number in range(8)]
    for case in cases:
        _ask(escalate, case)
    ways: list[Callable[[str], None]] = [
        lambda case: escalations.answer(ledger, case, "yes", "one"),
        lambda case: escalations.answer(ledger, case, "no", "two"),
        lambda case: escalations.send_back(ledger, case, "three"),
        lambda case: escalations.send_back(ledger, case, "four", amended="{}"),
        lambda case: escalations.close(ledger, case, "five", "by hand"),
    ]
    together = Barrier(len(ways))

    def settle_all(settle: Callable[[str], None]) -> list[bool]:
        together.wait()
        return [_goes_well(settle, case) for case in cases]

    with ThreadPoolExecutor(len(ways)) as pool:
        went_well = list(pool.map(settle_all, ways))

    assert [sum(of_case) for of_case in zip(*went_well, strict=True)] == [1] * 8
    assert all(len(audit_of(case)) == 3 for case in cases)


def test_to_cancel_and_to_answer_at_once_never_lock_each_other_out(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, row_of: RowOf
) -> None:
    cases = [take_in(f"HB{number:06}") for number in range(12)]
    for case in cases:
        _ask(escalate, case)
    together = Barrier(2)

    def each(settle: Callable[[str], None]) -> list[bool]:
        together.wait()
        return [_goes_well(settle, case) for case in cases]

    with ThreadPoolExecutor(2) as pool:
        answered = pool.submit(each, lambda case: escalations.answer(ledger, case, "yes", "one"))
        cancelled = pool.submit(each, lambda case: escalations.cancel(ledger, case, "two"))

    # A case answered first is queued, and may be cancelled then.
    assert cancelled.result() == [True] * 12
    assert [row_of(case).state for case in cases] == ["cancelled"] * 12
    assert len(answered.result()) == 12


def _goes_well(settle: Callable[[str], None], case: str) -> bool:
    try:
        settle(case)
    except CasehandError:
        return False
    return True


def test_a_failure_after_an_answer_counts_from_nought(
    ledger: Ledger, take_in: TakeIn, begin: Begin, escalate: Escalate
) -> None:
    case = take_in(failures=3)
    _ask(escalate, case)
    escalations.answer(ledger, case, "yes", "a person")

    assert endings.end(ledger, begin(case), Failed("late"), "[]", Backoff(), 0.0) is State.QUEUED
