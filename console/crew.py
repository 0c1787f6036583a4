"""A crew: several horses on one machine with their workers, started, looked after and stopped together."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from time import monotonic
from types import FrameType, TracebackType
from typing import IO

from casehand.exceptions import CasehandError
from casehand.worker import CREW, LANES

QUICK_DEATH_SECONDS = 10.0
MOST_QUICK_DEATHS = 5
RESTART_SECONDS = 2.0


class Crew:
    """Runs a process for each horse, with a worker for each of its lanes; one that dies is replaced, and all end
    when the crew does."""

    def __init__(self, horses: int, lanes: int, logs: Path | None) -> None:
        self._count = horses
        self._lanes = lanes
        self._logs = logs
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._begun: dict[int, float] = {}
        self._quick_deaths = 0
        self._stopping = Event()

    def __enter__(self) -> "Crew":
        self._before = {one: signal.signal(one, self._stop) for one in (signal.SIGTERM, signal.SIGINT)}
        for place in range(self._count):
            self._start(place)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.is_stopping:
            # A second request would cut the cases in hand short.
            self._tell_all(signal.SIGTERM)
        for worker in self._workers.values():
            worker.wait()
        for one, handler in self._before.items():
            signal.signal(one, handler)

    @property
    def is_stopping(self) -> bool:
        """Whether somebody has asked it to stop."""
        return self._stopping.is_set()

    def work_until(self, over: Callable[[], bool], seconds: float = 0.5) -> None:
        """Look after the workers until they are told to stop or `over` says that all is done.

        Raises CasehandError when workers die as soon as they are started.
        """
        while not self._stopping.is_set() and not over():
            self._replace_the_dead()
            self._stopping.wait(seconds)

    def _start(self, place: int) -> None:
        log = self._open_log(place)
        try:
            self._workers[place] = subprocess.Popen(
                [sys.executable, "-m", "casehand.worker"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A Ctrl+C is the crew's to pass on, once; it must not reach the workers twice.
                start_new_session=True,
                env={**os.environ, CREW: str(os.getpid()), LANES: str(self._lanes)},
            )
        finally:
            if log is not None:
                log.close()
        self._begun[place] = monotonic()

    def _open_log(self, place: int) -> IO[bytes] | None:
        if self._logs is None:
            return None
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        return (self._logs / f"worker-{place + 1}.log").open("ab")

    def _replace_the_dead(self) -> None:
        for place, worker in list(self._workers.items()):
            if worker.poll() is None:
                continue
            if monotonic() - self._begun[place] < QUICK_DEATH_SECONDS:
                self._quick_deaths += 1
            if self._quick_deaths >= MOST_QUICK_DEATHS or worker.returncode == 1:
                where = "above" if self._logs is None else f"in {self._logs / f'worker-{place + 1}.log'}"
                raise CasehandError(f"the workers cannot work: the reason stands {where}")
            self._stopping.wait(RESTART_SECONDS)
            self._start(place)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping.set()
        self._tell_all(signal.SIGTERM)

    def _tell_all(self, number: signal.Signals) -> None:
        for worker in self._workers.values():
            if worker.poll() is None:
                worker.send_signal(number)
