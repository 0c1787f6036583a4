"""The worker: RQ's own, but that it keeps its horse. `python worker.py` starts one."""

import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic
from types import FrameType
from typing import Any

import structlog
from redis import Redis
from rq import Queue
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty
from sqlalchemy.exc import SQLAlchemyError

from casehand.exceptions import CasehandError
from casehand.logs import set_up_logs
from casehand.queue.dispatch import ENTRY, QUEUE
from casehand.queue.endings import Loss
from casehand.queue.ledger import Ledger
from casehand.queue.reconciler import Reconciler
from casehand.queue.steady import AWAY, SteadyWorker
from casehand.queue.valkey import EmbeddedValkey, check_redis
from casehand.settings import Settings, load_settings
from casehand.workflows.disturbance import undisturbed
from casehand.workflows.horse import Horse
from casehand.workflows.installed import installed_workflows
from casehand.workflows.parentage import end_with
from casehand.workflows.signals import TimeUp
from casehand.workflows.skip import check_skipping_works
from casehand.workflows.stable import Ride, Stable

CREW = "CASEHAND_CREW"
"""The variable that names the process which started this worker as one of several, and which it ends with."""

TURN_SECONDS = 2
"""How often a worker looks whether it is its turn to reconcile."""

LETTING_GO_SECONDS = 15
"""How long after a case's time is up its horse may take to let go of it."""

PATIENCE_SECONDS = 2.0
"""How long the worker itself waits for the ledger: it must go on sending heartbeats."""

log = structlog.get_logger()


class TimeUpPenalty(UnixSignalDeathPenalty):
    """RQ's alarm, but that no workflow's `except Exception` can swallow it."""

    def handle_death_penalty(self, signum: int, frame: Any) -> None:
        """Raise what the alarm stands for."""
        if issubclass(self._exception, JobTimeoutException):
            raise TimeUp
        super().handle_death_penalty(signum, frame)  # type: ignore[no-untyped-call]


class CasehandWorker(SteadyWorker):
    """An RQ worker whose horse takes one job after another, and which reconciles when it is its turn."""

    death_penalty_class = TimeUpPenalty

    def __init__(
        self, settings: Settings, ledger: Ledger, redis: Redis, revive: Callable[[], object] = str
    ) -> None:
        name = f"{socket.gethostname()}.{os.getpid()}"
        queue = Queue(QUEUE, connection=redis, serializer=JSONSerializer)
        super().__init__(
            [queue],
            name=name,
            connection=redis,
            serializer=JSONSerializer,
            log_job_description=False,
            job_monitoring_interval=5,
            worker_ttl=60,
        )
        self._settings = settings
        self._ledger = ledger
        self._reconciler = Reconciler(ledger, redis, name, settings.backoff)
        self._revive = revive
        self._stable = Stable(self._saddle)
        self._looked_at = -float(TURN_SECONDS)
        self._let_go_by = 0.0
        self._in_hand: tuple[str, int] | None = None
        self._stops_at_once = False

    def start_horse(self) -> None:
        """Have the horse ready before the first job. Raises CasehandError when it cannot be."""
        self._stable.start()

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Give the job to the horse."""
        assert self.execution is not None  # noqa: S101 — RQ has just prepared it
        self._let_go_by = monotonic() + (job.timeout or 0) + LETTING_GO_SECONDS
        self._horse_pid = self._stable.give(job.id, self.execution.id)

    def wait_for_horse(self) -> tuple[int | None, int | None, Any]:
        """Wait until the horse is through with its job, or dead."""
        while True:
            ended = self._stable.wait(TURN_SECONDS)
            if ended is None:
                if monotonic() > self._let_go_by:
                    log.error("horse_does_not_let_go")
                    self.kill_horse()
                self._reconcile_in_turn()
                continue
            if ended.status != 0:
                log.warning("horse_died", status=ended.status)
                self._give_up_case()
            return ended.pid, ended.status, ended.usage

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Work a job that names the one function there is; refuse any other."""
        if not _is_ours(job):
            log.error("job_refused", job=job.id)
            execution = self.prepare_execution(job)
            self.handle_job_failure(job, queue, exc_string="not a Casehand job", execution=execution)
            return
        self._in_hand = tuple(job.args)
        super().execute_job(job, queue)
        self._in_hand = None
        self._reconcile_in_turn()

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Wait for a job; reconcile meanwhile, and take none after `rq suspend`."""
        self._reconcile_in_turn()
        if timeout is None or max_idle_time is not None:
            return super().dequeue_job_and_maintain_ttl(timeout, max_idle_time)
        while (found := super().dequeue_job_and_maintain_ttl(TURN_SECONDS, TURN_SECONDS)) is None:
            self._reconcile_in_turn()
            self.check_for_suspension(burst=False)
        return found

    def teardown(self) -> None:
        """Send the horse away, and say goodbye to RQ."""
        self._stable.send_away()
        _clear_leavings(self._settings.home)
        self._stops_at_once = True
        self._give_up_case()
        super().teardown()  # type: ignore[no-untyped-call]

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """Stop at once: the case in hand goes back at no cost. Raises SystemExit."""
        self._stops_at_once = True
        super().request_force_stop(signum, frame)
        # RQ took the request for the first one come twice.
        self._stops_at_once = False

    def _give_up_case(self) -> None:
        """Take the case in hand back at once: its horse is known to be dead."""
        if self._in_hand is None:
            return
        case, number = self._in_hand
        loss, why = Loss.CRASH, "the horse died"
        if self._stops_at_once:
            loss, why = Loss.STOP, "the worker was stopped"
        if self._stopped_job_id == f"{case}-{number}":
            loss, why = Loss.ORDER, "it was stopped by hand"
        with undisturbed():
            try:
                self._reconciler.take_back(case, number, why, loss)
            except SQLAlchemyError as error:
                # The lease runs out all the same, and the reconciler takes the case back then.
                log.warning("not_taken_back", case=case, attempt=number, error=type(error).__name__)

    def _reconcile_in_turn(self) -> None:
        if monotonic() - self._looked_at < TURN_SECONDS:
            return
        with undisturbed():
            try:
                done = self._reconciler.turn()
            except (*AWAY, SQLAlchemyError) as error:
                log.warning("not_reconciled", error=str(error).splitlines()[0])
                self._try_to_revive()
            else:
                if done is not None and (done.taken_back or done.handed_over):
                    log.info("reconciled", taken_back=done.taken_back, handed_over=done.handed_over)
        self._looked_at = monotonic()

    def _try_to_revive(self) -> None:
        try:
            self._revive()
        except CasehandError as error:
            log.warning("queue_not_revived", reason=str(error))

    def _saddle(self) -> Ride:
        """In the forked child: open what may not be shared with the parent, and return what performs a job."""
        self._ledger.engine.dispose(close=False)
        _use_own_temporary_folder(self._settings.home)
        ledger = Ledger.open(self._settings.ledger_url, self._settings.vault())
        workflows = installed_workflows(self._settings.workflows)
        horse = Horse(self._settings, ledger, workflows, self.name)
        Horse.current = horse
        self._is_horse = True
        return _Jobs(self, horse)


def _use_own_temporary_folder(home: Path) -> None:
    """A horse leaves its browser's profile and what it traced behind: keep those where they are cleared away."""
    _clear_leavings(home)
    own = _leavings(home) / str(os.getpid())
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["TMPDIR"] = str(own)
    tempfile.tempdir = str(own)


