"""The stable, in a process of its own: a test run with its threads must not be forked."""

import json
import subprocess
import sys
from typing import Any

PROGRAM = """
import json, os, signal, sys
from casehand.exceptions import CasehandError
from casehand.workflows.stable import Stable

def saddle():
    {saddle}
    class Rider:
        def perform(self, job, execution):
            {ride}
        def idle(self, seconds):
            pass
    return Rider()

told = []

def order(job):
    pid = stable.give(job, "e")
    while (ended := stable.wait(5)) is None:
        pass
    told.append([pid == ended.pid, pid, ended.status])

stable = Stable(saddle)
try:
    {orders}
except CasehandError as error:
    told.append(str(error))
print(json.dumps(told))
"""


def run(orders: str, ride: str = "return True", saddle: str = "pass") -> tuple[list[Any], str]:
    program = PROGRAM.format(orders=orders, ride=ride, saddle=saddle)
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
    told, _ = run("order('a'); order('b')", ride="return job != 'a'")
    assert [status for _, _, status in told] == [0, 0]
    assert told[0][1] != told[1][1]


def test_a_horse_that_dies_is_known_to_be_dead_and_followed_by_another() -> None:
    ride = "os.kill(os.getpid(), signal.SIGKILL) if job == 'a' else None; return True"
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
