"""The stable: a worker's side of its horse. It gives one order after another, and knows when the horse is dead."""

import contextlib
import os
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

from casehand.exceptions import CasehandError
from casehand.workflows.parentage import end_with
from casehand.workflows.reins import Answer, Broken, Reins

GOODBYE_SECONDS = 5.0
SADDLING_SECONDS = 120.0
MOST_TRIES = 3
"""Horses that may go before they take an order, one after another, until the worker gives up."""


class Saddle(Protocol):
    """What makes a forked child a horse."""

    def before_fork(self) -> None:
        """In the parent: let go of what may not be open across a fork."""

    def __call__(self) -> "Ride":
        """In the child, once: what takes the orders there."""


class Ride(Protocol):
    """What a horse does."""

    def serve(self, door: socket.socket, *, alone: bool) -> None:
        """Take orders until there are no more: through this socket `alone`, or from all who connect to it."""


@dataclass(frozen=True)
class Ended:
    """How the horse came out of an order; the status as `os.wait4` gives it, 0 when it lives on."""

    pid: int
    status: int
    usage: Any = None
    answer: Answer | None = None  #: None when the horse died


class Stable:
    """Keeps one forked horse for this worker alone; `worker` is the name that the ledger knows the worker by."""

    def __init__(self, saddle: Saddle | None, worker: str) -> None:
        self.worker = worker
        self._saddle = saddle
        self._pid = 0
        self._reins: Reins | None = None
        self._order: tuple[str, int] = ("", 0)
        self._is_taken = False
        self._tries = 0

    def start(self) -> None:
        """Have a horse ready. Raises CasehandError when it cannot be got ready; it has said why itself."""
        if self._reins is None:
            self._reins, self._pid = self._fetch()
            with contextlib.suppress(Broken):  # Then the first order is not taken either.
                self._reins.send(worker=self.worker)

    def give(self, case: str, attempt: int) -> int:
        """Give the horse an order, starting a horse if there is none; returns its process id."""
        self._order, self._is_taken, self._tries = (case, attempt), False, 0
        return self._offer()

    def wait(self, seconds: float) -> None:
        """Wait until the horse has something to say, or so long."""
        if self._reins is not None:
            select.select([self._reins], [], [], seconds)

    def read(self) -> Ended | None:
        """How the order has ended; None when it has not."""
        if self._reins is None:
            # An alarm came between the end of one horse and the next.
            self._offer()
        if not select.select([self._ridden], [], [], 0)[0]:
            return None
        try:
            for message in self._ridden.read():
                self._is_taken = self._is_taken or "taken" in message
                if "answer" in message:
                    return self._answered(Answer(**message["answer"]))
        except Broken:
            return self._left()
        return None

    def stop(self) -> None:
        """Tell the horse to let go of the case; it answers when it has."""
        if self._reins is not None:
            with contextlib.suppress(Broken):
                self._reins.send(stop=True)

    def kill(self) -> None:
        """Kill the horse."""
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def send_away(self) -> bool:
        """End the horse; whether it is known to be dead, and its case in no hands any more."""
        if self._reins is not None:
            self._reins.close()
            _await_exit(self._pid, GOODBYE_SECONDS)
            self._bury()
        return True

    @property
    def _ridden(self) -> Reins:
        assert self._reins is not None  # noqa: S101 — an order has been given
        return self._reins

    def _offer(self) -> int:
        while self._tries < MOST_TRIES:
            self._tries += 1
            self.start()
            with contextlib.suppress(Broken):
                self._ridden.send(work=self._order)
                return self._pid
            self._bury()
        raise CasehandError("the worker stops, since its horses take no orders")

    def _left(self) -> Ended | None:
        ended = self._bury()
        if self._is_taken:
            # A horse that ended without an answer has not done what it was to do, whatever it says of itself.
            return Ended(ended.pid, ended.status or 1 << 8, ended.usage)
        # It went before it saw the order, as one does that takes no more: another takes it.
        self._offer()
        return None

    def _answered(self, answer: Answer) -> Ended:
        pid = self._pid
        if not answer.stays:
            self._bury()
        return Ended(pid, 0 if answer.fault is None and not answer.stopped else 1 << 8, None, answer)

    def _fetch(self) -> tuple[Reins, int]:
        assert self._saddle is not None  # noqa: S101 — only who shares a horse has none
        ours, theirs = socket.socketpair()
        with theirs:
            pid = fork_horse(self._saddle, theirs, ours, alone=True)
        try:
            return _greeted(ours)
        except CasehandError:
            bury(pid)
            raise

    def _bury(self) -> Ended:
        """Make sure that the horse and its browser are dead, and forget it."""
        pid, self._pid = self._pid, 0
        self._ridden.close()
        self._reins = None
        return bury(pid)


class SharedStable(Stable):
    """Has one lane of a horse that other workers use as well; whoever keeps that horse listens at `address`."""

    def __init__(self, address: Path, worker: str) -> None:
        super().__init__(None, worker)
        self._address = address

    def send_away(self) -> bool:
        """Leave the horse to the others; it gives a case in hand back itself when it has let go of it."""
        if self._reins is not None:
            self._bury()
        return False

    def _fetch(self) -> tuple[Reins, int]:
        ours = socket.socket(socket.AF_UNIX)
        try:
            ours.connect(str(self._address))
        except OSError:
            raise CasehandError(
                "the worker stops, since the horse that it shares has gone for good"
            ) from None
        return _greeted(ours)

    def _bury(self) -> Ended:
        """Forget it; whoever keeps it buries it."""
        pid, self._pid = self._pid, 0
        self._ridden.close()
        self._reins = None
        return Ended(pid, 0)


def fork_horse(saddle: Saddle, theirs: socket.socket, ours: socket.socket | None, *, alone: bool) -> int:
    """Fork a horse that takes its orders through `theirs`; returns its process id."""
    parent = os.getpid()
    saddle.before_fork()
    pid = os.fork()
    if pid == 0:
        if ours is not None:
            ours.close()
        _live(parent, saddle, theirs, alone=alone)
    with contextlib.suppress(OSError):  # The child does so too; whichever is first.
        os.setpgid(pid, pid)
    return pid


def bury(pid: int) -> Ended:
    """Make sure that a horse that we have forked is dead, and what it has started with it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        return Ended(*os.wait4(pid, 0))
    return Ended(pid, 0)


def _await_exit(pid: int, seconds: float) -> None:
    """Give a horse time to end by itself."""
    with contextlib.suppress(ChildProcessError):
        deadline = time.monotonic() + seconds
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            if time.monotonic() > deadline:
                return
            time.sleep(0.01)  # noqa: TID251 — waiting for a process has no time limit of its own


def _greeted(ours: socket.socket) -> tuple[Reins, int]:
    """The reins of a horse that is ready, and its process id. Raises CasehandError when it does not get ready."""
    reins = Reins(ours)
    with contextlib.suppress(Broken):
        ready, _, _ = select.select([reins], [], [], SADDLING_SECONDS)
        for message in reins.read() if ready else ():
            return reins, message["ready"]
    reins.close()
    raise CasehandError("the worker stops, since its horse could not be got ready")


def _live(parent: int, saddle: Saddle, door: socket.socket, *, alone: bool) -> NoReturn:
    """The life of a horse, in the child."""
    status = 1
    try:
        os.setpgrp()
        end_with(parent, signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        saddle().serve(door, alone=alone)
        status = 0
    except CasehandError as error:
        sys.stderr.write(f"{error}\n")
    except BaseException:  # noqa: BLE001 — nothing may lead back into the worker's code
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)
