"""How the lists, the search, the audit and the figures are read: by an index, in few statements, on SQLite.

SQLite chooses by the shape of a statement and its indexes, not by how many rows there are: what is read by an index
here is so in a ledger with a million cases.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy import event, insert

from casehand.queue import bulk, runs, schedules, schema
from casehand.queue.attempts import Begun
from casehand.queue.audit import EntryFilter, find_entries
from casehand.queue.bulk import BulkAction, list_bulks
from casehand.queue.bulk_filter import BulkFilter
from casehand.queue.cases import CaseFilter, CaseSort, counts, how_many, list_cases
from casehand.queue.chain import link_new
from casehand.queue.escalations import EscalationFilter, list_waiting
from casehand.queue.figures import LONDON, overview
from casehand.queue.ledger import Ledger
from casehand.queue.messages import MessageState, Wording, Writing, find_messages, write
from casehand.queue.occasions import Occasion, What, untold
from casehand.queue.outcome import EscalationKind
from casehand.queue.rolling import roll_up
from casehand.queue.rules import Rule
from casehand.queue.schedules import Plan, RunState
from casehand.queue.search import search
from casehand.queue.similar import waiting_by_reason
from casehand.queue.state import State
from casehand.queue.worklist import Due, Order, shared_references, waiting_under, worklist

LARGE = ("cases", "escalations", "words", "audit", "commits")

READ_IN_PART = (
    "ix_cases_came_in",
    "ix_escalations_waiting",
    "ix_escalations_waiting_workflow",
    "ix_escalations_waiting_reason",
    "ix_audit_at",
)
"""Indexes that are gone through, in their order, only as far as a page needs, or that hold only what waits."""

MOST_STATEMENTS = 20
EVERYTHING_OF_B = BulkFilter(workflow="b")

Look = Callable[[Ledger], object]


def _looks() -> Iterator[tuple[str, Look]]:
    scopes = (None, ["a"], ["a", "b"])
    for scope, by, state in product(scopes, CaseSort, (None, State.DONE)):
        which = CaseFilter(workflows=scope, state=state)
        yield f"cases {which} by {by}", lambda ledger, w=which, b=by: list_cases(ledger, w, b, limit=50)
        both = CaseFilter(batch="november", workflows=scope, state=state)
        yield f"cases {both} by {by}", lambda ledger, w=both, b=by: list_cases(ledger, w, b, limit=50)
    for scope in scopes:
        yield f"count {scope}", lambda ledger, s=scope: counts(ledger, workflows=s)
        kind = CaseFilter(workflows=scope, kind=EscalationKind.FAILURE)
        yield f"kind {scope}", lambda ledger, w=kind: list_cases(ledger, w, limit=50)
        yield f"how many {scope}", lambda ledger, w=kind: how_many(ledger, w, 1_000)
        waits = EscalationFilter(workflows=scope)
        yield f"waiting {scope}", lambda ledger, w=waits: list_waiting(ledger, w, limit=50)
        yield f"by reason {scope}", lambda ledger, s=scope: waiting_by_reason(ledger, s)
        for text in ("HB", "november", "claim", "the claim is closed"):
            yield f"search {text} {scope}", lambda ledger, t=text, s=scope: search(ledger, t, s, 50)
        yield f"figures {scope}", lambda ledger, s=scope: _figures(ledger, s)
    for entries in (
        EntryFilter(),
        EntryFilter(actor="a"),
        EntryFilter(action="done"),
        EntryFilter(subject="x"),
    ):
        yield f"audit {entries}", lambda ledger, w=entries: find_entries(ledger, w, limit=50)
    yield "linking", link_new
    yield "rolling up", lambda ledger: roll_up(ledger, LONDON)


def _figures(ledger: Ledger, scope: list[str] | None) -> object:
    today: date = ledger.clock().date()
    return overview(ledger, today - timedelta(days=30), today, LONDON, scope)


LOOKS = dict(_looks())

BY_TIME: dict[str, Callable[[Ledger, int | None, bool], Sequence[Any]]] = {
    "the audit": lambda ledger, after, oldest: find_entries(
        ledger, limit=2, after=after, oldest_first=oldest
    ),
    "the audit of somebody": lambda ledger, after, oldest: find_entries(
        ledger, EntryFilter(actor="a person"), 2, after, oldest_first=oldest
    ),
    "the audit of an action": lambda ledger, after, oldest: find_entries(
        ledger, EntryFilter(action="bulk begun"), 2, after, oldest_first=oldest
    ),
    "messages": lambda ledger, after, oldest: find_messages(ledger, None, 2, after, oldest_first=oldest),
    "messages in a state": lambda ledger, after, oldest: find_messages(
        ledger, MessageState.WAITING, 2, after, oldest_first=oldest
    ),
    "actions on many": lambda ledger, after, oldest: list_bulks(ledger, None, 2, after, oldest_first=oldest),
    "actions on many of a workflow": lambda ledger, after, oldest: list_bulks(
        ledger, ["b"], 2, after, oldest_first=oldest
    ),
}
"""The lists that begin with the latest, or the other way round."""

EVERY_MINUTE = Plan("every-minute", Rule.from_cron("* * * * *", LONDON), "b")
OPEN, UNSEEN = "ix_schedule_slots_open", "ix_schedule_slots_unseen"

OF_SLOTS: dict[str, tuple[Look, str]] = {
    "the next to be run": (lambda ledger: runs.take(ledger, EVERY_MINUTE, "a scheduler"), OPEN),
    "when it is to be run": (lambda ledger: runs.tries_again_at(ledger, EVERY_MINUTE), OPEN),
    "what has come": (lambda ledger: schedules.write_due(ledger, EVERY_MINUTE, asked=True), OPEN),
    "what went wrong": (runs.gone_wrong, UNSEEN),
    "how much went wrong": (runs.count_unseen, UNSEEN),
    "what went wrong and is known": (lambda ledger: runs.note_seen(ledger, "every-minute", "a"), UNSEEN),
    "what is to be told": (lambda ledger: _untold_runs(ledger), UNSEEN),
}
"""What schedulers and tellers look for every second, and the index that holds no more than that."""


def _untold_runs(ledger: Ledger) -> object:
    with ledger.reading() as connection:
        return untold(connection, What.RUN, "a receiver", None, ledger.clock(), 10)


NARROWED = (
    EscalationFilter(),
    EscalationFilter(workflow="a"),
    EscalationFilter(workflows=["a"]),
    EscalationFilter(batch="november"),
    EscalationFilter(kind=EscalationKind.IN_DOUBT),
    EscalationFilter(kind=EscalationKind.FAILURE, workflow="a"),
    EscalationFilter(alike="00" * 16),
    EscalationFilter(alike="00" * 16, workflow="a"),
    EscalationFilter(alike="00" * 16, kind=EscalationKind.FAILURE, unassigned=True),
    EscalationFilter(unassigned=True, workflows=["a", "b"]),
)


@contextmanager
def _noted(ledger: Ledger) -> Iterator[list[tuple[str, Any]]]:
    asked: list[tuple[str, Any]] = []

    def note(connection: object, cursor: object, statement: str, parameters: Any, *others: object) -> None:
        if not statement.startswith("BEGIN"):
            asked.append((statement, parameters))

    event.listen(ledger.engine, "before_cursor_execute", note)
    yield asked
    event.remove(ledger.engine, "before_cursor_execute", note)


@pytest.fixture
def some(ledger: Ledger, take_in: Callable[..., str], escalate: Callable[..., Begun]) -> None:
    """A few cases, some of which ended and some of which wait."""
    for number in range(3):
        take_in(f"HB00000{number}", batch="november", state="done", workflow="a")
        escalate(take_in(f"HB00001{number}", workflow="b"), reason="the claim is closed")


@pytest.mark.usefixtures("some")
@pytest.mark.parametrize("name", LOOKS)
def test_no_large_table_is_gone_through(ledger: Ledger, name: str) -> None:
    with _noted(ledger) as asked:
        LOOKS[name](ledger)

    assert len(asked) < MOST_STATEMENTS
    if ledger.engine.dialect.name == "sqlite":
        assert _whole(ledger, asked) == []


@pytest.mark.usefixtures("some")
@pytest.mark.parametrize("due", [None, *Due])
@pytest.mark.parametrize("which", NARROWED, ids=str)
def test_the_worklist_is_read_in_its_order_and_never_sorted(
    ledger: Ledger, which: EscalationFilter, due: Due | None
) -> None:
    with _noted(ledger) as asked:
        for by, backwards in product((Order.URGENT, Order.DUE), (False, True)):
            worklist(ledger, which, by, backwards, due=due, limit=50)
        # By since when it waits, it is narrowed to dates as it is read, and to a batch.
        if which.batch is None:
            worklist(ledger, which, Order.OPENED, due=due, limit=50)

    assert asked
    if ledger.engine.dialect.name == "sqlite":
        steps = _steps(ledger, asked)
        assert [step for step in steps if "TEMP B-TREE" in step or step.startswith("SCAN cases")] == []
        assert all(_is_narrow(step, which) for step in steps if step.startswith("SEARCH cases"))


@pytest.mark.usefixtures("some")
def test_what_waits_under_a_reference_is_not_looked_for_among_all_that_waits(ledger: Ledger) -> None:
    with _noted(ledger) as asked:
        shared_references(ledger, ["HB000010", "HB000011"])
        waiting_under(ledger, "HB000010", None, None)
        waiting_under(ledger, "HB000010", "b", ["b"])

    assert len(asked) == 3
    if ledger.engine.dialect.name == "sqlite":
        looks = [step for step in _steps(ledger, asked) if " cases " in step]
        assert looks
        assert all("reference=?" in step for step in looks)


@pytest.mark.usefixtures("some")
@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("name", BY_TIME)
def test_what_is_listed_by_time_is_read_in_its_order_from_either_end_and_never_sorted(
    ledger: Ledger, name: str, oldest_first: bool
) -> None:
    for number in range(4):
        bulk.begin(ledger, BulkAction.RETURN, EVERYTHING_OF_B, "mended", "a person")
        _write_message(ledger, number)
    with _noted(ledger) as asked:
        page = BY_TIME[name](ledger, None, oldest_first)
        behind = BY_TIME[name](ledger, page[-1].id, oldest_first)

    assert (len(page), len(behind)) == (2, 2)
    assert not {one.id for one in page} & {one.id for one in behind}
    if ledger.engine.dialect.name == "sqlite":
        steps = _steps(ledger, asked)
        assert steps
        assert [step for step in steps if "TEMP B-TREE" in step] == []
        # By its number, which is its place, a message is read without another index.
        assert [step for step in steps if step.startswith("SCAN") and "INDEX" not in step] in (
            [],
            ["SCAN messages"],
        )


@pytest.mark.parametrize("name", OF_SLOTS)
def test_of_the_slots_of_years_only_those_that_are_open_or_unseen_are_looked_at(
    ledger: Ledger, name: str
) -> None:
    _write_slots(ledger, 3_000)
    look, index = OF_SLOTS[name]
    with _noted(ledger) as asked:
        look(ledger)

    of_slots = [one for one in asked if "schedule_slots" in one[0]]
    assert index in " ".join(_steps(ledger, of_slots))


def _write_slots(ledger: Ledger, number: int) -> None:
    now = ledger.clock()
    schedules.note(ledger, EVERY_MINUTE)
    rows = [
        {
            "schedule": EVERY_MINUTE.name,
            "at": now - timedelta(minutes=minutes + 2),
            "workflow": "b",
            "state": RunState.DONE,
            "not_before": now,
            "tries": 1,
            "ended_at": now,
            "accepted": 0,
            "rejected": 0,
            "batches": "[]",
            "concerns": False,
        }
        for minutes in range(number)
    ]
    with ledger.writing() as connection:
        connection.execute(insert(schema.schedule_slots), rows)
    if ledger.engine.dialect.name == "postgresql":
        with ledger.writing() as connection:
            connection.exec_driver_sql("ANALYZE schedule_slots")


def _write_message(ledger: Ledger, number: int) -> None:
    writing = Writing(
        "team", "team", What.ESCALATION, lambda _: Wording("a", "b"), lambda _: Wording("c", "d")
    )
    occasion = Occasion(What.ESCALATION, str(number), ledger.clock(), f"HB{number}", workflow="b")
    assert write(ledger, writing, [occasion]) == 1


def _is_narrow(step: str, which: EscalationFilter) -> bool:
    """Whether what the list is narrowed by is looked up, or else a week, and not looked for among all that waits."""
    by = {
        "escalated_alike": which.alike,
        "escalated_kind": which.kind if which.alike is None else None,
        "batch": which.batch,
        "workflow": which.workflow if which.alike is None and which.kind is None else None,
    }
    wanted = [column for column, value in by.items() if value is not None]
    looked_up = ("(id=?", "due>? AND due<?", *(f"{column}=?" for column in wanted))
    return not wanted or any(part in step for part in looked_up)


def _whole(ledger: Ledger, asked: list[tuple[str, Any]]) -> list[str]:
    scans = [step for step in _steps(ledger, asked) if step.startswith("SCAN ") and step.split()[1] in LARGE]
    return [step for step in scans if step.split()[-1] not in READ_IN_PART]


def _steps(ledger: Ledger, asked: list[tuple[str, Any]]) -> list[str]:
    """How the database goes about what is asked."""
    steps: list[str] = []
    with ledger.reading() as connection:
        for statement, parameters in asked:
            if not statement.startswith(("SELECT", "UPDATE")):
                continue
            if isinstance(parameters, tuple):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                steps += [row[3] for row in plan]
            else:
                steps += connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars()
    return steps
