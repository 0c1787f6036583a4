"""The worker: RQ's own, but that it keeps its horse. `python worker.py` starts one."""

import os
import secrets
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
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import UnixSignalDeathPenalty
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
from casehand.workflows.disturbance import undisturbed, when_undisturbing
from casehand.workflows.horse import Horse
from casehand.workflows.installed import installed_workflows
from casehand.workflows.parentage import end_with
from casehand.workflows.skip import check_skipping_works
from casehand.workflows.stable import Ended, SharedStable, Stable
from casehand.workflows.team import Team

CREW = "CASEHAND_CREW"
"""The variable that names the process which started this worker as one of several, and which it ends with."""

TURN_SECONDS = 2
"""How often a worker looks whether it is its turn to reconcile."""

LANES = "CASEHAND_LANES"
"""The variable that says for how many lanes of one horse this process has workers."""

LETTING_GO_SECONDS = 15
"""How long after a case's time is up its horse may take to let go of it."""

STOPPING_SECONDS = 4
"""How long it may take when it is told to stop."""

PATIENCE_SECONDS = 2.0
"""How long the worker itself waits for the ledger: it must go on sending heartbeats."""

log = structlog.get_logger()


class PatientAlarm(UnixSignalDeathPenalty):
    """RQ's alarm, that does not come between an answer and what follows from it."""

    @when_undisturbing
    def handle_death_penalty(self, signum: int, frame: FrameType | None) -> None:
        """Raise what the alarm is for."""
        super().handle_death_penalty(signum, frame)  # type: ignore[no-untyped-call]


class CasehandWorker(SteadyWorker):
    """An RQ worker whose horse takes one job after another, and which reconciles when it is its turn.

    The horse knows nothing of RQ: what RQ has a horse do before and after a job is done here.
    """

    death_penalty_class = PatientAlarm

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        redis: Redis,
        stable: Stable,
        revive: Callable[[], object] = str,
    ) -> None:
        name = stable.worker
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
        self._reconciler = Reconciler(ledger, redis, name, settings.backoff, zone=settings.zone)
        self._revive = revive
        self._stable = stable
        self._looked_at = -float(TURN_SECONDS)
        self._let_go_by = 0.0
        self._in_hand: tuple[Job, Queue] | None = None
        self._ended: Ended | None = None
        self._stops_at_once = False

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Give the job to the horse."""
        self.prepare_job_execution(job, remove_from_intermediate_queue=True)
        self._let_go_by = monotonic() + (job.timeout or 0) + LETTING_GO_SECONDS
        self._ended = None
        self._horse_pid = self._stable.give(*job.args)

    def wait_for_horse(self) -> tuple[int | None, int | None, Any]:
        """Wait until the horse is through with its job, or dead."""
        while self._ended is None:
            # To reconcile while the horse works keeps it from waiting for that between two cases.
            self._stable.wait(max(0.0, TURN_SECONDS - (monotonic() - self._looked_at)))
            # RQ's alarm for its next heartbeat may not come between an answer and what follows from it.
            with undisturbed():
                if ended := self._stable.read():
                    self._hear(ended)
                    self._ended = ended
            if self._ended is None and monotonic() > self._let_go_by:
                log.error("horse_does_not_let_go")
                self._stable.kill()
            self._reconcile_in_turn()
        return self._ended.pid, self._ended.status, self._ended.usage

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """Have the horse let go of the case; one that does not is killed."""
        self._let_go_by = monotonic() + STOPPING_SECONDS
        self._stable.stop()

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Work a job that names the one function there is; refuse any other."""
        if not _is_ours(job):
            log.error("job_refused", job=job.id)
            execution = self.prepare_execution(job)
            self.handle_job_failure(job, queue, exc_string="not a Casehand job", execution=execution)
            return
        self._in_hand = job, queue
        super().execute_job(job, queue)
        self._in_hand = None

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Wait for a job; reconcile meanwhile, and take none after `rq suspend`."""
        if timeout is None or max_idle_time is not None:
            self._reconcile_in_turn()
            return super().dequeue_job_and_maintain_ttl(timeout, max_idle_time)
        if monotonic() - self._looked_at > 2 * TURN_SECONDS:
            self._reconcile_in_turn()
        while (found := super().dequeue_job_and_maintain_ttl(TURN_SECONDS, TURN_SECONDS)) is None:
            self._reconcile_in_turn()
            self.check_for_suspension(burst=False)
        return found

    def teardown(self) -> None:
        """Send the horse away, and say goodbye to RQ."""
        self._stops_at_once = True
        if self._stable.send_away():
            self._give_up_case()
        _clear_leavings(self._settings.home)
        super().teardown()  # type: ignore[no-untyped-call]

    @when_undisturbing
    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Stop when the case in hand has ended. Raises StopRequested when there is none."""
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    @when_undisturbing
    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """Stop at once: the case in hand goes back at no cost. Raises SystemExit."""
        self._stops_at_once = True
        super().request_force_stop(signum, frame)
        # RQ took the request for the first one come twice.
        self._stops_at_once = False

    def _hear(self, ended: Ended) -> None:
        """Tell RQ of a job that ended well, and the ledger of a case that was given up; RQ sees to the rest."""
        if ended.answer is None:
            log.warning("horse_died", status=ended.status)
        if ended.answer is None or ended.answer.stopped:
            self._give_up_case()
        elif ended.status == 0:
            self._tell_success()

    def _tell_success(self) -> None:
        assert self._in_hand is not None  # noqa: S101 — it is what has ended
        assert self.execution is not None  # noqa: S101
        job, queue = self._in_hand
        self.handle_execution_ended(job, queue, job.success_callback_timeout)
        self.handle_job_success(job, queue, queue.started_job_registry, execution=self.execution)

    def _give_up_case(self) -> None:
        """Take the case in hand back at once: its horse is known to be dead."""
        if self._in_hand is None:
            return
        case, number = self._in_hand[0].args
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


