"""Working one case for a test: through a real ledger, the lane of a horse and a browser, and no queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from casehand.bots.evidence import read_evidence
from casehand.queue import escalations
from casehand.queue.cases import CaseLine, CaseStory, tell
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import EscalationKind
from casehand.queue.pauses import PauseKind, is_paused
from casehand.queue.single import take_in
from casehand.queue.state import State
from casehand.settings import Settings
from casehand.testing.browsers import Browsers, Prepare
from casehand.testing.clock import FrozenClock
from casehand.testing.faults import Fault, Struck
from casehand.testing.worked import Worked
from casehand.workflows.data import CaseData
from casehand.workflows.forms import check_form
from casehand.workflows.hears import Stage
from casehand.workflows.solo import Solo
from casehand.workflows.workflow import Workflow

if TYPE_CHECKING:
    from playwright.sync_api import Playwright

MOST_ATTEMPTS = 30
"""A case that is tried again for ever is left where it is."""

BREATHER = timedelta(minutes=20)
"""How much later it is tried again where it could not be begun: longer than a system that failed is left alone."""

TESTER = "a test"


@dataclass
class Work:
    """What the fixture `work` gives: `work(workflow, data)` works one case to its end."""

    settings: Settings
    ledger: Ledger
    clock: FrozenClock
    playwright: Playwright
    browsers: Browsers
    folder: Path  #: for pictures in clear, where a test fails
    fault: Fault | None = None
    count_changes: Callable[[], int] | None = None
    prepare: Prepare = str
    _solo: Solo | None = None
    _struck: Struck | None = None
    _workflows: dict[str, Workflow] = field(default_factory=dict)

    def __call__(
        self,
        workflow: Workflow,
        data: Mapping[str, object] | CaseData,
        *,
        answers: Mapping[str, object] | None = None,
    ) -> Worked:
        """Work one case, again and again where it is to be tried again, until it rests.

        `answers` are given to what it asks: each by the question, or a part of it; "in doubt" for a change of
        which nobody knows whether it was made. The clock goes on where the case has to wait.
        """
        before = self.count_changes() if self.count_changes else 0
        case = self._take_in(workflow, data)
        self._struck = None if self.fault is None else self.fault.arm(workflow.only_looks)
        questions = self._to_its_end(self._rider_for(workflow), case, answers or {})
        worked = self._as_told(case, questions)
        if self._struck is not None:
            self._struck.check(worked)
        if self.count_changes is not None:
            _check_counted(worked, self.count_changes() - before)
        return worked

    def close(self) -> None:
        """Give up the sessions."""
        solo, self._solo = self._solo, None
        if solo is not None:
            solo.close()

    def _take_in(self, workflow: Workflow, data: Mapping[str, object] | CaseData) -> str:
        held = (
            data
            if isinstance(data, BaseModel)
            else workflow.model.model_validate(dict(data), by_alias=True, by_name=True)
        )
        make_known(self.ledger, workflow.name, workflow.bot_names, workflow.timeout, workflow.minutes_by_hand)
        return take_in(
            self.ledger, workflow=workflow.name, reference=workflow.reference, data=held, by=TESTER
        )

    def _rider_for(self, workflow: Workflow) -> Solo:
        if self._solo is None or self._workflows.get(workflow.name) is not workflow:
            # Which addresses the browser finds is settled when it is opened.
            self.close()
            self._workflows[workflow.name] = workflow
            self._solo = Solo(
                self.settings,
                self.ledger,
                self._workflows,
                self.playwright,
                name=TESTER,
                new_browser=self.browsers.opener(self.prepare),
                hears=self._hear,
                # The alarm is pytest-timeout's.
                interrupts=False,
                chance=lambda: 0.0,
            )
        return self._solo

    def _hear(self, stage: Stage, name: str) -> None:
        if self._struck is not None and self._solo is not None:
            self._struck.hear(stage, name, self._solo.lane.contexts())

    def _to_its_end(self, solo: Solo, case: str, answers: Mapping[str, object]) -> list[str]:
        """Work it until there is nothing more to be done; returns what it asked."""
        asked: list[str] = []
        waits = _Waiting(self.clock, self._is_held)
        while solo.work(case, waits).state is State.ESCALATED and self._answer(case, answers, asked):
            pass
        return asked

    def _is_held(self, line: CaseLine) -> bool:
        bots = self._workflows[line.workflow].bot_names
        return any(is_paused(self.ledger, PauseKind.BOT, bot) for bot in bots)

    def _answer(self, case: str, answers: Mapping[str, object], asked: list[str]) -> bool:
        """Answer what it asks; False when it asks nothing, or nothing that there is an answer to."""
        waits = tell(self.ledger, case).escalations[-1]
        question = waits.question or {}
        prompt = str(question.get("prompt", "in doubt"))
        if waits.kind not in (EscalationKind.QUESTION, EscalationKind.IN_DOUBT):
            return False
        if waits.kind is EscalationKind.QUESTION:
            asked.append(waits.reason)
        given = [value for words, value in answers.items() if words in prompt]
        if not given or asked.count(waits.reason) > 1:
            return False
        value = to_jsonable_python(given[0])
        if "form" in question:
            check_form(question["form"], value)
        escalations.answer(self.ledger, case, value, TESTER)
        return True

    def _as_told(self, case: str, questions: list[str]) -> Worked:
        story = tell(self.ledger, case)
        return Worked(story, tuple(questions), _steps(story), lambda: self._write_pictures(case))

    def _write_pictures(self, case: str) -> Path:
        folder, key = self.folder / case, self.ledger.key_of(case)
        for source in sorted((self.settings.evidence / case).glob("*/*")):
            target = folder / source.parent.name / source.name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.write_bytes(read_evidence(source, key.open))
        return folder


@dataclass
class _Waiting:
    """Lets the time come for the next attempt."""

    clock: FrozenClock
    is_held: Callable[[CaseLine], bool]
    tries: int = 0
    last: int = -1

    def __call__(self, line: CaseLine) -> bool:
        if self.tries >= MOST_ATTEMPTS or self.is_held(line):
            return False
        if line.attempts == self.last:
            # It was not to be had: closed, or its system left alone for a while.
            self.clock.go_on(BREATHER)
        self.clock.come_to(line.not_before)
        self.tries, self.last = self.tries + 1, line.attempts
        return True


def _steps(story: CaseStory) -> tuple[str, ...]:
    taken = (step for attempt in story.attempts for step in attempt.steps if "seconds" in step)
    return tuple(name for name in (str(step["name"]) for step in taken) if not name.startswith("opens "))


def _check_counted(worked: Worked, counted: int) -> None:
    __tracebackhide__ = True
    if counted != len(worked.changes):
        raise AssertionError(
            f"the system counted {counted} changes, where {len(worked.changes)} should have been made\n{worked}"
        )
