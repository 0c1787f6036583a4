"""Holding cases: their leases in the ledger, and the kernel's timer that kills a horse which has lost one."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Collection
from time import monotonic
from typing import NamedTuple

import structlog

from casehand.queue.attempts import LEASE

MARGIN = 2.0
"""Seconds before the end of its lease at which a horse is killed, so that it is dead before another begins."""

BEAT = LEASE.total_seconds() / 5
"""Seconds between renewals."""

LOOK = 1.0
"""Seconds between looks at how the lanes do."""

CLOCK_BOOTTIME = 7
SIGEV_SIGNAL = 0

log = structlog.get_logger()


class Held(NamedTuple):
    """An attempt in a horse's hands."""

    case: str
    number: int


class Hold:
    """Renews the leases of all attempts in a horse's hands, from a thread of its own.

    The kernel's timer goes on while the process lies stopped or the machine sleeps, and it sends SIGKILL:
    a horse that could not renew one of its leases never runs another line. `renew` returns those that are lost.
    """

    def __init__(
        self,
        renew: Callable[[Collection[Held]], Collection[Held]],
        look: Callable[[], object] = lambda: None,
    ) -> None:
        self._renew = renew
        self._look = look
        self._timer = KillTimer()
        self._lock = threading.Lock()
        self._until: dict[Held, float] = {}
        self._renewed: set[Held] = set()
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def expect(self, held: Held, seconds: float) -> None:
        """The lease is being taken: a horse that is stopped meanwhile must end too."""
        with self._lock:
            self._until[held] = monotonic() + seconds
            self._set_timer()
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep, name="hold", daemon=True)
            self._thread.start()

    def taken(self, held: Held, asked: float) -> None:
        """The lease was asked for at that moment (of `monotonic`), and is renewed from now on."""
        with self._lock:
            self._extend(held, asked)
            self._renewed.add(held)
            self._set_timer()

    def ending(self, held: Held) -> None:
        """From now on the case may leave this attempt's hands by its own word."""
        with self._lock:
            self._renewed.discard(held)

    def let_go(self, held: Held) -> None:
        """The attempt does nothing more."""
        with self._lock:
            self._renewed.discard(held)
            self._until.pop(held, None)
            self._set_timer()

    def end(self) -> None:
        """Hold nothing any more; a horse that dies need not say so."""
        self._over.set()

    def _keep(self) -> None:
        beaten = monotonic()
        while not self._over.wait(LOOK):
            self._look()
            if monotonic() - beaten >= BEAT:
                beaten = monotonic()
                self._beat()

    def _beat(self) -> None:
        with self._lock:
            held = set(self._renewed)
        asked = monotonic()
        try:
            lost = self._renew(held)
        except Exception as error:  # noqa: BLE001 — the timer decides when the ledger was away too long
            log.warning("not_renewed", error=type(error).__name__)
            return
        with self._lock:
            if self._renewed.intersection(lost):
                os.kill(os.getpid(), signal.SIGKILL)
            for one in held.intersection(self._until):
                self._extend(one, asked)
            self._set_timer()

    def _extend(self, held: Held, asked: float) -> None:
        self._until[held] = asked + LEASE.total_seconds() - MARGIN

    def _set_timer(self) -> None:
        if self._until:
            self._timer.set(min(self._until.values()) - monotonic())
        else:
            self._timer.stop()


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
