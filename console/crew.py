"""A crew: several horses on one machine with their workers, started, looked after and stopped together."""

import os
import signal
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic
from types import FrameType, TracebackType

import structlog

from casehand import worker
from casehand.console.child import STOPS, Child, fork_child, stops_held
from casehand.console.companion import Companion
from casehand.exceptions import CasehandError
from casehand.queue.ledger import Ledger
from casehand.worker import CREW, LANES

QUICK_DEATH_SECONDS = 10.0
MOST_QUICK_DEATHS = 5
RESTART_SECONDS = 2.0

log = structlog.get_logger()


class Crew:
    """Runs a process for each horse, with a worker for each of its lanes; one that dies is replaced, and all end
    when the crew does, its companions last."""

    def __init__(
        self,
        horses: int,
        lanes: int,
        logs: Path | None,
        ledger: Ledger,
        companions: Sequence[Companion] = (),
    ) -> None:
        self._count = horses
        self._lanes = lanes
        self._logs = logs
        self._ledger = ledger
        self._companions = companions
        self._workers: dict[int, Child] = {}
        self._begun: dict[int, float] = {}
        self._quick_deaths = 0
        self._stopping = Event()

    def __enter__(self) -> "Crew":
        self._before = {one: signal.signal(one, self._stop) for one in STOPS}
        for place in range(self._count):
            self._start(place)
        for companion in self._companions:
            self._start_companion(companion)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.is_stopping:
            # A second request would cut the cases in hand short.
            self._tell_all(signal.SIGTERM)
        for one in self._workers.values():
            one.wait()
        for companion in self._companions:
            companion.end()
        for number, handler in self._before.items():
            signal.signal(number, handler)

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
            for companion in self._companions:
                if companion.is_missing:
                    log.warning("companion_started_again", name=companion.name)
                    self._start_companion(companion)
            self._stopping.wait(seconds)

    def _start(self, place: int) -> None:
        # SQLite must have no file open across a fork.
        self._ledger.close()
        with stops_held():
            life = partial(_work, os.getpid(), self._lanes)
            self._workers[place] = fork_child(life, self._log(f"worker-{place + 1}"))
        self._begun[place] = monotonic()

    def _start_companion(self, companion: Companion) -> None:
        self._ledger.close()
        companion.start(self._log(companion.name))

    def _log(self, name: str) -> Path | None:
        return None if self._logs is None else self._logs / f"{name}.log"

    def _replace_the_dead(self) -> None:
        for place, one in list(self._workers.items()):
            if one.poll() is None:
                continue
            if monotonic() - self._begun[place] < QUICK_DEATH_SECONDS:
                self._quick_deaths += 1
            if self._quick_deaths >= MOST_QUICK_DEATHS or one.returncode == 1:
                log = self._log(f"worker-{place + 1}")
                where = "above" if log is None else f"in {log}"
                raise CasehandError(f"the workers cannot work: the reason stands {where}")
            self._stopping.wait(RESTART_SECONDS)
            self._start(place)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping.set()
        self._tell_all(signal.SIGTERM)
        for companion in self._companions:
            companion.hurry()

    def _tell_all(self, number: signal.Signals) -> None:
        for one in self._workers.values():
            if one.poll() is None:
                one.send_signal(number)


def _work(crew: int, lanes: int) -> None:
    os.environ[CREW], os.environ[LANES] = str(crew), str(lanes)
    worker.main()
