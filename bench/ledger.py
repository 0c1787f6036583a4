"""The ledger and the queue without a browser: handing in, many cases waiting, a million cases finished."""

import csv
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import Connection, event, text

from casehand.fixtures.practice.seed import generate
from casehand.queue import attempts, commits, endings
from casehand.queue.backlog import unfinished
from casehand.queue.backoff import Backoff
from casehand.queue.batches import batch_names, note_finished, rejections_of
from casehand.queue.cases import counts, counts_by_batch, find_cases, tell
from casehand.queue.commits import CommitState
from casehand.queue.dispatch import Dispatcher
from casehand.queue.escalations import waiting
from casehand.queue.intake import hand_in
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import Done, Escalated, EscalationKind
from casehand.queue.reconciler import LONDON, Reconciler
from casehand.queue.rolling import catch_up
from casehand.queue.state import State
from casehand.queue.valkey import EmbeddedValkey
from casehand.queue.vault import KEY_BYTES, Vault
from casehand.workflows.rent_change import change_rent

BACKOFF = Backoff(timedelta(seconds=10), timedelta(minutes=15), 3)
WORKER = "bench"
PAGE = 100
IN_PART = ("uq_escalations_open", "ix_escalations_waiting", "ix_cases_came_in")
"""Indexes that hold only what is open, or are read in their order as far as a page goes."""


def report(*, quick: bool) -> list[str]:
    """Measure all of it, and tell of it in Markdown."""
    rounds = 3 if quick else 5
    with TemporaryDirectory(prefix="bench") as name, EmbeddedValkey(Path(name)) as url:
        folder, redis = Path(name), Redis.from_url(url)
        lines = ["## Ledger and queue", "", "SQLite at full durability, on this machine's disk.", ""]
        lines += _handing_in(folder, redis, 10_000, rounds)
        lines += _waiting(folder, redis, 1_000, 20_000 if quick else 100_000, rounds)
        lines += _finished(folder, redis, 200_000 if quick else 1_000_000)
        redis.close()
    return lines


def _handing_in(folder: Path, redis: Redis, rows: int, rounds: int) -> Iterator[str]:
    batch = folder / "ten-thousand.csv"
    generate(batch, rows, first=100_000)
    ours, theirs = [], []
    for number in range(rounds):
        with _ledger(folder / f"handing-in-{number}.db") as ledger:
            ours.append(_seconds(lambda ledger=ledger: _take_in(ledger, batch, rows)))  # type: ignore[misc]
        theirs.append(_seconds(lambda: _enqueue_many(redis, batch)))
    yield f"Handing in {rows:,} rows of CSV, each a case with a key of its own: {median(ours):.2f} s "
    yield f"({rows / median(ours):,.0f} rows/s). RQ's bare `enqueue_many` of as many jobs: {median(theirs):.2f} s. "
    yield f"Ratio **{median(ours) / median(theirs):.2f}** (of {rounds} rounds)."
    yield ""


def _enqueue_many(redis: Redis, batch: Path) -> None:
    redis.flushall()
    queue = Queue("bench", connection=redis, serializer=JSONSerializer)
    with batch.open(newline="") as file:
        queue.enqueue_many([Queue.prepare_data("bench.no.such", args=(row,)) for row in csv.DictReader(file)])


def _waiting(folder: Path, redis: Redis, few: int, many: int, rounds: int) -> Iterator[str]:
    block = 60
    spent: dict[int, dict[str, list[float]]] = {few: {}, many: {}}
    with _ledger(folder / "few.db") as small, _ledger(folder / "many.db") as large:
        for ledger, number in ((small, few), (large, many)):
            batch = folder / f"waiting-{number}.csv"
            generate(batch, number, first=100_000)
            _take_in(ledger, batch, number)
        for _ in range(rounds):
            for ledger, number in ((small, few), (large, many)):
                for part, milliseconds in _work_some(ledger, redis, block).items():
                    spent[number].setdefault(part, []).append(milliseconds)
    yield f"What the ledger and the queue cost a case (ms, medians of {rounds} blocks of {block} cases):"
    yield ""
    yield f"| | {few:,} waiting | {many:,} waiting | ratio |"
    yield "|---|--:|--:|--:|"
    small_sum = large_sum = 0.0
    for part in spent[few]:
        one, other = median(spent[few][part]), median(spent[many][part])
        small_sum, large_sum = small_sum + one, large_sum + other
        yield f"| {part} | {one:.2f} | {other:.2f} | {other / one:.2f} |"
    yield f"| all | {small_sum:.2f} | {large_sum:.2f} | **{large_sum / small_sum:.2f}** |"
    yield ""


