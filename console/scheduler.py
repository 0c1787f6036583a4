"""The scheduler: writes the slots that have come, and has each run in a child. Any number of them may run."""

import os
import secrets
import signal
import socket
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from threading import Event
from time import monotonic
from types import FrameType

import structlog
from sqlalchemy.exc import SQLAlchemyError

from casehand.console.child import Child, fork_child, stops_held
from casehand.console.office import Office
from casehand.console.planned import Planned, all_planned
from casehand.console.running import perform
from casehand.logs import set_up_logs
from casehand.queue import leases, runs, schedules
from casehand.queue.runs import Run
from casehand.workflows.parentage import end_with

LOOK_SECONDS = 1.0
LOOK_AGAIN = timedelta(seconds=30)
"""So often it is looked whether something has come that a pause held back, or that another clock was first to see."""

ALIVE = "scheduler"
"""The lease that one of those that live has."""

LIVES_FOR = timedelta(seconds=30)

LAST_SECONDS = 30.0
"""How long runs in hand may go on when it has been told to stop."""

log = structlog.get_logger()


@dataclass
class Scheduler:
    """One of any number, each run of it in a child of its own."""

    office: Office
    planned: list[Planned]
    name: str
    _children: dict[str, tuple[Run, Child]] = field(default_factory=dict)
    _looks_at: dict[str, datetime] = field(default_factory=dict)
    _says_at: float = 0.0

    def turn(self) -> None:
        """Write what has come, and begin what is to be run."""
        self._say_that_it_lives()
        self._bury()
        for one in self.planned:
            if self._is_to_be_looked_at(one):
                schedules.write_due(self.office.ledger, one.plan)
            if one.plan.name in self._children:
                continue
            run = runs.take(self.office.ledger, one.plan, self.name)
            if run is not None:
                self._children[one.plan.name] = (run, start(self.office, one, run))

    def stop(self) -> None:
        """Let runs in hand come to an end, and leave to others those that do not in time."""
        leases.let_go(self.office.ledger, ALIVE, self.name)
        deadline, pause = monotonic() + LAST_SECONDS, Event()
        while self._children and monotonic() < deadline:
            self._bury()
            pause.wait(0.1)
        for run, child in self._children.values():
            child.send_signal(signal.SIGKILL)
            child.wait()
            runs.put_off(self.office.ledger, run, self.office.ledger.clock(), "it was stopped", is_try=False)

    def _say_that_it_lives(self) -> None:
        """For plain cron, which need not worry about a run that a scheduler will take up."""
        if monotonic() >= self._says_at:
            leases.hold(self.office.ledger, ALIVE, self.name, LIVES_FOR)
            self._says_at = monotonic() + LIVES_FOR.total_seconds() / 3

    def _bury(self) -> None:
        self._children = {name: one for name, one in self._children.items() if one[1].poll() is None}

    def _is_to_be_looked_at(self, one: Planned) -> bool:
        now = self.office.ledger.clock()
        # One that lies further ahead was reckoned before the clock was set back.
        if now < self._looks_at.get(one.plan.name, now) <= now + LOOK_AGAIN:
            return False
        comes = next(one.plan.rule.after(now), now + LOOK_AGAIN)
        self._looks_at[one.plan.name] = min(comes, now + LOOK_AGAIN)
        return True


def start(office: Office, one: Planned, run: Run) -> Child:
    """Begin a run that was taken, in a child that dies with this process."""
    office.ledger.close()
    with stops_held():
        return fork_child(partial(_live, os.getpid(), office, one, run), None)


def scheduler_name() -> str:
    """A name that no other process has."""
    return f"{socket.gethostname()}.{secrets.token_hex(3)}.{os.getpid()}"


def schedule_until_stopped() -> None:
    """Keep the schedules until this process is asked to stop."""
    set_up_logs()
    stopping = Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, stop)
    office = Office()
    scheduler = Scheduler(office, list(all_planned(office).values()), scheduler_name())
    while not stopping.is_set():
        try:
            scheduler.turn()
        except SQLAlchemyError as error:
            log.warning("ledger_away", error=str(error).splitlines()[0])
        stopping.wait(LOOK_SECONDS)
    scheduler.stop()
    office.ledger.close()


def _live(parent: int, office: Office, one: Planned, run: Run) -> None:
    end_with(parent, signal.SIGKILL)
    perform(office, one, run)
