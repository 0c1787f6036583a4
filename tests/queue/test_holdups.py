"""What holds a queued case up, and the story of a case without what it holds."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import insert, update

from casehand.queue import pauses, schema
from casehand.queue.attempts import Begun
from casehand.queue.cases import cases_called, find_case, story_of
from casehand.queue.holdups import Holdups, holdups
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import EscalationKind
from casehand.queue.pauses import PauseKind
from casehand.queue.search import find_batches, find_reasons, find_references

TakeIn = Callable[..., str]
Escalate = Callable[..., Begun]


def test_nothing_holds_up_a_case_whose_turn_it_is(ledger: Ledger, known: str, take_in: TakeIn) -> None:
    found = holdups(ledger, take_in("HB000001"))
    assert (found.until, found.pauses, found.breakers, found.behind) == (None, (), (), None)


def test_each_pause_that_concerns_the_case_is_named_and_no_other(
    ledger: Ledger, known: str, take_in: TakeIn
) -> None:
    case = take_in("HB000001", workflow=known, batch="rents")
    make_known(ledger, "other/work", ["other"], timedelta(minutes=5))
    for kind, name in ((PauseKind.WORKFLOW, known), (PauseKind.BATCH, "rents"), (PauseKind.BOT, "benefits")):
        pauses.pause(ledger, kind, name, "moved", "s.sample@example.test")
    pauses.pause(ledger, PauseKind.EVERYTHING, pauses.ALL, "moved", "s.sample@example.test")
    pauses.pause(ledger, PauseKind.WORKFLOW, "other/work", "moved", "s.sample@example.test")
    pauses.pause(ledger, PauseKind.BOT, "other", "moved", "s.sample@example.test")
    found = [(one.kind, one.name) for one in holdups(ledger, case).pauses]
    assert found == [
        (PauseKind.BATCH, "rents"),
        (PauseKind.BOT, "benefits"),
        (PauseKind.EVERYTHING, pauses.ALL),
        (PauseKind.WORKFLOW, known),
    ]


def test_a_breaker_a_time_and_another_case_are_told(ledger: Ledger, known: str, take_in: TakeIn) -> None:
    later = ledger.clock() + timedelta(hours=1)
    # The other one is over for its own workflow's rule, and in work for the bot that both need.
    make_known(ledger, "benefits/letters", ["benefits"], timedelta(minutes=5))
    first = take_in("HB000001", workflow="benefits/letters")
    case = take_in("HB000001", workflow=known)
    with ledger.writing() as connection:
        connection.execute(
            insert(schema.breakers).values(
                bot="benefits", failures=5, opened_at=ledger.clock(), probe_at=later, probes=0
            )
        )
        working = update(schema.cases).where(schema.cases.c.id == first).values(state="working")
        connection.execute(working)
        connection.execute(update(schema.cases).where(schema.cases.c.id == case).values(not_before=later))
    found = holdups(ledger, case)
    assert found.until == later
    assert [one.bot for one in found.breakers] == ["benefits"]
    assert found.behind is not None
    assert (found.behind.case, found.behind.workflow) == (first, "benefits/letters")
    assert (found.behind.state, found.behind.held) == ("working", Holdups(None, (), ()))


def test_of_the_case_ahead_it_is_told_what_that_waits_for(
    ledger: Ledger, known: str, take_in: TakeIn, pass_time: Any
) -> None:
    make_known(ledger, "benefits/letters", ["benefits"], timedelta(minutes=5))
    make_known(ledger, "benefits/visits", ["benefits"], timedelta(minutes=5))
    first = take_in("HB000001", workflow="benefits/letters", batch="letters")
    pass_time(minutes=1)
    second = take_in("HB000001", workflow="benefits/visits")
    pass_time(minutes=1)
    case = take_in("HB000001", workflow=known)
    pauses.pause(ledger, PauseKind.BATCH, "letters", "moved", "s.sample@example.test")
    found = holdups(ledger, case)
    assert (found.pauses, found.until) == ((), None)
    assert found.behind is not None
    assert (found.behind.case, found.behind.batch) == (first, "letters")
    assert [(one.kind, one.name) for one in found.behind.held.pauses] == [(PauseKind.BATCH, "letters")]
    assert holdups(ledger, first).behind is None
    assert holdups(ledger, second).behind == found.behind


def test_a_story_without_data_has_the_place_in_the_code_and_nothing_of_the_case(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate
) -> None:
    reason = "the workflow has a fault: KeyError at rent_change.py:41"
    case = take_in("HB000001")
    escalate(case, reason=reason, kind=EscalationKind.FAULT)
    line = find_case(ledger, case)
    whole, bare = story_of(ledger, line), story_of(ledger, line, with_data=False)
    assert (whole.escalations[0].reason, bare.escalations[0].reason) == (
        reason,
        "KeyError at rent_change.py:41",
    )
    assert whole.line.reason == reason
    assert (bare.line.reason, bare.data, bare.comments) == (None, {}, [])
    assert bare.escalations[0].alike is None
    assert not bare.is_erased


def test_an_erased_case_has_a_story(ledger: Ledger, take_in: TakeIn, escalate: Escalate) -> None:
    case = take_in("HB000001")
    escalate(case, reason="the claim is closed")
    with ledger.writing() as connection:
        connection.execute(update(schema.cases).where(schema.cases.c.id == case).values(key=None))
    story = story_of(ledger, find_case(ledger, case))
    assert story.is_erased
    assert (story.data, story.escalations[0].reason, story.comments) == ({}, "", [])
    assert len(story.attempts) == 1


def test_of_the_cases_with_a_reference_the_open_one_comes_first(
    ledger: Ledger, take_in: TakeIn, pass_time: Any
) -> None:
    done = take_in("HB000001")
    with ledger.writing() as connection:
        connection.execute(update(schema.cases).where(schema.cases.c.id == done).values(state="done"))
    pass_time(hours=1)
    later = take_in("HB000001")
    assert [one.id for one in cases_called(ledger, "HB000001", None, 10)] == [later, done]
    assert [one.id for one in cases_called(ledger, done, None, 10)] == [done]
    assert cases_called(ledger, "HB000001", ["other/work"], 10) == []


def test_the_search_box_finds_each_kind_by_itself(
    ledger: Ledger, known: str, take_in: TakeIn, escalate: Escalate
) -> None:
    escalate(take_in("HB000001", batch="rents-1"), reason="the claim is closed")
    settled = take_in("HB000002", batch="rents-2")
    escalate(settled, reason="the claim is closed")
    with ledger.writing() as connection:
        of_case = schema.escalations.c.case == settled
        connection.execute(update(schema.escalations).where(of_case).values(settled_at=ledger.clock()))
    take_in("HC000003")

    def references(found: Any) -> list[str]:
        return [one.reference for one in found]

    assert references(find_references(ledger, "hb0", None, 10)) == ["HB000001", "HB000002"]
    assert find_batches(ledger, "RENTS", None, 10) == ["rents-1", "rents-2"]
    assert find_batches(ledger, "rents", None, 1) == ["rents-1"]
    assert references(find_reasons(ledger, "closed claim", None, 10)) == ["HB000001"]
    assert references(find_reasons(ledger, "closed", [known], 10)) == ["HB000001"]
    for nothing in ("", " ", "\0", "suspended claim"):
        assert find_reasons(ledger, nothing, None, 10) == []
    assert find_reasons(ledger, "claim", ["other/work"], 10) == []
    assert find_references(ledger, "HB", [], 10) == []
    assert find_batches(ledger, "rents", [], 10) == []
    assert find_references(ledger, "", None, 10) == find_batches(ledger, " ", None, 10) == []


def test_words_that_many_escalations_have_are_found_among_those_that_wait(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, monkeypatch: Any
) -> None:
    monkeypatch.setattr("casehand.queue.search.MANY", 1)
    for number in range(3):
        escalate(take_in(f"HB00000{number}"), reason="the claim is closed")
    found = find_reasons(ledger, "claim closed", None, 10)
    assert [one.reference for one in found] == ["HB000000", "HB000001", "HB000002"]
