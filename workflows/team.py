"""A team: one horse that several workers share, each with a lane of its own, and whoever keeps them all."""

import contextlib
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from types import FrameType
from typing import NoReturn

import structlog

from casehand.workflows.horse import LEAVING
from casehand.workflows.parentage import end_with
from casehand.workflows.stable import Saddle, bury, fork_horse

LOOK_SECONDS = 0.5
QUICK_DEATH_SECONDS = 10.0
BREATH_SECONDS = 2.0
"""How long is waited before what died as soon as it was started is started again."""

TOLD = (signal.SIGTERM, signal.SIGINT, LEAVING)
CANNOT_WORK = 1
"""The exit code of a worker that has said why it cannot work."""

log = structlog.get_logger()


class Team:
    """Forks the horse and its workers, replaces whichever dies, and ends when the last worker has.

    `work` is called in a forked worker, with the address where the horse is to be found. This process itself does
    nothing but wait: it has no threads, no connections and no browser that a fork could share.
    """

    def __init__(
        self,
        lanes: int,
        saddle: Saddle,
        work: Callable[[Path], object],
    ) -> None:
        self._lanes = lanes
        self._saddle = saddle
        self._work = work
        self._workers: dict[int, float] = {}  #: when each was forked
        self._horses: dict[int, float] = {}
        self._lacks_horse = True
        self._is_stopping = False
        self._waits_until = 0.0

    def work(self) -> None:
        """Keep the team until it has been told to stop, and has. Raises SystemExit when a worker cannot work."""
        with TemporaryDirectory(prefix="casehand-") as name, socket.socket(socket.AF_UNIX) as door:
            # A folder of mode 0700 with a short name: a socket's path may not be long.
            self._address = Path(name) / "horse"
            door.bind(str(self._address))
            door.listen(self._lanes)
            self._door = door
            signal.signal(LEAVING, self._hear_leaving)
            for told in (signal.SIGTERM, signal.SIGINT):
                signal.signal(told, self._pass_on)
            self._keep()

    def _keep(self) -> None:
        self._start_what_lacks()
        while self._workers:
            select.select([], [], [], LOOK_SECONDS)
            self._reap()
            if monotonic() >= self._waits_until:
                self._start_what_lacks()
        for horse in list(self._horses):
            bury(horse)

    def _start_what_lacks(self) -> None:
        if self._lacks_horse and not self._is_stopping:
            self._lacks_horse = False
            self._horses[fork_horse(self._saddle, self._door, None, alone=False)] = monotonic()
        # A request to stop may come at any moment, also before the first worker is there to be told.
        while len(self._workers) < self._lanes and not self._is_stopping:
            self._start_worker()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._horses:
                self._lose_horse(pid)
            elif pid in self._workers:
                self._lose_worker(pid, status)

    def _lose_horse(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        self._take_breath_after(self._horses.pop(pid), "horse")
        self._lacks_horse = self._lacks_horse or not self._horses

    def _lose_worker(self, pid: int, status: int) -> None:
        self._take_breath_after(self._workers.pop(pid), "worker")
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == CANNOT_WORK and not self._is_stopping:
            self._pass_on(signal.SIGTERM, None)
            raise SystemExit(CANNOT_WORK)

    def _take_breath_after(self, begun: float, who: str) -> None:
        lived = monotonic() - begun
        if lived < QUICK_DEATH_SECONDS and not self._is_stopping:
            log.warning("died_young", who=who, seconds=round(lived, 1))
            self._waits_until = monotonic() + BREATH_SECONDS

    def _start_worker(self) -> None:
        parent = os.getpid()
        # A request to stop may not find a worker that still has our handlers, or that we do not know of.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, TOLD)
        pid = os.fork()
        if pid == 0:
            _live(parent, self._door, partial(self._work, self._address))
        self._workers[pid] = monotonic()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _hear_leaving(self, number: int, frame: FrameType | None) -> None:
        self._lacks_horse = True

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = True
        for worker in self._workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGTERM)


def _live(parent: int, door: socket.socket, work: Callable[[], object]) -> NoReturn:
    """The life of a worker, in the child."""
    status = 2
    try:
        door.close()
        for told in TOLD:
            signal.signal(told, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, TOLD)
        end_with(parent, signal.SIGTERM)
        work()
        status = 0
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 0
    except BaseException:  # noqa: BLE001 — nothing may lead back into the parent's code
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)
