"""`casehand try`: working one case where one can watch; without --commit nothing is changed."""

import logging
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from json import loads
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ValidationError

from casehand.bots.chromium import find_browser, find_browser_with_window
from casehand.console.completion import complete_workflow
from casehand.console.hall import (
    TO_A_PERSON,
    Ending,
    Hall,
    Rehearsed,
    as_json,
    riding,
    show_submission,
)
from casehand.console.listing import NEEDS_A_PERSON, counted, say, show_json
from casehand.console.office import Office
from casehand.console.place import check_free
from casehand.exceptions import CasehandError
from casehand.logs import set_up_logs
from casehand.queue.cases import CaseLine
from casehand.queue.check import Accepted
from casehand.queue.preview import verdicts
from casehand.queue.reasons import reason_for
from casehand.queue.rows import read_table
from casehand.queue.state import State
from casehand.workflows.hears import Stage
from casehand.workflows.skip import check_skipping_works
from casehand.workflows.solo import Solo
from casehand.workflows.workflow import Workflow

SLOW_MILLISECONDS = 700
"""How long each action of a slow attempt is put off."""
PATIENCE = timedelta(minutes=2)
"""A case that is to be tried again later than this is left to the workers."""
TIME_TO_LOOK = timedelta(hours=2)
"""How long an attempt may take that waits before each step."""
FAILED = 1


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(name="try")(try_case)


@dataclass(frozen=True)
class _Looks:
    """How one watches."""

    headed: bool
    slow: bool
    step: bool


