"""`casehand enqueue`, `results` and `rejects`: hands in a batch, and gives out what became of it."""

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import Annotated, BinaryIO, cast
from zoneinfo import ZoneInfo

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from casehand.console.completion import complete_workflow
from casehand.console.days import as_moment
from casehand.console.listing import (
    NEEDS_A_PERSON,
    as_json,
    as_plain,
    counted,
    say,
    screen,
    show_json,
    show_table,
)
from casehand.console.office import Office
from casehand.exceptions import CasehandError
from casehand.queue.batches import Rejected, rejections_of
from casehand.queue.cells import Layout
from casehand.queue.extent import about_rows
from casehand.queue.intake import BatchTaken
from casehand.queue.sheets import Sheet, as_csv, write_excel
from casehand.queue.when import Edge

SHOWN_REJECTIONS = 20


class Format(StrEnum):
    """What rows are given out as."""

    CSV = "csv"
    XLSX = "xlsx"
    JSON = "json"


Batch = Annotated[str, typer.Argument(help="Its name, as `casehand status` shows it.")]
Output = Annotated[Path | None, typer.Option(help="The file to write; standard output without it.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(enqueue)
    app.command()(results)
    app.command()(rejects)


def enqueue(
    workflow: Annotated[str, typer.Argument(help="Its name.", autocompletion=complete_workflow)],
    file: Annotated[Path, typer.Argument(help="A .csv or .xlsx file, one row a case.")],
    priority: Annotated[int, typer.Option(help="Higher is worked first.")] = 0,
    not_before: Annotated[
        str | None,
        typer.Option(help='When work may begin: a local time, or such as "tomorrow at 9".', metavar="TIME"),
    ] = None,
    due: Annotated[
        str | None,
        typer.Option(help='When it must be done: a local time, or "within 5 working days".', metavar="TIME"),
    ] = None,
    late: Annotated[bool, typer.Option("--late", help="Let them be worked though that passes.")] = False,
    again: Annotated[bool, typer.Option(help="Take the file in though it was before.")] = False,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Hand in a batch: every row becomes a case, or is rejected with its line and the reason."""
    office = Office()
    with _progress(file, quiet=json) as report:
        taken = office.desk.hand_in(
            workflow,
            file,
            priority=priority,
            not_before=as_moment(not_before, "--not-before", office),
            due=as_moment(due, "--due", office, Edge.END),
            may_be_late=late,
            again=again,
            progress=report,
        )
    most = None if json else SHOWN_REJECTIONS
    refused = [] if taken.already else rejections_of(office.ledger, taken.batch, most)
    reached = office.nudge()
    if json:
        show_json({**as_plain(taken), "rejections": refused})
    else:
        show_taken(file.name, taken, refused)
        if not reached:
            say("Redis does not answer: the cases are safe, and will be worked when it does.")
    if refused:
        raise typer.Exit(NEEDS_A_PERSON)


def results(
    batch: Batch,
    format: Annotated[Format, typer.Option(help="What kind of file.")] = Format.CSV,
    output: Output = None,
    json: Json = False,
) -> None:
    """Give out what became of every row of a batch's file, in its order."""
    office = Office()
    kind = Format.JSON if json else format
    if kind is Format.JSON:
        rows = office.desk.result_rows(batch)
        write_out(output, lambda file: file.writelines(as_json(rows)))
    else:
        sheet = office.desk.results(batch, kind, ZoneInfo(office.settings.time_zone))
        layout = None if kind is Format.XLSX else Layout()
        write_out(output, lambda file: _write_sheet(file, sheet, layout))


def rejects(
    batch: Batch,
    format: Annotated[
        Format | None, typer.Option(help="What kind of file; what the batch came in as, if not given.")
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Give out the rows of a batch that were not taken in: mended, the file can be handed in again."""
    office = Office()
    if json or format is Format.JSON:
        rows = office.desk.reject_rows(batch)
        write_out(output, lambda file: file.writelines(as_json(rows)))
    else:
        found = office.desk.rejects(batch, format)
        write_out(output, lambda file: _write_sheet(file, found.sheet, found.layout))


def write_out(output: Path | None, write: Callable[[BinaryIO], None]) -> None:
    """Write to a file of mode 0600, whole or not at all, or to standard output. Raises CasehandError."""
    if output is None:
        write(sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    try:
        with (
            NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False) as draft,
            _removed_on_failure(Path(draft.name)),
        ):
            write(cast("BinaryIO", draft))
            draft.close()
            Path(draft.name).replace(output)
    except OSError as error:
        raise CasehandError(f"{output} cannot be written ({error.strerror}): name another file") from None
    say(f"written: {output}")


def show_taken(file: str, taken: BatchTaken, refused: list[Rejected]) -> None:
    """Say what became of a file, and list what was not taken in, or the first of it."""
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
        more = taken.rejected + taken.duplicates - len(refused)
        rows = [
            (one.line, one.kind, one.column, one.reason.removeprefix(f"{one.column}: ")) for one in refused
        ]
        show_table("Not taken in", ("Line", "Kind", "Column", "Reason"), rows)
        if more:
            say(f"... and {more} more: `casehand rejects {taken.batch}` gives out all of them.")


@contextlib.contextmanager
def _removed_on_failure(draft: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _write_sheet(file: BinaryIO, sheet: Sheet, layout: Layout | None) -> None:
    """As delimited text, or as a workbook where there is no layout."""
    if layout is None:
        if file is sys.stdout.buffer and sys.stdout.isatty():
            raise typer.BadParameter("a workbook is nothing for a terminal: give --output FILE")
        # A zip file is gone back in while it is written, which standard output cannot.
        with TemporaryFile() as whole:
            write_excel(sheet, whole)
            whole.seek(0)
            shutil.copyfileobj(whole, file)
    else:
        file.writelines(as_csv(sheet, layout))


@contextlib.contextmanager
def _progress(file: Path, quiet: bool) -> Iterator[Callable[[int], None] | None]:
    if quiet or not screen().is_terminal:
        yield None
        return
    columns = (BarColumn(), TextColumn("{task.completed:,.0f} rows read"), TimeElapsedColumn())
    with Progress(*columns, console=screen(), transient=True) as bar:
        task = bar.add_task("Reading", total=about_rows(file))
        yield lambda rows: bar.update(task, completed=rows)
