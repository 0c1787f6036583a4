"""`casehand escalations`: what waits for a person, and the ways to settle it."""

from dataclasses import asdict, fields
from datetime import datetime
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Annotated

import typer

from casehand.console.listing import (
    LIST_LIMIT,
    say,
    say_there_are_more,
    show_json,
    show_table,
    shown,
    stream_json,
)
from casehand.console.office import Office
from casehand.console.prompting import given_or_asked
from casehand.queue.cases import CaseLine
from casehand.queue.commits import CommitState
from casehand.queue.escalations import WAS_DONE, WAS_NOT_DONE, Escalation, EscalationFilter
from casehand.queue.notices import Notice
from casehand.queue.outcome import EscalationKind
from casehand.queue.paging import in_pages

Which = Annotated[str, typer.Argument(help="The reference, or the case's id.", metavar="REFERENCE")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]

MayBeLate = Annotated[bool, typer.Option("--late", help="Have it worked though its due date has passed.")]

app = typer.Typer(help="Show what waits for a person, and settle it.", rich_markup_mode=None)


def add_to(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="escalations")


@app.callback(invoke_without_command=True)
def escalations(
    context: typer.Context,
    workflow: Annotated[str | None, typer.Option(help="Only of this workflow.")] = None,
    batch: Annotated[str | None, typer.Option(help="Only of this batch.")] = None,
    limit: Annotated[
        int | None, typer.Option(help=f"At most so many: {LIST_LIMIT}, or all for programs.", min=1)
    ] = None,
    after: Annotated[
        str | None, typer.Option(help="Only what has waited less long than this case.", metavar="REFERENCE")
    ] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only what you have taken.")] = False,
    unassigned: Annotated[bool, typer.Option("--unassigned", help="Only what nobody has taken.")] = False,
    json: Json = False,
) -> None:
    """List what waits for a person, oldest first."""
    if context.invoked_subcommand is not None:
        return
    office = Office()
    taken_by = office.person.id if mine else None
    which = EscalationFilter(batch, workflow, assigned_to=taken_by, unassigned=unassigned)
    look = partial(office.desk.waiting, which)
    begin = None if after is None else office.desk.find(after).id
    standing = office.desk.notices(workflow, batch) if begin is None else []
    if json:
        stream_json(chain(map(_as_entry, standing), in_pages(look, attrgetter("case"), limit, begin)))
        return
    for notice in standing:
        say(str(notice))
    most = limit or LIST_LIMIT
    found = look(most + 1, begin)
    listed = found[:most]
    if not listed:
        say("Nothing waits for a person.")
        return
    rows = [
        (one.reference, one.kind, one.reason, _ways(one), one.opened_at, one.assigned_to) for one in listed
    ]
    show_table("Waiting for a person", ("Reference", "Kind", "Why", "Answers", "Since", "With"), rows)
    if len(found) > most:
        say_there_are_more(most, listed[-1].case)


@app.command()
def answer(
    which: Which,
    given: Annotated[str, typer.Argument(help="One of the answers, or JSON for a form.", metavar="ANSWER")],
    late: MayBeLate = False,
    json: Json = False,
) -> None:
    """Answer what a case asks: it goes on with the answer."""
    office = Office()
    case = office.desk.find(which)
    office.desk.answer(case.id, given, may_be_late=late)
    _tell(office, case, "is queued again", json)


@app.command("return")
def send_back(
    which: Which,
    amend: Annotated[
        list[str] | None, typer.Option(help="Change a field first: NAME=VALUE; may be repeated.")
    ] = None,
    late: MayBeLate = False,
    json: Json = False,
) -> None:
    """Send a case back to be worked again, perhaps amended."""
    office = Office()
    changes = _changes(amend or [])
    case = office.desk.find(which)
    office.desk.send_back(case.id, changes or None, may_be_late=late)
    _tell(office, case, "is queued again", json)


@app.command()
def close(
    which: Which,
    note: Annotated[
        str | None, typer.Option(help="What was done about it; asked for if it is not given.")
    ] = None,
    json: Json = False,
) -> None:
    """Close a case: a person did it by hand, or rejected it."""
    office = Office()
    case = office.desk.find(which)
    done = given_or_asked(note, "--note", "What was done about it")
    office.desk.close(case.id, done)
    _tell(office, case, "is closed", json)


