"""Lanes: several cases at once on one horse, each with a worker of its own; a real Valkey, no browser."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rq import Worker
from rq.command import send_stop_job_command
from rq.serializers import JSONSerializer
from workshop import Desk, is_alive

from casehand.queue.cases import counts, tell
from casehand.queue.state import State


@contextmanager
def team(desk: Desk, lanes: int = 3, **given: str) -> Iterator[int]:
    """A team on the desk; its process id."""
    with desk.worker(CASEHAND_LANES=str(lanes), **given) as keeper:
        yield keeper.pid


def events(desk: Desk, name: str) -> list[dict[str, object]]:
    """What the team has logged under this name."""
    said = [json.loads(line) for line in desk.log.splitlines() if line.startswith("{")]
    return [one for one in said if one["event"] == name]


def worker_of(desk: Desk, task: str) -> int:
    """The process id of the worker in whose lane a task is worked."""
    (attempt,) = [one for one in tell(desk.ledger, task).attempts if one.ended_at is None]
    return int(attempt.worker.rpartition(".")[2])


def test_one_horse_works_as_many_cases_at_once_as_it_has_lanes(desk: Desk) -> None:
    desk.hand_in(*((f"T{number}", "rest") for number in range(5)))
    with team(desk):
        desk.until(lambda: len(desk.told("worked")) == 3)
        assert counts(desk.ledger)["working"] == 3
        assert len({horse for horses in desk.told("worked").values() for horse in horses}) == 1
        assert Worker.count(desk.redis) == 3
        shown = desk.rq("info", "--only-workers")
        assert shown.count("busy") == 3
        desk.go()
        desk.until(lambda: counts(desk.ledger)["done"] == 5)
    assert all(len(horses) == 1 for horses in desk.told("ended").values())
    assert Worker.count(desk.redis) == 0


def test_a_stop_command_ends_its_own_lane_only(desk: Desk) -> None:
    desk.hand_in(("T1", "rest"), ("T2", "rest"))
    with team(desk):
        horse = desk.begun("T1")
        desk.begun("T2")
        send_stop_job_command(desk.redis, desk.job("T1").id, JSONSerializer)
        case = desk.comes_to("T1", State.ESCALATED)
        desk.go()
        desk.comes_to("T2", State.DONE)
    assert case.reason == "it was stopped by hand"
    assert desk.told("worked") == {"T1": [horse], "T2": [horse]}
    assert "T1" not in desk.told("ended")
    assert desk.case("T2").attempts == 1


def test_the_end_of_its_time_ends_its_own_lane_only(desk: Desk) -> None:
    desk.hand_in(("T1", "rest"), workflow="desk/brief")
    desk.hand_in(("T2", "rest"))
    with team(desk, CASEHAND_RETRIES="0"):
        horse = desk.begun("T2")
        case = desk.comes_to("T1", State.ESCALATED)
        desk.go()
        desk.comes_to("T2", State.DONE)
    assert case.reason == "took longer than 0:00:02"
    assert desk.told("ended") == {"T2": [horse]}


def test_a_lane_that_works_on_without_a_page_is_ended_in_time(desk: Desk) -> None:
    desk.hand_in(("T1", "swallow"), workflow="desk/brief")
    desk.hand_in(("T2", "rest"))
    with team(desk, CASEHAND_RETRIES="0"):
        horse = desk.begun("T2")
        case = desk.comes_to("T1", State.ESCALATED)
        desk.go()
        desk.comes_to("T2", State.DONE)
    assert case.reason == "took longer than 0:00:02"
    assert desk.told("ended") == {"T2": [horse]}


def test_a_lane_that_keeps_the_others_waiting_is_said_with_its_line(desk: Desk) -> None:
    desk.hand_in(("T1", "rest"), ("T2", "block"))
    with team(desk, lanes=2):
        desk.comes_to("T2", State.DONE)
        desk.until(lambda: events(desk, "lane_blocks_others"))
        desk.go()
        desk.comes_to("T1", State.DONE)
    (said,) = events(desk, "lane_blocks_others")
    assert said["case"] == desk.case("T2").id
    assert str(said["at"]).startswith("desk.py:")


def test_work_in_a_thread_keeps_no_other_lane_waiting(desk: Desk) -> None:
    desk.hand_in(("T1", "think"), ("T2", "note"))
    with team(desk):
        desk.begun("T1")
        desk.comes_to("T2", State.DONE)
        assert desk.case("T1").state is State.WORKING
        desk.comes_to("T1", State.DONE)


def test_a_lane_that_does_not_let_go_costs_the_horse_and_the_others_are_worked_again(desk: Desk) -> None:
    desk.hand_in(("T1", "cling"), ("T2", "rest"))
    with team(desk):
        horse = desk.begun("T1")
        desk.begun("T2")
        send_stop_job_command(desk.redis, desk.job("T1").id, JSONSerializer)
        desk.comes_to("T1", State.ESCALATED)
        assert desk.begun("T2", times=2) != horse
        desk.go()
        desk.comes_to("T2", State.DONE)
    assert not is_alive(horse)
    assert desk.case("T2").attempts == 2


def test_a_killed_horse_gives_all_its_cases_to_another(desk: Desk) -> None:
    desk.hand_in(*((f"T{number}", "rest") for number in range(3)))
    with team(desk):
        desk.until(lambda: len(desk.told("worked")) == 3)
        horse = desk.begun("T0")
        os.kill(horse, signal.SIGKILL)
        desk.until(lambda: all(len(horses) == 2 for horses in desk.told("worked").values()))
        desk.go()
        desk.until(lambda: counts(desk.ledger)["done"] == 3)
    assert all(horses == [one] for horses in desk.told("ended").values() for one in horses if one != horse)


def test_the_case_of_a_killed_worker_is_worked_in_another_lane_and_no_other_suffers(desk: Desk) -> None:
    desk.hand_in(("T1", "rest"), ("T2", "rest"))
    with team(desk):
        horse = desk.begun("T1")
        desk.begun("T2")
        os.kill(worker_of(desk, "T1"), signal.SIGKILL)
        assert desk.begun("T1", times=2) == horse
        desk.go()
        desk.comes_to("T1", State.DONE)
        desk.comes_to("T2", State.DONE)
        desk.until(lambda: Worker.count(desk.redis) >= 3, what="a new worker")
    assert desk.case("T2").attempts == 1
    assert [one.reason for one in tell(desk.ledger, "T1").attempts] == ["the worker was lost", None]


def test_a_case_that_kills_its_horses_puts_no_other_in_front_of_a_person(desk: Desk) -> None:
    desk.hand_in(("T1", "rest then die"), ("T2", "rest"), ("T3", "rest"))
    with team(desk):
        for times in (1, 2):
            for task in ("T1", "T2", "T3"):
                desk.begun(task, times)
            (desk.folder / "go-T1").touch()
            desk.until(lambda times=times: not is_alive(desk.begun("T1", times)))
            (desk.folder / "go-T1").unlink()
        (desk.folder / "go-T1").touch()
        (desk.folder / "go-T2").touch()
        (desk.folder / "go-T3").touch()
        case = desk.comes_to("T1", State.ESCALATED, 60)
        desk.comes_to("T2", State.DONE)
        desk.comes_to("T3", State.DONE)
    assert case.reason == "the horse died, 3 times with this case"
    assert max(desk.case("T2").attempts, desk.case("T3").attempts) == 3


def test_a_horse_that_has_worked_enough_ends_what_it_has_while_another_takes_the_next(desk: Desk) -> None:
    desk.hand_in(("T1", "rest"), ("T2", "note"), ("T3", "note"), ("T4", "note"), ("T5", "note"))
    with team(desk, lanes=2, CASEHAND_BROWSER_CASES="2"):
        first = desk.begun("T1")
        desk.until(lambda: counts(desk.ledger)["done"] == 4)
        assert is_alive(first)
        desk.go()
        desk.comes_to("T1", State.DONE)
        desk.until(lambda: not is_alive(first))
    assert desk.told("ended")["T1"] == [first]
    assert {horse for horses in desk.told("ended").values() for horse in horses} > {first}
    assert not events(desk, "horse_died")


def test_a_request_to_stop_lets_all_lanes_finish_and_a_second_stops_at_once(desk: Desk) -> None:
    desk.hand_in(("T1", "rest"), ("T2", "rest"))
    with desk.worker(CASEHAND_LANES="2") as keeper:
        horse = desk.begun("T1")
        desk.begun("T2")
        keeper.send_signal(signal.SIGTERM)
        desk.until(
            lambda: all(worker.shutdown_requested_date is not None for worker in Worker.all(desk.redis))
        )
        (desk.folder / "go-T1").touch()
        desk.comes_to("T1", State.DONE)
        assert desk.case("T2").state is State.WORKING
        desk.until(lambda: Worker.count(desk.redis) == 1)
        # RQ takes two requests within a second for one.
        with pytest.raises(subprocess.TimeoutExpired):
            keeper.wait(1.2)
        keeper.send_signal(signal.SIGTERM)
        assert keeper.wait(20) == 0
    assert not is_alive(horse)
    case = desk.case("T2")
    assert (case.state, case.reason) == (State.QUEUED, "the worker was stopped")


@pytest.mark.parametrize("seconds", [0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.5])
def test_a_request_to_stop_is_heard_whenever_it_comes(desk: Desk, seconds: float) -> None:
    with desk.worker(CASEHAND_LANES="3") as keeper:
        with pytest.raises(subprocess.TimeoutExpired):
            keeper.wait(seconds)
        keeper.send_signal(signal.SIGTERM)
        # One that comes before anybody listens ends the process, as any does.
        assert keeper.wait(20) in (0, -signal.SIGTERM)
    desk.until(lambda: Worker.count(desk.redis) == 0)


def test_a_team_dies_with_its_keeper_and_nothing_is_left_running(desk: Desk) -> None:
    desk.hand_in(("T1", "rest"))
    with desk.worker(CASEHAND_LANES="2") as keeper:
        horse = desk.begun("T1")
        workers = [worker.pid for worker in Worker.all(desk.redis)]
        keeper.kill()
        desk.until(lambda: not any(map(is_alive, [horse, *workers])), 20)
    assert len(workers) == 2
    assert desk.case("T1").state is State.QUEUED
