"""Holding a case: the lease in the ledger, and the kernel's timer that kills a horse which has lost it."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from time import monotonic
from types import TracebackType

import structlog

from casehand.queue.attempts import LEASE

MARGIN = 2.0
"""Seconds before the end of its lease at which a horse is killed, so that it is dead before another begins."""

BEAT = LEASE.total_seconds() / 5
"""Seconds between renewals."""

CLOCK_BOOTTIME = 7
SIGEV_SIGNAL = 0

log = structlog.get_logger()


class Hold:
    """Renews the lease of one attempt from a thread of its own until it is let go.

    The kernel's timer goes on while the process lies stopped or the machine sleeps, and it sends SIGKILL:
    a horse that could not renew its lease never runs another line.
    """

    def __init__(self, renew: Callable[[], bool], timer: "KillTimer") -> None:
        self._renew = renew
        self._timer = timer
        self._over = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._keep, name="hold", daemon=True)

    def ending(self) -> None:
        """From now on the case may leave this attempt's hands by its own word."""
        self._ending = True

    def __enter__(self) -> "Hold":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._timer.stop()

    def _keep(self) -> None:
        while not self._over.wait(BEAT):
            asked = monotonic()
            try:
                kept = self._renew()
            except Exception as error:  # noqa: BLE001 — the timer decides when the ledger was away too long
                log.warning("not_renewed", error=type(error).__name__)
                continue
            if not kept:
                if self._ending:
                    return
                os.kill(os.getpid(), signal.SIGKILL)
            self._timer.set(LEASE.total_seconds() - MARGIN - (monotonic() - asked))


class KillTimer:
    """A timer of the kernel that sends this process SIGKILL."""

    def __init__(self) -> None:
        self._timer = ctypes.c_void_p()
        self._libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
        if self._libc is not None:
            event = _SignalEvent(signal_number=signal.SIGKILL, notify=SIGEV_SIGNAL)
            made = self._libc.timer_create(CLOCK_BOOTTIME, ctypes.byref(event), ctypes.byref(self._timer))
            if made != 0:
                raise OSError(ctypes.get_errno(), "the kernel gives no timer")

    def set(self, seconds: float) -> None:
        """Let it strike in so many seconds, instead of what was set before."""
        if self._libc is not None:
            whole = max(seconds, 0.001)
            value = _TimerValue(value=_Span(int(whole), int(whole % 1 * 1e9)))
            self._libc.timer_settime(self._timer, 0, ctypes.byref(value), None)

    def stop(self) -> None:
        """Let it not strike."""
        if self._libc is not None:
            self._libc.timer_settime(self._timer, 0, ctypes.byref(_TimerValue()), None)


class _SignalEvent(ctypes.Structure):
    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal_number", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("padding", ctypes.c_char * 48),
    )


class _Span(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerValue(ctypes.Structure):
    _fields_ = (("interval", _Span), ("value", _Span))
