"""`casehand schedule`: what comes by itself, when it comes next and what became of it; and running one now."""

import sys
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from threading import Event
from typing import Annotated, Any

import typer

from casehand.console.listing import NEEDS_A_PERSON, as_plain, say, show_json, show_table
from casehand.console.office import Office
from casehand.console.planned import Planned, is_planned, note_all
from casehand.console.scheduler import ALIVE, scheduler_name, start
from casehand.exceptions import CasehandError
from casehand.logs import set_up_logs
from casehand.queue import leases, runs, schedules
from casehand.queue.pauses import PauseKind, is_paused
from casehand.queue.runs import RunLine
from casehand.queue.schedules import RunState

NEXT = 5
LAST = 5
DAYS = "%a %d %b %Y %H:%M"

Name = Annotated[str, typer.Argument(help="Its name.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


@dataclass(frozen=True)
class Listed:
    """A schedule as a program reads it."""

    name: str
    when: str
    time_zone: str
    workflow: str
    what: str
    missed: str
    overlap: str
    paused: bool
    next: list[datetime]
    last: list[RunLine]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    schedule = typer.Typer(help="What comes by itself: when next, and what became of the last.")
    schedule.callback(invoke_without_command=True)(list_schedules)
    schedule.command("run")(run)
    schedule.command("seen")(seen)
    app.add_typer(schedule, name="schedule")


def list_schedules(context: typer.Context, json: Json = False) -> None:
    """List each schedule with its next five times and the outcome of its last runs."""
    if context.invoked_subcommand is not None:
        return
    office = Office()
    listed = [_listed(office, one) for one in note_all(office).values()]
    if json:
        show_json(listed)
    elif not listed:
        say("Nothing comes by itself: write a [[schedule]] into casehand.toml (docs/schedules.md).")
    else:
        for one in listed:
            _show(one)


def run(
    name: Name,
    again: Annotated[bool, typer.Option(help="Run it after all, though it failed or was skipped.")] = False,
    json: Json = False,
) -> None:
    """Run the latest slot that has come, unless it has been run: plain cron may call this, beside any schedulers."""
    set_up_logs()
    office = Office()
    one = is_planned(office, name)
    office.desk.check_may_run(one.plan)
    office.workflow(one.workflow.name)
    at = next(one.plan.rule.before(office.ledger.clock()), None)
    if at is None:
        raise CasehandError(f"no time of the schedule {name} has come yet: see `casehand schedule`")
    if again:
        office.desk.run_again(one.plan, at)
    schedules.write_due(office.ledger, one.plan, asked=True)
    _run_all(office, one)
    line = runs.run_at(office.ledger, name, at)
    if line is None:
        raise CasehandError(f"the schedule {name} is held back by a pause: see `casehand status`")
    show_json(line) if json else say(_in_words(line, one))
    if _is_left(office, line):
        sys.stderr.write("No scheduler runs that would take it up: have cron call this again.\n")
    if line.state is RunState.FAILED:
        raise typer.Exit(1)
    if line.waits_for_a_person or _is_left(office, line):
        raise typer.Exit(NEEDS_A_PERSON)


def seen(name: Name, json: Json = False) -> None:
    """Say that a person knows of the runs of a schedule that went wrong: they are shown no more as such."""
    office = Office()
    number = office.desk.note_seen(name)
    if not number:
        is_planned(office, name)
    if json:
        show_json({"schedule": name, "seen": number})
    else:
        say(f"{number} of the runs of {name} went wrong and are now known.")


def _run_all(office: Office, one: Planned) -> None:
    """One after another, in their order; each in a child, which is killed where it takes too long.

    What may pass is waited for, within bounds, since plain cron has no scheduler that would try it again.
    """
    pause, longest = Event(), office.settings.backoff.longest
    until = office.ledger.clock() + longest
    while True:
        taken = runs.take(office.ledger, one.plan, scheduler_name())
        if taken is not None:
            start(office, one, taken).wait()
            continue
        again = runs.tries_again_at(office.ledger, one.plan)
        now = office.ledger.clock()
        if again is None or not now < again <= min(until, now + longest):
            return
        pause.wait((again - now).total_seconds())


def _is_left(office: Office, line: RunLine) -> bool:
    """Whether it is still to be run, and nobody is there who would."""
    return line.state is RunState.WAITING and not leases.is_held(office.ledger, ALIVE)


def _listed(office: Office, one: Planned) -> Listed:
    schedule, plan = one.schedule, one.plan
    what = f"producer {schedule.producer}" if schedule.producer else str(schedule.file or schedule.folder)
    return Listed(
        name=plan.name,
        when=plan.rule.text,
        time_zone=plan.rule.zone.key,
        workflow=plan.workflow,
        what=what,
        missed=plan.missed,
        overlap=plan.overlap,
        paused=is_paused(office.ledger, PauseKind.SCHEDULE, plan.name),
        next=[at.astimezone(plan.rule.zone) for at in islice(plan.rule.after(office.ledger.clock()), NEXT)],
        last=runs.runs_of(office.ledger, plan.name, LAST),
    )


def _show(one: Listed) -> None:
    paused = ", paused" if one.paused else ""
    title = f"{one.name}: {one.when} ({one.time_zone}){paused}; {one.what} for {one.workflow}"
    rows: list[tuple[Any, ...]] = [
        (at.astimezone(one.next[0].tzinfo if one.next else None).strftime(DAYS), state, said)
        for at, state, said in (
            *((line.at, line.state, _said(line)) for line in reversed(one.last)),
            *((at, "comes", None) for at in one.next),
        )
    ]
    show_table(title, ("When", "What became of it", ""), rows)


def _in_words(line: RunLine, one: Planned) -> str:
    when = line.at.astimezone(one.plan.rule.zone).strftime(DAYS)
    said = f": {words}" if (words := _said(line)) else ""
    return f"The run of {line.schedule} for {when} is {as_plain(line.state)}{said}."


def _said(line: RunLine) -> str | None:
    waits = "it waits for the run before it, for a pause or for its system"
    return line.said or (waits if line.state is RunState.WAITING else None)
