"""Who has taken what waits for a person, what is said of it, and how urgent it is."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select, update

from casehand.exceptions import CasehandError
from casehand.queue import assignments, comments, escalations, schema, urgency
from casehand.queue.attempts import Begun
from casehand.queue.cases import tell
from casehand.queue.escalations import similar, waiting
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import EscalationKind
from casehand.queue.state import State
from casehand.queue.too_late import Taken, TooLate
from casehand.queue.vault import Vault
from casehand.queue.waiting import NoSuchCase

TakeIn = Callable[..., str]
Escalate = Callable[..., Begun]
RowOf = Callable[[str], Any]
AuditOf = Callable[[str], list[tuple[str, str | None, str | None]]]

ROUNDS = 50
DUE = datetime(2026, 12, 24, 12, tzinfo=UTC)


@pytest.fixture
def second(ledger: Ledger, ledger_url: str, vault: Vault) -> Any:
    """The same ledger, opened by another person's process."""
    opened = Ledger.open(ledger_url, vault)
    yield opened
    opened.close()


def both_at_once(first: Callable[[], Any], second: Callable[[], Any]) -> list[Any]:
    """What each of two got, or was refused with, at one moment."""
    barrier = Barrier(2)

    def act(does: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return does()
        except CasehandError as refused:
            return refused

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(act, (first, second)))


def settlements(ledger: Ledger, case: str, by: str, seen: int) -> list[Callable[[], None]]:
    return [
        lambda: escalations.answer(ledger, case, "yes", by, seen),
        lambda: escalations.send_back(ledger, case, by, seen=seen),
        lambda: escalations.close(ledger, case, by, "by hand", seen),
        lambda: escalations.send_back(ledger, case, by, '{"weekly_rent": "1.00"}', seen),
        lambda: escalations.cancel(ledger, case, by, "sent twice", seen),
    ]


SETTLED_AS = ("answered", "returned", "closed", "amended", "cancelled")


def test_of_two_who_settle_one_escalation_at_once_one_does_and_the_other_is_told_who_when_and_how(
    ledger: Ledger, second: Ledger, take_in: TakeIn, escalate: Escalate, audit_of: AuditOf
) -> None:
    winners = set()
    for number in range(ROUNDS):
        case = take_in(f"HB{number:06}")
        asked = {"prompt": "Pay it?", "choices": ["yes", "no"], "key": "1"}
        escalate(case, EscalationKind.QUESTION, "Pay it?", asked)
        (shown,) = [one for one in waiting(ledger) if one.case == case]
        ways = (number % 5, (number * 3 + 1) % 5)
        got = both_at_once(
            settlements(ledger, case, "m.sample", shown.id)[ways[0]],
            settlements(second, case, "p.sample", shown.id)[ways[1]],
        )

        (late,) = [one for one in got if one is not None]
        winner = got.index(None)
        name = ("m.sample", "p.sample")[winner]
        assert isinstance(late, TooLate)
        assert (late.settled_by, late.settlement) == (name, SETTLED_AS[ways[winner]])
        (story,) = tell(ledger, case).escalations
        assert (late.settled_at, late.settled_by) == (story.settled_at, story.settled_by)
        assert len(audit_of(case)) == 3  # begun, escalated, and settled once
        winners.add(name)
    assert len(winners) >= 1


def test_of_two_who_take_one_escalation_at_once_one_has_it_and_the_other_is_told_who(
    ledger: Ledger, second: Ledger, take_in: TakeIn, escalate: Escalate
) -> None:
    for number in range(ROUNDS):
        case = take_in(f"HB{number:06}")
        escalate(case)
        got = both_at_once(
            lambda case=case: assignments.take(ledger, case, "m.sample"),
            lambda case=case: assignments.take(second, case, "p.sample"),
        )

        (taken,) = [one for one in got if one is not None]
        (story,) = tell(ledger, case).escalations
        assert isinstance(taken, Taken)
        assert (taken.taken_by, taken.taken_at) == (story.assigned_to, story.assigned_at)
        assert story.assigned_to == ("m.sample", "p.sample")[got.index(None)]


def test_one_who_has_taken_a_case_hands_it_on_or_gives_it_back(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, audit_of: AuditOf
) -> None:
    case = take_in()
    escalate(case)

    def has_it() -> str | None:
        (one,) = waiting(ledger)
        return one.assigned_to

    assignments.take(ledger, case, "m.sample")
    assignments.take(ledger, case, "m.sample")
    assert has_it() == "m.sample"
    assert [one.case for one in waiting(ledger, assigned_to="m.sample")] == [case]
    assert waiting(ledger, unassigned=True) == waiting(ledger, assigned_to="p.sample") == []
    with pytest.raises(Taken):
        assignments.hand_on(ledger, case, "z.sample", "p.sample")
    assignments.hand_on(ledger, case, " p.sample ", "m.sample")
    assert has_it() == "p.sample"
    with pytest.raises(Taken):
        assignments.give_back(ledger, case, "m.sample")
    assignments.give_back(ledger, case, "p.sample")
    assignments.give_back(ledger, case, "p.sample")
    assert has_it() is None
    assert [one.case for one in waiting(ledger, unassigned=True)] == [case]
    assert [action for action, *_ in audit_of(case)][2:] == ["taken", "handed on", "given back"]


