"""Runs in the horse: kills it at the n-th thing it does to the ledger while it works a planned case."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import Pool

from casehand.points import Point
from faults.strike import FOLDER

READS = ("SELECT", "PRAGMA", "BEGIN")


class Crash:
    """Counts from the moment that a case is taken until its end is written; `<case>.crash` holds the number."""

    case: str | None = None
    wanted = 0
    seen = 0
    has_committed = False

    def reach(self, point: Point, case: str, attempt: int) -> None:
        """Called at each point."""
        if point is Point.TAKEN:
            plan = _folder() / f"{case}.crash"
            self.case = case if plan.exists() else None
            self.wanted = int(plan.read_text()) if self.case else 0
            self.seen = 0
        elif point is Point.ENDED and self.case is not None:
            (_folder() / f"{case}.passed").write_text(str(self.seen))
            self.case = None

    def step(self, what: str) -> None:
        """One thing more; the n-th is the last."""
        # Only what the case itself does can be counted: the lease is renewed from another thread, by the clock.
        if self.case is None or threading.current_thread() is not threading.main_thread():
            return
        self.seen += 1
        if self.seen == self.wanted:
            (_folder() / f"{self.case}.crash").unlink()
            (_folder() / f"{self.case}.crashed").write_text(what)
            os.kill(os.getpid(), signal.SIGKILL)


crash = Crash()


def reach(point: Point, case: str, attempt: int) -> None:
    """Called at each point."""
    crash.reach(point, case, attempt)


@event.listens_for(Engine, "before_cursor_execute")
def _before_statement(connection: Connection, cursor: Any, statement: str, *others: Any) -> None:
    if not statement.lstrip().upper().startswith(READS):
        crash.step(f"before: {' '.join(statement.split()[:3])}")


@event.listens_for(Engine, "commit")
def _before_commit(connection: Connection) -> None:
    crash.step("before the commit")
    crash.has_committed = True


@event.listens_for(Pool, "checkin")
def _after_transaction(connection: Any, record: Any) -> None:
    if crash.has_committed:
        crash.has_committed = False
        crash.step("after the commit")


def _folder() -> Path:
    return Path(os.environ[FOLDER])
