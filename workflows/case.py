"""The case as a workflow sees it: its data, and the ways to mark a step, make a change and ask a person."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Generic, TypeVar, overload

from pydantic import BaseModel, TypeAdapter, ValidationError

from casehand.bots.bot import Bot
from casehand.queue.reasons import reason_for
from casehand.workflows.commit import Commit, CommitLog
from casehand.workflows.data import CaseData
from casehand.workflows.hears import Stage
from casehand.workflows.record import Record
from casehand.workflows.signals import Asked

LONGEST_NAME = 200

Data = TypeVar("Data", bound=CaseData)
Form = TypeVar("Form", bound=BaseModel)
Result = TypeVar("Result")


class Case(Generic[Data]):
    """One case in the hands of a workflow."""

    def __init__(
        self,
        data: Data,
        reference: str,
        log: CommitLog,
        record: Record,
        answer_to: Callable[[str], tuple[str, str | None]],
    ) -> None:
        self.data = data
        self.reference = reference
        self._log = log
        self._record = record
        self._answer_to = answer_to

    @property
    def now(self) -> datetime:
        """The time, aware and in UTC: what a rule reckons with, so that a test may hold it still."""
        return self._log.now()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Name a part of the attempt, so that people can follow it."""
        self._log.comes_to(Stage.STEP, name)
        with self._record.step(name):
            yield

    def commit(
        self,
        name: str,
        done: Callable[[], bool] | None = None,
        bot: Bot | None = None,
        shows: Callable[[], Mapping[str, object]] | None = None,
    ) -> Commit:
        """The step that changes something in the legacy system: made at most once, whatever dies.

        `done` reads back from the system whether the change is there. When it already is, the body of the
        `with` is left out. Without `done`, an attempt that dies in the body leaves the case in doubt, and a
        person is asked. Give `bot` when the workflow has several, so that its `settles` counts. `shows` names
        what the system shows, such as {"weekly award": "£112.40"}; it is kept from before the change and from
        after, for people to see what it did, and is called where the page is as the body or `done` left it.
        """
        if len(name) > LONGEST_NAME:
            raise TypeError(f"the name of a commit has at most {LONGEST_NAME} characters")
        return Commit(name, done, bot, self._log, self._record, shows)

    def sleep(self, seconds: float) -> None:
        """Let time pass, while the horse works other cases; `time.sleep` would keep them waiting."""
        self._log.wait(seconds)

    def in_thread(self, work: Callable[[], Result]) -> Result:
        """The result of work that takes long and needs no page, done in a thread while other cases go on.

        It must not touch a bot or the case. When the attempt's time is up, the thread goes on to its end unheard.
        """
        done: Result = self._log.in_thread(work)
        return done

    @overload
    def ask(self, question: str, choices: Sequence[str]) -> str: ...

    @overload
    def ask(self, question: str, choices: type[Form]) -> Form: ...

    def ask(self, question: str, choices: Sequence[str] | type[Form]) -> str | Form:
        """The answer of a person: one of `choices`, or a form that a pydantic model describes.

        When nobody has answered yet, the attempt ends here; it comes back to this line with the answer.
        """
        asked = _asked(question, choices)
        key, answer = self._answer_to(json.dumps(asked, sort_keys=True))
        # In the order of the model's fields, which is the order of the form.
        asks = json.dumps({**asked, "key": key})
        if answer is None:
            raise Asked(question, asks)
        try:
            given = _as_given(answer, choices)
        except ValidationError as error:
            # It fits the form's schema but not all of the model's rules, which only this process knows.
            raise Asked(f"{question} ({_first_fault(error)})", asks) from None
        self._record.note(f"answered: {question}")
        return given


def _as_given(answer: str, choices: Sequence[str] | type[Form]) -> str | Form:
    if isinstance(choices, type):
        return choices.model_validate_json(answer)
    return TypeAdapter(str).validate_json(answer)


def _first_fault(error: ValidationError) -> str:
    first = error.errors(include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))} {reason_for(first)}".strip()


def _asked(question: str, choices: Sequence[str] | type[BaseModel]) -> dict[str, object]:
    if isinstance(choices, type):
        return {"prompt": question, "form": choices.model_json_schema()}
    return {"prompt": question, "choices": list(choices)}