@dataclass(frozen=True)
class Saddle:
    """What makes a forked child a horse."""

    settings: Settings
    ledger: Ledger  #: the parent's

    def before_fork(self) -> None:
        """In the parent: SQLite must have no file open across a fork, since its locks do not come along."""
        self.ledger.close()

    def __call__(self) -> Horse:
        """In the child: be a horse from now on."""
        _use_own_temporary_folder(self.settings.home)
        ledger = Ledger.open(self.settings.ledger_url, self.settings.vault())
        return Horse(self.settings, ledger, installed_workflows(self.settings.workflows))


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
    """Start one worker, or one for each lane of a horse that they share, and work until told to stop."""
    set_up_logs()
    os.umask(0o077)
    if (crew := os.environ.get(CREW)) is not None:
        end_with(int(crew), signal.SIGTERM)
    try:
        settings = load_settings()
        check_skipping_works()
        ledger = Ledger.open(settings.ledger_url, settings.vault(), busy_seconds=PATIENCE_SECONDS)
        saddle = Saddle(settings, ledger)
        lanes = int(os.environ.get(LANES, "1"))
        if lanes > 1:
            team = Team(
                lanes, saddle, lambda address: _work(settings, ledger, SharedStable(address, _name()))
            )
            try:
                team.work()
            finally:
                _clear_leavings(settings.home)
        else:
            alone = Stable(saddle, _name())
            # Before anything else: it gets ready while we find our way to Redis.
            alone.start()
            _work(settings, ledger, alone)
    except CasehandError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None


def _name() -> str:
    """One that no other worker has had: containers have the same host names and process ids again and again."""
    return f"{socket.gethostname()}.{secrets.token_hex(3)}.{os.getpid()}"


def _work(settings: Settings, ledger: Ledger, stable: Stable) -> None:
    embedded = None if settings.redis_url else EmbeddedValkey(settings.home)
    url = settings.redis_url or (embedded.join() if embedded else "")
    _wait_for_redis(url)
    revive = embedded.ensure if embedded else str
    CasehandWorker(settings, ledger, Redis.from_url(url), stable, revive).work(logging_level="WARNING")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    main()