def try_case(
    workflow: Annotated[str, typer.Argument(help="Its name.", autocompletion=complete_workflow)],
    file: Annotated[Path | None, typer.Argument(help="A .csv or .xlsx file.")] = None,
    row: Annotated[int, typer.Option(help="Which row below the header.", min=1)] = 1,
    data: Annotated[str | None, typer.Option(help="The case's fields as JSON, instead of a file.")] = None,
    headed: Annotated[bool, typer.Option("--headed", help="Show the browser.")] = False,
    slow: Annotated[
        bool, typer.Option("--slow", help="Put each action off, so that one can follow.")
    ] = False,
    step: Annotated[bool, typer.Option("--step", help="Wait for Enter before each step.")] = False,
    commit: Annotated[
        bool, typer.Option("--commit", help="Make the change: the case is a real one.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Work one case where one can watch. Without --commit nothing is changed: it is a rehearsal."""
    if (file is None) == (data is None):
        raise typer.BadParameter('give a file, or --data \'{"field": "value"}\'')
    check_skipping_works()
    set_up_logs(level=logging.CRITICAL)  # What it would say is said here otherwise.
    office = Office()
    known = office.workflow(workflow) if commit else office.desk.begin_rehearsal(workflow)
    held = _read(known, data) if file is None else _row(office, known, file, row)
    looks = _Looks(headed, slow, step)
    if commit:
        _commit(office, known, held, looks, json)
    else:
        _rehearse_one(office, known, held, looks, json)


def _rehearse_one(office: Office, workflow: Workflow, held: BaseModel, looks: _Looks, json: bool) -> None:
    folder = office.settings.home.absolute() / "tried"
    # The last picture is of no use any more, and lies there in clear.
    shutil.rmtree(folder, ignore_errors=True)
    hears = _Stepping(looks.step, quiet=json)
    with Hall(office, _patient(workflow, looks.step), _window(office, looks), hears, folder) as hall:
        hears.solo = hall.solo
        told = hall.rehearse(held)
    if json:
        show_json(as_json(told))
    else:
        _show_one(told)
    raise typer.Exit(_code(told.ending))


def _commit(office: Office, workflow: Workflow, held: BaseModel, looks: _Looks, json: bool) -> None:
    check_free(office, workflow.bots.values(), workflow.timeout)
    case = office.desk.take_in(workflow.name, held)
    hears = _Stepping(looks.step, quiet=json)
    known, window = _patient(workflow, looks.step), _window(office, looks)
    with riding(office.settings, office.ledger, known, window, hears, rehearses=False) as solo:
        hears.solo = solo
        line = solo.work(case, _Patience(office, is_quiet=json))
    if json:
        show_json(line)
    else:
        say(f"{line.reference} is {line.state}{f': {line.reason}' if line.reason else ''}.")
        say(f"{counted(line.commits, 'change')} made. The whole story: casehand case {line.reference}")
    if line.state is not State.DONE:
        raise typer.Exit(NEEDS_A_PERSON)


def _row(office: Office, workflow: Workflow, file: Path, number: int) -> BaseModel:
    """The data of a row of a file. Raises CasehandError when there is no such row, or it would not be taken in."""
    rule = office.desk.rule_of(workflow)
    found = verdicts(office.ledger, workflow.name, read_table(file), workflow.model, workflow.reference, rule)
    verdict = next(islice(found, number - 1, None), None)
    if verdict is None:
        raise CasehandError(f"{file.name} has fewer than {number} rows below its header")
    if not isinstance(verdict, Accepted):
        raise CasehandError(f"{file.name}, line {verdict.line} would not be taken in: {verdict.reason}")
    return verdict.data


def _read(workflow: Workflow, text: str | None) -> BaseModel:
    """The data as it was typed. Raises CasehandError, which names the field that does not fit."""
    try:
        given = loads(text or "")
        if not isinstance(given, dict):
            raise ValueError("no object")
    except ValueError:
        raise CasehandError('--data is no JSON object: write it such as \'{"field": "value"}\'') from None
    try:
        return workflow.model.model_validate(given, by_alias=True, by_name=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise CasehandError(f"--data: {field} {reason_for(first)}".replace(":  ", ": ")) from None


def _window(office: Office, looks: _Looks) -> Mapping[str, Any]:
    """Playwright's launch options for who watches so."""
    window: dict[str, Any] = {"slow_mo": SLOW_MILLISECONDS} if looks.slow else {}
    if not looks.headed:
        find_browser(office.settings.browser)
        return window
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise CasehandError(
            "there is no screen here to show the browser on: leave --headed out, or use xvfb-run"
        )
    return window | {"headless": False, "executable_path": find_browser_with_window(office.settings.browser)}


def _patient(workflow: Workflow, stepwise: bool) -> Workflow:
    """The workflow; where somebody looks at each step, with the time for that."""
    return replace(workflow, timeout=TIME_TO_LOOK) if stepwise else workflow


class _Stepping:
    """Says where the attempt is, and waits for Enter before it goes on."""

    def __init__(self, waits: bool, *, quiet: bool) -> None:
        self.solo: Solo | None = None  #: what it steps through
        self._waits = waits
        self._is_quiet = quiet

    def __call__(self, stage: Stage, name: str, /) -> None:
        words = {Stage.BEGIN: "signed in", Stage.STEP: f"step: {name}", Stage.CHANGE: f"change: {name}"}[
            stage
        ]
        if not self._is_quiet:
            say(f"  {words}")
        if self._waits and self.solo is not None:
            sys.stderr.write("  Enter goes on, Ctrl+C stops. ")
            sys.stderr.flush()
            self.solo.wait_for(sys.stdin.readline)


@dataclass
class _Patience:
    """Waits for the next attempt of a real case, unless that is too far off."""

    office: Office
    is_quiet: bool

    def __call__(self, line: CaseLine) -> bool:
        wait = line.not_before - datetime.now(line.not_before.tzinfo)
        if wait > PATIENCE or line.attempts > self.office.settings.retries:
            return False
        if wait > timedelta() and not self.is_quiet:
            say(f"  {line.reason}: tried again in {wait.total_seconds():.0f} seconds")
        Event().wait(max(0.0, wait.total_seconds()))
        return True


def _show_one(told: Rehearsed) -> None:
    say(f"{told.reference}: {told.ending}{f': {told.why}' if told.why else ''}. Nothing was changed.")
    if told.change is not None:
        show_submission(told, "Would be submitted")
    if told.picture is not None:
        say(f"The page as it was: {told.picture}")
    if told.change is not None:
        say("To make the change, give the same command with --commit.")


def _code(ending: Ending) -> int:
    if ending in (Ending.FAILURE, Ending.FAULT):
        return FAILED
    return NEEDS_A_PERSON if ending in TO_A_PERSON else 0
