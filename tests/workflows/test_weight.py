"""The weight of a horse, seen in real processes."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from casehand.workflows.weight import EVERY, FIRST, Weight, weigh

MB = 1_000_000

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
child.wait()
"""
CHILD = """
import sys
held = b""
for line in sys.stdin:
    held = b"x" * int(line)
    print(len(held), flush=True)
"""


@dataclass
class Beast:
    """A process whose child holds as much memory as it is told to."""

    process: "subprocess.Popen[str]"

    @property
    def pid(self) -> int:
        return self.process.pid

    def hold(self, megabytes: int) -> None:
        """Returns when it does."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{megabytes * MB}\n")
        self.process.stdin.flush()
        assert int(self.process.stdout.readline()) == megabytes * MB


@pytest.fixture
def beast() -> Iterator[Beast]:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Beast(process)


def work(weight: Weight, cases: int, at_once: int = 1) -> list[int]:
    """After which of so many cases it was too much."""
    return [number for number in range(1, cases + 1) if weight.is_too_much(at_once)]


def test_the_memory_of_a_grandchild_is_weighed(beast: Beast) -> None:
    beast.hold(1)
    before = weigh(beast.pid)
    beast.hold(100)
    assert 90 < weigh(beast.pid) - before < 110


def test_a_process_that_is_gone_weighs_nothing(beast: Beast) -> None:
    beast.hold(1)
    assert beast.process.stdin is not None
    beast.process.stdin.close()
    beast.process.wait()
    assert weigh(beast.pid) == 0


def test_a_tenth_more_than_in_the_first_cases_is_too_much_when_it_lasts(beast: Beast) -> None:
    weight = Weight(beast.pid)
    beast.hold(200)
    assert work(weight, FIRST) == []
    beast.hold(210)
    assert work(weight, 10 * EVERY) == []
    beast.hold(250)
    assert work(weight, 2 * EVERY) == [2 * EVERY]


def test_what_is_heavy_but_for_a_moment_is_not_too_much(beast: Beast) -> None:
    weight = Weight(beast.pid)
    beast.hold(100)
    work(weight, FIRST)
    for _ in range(3):
        beast.hold(250)
        assert work(weight, EVERY) == []
        beast.hold(100)
        assert work(weight, EVERY) == []


def test_the_heaviest_of_the_first_cases_is_what_is_usual(beast: Beast) -> None:
    weight = Weight(beast.pid)
    beast.hold(250)
    work(weight, EVERY)
    beast.hold(100)
    work(weight, FIRST - EVERY)
    beast.hold(250)
    assert work(weight, 3 * EVERY) == []


def test_more_cases_at_once_than_before_may_weigh_more_and_fewer_may_not(beast: Beast) -> None:
    weight = Weight(beast.pid)
    beast.hold(50)
    work(weight, FIRST)
    beast.hold(300)
    assert work(weight, FIRST, at_once=16) == []
    assert work(weight, 3 * EVERY, at_once=3) == []
    beast.hold(600)
    assert work(weight, 2 * EVERY, at_once=3) == [2 * EVERY]
