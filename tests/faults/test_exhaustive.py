"""One case, with a crash at each thing it does to the ledger and at each request, in turn, until it ends."""

import os
import signal
from itertools import count
from pathlib import Path

import pytest

from casehand.queue.state import State
from casehand.settings import PREFIX
from faults.process import is_alive, send
from faults.stage import Handed, Stage
from faults.tap import Tap
from faults.work import SETTLES_VARIABLE

EVERY = int(os.environ.get("FAULTS_EVERY", "4"))
"""Every how manyth crash is tried: `make faults` tries each."""

QUICK = {"retry_first_seconds": "0.2", SETTLES_VARIABLE.removeprefix(PREFIX).lower(): "1"}
CRASHING = {**QUICK, "faults": "faults.crash:reach"}


WAVE = 6


def hand_in(stage: Stage, numbers: list[int]) -> list[Handed]:
    """Work a case for each number, which crashes there, to its end."""
    wanted = iter(numbers)

    def plan(one: Handed) -> None:
        (stage.folder / f"{one.case}.crash").write_text(str(next(wanted)))

    cases = stage.hand_in(len(numbers), plan)
    stage.wait_until(lambda: all(fate.is_over for fate in stage.fates(cases).values()), 300, "the cases end")
    return cases


def crash_of(stage: Stage, one: Handed) -> Path:
    return stage.folder / f"{one.case}.crashed"


def is_well(stage: Stage, one: Handed) -> bool:
    fate = stage.fates([one])[one.case]
    changed, otherwise = stage.changes(one)
    return (fate.state is State.DONE or fate.in_doubt) and changed == 1 and otherwise == 0


@pytest.mark.timeout(1800)
def test_a_crash_at_any_write_to_the_ledger_loses_nothing_and_does_nothing_twice(
    ledger_url: str, tmp_path: Path
) -> None:
    with Stage(tmp_path / "stage", ledger_url, workers=3, claims=400, **CRASHING) as stage:
        crashed: list[str] = []
        ill: list[str] = []
        numbers = count(1, EVERY)
        while True:
            wave = hand_in(stage, [next(numbers) for _ in range(WAVE)])
            struck = {one: path.read_text() for one in wave if (path := crash_of(stage, one)).exists()}
            ill += [struck.get(one, "no crash") for one in wave if not is_well(stage, one)]
            crashed += struck.values()
            # A case that has less to write than the number says ends undisturbed: then all have been tried.
            if not struck:
                break

    assert len(crashed) * EVERY >= 20
    assert ill == []


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("comes_in", [True, False], ids=["after it came in", "before it came in"])
def test_a_crash_at_any_request_loses_nothing_and_does_nothing_twice(comes_in: bool, tmp_path: Path) -> None:
    ill: list[int] = []
    tried = 0
    with Stage(tmp_path / "stage", f"sqlite:///{tmp_path / 'l.db'}", workers=1, claims=200, **QUICK) as stage:
        stage.warm_up()

        def kill() -> None:
            horses = stage.horses
            send(signal.SIGKILL, *horses)
            stage.wait_until(lambda: not any(map(is_alive, horses)), 10, "the horse dies")

        tap = Tap(stage.practice, kill)
        number = 1
        while True:
            tap.arm(number, comes_in=comes_in)
            (one,) = stage.hand_in(1)
            stage.wait_until(lambda: stage.fates([one])[one.case].is_over, 120, "the case ends")  # noqa: B023
            if not is_well(stage, one):
                ill.append(number)
            if tap.seen < number:
                break
            tried += 1
            number += EVERY

    assert ill == []
    # A case asks for nine pages.
    assert tried * EVERY >= 9
