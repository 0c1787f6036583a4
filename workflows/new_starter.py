"""New starters: answer how far it is, where somebody has asked; a run that no file begins."""

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, Field

from casehand import BusinessException, Case, CaseData, producer, workflow
from casehand.bots.services import Message, Request, ServicesBot
from casehand.queue.calendar import WorkingCalendar

KIND = "New starter"
PROGRESS, OTHER = "Progress?", "Question"
ANSWERS = ("Answer", "Outcome")
SOON = 5
"""Fewer working days before the first day than that, everything must have begun."""


class OpenQuestion(CaseData):
    """A question that nobody has answered."""

    question: str = Field(pattern=r"^NS[0-9]{5}-[0-9]+$", examples=["NS00001-1"])
    """The request, and the question's number in its thread."""

    @property
    def request(self) -> str:
        """The request it was asked on."""
        return self.question.partition("-")[0]

    @property
    def number(self) -> int:
        """Its number in the thread."""
        return int(self.question.partition("-")[2])


class Answered(BaseModel):
    """What came of it."""

    answer: str | None
    came: Literal["answered", "was closed before"]


@workflow("human-resources/new-starter-progress", reference="question", minutes_by_hand=6)
def answer_question(case: Case[OpenQuestion], services: ServicesBot) -> Answered:
    """Say on the request how far it is, unless the rules say that a person must."""
    asked = case.data
    with case.step("read the request"):
        request = services.request(asked.request)
    if request.status != "Open":
        return Answered(answer=None, came="was closed before")
    if not is_answered(request, asked.number):
        check_rules(request, question_of(request, asked.number))
    answer = progress_of(request)
    with case.commit(
        "answer the question", done=lambda: is_answered(services.request(asked.request), asked.number)
    ):
        services.answer(asked.request, answer)
    return Answered(answer=answer, came="answered")


@producer("human-resources/open-questions", answer_question)
def open_requests(services: ServicesBot) -> Iterator[OpenQuestion]:
    """A case for each question that nobody has answered on an open request of a new starter."""
    for request in services.open_requests(KIND):
        for message in request.thread:
            if message.kind in (PROGRESS, OTHER) and not is_answered(request, message.number):
                yield OpenQuestion(question=f"{request.reference}-{message.number}")


def check_rules(request: Request, question: Message) -> None:
    """Raise BusinessException where a person has to answer."""
    if question.kind != PROGRESS:
        raise BusinessException("something else than the progress is asked")
    # An answer counts for all that was asked before it: the robot's would hide this question for good.
    if any(one.kind == OTHER and not is_answered(request, one.number) for one in request.thread):
        raise BusinessException("something else than the progress is asked as well")
    if request.starts is None:
        raise BusinessException("the request has no first day")
    idle = [task.name.lower() for task in request.tasks if task.state == "Not begun"]
    days = WorkingCalendar().working_days_between(question.day, request.starts)
    if idle and days < SOON:
        raise BusinessException(f"the first day is {days} working days away and nobody has begun: {idle[0]}")


def progress_of(request: Request) -> str:
    """How far it is, in a sentence or two."""
    ready = [task.name for task in request.tasks if task.state == "Ready"]
    rest = [f"{task.name.lower()} ({task.state.lower()})" for task in request.tasks if task.state != "Ready"]
    said = f"{len(ready)} of {len(request.tasks)} are ready."
    return f"{said} Still to come: {', '.join(rest)}." if rest else said


def question_of(request: Request, number: int) -> Message:
    """The question with this number. Raises BusinessException when the thread has none."""
    found = next((one for one in request.thread if one.number == number), None)
    if found is None:
        raise BusinessException("the question is not on the request any more")
    return found


def is_answered(request: Request, number: int) -> bool:
    """Whether anybody has answered after the question."""
    return any(one.number > number and one.kind in ANSWERS for one in request.thread)
