"""The reconciler, with a real server."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisIsAway
from redis.retry import Retry
from sqlalchemy import select
from structlog.testing import capture_logs

from casehand.queue import attempts, commits, schema
from casehand.queue.attempts import GRACE, LEASE, Begun
from casehand.queue.backoff import Backoff
from casehand.queue.endings import MOST_CRASHES, Loss
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.pauses import PauseKind, all_pauses
from casehand.queue.policy import BatchStop
from casehand.queue.reconciler import TURN, Reconciled, Reconciler

TakeIn = Callable[..., str]
Begin = Callable[..., Begun]
PassTime = Callable[..., None]
AuditOf = Callable[[str], list[tuple[str, str | None, str | None]]]

LOST = (LEASE + GRACE).total_seconds() + 0.001


@pytest.fixture
def reconciler(ledger: Ledger, redis: Redis, known: str) -> Reconciler:
    """A reconciler at an empty Redis, without jitter."""
    return Reconciler(ledger, redis, "worker-1", Backoff(), lambda: 0.0)


def test_a_pass_that_finds_nothing_does_nothing(reconciler: Reconciler) -> None:
    assert reconciler.reconcile() == Reconciled(0, 0)


def test_a_pass_notes_the_batches_that_are_over(
    ledger: Ledger, reconciler: Reconciler, take_in: TakeIn
) -> None:
    take_in(batch="november", state="done")
    reconciler.reconcile()
    with ledger.reading() as connection:
        assert connection.execute(select(schema.batches.c.done)).scalar() == 1


def test_a_pass_links_the_audit_and_rolls_up_the_figures(
    ledger: Ledger, reconciler: Reconciler, take_in: TakeIn, begin: Begin
) -> None:
    begin(take_in())
    take_in("HB000002", state="done", changed_at=ledger.clock() - timedelta(days=1))
    reconciler.reconcile()
    with ledger.reading() as connection:
        assert connection.execute(select(schema.audit_head.c.length)).scalar() == 1
        assert connection.execute(select(schema.figures.c.number)).scalar() == 1


def test_a_turn_tells_the_log_of_the_audits_head(
    reconciler: Reconciler, take_in: TakeIn, begin: Begin
) -> None:
    begin(take_in())
    with capture_logs() as logs:
        reconciler.turn()
        reconciler.turn()
    assert [entry["head"][:2] for entry in logs if entry["event"] == "audit_head"] == ["1:"]


def test_what_a_dead_worker_held_is_handed_to_another_within_thirty_seconds(
    ledger: Ledger,
    reconciler: Reconciler,
    redis: Redis,
    take_in: TakeIn,
    begin: Begin,
    pass_time: PassTime,
) -> None:
    case = take_in()
    assert reconciler.reconcile() == Reconciled(0, 1)
    begin(case)
    redis.flushall()
    seconds = 0
    while reconciler.reconcile().handed_over == 0:
        pass_time(seconds=1)
        seconds += 1

    assert seconds <= 30
    assert attempts.begin(ledger, case, 2, "worker-2") is not None


def test_a_case_that_kills_every_worker_goes_to_a_person_and_the_others_go_on(
    ledger: Ledger, reconciler: Reconciler, take_in: TakeIn, begin: Begin, pass_time: PassTime
) -> None:
    poison, other = take_in("HB000001"), take_in("HB000002")
    for _ in range(MOST_CRASHES):
        begin(poison)
        pass_time(seconds=LOST)
        assert reconciler.reconcile().taken_back == 1

    assert reconciler.reconcile() == Reconciled(0, 0)
    assert attempts.begin(ledger, poison, MOST_CRASHES + 1, "worker-2") is None
    assert attempts.begin(ledger, other, 1, "worker-2") is not None


def test_a_batch_whose_cases_kill_every_worker_stops_itself(
    ledger: Ledger, reconciler: Reconciler, known: str, take_in: TakeIn, begin: Begin, pass_time: PassTime
) -> None:
    make_known(ledger, known, ["benefits"], timedelta(minutes=5), stop=BatchStop(first=2))
    cases = [take_in(f"HB{line:06}", batch="november", line=line) for line in range(3)]
    for _ in range(MOST_CRASHES):
        for case in cases[:2]:
            begin(case)
        pass_time(seconds=LOST)
        reconciler.reconcile()

    assert [(one.kind, one.name) for one in all_pauses(ledger)] == [(PauseKind.BATCH, "november")]


def test_a_case_with_a_change_that_may_be_on_its_way_is_not_handed_over_before_that_has_settled(
    ledger: Ledger, reconciler: Reconciler, take_in: TakeIn, begin: Begin, pass_time: PassTime
) -> None:
    begun = begin(take_in())
    commits.intend(ledger, begun.case, 1, "put the new rent on", "benefits", timedelta(seconds=90))
    pass_time(seconds=LOST)
    assert reconciler.reconcile() == Reconciled(1, 0)

    pass_time(seconds=89.999)
    assert reconciler.reconcile() == Reconciled(0, 0)
    pass_time(seconds=0.001)
    assert reconciler.reconcile() == Reconciled(0, 1)


def test_one_at_a_time_has_its_turn_and_another_takes_over_when_it_is_silent(
    ledger: Ledger, reconciler: Reconciler, redis: Redis, pass_time: PassTime
) -> None:
    other = Reconciler(ledger, redis, "worker-2", Backoff())
    assert reconciler.turn() == Reconciled(0, 0)
    assert other.turn() is None
    pass_time(seconds=TURN.total_seconds())
    assert other.turn() is None
    pass_time(seconds=0.001)

    assert other.turn() == Reconciled(0, 0)
    assert reconciler.turn() is None


def test_a_worker_gives_back_the_case_of_its_dead_horse_at_once(
    ledger: Ledger, reconciler: Reconciler, take_in: TakeIn, begin: Begin, pass_time: PassTime
) -> None:
    begun = begin(take_in())

    reconciler.take_back(begun.case, begun.number, "the horse died", Loss.CRASH)

    assert reconciler.reconcile() == Reconciled(0, 0)
    pass_time(seconds=5)
    assert reconciler.reconcile() == Reconciled(0, 1)


def test_any_number_at_once_take_back_each_case_once(
    ledger: Ledger,
    redis_url: str,
    redis: Redis,
    known: str,
    take_in: TakeIn,
    begin: Begin,
    audit_of: AuditOf,
    pass_time: PassTime,
) -> None:
    cases = [take_in(f"HB{line:06}") for line in range(20)]
    for case in cases:
        begin(case)
    pass_time(seconds=LOST)
    together = Barrier(6)

    def reconcile(number: int) -> Reconciled:
        with Redis.from_url(redis_url) as mine:
            one = Reconciler(ledger, mine, f"worker-{number}", Backoff(), lambda: 0.0)
            together.wait()
            return one.reconcile()

    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(reconcile, range(6)))

    assert sum(one.taken_back for one in done) == 20
    moves = [("begun", "queued", "working"), ("lost", "working", "queued")]
    assert all(audit_of(case) == moves for case in cases)


def test_what_was_lost_is_taken_back_though_redis_is_away(
    ledger: Ledger, known: str, take_in: TakeIn, begin: Begin, pass_time: PassTime, audit_of: AuditOf
) -> None:
    case = take_in()
    begin(case)
    pass_time(seconds=LOST)
    away = Redis(unix_socket_path="/nowhere", retry=Retry(NoBackoff(), 0))
    nowhere = Reconciler(ledger, away, "worker-1", Backoff())

    with pytest.raises(RedisIsAway):
        nowhere.reconcile()

    assert audit_of(case)[-1] == ("lost", "working", "queued")