def _work_some(ledger: Ledger, redis: Redis, number: int) -> dict[str, float]:
    """Milliseconds a case for each part of its way, with one change made."""
    redis.flushall()
    dispatcher = Dispatcher(ledger, redis)
    topped = _seconds(dispatcher.top_up) / 200 * 1000
    jobs = dispatcher.queue.get_job_ids()[:number]
    spent = {
        "handed to RQ (200 at once)": topped,
        "begun": 0.0,
        "a change written before and after": 0.0,
        "ended": 0.0,
    }
    for job in jobs:
        case, attempt = job.rsplit("-", 1)
        begun_at = perf_counter()
        begun = attempts.begin(ledger, case, int(attempt), WORKER)
        assert begun is not None
        changed_at = perf_counter()
        intent = commits.intend(ledger, case, begun.number, "change", "benefits", timedelta(seconds=5))
        assert intent is not None
        commits.resolve(ledger, case, begun.number, intent, CommitState.MADE)
        ended_at = perf_counter()
        endings.end(ledger, begun, Done("{}"), "[]", BACKOFF, 0.5)
        for part, took in zip(
            list(spent)[1:],
            (changed_at - begun_at, ended_at - changed_at, perf_counter() - ended_at),
            strict=True,
        ):
            spent[part] += took / len(jobs) * 1000
    return spent


def _finished(folder: Path, redis: Redis, finished: int) -> Iterator[str]:
    redis.flushall()
    with _ledger(folder / "finished.db") as ledger:
        _fill(ledger, finished)
        note_finished(ledger)
        catch_up(ledger, LONDON)
        batch = folder / "open.csv"
        generate(batch, 1_500, first=900_000)
        _take_in(ledger, batch, 1_500)
        _escalate(ledger, 500)
        some = find_cases(ledger, state=State.QUEUED, limit=1)[0]
        yield f"With {finished:,} finished cases in the ledger, 1,000 waiting and 500 in front of a person:"
        yield ""
        yield "| | ms (median of 3) | how it reads the large tables |"
        yield "|---|--:|---|"
        for name, look in _looks(ledger, redis, some.reference).items():
            plans = _plans(ledger, look)
            took = median(_seconds(look) for _ in range(3)) * 1000
            yield f"| {name} | {took:.1f} | {plans} |"
        yield ""


