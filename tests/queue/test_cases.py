"""Cases as people look at them."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import insert

from casehand.exceptions import CasehandError
from casehand.queue import batches, commits, endings, escalations, schema
from casehand.queue.attempts import Begun
from casehand.queue.backlog import unfinished
from casehand.queue.backoff import Backoff
from casehand.queue.cases import counts, counts_by_batch, find_case, find_cases, tell
from casehand.queue.commits import CommitState
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import Done, Escalated, EscalationKind, Failed, Scene
from casehand.queue.pauses import PauseKind, pause, resume
from casehand.queue.state import State

TakeIn = Callable[..., str]
Begin = Callable[..., Begun]
Escalate = Callable[..., Begun]
PassTime = Callable[..., None]

NONE = {str(state): 0 for state in State}


def test_every_state_is_counted_also_where_there_is_none(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate
) -> None:
    assert counts(ledger) == NONE
    take_in("HB000001", batch="november")
    take_in("HB000002", batch="december")
    escalate(take_in("HB000003", batch="november"))

    assert counts(ledger) == {**NONE, "queued": 2, "escalated": 1}
    assert counts(ledger, batch="november") == {**NONE, "queued": 1, "escalated": 1}
    assert counts(ledger, workflow="council-tax/refund") == NONE


def test_counts_by_batch_have_a_line_for_each_batch_and_workflow(
    ledger: Ledger, take_in: TakeIn, known: str
) -> None:
    take_in("HB000001", batch="november")
    take_in("HB000002", batch="november", state="done")
    take_in("HB000003")

    lines = {line["batch"]: line for line in counts_by_batch(ledger)}

    assert lines["november"] == {"batch": "november", "workflow": known, **NONE, "queued": 1, "done": 1}
    assert lines[None] == {"batch": None, "workflow": known, **NONE, "queued": 1}


def test_cases_are_found_by_batch_state_workflow_and_reference_in_the_order_they_came(
    ledger: Ledger, take_in: TakeIn, pass_time: PassTime
) -> None:
    take_in("HB000002", batch="november", line=3)
    take_in("HB000001", batch="november", line=2)
    pass_time(seconds=1)
    take_in("HB000003", state="done")

    def references(**which: object) -> list[str]:
        return [line.reference for line in find_cases(ledger, **which)]  # type: ignore[arg-type]

    assert references() == ["HB000001", "HB000002", "HB000003"]
    assert references(batch="november") == ["HB000001", "HB000002"]
    assert references(state=State.DONE) == ["HB000003"]
    assert references(reference="HB000002") == ["HB000002"]
    assert references(workflow="council-tax/refund") == []
    assert references(limit=2) == ["HB000001", "HB000002"]


def test_a_list_goes_on_behind_any_case_whatever_became_of_that(
    ledger: Ledger, take_in: TakeIn, pass_time: PassTime
) -> None:
    for number in range(9):
        # Three at a moment, of which two stand on one line.
        take_in(f"HB{number:06}", line=number % 3 // 2 + 2, state="done" if number % 2 else "queued")
        pass_time(seconds=number % 3 // 2)
    whole = find_cases(ledger)
    assert len(whole) == 9

    for place, line in enumerate(whole):
        assert find_cases(ledger, after=line.id) == whole[place + 1 :]
        assert find_cases(ledger, after=line.id, limit=2) == whole[place + 1 : place + 3]
        done = [one for one in whole[place + 1 :] if one.state is State.DONE]
        assert find_cases(ledger, state=State.DONE, after=line.id) == done
    with pytest.raises(CasehandError, match="there is no case nobody"):
        find_cases(ledger, after="nobody")


def test_of_several_cases_with_one_reference_the_open_one_is_found_or_else_the_latest(
    ledger: Ledger, take_in: TakeIn, pass_time: PassTime
) -> None:
    first = take_in("HB000125", state="closed")
    pass_time(days=1)
    second = take_in("HB000125", state="done")
    assert find_case(ledger, "HB000125").id == second

    pass_time(days=-2)
    still_open = take_in("HB000125")
    assert find_case(ledger, "HB000125").id == still_open
    assert find_case(ledger, first).id == first


@pytest.mark.parametrize("find", [find_case, tell])
def test_a_reference_that_no_case_has_is_an_error_that_says_where_to_look(
    ledger: Ledger, find: Callable[[Ledger, str], object]
) -> None:
    with pytest.raises(CasehandError, match="there is no case HB999999: `casehand cases` lists"):
        find(ledger, "HB999999")


def test_the_whole_story_of_a_case_is_told(
    ledger: Ledger, take_in: TakeIn, begin: Begin, escalate: Escalate, pass_time: PassTime
) -> None:
    came = ledger.clock()
    case = take_in("HB000125", {"weekly_rent": "112.40"}, batch="november", line=2)
    asked = {"prompt": "Put it through?", "choices": ["yes", "no"], "key": "k"}
    outcome = Escalated(
        EscalationKind.QUESTION, "the rent rises", json.dumps(asked), Scene("http://x/", "1.png")
    )
    endings.end(ledger, begin(case), outcome, '[{"name": "find the claim"}]', Backoff(), 0.0)
    pass_time(minutes=5)
    escalations.answer(ledger, case, "yes", "a person")
    endings.end(ledger, begin(case), Failed("the page is late"), "[]", Backoff(), 0.0)
    pass_time(minutes=5)
    last = begin(case, "worker-2")
    intent = commits.intend(ledger, case, 3, "put the new rent on", "benefits", timedelta(seconds=60))
    assert intent is not None
    commits.resolve(ledger, case, 3, intent, CommitState.MADE)
    endings.end(ledger, last, Done('{"weekly_award": "80.15"}'), "[]", Backoff(), 0.0)

    story = tell(ledger, "HB000125")

    assert (story.line.state, story.line.attempts, story.line.commits) == (State.DONE, 3, 1)
    assert (story.data, story.result) == ({"weekly_rent": "112.40"}, {"weekly_award": "80.15"})
    assert story.handed_in_at == came
    assert [one.end for one in story.attempts] == ["escalated", "failed", "done"]
    assert [one.reason for one in story.attempts] == ["the rent rises", "the page is late", None]
    assert story.attempts[0].steps == [{"name": "find the claim"}]
    assert story.attempts[2].worker == "worker-2"
    assert [one.name for one in story.commits] == ["put the new rent on"]
    (asked_then,) = story.escalations
    assert (asked_then.question, asked_then.page, asked_then.screenshot) == (asked, "http://x/", "1.png")
    assert (asked_then.settlement, asked_then.settled_by) == ("answered", "a person")
    assert [entry["action"] for entry in story.audit] == [
        "begun",
        "escalated",
        "answered",
        "begun",
        "failed",
        "begun",
        "commit made",
        "done",
    ]


def test_a_case_says_why_it_is_where_it_is(ledger: Ledger, take_in: TakeIn, escalate: Escalate) -> None:
    escalate(take_in("HB000125"), reason="the claim is closed")

    assert find_case(ledger, "HB000125").reason == "the claim is closed"


def test_a_thousand_cases_are_listed_with_the_changes_each_has_made(
    ledger: Ledger, take_in: TakeIn, begin: Begin
) -> None:
    worked = take_in("HB999999", line=1_000)
    intent = commits.intend(
        ledger, begin(worked).case, 1, "put the new rent on", "benefits", timedelta(seconds=60)
    )
    assert intent is not None
    commits.resolve(ledger, worked, 1, intent, CommitState.MADE)
    row = {"workflow": "w", "state": "queued", "priority": 0, "attempts": 0, "failures": 0, "crashes": 0}
    now = ledger.clock()
    times = {"not_before": now, "handed_in_at": now, "changed_at": now}
    with ledger.writing() as connection:
        rows = [
            {**row, **times, "id": f"{number:032}", "reference": f"HB{number:06}", "sealed_data": b""}
            for number in range(1_000)
        ]
        connection.execute(insert(schema.cases), rows)

    lines = {line.reference: line.commits for line in find_cases(ledger)}

    assert len(lines) == 1_001
    assert (lines["HB999999"], lines["HB000001"]) == (1, 0)


def test_what_is_left_to_work_is_what_is_in_work_due_or_tried_again_soon(
    ledger: Ledger, take_in: TakeIn, begin: Begin, escalate: Escalate, pass_time: PassTime
) -> None:
    later = ledger.clock() + timedelta(minutes=10)
    take_in("HB000001")
    begin(take_in("HB000002"))
    take_in("HB000003", not_before=later)
    take_in("HB000004", not_before=later, attempts=1)
    escalate(take_in("HB000005"))

    assert unfinished(ledger, timedelta(minutes=1)) == 2
    assert unfinished(ledger, timedelta(minutes=10)) == 3


def test_the_rows_that_were_not_taken_in_are_listed_in_their_order(ledger: Ledger, take_in: TakeIn) -> None:
    take_in(batch="november")
    rows = [
        {"batch": "november", "line": 4, "kind": "duplicate", "reason": "is open already", "column": None},
        {
            "batch": "november",
            "line": 9,
            "kind": "rejected",
            "reason": "must be a date",
            "column": "from_date",
        },
    ]
    with ledger.writing() as connection:
        for row in rows:
            connection.execute(insert(schema.rejections).values(**row, reference=None, sealed_row=b""))

    assert [(one.line, one.kind) for one in batches.rejections_of(ledger, "november")] == [
        (4, "duplicate"),
        (9, "rejected"),
    ]
    assert [one.line for one in batches.rejections_of(ledger, "november", limit=1)] == [4]
    assert [one.line for one in batches.rejections_of(ledger, "november", after=4)] == [9]
    assert batches.rejections_of(ledger, "december") == []


def test_a_case_whose_turn_comes_after_one_that_is_paused_or_meant_for_later_is_not_waited_for(
    ledger: Ledger, known: str, take_in: TakeIn, pass_time: Callable[..., None]
) -> None:
    make_known(ledger, "housing-benefit/letter", ["benefits"], timedelta(minutes=5))
    take_in("HB000001", batch="paused")
    take_in("HB000002", not_before=ledger.clock() + timedelta(hours=1))
    take_in("HB000003")
    pause(ledger, PauseKind.BATCH, "paused", "month end", "a person")
    pass_time(seconds=1)
    for number in (1, 2):
        take_in(f"HB00000{number}", workflow="housing-benefit/letter")
    assert unfinished(ledger, timedelta(minutes=1)) == 1

    take_in("HB000003", workflow="housing-benefit/letter")
    resume(ledger, PauseKind.BATCH, "paused", "a person")
    assert unfinished(ledger, timedelta(minutes=1)) == 4
