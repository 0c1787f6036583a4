"""Solo: works named cases one after another in this process, in a lane of its own, without worker or queue."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from casehand.bots.browser import WarmBrowser
from casehand.queue import endings
from casehand.queue.cases import CaseLine, find_case
from casehand.queue.endings import Loss
from casehand.queue.ledger import Ledger
from casehand.queue.state import State
from casehand.settings import Settings
from casehand.workflows.hears import Hears, say_nothing
from casehand.workflows.horse import Horse
from casehand.workflows.lane import Lane
from casehand.workflows.signals import Stopped
from casehand.workflows.workflow import Workflow

if TYPE_CHECKING:
    from playwright.sync_api import Playwright

NewBrowser = Callable[[Path, Sequence[str], Sequence[str], "Playwright | None"], WarmBrowser]


class Solo:
    """A horse with one lane, and nobody but its caller to tell it what to do.

    What happens to a case is what happens on a worker's horse: the same lane works it. `hears` is told the name of
    each step and commit point just before it begins. With `rehearses`, the first change is only looked at.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        workflows: dict[str, Workflow],
        playwright: Playwright,
        *,
        name: str = "solo",
        new_browser: NewBrowser = WarmBrowser,
        hears: Hears = say_nothing,
        rehearses: bool = False,
        interrupts: bool = True,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._workflows = workflows
        self._playwright = playwright
        self._name = name
        self._new_browser = new_browser
        self._hears = hears
        self._rehearses = rehearses
        self._interrupts = interrupts
        self._chance = chance
        self._mount()

    @property
    def lane(self) -> Lane:
        """The lane that works the cases now."""
        return self._lane

    def work(self, case: str, wait: Callable[[CaseLine], bool]) -> CaseLine:
        """Work a case, and again where it is to be tried again, until it rests; returns it as it is then.

        `wait` is told of the case before each attempt. It lets the time come, and returns False to leave it there.
        """
        line = find_case(self._ledger, case)
        while line.state is State.QUEUED and wait(line):
            self._attempt(line)
            line = find_case(self._ledger, case)
        return line

    def wait_for(self, done: Callable[[], object]) -> None:
        """Do what waits for a person in a thread, while pages and dialogs go on."""
        self._horse.turns.in_thread(done)

    def close(self) -> None:
        """Sign off: give up the sessions, and use the driver no more."""
        self._horse.lanes.clear()
        self._lane.rest()
        self._horse.end_use()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _mount(self) -> None:
        self._horse = Horse(
            self._settings,
            self._ledger,
            self._workflows,
            self._chance,
            new_browser=self._new_browser,
            hears=self._hears,
            rehearses=self._rehearses,
        )
        self._horse.use(self._playwright, interrupts=self._interrupts)
        self._lane = Lane(self._horse, worker=self._name)
        # Its sessions are kept as those of any other lane.
        self._horse.lanes.append(self._lane)

    def _attempt(self, line: CaseLine) -> None:
        if self._horse.is_spent:
            self.close()
            self._mount()
        self._lane.case = line.id
        try:
            self._lane.work(line.id, line.attempts + 1)
        except (Stopped, KeyboardInterrupt):
            self._give_up(line)
            raise
        finally:
            self._lane.case = None

    def _give_up(self, line: CaseLine) -> None:
        """Whoever watches has stopped it: the case waits for a person, and is not worked behind his back."""
        why, number = "it was stopped by hand", line.attempts + 1
        endings.abandon(
            self._ledger, line.id, number, why, self._name, Loss.ORDER, self._settings.backoff, 0.0
        )
