"""Which case is worked next, counted in cases begun before it, with a real Valkey and on both databases."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import event, insert

from casehand.queue import attempts, schema
from casehand.queue.dispatch import AHEAD, Dispatcher
from casehand.queue.ledger import Ledger
from casehand.queue.order import EVERY, next_cases
from casehand.queue.pauses import PauseKind, pause
from casehand.queue.state import State

TakeIn = Callable[..., str]
PassTime = Callable[..., None]
MANY = 20_000
PLENTY = 100_000


@pytest.fixture
def dispatcher(ledger: Ledger, redis: Redis, known: str, pass_time: PassTime) -> Dispatcher:
    """A dispatcher at an empty Redis, for a known workflow, with the clock held still."""
    return Dispatcher(ledger, redis)


def _fill(ledger: Ledger, workflow: str, number: int, priority: int = 0) -> None:
    """So many queued cases, half of them with a due date, written at once."""
    now = ledger.clock()
    same: dict[str, Any] = {
        "workflow": workflow,
        "state": State.QUEUED,
        "priority": priority,
        "not_before": now,
        "attempts": 0,
        "failures": 0,
        "crashes": 0,
        "changed_at": now,
    }
    with ledger.writing() as connection:
        for start in range(0, number, 5_000):
            rows = [{**same, **_own(ledger, one)} for one in range(start, min(start + 5_000, number))]
            connection.execute(insert(schema.cases), rows)
        if ledger.engine.dialect.name == "postgresql":
            connection.exec_driver_sql("ANALYZE cases")  # as intake does


def _own(ledger: Ledger, one: int) -> dict[str, Any]:
    now, case = ledger.clock(), f"{one:032}"
    # Only the first are worked, so only they can be opened: a hundred thousand keys would take a minute.
    key, wrapped = ledger.vault.new_key(case) if one < 100 else (None, b"")
    return {
        "id": case,
        "reference": f"HB{one:06}",
        "line": one,
        "key": wrapped,
        "sealed_data": b"" if key is None else key.seal_text("{}"),
        "handed_in_at": now,
        "due": now + timedelta(days=3, minutes=one) if one % 2 else None,
    }


def _cases(dispatcher: Dispatcher) -> list[str]:
    return [job.rpartition("-")[0] for job in dispatcher.queue.get_job_ids()]


def _work(dispatcher: Dispatcher) -> Iterator[str]:
    """Begin one case after another as workers do, the queue topped up every few; those that were begun."""
    for number in range(1_000_000):
        if number % 4 == 0:
            dispatcher.top_up()
        job = dispatcher.redis.lpop(dispatcher.queue.key)
        if job is None:
            return
        case, _, attempt = bytes(job).decode().rpartition("-")
        if attempts.begin(dispatcher.ledger, case, int(attempt), "worker-1") is not None:
            yield case


def test_an_urgent_case_is_begun_before_all_of_twenty_thousand_that_wait(
    ledger: Ledger, dispatcher: Dispatcher, take_in: TakeIn, known: str
) -> None:
    _fill(ledger, known, MANY, priority=-5)
    begun = _work(dispatcher)
    for _ in range(8):
        next(begun)
    assert len(dispatcher.queue) > AHEAD - 10

    urgent = take_in("HB900000", priority=5)
    dispatcher.top_up()
    held_up_by = [case for case, _ in zip(iter(lambda: next(begun), urgent), range(100), strict=False)]

    assert held_up_by == []


def test_a_case_with_the_usual_priority_goes_ahead_of_lower_ones_that_were_handed_over(
    dispatcher: Dispatcher, take_in: TakeIn
) -> None:
    low = [take_in(f"HB00000{line}", line=line, priority=-1) for line in range(3)]
    dispatcher.top_up()
    usual = take_in("HB000009", line=9)

    assert dispatcher.top_up() == 1
    assert _cases(dispatcher) == [usual, *low]


def test_of_one_priority_what_is_due_first_goes_first_and_then_what_came_in_first(
    ledger: Ledger, dispatcher: Dispatcher, take_in: TakeIn
) -> None:
    now = ledger.clock()
    undated = [take_in(f"HB00000{line}", line=line) for line in (1, 2)]
    later = take_in("HB000003", line=3, due=now + timedelta(days=2))
    soon = [take_in(f"HB00001{line}", line=line, due=now + timedelta(days=1)) for line in (4, 5)]
    urgent = take_in("HB000006", line=6, priority=1)

    dispatcher.top_up()

    assert _cases(dispatcher) == [urgent, *soon, later, *undated]


def test_a_new_priority_moves_what_was_handed_over(dispatcher: Dispatcher, take_in: TakeIn) -> None:
    from casehand.queue.urgency import set_priority

    cases = [take_in(f"HB00000{line}", line=line) for line in range(4)]
    dispatcher.top_up()
    set_priority(dispatcher.ledger, cases[2], 3, "a person")

    assert dispatcher.top_up() == 0
    assert _cases(dispatcher) == [cases[2], cases[0], cases[1], cases[3]]


def test_of_every_ten_cases_begun_one_is_the_oldest_that_waits(
    ledger: Ledger, dispatcher: Dispatcher, take_in: TakeIn, pass_time: PassTime
) -> None:
    old = [take_in(f"HB00000{line}", line=line, priority=-9) for line in range(3)]
    pass_time(seconds=1)
    for line in range(60):
        take_in(f"HB1{line:05}", line=line, priority=9)

    begun = []
    for case, _ in zip(_work(dispatcher), range(31), strict=False):
        begun.append(case)
        pass_time(seconds=1)

    assert [begun.index(case) for case in old] == [EVERY - 1, 2 * EVERY - 1, 3 * EVERY - 1]


def test_where_all_are_worked_in_their_order_nobody_goes_ahead(
    dispatcher: Dispatcher, take_in: TakeIn
) -> None:
    cases = [take_in(f"HB{line:06}", line=line) for line in range(40)]

    assert list(_work(dispatcher)) == cases


def test_a_job_that_is_nobodys_any_more_does_not_keep_others_waiting(
    ledger: Ledger, dispatcher: Dispatcher, take_in: TakeIn
) -> None:
    paused = [take_in(f"HB00000{line}", line=line, batch="november") for line in range(3)]
    dispatcher.top_up()
    pause(ledger, PauseKind.BATCH, "november", "not yet", "a person")
    others = [take_in(f"HB00001{line}", line=10 + line) for line in range(3)]
    dispatcher.top_up()

    assert _cases(dispatcher) == [*others, *paused]


def test_the_next_cases_are_read_by_index_where_a_hundred_thousand_wait(
    ledger: Ledger, known: str, pass_time: PassTime
) -> None:
    _fill(ledger, known, PLENTY)
    asked: list[tuple[str, Any]] = []

    def note(connection: object, cursor: object, statement: str, parameters: Any, *others: object) -> None:
        if statement.startswith("SELECT cases"):
            asked.append((statement, parameters))

    event.listen(ledger.engine, "before_cursor_execute", note)
    found = next_cases(ledger, AHEAD)
    event.remove(ledger.engine, "before_cursor_execute", note)

    assert len(found) == AHEAD
    plans = [_plan(ledger, *one) for one in asked]
    assert len(plans) == 3
    assert "ix_cases_queued_order" in plans[0]
    assert "came_in" in plans[1]
    for plan in plans[:2]:
        assert "Sort" not in plan
        assert "TEMP B-TREE" not in plan
        assert "Seq Scan on cases" not in plan
    assert "ix_audit_action" in plans[2] or "Seq Scan on audit" in plans[2]


def _plan(ledger: Ledger, statement: str, parameters: Any) -> str:
    explain = "EXPLAIN QUERY PLAN" if ledger.engine.dialect.name == "sqlite" else "EXPLAIN"
    with ledger.reading() as connection:
        rows = connection.exec_driver_sql(f"{explain} {statement}", parameters).all()
    return "\n".join(str(row[-1]) for row in rows)
