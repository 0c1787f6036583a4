"""The breaker: a system that fails costs few attempts, one case at a time tries, and it never stays open."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from casehand.exceptions import CasehandError
from casehand.queue import attempts, endings
from casehand.queue.attempts import GRACE, LEASE, Begun
from casehand.queue.backoff import Backoff
from casehand.queue.breaker import BreakerPolicy, open_breakers
from casehand.queue.endings import Loss
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.notices import notices
from casehand.queue.outcome import Done, Escalated, EscalationKind, Failed, Outcome, Waiting
from casehand.queue.pauses import PauseKind, pause, resume
from casehand.queue.state import State

TakeIn = Callable[..., str]
Begin = Callable[..., Begun]
PassTime = Callable[..., None]
AuditOf = Callable[[str], list[tuple[str, str | None, str | None]]]

FAILED = Failed("the page is late")
DONE = Done(None)
BACKOFF = Backoff(limit=100)
OPENS_AT = BreakerPolicy().failures
LETTER, BOTH = "council-tax/letter", "both/change"


def _end(ledger: Ledger, begun: Begun, outcome: Outcome = FAILED) -> State | None:
    return endings.end(ledger, begun, outcome, "[]", BACKOFF, 0.0)


def _try(ledger: Ledger, case: str) -> Begun | None:
    """Begin the case as its next attempt, if it may be."""
    for number in range(1, 50):
        if (begun := attempts.begin(ledger, case, number, "worker-1")) is not None:
            return begun
    return None


def _open(ledger: Ledger) -> list[str]:
    return [breaker.bot for breaker in open_breakers(ledger)]


@pytest.fixture
def cases(known: str, take_in: TakeIn, pass_time: PassTime) -> list[str]:
    """More cases than open the breaker, all due."""
    return [take_in(f"HB{number:06}") for number in range(OPENS_AT + 4)]


@pytest.fixture
def broken(ledger: Ledger, cases: list[str], begin: Begin) -> list[str]:
    """The cases, after the breaker has opened; the last four were not touched."""
    for case in cases[:OPENS_AT]:
        assert _open(ledger) == []
        _end(ledger, begin(case))
    assert _open(ledger) == ["benefits"]
    return cases


def test_a_success_in_between_starts_the_count_afresh(ledger: Ledger, cases: list[str], begin: Begin) -> None:
    for case in cases[: OPENS_AT - 1]:
        _end(ledger, begin(case))
    _end(ledger, begin(cases[OPENS_AT - 1]), DONE)
    _end(ledger, begin(cases[OPENS_AT]))

    assert _open(ledger) == []


@pytest.mark.parametrize("kind", [EscalationKind.BUSINESS, EscalationKind.QUESTION])
def test_a_case_that_a_person_must_decide_shows_that_the_system_is_well(
    ledger: Ledger, cases: list[str], begin: Begin, kind: EscalationKind
) -> None:
    for case in cases[: OPENS_AT - 1]:
        _end(ledger, begin(case))
    _end(ledger, begin(cases[OPENS_AT - 1]), Escalated(kind, "the claim is closed", "{}"))
    _end(ledger, begin(cases[OPENS_AT]))

    assert _open(ledger) == []


def test_one_case_probes_after_each_pause_and_the_pauses_double_up_to_the_longest(
    ledger: Ledger, broken: list[str], pass_time: PassTime
) -> None:
    for seconds in (30, 60, 120, 240, 480, 900, 900):
        pass_time(seconds=seconds - 0.001)
        assert [case for case in broken if _try(ledger, case)] == []
        pass_time(seconds=0.001)
        (probe,) = [begun for case in broken if (begun := _try(ledger, case))]
        assert _end(ledger, probe) is State.QUEUED


def test_a_probe_that_fails_costs_its_case_nothing(
    ledger: Ledger, broken: list[str], pass_time: PassTime, row_of: Callable[[str], Any]
) -> None:
    pass_time(seconds=30)
    probe = _try(ledger, broken[-1])
    assert probe is not None

    assert _end(ledger, probe) is State.QUEUED
    assert (row_of(broken[-1]).failures, row_of(broken[-1]).crashes) == (0, 0)
    assert row_of(broken[-1]).not_before == ledger.clock()


def test_a_probe_that_gets_through_lets_the_others_go_on(
    ledger: Ledger, broken: list[str], pass_time: PassTime, audit_of: AuditOf
) -> None:
    pass_time(seconds=30)
    probe = _try(ledger, broken[-1])
    assert probe is not None
    _end(ledger, probe, DONE)

    assert _open(ledger) == []
    assert all(_try(ledger, case) for case in broken[:-1])
    assert [action for action, _, _ in audit_of("bot benefits")] == ["breaker opened", "breaker closed"]


def test_who_was_in_the_middle_of_a_case_when_it_opened_pays_nothing_and_may_close_it(
    ledger: Ledger, cases: list[str], begin: Begin, row_of: Callable[[str], Any]
) -> None:
    fails, gets_through = begin(cases[-1]), begin(cases[-2])
    for case in cases[:OPENS_AT]:
        _end(ledger, begin(case))
    probe_at = open_breakers(ledger)[0].probe_at

    assert _end(ledger, fails) is State.QUEUED
    assert row_of(fails.case).failures == 0
    assert open_breakers(ledger)[0].probe_at == probe_at
    assert _end(ledger, gets_through, DONE) is State.DONE
    assert _open(ledger) == []


@pytest.mark.parametrize(
    "outcome",
    [
        None,
        Waiting("the bot is closed"),
        Escalated(EscalationKind.FAULT, "the workflow has a fault"),
        Escalated(EscalationKind.IN_DOUBT, "there is no way to tell"),
        Loss.CRASH,
        Loss.STOP,
        Loss.ORDER,
    ],
)
def test_whatever_becomes_of_a_probe_another_follows(
    ledger: Ledger, broken: list[str], pass_time: PassTime, outcome: Outcome | Loss | None
) -> None:
    pass_time(seconds=30)
    probe = _try(ledger, broken[-1])
    assert probe is not None
    if isinstance(outcome, Loss):
        endings.abandon(ledger, probe.case, probe.number, "it died", "worker-1", outcome, BACKOFF, 0.0)
    elif outcome is not None:
        _end(ledger, probe, outcome)
    others = [case for case in broken if case != probe.case]
    assert not any(_try(ledger, case) for case in others)

    pass_time(seconds=60)
    assert sum(_try(ledger, case) is not None for case in others) == 1


def test_a_probe_whose_worker_was_lost_is_followed_by_another(
    ledger: Ledger, broken: list[str], pass_time: PassTime
) -> None:
    pass_time(seconds=30)
    assert _try(ledger, broken[-1]) is not None
    pass_time(seconds=(LEASE + GRACE).total_seconds() + 1)
    assert endings.take_back_expired(ledger, "worker-2", BACKOFF, 0.0) == [broken[-1]]
    assert not any(_try(ledger, case) for case in broken)

    pass_time(seconds=60)
    assert sum(_try(ledger, case) is not None for case in broken) == 1


def test_of_ten_that_would_probe_at_once_one_does(
    ledger: Ledger, broken: list[str], pass_time: PassTime
) -> None:
    pass_time(seconds=30)
    fresh = broken[OPENS_AT:]
    together = Barrier(len(fresh))

    def probe(case: str) -> bool:
        together.wait()
        return attempts.begin(ledger, case, 1, "worker-1") is not None

    with ThreadPoolExecutor(len(fresh)) as pool:
        assert sum(pool.map(probe, fresh)) == 1


def test_of_several_that_fail_at_once_one_opens_it_and_who_comes_after_pays_nothing(
    ledger: Ledger, cases: list[str], begin: Begin, audit_of: AuditOf, row_of: Callable[[str], Any]
) -> None:
    for case in cases[: OPENS_AT - 1]:
        _end(ledger, begin(case))
    at_once = [begin(case) for case in cases[OPENS_AT - 1 :]]
    together = Barrier(len(at_once))

    def fail(begun: Begun) -> State | None:
        together.wait()
        return _end(ledger, begun)

    with ThreadPoolExecutor(len(at_once)) as pool:
        assert set(pool.map(fail, at_once)) == {State.QUEUED}

    assert [action for action, _, _ in audit_of("bot benefits")] == ["breaker opened"]
    assert sum(row_of(begun.case).failures for begun in at_once) == 1


@pytest.fixture
def two_bots(ledger: Ledger, known: str, take_in: TakeIn, pass_time: PassTime) -> Callable[..., str]:
    """Takes in a case of a workflow, of which one needs both bots and another the second alone."""
    make_known(ledger, BOTH, ["benefits", "council-tax"], timedelta(minutes=5))
    make_known(ledger, LETTER, ["council-tax"], timedelta(minutes=5))
    number = 0

    def take(workflow: str) -> str:
        nonlocal number
        number += 1
        return take_in(f"CT{number:06}", workflow=workflow)

    return take


def test_a_failure_of_one_bot_that_is_known_leaves_the_others_work_alone(
    ledger: Ledger, two_bots: Callable[..., str], begin: Begin
) -> None:
    for _ in range(OPENS_AT):
        _end(ledger, begin(two_bots(BOTH)), Failed("the page is late", bot="benefits"))

    assert _open(ledger) == ["benefits"]
    assert _try(ledger, two_bots(LETTER)) is not None
    assert _try(ledger, two_bots(BOTH)) is None


def test_a_failure_of_which_the_bot_is_not_known_counts_against_both(
    ledger: Ledger, two_bots: Callable[..., str], begin: Begin
) -> None:
    for _ in range(OPENS_AT):
        _end(ledger, begin(two_bots(BOTH)))

    assert _open(ledger) == ["benefits", "council-tax"]


def test_a_straggler_that_failed_in_the_other_system_pays_for_it(
    ledger: Ledger, two_bots: Callable[..., str], begin: Begin, row_of: Callable[[str], Any]
) -> None:
    straggler = begin(two_bots(BOTH))
    for _ in range(OPENS_AT):
        _end(ledger, begin(two_bots(BOTH)), Failed("the page is late", bot="benefits"))

    _end(ledger, straggler, Failed("the page is late", bot="council-tax"))

    assert row_of(straggler.case).failures == 1
    assert _open(ledger) == ["benefits"]


def test_a_person_who_knows_better_lets_one_case_try_at_once(
    ledger: Ledger, broken: list[str], audit_of: AuditOf
) -> None:
    resume(ledger, PauseKind.BOT, "benefits", "a person")

    (probe,) = [begun for case in broken[OPENS_AT:] if (begun := _try(ledger, case))]
    assert audit_of("bot benefits")[-1][0] == "breaker to be tried"
    _end(ledger, probe, DONE)
    with pytest.raises(CasehandError, match="is not paused"):
        resume(ledger, PauseKind.BOT, "benefits", "a person")


def test_one_notice_stands_for_all_the_cases_until_the_system_is_back(
    ledger: Ledger, broken: list[str], pass_time: PassTime
) -> None:
    (notice,) = notices(ledger)
    assert notice.subject == "bot benefits"
    assert "casehand resume bot benefits" in notice.reason
    assert notice.opened_at == ledger.clock()
    pass_time(seconds=30)
    probe = _try(ledger, broken[-1])
    assert probe is not None
    _end(ledger, probe)
    assert len(notices(ledger)) == 1
    pass_time(seconds=60)
    probe = _try(ledger, broken[-1])
    assert probe is not None
    _end(ledger, probe, DONE)

    assert notices(ledger) == []


def test_a_notice_is_told_where_it_concerns_the_workflow_or_the_batch(
    ledger: Ledger, broken: list[str], take_in: TakeIn, known: str
) -> None:
    make_known(ledger, LETTER, ["council-tax"], timedelta(minutes=5))
    take_in("HB900001", batch="rents")
    pause(ledger, PauseKind.BATCH, "rents", "month end", "a person")
    pause(ledger, PauseKind.WORKFLOW, LETTER, "the printer is away", "a person")

    def told(**which: str) -> list[str]:
        return [notice.subject for notice in notices(ledger, **which)]

    assert told() == ["batch rents", "bot benefits", f"workflow {LETTER}"]
    assert told(workflow=known) == ["batch rents", "bot benefits"]
    assert told(batch="rents") == ["batch rents", "bot benefits"]
    assert told(workflow=LETTER) == [f"workflow {LETTER}"]
    assert told(batch="none") == []
    assert told(workflow=LETTER, batch="rents") == []
