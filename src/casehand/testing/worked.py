"""How a case ended that a test has had worked, and sentences that say how it should have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, Self

from pydantic_core import to_jsonable_python

from casehand.queue.cases import AttemptStory, CaseStory, EscalationStory
from casehand.queue.commits import CommitState
from casehand.queue.outcome import EscalationKind
from casehand.queue.state import State


@dataclass(frozen=True)
class Worked:
    """One case after it was worked, and again where it was to be tried again.

    Each `should_…` raises AssertionError with the whole story unless it is so, and returns this, so that
    sentences can follow each other.
    """

    story: CaseStory
    questions: tuple[str, ...]  #: what it asked, in order, answered or not
    steps: tuple[str, ...]  #: the steps that the workflow names, in the order they began, over all attempts
    pictures: Callable[[], Path] = field(
        repr=False
    )  #: writes its evidence, decrypted, and returns the folder

    @property
    def state(self) -> State:
        """Where the case is."""
        return self.story.line.state

    @property
    def reason(self) -> str | None:
        """Why it is there."""
        return self.story.line.reason

    @property
    def result(self) -> dict[str, object]:
        """What the workflow returned, as JSON has it: amounts and dates are text."""
        return self.story.result or {}

    @property
    def changes(self) -> tuple[str, ...]:
        """The names of the commit points that were made, in order."""
        return tuple(one.name for one in self.story.commits if one.state is CommitState.MADE)

    @property
    def found(self) -> tuple[str, ...]:
        """The names of those whose change was there already."""
        made = set(self.changes)
        names = (one.name for one in self.story.commits if one.state is CommitState.FOUND)
        return tuple(dict.fromkeys(name for name in names if name not in made))

    @property
    def attempts(self) -> list[AttemptStory]:
        """Every attempt, with its steps and how it ended."""
        return self.story.attempts

    @property
    def escalation(self) -> EscalationStory | None:
        """What it waits for, if it waits for a person."""
        return next((one for one in self.story.escalations if one.settled_at is None), None)

    def should_be_done(self, **result: object) -> Self:
        """The robot finished it; `result` are fields that the workflow returned, such as weekly_award=Decimal("90")."""
        __tracebackhide__ = True
        if self.state is not State.DONE:
            self._fail("should be done")
        for name, value in result.items():
            if self.result.get(name) != to_jsonable_python(value):
                self._fail(f"should have {name} = {to_jsonable_python(value)} in its result")
        return self

    def should_have_changed(self, *names: str) -> Self:
        """These commit points and no others were made, each once and in this order."""
        __tracebackhide__ = True
        if self.changes != names:
            self._fail(f"should have made the changes: {_listed(names)}")
        return self

    def should_have_changed_nothing(self) -> Self:
        """No commit point was made, and none is in doubt."""
        __tracebackhide__ = True
        if self.changes or any(one.state is CommitState.INTENDED for one in self.story.commits):
            self._fail("should have changed nothing")
        return self

    def should_have_found(self, *names: str) -> Self:
        """These changes, and no others, were there already, so their bodies were left out."""
        __tracebackhide__ = True
        if self.found != names:
            self._fail(f"should have found these changes made already: {_listed(names)}")
        return self

    def should_have_asked(self, *questions: str) -> Self:
        """It asked these questions and no others, in this order, answered or not."""
        __tracebackhide__ = True
        if self.questions != questions:
            self._fail(f"should have asked: {_listed(questions)}")
        return self

    def should_be_asking(self, question: str) -> Self:
        """It waits for the answer to a question."""
        __tracebackhide__ = True
        return self._should_wait_as(EscalationKind.QUESTION, question, "should be asking")

    def should_need_a_person(self, because: str) -> Self:
        """The workflow raised BusinessException with a text that holds this."""
        __tracebackhide__ = True
        return self._should_wait_as(EscalationKind.BUSINESS, because, "should need a person because")

    def should_have_failed(self, because: str) -> Self:
        """The system failed it until its retries were spent; `because` is in what was said of the last."""
        __tracebackhide__ = True
        return self._should_wait_as(EscalationKind.FAILURE, because, "should have failed because")

    def should_be_in_doubt(self, because: str = "") -> Self:
        """It cannot be known whether a change was made, so a person is asked."""
        __tracebackhide__ = True
        return self._should_wait_as(EscalationKind.IN_DOUBT, because, "should be in doubt because")

    def should_be_at_fault(self, because: str = "") -> Self:
        """The workflow itself is wrong: it raised something that is neither a business nor a system exception."""
        __tracebackhide__ = True
        return self._should_wait_as(EscalationKind.FAULT, because, "should be a fault of the workflow")

    def should_have_taken(self, attempts: int) -> Self:
        """So many attempts were made of it."""
        __tracebackhide__ = True
        if len(self.attempts) != attempts:
            self._fail(f"should have taken {attempts} attempts")
        return self

    def __str__(self) -> str:
        """The story, as a person reads it."""
        waits = self.escalation
        now = f"{self.state}" if waits is None else f"{self.state} ({waits.kind})"
        lines = [f"the case {self.story.line.reference} is {now}{f': {self.reason}' if self.reason else ''}"]
        lines += [f"  attempt {one.number}: {one.end}{_because(one)}" for one in self.attempts]
        lines += [f"  steps: {_listed(self.steps)}", f"  changes: {_listed(self.changes)}"]
        lines += [f"  found made already: {_listed(self.found)}"] if self.found else []
        lines += [f"  questions: {_listed(self.questions)}", f"  result: {self.result or 'none'}"]
        return "\n".join(lines)

    def _should_wait_as(self, kind: EscalationKind, because: str, sentence: str) -> Self:
        __tracebackhide__ = True
        waits = self.escalation
        if waits is None or waits.kind is not kind or because not in waits.reason:
            self._fail(f"{sentence}: {because}".rstrip(": "))
        return self

    def _fail(self, sentence: str) -> NoReturn:
        __tracebackhide__ = True
        raise AssertionError(f"the case {sentence}\n{self}\n  pictures: {self.pictures()}")


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(map(repr, names)) or "none"


def _because(attempt: AttemptStory) -> str:
    return f": {attempt.reason}" if attempt.reason else ""
