"""Solo: a named case is worked in this process, until it rests, or until whoever watches stops it."""

from typing import Any

import pytest
from playwright.sync_api import Playwright

from casehand import Case, CaseData, SystemException, workflow
from casehand.queue.cases import CaseLine
from casehand.queue.known import make_known
from casehand.queue.single import take_in
from casehand.queue.state import State
from casehand.settings import load_settings
from casehand.workflows.hears import Stage
from casehand.workflows.solo import Solo
from casehand.workflows.workflow import Workflow


class Task(CaseData):
    task: str


@workflow("solo/work", reference="task")
def work(case: Case[Task]) -> None:
    with case.step("think"):
        case.sleep(0.01)
    made: list[str] = []
    with case.commit("pay", done=lambda: bool(made)):
        made.append(case.data.task)


@workflow("solo/fail", reference="task")
def fail(case: Case[Task]) -> None:
    raise SystemException("it does not answer")


@workflow("solo/stop", reference="task")
def stop(case: Case[Task]) -> None:
    raise KeyboardInterrupt


def a_case(desk: Any, known: Workflow) -> str:
    make_known(desk.ledger, known.name, known.bot_names, known.timeout)
    return take_in(
        desk.ledger, workflow=known.name, reference="task", data=Task(task=known.name), by="a test"
    )


@pytest.fixture
def heard() -> list[tuple[Stage, str]]:
    return []


@pytest.fixture
def solo(desk: Any, playwright: Playwright, heard: list[tuple[Stage, str]]) -> Any:
    known = {one.name: one for one in (work, fail, stop)}
    with Solo(
        load_settings(),
        desk.ledger,
        known,
        playwright,
        hears=lambda stage, name: heard.append((stage, name)),
        interrupts=False,
        chance=lambda: 0.0,
    ) as solo:
        yield solo


def test_a_case_is_worked_and_each_stage_is_heard(
    desk: Any, solo: Solo, heard: list[tuple[Stage, str]]
) -> None:
    line = solo.work(a_case(desk, work), lambda line: True)
    assert (line.state, line.attempts, line.commits) == (State.DONE, 1, 1)
    assert heard == [(Stage.BEGIN, ""), (Stage.STEP, "think"), (Stage.CHANGE, "pay")]


def test_a_case_that_fails_is_tried_again_as_long_as_somebody_waits(desk: Any, solo: Solo) -> None:
    case, waited = a_case(desk, fail), []

    def wait(line: CaseLine) -> bool:
        waited.append(line.attempts)
        desk.clock.go_on(1000)
        return line.attempts < 2

    assert solo.work(case, wait).state is State.QUEUED
    assert waited == [0, 1, 2]
    assert solo.work(case, lambda line: bool(desk.clock.go_on(1000) or True)).state is State.ESCALATED


def test_a_case_that_is_stopped_by_hand_waits_for_a_person(desk: Any, solo: Solo) -> None:
    case = a_case(desk, stop)
    with pytest.raises(KeyboardInterrupt):
        solo.work(case, lambda line: True)
    story = desk.story("solo/stop")
    assert (story.line.state, story.line.reason) == (State.ESCALATED, "it was stopped by hand")
