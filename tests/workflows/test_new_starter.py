"""New starters: each rule with a case that meets it and one that just does not, and the faults."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from playwright.sync_api import Browser
from pydantic import SecretStr

from casehand import Account, BusinessException
from casehand.bots.services import Message, Request, ServicesBot, Task
from casehand.fixtures.services import documents
from casehand.fixtures.services.seed import starter
from casehand.fixtures.services.server import ServicesServer
from casehand.testing import Work, faults
from casehand.workflows.new_starter import (
    OpenQuestion,
    answer_question,
    check_rules,
    is_answered,
    open_requests,
    progress_of,
)

ASKED = date(2026, 5, 18)
"""A Monday; the next Monday, the 25th, is a bank holiday."""
QUESTION = Message(1, "Progress?", "Mx Manager Ash", ASKED, "How far is it?")
IDLE = (Task("Laptop", "Ready"), Task("Building pass", "Begun"), Task("Payroll", "Not begun"))
ANSWER = "answer the question"


def request(starts: date | None = date(2026, 6, 1), tasks: tuple[Task, ...] = IDLE) -> Request:
    return Request("NS00001", "Mx Starter Ash", "Open", starts, tasks, (QUESTION,))


@pytest.mark.parametrize(
    ("starts", "tasks", "kind", "words"),
    [
        (date(2026, 5, 22), IDLE, "Progress?", "4 working days away and nobody has begun: payroll"),
        (date(2026, 5, 25), IDLE, "Progress?", "4 working days away and nobody has begun: payroll"),
        (date(2026, 5, 11), IDLE, "Progress?", "0 working days away"),
        (None, IDLE, "Progress?", "the request has no first day"),
        (date(2026, 6, 1), IDLE, "Question", "something else than the progress is asked"),
    ],
)
def test_a_person_answers(starts: date | None, tasks: tuple[Task, ...], kind: str, words: str) -> None:
    with pytest.raises(BusinessException, match=words):
        check_rules(request(starts, tasks), QUESTION._replace(kind=kind))


@pytest.mark.parametrize(
    ("starts", "tasks"),
    [(date(2026, 5, 26), IDLE), (date(2026, 5, 19), IDLE[:2]), (date(2026, 5, 19), ())],
)
def test_the_robot_answers(starts: date, tasks: tuple[Task, ...]) -> None:
    check_rules(request(starts, tasks), QUESTION)


OTHER = Message(1, "Question", "Mx Manager Ash", ASKED, "Who has the key?")
REPLY = Message(2, "Answer", "Mx Colleague", ASKED, "The caretaker.")


@pytest.mark.parametrize(
    "thread",
    [
        (OTHER, QUESTION._replace(number=2)),
        (QUESTION, OTHER._replace(number=2)),
        (OTHER, REPLY, OTHER._replace(number=3), QUESTION._replace(number=4)),
    ],
)
def test_a_person_answers_where_something_else_is_asked_as_well(thread: tuple[Message, ...]) -> None:
    asked = next(one for one in thread if one.kind == "Progress?")
    with pytest.raises(BusinessException, match="something else than the progress is asked as well"):
        check_rules(replace(request(), thread=thread), asked)


@pytest.mark.parametrize(
    "thread",
    [
        (OTHER, REPLY, QUESTION._replace(number=3)),
        (QUESTION, QUESTION._replace(number=2)),
    ],
)
def test_the_robot_answers_where_nothing_else_is_open(thread: tuple[Message, ...]) -> None:
    check_rules(replace(request(), thread=thread), thread[-1])


def test_the_answer_says_how_far_it_is() -> None:
    said = progress_of(request())
    assert said == "1 of 3 are ready. Still to come: building pass (begun), payroll (not begun)."
    assert progress_of(request(tasks=IDLE[:1])) == "1 of 1 are ready."


def test_a_question_is_answered_by_what_anybody_says_after_it() -> None:
    answer = Message(2, "Answer", "Mx Colleague", ASKED, "Soon.")
    one = request()
    answered = Request(**{**vars(one), "thread": (QUESTION, answer)})
    asked_again = Request(**{**vars(one), "thread": (QUESTION, answer, QUESTION._replace(number=3))})
    assert not is_answered(one, 1)
    assert is_answered(answered, 1)
    assert is_answered(asked_again, 1)
    assert not is_answered(asked_again, 3)


def asking_twice(number: int) -> documents.Request:
    """A request with an open question of each kind."""
    request = starter(number, asks="Question")
    (first,) = request.messages
    return request.model_copy(
        update={"messages": (first, first.model_copy(update={"number": 2, "kind": "Progress?"}))}
    )


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServicesServer]:
    given = [
        starter(1, asks="Progress?"),
        starter(2),
        starter(3, asks="Question"),
        starter(4, asks="Progress?", ready=1, begun=1, starts=date(2026, 5, 13)),
        starter(5, asks="Progress?", starts=date(2026, 5, 13)),
        starter(6, asks="Progress?").model_copy(update={"status": "Closed"}),
        *(starter(number, asks="Progress?") for number in range(7, 20)),
        asking_twice(20),
    ]
    with ServicesServer(tmp_path_factory.mktemp("starters") / "services", given) as server:
        yield server


@pytest.fixture
def bot_settings(services: ServicesServer) -> Mapping[str, Mapping[str, str]]:
    given = {"url": services.url, "username": services.username, "password": services.password}
    return {"services": given}


@pytest.fixture
def count_changes(services: ServicesServer) -> Callable[[], int]:
    return lambda: len(services.journal())


@pytest.fixture
def question(services: ServicesServer) -> OpenQuestion:
    """A question that no other test has answered."""
    used = {entry.reference for entry in services.journal()}
    number = next(one for one in range(7, 20) if f"NS{one:05}" not in used)
    return OpenQuestion(question=f"NS{number:05}-1")


def test_a_case_is_made_for_each_question_that_nobody_has_answered_on_an_open_request(
    services: ServicesServer, browser: Browser
) -> None:
    page = browser.new_page()
    page.goto(services.url)
    bot = ServicesBot(page, services.url, Account(services.username, SecretStr(services.password)))
    bot.sign_in()
    found = [one.question for one in open_requests(bot)]
    page.context.close()
    untouched = {"NS00001-1", "NS00003-1", "NS00004-1", "NS00005-1"}
    assert untouched <= set(found)
    assert {"NS00002-1", "NS00006-1"}.isdisjoint(found)
    assert len(found) == len(set(found)) > 8


@faults.every()
def test_a_question_is_answered_once_whatever_happens(work: Work, question: OpenQuestion) -> None:
    work(answer_question, question).should_be_done(came="answered").should_have_changed(ANSWER)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("NS00003-1", "something else than the progress"),
        ("NS00004-1", "2 working days away"),
        ("NS00020-1", "something else than the progress is asked"),
        ("NS00020-2", "something else than the progress is asked as well"),
    ],
)
def test_a_question_for_a_person_is_left_to_one(work: Work, question: str, words: str) -> None:
    work(answer_question, {"question": question}).should_need_a_person(words).should_have_changed_nothing()


def test_a_request_that_was_closed_meanwhile_needs_no_answer(work: Work) -> None:
    work(answer_question, {"question": "NS00006-1"}).should_be_done(came="was closed before")


def test_what_a_colleague_has_answered_is_not_answered_again(
    work: Work, question: OpenQuestion, count_changes: Any
) -> None:
    work(answer_question, question).should_be_done()
    work(answer_question, question).should_be_done().should_have_changed_nothing().should_have_found(ANSWER)
