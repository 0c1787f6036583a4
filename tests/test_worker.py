"""A real worker process on a real Valkey, with a workflow that needs no browser."""

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rq import Queue, Worker
from rq.command import send_stop_job_command
from rq.serializers import DefaultSerializer, JSONSerializer
from workshop import Desk, is_alive

from casehand.queue.cases import counts, tell
from casehand.queue.dispatch import QUEUE
from casehand.queue.state import State


def test_one_horse_works_one_case_after_another(desk: Desk) -> None:
    desk.hand_in(*((f"T{number}", "note") for number in range(12)))
    with desk.worker() as worker:
        desk.until(lambda: counts(desk.ledger)["done"] == 12)
        horses = {horse for tasks in desk.told("worked").values() for horse in tasks}
    assert len(horses) == 1
    assert horses != {worker.pid}
    assert all(len(tasks) == 1 for tasks in desk.told("worked").values())


def test_a_horse_is_renewed_after_so_many_cases(desk: Desk) -> None:
    desk.hand_in(*((f"T{number}", "note") for number in range(6)))
    with desk.worker(CASEHAND_BROWSER_CASES="2"):
        desk.until(lambda: counts(desk.ledger)["done"] == 6)
    horses = [horse for tasks in desk.told("worked").values() for horse in tasks]
    assert len(set(horses)) == 3
    assert all(line.get("event") != "horse_died" for line in map(json.loads, desk.log.splitlines()))


def test_the_case_of_a_killed_horse_is_worked_again_by_another_and_no_other_case_suffers(desk: Desk) -> None:
    desk.hand_in(("T1", "note"), ("T2", "wait"), ("T3", "note"))
    with desk.worker():
        first = desk.begun("T2")
        os.kill(first, signal.SIGKILL)
        second = desk.begun("T2", times=2)
        desk.go()
        case = desk.comes_to("T2", State.DONE)
        desk.comes_to("T3", State.DONE)
    assert second != first
    assert case.attempts == 2
    story = tell(desk.ledger, "T2")
    assert [(one.end, one.reason) for one in story.attempts] == [("lost", "the horse died"), ("done", None)]
    assert desk.job("T2", attempt=1).is_failed
    assert desk.case("T1").attempts == desk.case("T3").attempts == 1


def test_a_case_that_kills_every_horse_is_put_in_front_of_a_person(desk: Desk) -> None:
    desk.hand_in(("T1", "wait"))
    with desk.worker():
        for times in (1, 2, 3):
            os.kill(desk.begun("T1", times), signal.SIGKILL)
        case = desk.comes_to("T1", State.ESCALATED)
    assert case.reason == "the horse died, 3 times with this case"


def test_rqs_command_stops_a_job_and_the_case_waits_for_a_person(desk: Desk) -> None:
    desk.hand_in(("T1", "wait"), ("T2", "note"))
    with desk.worker():
        desk.begun("T1")
        send_stop_job_command(desk.redis, desk.job("T1").id, JSONSerializer)
        case = desk.comes_to("T1", State.ESCALATED)
        desk.comes_to("T2", State.DONE)
    assert case.reason == "it was stopped by hand"
    assert desk.job("T1").is_stopped
    assert "T1" not in desk.told("ended")


def test_rqs_own_tools_see_suspend_and_resume_the_worker(desk: Desk) -> None:
    with desk.worker() as worker:
        desk.until(lambda: Worker.count(desk.redis) == 1)
        assert f".{worker.pid}" in desk.rq("info")
        desk.rq("suspend")
        desk.until(lambda: "suspended" in desk.rq("info", "--only-workers"))
        desk.hand_in(("T1", "note"))
        assert "1 queues, 1 jobs total" in desk.rq("info")
        assert desk.case("T1").state is State.QUEUED
        desk.rq("resume")
        desk.comes_to("T1", State.DONE)
    assert Worker.count(desk.redis) == 0


