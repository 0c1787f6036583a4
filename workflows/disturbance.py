"""Signals that interrupt, and keeping them away from what must not be interrupted: a write to the ledger."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

from casehand.workflows.signals import TimeUp

HELD = {signal.SIGALRM, signal.SIGTERM, signal.SIGINT}


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold back alarms and requests to stop until the block has ended."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Raise TimeUp in the block when it takes longer. Whole seconds; an alarm that was set before goes on after."""
    handler = signal.signal(signal.SIGALRM, _time_is_up)
    left = signal.alarm(seconds)
    begun = monotonic()
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        if left:
            signal.alarm(max(1, left - round(monotonic() - begun)))


def _time_is_up(number: int, frame: FrameType | None) -> None:
    raise TimeUp
