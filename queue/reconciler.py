"""The reconciler: puts right, every few seconds, what Redis and the ledger disagree about."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from zoneinfo import ZoneInfo

from redis import Redis

from casehand.queue import bulk_turn, chain, endings, leases, overdue, stopping, words
from casehand.queue.backoff import Backoff
from casehand.queue.batches import note_finished
from casehand.queue.dispatch import Dispatcher
from casehand.queue.endings import Loss
from casehand.queue.ledger import Ledger
from casehand.queue.rolling import roll_up
from casehand.queue.state import State

TURN = timedelta(seconds=6)
"""How long one process is the reconciler unless it goes on; another takes over when it is silent for so long."""

LONDON = ZoneInfo("Europe/London")


@dataclass(frozen=True)
class Reconciled:
    """What one pass found and did."""

    taken_back: int  #: cases whose worker was lost
    handed_over: int  #: cases that were due and that RQ did not know
    acted_on: int = 0  #: cases of bulk actions
    overdue: int = 0  #: cases that were queued past their due date


@dataclass
class Reconciler:
    """Run by every worker every few seconds; whoever holds the lease does the work."""

    ledger: Ledger
    redis: Redis
    name: str
    backoff: Backoff
    chance: Callable[[], float] = random.random
    zone: ZoneInfo = LONDON
    dispatcher: Dispatcher = field(init=False)

    def __post_init__(self) -> None:
        self.dispatcher = Dispatcher(self.ledger, self.redis)

    def take_back(self, case: str, number: int, why: str, loss: Loss) -> None:
        """Take back the case of an attempt that is known to be over, though nobody wrote how it ended."""
        state = endings.abandon(self.ledger, case, number, why, self.name, loss, self.backoff, self.chance())
        if state is State.ESCALATED:
            stopping.stop_if_wrong(self.ledger, case)

    def turn(self) -> Reconciled | None:
        """One pass, if it is this process' turn."""
        if not leases.hold(self.ledger, "reconciler", self.name, TURN):
            return None
        done = self.reconcile()
        chain.tell_head(self.ledger)
        return done

    def reconcile(self) -> Reconciled:
        """One pass, whoever's turn it is: it does no harm beside another."""
        lost = endings.take_back_expired(self.ledger, self.name, self.backoff, self.chance())
        for case in lost:
            # Some may have been lost for the last time, and be before a person now.
            stopping.stop_if_wrong(self.ledger, case)
        late = overdue.sweep(self.ledger, self.name)
        note_finished(self.ledger)
        acted_on = bulk_turn.turn(self.ledger, self.name)
        chain.link_new(self.ledger)
        handed_over = self.dispatcher.top_up()
        # Reasons from before they could be told apart would be rolled up as all alike.
        if not words.catch_up(self.ledger):
            roll_up(self.ledger, self.zone)
        return Reconciled(len(lost), handed_over, acted_on, late)
