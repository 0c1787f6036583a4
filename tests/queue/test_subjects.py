"""What the entries of the audit are to, and what was found when it was verified."""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import delete, select, update

from casehand.queue import audit, pauses, schema
from casehand.queue.audit import EntryFilter, all_actions, find_entries
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.pauses import PauseKind
from casehand.queue.subjects import Subject, cases_named, subjects_of
from casehand.queue.verification import last_verified, verify_and_note

TakeIn = Callable[..., str]


def _record(ledger: Ledger, action: str, subject: str = "audit") -> None:
    with ledger.writing() as connection:
        audit.record(connection, ledger.clock(), "a person", action, subject)


def test_subjects_have_the_names_that_people_know_and_their_workflows(
    ledger: Ledger, known: str, take_in: TakeIn
) -> None:
    make_known(ledger, "another", ["benefits"], timedelta(minutes=5))
    case = take_in("HB000125", batch="november")
    names = [
        case,
        "november",
        "batch november",
        "bot benefits",
        "workflow another",
        "everything",
        "bulk x",
        "7",
    ]
    assert subjects_of(ledger, names) == {
        case: Subject("case", "HB000125", frozenset({known})),
        "november": Subject("batch", "november", frozenset({known})),
        "batch november": Subject("batch", "november", frozenset({known})),
        "bot benefits": Subject("bot", "benefits", frozenset({known, "another"})),
        "workflow another": Subject("workflow", "another", frozenset({"another"})),
        "everything": Subject("everything", "everything"),
        "bulk x": Subject("bulk", "x"),
        "7": Subject("7", "7"),
    }


def test_every_case_of_a_reference_is_found(ledger: Ledger, known: str, take_in: TakeIn) -> None:
    first, second = take_in("HB000125", state="done"), take_in("HB000125")
    assert sorted(cases_named(ledger, "HB000125")) == sorted([first, second])
    assert cases_named(ledger, first) == [first]
    assert cases_named(ledger, "nothing") == []


def test_entries_of_several_subjects_are_one_list(ledger: Ledger) -> None:
    for subject in ("a", "b", "c", "a"):
        _record(ledger, "done", subject)
    found = find_entries(ledger, EntryFilter(subject=["a", "b"]))
    assert [one.subject for one in found] == ["a", "b", "a"]
    assert find_entries(ledger, EntryFilter(subject=[])) == []


def test_whatever_was_ever_done_is_known(ledger: Ledger) -> None:
    assert all_actions(ledger) == []
    for action in ("paused", "done", "paused", "closed"):
        _record(ledger, action)
    assert all_actions(ledger) == ["closed", "done", "paused"]


def test_what_a_verification_found_is_noted_and_told(ledger: Ledger) -> None:
    assert last_verified(ledger) is None
    pauses.pause(ledger, PauseKind.BOT, "benefits", "away", "a person")

    verdict = verify_and_note(ledger, "a supervisor")

    found = last_verified(ledger)
    assert found is not None
    assert (found.by, found.is_whole, found.found) == ("a supervisor", True, str(verdict.head))
    assert verify_and_note(ledger, "a supervisor").checked == 2
    with ledger.writing() as connection:
        connection.execute(update(schema.audit_head).values(length=1))
    verify_and_note(ledger, "another")
    found = last_verified(ledger)
    assert found is not None
    assert (found.by, found.is_whole) == ("another", False)
    assert "behind the head" in found.found or "place" in found.found


def test_a_verification_is_noted_even_where_the_head_is_gone(ledger: Ledger) -> None:
    _record(ledger, "done")
    with ledger.writing() as connection:
        connection.execute(delete(schema.audit_head))
    verify_and_note(ledger, "a supervisor")
    found = last_verified(ledger)
    assert found is not None
    assert (found.is_whole, found.found) == (False, "the head of the chain is gone")
    with ledger.reading() as connection:
        assert len(connection.execute(select(schema.audit.c.id)).all()) == 2
