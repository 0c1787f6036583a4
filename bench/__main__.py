"""Runs the benchmarks and writes bench/results.md: `make bench`, `make bench ARGS=--quick`."""

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from bench import cares, files, ledger, machine, memory, pages
from bench.run import CannotRun, Measured, WrongWork, measure, median
from bench.subjects import Subject, all_subjects
from bench.tree import keep_orphans

RESULTS = Path(__file__).parent / "results.md"
FEW = ("floor", "floor-reading", "casehand-1off", "casehand-1", "floor-4", "casehand-4off", "casehand-4")
"""The rows that a quick run takes where the legacy system thinks for long."""

SIXTEEN = ("by-hand-16", "casehand-1x16", "casehand-16")
"""Sixteen cases at once; with a worker for each it is the start that matters, and the machine can do no more."""

PARTS = ["speed", "cares", "ledger", "files", "pages"]
LONGEST_REASON = 160


@dataclass(frozen=True)
class Plan:
    """How much is run at one think time."""

    think: int  #: milliseconds a page
    rounds: int
    cases: int  #: for one at once; twice as many for several
    only: tuple[str, ...] = ()


FULL = (
    Plan(0, 3, 10),
    Plan(100, 3, 6, (*FEW, "casehand-2", "rq-first")),
    Plan(500, 3, 3, ("floor", "floor-reading", *SIXTEEN)),
)
QUICK = (Plan(0, 1, 8), Plan(100, 1, 4, (*FEW, "rq-first")), Plan(500, 1, 2, FEW))


@dataclass
class Board:
    """What has been measured at one think time."""

    plan: Plan
    subjects: list[Subject]
    runs: dict[str, list[Measured]] = field(default_factory=dict)
    why_not: dict[str, str] = field(default_factory=dict)

    def run(self, number: int) -> None:
        """One round over all rows, begun at another row each time."""
        start = number % len(self.subjects)
        for subject in self.subjects[start:] + self.subjects[:start]:
            if subject.key in self.why_not:
                continue
            if why := subject.lacks():
                self.why_not[subject.key] = why
                continue
            cases = max(self.plan.cases * (2 if subject.at_once > 1 else 1), subject.at_once * 2)
            try:
                measured = measure(subject, cases + -cases % subject.at_once, self.plan.think)
            except CannotRun as error:
                if not subject.peer:
                    raise
                say(f"  {subject.key} cannot run: {error}")
                self.why_not[subject.key] = f"cannot run here: {_last_line(error)}"
                continue
            self.runs.setdefault(subject.key, []).append(measured)
            say(f"  {subject.key}: {measured.rate:.2f} cases/s, {measured.cpu:.0f} ms CPU a case")

    def table(self) -> Iterator[str]:
        """Lines of Markdown."""
        yield f"### {self.plan.think} ms a page: {self.plan.rounds} round(s), {self.plan.cases} cases or more a run"
        yield ""
        yield (
            "| | cases/s | to the floor | CPU ms a case | to the floor "
            "| MB a case in work | first case after | all at work after | pages a case |"
        )
        yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
        floor = median(self.runs["floor"])
        for subject in self.subjects:
            yield self._line(subject, floor)
        yield ""
        busiest = max(run.legacy for runs in self.runs.values() for run in runs)
        yield f"The practice system, one process, needed {busiest:.2f} of a core at most."
        yield ""

    def _line(self, subject: Subject, floor: Measured) -> str:
        if subject.key not in self.runs:
            return f"| {subject.name} | {self.why_not[subject.key]} | | | | | | | |"
        one = median(self.runs[subject.key])
        return (
            f"| {subject.name} | {one.rate:.2f} | {one.rate / floor.rate:.2f} | {one.cpu:.0f} "
            f"| {one.cpu / floor.cpu:.2f} | {one.memory:.0f} "
            f"| {one.first:.2f} s | {one.all_begun:.2f} s | {one.requests:.1f} |"
        )


def main() -> int:
    """Run what was asked for; 1 when any work was done wrong."""
    given = _parser().parse_args()
    keep_orphans()
    # What was started is ended even so.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    begun = monotonic()
    lines = ["# What was measured", "", *_preface(), ""]
    try:
        if "speed" in given.parts:
            lines += _speed(QUICK if given.quick else FULL, given.only)
        if "cares" in given.parts:
            say("cares")
            lines += cares.report(rounds=2 if given.quick else 4)
        if "ledger" in given.parts:
            say("ledger")
            lines += ledger.report(quick=given.quick)
        if "files" in given.parts:
            say("files")
            lines += files.report(quick=given.quick)
        if "pages" in given.parts:
            say("pages")
            lines += pages.report(quick=given.quick)
        if given.soak:
            say(f"soak of {given.soak} cases")
            lines += memory.report(given.soak)
    except WrongWork as wrong:
        say(f"the work was done wrong: {wrong}")
        return 1
    minutes = (monotonic() - begun) / 60
    lines += [f"It took {minutes:.0f} minutes; load at the end {os.getloadavg()[0]:.1f}."]
    given.results.write_text("\n".join(lines) + "\n")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def say(text: str) -> None:
    """How far it has come."""
    sys.stderr.write(f"{text}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few cases, one round: about five minutes")
    parser.add_argument("--soak", type=int, default=0, metavar="CASES", help="and so many cases on one horse")
    parser.add_argument("--parts", nargs="*", default=PARTS, choices=PARTS)
    parser.add_argument("--only", nargs="*", default=[], help="rows besides the floor, by their keys")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser


def _last_line(error: Exception) -> str:
    """What a program says last is what was wrong; a table's cell ends at a bar."""
    return str(error).strip().splitlines()[-1].replace("|", "/")[:LONGEST_REASON]


def _preface() -> Iterator[str]:
    yield f"By `make bench`, {datetime.now(UTC):%d %B %Y}."
    yield ""
    yield from machine.describe()


def _speed(plans: tuple[Plan, ...], only: list[str]) -> list[str]:
    boards = [Board(plan, _wanted(plan, only)) for plan in plans]
    for number in range(max(plan.rounds for plan in plans)):
        for board in boards:
            if number < board.plan.rounds:
                say(f"round {number + 1}, {board.plan.think} ms")
                board.run(number)
    return ["## Working cases", "", *EXPLANATION, *(line for board in boards for line in board.table())]


def _wanted(plan: Plan, only: list[str]) -> list[Subject]:
    here = [subject for subject in all_subjects() if not subject.thinks or plan.think in subject.thinks]
    wanted = ("floor", *only) if only else plan.only
    return [subject for subject in here if not wanted or subject.key in wanted]


EXPLANATION = (
    "One case is one rent put on one claim of the practice system, whose journal is checked after every run: a",
    "run that did anything wrong fails the whole. All rows ask for the same pages and use the same browser.",
    "Casehand's sample bot reads three of the nine (search, looks before and after the change) unrendered:",
    "hold it against the floor that does so too. The first floor and the peers render all nine. Rows are",
    "interleaved, and each figure is the median of its rounds. Cases/s and CPU are taken between the change of",
    "each worker's first case and that of the last. CPU and memory are those of the whole tree of processes, with",
    "browser, driver, queue and ledger but without the practice system. Memory is the most that was held at once",
    "(PSS), for each case in work. A case has begun when its search reaches the practice system; all are at work",
    "when each of those at once, told apart by their sessions, has begun its first.",
    "",
)

if __name__ == "__main__":
    sys.exit(main())
