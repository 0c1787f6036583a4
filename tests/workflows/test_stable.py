"""The stable, in a process of its own: a test run with its threads must not be forked."""

import json
import subprocess
import sys
from typing import Any

PROGRAM = """
import json, os, signal, sys
from casehand.exceptions import CasehandError
from casehand.workflows.reins import Answer, Broken, Reins
from casehand.workflows.stable import Stable

class Rider:
    def serve(self, door, *, alone):
        reins = Reins(door)
        reins.send(ready=os.getpid())
        while True:
            try:
                messages = list(reins.read())
            except Broken:
                return
            for message in messages:
                if "work" in message:
                    job, _ = message["work"]
                    {unseen}
                    reins.send(taken=True)
                    answer = self.perform(job)
                    reins.answer(answer)
                    if not answer.stays:
                        return

    def perform(self, job):
        {ride}

class Saddle:
    def before_fork(self):
        pass
    def __call__(self):
        {saddle}
        return Rider()

told = []

def order(job):
    stable.give(job, 1)
    while (ended := stable.read()) is None:
        stable.wait(5)
    told.append([ended.answer is not None, ended.pid, ended.status])

stable = Stable(Saddle(), "a worker")
try:
    {orders}
except CasehandError as error:
    told.append(str(error))
print(json.dumps(told))
"""


def run(
    orders: str, ride: str = "return Answer(True)", saddle: str = "pass", unseen: str = "pass"
) -> tuple[list[Any], str]:
    program = PROGRAM.format(orders=orders, ride=ride, saddle=saddle, unseen=unseen)
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    told: list[Any] = json.loads(ended.stdout)
    return told, ended.stderr


def test_a_horse_that_stays_takes_one_job_after_another() -> None:
    told, _ = run("order('a'); order('b'); stable.send_away()")
    assert [status for _, _, status in told] == [0, 0]
    assert told[0][1] == told[1][1]


def test_a_horse_that_leaves_is_followed_by_another() -> None:
    told, _ = run("order('a'); order('b')", ride="return Answer(job != 'a')")
    assert [status for _, _, status in told] == [0, 0]
    assert told[0][1] != told[1][1]


def test_a_horse_that_dies_is_known_to_be_dead_and_followed_by_another() -> None:
    ride = "os.kill(os.getpid(), signal.SIGKILL) if job == 'a' else None; return Answer(True)"
    told, _ = run("order('a'); order('b')", ride=ride)
    assert [status for _, _, status in told] == [9, 0]


def test_a_horse_that_ends_without_an_answer_has_not_done_its_job() -> None:
    told, _ = run("order('a')", ride="os._exit(0)")
    assert told[0][2] != 0


def test_a_horse_that_died_idle_is_replaced_when_it_is_needed() -> None:
    wait = "os.waitid(os.P_PID, told[0][1], os.WEXITED | os.WNOWAIT)"
    orders = f"order('a'); os.kill(told[0][1], signal.SIGKILL); {wait}; order('b')"
    told, _ = run(orders)
    assert [status for _, _, status in told] == [0, 0]
    assert told[0][1] != told[1][1]


def test_an_exception_in_a_horse_ends_the_horse_and_nothing_else() -> None:
    told, said = run("order('a')", ride="raise RuntimeError('a fault')")
    assert told[0][2] != 0
    assert "a fault" in said


def test_a_horse_that_cannot_be_got_ready_says_why_itself() -> None:
    told, said = run("order('a')", saddle="raise CasehandError('the ledger is away')")
    assert told == ["the worker stops, since its horse could not be got ready"]
    assert said == "the ledger is away\n"


def test_a_fault_in_a_lane_or_a_case_let_go_is_no_success_and_no_death() -> None:
    for answer in ("Answer(True, fault='ValueError')", "Answer(True, stopped=True)"):
        told, _ = run("order('a'); order('b')", ride=f"return {answer}")
        assert [has_answered for has_answered, _, _ in told] == [True, True]
        assert all(status != 0 for _, _, status in told)
        assert told[0][1] == told[1][1]


def test_an_order_that_a_horse_did_not_take_before_it_died_is_given_to_the_next() -> None:
    unseen = "os.path.exists('died') or (open('died', 'x').close(), os._exit(3))"
    told, _ = run("import tempfile; os.chdir(tempfile.mkdtemp()); order('a')", unseen=unseen)
    assert [status for _, _, status in told] == [0]


def test_a_worker_whose_horses_take_no_order_gives_up() -> None:
    told, _ = run("order('a')", unseen="os._exit(3)")
    assert told == ["the worker stops, since its horses take no orders"]
