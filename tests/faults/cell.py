"""One cell: a fault at a moment, played with some cases beside undisturbed ones, and judged."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from casehand.fixtures.practice.mischief import Kind
from casehand.queue.state import State
from faults.fault import Fault
from faults.moment import Moment
from faults.stage import Fate, Handed, Here, Stage
from faults.work import SETTLES

STRUCK = 3
UNDISTURBED = 2
MOST_TRIES = 12
LOOK_SECONDS = 0.02
GATHER_SECONDS = 120.0
END_SECONDS = 150.0
LAST_BACKOFF = 1.0
MARGIN = 4.0
"""Seconds that a machine with nothing else to do may take longer than the limit says."""

CLICKED_KINDS_SEEN = (Kind.NEVER_ANSWER_AFTER,)


@dataclass
class Cell:
    """What became of one."""

    fault: Fault
    moment: Moment
    cases: int = 0
    struck: int = 0
    lost: int = 0
    twice: int = 0
    in_doubt: int = 0
    escalated: int = 0
    seconds: float = 0.0  #: until the slowest struck case went on
    problems: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether every promise was kept."""
        return not self.lost and not self.twice and not self.problems


def play(stage: Stage, fault: Fault, moment: Moment, lasting: float) -> Cell:
    """Play a cell to its end."""
    return _Play(stage, fault, moment, lasting).play()


class _Play:
    def __init__(self, stage: Stage, fault: Fault, moment: Moment, lasting: float) -> None:
        self.stage = stage
        self.fault = fault
        self.moment = moment
        self.lasting = lasting
        self.cell = Cell(fault, moment)
        self.marked: list[Handed] = []
        self.others: list[Handed] = []
        self.struck: dict[str, tuple[Here | None, float]] = {}
        """By case: who was struck, and when it was over (seconds of the clock)."""

    def play(self) -> Cell:
        self._mark(STRUCK)
        self.others = self.stage.hand_in(UNDISTURBED)
        for part in (self._strike_all, self._wait_for_the_end):
            try:
                part()
            except TimeoutError as error:
                self.cell.problems.append(str(error))
            self._let_all_go()
        self._judge()
        return self.cell

    def _mark(self, number: int) -> None:
        kind, times, seconds = self._mischief()
        self.marked += self.stage.hand_in(number, lambda _: self._plan(), kind, times, seconds)

    def _mischief(self) -> tuple[Kind | None, int, float]:
        if self.fault.mischief is not None:
            return self.fault.mischief
        if self.moment is Moment.CLICKED:
            kind, seconds = self.fault.clicked
            return kind, 1, seconds
        return None, 0, 0.0

    def _plan(self) -> dict[str, Any]:
        return {
            "point": self.moment.point,
            "holds": self.moment.holds and self.fault.mischief is None,
            "needs_browser": self.fault.needs_browser,
        }

    def _strike_all(self) -> None:
        deadline = time.monotonic() + GATHER_SECONDS
        while len(self.struck) < STRUCK:
            ripe = list(self._ripe())
            if self.fault.together:
                if len(ripe) >= STRUCK:
                    self._strike(ripe)
            else:
                for here in ripe:
                    self._strike([here])
            self._replace_the_unstruck()
            if time.monotonic() > deadline:
                raise TimeoutError(f"only {len(self.struck)} of {STRUCK} cases came to be struck")
            time.sleep(LOOK_SECONDS if self.moment.holds else 0.002)  # noqa: TID251 — looks again

    def _ripe(self) -> Iterator[Here]:
        for one in self.marked:
            if one.case in self.struck:
                continue
            here = self.stage.here(one)
            if here is not None and self._is_ripe(one):
                yield here

    def _is_ripe(self, one: Handed) -> bool:
        kind, times, _ = self._mischief()
        if kind is None:
            return True
        if kind in CLICKED_KINDS_SEEN:
            return bool(self.stage.changes(one)[0])
        return self.stage.mischief_left(one) < times

    def _strike(self, heres: list[Here]) -> None:
        began = time.time()
        self.fault.strike(self.stage, heres, self.lasting)
        # What lasts is over when the strike returns; what kills did so at its beginning.
        at = time.time() if self.fault.together else began
        for here in heres:
            self.struck[here.handed.case] = (here, at)
            self.stage.let_go(here)

    def _replace_the_unstruck(self) -> None:
        waiting = [one for one in self.marked if one.case not in self.struck and self.stage.here(one) is None]
        if not waiting:
            return
        fates = self.stage.fates(waiting)
        missed = [one for one in waiting if fates[one.case].is_over]
        if missed and len(self.marked) < MOST_TRIES:
            for one in missed:
                self.marked.remove(one)
                self.others.append(one)
            self._mark(len(missed))

    def _wait_for_the_end(self) -> None:
        cases = self._cases()

        def all_over() -> bool:
            return all(fate.is_over for fate in self.stage.fates(cases).values())

        self.stage.wait_until(all_over, END_SECONDS, f"{self.fault.name} / {self.moment}: all cases end")

    def _let_all_go(self) -> None:
        for one in self.marked:
            if (here := self.stage.here(one)) is not None:
                self.stage.let_go(here)
            (self.stage.folder / f"{one.case}.plan").unlink(missing_ok=True)

    def _judge(self) -> None:
        cell = self.cell
        fates = self.stage.fates(self._cases())
        cell.cases = len(fates)
        cell.struck = len(self.struck)
        for one in self._cases():
            self._judge_case(one, fates[one.case])
        waits = [
            self._seconds(fates[case], here, at) for case, (here, at) in self.struck.items() if case in fates
        ]
        cell.seconds = max(waits, default=0.0)
        limit = self._limit()
        if limit is not None and cell.seconds > limit:
            cell.problems.append(
                f"a struck case went on after {cell.seconds:.1f} s, not within {limit:.0f} s"
            )
        if cell.struck < STRUCK:
            cell.problems.append(f"only {cell.struck} cases were struck")

    def _judge_case(self, one: Handed, fate: Fate) -> None:
        right, wrong = self.stage.changes(one)
        self.cell.in_doubt += fate.in_doubt
        self.cell.escalated += fate.state is State.ESCALATED
        self.cell.twice += right > 1
        if wrong:
            self.cell.problems.append(f"{one.reference} was changed to something else")
        is_well = (
            (fate.state is State.DONE and right == 1)
            or fate.in_doubt
            or (fate.state is State.ESCALATED and right == 0)
        )
        if not is_well and right <= 1:
            self.cell.lost += 1
            self.cell.problems.append(f"{one.reference} is {fate.state}, and was changed {right} times")

    def _seconds(self, fate: Fate, here: Here | None, at: float) -> float:
        """From the strike until the case is being worked again, or ended."""
        attempt = here.attempt if here else 1
        moments: list[datetime] = []
        for number, (begun, ended, end) in fate.attempts.items():
            # Whoever never began has the same number as who takes the case after him.
            if number > attempt or (number == attempt and self.moment is Moment.NOT_BEGUN):
                moments.append(begun)
            if number == attempt and ended is not None and end in ("done", "escalated"):
                moments.append(ended)
        struck = datetime.fromtimestamp(at, UTC)
        return max((min(moments) - struck).total_seconds(), 0.0) if moments else 0.0

    def _limit(self) -> float | None:
        if self.fault.limit is None:
            return None
        settling = SETTLES if self.moment.leaves_doubt else 0.0
        return (self.fault.limit + settling + LAST_BACKOFF + MARGIN) * _slowness()

    def _cases(self) -> list[Handed]:
        return [*self.marked, *self.others]


def _slowness() -> float:
    """How many times slower this machine is just now for having too much to do."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
