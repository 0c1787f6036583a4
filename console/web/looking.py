"""Looking at one case that waits for a person: all that its page shows, and what may be done with it now."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from starlette.requests import Request

from casehand.console.actions import Action
from casehand.console.desk import Desk
from casehand.console.rights import Right
from casehand.console.web.evidence import NAME
from casehand.console.web.site import Site
from casehand.queue.cases import (
    AttemptStory,
    CaseLine,
    CaseStory,
    EscalationStory,
    tell,
)
from casehand.queue.commits import CommitState, Intent
from casehand.queue.escalations import last_answer
from casehand.queue.outcome import EscalationKind
from casehand.queue.storable import is_storable
from casehand.queue.waiting import NoSuchCase
from casehand.queue.worklist import Under, waiting_under

MOST_STEPS = 15
"""Of an attempt, the last; the case's own page has them all."""


@dataclass(frozen=True)
class Evidence:
    """What one attempt has left."""

    attempt: AttemptStory
    steps: tuple[dict[str, object], ...]  #: the last
    left_out: int
    pictures: tuple[tuple[str, str], ...]  #: title and file


@dataclass(frozen=True)
class Looked:
    """A case as somebody looks at it."""

    story: CaseStory
    waits: EscalationStory | None  #: what it waits for
    last: EscalationStory | None  #: what it waits for, or waited for last
    actions: frozenset[Action]
    sees_data: bool
    evidence: tuple[
        Evidence, ...
    ]  #: latest attempt last; in doubt, that which began the change and that which found it
    earlier_answer: Any = None  #: of a question that is asked again

    @property
    def line(self) -> CaseLine:
        """The case."""
        return self.story.line

    @property
    def in_doubt(self) -> bool:
        """Whether it is to be said if a change was made."""
        return self.waits is not None and self.waits.kind is EscalationKind.IN_DOUBT

    @property
    def question(self) -> dict[str, Any] | None:
        """What it asks."""
        return None if self.waits is None else self.waits.question

    @property
    def form(self) -> Any:
        """The schema of the form that it asks for."""
        return None if self.question is None else self.question.get("form")

    @property
    def changes(self) -> list[Intent]:
        """What stands in the legacy system."""
        return [one for one in self.story.commits if one.state in (CommitState.MADE, CommitState.FOUND)]

    @property
    def doubtful(self) -> list[Intent]:
        """What may stand there, as nobody knows."""
        return [one for one in self.story.commits if one.state is CommitState.INTENDED]


def find_waiting(request: Request, which: str, workflow: str | None) -> list[Under]:
    """The case with this id or reference; several, when it is shared by cases of several workflows that wait.

    Raises NoSuchCase when this person may know of none.
    """
    desk: Desk = request.state.desk
    if not is_storable(which) or (workflow is not None and not is_storable(workflow)):
        raise NoSuchCase(which)
    mine = desk.workflows_with(Right.SEE_STRUCTURE)
    found = waiting_under(desk.ledger, which, workflow, mine)
    return found or [Under(*attrgetter("id", "reference", "workflow")(desk.find(which)))]


def look(request: Request, case: str) -> Looked:
    """All that is to be shown of a case. Raises NoSuchCase."""
    desk: Desk = request.state.desk
    actions = frozenset(desk.actions_for(case))
    story = tell(desk.ledger, case)
    last = story.escalations[-1] if story.escalations else None
    waits = last if last is not None and last.settled_at is None else None
    sees_data = desk.may(Right.SEE_CASES, story.line.workflow)
    return Looked(
        story=story,
        waits=waits,
        last=last,
        actions=actions,
        sees_data=sees_data,
        evidence=_evidence(request.app.state.site, story, last, sees_data),
        earlier_answer=_earlier(desk, case, waits) if sees_data else None,
    )


def _earlier(desk: Desk, case: str, waits: EscalationStory | None) -> Any:
    if waits is None or waits.question is None or "form" not in waits.question:
        return None
    return last_answer(desk.ledger, case, str(waits.question["key"]))


def _evidence(
    site: Site, story: CaseStory, last: EscalationStory | None, sees_data: bool
) -> tuple[Evidence, ...]:
    numbers = [last.attempt] if last is not None else [one.number for one in story.attempts[-1:]]
    if last is not None and last.kind is EscalationKind.IN_DOUBT:
        began = [one.attempt for one in story.commits if one.state is CommitState.INTENDED]
        numbers = sorted({*numbers, *began})[-2:]
    return tuple(
        _of_attempt(site, story.line.id, one, last, sees_data)
        for one in story.attempts
        if one.number in numbers
    )


def _of_attempt(
    site: Site, case: str, attempt: AttemptStory, last: EscalationStory | None, sees_data: bool
) -> Evidence:
    named = {str(step["evidence"]): str(step["name"]) for step in attempt.steps if step.get("evidence")}
    if last is not None and last.attempt == attempt.number and last.screenshot:
        named.setdefault(last.screenshot, "where it stopped")
    # An attempt whose horse was killed has written no steps, and yet has left pictures.
    for file in _left(site, case, attempt.number):
        named.setdefault(file, file.removesuffix(".jpg").partition("-")[2].replace("-", " "))
    kept = _left(site, case, attempt.number)
    pictures = [(title, file) for file, title in sorted(named.items()) if file in kept]
    return Evidence(
        attempt=attempt,
        steps=tuple(_visible(step, sees_data) for step in attempt.steps[-MOST_STEPS:]),
        left_out=max(0, len(attempt.steps) - MOST_STEPS),
        pictures=tuple(pictures) if sees_data else (),
    )


def _left(site: Site, case: str, attempt: int) -> Sequence[str]:
    folder = site.settings.evidence / case / str(attempt)
    return sorted(file.name for file in folder.glob("*.jpg") if NAME.fullmatch(file.name))


def _visible(step: dict[str, object], sees_data: bool) -> dict[str, object]:
    """A step, without the words of a question, which may hold what the case holds."""
    name = str(step.get("name", ""))
    return step if sees_data or not name.startswith("answered:") else {**step, "name": "answered"}
