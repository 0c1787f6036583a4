"""`casehand bulk`: one action on many cases, on a filter or a selection, with a reason."""

import os
import sys
from collections.abc import Sequence
from datetime import datetime
from threading import Event
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from casehand.console.days import as_moment
from casehand.console.listing import (
    LIST_LIMIT,
    NEEDS_A_PERSON,
    OldestFirst,
    as_plain,
    counted,
    say,
    say_it_goes_on,
    screen,
    show_json,
    show_table,
)
from casehand.console.office import Office
from casehand.console.prompting import given_or_asked
from casehand.queue.bulk import LATE, Bulk, BulkAction, BulkState, Came, outcomes
from casehand.queue.bulk_filter import BulkFilter, Preview, digests_of_words
from casehand.queue.bulk_turn import end_turn
from casehand.queue.outcome import EscalationKind
from casehand.queue.state import State
from casehand.queue.when import Edge

Json = Annotated[bool, typer.Option("--json", help="For programs.")]
Which = Annotated[str, typer.Argument(help="Its id.", metavar="ID")]
Wait = Annotated[bool, typer.Option(help="Wait until it is over; the workers go on with it otherwise.")]

app = typer.Typer(help="Do one thing to many cases.", rich_markup_mode=None, no_args_is_help=True)


def add_to(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="bulk")


@app.command()
def begin(
    action: Annotated[BulkAction, typer.Argument(help="What to do to each.")],
    case: Annotated[
        list[str] | None, typer.Option(help="This case; may be repeated, in place of a filter.")
    ] = None,
    workflow: Annotated[str | None, typer.Option(help="Cases of this workflow.")] = None,
    batch: Annotated[str | None, typer.Option(help="Cases of this batch.")] = None,
    state: Annotated[State | None, typer.Option(help="Cases in this state.")] = None,
    kind: Annotated[EscalationKind | None, typer.Option(help="Cases that wait for this.")] = None,
    alike: Annotated[
        str | None, typer.Option(help="Cases that wait for the same reason, as --json shows it.")
    ] = None,
    words: Annotated[
        str | None, typer.Option(help="Cases that wait for a reason with all of these words.")
    ] = None,
    due_before: Annotated[
        str | None, typer.Option(help="Cases due before this local time.", metavar="TIME")
    ] = None,
    assigned_to: Annotated[str | None, typer.Option(help="Cases that this person has taken.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; asked for if it is not given.")] = None,
    note: Annotated[str | None, typer.Option(help="For close: what was done about them.")] = None,
    to: Annotated[str | None, typer.Option(help="For hand on: whom to.")] = None,
    due: Annotated[
        str | None, typer.Option(help='For set due: by when, or "within 5 working days".', metavar="TIME")
    ] = None,
    priority: Annotated[int | None, typer.Option(help="For set priority: higher is worked first.")] = None,
    not_before: Annotated[
        str | None, typer.Option(help='For put off: until when, or "tomorrow at 9".', metavar="TIME")
    ] = None,
    late: Annotated[
        bool, typer.Option("--late", help="For return: work them though their due date has passed.")
    ] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Only show how many cases these are, and the first.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    wait: Wait = True,
    json: Json = False,
) -> None:
    """Begin: shows how many cases these are and the first of them, and asks."""
    office = Office()
    when = as_moment(due_before, "--due-before", office)
    sought = None if words is None else digests_of_words(office.ledger.vault, words)
    which = BulkFilter(workflow, batch, state, kind, alike, when, assigned_to, sought)
    if case and which != BulkFilter():
        raise typer.BadParameter("give --case or a filter, and not both")
    if preview and case:
        raise typer.BadParameter("--preview is for a filter: the cases of --case are known")
    if preview:
        _show_preview(office.desk.preview_bulk(action, which), json)
        return
    begins = as_moment(not_before, "--not-before", office)
    by_when = as_moment(due, "--due", office, Edge.END)
    value = _value(action, note=note, to=to, due=by_when, priority=priority, not_before=begins, late=late)
    why = given_or_asked(reason, "--reason", "Why")
    if not yes:
        _ask(office, action, which, case or [])
    chosen = [office.desk.find(one).id for one in case] if case else which
    _follow(office, office.desk.begin_bulk(action, chosen, why, value), wait, json)


@app.command("list")
def list_bulks(
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = LIST_LIMIT,
    after: Annotated[str | None, typer.Option(help="Only what is behind this one.", metavar="ID")] = None,
    oldest_first: OldestFirst = False,
    json: Json = False,
) -> None:
    """List what is done to many cases, latest first unless asked otherwise."""
    found = Office().desk.bulks(limit + 1, after, oldest_first=oldest_first)
    if json:
        show_json(found[:limit])
        return
    if not found:
        say("Nothing has been done to many cases at once.")
        return
    rows = [
        (one.id, one.action, one.reason, one.begun_by, one.begun_at, one.state, _progress_of(one))
        for one in found[:limit]
    ]
    show_table("Actions on many", ("Id", "Action", "Why", "By", "Since", "State", "Cases"), rows)
    if len(found) > limit:
        say_it_goes_on(limit, found[limit - 1].id, oldest_first)


