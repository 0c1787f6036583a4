"""A crew: several horses on one machine with their workers, started, looked after and stopped together."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic
from types import FrameType, TracebackType
from typing import IO, NoReturn

from casehand import worker
from casehand.exceptions import CasehandError
from casehand.queue.ledger import Ledger
from casehand.worker import CREW, LANES
from casehand.workflows.parentage import end_with

QUICK_DEATH_SECONDS = 10.0
MOST_QUICK_DEATHS = 5
RESTART_SECONDS = 2.0
BESIDE_RESTART_SECONDS = 10.0
BESIDE_PATIENCE_SECONDS = 60.0
STOPS = (signal.SIGTERM, signal.SIGINT)


class Crew:
    """Runs a process for each horse, with a worker for each of its lanes; one that dies is replaced, and all end
    when the crew does.

    `beside` is what one process more does meanwhile. It is asked to end after the workers have, and whatever
    becomes of it, they work on.
    """

    def __init__(
        self,
        horses: int,
        lanes: int,
        logs: Path | None,
        ledger: Ledger,
        beside: Callable[[], object] | None = None,
    ) -> None:
        self._count = horses
        self._lanes = lanes
        self._logs = logs
        self._ledger = ledger
        self._workers: dict[int, _Worker] = {}
        self._begun: dict[int, float] = {}
        self._quick_deaths = 0
        self._stopping = Event()
        self._beside = beside
        self._aside: _Worker | None = None
        self._aside_begun = 0.0
        self._aside_is_to_end = False

    def __enter__(self) -> "Crew":
        self._before = {one: signal.signal(one, self._stop) for one in STOPS}
        for place in range(self._count):
            self._start(place)
        self._start_aside()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.is_stopping:
            # A second request would cut the cases in hand short.
            self._tell_all(signal.SIGTERM)
        for one in self._workers.values():
            one.wait()
        self._end_aside()
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
            self._replace_aside()
            self._stopping.wait(seconds)

    def _start(self, place: int) -> None:
        crew = os.getpid()
        # A request to stop may not find a worker that still has our handlers, or that we do not know of.
        with _stops_held():
            life = partial(_work, crew, self._lanes)
            self._workers[place] = self._fork(life, f"worker-{place + 1}.log")
        self._begun[place] = monotonic()

    def _start_aside(self) -> None:
        if self._beside is None:
            return
        crew = os.getpid()
        with _stops_held():
            self._aside = self._fork(partial(_be_beside, crew, self._beside), "beside.log")
        self._aside_begun = monotonic()

    def _fork(self, life: Callable[[], object], log_name: str) -> "_Worker":
        """A child that lives so; forked, since all that it needs is imported here already, which is half of its
        way to the first case."""
        log = self._open_log(log_name)
        # SQLite must have no file open across a fork.
        self._ledger.close()
        pid = os.fork()
        if pid == 0:
            _live(life, log)
        if log is not None:
            log.close()
        return _Worker(pid)

    def _open_log(self, name: str) -> IO[bytes] | None:
        if self._logs is None:
            return None
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        return (self._logs / name).open("ab")

    def _replace_the_dead(self) -> None:
        for place, one in list(self._workers.items()):
            if one.poll() is None:
                continue
            if monotonic() - self._begun[place] < QUICK_DEATH_SECONDS:
                self._quick_deaths += 1
            if self._quick_deaths >= MOST_QUICK_DEATHS or one.returncode == 1:
                where = "above" if self._logs is None else f"in {self._logs / f'worker-{place + 1}.log'}"
                raise CasehandError(f"the workers cannot work: the reason stands {where}")
            self._stopping.wait(RESTART_SECONDS)
            self._start(place)

    def _replace_aside(self) -> None:
        if self._aside is None or self._aside.poll() is None:
            return
        if monotonic() - self._aside_begun > BESIDE_RESTART_SECONDS:
            self._start_aside()

    def _end_aside(self) -> None:
        """Ask it to end, and see that it does."""
        if self._aside is None:
            return
        self._aside_is_to_end = True
        deadline = monotonic() + BESIDE_PATIENCE_SECONDS
        self._aside.send_signal(signal.SIGTERM)
        pause = Event()
        while self._aside.poll() is None and monotonic() < deadline:
            pause.wait(0.02)
        if self._aside.poll() is None:
            self._aside.send_signal(signal.SIGKILL)
            self._aside.wait()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping.set()
        self._tell_all(signal.SIGTERM)
        if self._aside_is_to_end and self._aside is not None:
            # Asked again: what it had to tell it tells when it is started next.
            self._aside.send_signal(signal.SIGKILL)

    def _tell_all(self, number: signal.Signals) -> None:
        for one in self._workers.values():
            if one.poll() is None:
                one.send_signal(number)


@dataclass
class _Worker:
    """A forked child."""

    pid: int
    returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._look(os.WNOHANG)

    def wait(self) -> int | None:
        """Its exit code, when it has ended."""
        return self._look(0)

    def send_signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def _look(self, how: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, how)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


@contextmanager
def _stops_held() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(crew: int, lanes: int) -> None:
    os.environ[CREW], os.environ[LANES] = str(crew), str(lanes)
    worker.main()


def _be_beside(crew: int, beside: Callable[[], object]) -> None:
    end_with(crew, signal.SIGTERM)
    beside()


def _live(life: Callable[[], object], log: IO[bytes] | None) -> NoReturn:
    """The life of a child."""
    status = 2
    try:
        # A Ctrl+C is the crew's to pass on, once; it must not reach the workers twice.
        os.setsid()
        for number in STOPS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if log is not None:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        life()
        status = 0
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 0
    except CasehandError as error:
        sys.stderr.write(f"{error}\n")
        status = 1
    except BaseException:  # noqa: BLE001 — nothing may lead back into the crew's code
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)