@app.command()
def cancel(
    which: Which,
    reason: Annotated[str | None, typer.Option(help="Why; kept with the case.")] = None,
    json: Json = False,
) -> None:
    """Cancel a case that is queued or waits for a person."""
    office = Office()
    case = office.desk.find(which)
    office.desk.cancel(case.id, reason)
    _tell(office, case, "is cancelled", json)
    for change in [] if json else office.desk.story_of(case).commits:
        if change.state is CommitState.INTENDED:
            say(f"It is not known whether this was done: {change.name}. Look into the system.")


@app.command()
def take(which: Which, json: Json = False) -> None:
    """Take a case that waits for a person, so that nobody else looks into it."""
    office = Office()
    case = office.desk.find(which)
    office.desk.take(case.id)
    _tell(office, case, "is yours", json)


@app.command("give-back")
def give_back(which: Which, json: Json = False) -> None:
    """Let go of a case that was taken, so that anybody may take it."""
    office = Office()
    case = office.desk.find(which)
    office.desk.give_back(case.id)
    _tell(office, case, "is free to be taken", json)


@app.command("hand-on")
def hand_on(
    which: Which,
    to: Annotated[str, typer.Argument(help="Whom to, by the name they sign in with.", metavar="PERSON")],
    json: Json = False,
) -> None:
    """Give a case that waits for a person to somebody else."""
    office = Office()
    case = office.desk.find(which)
    office.desk.hand_on(case.id, to)
    _tell(office, case, f"is with {to.strip()}", json)


@app.command()
def comment(
    which: Which,
    text: Annotated[str, typer.Argument(help="What to say of it.")],
    json: Json = False,
) -> None:
    """Say something of a case to those who look at it later."""
    office = Office()
    case = office.desk.find(which)
    office.desk.comment(case.id, text)
    _tell(office, case, "has your comment", json)


@app.command()
def due(
    which: Which,
    when: Annotated[
        datetime | None, typer.Argument(help="In local time; none takes the date away.", metavar="TIME")
    ] = None,
    json: Json = False,
) -> None:
    """Say by when a case must be done, or settled."""
    office = Office()
    case = office.desk.find(which)
    by = None if when is None else when.astimezone()
    office.desk.set_due(case.id, by)
    _tell(office, case, "has no due date" if by is None else f"is due by {shown(by)}", json)


@app.command()
def priority(
    which: Which,
    number: Annotated[int, typer.Argument(help="Higher is worked first.", metavar="PRIORITY")],
    json: Json = False,
) -> None:
    """Say how urgent a case is."""
    office = Office()
    case = office.desk.find(which)
    office.desk.set_priority(case.id, number)
    _tell(office, case, f"has priority {number}", json)


def _as_entry(notice: Notice) -> dict[str, object]:
    """A notice among the escalations: with all their fields, of which it has few, so that readers find each."""
    empty = dict.fromkeys(field.name for field in fields(Escalation))
    return empty | {"kind": "notice"} | asdict(notice)


def _ways(escalation: Escalation) -> str:
    if escalation.kind is EscalationKind.IN_DOUBT:
        return f"{WAS_DONE} / {WAS_NOT_DONE}"
    if escalation.question is None:
        return ""
    choices = escalation.question.get("choices")
    if isinstance(choices, list):
        return " / ".join(map(str, choices))
    form = escalation.question.get("form")
    fields = form.get("properties", {}) if isinstance(form, dict) else {}
    return "JSON with " + ", ".join(fields)


def _changes(given: list[str]) -> dict[str, str]:
    changes = {}
    for change in given:
        name, equals, value = change.partition("=")
        if not equals:
            raise typer.BadParameter(f"--amend takes NAME=VALUE, and not {change!r}")
        changes[name] = value
    return changes


def _tell(office: Office, before: CaseLine, became: str, json: bool) -> None:
    """Say what became of a case."""
    if json:
        show_json(office.desk.find(before.id))
    else:
        say(f"{before.reference} {became}.")
