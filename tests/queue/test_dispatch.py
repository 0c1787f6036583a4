"""Handing to RQ what is due, with a real server."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from redis import Redis
from rq import Queue, Worker
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import UnixSignalDeathPenalty

from casehand.queue import attempts, endings, escalations
from casehand.queue.attempts import Begun
from casehand.queue.backoff import Backoff
from casehand.queue.dispatch import AHEAD, ENTRY, QUEUE, STRAY, Dispatcher
from casehand.queue.endings import Loss
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import Failed
from casehand.queue.pauses import PauseKind, pause, resume

TakeIn = Callable[..., str]
PassTime = Callable[..., None]


@pytest.fixture
def dispatcher(ledger: Ledger, redis: Redis, known: str) -> Dispatcher:
    """A dispatcher at an empty Redis, for a known workflow."""
    return Dispatcher(ledger, redis)


def _handed_over(dispatcher: Dispatcher) -> list[str]:
    """The cases in RQ's queue, the next to be worked first."""
    return [job.rpartition("-")[0] for job in dispatcher.queue.get_job_ids()]


def _take_job(redis: Redis) -> Job:
    """Take the next job as a worker does, up to the moment before the workflow would run."""
    queue = Queue(QUEUE, connection=redis, serializer=JSONSerializer)
    worker = Worker([queue], connection=redis, serializer=JSONSerializer)
    worker.death_penalty_class = UnixSignalDeathPenalty
    found = worker.dequeue_job_and_maintain_ttl(1)
    assert found is not None
    job, _ = found
    worker.execution = worker.prepare_execution(job)
    worker.prepare_job_execution(job, worker.execution)
    return job


def test_what_is_due_is_handed_over_once(dispatcher: Dispatcher, take_in: TakeIn) -> None:
    cases = [take_in(f"HB{number:06}", line=number) for number in range(3)]

    assert dispatcher.top_up() == 3
    assert dispatcher.top_up() == 0

    assert _handed_over(dispatcher) == cases


def test_a_job_names_the_one_function_with_a_case_and_its_attempt_and_nothing_else(
    dispatcher: Dispatcher, take_in: TakeIn
) -> None:
    case = take_in(attempts=2)
    dispatcher.top_up()

    (job,) = dispatcher.queue.get_jobs()

    assert (job.id, job.func_name, list(job.args), job.kwargs) == (f"{case}-3", ENTRY, [case, 3], {})
    assert (job.timeout, job.result_ttl, job.description, job.meta) == (300, 0, "attempt 3", {})
    assert job.retries_left is None


def test_nothing_of_a_case_is_in_redis_but_its_id(
    dispatcher: Dispatcher, redis: Redis, take_in: TakeIn
) -> None:
    case = take_in("HB000125", {"claimant": "Mrs Invented", "weekly_rent": "112.40"})
    dispatcher.top_up()
    _take_job(redis)

    kept = b"\n".join(_everything(redis))

    assert case.encode() in kept
    for secret in (b"HB000125", b"Invented", b"112.40", b"weekly_rent", b"housing-benefit"):
        assert secret not in kept


def test_cases_are_handed_over_in_the_order_of_their_batches_and_lines(
    dispatcher: Dispatcher, take_in: TakeIn, pass_time: PassTime
) -> None:
    second = [take_in(f"HB1{line:05}", line=line, batch="first") for line in (3, 2, 4)]
    pass_time(seconds=1)
    third = take_in("HB200001", line=1, batch="second")

    dispatcher.top_up()

    assert _handed_over(dispatcher) == [second[1], second[0], second[2], third]


def test_what_is_urgent_comes_first_and_goes_ahead_of_what_is_queued_already(
    dispatcher: Dispatcher, take_in: TakeIn
) -> None:
    usual = [take_in(f"HB00000{line}", line=line) for line in (1, 2)]
    dispatcher.top_up()
    late = take_in("HB000003", line=3, priority=-5)
    urgent = [take_in(f"HB00001{line}", line=line, priority=5) for line in (1, 2)]
    most_urgent = take_in("HB000020", line=9, priority=9)

    dispatcher.top_up()

    assert _handed_over(dispatcher) == [most_urgent, *urgent, *usual, late]


def test_what_is_not_to_begin_yet_is_not_handed_over(
    ledger: Ledger, dispatcher: Dispatcher, take_in: TakeIn, pass_time: PassTime
) -> None:
    take_in("HB000001", not_before=ledger.clock() + timedelta(seconds=10))
    take_in("HB000002", batch="month-end")
    take_in("HB000003", state="working")
    escalations.cancel(ledger, take_in("HB000004"), "a person")
    pause(ledger, PauseKind.BATCH, "month-end", "not yet", "a person")
    assert dispatcher.top_up() == 0

    pass_time(seconds=10)
    assert dispatcher.top_up() == 1
    resume(ledger, PauseKind.BATCH, "month-end", "a person")
    assert dispatcher.top_up() == 1


def test_only_so_many_jobs_are_handed_over_ahead(
    dispatcher: Dispatcher, redis: Redis, take_in: TakeIn, begin: Callable[..., Begun]
) -> None:
    for line in range(AHEAD + 7):
        take_in(f"HB{line:06}", line=line)

    assert dispatcher.top_up() == AHEAD
    assert dispatcher.top_up() == 0
    for _ in range(3):
        begin(_take_job(redis).args[0])
    assert dispatcher.top_up() == 3
    assert len(dispatcher.queue) == AHEAD


