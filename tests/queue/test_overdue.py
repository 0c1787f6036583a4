"""What becomes of a case whose due date passes: it is never begun late unless a person says so."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from casehand.queue import attempts, bulk_turn, commits, endings, escalations, overdue, schema, urgency
from casehand.queue.attempts import Begun
from casehand.queue.backlog import unfinished
from casehand.queue.backoff import Backoff
from casehand.queue.bulk import LATE, BulkAction, begin, find_bulk
from casehand.queue.bulk_filter import BulkFilter
from casehand.queue.commits import CommitState
from casehand.queue.holdups import holdups
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import Done, EscalationKind, Failed
from casehand.queue.overdue import PASSED, PASSED_AGAIN, PastDue, sweep
from casehand.queue.policy import Late
from casehand.queue.state import State

TakeIn = Callable[..., str]
PassTime = Callable[..., None]
Begin = Callable[..., Begun]
HOUR = timedelta(hours=1)


@pytest.fixture
def due(ledger: Ledger, known: str, pass_time: PassTime, take_in: TakeIn) -> Callable[..., str]:
    """Makes a case that is due in an hour."""

    def take(reference: str = "HB000125", **columns: Any) -> str:
        return take_in(reference, due=ledger.clock() + HOUR, **columns)

    return take


def _waiting(ledger: Ledger) -> list[tuple[EscalationKind, str]]:
    return [(one.kind, one.reason) for one in escalations.waiting(ledger)]


def test_a_case_is_begun_before_its_due_date_and_not_from_it_on(
    ledger: Ledger, due: Callable[..., str], begin: Begin, pass_time: PassTime
) -> None:
    in_time, late = due("HB000001"), due("HB000002")
    pass_time(minutes=59)
    begin(in_time)
    pass_time(minutes=1)

    assert attempts.begin(ledger, late, 1, "worker-1") is None
    assert holdups(ledger, late).overdue
    assert unfinished(ledger, timedelta()) == 1


def test_what_is_queued_past_its_due_date_is_put_before_a_person_once(
    ledger: Ledger,
    due: Callable[..., str],
    pass_time: PassTime,
    row_of: Callable[[str], Any],
    audit_of: Callable[[str], list[Any]],
) -> None:
    case = due()
    assert sweep(ledger, "worker-1") == 0
    pass_time(hours=1)

    assert sweep(ledger, "worker-1") == 1
    assert sweep(ledger, "worker-1") == 0

    assert row_of(case).state == State.ESCALATED
    assert _waiting(ledger) == [(EscalationKind.LATE, PASSED)]
    assert audit_of(case) == [("escalated", "queued", "escalated")]


def test_it_is_cancelled_where_its_workflow_says_so(
    ledger: Ledger, due: Callable[..., str], known: str, pass_time: PassTime, row_of: Callable[[str], Any]
) -> None:
    make_known(ledger, known, ["benefits"], timedelta(minutes=5), late=Late.CANCEL)
    case = due()
    pass_time(hours=1)

    assert sweep(ledger, "worker-1") == 1
    assert row_of(case).state == State.CANCELLED
    assert ledger.key_of(case).open_text(row_of(case).sealed_reason) == PASSED


def test_a_case_of_which_something_was_changed_is_not_cancelled_but_put_before_a_person(
    ledger: Ledger, due: Callable[..., str], known: str, begin: Begin, pass_time: PassTime
) -> None:
    make_known(ledger, known, ["benefits"], timedelta(minutes=5), late=Late.CANCEL)
    begun = begin(due())
    intent = commits.intend(ledger, begun.case, 1, "put it on", "benefits", timedelta(seconds=1))
    assert intent is not None
    assert commits.resolve(ledger, begun.case, 1, intent, CommitState.MADE)
    endings.end(ledger, begun, Failed("the page is late"), "[]", Backoff(), 0.0)
    pass_time(hours=1)

    assert sweep(ledger, "worker-1") == 1
    assert _waiting(ledger) == [(EscalationKind.LATE, PASSED_AGAIN)]


def test_a_case_of_which_nobody_knows_whether_a_change_was_made_is_in_doubt(
    ledger: Ledger, due: Callable[..., str], begin: Begin, pass_time: PassTime
) -> None:
    begun = begin(due())
    commits.intend(ledger, begun.case, 1, "put it on", "benefits", timedelta(seconds=1))
    endings.end(ledger, begun, Failed("the page is late"), "[]", Backoff(), 0.0)
    pass_time(hours=1)
    sweep(ledger, "worker-1")

    ((kind, reason),) = _waiting(ledger)
    assert kind is EscalationKind.IN_DOUBT
    assert "not known" in reason


def test_what_is_in_work_when_its_date_passes_goes_on_to_its_end(
    ledger: Ledger, due: Callable[..., str], begin: Begin, pass_time: PassTime
) -> None:
    begun = begin(due())
    pass_time(hours=1)

    assert sweep(ledger, "worker-1") == 0
    assert endings.end(ledger, begun, Done(None), "[]", Backoff(), 0.0) is State.DONE


def test_a_person_may_have_it_worked_late_and_then_it_is_begun(
    ledger: Ledger, due: Callable[..., str], begin: Begin, pass_time: PassTime, audit_of: Any
) -> None:
    case = due()
    pass_time(hours=1)
    sweep(ledger, "worker-1")
    with pytest.raises(PastDue, match="--late"):
        escalations.send_back(ledger, case, "a person")
    assert len(_waiting(ledger)) == 1

    escalations.send_back(ledger, case, "a person", may_be_late=True)

    assert sweep(ledger, "worker-1") == 0
    begun = begin(case)
    endings.end(ledger, begun, Failed("the page is late"), "[]", Backoff(), 0.0)
    pass_time(hours=1)
    assert sweep(ledger, "worker-1") == 0
    assert "let be late" in [action for action, _, _ in audit_of(case)]


def test_an_answer_that_comes_after_the_due_date_needs_the_same_word(
    ledger: Ledger, due: Callable[..., str], escalate: Any, pass_time: PassTime, row_of: Any
) -> None:
    case = due()
    question = {"prompt": "Go on?", "choices": ["yes", "no"], "key": "k"}
    escalate(case, EscalationKind.QUESTION, "Go on?", question)
    pass_time(hours=1)

    with pytest.raises(PastDue):
        escalations.answer(ledger, case, "yes", "a person")
    escalations.answer(ledger, case, "yes", "a person", may_be_late=True)

    assert row_of(case).state == State.QUEUED


def test_another_due_date_is_kept_to_again(
    ledger: Ledger, due: Callable[..., str], pass_time: PassTime, row_of: Callable[[str], Any]
) -> None:
    case = due()
    pass_time(hours=1)
    sweep(ledger, "worker-1")
    urgency.set_due(ledger, case, ledger.clock() + HOUR, "a person")
    escalations.send_back(ledger, case, "a person")
    assert not row_of(case).may_be_late

    pass_time(hours=1)

    assert sweep(ledger, "worker-1") == 1


def test_many_are_sent_back_late_only_where_that_was_said(
    ledger: Ledger, due: Callable[..., str], pass_time: PassTime, known: str
) -> None:
    for number in range(3):
        due(f"HB00000{number}")
    pass_time(hours=1)
    sweep(ledger, "worker-1")
    which = BulkFilter(workflow=known)
    without = begin(ledger, BulkAction.RETURN, which, "mended", "a person")
    bulk_turn.turn(ledger, "a", only=without)
    assert (find_bulk(ledger, without).done, find_bulk(ledger, without).refused) == (0, 3)

    late = begin(ledger, BulkAction.RETURN, which, "work them all the same", "a person", LATE)
    bulk_turn.turn(ledger, "a", only=late)

    assert find_bulk(ledger, late).done == 3


def test_more_than_one_look_takes_are_all_settled_and_one_that_cannot_be_opened_holds_up_no_other(
    ledger: Ledger, due: Callable[..., str], pass_time: PassTime, row_of: Callable[[str], Any]
) -> None:
    broken = due("HB999999")
    with ledger.writing() as connection:
        connection.execute(
            update(schema.cases)
            .where(schema.cases.c.id == broken)
            .values(key=b"nobody's", due=ledger.clock())
        )
    for number in range(overdue.AT_ONCE + 5):
        due(f"HB{number:06}")
    pass_time(hours=1)

    assert sweep(ledger, "worker-1") == overdue.AT_ONCE + 5
    assert row_of(broken).state == State.QUEUED


def test_what_is_past_its_date_is_found_by_index(
    ledger: Ledger, due: Callable[..., str], pass_time: PassTime
) -> None:
    due()
    pass_time(hours=1)
    if ledger.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL goes through a table of one row, whatever its indexes")
    with ledger.reading() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT due, id FROM cases WHERE state = 'queued' AND due IS NOT NULL AND due <= ? "
            "AND may_be_late IS 0 ORDER BY due, id LIMIT 100",
            ("2026-11-02 10:00:00.000000",),
        ).all()
    assert "ix_cases_state_due" in str(plan)
    assert "TEMP B-TREE" not in str(plan)
