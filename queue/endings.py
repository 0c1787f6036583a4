"""Endings: how an attempt gives its case up, by its own word or because it was lost."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import structlog
from sqlalchemy import Connection, Row, select, update

from casehand.exceptions import CasehandError
from casehand.queue import asking, breaker, commits, schema
from casehand.queue.asking import Ask
from casehand.queue.attempts import GRACE, Begun
from casehand.queue.backoff import Backoff
from casehand.queue.breaker import BreakerPolicy
from casehand.queue.ledger import Ledger
from casehand.queue.move import move
from casehand.queue.outcome import Done, Escalated, EscalationKind, Failed, Outcome, Scene, Waiting
from casehand.queue.state import State
from casehand.queue.vault import Key, Vault

SYSTEM_ANSWERED = frozenset({EscalationKind.BUSINESS, EscalationKind.QUESTION})
"""Escalations that show that the legacy system is well."""

NOT_KNOWN = "and it is not known whether the change was made"

MOST_CRASHES = 3
"""A case that kills its horse this often is not given to another."""

log = structlog.get_logger()

Cases = schema.cases.c
Attempts = schema.attempts.c


class Loss(Enum):
    """How an attempt was lost without its own word on how it ended."""

    CRASH = "crash"  #: its horse or worker died: tried again, but not for ever
    SILENCE = "silence"  #: nothing was heard of it until its lease ran out: it has waited long enough
    STOP = "stop"  #: its worker was told to stop at once: no fault of the case
    ORDER = "order"  #: somebody stopped this very case: it waits for a person


def end(
    ledger: Ledger,
    begun: Begun,
    outcome: Outcome,
    steps: str,
    backoff: Backoff,
    chance: float,
    policy: BreakerPolicy = BreakerPolicy(),
) -> State | None:
    """Write how an attempt ended, with its steps (JSON); returns the case's new state.

    Returns None when the attempt no longer held the case: then nothing is written.
    """
    with ledger.writing() as connection:
        row = _in_hand(connection, begun.case, begun.number)
        if row is None:
            return None
        now = ledger.clock()
        commits.bodies_ended(connection, begun.case, now)
        ending = _Ending(connection, now, row, begun.number, begun.worker, begun.key, ledger.vault)
        state = _write(ending, outcome, backoff, chance, policy)
        connection.execute(
            update(schema.attempts)
            .where(Attempts.case == begun.case, Attempts.number == begun.number)
            .values(
                ended_at=now,
                end=type(outcome).__name__.lower(),
                sealed_reason=_sealed(begun.key, getattr(outcome, "reason", None)),
                sealed_steps=begun.key.seal_text(steps),
            )
        )
        return state


def abandon(
    ledger: Ledger, case: str, number: int, why: str, by: str, loss: Loss, backoff: Backoff, chance: float
) -> State | None:
    """Take back a case whose horse is known to be dead; returns its new state.

    None if `by`, the worker of that horse, does not hold it so: of two that were given one job, the one
    that came too late knows nothing of the other's horse.
    """
    with ledger.writing() as connection:
        row = _in_hand(connection, case, number)
        if row is None or row.worker != by:
            return None
        return _take_back(ledger, connection, row, why, by, loss, backoff, chance)


def take_back_expired(ledger: Ledger, by: str, backoff: Backoff, chance: float) -> list[str]:
    """Take back every case whose lease has run out: by then its horse has been killed by its own timer.

    A case whose key cannot be opened stays where it is, and holds up no other.
    """
    with ledger.writing() as connection:
        expired = connection.execute(
            select(schema.cases)
            .where(Cases.state == State.WORKING, Cases.lease_until < ledger.clock() - GRACE)
            .with_for_update(skip_locked=True)
        ).all()
        taken = []
        for row in expired:
            try:
                why = "the worker was lost"
                if _take_back(ledger, connection, row, why, by, Loss.SILENCE, backoff, chance):
                    taken.append(row.id)
            except CasehandError as error:
                log.error("not_taken_back", case=row.id, why=str(error))
        return taken


def _in_hand(connection: Connection, case: str, number: int) -> Row[Any] | None:
    """The case, locked, if it is this attempt's: locked before anything else, so that none waits for another."""
    held = select(schema.cases).where(
        Cases.id == case, Cases.state == State.WORKING, Cases.attempts == number
    )
    return connection.execute(held.with_for_update()).first()


