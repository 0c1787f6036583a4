"""The commit protocol on a real ledger; the legacy system is a list of the changes made in it."""

from collections.abc import Callable
from typing import Any

import pytest

from casehand import BusinessException, Case, CaseData, SystemException, Workflow, workflow
from casehand.queue import escalations
from casehand.queue.commits import CommitState
from casehand.queue.endings import take_back_expired
from casehand.queue.escalations import WAS_DONE, WAS_NOT_DONE
from casehand.queue.outcome import EscalationKind
from casehand.queue.state import State

AFTER_BACKOFF = 1000.0
"""Seconds after which any retry may begin."""

Body = Callable[[], None]


class Row(CaseData):
    claim: str


class System:
    """What the legacy system holds, and how it behaves when it is asked to make a change."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.asked = 0
        self.on_change: Body = self.make
        self.can_be_read = True

    def make(self) -> None:
        self.changes.append("rent")

    def has_change(self) -> bool:
        if not self.can_be_read:
            raise SystemException("the system answered with an error page")
        return "rent" in self.changes

    def change(self) -> None:
        self.asked += 1
        self.on_change()


@pytest.fixture
def system() -> System:
    return System()


def changing(
    system: System, *, tells: bool = True, shows: Callable[[], dict[str, object]] | None = None
) -> Workflow:
    """A workflow that makes the one change, with or without a way to tell whether it is made."""

    @workflow("test/change", reference="claim")
    def change(case: Case[Row]) -> None:
        with case.commit("put the rent on", done=system.has_change if tells else None, shows=shows):
            system.change()

    return change


def fail(message: str = "the connection was dropped") -> Body:
    def body() -> None:
        raise SystemException(message)

    return body


def states(desk: Any, reference: str = "C1") -> list[CommitState]:
    return [intent.state for intent in desk.story(reference).commits]


def test_a_change_is_made_and_read_back(desk: Any, system: System) -> None:
    desk.takes(changing(system), "C1")
    assert desk.work("C1") is State.DONE
    assert system.changes == ["rent"]
    assert states(desk) == [CommitState.MADE]
    assert desk.story("C1").line.commits == 1


def shown(desk: Any) -> list[tuple[str, object]]:
    """What the notes of the last attempt say that the system showed."""
    steps = desk.story("C1").attempts[-1].steps
    return [(step["name"], step["shows"]) for step in steps if "shows" in step]


def test_what_the_system_shows_is_kept_from_before_and_after(desk: Any, system: System) -> None:
    desk.takes(changing(system, shows=lambda: {"changes": len(system.changes)}), "C1")
    assert desk.work("C1") is State.DONE
    assert shown(desk) == [
        ("begins: put the rent on", {"changes": "0"}),
        ("made: put the rent on", {"changes": "1"}),
    ]


def test_what_cannot_be_shown_harms_no_change(desk: Any, system: System) -> None:
    def fails() -> dict[str, object]:
        raise KeyError("award")

    desk.takes(changing(system, shows=fails), "C1")
    assert desk.work("C1") is State.DONE
    assert (system.changes, states(desk), shown(desk)) == (["rent"], [CommitState.MADE], [])


def test_a_change_that_is_there_already_is_left_alone(desk: Any, system: System) -> None:
    system.make()
    desk.takes(changing(system), "C1")
    assert desk.work("C1") is State.DONE
    assert system.asked == 0
    assert states(desk) == [CommitState.FOUND]
    assert desk.story("C1").line.commits == 0


def test_the_intent_is_in_the_ledger_before_the_body_runs(desk: Any, system: System) -> None:
    seen: list[CommitState] = []

    def look() -> None:
        seen.extend(states(desk))
        system.make()

    system.on_change = look
    desk.takes(changing(system), "C1")
    desk.work("C1")
    assert seen == [CommitState.INTENDED]


def test_a_body_that_failed_without_effect_is_tried_again(desk: Any, system: System) -> None:
    desk.takes(changing(system), "C1")
    system.on_change = fail()
    assert desk.work("C1") is State.QUEUED
    system.on_change = system.make
    assert desk.work("C1", AFTER_BACKOFF) is State.DONE
    assert system.changes == ["rent"]
    assert states(desk) == [CommitState.NOT_MADE, CommitState.MADE]


def test_a_body_that_failed_after_its_effect_is_not_run_again(desk: Any, system: System) -> None:
    def make_and_fail() -> None:
        system.make()
        fail()()

    desk.takes(changing(system), "C1")
    system.on_change = make_and_fail
    assert desk.work("C1") is State.QUEUED
    assert desk.work("C1", AFTER_BACKOFF) is State.DONE
    assert system.asked == 1
    assert states(desk) == [CommitState.MADE]


def test_a_change_that_cannot_be_read_back_is_a_failure(desk: Any, system: System) -> None:
    desk.takes(changing(system), "C1")
    system.on_change = lambda: None
    assert desk.work("C1") is State.QUEUED
    assert desk.story("C1").line.reason == "the change cannot be seen in the system after it was made"


def test_a_no_counts_only_when_the_change_cannot_be_on_its_way_any_more(desk: Any, system: System) -> None:
    desk.takes(changing(system), "C1", is_slow=True)
    system.on_change = fail("the connection was dropped")
    desk.work("C1")
    waits = desk.story("C1").line.not_before - desk.clock()
    assert waits.total_seconds() == 30
    assert desk.work("C1", 29) is None
    system.on_change = system.make
    assert desk.work("C1", 2) is State.DONE
    assert states(desk) == [CommitState.NOT_MADE, CommitState.MADE]


def test_a_no_is_as_old_as_the_look_that_began_it(desk: Any, system: System) -> None:
    """The look takes two seconds, in which the change settles, and arrives after the look has passed it by."""

    def looks_slowly() -> bool:
        seen = system.has_change()
        if not seen and system.asked:
            desk.clock.go_on(2)
            system.make()
        return seen

    @workflow("test/change", reference="claim")
    def change(case: Case[Row]) -> None:
        with case.commit("put the rent on", done=looks_slowly):
            system.change()

    def break_off() -> None:
        raise ValueError("a mistake in the workflow")

    desk.takes(change, "C1", is_slow=True)
    system.on_change = break_off
    assert desk.work("C1") is State.ESCALATED
    escalations.send_back(desk.ledger, desk.story("C1").line.id, "a person")
    system.on_change = system.make

    assert desk.work("C1", 29) is State.QUEUED
    assert desk.work("C1", 2) is State.DONE
    assert system.changes == ["rent"]
    assert states(desk) == [CommitState.MADE]


def test_a_change_without_a_way_to_tell_is_not_made_again_when_a_later_step_fails(
    desk: Any, system: System
) -> None:
    trouble = [SystemException("the letter could not be printed")]

    @workflow("test/letter", reference="claim")
    def letter(case: Case[Row]) -> None:
        with case.commit("put the rent on"):
            system.change()
        if trouble:
            raise trouble.pop()

    desk.takes(letter, "C1")
    assert desk.work("C1") is State.QUEUED
    assert desk.work("C1", AFTER_BACKOFF) is State.DONE
    assert system.changes == ["rent"]


def test_a_change_that_arrives_late_is_found_and_not_made_again(desk: Any, system: System) -> None:
    desk.takes(changing(system), "C1", is_slow=True)
    system.on_change = fail("no answer")
    desk.work("C1")
    desk.clock.go_on(20)
    system.make()
    assert desk.work("C1", AFTER_BACKOFF) is State.DONE
    assert system.asked == 1
    assert states(desk) == [CommitState.MADE]


def test_without_a_way_to_tell_a_person_is_asked_and_nothing_is_guessed(desk: Any, system: System) -> None:
    desk.takes(changing(system, tells=False), "C1")
    system.on_change = fail()
    desk.work("C1")
    assert desk.work("C1", AFTER_BACKOFF) is State.ESCALATED
    (waiting,) = escalations.waiting(desk.ledger)
    assert waiting.kind is EscalationKind.IN_DOUBT
    assert system.asked == 1


def test_a_person_who_says_that_it_was_done_is_believed(desk: Any, system: System) -> None:
    desk.takes(changing(system, tells=False), "C1")
    system.on_change = fail()
    desk.work("C1")
    desk.work("C1", AFTER_BACKOFF)
    escalations.answer(desk.ledger, desk.story("C1").line.id, WAS_DONE, "a person")
    assert desk.work("C1") is State.DONE
    assert system.asked == 1
    assert states(desk)[0] is CommitState.MADE


def test_a_person_who_says_that_it_was_not_done_has_it_tried_again(desk: Any, system: System) -> None:
    desk.takes(changing(system, tells=False), "C1")
    system.on_change = fail()
    desk.work("C1")
    desk.work("C1", AFTER_BACKOFF)
    system.on_change = system.make
    escalations.answer(desk.ledger, desk.story("C1").line.id, WAS_NOT_DONE, "a person")
    assert desk.work("C1") is State.DONE
    assert system.changes == ["rent"]
    assert states(desk) == [CommitState.NOT_MADE, CommitState.MADE]


def test_a_system_that_cannot_be_read_after_a_change_leaves_the_case_in_doubt(
    desk: Any, system: System
) -> None:
    def make_and_fail() -> None:
        system.make()
        system.can_be_read = False
        fail()()

    desk.takes(changing(system), "C1")
    system.on_change = make_and_fail
    state = desk.work("C1")
    while state is State.QUEUED:
        state = desk.work("C1", AFTER_BACKOFF)
    assert state is State.ESCALATED
    (waiting,) = escalations.waiting(desk.ledger)
    assert waiting.kind is EscalationKind.IN_DOUBT
    assert system.asked == 1


def test_an_attempt_that_has_lost_its_case_changes_nothing(desk: Any, system: System) -> None:
    @workflow("test/late", reference="claim")
    def late(case: Case[Row]) -> None:
        desk.clock.go_on(60)
        with case.commit("put the rent on", done=system.has_change):
            system.change()

    desk.takes(late, "C1")
    assert desk.work("C1") is None
    assert system.asked == 0
    assert desk.story("C1").commits == []
    assert desk.story("C1").line.state is State.WORKING
    backoff = desk.horse.settings.backoff
    assert take_back_expired(desk.ledger, "another", backoff, 0.0) == [desk.story("C1").line.id]


def test_a_workflow_that_swallows_a_failed_change_is_not_done(desk: Any, system: System) -> None:
    @workflow("test/swallow", reference="claim")
    def swallow(case: Case[Row]) -> None:
        try:
            with case.commit("put the rent on", done=system.has_change):
                system.change()
        except Exception:  # noqa: BLE001, S110 — as careless authors write it
            pass

    desk.takes(swallow, "C1")
    system.on_change = fail()
    assert desk.work("C1") is State.QUEUED
    assert "put the rent on" in (desk.story("C1").line.reason or "")


def test_a_refusal_of_the_system_in_the_body_is_a_business_exception(desk: Any, system: System) -> None:
    def refuse() -> None:
        raise BusinessException("the rent is above the limit")

    desk.takes(changing(system), "C1")
    system.on_change = refuse
    assert desk.work("C1") is State.ESCALATED
    (waiting,) = escalations.waiting(desk.ledger)
    assert (waiting.kind, waiting.reason) == (EscalationKind.BUSINESS, "the rent is above the limit")


def test_two_changes_of_one_case_are_each_made_once(desk: Any) -> None:
    made: list[str] = []
    trouble = [SystemException("the second fails once")]

    @workflow("test/two", reference="claim")
    def two(case: Case[Row]) -> None:
        with case.commit("first", done=lambda: "first" in made):
            made.append("first")
        with case.commit("second", done=lambda: "second" in made):
            if trouble:
                raise trouble.pop()
            made.append("second")

    desk.takes(two, "C1")
    assert desk.work("C1") is State.QUEUED
    assert desk.work("C1", AFTER_BACKOFF) is State.DONE
    assert made == ["first", "second"]


def test_a_second_commit_of_one_name_is_a_fault_of_the_workflow(desk: Any) -> None:
    made: list[str] = []

    @workflow("test/same", reference="claim")
    def same(case: Case[Row]) -> None:
        for number in ("first", "second"):
            with case.commit("write the note", done=lambda number=number: number in made):  # type: ignore[misc]
                made.append(number)

    desk.takes(same, "C1")
    assert desk.work("C1") is State.ESCALATED
    assert desk.story("C1").line.reason.startswith("the workflow has a fault: TypeError")
    assert made == ["first"]


def test_a_body_on_the_line_of_its_with_is_a_fault_of_the_workflow(desk: Any, system: System) -> None:
    @workflow("test/one-line", reference="claim")
    def one_line(case: Case[Row]) -> None:
        with case.commit("put the rent on", done=system.has_change): system.change()  # fmt: skip  # noqa: E701

    desk.takes(one_line, "C1")
    assert desk.work("C1") is State.ESCALATED
    assert desk.story("C1").line.reason.startswith("the workflow has a fault: TypeError")
    assert system.asked == 0


def test_data_that_no_longer_fits_the_workflow_is_put_in_front_of_a_person(desk: Any) -> None:
    class Stricter(CaseData):
        claim: str
        amount: int

    @workflow("test/change", reference="claim")
    def stricter(case: Case[Stricter]) -> None:
        raise AssertionError

    desk.takes(changing(System()), "C1")
    desk.takes(stricter)
    assert desk.work("C1") is State.ESCALATED
    assert "does not fit" in desk.story("C1").line.reason