def test_a_workflow_cannot_swallow_the_end_of_its_time(desk: Desk) -> None:
    desk.hand_in(("T1", "swallow"), workflow="desk/brief")
    desk.hand_in(("T2", "note"))
    with desk.worker(CASEHAND_RETRIES="0"):
        case = desk.comes_to("T1", State.ESCALATED)
        desk.comes_to("T2", State.DONE)
    assert case.reason == "took longer than 0:00:02"


def test_a_request_to_stop_lets_the_case_in_hand_be_finished(desk: Desk) -> None:
    desk.hand_in(("T1", "wait"), ("T2", "note"))
    with desk.worker() as worker:
        horse = desk.begun("T1")
        worker.send_signal(signal.SIGTERM)
        desk.until(lambda: Worker.all(desk.redis)[0].shutdown_requested_date is not None)
        desk.go()
        assert worker.wait(20) == 0
    assert desk.case("T1").state is State.DONE
    assert desk.case("T2").state is State.QUEUED
    assert not is_alive(horse)


def test_a_second_request_to_stop_stops_at_once_and_the_case_goes_back_at_no_cost(desk: Desk) -> None:
    desk.hand_in(("T1", "wait"))
    with desk.worker() as worker:
        horse = desk.begun("T1")
        worker.send_signal(signal.SIGTERM)
        # RQ takes two requests within a second for one.
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(1.2)
        worker.send_signal(signal.SIGTERM)
        worker.wait(10)
    assert not is_alive(horse)
    case = desk.case("T1")
    assert case.state is State.QUEUED
    assert case.reason == "the worker was stopped"
    desk.go()
    with desk.worker():
        assert desk.comes_to("T1", State.DONE).attempts == 2


def test_a_job_that_names_another_function_is_refused(desk: Desk) -> None:
    made = desk.folder / "made"
    jobs = [
        desk.queue.enqueue("os.makedirs", str(made)),
        desk.queue.enqueue("casehand.workflows.horse.work", str(made), "1"),
        desk.queue.enqueue("casehand.workflows.horse.work", "one too many", 1, 2),
    ]
    desk.hand_in(("T1", "note"))
    with desk.worker():
        desk.comes_to("T1", State.DONE)
        # What the ledger knows of goes ahead of what it does not.
        desk.until(lambda: all(job.get_status(refresh=True) == "failed" for job in jobs), 30, "refused")
    assert not made.exists()
    assert desk.log.count('"job_refused"') == len(jobs)


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.makedirs, (str(self.folder),)


def test_a_pickled_job_is_not_read(desk: Desk) -> None:
    made = desk.folder / "made"
    pickled = Queue(QUEUE, connection=desk.redis, serializer=DefaultSerializer)
    job = pickled.enqueue("casehand.workflows.horse.work", Trap(made), 1)
    with pytest.raises(FileExistsError):
        made.mkdir() or pickle.loads(pickle.dumps(Trap(made)))  # noqa: S301 — the trap works
    made.rmdir()
    desk.hand_in(("T1", "note"))
    with desk.worker():
        desk.comes_to("T1", State.DONE)
        desk.until(lambda: job.id in desk.queue.failed_job_registry.get_job_ids(), 30, "refused")
    assert not made.exists()


def test_the_worker_itself_never_imports_playwright() -> None:
    program = (
        "import sys, casehand.worker; from casehand.workflows.installed import installed_workflows;"
        "installed_workflows(); sys.exit('playwright' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_horse_dies_with_its_worker(desk: Desk) -> None:
    desk.hand_in(("T1", "wait"))
    with desk.worker() as worker:
        horse = desk.begun("T1")
        worker.kill()
        desk.until(lambda: not is_alive(horse), 10)
    assert desk.case("T1").state is State.WORKING


def test_a_horse_that_lies_stopped_is_killed_before_another_begins(desk: Desk) -> None:
    desk.hand_in(("T1", "stop"))
    with desk.worker():
        horse = desk.begun("T1")
        desk.go()
        case = desk.comes_to("T1", State.DONE, seconds=40)
    assert not is_alive(horse)
    assert case.attempts == 2
    assert horse not in desk.told("ended")["T1"]
