"""`casehand rehearse`: what would become of a batch, before the first real change."""

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from casehand.bots.chromium import find_browser
from casehand.console.completion import complete_workflow
from casehand.console.hall import TO_A_PERSON, Ending, Hall, Rehearsed, as_json, show_submission
from casehand.console.listing import NEEDS_A_PERSON, counted, say, screen, show_json, show_table
from casehand.console.office import Office
from casehand.exceptions import CasehandError
from casehand.logs import set_up_logs
from casehand.queue.check import Accepted, Kind, Verdict
from casehand.queue.preview import verdicts
from casehand.queue.rows import read_table
from casehand.queue.words import alike_of
from casehand.workflows.skip import check_skipping_works

MOST_FAILURES = 5
"""Failures of the system one after another after which it is not gone on with."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(rehearse)


def rehearse(
    workflow: Annotated[str, typer.Argument(help="Its name.", autocompletion=complete_workflow)],
    file: Annotated[Path, typer.Argument(help="A .csv or .xlsx file, one row a case.")],
    limit: Annotated[int | None, typer.Option(help="Only the first so many rows.", min=1)] = None,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Work a batch up to each case's first change, and tell what would become of it. Nothing is changed."""
    check_skipping_works()
    set_up_logs(level=logging.CRITICAL)  # What it would say is said here otherwise.
    office = Office()
    known = office.desk.begin_rehearsal(workflow)
    find_browser(office.settings.browser)
    report = Report(file.name, known.name, lambda why: alike_of(office.ledger.vault, known.name, why))
    rule = office.desk.rule_of(known)
    found = verdicts(office.ledger, known.name, read_table(file), known.model, known.reference, rule)
    with _progress(quiet=json) as told, Hall(office, known) as hall:
        report.take_all(islice(found, limit), hall.rehearse, told)
    if json:
        show_json(report.as_json())
    else:
        report.show()
    if report.stopped:
        raise CasehandError(report.stopped)
    if report.needs_a_person:
        raise typer.Exit(NEEDS_A_PERSON)


class Report:
    """What a batch would come to. `alike` is the same for reasons that differ only in their numbers."""

    def __init__(self, file: str, workflow: str, alike: Callable[[str], object]) -> None:
        self.stopped: str | None = None  #: where and why it was not gone on with
        self._file = file
        self._workflow = workflow
        self._alike = alike
        self._cases: list[tuple[int, Rehearsed]] = []
        self._refused: list[tuple[int, str, str]] = []
        self._failures = 0
        self._line = 0

    @property
    def rows(self) -> int:
        """How many rows it tells of."""
        return len(self._cases) + len(self._refused)

    def take_all(
        self, verdicts: Iterable[Verdict], work: Callable[[BaseModel], Rehearsed], told: Callable[[int], None]
    ) -> None:
        """Take in one row after another, until something stops it: what came before that is told all the same.

        Raises CasehandError when nothing came before.
        """
        try:
            for verdict in verdicts:
                self.take(verdict, work)
                told(self.rows)
        except CasehandError as error:
            if not self.rows:
                raise
            self.stopped = f"stopped at line {self._line}: {error}"

    def take(self, verdict: Verdict, work: Callable[[BaseModel], Rehearsed]) -> None:
        """Take in one row. Raises CasehandError when the system fails case after case."""
        self._line = verdict.line
        if not isinstance(verdict, Accepted):
            self._refused.append((verdict.line, verdict.kind, verdict.reason))
            return
        told = work(verdict.data)
        self._cases.append((verdict.line, told))
        self._failures = self._failures + 1 if told.ending is Ending.FAILURE else 0
        if self._failures >= MOST_FAILURES:
            raise CasehandError(
                f"the system failed {MOST_FAILURES} cases one after another ({told.why}): rehearse when it is well"
            )

    @property
    def needs_a_person(self) -> bool:
        """Whether somebody has to look at some of it."""
        return bool(self._refused) or any(one.ending in TO_A_PERSON for _, one in self._cases)

    def counts(self) -> dict[str, int]:
        """How many rows would come to what."""
        told = Counter(str(one.ending) for _, one in self._cases)
        kinds = Counter(kind for _, kind, _ in self._refused)
        refused = {"would be rejected": kinds[Kind.REJECTED], "would be a duplicate": kinds[Kind.DUPLICATE]}
        return {ending: told[ending] for ending in map(str, Ending)} | refused

    def as_json(self) -> dict[str, object]:
        """All of it, for programs."""
        refused = [{"line": line, "kind": kind, "reason": why} for line, kind, why in self._refused]
        return {
            "file": self._file,
            "workflow": self._workflow,
            "rows": self.rows,
            "stopped": self.stopped,
            "counts": self.counts(),
            "cases": [{"line": line, **as_json(one)} for line, one in self._cases],
            "not_taken_in": refused,
        }

    def show(self) -> None:
        """What a supervisor reads."""
        say(
            f"Rehearsed {counted(self.rows, 'row')} of {self._file} for {self._workflow}. Nothing was changed."
        )
        if self.stopped:
            say(f"It was {self.stopped}")
        numbers = [(number, what) for what, number in self.counts().items() if number]
        show_table("What would become of them", ("Rows", "Would become"), numbers)
        if reasons := list(self._reasons()):
            show_table("What would need a person", ("Cases", "What", "Why", "Such as"), reasons)
        if self._refused:
            show_table("Would not be taken in", ("Line", "Kind", "Reason"), self._refused)
        first = next((one for _, one in self._cases if one.submits), None)
        if first is not None:
            show_submission(first, "Would be submitted, as an example")

    def _reasons(self) -> Iterator[tuple[int, str, str, str]]:
        """Alike reasons together, the most frequent first."""
        groups: dict[tuple[str, object], list[Rehearsed]] = {}
        for _, one in self._cases:
            if one.ending in TO_A_PERSON:
                groups.setdefault((one.ending, self._alike(one.why or "")), []).append(one)
        for (what, _), cases in sorted(groups.items(), key=lambda group: -len(group[1])):
            yield len(cases), what, cases[0].why or "", ", ".join(one.reference for one in cases[:3])


@contextlib.contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int], None]]:
    if quiet or not screen().is_terminal:
        yield lambda rows: None
        return
    columns = (TextColumn("{task.completed:,.0f} rows rehearsed"), TimeElapsedColumn())
    with Progress(*columns, console=screen(), transient=True) as bar:
        task = bar.add_task("Rehearsing", total=None)
        yield lambda rows: bar.update(task, completed=rows)