@dataclass(frozen=True)
class _Ending:
    """What the ways of ending an attempt have in common."""

    connection: Connection
    now: datetime
    row: Row[Any]
    number: int
    actor: str
    key: Key
    vault: Vault

    def move(self, after: State, action: str, **columns: Any) -> State | None:
        moved = move(
            self.connection,
            self.row.id,
            State.WORKING,
            after,
            at=self.now,
            actor=self.actor,
            action=action,
            attempt=self.number,
            worker=None,
            lease_until=None,
            **columns,
        )
        return after if moved else None

    def again(self, action: str, reason: str, not_before: datetime, **columns: Any) -> State | None:
        """Back to the queue, and not before every change that may be on its way has settled."""
        settled = commits.settle_at(self.connection, self.row.id)
        return self.move(
            State.QUEUED,
            action,
            not_before=max([not_before, *settled]),
            sealed_reason=_sealed(self.key, reason),
            **columns,
        )

    def escalate(
        self, kind: EscalationKind, reason: str, question: str | None, scene: Scene, **columns: Any
    ) -> State | None:
        escalated = asking.escalate(
            self.connection,
            self.vault,
            self.key,
            self.row,
            Ask(kind, reason, question, scene),
            at=self.now,
            actor=self.actor,
            worker=None,
            lease_until=None,
            **columns,
        )
        return State.ESCALATED if escalated else None

    def is_in_doubt(self) -> bool:
        return bool(commits.unresolved(self.connection, self.row.id))


def _write(
    ending: _Ending, outcome: Outcome, backoff: Backoff, chance: float, policy: BreakerPolicy
) -> State | None:
    if isinstance(outcome, Done) or (isinstance(outcome, Escalated) and outcome.kind in SYSTEM_ANSWERED):
        breaker.note_success(ending.connection, ending.row.workflow, ending.now, ending.actor)
    match outcome:
        case Done() if ending.is_in_doubt():
            reason = "the workflow ended without finding out whether a change was made"
            return ending.escalate(EscalationKind.IN_DOUBT, reason, None, Scene())
        case Done(result):
            return ending.move(
                State.DONE, "done", sealed_result=_sealed(ending.key, result), sealed_reason=None
            )
        case Waiting(reason, until):
            return ending.again("waits", reason, until or ending.now)
        case Escalated(kind, reason, question, scene):
            if kind is not EscalationKind.QUESTION and ending.is_in_doubt():
                kind, reason = EscalationKind.IN_DOUBT, f"{reason} ({NOT_KNOWN})"
            return ending.escalate(kind, reason, question, scene)
        case Failed():
            return _fail(ending, outcome, backoff, chance, policy)


def _fail(
    ending: _Ending, failed: Failed, backoff: Backoff, chance: float, policy: BreakerPolicy
) -> State | None:
    workflow, now = ending.row.workflow, ending.now
    probe_at = breaker.note_failure(ending.connection, workflow, now, policy, ending.actor, failed.bot)
    if probe_at is not None:
        return ending.again("waits", failed.reason, now)
    failures = ending.row.failures + 1
    # A change of which nothing is known yet is worth one more look before a person is asked to look.
    spent = failures - 1 if ending.is_in_doubt() else failures
    if not backoff.is_spent(spent):
        not_before = ending.now + backoff.delay(failures, chance)
        return ending.again("failed", failed.reason, not_before, failures=failures)
    kind = EscalationKind.IN_DOUBT if ending.is_in_doubt() else EscalationKind.FAILURE
    return ending.escalate(kind, failed.reason, None, failed.scene, failures=failures)


def _take_back(
    ledger: Ledger,
    connection: Connection,
    row: Row[Any],
    why: str,
    by: str,
    loss: Loss,
    backoff: Backoff,
    chance: float,
) -> State | None:
    now = ledger.clock()
    key = ledger.vault.open_key(row.id, row.key)
    commits.bodies_ended(connection, row.id, now)
    connection.execute(
        update(schema.attempts)
        .where(Attempts.case == row.id, Attempts.number == row.attempts)
        .values(ended_at=now, end="lost", sealed_reason=key.seal_text(why))
    )
    ending = _Ending(connection, now, row, row.attempts, by, key, ledger.vault)
    is_crash = loss in (Loss.CRASH, Loss.SILENCE)
    crashes = row.crashes + is_crash
    if loss is Loss.STOP or (is_crash and crashes < MOST_CRASHES):
        wait = backoff.delay(crashes, chance) if loss is Loss.CRASH else timedelta()
        return ending.again("lost", why, now + wait, crashes=crashes)
    kind = EscalationKind.IN_DOUBT if ending.is_in_doubt() else EscalationKind.FAILURE
    reason = f"{why}, {crashes} times with this case" if is_crash else why
    return ending.escalate(kind, reason, None, Scene(), crashes=crashes)


def _sealed(key: Key, text: str | None) -> bytes | None:
    return None if text is None else key.seal_text(text)
