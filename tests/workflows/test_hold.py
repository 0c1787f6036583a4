"""The lease, and the kernel's timer behind it, in processes that may be killed."""

import signal
import subprocess
import sys
import time

TIMER = """
from threading import Event
from casehand.workflows.hold import KillTimer
timer = KillTimer()
{}
Event().wait({})
print("alive")
"""

HOLD = """
from threading import Event
from time import monotonic
from casehand.workflows.hold import Held, Hold
hold, held, other = Hold({renew}), Held("case", 1), Held("other", 1)
hold.expect(held, 30)
hold.taken(held, monotonic())
{then}
print("begun", flush=True)
Event().wait({seconds})
print("alive")
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_timer_kills() -> None:
    ended = run(TIMER.format("timer.set(0.2)", 30))
    assert ended.returncode == -signal.SIGKILL
    assert "alive" not in ended.stdout


def test_a_timer_that_is_set_again_or_stopped_strikes_later_or_never() -> None:
    assert run(TIMER.format("timer.set(0.3); timer.set(30)", 0.6)).stdout == "alive\n"
    assert run(TIMER.format("timer.set(0.3); timer.stop()", 0.6)).stdout == "alive\n"


def test_the_timer_kills_a_process_that_lies_stopped() -> None:
    program = TIMER.format("timer.set(1); import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", 30)
    begun = time.monotonic()
    assert run(program).returncode == -signal.SIGKILL
    assert time.monotonic() - begun < 20


def test_a_horse_that_may_not_renew_a_lease_is_dead_at_once() -> None:
    ended = run(HOLD.format(renew="lambda held: held", then="pass", seconds=30))
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout == "begun\n"


def test_an_attempt_that_ends_may_find_its_case_gone_from_its_hands() -> None:
    ended = run(HOLD.format(renew="lambda held: held", then="hold.ending(held)", seconds=5))
    assert (ended.returncode, ended.stdout) == (0, "begun\nalive\n")


def test_the_first_lease_to_run_out_kills_though_others_are_renewed() -> None:
    ended = run(HOLD.format(renew="lambda held: ()", then="hold.expect(other, 1.5)", seconds=30))
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout == "begun\n"


def test_a_horse_whose_leases_cannot_be_renewed_is_killed_before_they_end() -> None:
    begun = time.monotonic()
    ended = run(HOLD.format(renew="lambda held: 1 / 0", then="pass", seconds=60))
    assert ended.returncode == -signal.SIGKILL
    assert time.monotonic() - begun < 30


def test_a_horse_without_a_case_needs_no_lease() -> None:
    ended = run(HOLD.format(renew="lambda held: held", then="hold.let_go(held)", seconds=5))
    assert (ended.returncode, ended.stdout) == (0, "begun\nalive\n")