@app.command()
def show(
    which: Which,
    refused: Annotated[bool, typer.Option("--refused", help="Only the cases it was refused for.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many cases.", min=1)] = LIST_LIMIT,
    after: Annotated[int | None, typer.Option(help="Only cases behind this number.")] = None,
    json: Json = False,
) -> None:
    """Show one: how far it is, and what came of each case."""
    office = Office()
    bulk = office.desk.find_bulk(which)
    cases = outcomes(office.ledger, which, Came.REFUSED if refused else None, limit, after)
    if json:
        show_json({**as_plain(bulk), "cases": cases})
        return
    say(f"{bulk.action}, begun by {bulk.begun_by}: {bulk.state}, {_progress_of(bulk)}")
    say(f"Why: {bulk.reason}")
    rows = [(one.number, one.reference, one.outcome, one.why, one.at) for one in cases]
    show_table("Cases", ("Number", "Reference", "Came out", "Why", "At"), rows)
    if len(cases) == limit:
        say(f"`--after {cases[-1].number}` goes on from here.")


@app.command()
def pause(which: Which, json: Json = False) -> None:
    """Let it wait: what was done stays done."""
    office = Office()
    office.desk.pause_bulk(which)
    report(office.desk.find_bulk(which), json)


@app.command()
def resume(which: Which, wait: Wait = True, json: Json = False) -> None:
    """Let it go on."""
    office = Office()
    office.desk.resume_bulk(which)
    _follow(office, which, wait, json)


@app.command()
def cancel(which: Which, json: Json = False) -> None:
    """End it: what was done stays done."""
    office = Office()
    office.desk.cancel_bulk(which)
    report(office.desk.find_bulk(which), json)


def _value(
    action: BulkAction,
    *,
    note: str | None,
    to: str | None,
    due: datetime | None,
    priority: int | None,
    not_before: datetime | None,
    late: bool,
) -> str | None:
    """What the action needs. Raises BadParameter when it is missing, or another's is given."""
    given = {
        BulkAction.CLOSE: ("--note", note),
        BulkAction.HAND_ON: ("--to", to),
        BulkAction.SET_DUE: ("--due", as_value(due)),
        BulkAction.SET_PRIORITY: ("--priority", as_value(priority)),
        BulkAction.PUT_OFF: ("--not-before", as_value(not_before)),
        BulkAction.RETURN: ("--late", LATE if late else None),
    }
    for other, (option, value) in given.items():
        if other is not action and value is not None:
            raise typer.BadParameter(f"{option} is for `{other}`")
    option, value = given.get(action, ("", None))
    if option and value is None and action is not BulkAction.RETURN:
        raise typer.BadParameter(f"to {action}, give {option}")
    return value


def as_value(given: datetime | int | None) -> str | None:
    """A local time or a number as a bulk action takes it."""
    if isinstance(given, datetime):
        return given.astimezone().isoformat()
    return None if given is None else str(given)


def _ask(office: Office, action: BulkAction, which: BulkFilter, cases: list[str]) -> None:
    """Have the person say that it is meant, who has seen how many cases these are, and which."""
    if not sys.stdin.isatty():
        raise typer.BadParameter(
            "nobody is at a terminal to be asked, so give --yes (--preview shows the cases)"
        )
    if cases:
        number = len(cases)
    else:
        shown = office.desk.preview_bulk(action, which)
        _show_preview(shown, json=False)
        number = shown.total
    typer.confirm(f"{action}: {counted(number, 'case')}. Go on?", abort=True)


def _show_preview(found: Preview, json: bool) -> None:
    if json:
        show_json(found)
        return
    say(f"{counted(found.total, 'case')} would be taken in.")
    if found.first:
        rows = [(one.reference, one.workflow, one.state, one.reason) for one in found.first]
        show_table("The first", ("Reference", "Workflow", "State", "Reason"), rows)


def _follow(office: Office, which: str, wait: bool, json: bool) -> None:
    """Work it through, unless another process does, and show how far it is."""
    if wait:
        work_through(office, [which], quiet=json)
    bulk = office.desk.find_bulk(which)
    report(bulk, json)
    if bulk.refused:
        raise typer.Exit(NEEDS_A_PERSON)


def work_through(office: Office, several: Sequence[str], *, quiet: bool) -> None:
    """Work bulk actions through, one after another, unless another process does; a bar shows how far each is."""
    holder = f"bulk.{os.getpid()}"
    try:
        for which in several:
            _work(office, which, holder, quiet=quiet)
    finally:
        end_turn(office.ledger, holder)
    office.nudge()


def _work(office: Office, which: str, holder: str, quiet: bool) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shows = not quiet and screen().is_terminal
    with Progress(*columns, console=screen(), transient=True, disable=not shows) as bar:
        before = office.desk.find_bulk(which)
        task = bar.add_task(str(before.action), total=before.total)
        while True:
            now = office.desk.work_bulk(which, holder)
            bar.update(task, completed=now.total - now.left, total=now.total)
            if now.state is not BulkState.WORKING:
                return
            if now == before:
                # Another process has its turn.
                Event().wait(0.2)
            before = now


def report(bulk: Bulk, json: bool) -> None:
    """Show how far a bulk action is."""
    if json:
        show_json(bulk)
    else:
        say(f"{bulk.id}: {bulk.action} is {bulk.state}, {_progress_of(bulk)}.")
        if bulk.refused:
            say(f"`casehand bulk show {bulk.id} --refused` says which were refused and why.")


def _progress_of(bulk: Bulk) -> str:
    return f"{bulk.done} done, {bulk.refused} refused, {bulk.left} to come"
