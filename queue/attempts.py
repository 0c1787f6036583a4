"""Attempts: how a case comes into one worker's hands, and stays there while the lease is renewed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, insert, select, update

from casehand.queue import breaker, commits, schema
from casehand.queue.breaker import BreakerPolicy
from casehand.queue.commits import CommitState, Intent
from casehand.queue.ledger import Ledger
from casehand.queue.move import AMENDED, move
from casehand.queue.readiness import READY, at
from casehand.queue.state import State
from casehand.queue.vault import Key

LEASE = timedelta(seconds=15)
"""How long a case stays with a worker that is not heard of. Recovery after a killed worker takes this long."""

GRACE = timedelta(seconds=5)
"""How much longer than its lease a case is left alone: the clocks of two machines may differ by so much."""

Cases = schema.cases.c


@dataclass(frozen=True)
class Outlook:
    """What is to be known of a case before it is begun."""

    workflow: str
    crashes: int  #: how often it was in hand when its horse died


@dataclass(frozen=True)
class Begun:
    """An attempt in hand, with all it needs to know of its case."""

    case: str
    number: int
    worker: str
    reference: str
    workflow: str
    data: str  #: JSON
    key: Key
    after_failure: bool
    answers: Mapping[str, str]  #: JSON, by the question's fingerprint
    unresolved: tuple[Intent, ...]
    made: frozenset[str] = frozenset()  #: the names of commits that stand, since the data was last amended


def begin(
    ledger: Ledger,
    case: str,
    number: int,
    worker: str,
    lease: timedelta = LEASE,
    policy: BreakerPolicy = BreakerPolicy(),
) -> Begun | None:
    """Take a case in hand as its attempt `number`.

    Returns None when it is not to be had: worked by another, not yet due, paused, behind another with its
    reference, or that attempt is past.
    """
    with ledger.writing() as connection:
        now = ledger.clock()
        before = connection.execute(
            select(Cases.failures, Cases.crashes, Cases.workflow, Cases.reference)
            .where(Cases.id == case)
            .with_for_update()
        ).first()
        if before is None:
            return None
        _lock_reference(connection, before.reference)
        breakers = breaker.lock(connection, before.workflow)
        taken = move(
            connection,
            case,
            State.QUEUED,
            State.WORKING,
            at=now,
            actor=worker,
            action="begun",
            attempt=number - 1,
            only_if=READY,
            parameters=at(now),
            attempts=number,
            worker=worker,
            lease_until=now + lease,
        )
        if not taken:
            return None
        breaker.begin_probe(connection, breakers, now, policy)
        after_failure = before.failures + before.crashes > 0
        connection.execute(
            insert(schema.attempts).values(
                case=case, number=number, worker=worker, begun_at=now, traced=after_failure
            )
        )
        return _begun(ledger, connection, case, number, worker, after_failure)


def look_at(ledger: Ledger, case: str) -> Outlook | None:
    """What is to be known of a case before it is begun; None for an unknown case."""
    with ledger.reading() as connection:
        row = connection.execute(select(Cases.workflow, Cases.crashes).where(Cases.id == case)).first()
    return None if row is None else Outlook(row.workflow, row.crashes)


def postpone(ledger: Ledger, case: str, number: int, until: datetime) -> None:
    """Let a queued case wait, at no cost, if attempt `number` would be its next."""
    with ledger.writing() as connection:
        connection.execute(
            update(schema.cases)
            .where(Cases.id == case, Cases.state == State.QUEUED, Cases.attempts == number - 1)
            .values(not_before=until)
        )


def renew(
    ledger: Ledger, held: Collection[tuple[str, int]], lease: timedelta = LEASE
) -> set[tuple[str, int]]:
    """Hold cases for longer, each named with its attempt; returns those that are no longer that attempt's."""
    with ledger.writing() as connection:
        now = ledger.clock()
        return {one for one in sorted(held) if not _renewed(connection, *one, now, now + lease)}


def _renewed(connection: Connection, case: str, number: int, now: datetime, until: datetime) -> bool:
    kept = connection.execute(
        update(schema.cases)
        .where(
            Cases.id == case,
            Cases.state == State.WORKING,
            Cases.attempts == number,
            Cases.lease_until > now,
        )
        .values(lease_until=until)
    )
    return kept.rowcount == 1


def _begun(
    ledger: Ledger, connection: Connection, case: str, number: int, worker: str, after_failure: bool
) -> Begun:
    row = connection.execute(select(schema.cases).where(Cases.id == case)).one()
    key = ledger.vault.open_key(case, row.key)
    amended_after = _amended_after(connection, case)
    answers = schema.answers
    answered = connection.execute(
        select(answers).where(answers.c.case == case, answers.c.attempt > amended_after)
    )
    intents = commits.of_case(connection, case)
    return Begun(
        case=case,
        number=number,
        worker=worker,
        reference=row.reference,
        workflow=row.workflow,
        data=key.open_text(row.sealed_data),
        key=key,
        after_failure=after_failure,
        answers={answer.question: key.open_text(answer.sealed_answer) for answer in answered},
        unresolved=tuple(intent for intent in intents if intent.state is CommitState.INTENDED),
        made=frozenset(
            intent.name
            for intent in intents
            if intent.state is CommitState.MADE and intent.attempt > amended_after
        ),
    )


def _amended_after(connection: Connection, case: str) -> int:
    """After which attempt the data was last amended: what was asked or made up to then is of other data.

    Told by the attempt and never by the time: a person's clock and another's may differ by seconds.
    """
    entries = schema.audit.c
    amended = connection.execute(
        select(entries.attempt)
        .where(entries.subject == case, entries.action == AMENDED)
        .order_by(entries.id.desc())
        .limit(1)
    ).first()
    return 0 if amended is None else int(amended.attempt)


def _lock_reference(connection: Connection, reference: str) -> None:
    """Let no other transaction begin a case with this reference meanwhile; SQLite has but one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(reference))))
