"""Handing to RQ what is due. The queue is only a nudge: losing Redis loses nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from redis import Redis
from rq import Queue
from rq.queue import EnqueueData
from rq.serializers import JSONSerializer
from sqlalchemy import select

from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.readiness import READY, at
from casehand.queue.state import State

QUEUE = "casehand"

ENTRY = "casehand.workflows.horse.work"
"""The one function that a job may name."""

AHEAD = 200
"""How many jobs are handed to RQ ahead of the workers: few, so that the ledger's order holds; enough for minutes."""

STRAY = timedelta(seconds=10)
"""How long RQ may say that a job has been started whose case nobody has begun, before it is handed over again."""

FAILURE_TTL = timedelta(days=1)

Cases = schema.cases.c


@dataclass(frozen=True)
class Due:
    """A case that may be begun now, as its attempt `attempt`."""

    case: str
    attempt: int
    priority: int
    timeout: int

    @property
    def job(self) -> str:
        """The id of its job."""
        return f"{self.case}-{self.attempt}"


@dataclass
class Dispatcher:
    """Keeps RQ's queue topped up from the ledger."""

    ledger: Ledger
    redis: Redis
    queue: Queue = field(init=False)
    _strays: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.queue = Queue(QUEUE, connection=self.redis, serializer=JSONSerializer)

    def top_up(self) -> int:
        """Hand RQ what is due and it does not know; returns how many that were.

        Handing one over twice does no harm, since an attempt begins once. Raises redis' ConnectionError.
        """
        queued = set(self.queue.get_job_ids())
        room = AHEAD - len(queued)
        if room <= 0:
            return 0
        known = queued | set(self._in_hand())
        fresh = [due for due in self._due(len(known) + room) if due.job not in known][:room]
        self._enqueue([due for due in fresh if due.priority <= 0], at_front=False)
        # RQ pushes to the front one by one, so the first to be worked is pushed last.
        self._enqueue([due for due in reversed(fresh) if due.priority > 0], at_front=True)
        return len(fresh)

    def _in_hand(self) -> Iterator[str]:
        """Jobs that a worker has taken; not those it must have died with before it began the case."""
        now = self.ledger.clock()
        taken = {
            *self.queue.started_job_registry.get_job_ids(cleanup=False),
            *map(_text, self.redis.lrange(self.queue.intermediate_queue_key, 0, -1)),
        }
        self._strays = {job: self._strays.get(job, now) for job in taken}
        yield from (job for job, since in self._strays.items() if now - since < STRAY)

    def _due(self, most: int) -> list[Due]:
        query = (
            select(Cases.id, Cases.attempts, Cases.priority, schema.workflows.c.timeout_seconds)
            .join(schema.workflows, schema.workflows.c.name == Cases.workflow)
            .where(Cases.state == State.QUEUED, READY)
            .order_by(Cases.priority.desc(), Cases.not_before, Cases.handed_in_at, Cases.line, Cases.id)
            .limit(most)
        )
        with self.ledger.reading() as connection:
            rows = connection.execute(query, at(self.ledger.clock())).all()
        return [Due(row.id, row.attempts + 1, row.priority, row.timeout_seconds) for row in rows]

    def _enqueue(self, cases: list[Due], at_front: bool) -> None:
        if cases:
            self.queue.enqueue_many([_job(due, at_front) for due in cases])


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _job(due: Due, at_front: bool) -> EnqueueData:
    return Queue.prepare_data(
        ENTRY,
        args=(due.case, due.attempt),
        job_id=due.job,
        timeout=due.timeout,
        result_ttl=0,
        failure_ttl=round(FAILURE_TTL.total_seconds()),
        description=f"attempt {due.attempt}",
        at_front=at_front,
    )
