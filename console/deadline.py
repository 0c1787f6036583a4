"""A time limit on whatever the main thread does, however little it heeds one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from casehand.console.listing import counted


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Raise TimeoutError within, after so many seconds; in another thread than the main one there is no limit."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"no answer within {counted(seconds, 'second')}")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
