"""`casehand work`, `up` and `reconcile`: the working of cases."""

import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from casehand.console.capacity import Machine
from casehand.console.companion import Companion
from casehand.console.crew import Crew
from casehand.console.listing import NEEDS_A_PERSON, counted, say, say_who_waits, show_json
from casehand.console.office import Office, check_folders
from casehand.console.planned import note_all
from casehand.console.receivers import check_told_workflows
from casehand.console.watch import Watch
from casehand.logs import set_up_logs
from casehand.queue.cases import counts
from casehand.queue.notices import notices
from casehand.queue.reconciler import Reconciler
from casehand.queue.valkey import EmbeddedValkey, check_redis
from casehand.workflows.installed import needed_bots
from casehand.workflows.skip import check_skipping_works

Workers = Annotated[
    int | None,
    typer.Option(help="How many horses, each with a browser; as the machine has room.", min=1, max=64),
]
Lanes = Annotated[
    int | None,
    typer.Option(help="How many cases each works at once; as the machine can feed.", min=1, max=64),
]


WithSchedule = Annotated[bool, typer.Option("--schedule/--no-schedule", help="Run what comes by itself.")]
Folders = Annotated[bool, typer.Option(help="Take in what is put into the folders that are watched.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(work)
    app.command()(up)
    app.command()(reconcile)


def work(
    workers: Workers = None,
    lanes: Lanes = None,
    burst: Annotated[bool, typer.Option(help="Stop when nothing is left to be worked.")] = False,
    schedule: WithSchedule = True,
    folders: Folders = True,
) -> None:
    """Start workers, and keep them until told to stop: once to finish the cases in hand, twice to stop now."""
    office = Office()
    _run(
        office,
        _sized(office, workers, lanes),
        burst,
        schedules=schedule and not burst,
        watches=folders and not burst,
    )
    left = counts(office.ledger)["escalated"]
    standing = notices(office.ledger)
    if burst and left:
        say_who_waits(left)
    if burst and standing:
        for notice in standing:
            say(str(notice))
    if burst and (left or standing):
        raise typer.Exit(NEEDS_A_PERSON)


def up(
    workers: Workers = None, lanes: Lanes = None, schedule: WithSchedule = True, folders: Folders = True
) -> None:
    """Run everything on this machine, until stopped: queue, workers, schedule, folders, the supervisors' pages."""
    office = Office()
    size = _sized(office, workers, lanes)
    say(
        f"Working up to {counted(size.at_once, 'case')} of {office.settings.home.absolute()} at once; Ctrl+C stops."
    )
    say("Hand in a batch from another terminal: casehand enqueue WORKFLOW FILE")
    _run(office, size, burst=False, serves=True, schedules=schedule, watches=folders)


def reconcile(json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Put right what Redis and the ledger disagree about, and say what that was."""
    set_up_logs()
    office = Office()
    with office.redis() as redis:
        name = f"reconcile.{os.getpid()}"
        settings = office.settings
        done = Reconciler(office.ledger, redis, name, settings.backoff, zone=settings.zone).reconcile()
    if json:
        show_json(done)
    else:
        taken_back = counted(done.taken_back, "case")
        say(f"{taken_back} taken back from lost workers, {done.handed_over} handed to the queue.")
        if done.overdue:
            say(f"{counted(done.overdue, 'case')} past the due date: put before a person, or cancelled.")


@dataclass(frozen=True)
class _Size:
    horses: int
    lanes: int
    is_asked_for: bool

    @property
    def at_once(self) -> int:
        return self.horses * self.lanes


def _sized(office: Office, workers: int | None, lanes: int | None) -> _Size:
    """As asked for; otherwise as the machine can feed and the systems let in."""
    machine = Machine.this()
    horses = workers or machine.horses()
    let_in = sum(bot.sessions for bot in needed_bots(office.workflows.values()).values())
    fitting = min(machine.lanes(horses), max(1, -(-let_in // horses)))
    size = _Size(horses, lanes or fitting, is_asked_for=bool(workers or lanes))
    if machine.is_overloaded_by(size.at_once):
        say(
            f"{size.at_once} cases at once are more than {counted(machine.cores, 'core')} can feed: each will take "
            "longer, and no more will be done. Fewer --workers or --lanes do as well."
        )
    return size


def _warn_of_idle_lanes(office: Office, size: _Size) -> None:
    """A system that takes fewer sessions than there are lanes leaves some of them without work."""
    for name, bot in needed_bots(office.workflows.values()).items():
        if size.is_asked_for and bot.sessions < size.at_once:
            say(
                f"The bot {name} holds at most {bot.sessions} sessions at once, so as many of its cases are worked."
            )


def _run(
    office: Office,
    size: _Size,
    burst: bool,
    serves: bool = False,
    schedules: bool = False,
    watches: bool = False,
) -> None:
    check_skipping_works()
    office.settings.vault()
    for workflow in office.workflows:
        office.workflow(workflow)
    check_told_workflows(office.settings.tell, office.workflows)
    check_folders(office)
    if office.settings.redis_url:
        check_redis(office.settings.redis_url)
    _warn_of_idle_lanes(office, size)
    schedules = bool(note_all(office)) and schedules
    _run_crew(office, size, burst, list(_companions(office, serves, schedules, watches)))


def _run_crew(office: Office, size: _Size, burst: bool, companions: list[Companion]) -> None:
    patience = office.settings.backoff.longest
    watched = burst and sys.stdout.isatty()
    watching = Watch(office.ledger, patience) if burst else nullcontext()
    embedded = nullcontext() if office.settings.redis_url else EmbeddedValkey(office.settings.home)
    logs = _logs(office) if watched else None
    # The crew first: its horses get ready while the queue is started.
    crew_of = Crew(size.horses, size.lanes, logs, office.ledger, companions)
    with crew_of as crew, embedded, watching as watch:
        crew.work_until(watch.is_over if watch else lambda: False)
        if crew.is_stopping:
            say("Stops when the cases in hand are finished; ask again to stop now.")


def _companions(office: Office, serves: bool, schedules: bool, watches: bool) -> Iterator[Companion]:
    """What is done beside the working, each in a process of its own, since no worker needs what that imports."""
    if serves:
        yield Companion("console", _serve)
    if office.settings.tell:
        yield Companion("teller", _tell)
    if schedules:
        yield Companion("scheduler", _schedule)
    if watches and office.settings.folder:
        yield Companion("folders", _watch_folders)


def _serve() -> None:
    from casehand.console.web.server import serve_on_this_machine

    serve_on_this_machine()


def _tell() -> None:
    from casehand.console.telling import tell_until_stopped

    tell_until_stopped()


def _schedule() -> None:
    from casehand.console.scheduler import schedule_until_stopped

    schedule_until_stopped()


def _watch_folders() -> None:
    from casehand.console.folders import watch_until_stopped

    watch_until_stopped()


def _logs(office: Office) -> Path:
    return office.settings.home.absolute() / "logs"
