"""Handing to RQ what is due. The queue is only a nudge: losing Redis loses nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from redis import Redis
from rq import Queue
from rq.queue import EnqueueData
from rq.serializers import JSONSerializer

from casehand.queue.ledger import Ledger
from casehand.queue.order import Next, next_cases

QUEUE = "casehand"

ENTRY = "casehand.workflows.horse.work"
"""The one function that a job may name."""

AHEAD = 200
"""How many jobs are handed to RQ ahead of the workers: few, since they are put in order again; enough for minutes."""

STRAY = timedelta(seconds=10)
"""How long RQ may say that a job has been started whose case nobody has begun, before it is handed over again."""

FAILURE_TTL = timedelta(days=1)

# In one step, so that a job which a worker takes meanwhile is not put back.
TO_THE_FRONT = """
for place = #ARGV, 1, -1 do
  if redis.call('LREM', KEYS[1], 1, ARGV[place]) == 1 then
    redis.call('LPUSH', KEYS[1], ARGV[place])
  end
end
"""


@dataclass
class Dispatcher:
    """Keeps RQ's queue topped up from the ledger."""

    ledger: Ledger
    redis: Redis
    queue: Queue = field(init=False)
    _strays: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.queue = Queue(QUEUE, connection=self.redis, serializer=JSONSerializer)
        self._to_the_front = self.redis.register_script(TO_THE_FRONT)

    def top_up(self) -> int:
        """Hand RQ what is due and it does not know, in the ledger's order; returns how many that were.

        Handing one over twice does no harm, since an attempt begins once. Raises redis' ConnectionError.
        """
        queued = self.queue.get_job_ids()
        taken = set(self._in_hand())
        wanted = [one for one in next_cases(self.ledger, AHEAD + len(taken)) if one.job not in taken][:AHEAD]
        known = set(queued)
        fresh = [one for one in wanted if one.job not in known]
        if fresh:
            self.queue.enqueue_many([_job(one) for one in fresh])
        waiting = [*(job for job in queued if job not in taken), *(one.job for one in fresh)]
        self._put_in_order([one.job for one in wanted], waiting)
        return len(fresh)

    def _put_in_order(self, wanted: list[str], queued: list[str]) -> None:
        """What is more urgent goes ahead of what was handed over before; whatever else is queued comes last."""
        if queued[: len(wanted)] != wanted:
            self._to_the_front(keys=[self.queue.key], args=wanted)

    def _in_hand(self) -> Iterator[str]:
        """Jobs that a worker has taken; not those it must have died with before it began the case."""
        now = self.ledger.clock()
        taken = {
            *self.queue.started_job_registry.get_job_ids(cleanup=False),
            *map(_text, self.redis.lrange(self.queue.intermediate_queue_key, 0, -1)),
        }
        self._strays = {job: self._strays.get(job, now) for job in taken}
        yield from (job for job, since in self._strays.items() if now - since < STRAY)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _job(one: Next) -> EnqueueData:
    return Queue.prepare_data(
        ENTRY,
        args=(one.case, one.attempt),
        job_id=one.job,
        timeout=one.timeout,
        result_ttl=0,
        failure_ttl=round(FAILURE_TTL.total_seconds()),
        description=f"attempt {one.attempt}",
    )
