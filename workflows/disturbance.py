"""Signals that interrupt, and keeping them away from what must not be interrupted: a write to the ledger."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

HELD = {signal.SIGALRM, signal.SIGTERM, signal.SIGINT}


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold back alarms and requests to stop until the block has ended."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
