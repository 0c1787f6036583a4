import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from casehand.queue.cases import CaseStory, find_case, tell
from casehand.queue.intake import hand_in
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.state import State
from casehand.queue.vault import Vault
from casehand.settings import load_settings
from casehand.workflows.horse import Horse
from casehand.workflows.lane import Lane
from casehand.workflows.workflow import Workflow


class HandClock:
    """A clock that goes on only when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def go_on(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Slow(Workflow):
    """A workflow whose system may still be making a change half a minute after it was asked to."""

    @property
    def settles(self) -> timedelta:
        return timedelta(seconds=30)


class Desk:
    """A ledger and a horse that work cases without any browser, one attempt at a time."""

    def __init__(self, folder: Path, vault: Vault, clock: HandClock) -> None:
        self.folder = folder
        self.clock = clock
        settings = load_settings()
        self.ledger = Ledger.open(settings.ledger_url, vault, clock)
        self.horse = Horse(settings, self.ledger, {}, chance=lambda: 0.0)
        self.lane = Lane(self.horse, worker="worker.1")

    def takes(self, workflow: Workflow, *references: str, is_slow: bool = False) -> None:
        """Hand in a case of the workflow for each reference; a second call changes the workflow only."""
        installed = Slow(**vars(workflow)) if is_slow else workflow
        self.horse.workflows[workflow.name] = installed
        if not references:
            return
        make_known(self.ledger, workflow.name, workflow.bot_names, workflow.timeout)
        file = self.folder / f"{os.urandom(4).hex()}.csv"
        file.write_text("\n".join([workflow.reference, *references]) + "\n")
        hand_in(
            self.ledger,
            workflow=workflow.name,
            model=workflow.model,
            reference=workflow.reference,
            path=file,
            by="a test",
        )

    def work(self, reference: str, seconds: float = 0) -> State | None:
        """Work the case as its next attempt, after so many seconds."""
        self.clock.go_on(seconds)
        case = find_case(self.ledger, reference)
        return self.lane.work(case.id, case.attempts + 1)

    def story(self, reference: str) -> CaseStory:
        return tell(self.ledger, reference)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def desk(tmp_path: Path, vault: Vault, clock: HandClock) -> Iterator[Desk]:
    desk = Desk(tmp_path, vault, clock)
    yield desk
    desk.ledger.close()
