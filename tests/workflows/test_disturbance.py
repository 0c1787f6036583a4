"""What may not be interrupted is not, whichever thread the kernel gives a signal to."""

import os
import signal
from collections.abc import Iterator
from threading import Event, Thread
from types import FrameType

import pytest

from casehand.workflows.disturbance import undisturbed, when_undisturbing

SIGNALS = (signal.SIGALRM, signal.SIGUSR1)


class Alarmed(Exception):
    """What an alarm raises."""


@pytest.fixture(autouse=True)
def others() -> Iterator[None]:
    """Threads that let every signal in, as a worker's do, and the handlers as they were afterwards."""
    over, before = Event(), {number: signal.getsignal(number) for number in SIGNALS}
    threads = [Thread(target=over.wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    yield
    over.set()
    for thread in threads:
        thread.join()
    for number, handler in before.items():
        signal.signal(number, handler)


@when_undisturbing
def alarm(number: int, frame: FrameType | None) -> None:
    """Interrupts."""
    raise Alarmed


def strike(number: signal.Signals) -> None:
    """Have the kernel give a signal to one thread or another."""
    for _ in range(20):
        os.kill(os.getpid(), number)


def in_a_block(reached: list[str], number: signal.Signals = signal.SIGALRM) -> None:
    with undisturbed():
        with undisturbed():
            strike(number)
        strike(number)
        reached.append("the end")


def in_a_block_with_both() -> None:
    with undisturbed():
        for number in (signal.SIGUSR1, signal.SIGALRM, signal.SIGUSR1):
            os.kill(os.getpid(), number)


def test_an_alarm_waits_until_the_outermost_block_has_ended() -> None:
    signal.signal(signal.SIGALRM, alarm)
    reached: list[str] = []
    for _ in range(20):
        with pytest.raises(Alarmed):
            in_a_block(reached)
    assert reached == ["the end"] * 20


def test_without_a_block_it_comes_at_once() -> None:
    signal.signal(signal.SIGALRM, alarm)
    with pytest.raises(Alarmed):
        strike(signal.SIGALRM)


def test_what_one_raises_keeps_no_other_from_its_turn() -> None:
    heard = []
    signal.signal(signal.SIGALRM, alarm)
    signal.signal(signal.SIGUSR1, when_undisturbing(lambda number, frame: heard.append(number)))
    with pytest.raises(Alarmed):
        in_a_block_with_both()
    assert set(heard) == {signal.SIGUSR1}


def test_a_child_is_not_in_the_block() -> None:
    signal.signal(signal.SIGALRM, alarm)
    with undisturbed():
        child = os.fork()
        if child == 0:
            try:
                strike(signal.SIGALRM)
            except Alarmed:
                os._exit(7)
            os._exit(0)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
