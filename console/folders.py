"""`casehand folders`: which folders are watched, and taking in what lies in them, once or until stopped."""

import os
import secrets
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Annotated, Any

import structlog
import typer
from sqlalchemy.exc import SQLAlchemyError

from casehand.console.desk import Desk
from casehand.console.known import known_workflow
from casehand.console.listing import NEEDS_A_PERSON, as_plain, counted, say, show_json, show_table
from casehand.console.office import Office, check_folders
from casehand.console.person import Person
from casehand.console.rights import Role
from casehand.exceptions import CasehandError, NotNow
from casehand.folders import FolderSettings
from casehand.logs import set_up_logs
from casehand.queue.folder import Fate, Filed, Folder
from casehand.queue.inbox import Inbox, Lying
from casehand.queue.intake import BatchTaken
from casehand.queue.when import Edge, read_moment
from casehand.workflows.installed import find_workflow

LOOK_SECONDS = 5.0
"""How long the watcher rests between two looks: a folder that is mounted tells nobody of what is put there."""

log = structlog.get_logger()

Json = Annotated[bool, typer.Option("--json", help="For programs.")]
folders_app = typer.Typer(
    help="Show the folders that are watched, and take in what lies in them.", rich_markup_mode=None
)


def add_to(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(folders_app, name="folders")


@folders_app.callback(invoke_without_command=True)
def folders(context: typer.Context, json: Json = False) -> None:
    """List the folders that are watched, and what lies in them."""
    if context.invoked_subcommand is not None:
        return
    office = Office()
    listed = [_as_entry(office, settings) for settings in office.settings.folder]
    if json:
        show_json(listed)
        return
    if not listed:
        say("No folder is watched: a [[folder]] in casehand.toml names one.")
        return
    columns = ("Folder", "Path", "Workflow", "Files", "Being taken in", "Problem")
    rows = [
        (one["name"], one["path"], one["workflow"], len(one["files"]), one["taking"], one["problem"])
        for one in listed
    ]
    show_table("Folders", columns, [[_yes_or_no(cell) for cell in row] for row in rows])


@folders_app.command()
def take(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="As `casehand folders` lists them; all without.", metavar="[NAME]…"),
    ] = None,
    json: Json = False,
) -> None:
    """Take in what lies in the folders now, and end: for cron. It waits as long as a file must have been still."""
    office = Office()
    which = list(_named(office, names or []))
    filed = take_once(office, which)
    if filed:
        office.nudge()
    if json:
        show_json([{**as_plain(asdict(one)), "where": one.where and str(one.where)} for one in filed])
    else:
        for one in filed:
            say(_sentence(one))
        if any(folder_of(office, one).is_looked_after for one in which):
            say("Another process is taking files in just now.")
        elif not filed:
            say("There was nothing to take in.")
    if any(needs_a_person(one) for one in filed):
        raise typer.Exit(NEEDS_A_PERSON)


@folders_app.command()
def watch() -> None:
    """Take in what is put into the folders, until stopped; `casehand up` and `work` do so themselves."""
    office = Office()
    if not office.settings.folder:
        raise CasehandError("no folder is watched: add a [[folder]] to casehand.toml")
    check_folders(office)
    office.ledger.close()
    watch_until_stopped()


def take_once(office: Office, which: Iterable[FolderSettings]) -> list[Filed]:
    """Take in what lies in some folders and is not being written; waits once, as long as that takes to be seen.

    Raises CasehandError when a folder cannot be read or written to.
    """
    seconds = 0.0
    found: list[Folder] = []
    for settings in which:
        folder = folder_of(office, settings)
        if any(one.problem is None for one in folder.inbox.look()):
            seconds, found = max(seconds, settings.still_seconds), [*found, folder]
    Event().wait(seconds)
    return [filed for folder in found for filed in folder.turn()]


def watch_until_stopped() -> None:
    """Look into every folder again and again, until this process is asked to stop."""
    set_up_logs()
    office = Office()
    watched = [folder_of(office, one) for one in office.settings.folder]
    stopping = Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, stop)
    rest = min([LOOK_SECONDS, *(one.still_seconds for one in office.settings.folder)])
    troubled: dict[str, str | None] = {}
    while not stopping.wait(rest):
        for folder in watched:
            _look(office, folder, troubled, lambda: not stopping.is_set())
    office.ledger.close()


