"""Batches, and what came of those that are over."""

from collections.abc import Callable

from sqlalchemy import delete, select

from casehand.queue import batches, escalations, schema
from casehand.queue.attempts import Begun
from casehand.queue.cases import counts, counts_by_batch
from casehand.queue.ledger import Ledger
from casehand.queue.state import State

TakeIn = Callable[..., str]
Escalate = Callable[..., Begun]

NONE = {str(state): 0 for state in State}


def test_the_counts_are_the_same_whether_a_batch_has_been_noted_or_not(
    ledger: Ledger, take_in: TakeIn, known: str
) -> None:
    states = ("done", "done", "closed", "cancelled", "done")
    for number, state in enumerate(states):
        take_in(f"HB00000{number}", batch="november", state=state)
    take_in("HB000010", batch="december")
    take_in("HB000011")

    def told() -> list[object]:
        alone = (counts(ledger, batch="november"), counts(ledger, batch="november", workflow="other"))
        return [counts(ledger), counts(ledger, workflow=known), *alone, counts_by_batch(ledger)]

    before = told()
    batches.note_finished(ledger)

    assert _noted(ledger) == {"november": (3, 1, 1), "december": None}
    assert told() == before
    assert before[2] == {**NONE, "done": 3, "closed": 1, "cancelled": 1}


def test_a_finished_batch_is_counted_without_looking_at_its_cases(ledger: Ledger, take_in: TakeIn) -> None:
    take_in("HB000001", batch="november", state="done")
    batches.note_finished(ledger)
    with ledger.writing() as connection:
        connection.execute(delete(schema.cases))

    assert counts(ledger) == {**NONE, "done": 1}


def test_a_batch_with_a_case_in_front_of_a_person_is_not_over(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, known: str
) -> None:
    case = take_in(batch="november")
    escalate(case)
    batches.note_finished(ledger)
    assert _noted(ledger) == {"november": None}
    assert counts(ledger) == {**NONE, "escalated": 1}

    escalations.close(ledger, case, "a person", "done by hand")
    batches.note_finished(ledger)

    assert _noted(ledger) == {"november": (0, 1, 0)}
    assert counts(ledger) == {**NONE, "closed": 1}


def _noted(ledger: Ledger) -> dict[str, tuple[int, int, int] | None]:
    table = schema.batches.c
    with ledger.reading() as connection:
        rows = connection.execute(select(table.id, table.done, table.closed, table.cancelled)).all()
    return {row.id: None if row.done is None else (row.done, row.closed, row.cancelled) for row in rows}
