"""`casehand audit`: who did what, when and why; and whether anybody has meddled with that."""

from dataclasses import astuple, fields
from typing import Annotated

import typer

from casehand.console.days import as_day, begin_of, end_of
from casehand.console.listing import LIST_LIMIT, say, show_json, show_table, stream_csv, stream_json
from casehand.console.office import Office
from casehand.exceptions import CasehandError
from casehand.queue.audit import Entry, EntryFilter, all_entries, find_entries
from casehand.queue.cases import find_case
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
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="For spreadsheets.")] = False,
) -> None:
    """List who did what and why, latest first."""
    if context.invoked_subcommand is not None:
        return
    office = Office()
    zone = office.settings.zone
    which = EntryFilter(
        subject=_subject(office, subject),
        actor=actor,
        action=action,
        since=begin_of(as_day(since, "--since"), zone),
        until=end_of(as_day(until, "--until"), zone),
    )
    if json:
        stream_json(all_entries(office.ledger, which, limit, after))
    elif csv:
        entries = all_entries(office.ledger, which, limit, after)
        stream_csv([field.name for field in fields(Entry)], map(astuple, entries))
    else:
        _show(find_entries(office.ledger, which, (limit or LIST_LIMIT) + 1, after), limit or LIST_LIMIT)


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


def _subject(office: Office, typed: str | None) -> str | None:
    """A case stands in the audit by its id; people know its reference."""
    if typed is None:
        return None
    try:
        return find_case(office.ledger, typed).id
    except CasehandError:
        return typed


def _show(found: list[Entry], most: int) -> None:
    listed = found[:most]
    if not listed:
        say("There are no such entries.")
        return
    rows = [
        (one.at, one.actor, one.action, one.subject, one.before, one.after, one.reason, one.detail)
        for one in listed
    ]
    show_table("Audit", ("At", "Who", "Did", "To", "State before", "State after", "Why", "On which"), rows)
    if len(found) > most:
        say(f"These are the latest {most}: `--after {listed[-1].id}` goes on from here.")


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number} entries"
