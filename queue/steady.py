"""A steady worker: RQ's own, but that Redis may be away at any moment without ending it."""

import functools
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any

import structlog
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import TimeoutError as RedisSilent
from rq import Queue, Worker
from rq.executions import Execution
from rq.job import Job

BEAT_SECONDS = 5.0
"""RQ tells Redis four times between two jobs that a worker lives; its key lasts for minutes."""

AWAY = (RedisAway, RedisSilent)

log = structlog.get_logger()


class SteadyWorker(Worker):
    """RQ 3.0 ends a worker whose Redis is away when a job ends, or between two jobs.

    Here what a worker tells Redis of itself may fail: it is told again with the next heartbeat, and what
    became of the case stands in the ledger. Waiting for a job is left to RQ, which tries again by itself.
    """

    max_connection_wait_time = 5.0
    _told_at = -inf

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Tell Redis that this worker lives, if Redis is there, and has not just been told so."""
        between_jobs = timeout is None and pipeline is None
        if between_jobs and monotonic() - self._told_at < BEAT_SECONDS:
            return
        _if_there(super().heartbeat)(timeout, pipeline)
        self._told_at = monotonic()

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        """Tell Redis that the job is being worked, if Redis is there."""
        _if_there(super().maintain_heartbeats)(job, execution)

    def set_state(self, state: str, pipeline: Any = None) -> None:
        """Tell Redis what this worker does, if Redis is there."""
        self._state = state
        _if_there(super().set_state)(state, pipeline)

    def check_for_suspension(self, burst: bool) -> None:
        """Wait while `rq suspend` holds; it does not while nobody can ask."""
        _if_there(super().check_for_suspension)(burst)

    def run_maintenance_tasks(self) -> None:
        """RQ's own tidying, if Redis is there."""
        _if_there(super().run_maintenance_tasks)()

    def unsubscribe(self) -> None:
        """Stop listening for commands, if Redis is there."""
        _if_there(super().unsubscribe)()

    def register_death(self) -> None:
        """Tell Redis of the end, if Redis is there."""
        _if_there(super().register_death)()

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Have the job worked to its end, whether or not Redis hears of it."""
        try:
            super().execute_job(job, queue)
        except AWAY as away:
            log.warning("redis_away", while_doing="execute_job", error=type(away).__name__)
            self._horse_pid = 0
            self.executions.clear()


def _if_there(tell: Callable[..., Any]) -> Callable[..., None]:
    @functools.wraps(tell)
    def told(*given: Any) -> None:
        try:
            tell(*given)
        except AWAY as away:
            log.warning("redis_away", while_doing=tell.__name__, error=type(away).__name__)

    return told