def _looks(ledger: Ledger, redis: Redis, reference: str) -> dict[str, Callable[[], object]]:
    reconciler = Reconciler(ledger, redis, WORKER, BACKOFF)
    latest = find_cases(ledger, state=State.QUEUED, limit=1)[0].batch
    assert latest is not None
    finished = find_cases(ledger, batch="batch-0", limit=1)[0].batch
    batches = batch_names(ledger)
    middle = find_cases(ledger, batch=batches[len(batches) // 2], limit=1)[0].id
    return {
        "`status`, in all": lambda: counts(ledger),
        "`status`, by batch": lambda: counts_by_batch(ledger),
        "`status` of one batch": lambda: counts(ledger, batch=latest),
        "`status` of a finished batch": lambda: counts(ledger, batch=finished),
        f"`cases`, first {PAGE}": lambda: find_cases(ledger, limit=PAGE),
        f"`cases`, {PAGE} from the middle": lambda: find_cases(ledger, limit=PAGE, after=middle),
        "`cases` that are done": lambda: find_cases(ledger, state=State.DONE, limit=PAGE),
        "`cases` that are escalated": lambda: find_cases(ledger, state=State.ESCALATED, limit=PAGE),
        "`cases` of one batch": lambda: find_cases(ledger, batch=latest, limit=PAGE),
        "`cases` of one workflow": lambda: find_cases(ledger, workflow=change_rent.name, limit=PAGE),
        "`cases` of one reference": lambda: find_cases(ledger, reference=reference, limit=PAGE),
        "`case`": lambda: tell(ledger, reference),
        f"`escalations`, first {PAGE}": lambda: waiting(ledger, limit=PAGE),
        "rejections of a batch": lambda: rejections_of(ledger, latest),
        "is anything left to work": lambda: unfinished(ledger, timedelta(minutes=15), most=1),
        "`reconcile`": reconciler.reconcile,
        "begin and end a case": lambda: _begin_and_end(ledger),
    }


def _begin_and_end(ledger: Ledger) -> None:
    case = find_cases(ledger, state=State.QUEUED, limit=1)[0]
    begun = attempts.begin(ledger, case.id, case.attempts + 1, WORKER)
    assert begun is not None
    endings.end(ledger, begun, Done("{}"), "[]", BACKOFF, 0.5)


def _plans(ledger: Ledger, look: Callable[[], object]) -> str:
    """How SQLite reads for a look: the steps that go through a whole table or index."""
    asked: list[tuple[str, Any]] = []

    def note(
        connection: Connection, cursor: object, statement: str, parameters: Any, *others: object
    ) -> None:
        asked.append((statement, parameters))

    event.listen(ledger.engine, "before_cursor_execute", note)
    try:
        look()
    finally:
        event.remove(ledger.engine, "before_cursor_execute", note)
    steps: list[str] = []
    with ledger.reading() as connection:
        for statement, parameters in asked:
            if statement.startswith(("SELECT", "UPDATE", "DELETE")):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                steps += [row[3] for row in plan]
    large = ("cases", "attempts", "commits", "audit", "escalations", "other")
    whole = [step for step in steps if step.startswith("SCAN ") and step.split()[-1] not in IN_PART]
    scans = [step for step in whole if step.split()[1] in large]
    scans += ["sorts what it found" for step in steps if "TEMP B-TREE" in step]
    return "; ".join(dict.fromkeys(scans)) or "by index"


def _fill(ledger: Ledger, finished: int) -> None:
    """Finished cases as they stand in a ledger: each with its attempt, its change and its audit."""
    batches = max(finished // 10_000, 1)
    numbers = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :many) "
    at = "strftime('%Y-%m-%d %H:%M:%f000', '2026-01-01', '+' || (i / 10000) || ' hours')"
    statements = (
        numbers
        + "INSERT INTO batches (id, workflow, file, digest, key, accepted, rejected, duplicates, handed_in_at,"
        " handed_in_by) SELECT 'batch-' || i, :workflow, 'file', 'digest-' || i, randomblob(60), 10000, 0, 0,"
        " strftime('%Y-%m-%d %H:%M:%f000', '2026-01-01', '+' || i || ' hours'), 'bench' FROM n WHERE i < :batches",
        numbers
        + "INSERT INTO cases (id, reference, workflow, batch, line, state, priority, not_before, attempts,"
        " failures, crashes, key, sealed_data, sealed_result, handed_in_at, changed_at) SELECT"
        " lower(hex(randomblob(16))), printf('HB%06d', i % 90000), :workflow, 'batch-' || (i / 10000),"
        f" i % 10000 + 2, CASE i % 50 WHEN 0 THEN 'closed' ELSE 'done' END, 0, {at}, 1, 0, 0, randomblob(60),"
        f" randomblob(140), randomblob(60), {at}, {at} FROM n",
        'INSERT INTO attempts ("case", number, worker, begun_at, ended_at, "end", traced, sealed_steps)'
        " SELECT id, 1, 'worker', handed_in_at, changed_at, 'done', 0, randomblob(600) FROM cases",
        'INSERT INTO commits ("case", attempt, name, bot, state, settles_seconds, intended_at, resolved_at)'
        " SELECT id, 1, 'change', 'benefits', 'made', 5, changed_at, changed_at FROM cases",
        # Linked to the chain long ago, as far as it matters here; what hangs on its end is linked by each pass.
        *(
            'INSERT INTO audit (at, actor, action, subject, "before", "after", attempt, place, link)'
            f" SELECT changed_at, 'worker', '{action}', id, NULL, 'done', 1, rowid + {number} * :many,"
            " randomblob(32) FROM cases"
            for number, action in enumerate(("taken in", "begun", "done"))
        ),
        "UPDATE audit_head SET length = 3 * :many, link = randomblob(32)",
    )
    # With SQLite's usual two megabytes, indexes of random ids are read and written over and over.
    with ledger.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA cache_size = -1000000")
        for statement in statements:
            asked = {"many": finished, "workflow": change_rent.name, "batches": batches}
            named = {name: value for name, value in asked.items() if f":{name}" in statement}
            connection.execute(text(statement.replace("%H:%M:%f", r"%H\:%M\:%f")), named)
            connection.commit()
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    ledger.engine.dispose()


def _escalate(ledger: Ledger, number: int) -> None:
    for case in find_cases(ledger, state=State.QUEUED, limit=number):
        begun = attempts.begin(ledger, case.id, 1, WORKER)
        assert begun is not None
        endings.end(ledger, begun, Escalated(EscalationKind.BUSINESS, "bench"), "[]", BACKOFF, 0.5)


def _take_in(ledger: Ledger, batch: Path, rows: int) -> None:
    taken = hand_in(
        ledger, workflow=change_rent.name, model=change_rent.model, reference="claim", path=batch, by="bench"
    )
    assert taken.accepted == rows


@contextmanager
def _ledger(path: Path) -> Iterator[Ledger]:
    ledger = Ledger.open(f"sqlite:///{path}", Vault(os.urandom(KEY_BYTES)))
    make_known(ledger, change_rent.name, change_rent.bot_names, change_rent.timeout)
    try:
        yield ledger
    finally:
        ledger.close()


def _seconds(do: Callable[[], object]) -> float:
    begun = perf_counter()
    do()
    return perf_counter() - begun
