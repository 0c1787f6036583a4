"""A batch that goes wrong stops itself, once, whoever notices, with many workers on both databases."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import func, select

from casehand.queue import attempts, endings, escalations, pauses, schema
from casehand.queue.attempts import Begun
from casehand.queue.backoff import Backoff
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.notices import notices
from casehand.queue.outcome import Done, Escalated, EscalationKind
from casehand.queue.pauses import PauseKind, all_pauses
from casehand.queue.policy import BatchStop
from casehand.queue.state import State
from casehand.queue.stopping import CASEHAND, LATER, stop_if_wrong

TakeIn = Callable[..., str]
BATCH = "november"
WRONG = Escalated(EscalationKind.BUSINESS, "the claim HB000125 is closed")


@pytest.fixture(autouse=True)
def rule(ledger: Ledger, known: str) -> None:
    """More than half of the first four."""
    make_known(ledger, known, ["benefits"], timedelta(minutes=5), stop=BatchStop(first=4))


@pytest.fixture
def work(ledger: Ledger, begin: Callable[..., Begun]) -> Callable[..., bool]:
    """Works a case to an end as a worker does; whether its batch stopped itself by that."""

    def to(case: str, outcome: Done | Escalated = WRONG) -> bool:
        state = endings.end(ledger, begin(case), outcome, "[]", Backoff(), 0.0)
        return state is State.ESCALATED and stop_if_wrong(ledger, case)

    return to


def _batch(take_in: TakeIn, number: int, batch: str | None = BATCH) -> list[str]:
    return [take_in(f"HB{line:06}", batch=batch, line=line) for line in range(number)]


def test_it_stops_when_more_than_the_share_of_its_first_cases_wait_for_one_reason(
    ledger: Ledger, take_in: TakeIn, work: Callable[..., bool]
) -> None:
    cases = _batch(take_in, 6)

    assert [work(case) for case in cases[:3]] == [False, False, True]

    (paused,) = all_pauses(ledger)
    assert (paused.kind, paused.name, paused.paused_by) == (PauseKind.BATCH, BATCH, CASEHAND)
    assert paused.reason == "it stopped itself: 3 of its first cases need a person for the same reason"
    assert attempts.begin(ledger, cases[3], 1, "worker-1") is None
    assert f"batch {BATCH}" in [notice.subject for notice in notices(ledger)]


def test_it_goes_on_where_the_reasons_differ_or_enough_are_done(
    ledger: Ledger, take_in: TakeIn, work: Callable[..., bool]
) -> None:
    reasons = ("the claim is closed", "no such claim", "the claim is closed", "no such claim")
    for case, reason in zip(_batch(take_in, 4), reasons, strict=True):
        assert not work(case, Escalated(EscalationKind.BUSINESS, reason))
    second = _batch(lambda reference, **columns: take_in(f"P{reference}", **columns), 6, "december")
    outcomes = [Done(None), WRONG, Done(None), WRONG, WRONG, WRONG]

    assert not any(work(case, outcome) for case, outcome in zip(second, outcomes, strict=True))
    assert all_pauses(ledger) == []


def test_reasons_that_differ_in_their_numbers_are_the_same(
    take_in: TakeIn, work: Callable[..., bool]
) -> None:
    cases = _batch(take_in, 3)
    ended = [
        work(case, Escalated(EscalationKind.BUSINESS, f"the claim HB{number:06} is closed"))
        for number, case in enumerate(cases)
    ]

    assert ended == [False, False, True]


def test_resumed_by_a_person_it_does_not_stop_itself_again(
    ledger: Ledger, take_in: TakeIn, work: Callable[..., bool]
) -> None:
    cases = _batch(take_in, 6)
    for case in cases[:3]:
        work(case)
    pauses.resume(ledger, PauseKind.BATCH, BATCH, "a person")

    assert not any(work(case) for case in cases[3:])
    assert all_pauses(ledger) == []


def test_one_that_a_person_had_paused_is_looked_at_again_when_it_goes_on(
    ledger: Ledger, take_in: TakeIn, begin: Callable[..., Begun], work: Callable[..., bool]
) -> None:
    cases = _batch(take_in, 6)
    work(cases[0])
    work(cases[1])
    begun = begin(cases[2])
    pauses.pause(ledger, PauseKind.BATCH, BATCH, "a look", "a person")
    endings.end(ledger, begun, WRONG, "[]", Backoff(), 0.0)
    assert not stop_if_wrong(ledger, cases[2])
    pauses.resume(ledger, PauseKind.BATCH, BATCH, "a person")

    assert work(cases[3])


def test_it_stops_though_many_of_its_cases_were_put_before_a_person_without_a_robot(
    ledger: Ledger, take_in: TakeIn, work: Callable[..., bool]
) -> None:
    cases = _batch(take_in, 4)
    for line in range(4, LATER + 10):
        take_in(f"HB{line:06}", batch=BATCH, line=line, state="escalated")

    assert [work(case) for case in cases[:3]] == [False, False, True]


def test_what_a_person_has_answered_or_sent_back_does_not_count(
    ledger: Ledger, take_in: TakeIn, work: Callable[..., bool]
) -> None:
    cases = _batch(take_in, 4)
    work(cases[0])
    work(cases[1])
    escalations.send_back(ledger, cases[0], "a person")

    assert not work(cases[2])


def test_a_workflow_may_have_it_off_and_a_case_without_a_batch_stops_nothing(
    ledger: Ledger, known: str, take_in: TakeIn, work: Callable[..., bool]
) -> None:
    assert not any(work(take_in(f"X{number}")) for number in range(5))
    make_known(ledger, known, ["benefits"], timedelta(minutes=5), stop=None)

    assert not any(work(case) for case in _batch(take_in, 5))


@pytest.mark.parametrize("rule", [{"share": 1.0}, {"share": -0.1}, {"first": 0}, {"first": 1_001}])
def test_a_rule_that_cannot_be_kept_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a batch stops at a share"):
        BatchStop(**rule)


@pytest.mark.parametrize("turn", range(4))
def test_workers_that_end_their_cases_at_once_stop_it_once(
    ledger: Ledger, take_in: TakeIn, begin: Callable[..., Begun], turn: int
) -> None:
    begun = [begin(case) for case in _batch(take_in, 4)]
    together = Barrier(4)

    def end(one: Begun) -> bool:
        together.wait()
        endings.end(ledger, one, WRONG, "[]", Backoff(), 0.0)
        return stop_if_wrong(ledger, one.case)

    with ThreadPoolExecutor(4) as pool:
        stopped = list(pool.map(end, begun))

    entries = schema.audit.c
    paused = select(func.count()).where(entries.subject == f"batch {BATCH}", entries.action == "paused")
    with ledger.reading() as connection:
        assert connection.execute(paused).scalar_one() == 1
    assert stopped.count(True) == 1