def test_after_redis_was_emptied_everything_is_handed_over_again(
    dispatcher: Dispatcher, redis: Redis, take_in: TakeIn, begin: Callable[..., Begun]
) -> None:
    cases = [take_in(f"HB{line:06}", line=line) for line in range(5)]
    dispatcher.top_up()
    begin(cases[0])
    redis.flushall()

    assert dispatcher.top_up() == 4

    assert _handed_over(dispatcher) == cases[1:]


def test_a_job_that_a_worker_has_just_taken_is_not_handed_over_again(
    dispatcher: Dispatcher, redis: Redis, take_in: TakeIn, pass_time: PassTime
) -> None:
    take_in()
    dispatcher.top_up()
    _take_job(redis)

    assert dispatcher.top_up() == 0
    pass_time(seconds=STRAY.total_seconds() - 0.001)
    assert dispatcher.top_up() == 0


def test_a_job_that_a_worker_took_and_died_with_is_handed_over_again(
    dispatcher: Dispatcher, redis: Redis, take_in: TakeIn, pass_time: PassTime
) -> None:
    case = take_in()
    dispatcher.top_up()
    _take_job(redis)
    dispatcher.top_up()
    pass_time(seconds=STRAY.total_seconds())

    assert dispatcher.top_up() == 1
    assert _handed_over(dispatcher) == [case]


def test_a_job_left_between_queue_and_worker_is_handed_over_again(
    dispatcher: Dispatcher, redis: Redis, take_in: TakeIn, pass_time: PassTime
) -> None:
    case = take_in()
    dispatcher.top_up()
    redis.lmove(dispatcher.queue.key, dispatcher.queue.intermediate_queue_key)
    assert dispatcher.top_up() == 0
    pass_time(seconds=STRAY.total_seconds())

    assert dispatcher.top_up() == 1
    assert _handed_over(dispatcher) == [case]


def test_the_next_attempt_of_a_case_is_a_job_of_its_own(
    ledger: Ledger,
    dispatcher: Dispatcher,
    redis: Redis,
    take_in: TakeIn,
    begin: Callable[..., Begun],
    pass_time: PassTime,
) -> None:
    case = take_in()
    dispatcher.top_up()
    _take_job(redis)
    endings.end(ledger, begin(case), Failed("the page is late"), "[]", Backoff(), 0.0)
    assert dispatcher.top_up() == 0
    pass_time(seconds=5)

    assert dispatcher.top_up() == 1
    assert dispatcher.queue.get_job_ids() == [f"{case}-2"]


def test_a_job_of_somebody_else_in_the_queue_disturbs_nothing(
    dispatcher: Dispatcher, take_in: TakeIn
) -> None:
    dispatcher.queue.enqueue("os.path.exists", "/", job_id="foreign")
    case = take_in()

    assert dispatcher.top_up() == 1
    assert dispatcher.queue.get_job_ids() == [f"{case}-1", "foreign"]


def test_several_that_top_up_at_once_lose_nothing_and_each_case_begins_once(
    ledger: Ledger, redis: Redis, redis_url: str, known: str, take_in: TakeIn
) -> None:
    cases = [take_in(f"HB{line:06}", line=line) for line in range(30)]
    together = Barrier(4)

    def top_up(_: int) -> int:
        with Redis.from_url(redis_url) as mine:
            dispatcher = Dispatcher(ledger, mine)
            together.wait()
            return dispatcher.top_up()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(top_up, range(4))) >= 30

    jobs = [job.args for job in Queue(QUEUE, connection=redis, serializer=JSONSerializer).get_jobs()]
    begun = [attempts.begin(ledger, case, number, "worker-1") for case, number in jobs]
    assert sorted(one.case for one in begun if one is not None) == sorted(cases)


def test_of_two_cases_with_one_reference_in_one_bot_the_first_is_handed_over_alone(
    ledger: Ledger, dispatcher: Dispatcher, take_in: TakeIn, begin: Callable[..., Begun], pass_time: PassTime
) -> None:
    make_known(ledger, "housing-benefit/letter", ["benefits"], timedelta(minutes=5))
    first = take_in("HB000125")
    pass_time(seconds=1)
    second = take_in("HB000125", workflow="housing-benefit/letter")

    assert dispatcher.top_up() == 1
    assert _handed_over(dispatcher) == [first]
    assert attempts.begin(ledger, second, 1, "worker-2") is None

    begun = begin(first)
    endings.abandon(ledger, first, begun.number, "stopped", "worker-1", Loss.ORDER, Backoff(), 0.0)
    assert dispatcher.top_up() == 1


def _everything(redis: Redis) -> list[bytes]:
    kept: list[bytes] = []
    readers: dict[bytes, Callable[[bytes], Any]] = {
        b"string": redis.get,
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"set": redis.smembers,
        b"zset": lambda key: redis.zrange(key, 0, -1),
        b"hash": redis.hgetall,
        b"stream": redis.xrange,
    }
    for key in redis.scan_iter():
        kept += [key, repr(readers[redis.type(key)](key)).encode()]
    return kept
