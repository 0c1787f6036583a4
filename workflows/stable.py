"""The stable: keeps one forked horse, gives it one job after another through a pipe, and knows when it is dead."""

import contextlib
import json
import math
import os
import select
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from casehand.exceptions import CasehandError
from casehand.workflows.parentage import end_with

READY = b"r"
STAYS = b"s"
LEAVES = b"l"
GOODBYE_SECONDS = 5.0
SADDLING_SECONDS = 120.0

IDLE_SECONDS = 5.0
LONGEST_ORDER = 4096
"""Bytes; what a pipe takes in one piece."""


class Ride(Protocol):
    """What a horse does."""

    def perform(self, job: str, execution: str) -> bool:
        """Perform the job of this id and execution id; whether the horse stays for another."""

    def idle(self, seconds: float) -> None:
        """Hear that there has been nothing to do for so long."""


@dataclass(frozen=True)
class Ended:
    """How the horse came out of a job; the status as `os.wait4` gives it, 0 when it lives on."""

    pid: int
    status: int
    usage: Any = None


class Stable:
    """The parent's side of the pipe.

    `saddle` is called in the child, once, and returns the function that performs a job.
    """

    def __init__(self, saddle: Callable[[], Ride]) -> None:
        self._saddle = saddle
        self._pid = 0
        self._orders = -1
        self._answers = -1

    def start(self) -> None:
        """Have a horse ready. Raises CasehandError when it cannot be got ready; it has said why itself."""
        if self._pid == 0:
            self._fork()

    def give(self, job: str, execution: str) -> int:
        """Give the horse a job, starting a horse if there is none; returns its process id."""
        order = json.dumps([job, execution]).encode() + b"\n"
        self.start()
        try:
            os.write(self._orders, order)
        except BrokenPipeError:
            self._bury()
            self._fork()
            os.write(self._orders, order)
        return self._pid

    def wait(self, seconds: float) -> Ended | None:
        """Wait for the end of the job; None when it has not come within that time."""
        ready, _, _ = select.select([self._answers], [], [], seconds)
        if not ready:
            return None
        answer = os.read(self._answers, 1)
        if answer == STAYS:
            return Ended(self._pid, 0)
        ended = self._bury()
        # A horse that ended without an answer has not performed its job, whatever it says of itself.
        return Ended(ended.pid, 0 if answer == LEAVES else ended.status or 1 << 8, ended.usage)

    def send_away(self) -> None:
        """End an idle horse."""
        if self._pid == 0:
            return
        os.close(self._orders)
        self._orders = -1
        select.select([self._answers], [], [], GOODBYE_SECONDS)
        self._bury()

    def _fork(self) -> None:
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._orders)
            os.close(self._answers)
            _live(parent, orders, answers, self._saddle)
        with contextlib.suppress(OSError):  # The child does so too; whichever is first.
            os.setpgid(self._pid, self._pid)
        os.close(orders)
        os.close(answers)
        ready, _, _ = select.select([self._answers], [], [], SADDLING_SECONDS)
        if not ready or os.read(self._answers, 1) != READY:
            self._bury()
            raise CasehandError("the worker stops, since its horse could not be got ready")

    def _bury(self) -> Ended:
        """Make sure that the horse and its browser are dead, and forget it."""
        pid, self._pid = self._pid, 0
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        ended = Ended(pid, 0)
        with contextlib.suppress(ChildProcessError):
            ended = Ended(*os.wait4(pid, 0))
        for end in (self._orders, self._answers):
            if end >= 0:
                os.close(end)
        self._orders = self._answers = -1
        return ended


def _live(parent: int, orders: int, answers: int, saddle: Callable[[], Ride]) -> NoReturn:
    """The life of a horse, in the child."""
    status = 1
    try:
        os.setpgrp()
        end_with(parent, signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        ride = saddle()
        os.write(answers, READY)
        _take_orders(ride, orders, answers)
        status = 0
    except CasehandError as error:
        sys.stderr.write(f"{error}\n")
    except BaseException:  # noqa: BLE001 — nothing may lead back into the worker's code
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def _take_orders(ride: Ride, orders: int, answers: int) -> None:
    idle = 0.0
    while True:
        ready, _, _ = select.select([orders], [], [], IDLE_SECONDS)
        if not ready:
            idle += IDLE_SECONDS
            ride.idle(idle)
            continue
        idle = 0.0
        order = os.read(orders, LONGEST_ORDER)
        if not order:
            ride.idle(math.inf)
            return
        stays = ride.perform(*json.loads(order))
        os.write(answers, STAYS if stays else LEAVES)
        if not stays:
            return