def test_a_case_that_comes_back_is_free_to_be_taken(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate
) -> None:
    case = take_in()
    escalate(case)
    (shown,) = waiting(ledger)
    assignments.take(ledger, case, "m.sample")
    escalations.send_back(ledger, case, "m.sample")
    escalate(case)

    (now,) = waiting(ledger)
    assert (now.assigned_to, now.due) == (None, None)
    with pytest.raises(TooLate, match=r"m\.sample settled it on .* \(returned\)"):
        assignments.take(ledger, case, "p.sample", shown.id)


@pytest.mark.parametrize("to", ["", "  ", "x" * 201, "a\nb"])
def test_a_case_is_handed_on_to_nobody_who_has_no_name(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, to: str
) -> None:
    case = take_in()
    escalate(case)

    with pytest.raises(CasehandError, match="say to whom"):
        assignments.hand_on(ledger, case, to, "m.sample")


def test_a_comment_is_kept_under_encryption_and_told_with_the_case(
    ledger: Ledger, take_in: TakeIn, audit_of: AuditOf
) -> None:
    case = take_in()

    comments.comment(ledger, case, "  Rang the landlord: <b>no answer</b>.\n", "m.sample")
    comments.comment(ledger, case, "Rang again.", "p.sample")

    told = tell(ledger, case).comments
    assert [(one.by, one.text) for one in told] == [
        ("m.sample", "Rang the landlord: <b>no answer</b>."),
        ("p.sample", "Rang again."),
    ]
    with ledger.reading() as connection:
        kept = connection.execute(select(schema.comments.c.sealed_text)).scalars().all()
        entries = connection.execute(select(schema.audit)).all()
    assert not any(b"landlord" in one for one in kept)
    assert "landlord" not in str(entries)
    assert [action for action, *_ in audit_of(case)] == ["commented", "commented"]


@pytest.mark.parametrize("text", ["", " \n", "x" * 10_001])
def test_a_comment_says_something_and_not_a_book(ledger: Ledger, take_in: TakeIn, text: str) -> None:
    case = take_in()

    with pytest.raises(CasehandError, match="a comment"):
        comments.comment(ledger, case, text, "m.sample")
    with pytest.raises(NoSuchCase):
        comments.comment(ledger, "nowhere", "something", "m.sample")


def test_a_due_date_is_that_of_the_case_and_of_what_it_waits_for(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, row_of: RowOf
) -> None:
    case = take_in()
    escalate(case)

    urgency.set_due(ledger, case, DUE, "s.sample")
    assert (row_of(case).due, waiting(ledger)[0].due) == (DUE, DUE)
    urgency.set_due(ledger, case, None, "s.sample")
    assert (row_of(case).due, waiting(ledger)[0].due) == (None, None)


@pytest.mark.parametrize("state", [State.DONE, State.CLOSED, State.CANCELLED])
def test_what_is_over_is_not_urgent(ledger: Ledger, take_in: TakeIn, row_of: RowOf, state: State) -> None:
    case = take_in(state=state)

    with pytest.raises(CasehandError, match=f"the case is {state}"):
        urgency.set_due(ledger, case, DUE, "s.sample")
    with pytest.raises(CasehandError, match=f"the case is {state}"):
        urgency.set_priority(ledger, case, 1, "s.sample")
    assert (row_of(case).due, row_of(case).priority) == (None, 0)


def test_a_priority_is_within_bounds(ledger: Ledger, take_in: TakeIn, row_of: RowOf) -> None:
    case = take_in()

    urgency.set_priority(ledger, case, -5, "s.sample")
    assert row_of(case).priority == -5
    for wrong in (1_001, -1_001, 2**40):
        with pytest.raises(CasehandError, match="a number from -1000 to 1000"):
            urgency.set_priority(ledger, case, wrong, "s.sample")


def test_similar_ones_wait_in_the_same_workflow_for_the_same_reason(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate
) -> None:
    digests = {
        "HB000001": b"one",
        "HB000002": b"one",
        "HB000003": b"two",
        "HB000004": b"one",
        "HB000005": None,
    }
    cases = {reference: take_in(reference) for reference in digests}
    elsewhere = take_in("HB000006", workflow="council-tax/moves")
    for case in (*cases.values(), elsewhere):
        escalate(case)
    with ledger.writing() as connection:
        for case, digest in [*zip(cases.values(), digests.values(), strict=True), (elsewhere, b"one")]:
            table = schema.escalations
            connection.execute(update(table).where(table.c.case == case).values(alike=digest))
    escalations.close(ledger, cases["HB000004"], "a person", "by hand")
    shown = {one.reference: one.id for one in waiting(ledger)}

    def alike(reference: str, workflows: set[str] | None = None) -> list[str]:
        return [one.reference for one in similar(ledger, shown[reference], workflows)]

    assert alike("HB000001") == ["HB000002"]
    assert alike("HB000003") == alike("HB000005") == []
    assert alike("HB000001", {"council-tax/moves"}) == []
    assert alike("HB000001", {"housing-benefit/rent-change"}) == ["HB000002"]
