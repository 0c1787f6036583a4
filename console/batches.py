"""`casehand enqueue`: hands in a batch."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from casehand.console.completion import complete_workflow
from casehand.console.listing import NEEDS_A_PERSON, as_plain, counted, say, screen, show_json, show_table
from casehand.console.office import Office
from casehand.queue.batches import Rejected, rejections_of
from casehand.queue.intake import BatchTaken

SHOWN_REJECTIONS = 20


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(enqueue)


def enqueue(
    workflow: Annotated[str, typer.Argument(help="Its name.", autocompletion=complete_workflow)],
    file: Annotated[Path, typer.Argument(help="A .csv or .xlsx file, one row a case.")],
    priority: Annotated[int, typer.Option(help="Higher is worked first.")] = 0,
    not_before: Annotated[
        datetime | None, typer.Option(help="When work may begin, in local time.", metavar="TIME")
    ] = None,
    due: Annotated[
        datetime | None, typer.Option(help="When it must be done, in local time.", metavar="TIME")
    ] = None,
    again: Annotated[bool, typer.Option(help="Take the file in though it was before.")] = False,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Hand in a batch: every row becomes a case, or is rejected with its line and the reason."""
    office = Office()
    with _progress(quiet=json) as report:
        taken = office.desk.hand_in(
            workflow,
            file,
            priority=priority,
            not_before=_aware(not_before),
            due=_aware(due),
            again=again,
            progress=report,
        )
    refused = [] if taken.already else rejections_of(office.ledger, taken.batch)
    reached = office.nudge()
    if json:
        show_json({**as_plain(taken), "rejections": refused})
    else:
        show_taken(file.name, taken, refused)
        if not reached:
            say("Redis does not answer: the cases are safe, and will be worked when it does.")
    if refused:
        raise typer.Exit(NEEDS_A_PERSON)


def show_taken(file: str, taken: BatchTaken, refused: list[Rejected]) -> None:
    """Say what became of a file, and list what was not taken in."""
    if taken.already:
        when = taken.handed_in_at.astimezone().strftime("%d %B %Y at %H:%M")
        say(
            f"{file} was handed in on {when} as batch {taken.batch}: nothing was taken in now "
            "(--again takes it in all the same)."
        )
        return
    say(
        f"Batch {taken.batch}: {counted(taken.accepted, 'case')} taken in, "
        f"{counted(taken.rejected, 'row')} rejected, {counted(taken.duplicates, 'duplicate')}."
    )
    if refused:
        shown = refused[:SHOWN_REJECTIONS]
        rows = [(one.line, one.kind, one.column, one.reason.removeprefix(f"{one.column}: ")) for one in shown]
        show_table("Not taken in", ("Line", "Kind", "Column", "Reason"), rows)
        if len(refused) > len(shown):
            say(f"... and {len(refused) - len(shown)} more: see them with --json.")


@contextlib.contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int], None] | None]:
    if quiet or not screen().is_terminal:
        yield None
        return
    columns = (TextColumn("{task.completed:,.0f} rows read"), TimeElapsedColumn())
    with Progress(*columns, console=screen(), transient=True) as bar:
        task = bar.add_task("Reading", total=None)
        yield lambda rows: bar.update(task, completed=rows)


def _aware(given: datetime | None) -> datetime | None:
    return None if given is None else given.astimezone()
