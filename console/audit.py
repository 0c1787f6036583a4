"""`casehand audit`: who did what, when and why; and whether anybody has meddled with that."""

from collections.abc import Iterator
from dataclasses import astuple, fields
from itertools import islice
from typing import Annotated

import typer

from casehand.console.days import as_day, begin_of, end_of
from casehand.console.entries import Page, all_of, look, named
from casehand.console.listing import (
    LIST_LIMIT,
    OldestFirst,
    say,
    say_it_goes_on,
    show_json,
    show_table,
    stream_csv,
    stream_json,
)
from casehand.console.office import Office
from casehand.exceptions import CasehandError
from casehand.queue.audit import Entry, EntryFilter
from casehand.queue.chain import ChainHead

app = typer.Typer(
    help="Show who did what and why, and check that nobody has meddled with it.", rich_markup_mode=None
)


def add_to(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="audit")


@app.callback(invoke_without_command=True)
def audit(
    context: typer.Context,
    subject: Annotated[
        str | None,
        typer.Option(help='Only of this: a case\'s reference or id, a batch, or such as "bot benefits".'),
    ] = None,
    actor: Annotated[str | None, typer.Option(help="Only by this person or worker.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this, such as closed or paused.")] = None,
    since: Annotated[str | None, typer.Option(help="Only from this day on.", metavar="DAY")] = None,
    until: Annotated[str | None, typer.Option(help="Only up to this day.", metavar="DAY")] = None,
    limit: Annotated[
        int | None, typer.Option(help=f"At most so many: {LIST_LIMIT}, or all for programs.", min=1)
    ] = None,
    after: Annotated[
        int | None, typer.Option(help="Only what is behind this entry.", metavar="NUMBER")
    ] = None,
    oldest_first: OldestFirst = False,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="For spreadsheets.")] = False,
) -> None:
    """List who did what and why, latest first unless asked otherwise."""
    if context.invoked_subcommand is not None:
        return
    office = Office()
    zone = office.settings.zone
    which = EntryFilter(
        actor=actor,
        action=action,
        since=begin_of(as_day(since, "--since"), zone),
        until=end_of(as_day(until, "--until"), zone),
    )
    if subject is not None:
        which = named(office.desk, which, subject)
    if json:
        stream_json(_entries_of(office, which, limit, after, oldest_first))
    elif csv:
        columns = [field.name for field in fields(Entry)]
        stream_csv(columns, map(astuple, _entries_of(office, which, limit, after, oldest_first)))
    else:
        found = look(office.desk, which, limit or LIST_LIMIT, after, oldest_first=oldest_first)
        _show(found, oldest_first)


@app.command()
def verify(
    head: Annotated[
        list[str] | None,
        typer.Option(
            help="A head that was printed or logged earlier: the chain must go on from it. May be repeated."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check that no entry was changed, removed, put in or moved: 0 when the audit is whole, otherwise 1."""
    kept = [ChainHead.parse(one) for one in head or []]
    verdict = Office().desk.verify_audit(kept)
    if json:
        show_json(
            {
                "whole": verdict.broken is None,
                "broken": verdict.broken,
                "head": verdict.head and str(verdict.head),
                "checked": verdict.checked,
                "not_linked": verdict.not_linked,
            }
        )
    elif verdict.broken is None:
        say(f"The audit is whole: {_entries(verdict.checked)}, {verdict.not_linked} not linked yet.")
        say(f"Its head is {verdict.head}: keep it elsewhere, and give it back with --head.")
    if verdict.broken is not None:
        if json:
            raise typer.Exit(1)
        raise CasehandError(f"the audit is broken: {verdict.broken}")


def _entries_of(
    office: Office, which: EntryFilter, limit: int | None, after: int | None, oldest_first: bool
) -> Iterator[Entry]:
    found = all_of(office.desk, which, after, oldest_first=oldest_first)
    return (entry for entry, _ in islice(found, limit))


def _show(found: Page, oldest_first: bool) -> None:
    listed = found.entries
    if not listed:
        say("There are no such entries.")
        return
    rows = [
        (one.at, one.actor, one.action, one.subject, one.before, one.after, one.reason, one.detail)
        for one in listed
    ]
    show_table("Audit", ("At", "Who", "Did", "To", "State before", "State after", "Why", "On which"), rows)
    if found.behind is not None:
        say_it_goes_on(len(listed), found.behind, oldest_first)


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number} entries"
