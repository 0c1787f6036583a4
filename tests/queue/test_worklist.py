"""The worklist: each order against a plain sort, page by page, on both databases."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from casehand.exceptions import CasehandError
from casehand.queue import assignments, escalations, schema
from casehand.queue.escalations import EscalationFilter
from casehand.queue.ledger import Ledger
from casehand.queue.needs import needs_by_kind
from casehand.queue.outcome import EscalationKind
from casehand.queue.worklist import (
    Due,
    Listed,
    Order,
    count_waiting,
    find_settled,
    shared_references,
    waiting_under,
    worklist,
)

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
ALL = EscalationFilter()


@pytest.fixture
def many(ledger: Ledger, take_in: Callable[..., str], escalate: Callable[..., Any]) -> list[str]:
    """Thirteen cases that wait, with due dates before and after now, and priorities, some of them the same."""
    now = ledger.clock()
    cases = []
    for number in range(13):
        due = None if number % 3 == 0 else now + timedelta(hours=6 * (number % 5 - 2))
        kind = EscalationKind.QUESTION if number % 4 == 0 else EscalationKind.BUSINESS
        case = take_in(
            f"HB{number:06}",
            due=due,
            may_be_late=True,
            priority=number % 2,
            handed_in_at=now - timedelta(hours=number % 7),
            workflow="housing/one" if number % 2 else "housing/two",
        )
        escalate(case, kind)
        cases.append(case)
    opened = schema.escalations.c
    with ledger.writing() as connection:
        for number, case in enumerate(cases):
            # As time goes on; three of them at one moment.
            at = now - timedelta(minutes=number // 3)
            connection.execute(update(schema.escalations).where(opened.case == case).values(opened_at=at))
    return cases


def _pages(
    ledger: Ledger, which: EscalationFilter, by: Order, backwards: bool, size: int, due: Due | None = None
) -> list[Listed]:
    found: list[Listed] = []
    after = None
    while True:
        page = worklist(ledger, which, by, backwards, due=due, limit=size, after=after)
        found += page
        if len(page) < size:
            return found
        after = page[-1].place


@pytest.mark.parametrize("size", [1, 2, 5, 13, 50])
@pytest.mark.parametrize(("by", "backwards"), [(Order.OPENED, False), (Order.OPENED, True)])
def test_the_list_goes_by_since_when_each_waits(
    ledger: Ledger, many: list[str], by: Order, backwards: bool, size: int
) -> None:
    found = _pages(ledger, ALL, by, backwards, size)
    assert {one.case for one in found} == set(many)
    assert found == sorted(found, key=lambda one: (one.opened_at, one.id), reverse=backwards)


@pytest.mark.parametrize("size", [1, 3, 50])
@pytest.mark.parametrize("backwards", [False, True])
def test_the_list_goes_by_due_date_and_those_without_come_last(
    ledger: Ledger, many: list[str], backwards: bool, size: int
) -> None:
    found = _pages(ledger, ALL, Order.DUE, backwards, size)
    assert sorted(one.case for one in found) == sorted(many)
    dated = [one.due for one in found if one.due is not None]
    assert dated == sorted(dated, reverse=backwards)
    assert [one.due for one in found[len(dated) :]] == [None] * (len(found) - len(dated))


@pytest.mark.parametrize("size", [1, 4, 50])
def test_the_most_urgent_come_first(ledger: Ledger, many: list[str], size: int) -> None:
    found = _pages(ledger, ALL, Order.URGENT, False, size)
    assert sorted(one.case for one in found) == sorted(many)
    now = ledger.clock()
    overdue = [one for one in found if one.due is not None and one.due < now]
    rest = found[len(overdue) :]
    assert found[: len(overdue)] == sorted(overdue, key=lambda one: (one.due or LAST, one.case))
    assert [one.priority for one in rest] == sorted((one.priority for one in rest), reverse=True)
    assert overdue
    assert len({one.priority for one in rest}) > 1


@pytest.mark.parametrize("by", list(Order))
def test_filters_and_what_one_may_see_narrow_every_order(ledger: Ledger, many: list[str], by: Order) -> None:
    assignments.take(ledger, many[3], "a.person")
    everything = _pages(ledger, ALL, by, False, 50)

    def narrowed(**given: Any) -> list[str]:
        return [one.case for one in _pages(ledger, EscalationFilter(**given), by, False, 4)]

    def kept(wanted: Callable[[Listed], bool]) -> list[str]:
        return [one.case for one in everything if wanted(one)]

    assert narrowed(kind=EscalationKind.QUESTION) == kept(lambda one: one.kind is EscalationKind.QUESTION)
    assert narrowed(workflows=["housing/one"]) == kept(lambda one: one.workflow == "housing/one")
    assert narrowed(workflow="housing/two", workflows=["housing/one"]) == []
    assert narrowed(workflows=[]) == []
    assert narrowed(assigned_to="a.person") == [many[3]]
    assert narrowed(unassigned=True) == kept(lambda one: one.case != many[3])
    assert narrowed(batch="half a \ud800 pair") == []


@pytest.mark.parametrize("due", list(Due))
def test_the_list_is_narrowed_by_when_it_is_due(ledger: Ledger, many: list[str], due: Due) -> None:
    now = ledger.clock()
    wanted = {
        Due.OVERDUE: lambda one: one.due is not None and one.due < now,
        Due.SOON: lambda one: one.due is not None and one.due >= now,
        Due.NONE: lambda one: one.due is None,
    }[due]
    everything = _pages(ledger, ALL, Order.DUE, False, 50)
    found = _pages(ledger, ALL, Order.DUE, False, 3, due)
    assert found
    assert [one.case for one in found] == [one.case for one in everything if wanted(one)]


def test_a_place_is_good_after_what_stood_there_was_settled(ledger: Ledger, many: list[str]) -> None:
    first = worklist(ledger, ALL, limit=5)
    rest = worklist(ledger, ALL, limit=50, after=first[-1].place)
    escalations.close(ledger, first[-1].case, "a.person", "done")
    assert worklist(ledger, ALL, limit=50, after=first[-1].place) == rest


@pytest.mark.parametrize(
    "place",
    [
        "",
        "x",
        "0",
        "2~a",
        "0~a~b",
        "1~1~2~3",
        "0~2026-01-01~a",
        "1~9e9~x~x~x~x",
        "0~2026-01-01T00:00:00+00:00~\0",
    ],
)
def test_what_is_no_place_is_refused(ledger: Ledger, place: str) -> None:
    with pytest.raises(CasehandError, match="no such place"):
        worklist(ledger, ALL, limit=5, after=place)


def test_those_that_wait_are_counted(ledger: Ledger, many: list[str]) -> None:
    assignments.take(ledger, many[0], "a.person")
    assignments.take(ledger, many[1], "b.person")
    counted = count_waiting(ledger, ALL, "a.person", needs_by_kind(ledger))
    assert (counted.all, counted.unassigned, counted.mine) == (13, 11, 1)
    one = EscalationFilter(workflows=["housing/one"])
    of_one = count_waiting(ledger, one, "b.person", needs_by_kind(ledger, {"housing/one"}))
    assert (of_one.all, of_one.unassigned, of_one.mine) == (6, 5, 1)
    nothing = count_waiting(ledger, EscalationFilter(workflows=[]), "a.person", needs_by_kind(ledger, set()))
    assert (nothing.all, nothing.unassigned, nothing.mine) == (0, 0, 0)


def test_a_reference_may_be_shared_by_cases_of_several_workflows(
    ledger: Ledger, many: list[str], take_in: Callable[..., str], escalate: Callable[..., Any]
) -> None:
    escalate(take_in("HB000001", workflow="housing/three"))
    assert shared_references(ledger, ["HB000001", "HB000002"]) == {"HB000001"}
    found = waiting_under(ledger, "HB000001", None, None)
    assert [one.workflow for one in found] == ["housing/one", "housing/three"]
    assert len(waiting_under(ledger, "HB000001", None, {"housing/one"})) == 1
    assert len(waiting_under(ledger, "HB000001", "housing/three", None)) == 1


def test_only_who_has_settled_it_finds_it_settled(ledger: Ledger, many: list[str]) -> None:
    (one,) = worklist(ledger, ALL, limit=1)
    assert find_settled(ledger, one.id, "a.person") is None
    escalations.close(ledger, one.case, "a.person", "done")
    settled = find_settled(ledger, one.id, "a.person")
    assert settled is not None
    assert (settled.reference, settled.settlement) == (one.reference, "closed")
    assert find_settled(ledger, one.id, "b.person") is None
