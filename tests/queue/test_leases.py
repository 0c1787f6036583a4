"""Leases: one holder at a time, whoever dies."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from casehand.queue.leases import hold, let_go
from casehand.queue.ledger import Ledger

TURN = timedelta(seconds=6)
PassTime = Callable[..., None]


def test_while_one_holds_a_lease_another_is_told_no(ledger: Ledger, pass_time: PassTime) -> None:
    assert hold(ledger, "reconciler", "worker-1", TURN)
    pass_time(seconds=6)
    assert not hold(ledger, "reconciler", "worker-2", TURN)


def test_a_lease_that_ran_out_goes_to_whoever_asks(ledger: Ledger, pass_time: PassTime) -> None:
    hold(ledger, "reconciler", "worker-1", TURN)
    pass_time(seconds=6.001)

    assert hold(ledger, "reconciler", "worker-2", TURN)
    assert not hold(ledger, "reconciler", "worker-1", TURN)


def test_who_renews_in_time_keeps_it(ledger: Ledger, pass_time: PassTime) -> None:
    hold(ledger, "reconciler", "worker-1", TURN)
    for _ in range(5):
        pass_time(seconds=5)
        assert hold(ledger, "reconciler", "worker-1", TURN)
        assert not hold(ledger, "reconciler", "worker-2", TURN)


def test_what_was_given_back_is_to_be_had_at_once(ledger: Ledger, pass_time: PassTime) -> None:
    hold(ledger, "sign-in benefits", "worker-1", TURN)
    let_go(ledger, "sign-in benefits", "worker-1")

    assert hold(ledger, "sign-in benefits", "worker-2", TURN)


def test_who_gives_back_what_is_anothers_by_now_changes_nothing(ledger: Ledger, pass_time: PassTime) -> None:
    hold(ledger, "reconciler", "worker-1", TURN)
    pass_time(seconds=7)
    hold(ledger, "reconciler", "worker-2", TURN)

    let_go(ledger, "reconciler", "worker-1")

    assert not hold(ledger, "reconciler", "worker-1", TURN)


def test_two_leases_know_nothing_of_each_other(ledger: Ledger, pass_time: PassTime) -> None:
    assert hold(ledger, "sign-in benefits", "worker-1", TURN)
    assert hold(ledger, "sign-in council-tax", "worker-2", TURN)


def test_a_clock_put_back_takes_a_lease_from_nobody(ledger: Ledger, pass_time: PassTime) -> None:
    hold(ledger, "reconciler", "worker-1", TURN)
    pass_time(hours=-1)

    assert not hold(ledger, "reconciler", "worker-2", TURN)
    assert hold(ledger, "reconciler", "worker-1", TURN)


@pytest.mark.parametrize("run_out", [False, True], ids=["new", "run out"])
def test_of_twelve_that_reach_for_a_lease_at_once_one_gets_it(
    ledger: Ledger, pass_time: PassTime, run_out: bool
) -> None:
    names = [f"lease-{number}" for number in range(10)]
    if run_out:
        for name in names:
            hold(ledger, name, "nobody", TURN)
        pass_time(seconds=7)
    together = Barrier(12)

    def reach(worker: int) -> list[bool]:
        together.wait()
        return [hold(ledger, name, f"worker-{worker}", TURN) for name in names]

    with ThreadPoolExecutor(12) as pool:
        got = list(pool.map(reach, range(12)))

    assert [sum(held) for held in zip(*got, strict=True)] == [1] * 10
