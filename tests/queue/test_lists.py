"""Lists in each order and of each part, paged: always what a plain look through all cases gives."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import product
from random import Random
from typing import Any

import pytest

from casehand.exceptions import CasehandError
from casehand.queue import escalations
from casehand.queue.attempts import Begun
from casehand.queue.cases import (
    CaseFilter,
    CaseLine,
    CaseSort,
    counts,
    counts_by_batch,
    find_cases,
    how_many,
    list_cases,
)
from casehand.queue.escalations import Escalation, EscalationFilter, list_waiting
from casehand.queue.ledger import Ledger
from casehand.queue.lists import MOST_BRANCHES
from casehand.queue.outcome import EscalationKind
from casehand.queue.state import State

TakeIn = Callable[..., str]
Escalate = Callable[..., Begun]
PassTime = Callable[..., None]

WORKFLOWS = ("housing-benefit/rent-change", "council-tax/refund", "parking/permit")
SCOPES = (None, [], [WORKFLOWS[0]], WORKFLOWS[1:], WORKFLOWS)


@pytest.fixture
def many(ledger: Ledger, take_in: TakeIn, pass_time: PassTime) -> list[CaseLine]:
    """Sixty cases of all kinds, some of which came in, were moved or are due at one moment."""
    chance = Random(5)
    for number in range(60):
        now = ledger.clock()
        take_in(
            f"X{number:03}",
            batch=chance.choice([None, "november", "december"]),
            workflow=chance.choice(WORKFLOWS),
            state=chance.choice(list(State)),
            line=chance.randrange(3),
            changed_at=now + timedelta(hours=chance.randrange(5)),
            due=chance.choice([None, now + timedelta(days=chance.randrange(3))]),
        )
        pass_time(minutes=chance.randrange(2))
    return find_cases(ledger)


def _pages(look: Callable[..., list[CaseLine]], by: CaseSort, size: int) -> Iterator[CaseLine]:
    after = None
    while page := look(limit=size, after=after):
        yield from page
        after = page[-1].place(by)


def _key(by: CaseSort) -> Callable[[CaseLine], Any]:
    return {
        CaseSort.ARRIVAL: lambda line: 0,
        CaseSort.CHANGED: lambda line: (line.changed_at, line.id),
        CaseSort.DUE: lambda line: (line.due, line.id),
    }[by]


@pytest.mark.parametrize("by", CaseSort)
def test_cases_are_listed_in_each_order_both_ways_within_what_may_be_seen(
    ledger: Ledger, many: list[CaseLine], by: CaseSort
) -> None:
    for scope, state, backwards in product(SCOPES, (None, *State), (False, True)):
        which = CaseFilter(workflows=scope, state=state)
        expected = [
            line
            for line in many
            if (scope is None or line.workflow in scope)
            and (state is None or line.state is state)
            and (by is not CaseSort.DUE or line.due is not None)
        ]
        expected.sort(key=_key(by))
        if backwards:
            expected.reverse()

        def look(which: CaseFilter = which, backwards: bool = backwards, **more: Any) -> list[CaseLine]:
            return list_cases(ledger, which, by, backwards, **more)

        assert look() == expected
        assert list(_pages(look, by, 4)) == expected
        assert by is CaseSort.DUE or how_many(ledger, which, 1_000) == len(expected)


def test_cases_are_listed_by_everything_that_may_be_asked(ledger: Ledger, many: list[CaseLine]) -> None:
    middle = many[30].handed_in_at

    def found(**which: Any) -> list[CaseLine]:
        return list_cases(ledger, CaseFilter(**which))

    assert found(since=middle) == [line for line in many if line.handed_in_at >= middle]
    assert found(until=middle) == [line for line in many if line.handed_in_at < middle]
    assert found(batch="november", state=State.DONE) == [
        line for line in many if line.batch == "november" and line.state is State.DONE
    ]
    one = [line for line in many if line.workflow == WORKFLOWS[1]]
    assert found(workflow=WORKFLOWS[1], workflows=WORKFLOWS[:2]) == one
    assert found(workflow=WORKFLOWS[1], workflows=WORKFLOWS[:1]) == []
    assert found(reference=many[7].reference) == [many[7]]
    assert how_many(ledger, CaseFilter(), most=7) == 7
    crowd = [f"workflow-{number}" for number in range(MOST_BRANCHES)]
    assert found(workflows=[*crowd, WORKFLOWS[1]]) == one


def test_cases_are_listed_by_the_kind_of_what_they_wait_with(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate
) -> None:
    escalate(take_in("HB000001"))
    escalate(take_in("HB000002"), EscalationKind.FAILURE)
    settled = take_in("HB000003")
    escalate(settled, EscalationKind.FAILURE)
    escalations.close(ledger, settled, "a person", "by hand")

    failed = list_cases(ledger, CaseFilter(kind=EscalationKind.FAILURE))
    assert [line.reference for line in failed] == ["HB000002"]


def test_a_list_by_change_goes_on_where_it_was_though_the_case_has_moved_since(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, pass_time: PassTime
) -> None:
    for number in range(5):
        take_in(f"HB00000{number}")
        pass_time(seconds=1)
    first = list_cases(ledger, CaseFilter(), CaseSort.CHANGED, limit=2)
    escalate(first[-1].id)

    rest = list_cases(ledger, CaseFilter(), CaseSort.CHANGED, after=first[-1].place(CaseSort.CHANGED))

    assert [line.reference for line in rest] == ["HB000002", "HB000003", "HB000004", "HB000001"]


@pytest.mark.parametrize("wrong", ["nobody", "yesterday~x", "2026-04-06T09:00:00~x", "~"])
def test_what_is_no_place_in_a_list_is_refused(ledger: Ledger, wrong: str) -> None:
    with pytest.raises(CasehandError, match="there is no"):
        list_cases(ledger, CaseFilter(), CaseSort.CHANGED, after=wrong)


def test_counts_are_of_what_a_person_may_see(ledger: Ledger, many: list[CaseLine]) -> None:
    for scope in SCOPES:
        seen = [line for line in many if scope is None or line.workflow in scope]
        assert sum(counts(ledger, workflows=scope).values()) == len(seen)
        by_batch = counts_by_batch(ledger, workflows=scope)
        assert {(row["batch"], row["workflow"]) for row in by_batch} == {
            (line.batch, line.workflow) for line in seen
        }


def test_what_waits_is_listed_both_ways_by_kind_time_and_what_may_be_seen(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, pass_time: PassTime
) -> None:
    chance = Random(7)
    times: dict[str, datetime] = {}
    for number in range(24):
        case = take_in(f"X{number:03}", workflow=chance.choice(WORKFLOWS))
        escalate(case, chance.choice([EscalationKind.BUSINESS, EscalationKind.FAILURE]))
        times[case] = ledger.clock()
        pass_time(minutes=chance.randrange(2))
    whole = escalations.waiting(ledger)
    middle = whole[12].opened_at

    for scope, backwards in product(SCOPES, (False, True)):
        expected = [one for one in whole if scope is None or one.workflow in scope]
        if backwards:
            expected.reverse()
        found: list[Escalation] = []
        which = EscalationFilter(workflows=scope)
        while page := list_waiting(
            ledger, which, backwards=backwards, limit=5, after=found[-1].case if found else None
        ):
            found += page
        assert found == expected
    kind = EscalationKind.FAILURE
    assert list_waiting(ledger, EscalationFilter(kind=kind)) == [one for one in whole if one.kind is kind]
    later = EscalationFilter(since=middle)
    assert list_waiting(ledger, later) == [one for one in whole if one.opened_at >= middle]
    earlier = EscalationFilter(until=middle)
    assert list_waiting(ledger, earlier) == [one for one in whole if one.opened_at < middle]
    with pytest.raises(CasehandError, match="no such reasons"):
        list_waiting(ledger, EscalationFilter(alike="not hexadecimal"))