def _clear_leavings(home: Path) -> None:
    """Remove what horses that have died left: a trace's pages are in clear there."""
    for left in _leavings(home).glob("[0-9]*"):
        if not _is_alive(int(left.name)):
            shutil.rmtree(left, ignore_errors=True)


def _leavings(home: Path) -> Path:
    return home.absolute() / "tmp"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@dataclass
class _Jobs:
    """A horse taking RQ's jobs."""

    worker: CasehandWorker
    horse: Horse

    def perform(self, job: str, execution: str) -> bool:
        """Perform a job as RQ does; whether the horse stays for another."""
        connection, serializer = self.worker.connection, self.worker.serializer
        try:
            fetched = self.worker.job_class.fetch(job, connection=connection, serializer=serializer)
            fetched_execution = Execution.fetch(execution, job, connection=connection)
            self.worker.perform_job(fetched, self.worker.queues[0], fetched_execution)
        except AWAY as away:
            # What became of the case stands in the ledger; RQ finds out by itself.
            log.warning("redis_away", while_doing="perform", error=type(away).__name__)
        return not self.horse.is_spent

    def idle(self, seconds: float) -> None:
        """Let the horse know."""
        self.horse.idle(seconds)


def _is_ours(job: Job) -> bool:
    try:
        case, number = job.args
        return job.func_name == ENTRY and isinstance(case, str) and isinstance(number, int)
    except Exception:  # noqa: BLE001 — whatever cannot be read is not ours
        return False


def _wait_for_redis(url: str) -> None:
    """See that Redis answers; one of a crew waits for it, since its elder has seen it answer before."""
    while True:
        try:
            return check_redis(url)
        except CasehandError as error:
            if CREW not in os.environ:
                raise
            log.warning("redis_away", reason=str(error))
            Event().wait(TURN_SECONDS)


def main() -> None:
    """Start one worker, and work until told to stop."""
    set_up_logs()
    os.umask(0o077)
    if (crew := os.environ.get(CREW)) is not None:
        end_with(int(crew), signal.SIGTERM)
    try:
        settings = load_settings()
        check_skipping_works()
        ledger = Ledger.open(settings.ledger_url, settings.vault(), busy_seconds=PATIENCE_SECONDS)
        embedded = None if settings.redis_url else EmbeddedValkey(settings.home)
        url = settings.redis_url or (embedded.join() if embedded else "")
        _wait_for_redis(url)
        revive = embedded.ensure if embedded else str
        worker = CasehandWorker(settings, ledger, Redis.from_url(url), revive)
        worker.start_horse()
    except CasehandError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None
    worker.work(logging_level="WARNING")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    main()