def folder_of(office: Office, settings: FolderSettings) -> Folder:
    """A folder, as this process looks after it; the audit names it as who hands in."""
    workflow = find_workflow(office.workflows, settings.workflow).name
    name = settings.called
    who = Person(f"folder {name}", f"folder {name}", {workflow: frozenset({Role.SUPERVISOR})})
    desk = Desk(office.ledger, office.workflows, who, office.nudge, office.settings.working_calendar)
    return Folder(
        office.ledger,
        name,
        Inbox(settings.path, settings.still),
        settings.done_at,
        settings.rejected_at,
        workflow,
        lambda path: _hand_in(desk, settings, workflow, path),
        f"{socket.gethostname()}.{secrets.token_hex(3)}.{os.getpid()}"[:200],
        office.settings.zone,
    )


def needs_a_person(filed: Filed) -> bool:
    """Whether somebody has to mend something."""
    return filed.taken is None or filed.taken.rejected + filed.taken.duplicates > 0


def _hand_in(desk: Desk, settings: FolderSettings, workflow: str, path: Path) -> BatchTaken:
    try:
        known_workflow(desk.ledger, desk.workflows, workflow)
    except CasehandError as error:
        # Nothing is wrong with the file.
        raise NotNow(str(error)) from None
    due = settings.due and read_moment(settings.due, desk.ledger.clock(), desk.calendar, Edge.END)
    try:
        return desk.hand_in(workflow, path, priority=settings.priority, due=due or None)
    except (CasehandError, SQLAlchemyError):
        raise
    except Exception as error:
        # An author's code may raise anything, and others' files wait behind this one.
        raise NotNow(f"{path.name} cannot be taken in ({type(error).__name__} in the workflow)") from error


def _look(
    office: Office, folder: Folder, troubled: dict[str, str | None], goes_on: Callable[[], bool]
) -> None:
    """One look; what is wrong is told once, and again when it is something else."""
    trouble = None
    try:
        for filed in folder.turn(goes_on):
            if filed.fate is Fate.WAITS:
                trouble = "a file cannot be taken in yet: `casehand folders take` says why"
            else:
                _note(folder, filed)
                office.nudge()
    except CasehandError as error:
        trouble = str(error)
    except SQLAlchemyError as error:
        trouble = f"the ledger does not answer ({type(error).__name__})"
    if trouble and trouble != troubled.get(folder.name):
        log.warning("folder_in_trouble", folder=folder.name, why=trouble)
    troubled[folder.name] = trouble


def _note(folder: Folder, filed: Filed) -> None:
    # Not the file's name, which may be a person's.
    batch = filed.taken and filed.taken.batch
    log.info("file_filed", folder=folder.name, fate=filed.fate, batch=batch)


def _named(office: Office, names: list[str]) -> Iterable[FolderSettings]:
    check_folders(office)
    known = {one.called: one for one in office.settings.folder}
    if not known:
        raise CasehandError("no folder is watched: add a [[folder]] to casehand.toml")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise CasehandError(f"there is no folder {unknown[0]}: there is {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names or known)]


def _as_entry(office: Office, settings: FolderSettings) -> dict[str, Any]:
    folder = folder_of(office, settings)
    problem, lying = None, list[Lying]()
    try:
        lying = folder.inbox.look()
    except CasehandError as error:
        problem = str(error)
    return {
        "name": settings.called,
        "path": str(settings.path.absolute()),
        "workflow": settings.workflow,
        "files": [one.path.name for one in lying],
        "taking": folder.is_looked_after,
        "problem": problem or next(_problems(lying), None),
    }


def _problems(lying: Iterable[Lying]) -> Iterator[str]:
    for one in lying:
        if one.problem:
            yield f"{one.path.name}: {one.problem}"


def _sentence(filed: Filed) -> str:
    match filed.fate:
        case Fate.DONE if filed.taken is not None:
            refused = filed.taken.rejected + filed.taken.duplicates
            before = " before" if filed.taken.already else ""
            left = f", {counted(refused, 'row')} not" if refused else ""
            cases = counted(filed.taken.accepted, "case")
            return f"{filed.file}: {cases} taken in{before} as {filed.taken.batch}{left}."
        case Fate.REJECTED:
            return f"{filed.file}: nothing taken in: {filed.why}"
        case _:
            return f"{filed.file}: left for now: {filed.why}"


def _yes_or_no(cell: object) -> object:
    return ("yes" if cell else "no") if isinstance(cell, bool) else cell
