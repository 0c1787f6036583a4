"""`casehand escalations`: what waits for a person, and the ways to settle it."""

import json as json_module
from dataclasses import asdict, fields
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Annotated

import typer
from pydantic import ValidationError

from casehand.console.listing import LIST_LIMIT, say, say_there_are_more, show_table, stream_json
from casehand.console.office import Office
from casehand.console.prompting import given_or_asked
from casehand.exceptions import CasehandError
from casehand.queue import escalations as ledger_escalations
from casehand.queue.cases import CaseLine, find_case, tell
from casehand.queue.check import as_stored
from casehand.queue.commits import CommitState
from casehand.queue.escalations import Escalation
from casehand.queue.fields import Unfit, reader_for
from casehand.queue.notices import Notice, notices
from casehand.queue.outcome import EscalationKind
from casehand.queue.paging import in_pages
from casehand.queue.reasons import reason_for
from casehand.workflows.forms import check_form

Which = Annotated[str, typer.Argument(help="The reference, or the case's id.", metavar="REFERENCE")]

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
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List what waits for a person, oldest first."""
    if context.invoked_subcommand is not None:
        return
    office = Office()
    look = partial(ledger_escalations.waiting, office.ledger, workflow, batch)
    begin = None if after is None else find_case(office.ledger, after).id
    standing = notices(office.ledger, workflow, batch) if begin is None else []
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
    rows = [(one.reference, one.kind, one.reason, _ways(one), one.opened_at) for one in listed]
    show_table("Waiting for a person", ("Reference", "Kind", "Why", "Answers", "Since"), rows)
    if len(found) > most:
        say_there_are_more(most, listed[-1].case)


@app.command()
def answer(
    which: Which,
    given: Annotated[str, typer.Argument(help="One of the answers, or JSON for a form.", metavar="ANSWER")],
) -> None:
    """Answer what a case asks: it goes on with the answer."""
    office = Office()
    case = find_case(office.ledger, which)
    ledger_escalations.answer(office.ledger, case.id, _as_asked(office, case, given), office.person)
    _went_back(office, case)


@app.command("return")
def send_back(
    which: Which,
    amend: Annotated[
        list[str] | None, typer.Option(help="Change a field first: NAME=VALUE; may be repeated.")
    ] = None,
) -> None:
    """Send a case back to be worked again, perhaps amended."""
    office = Office()
    case = find_case(office.ledger, which)
    amended = _amended(office, case, amend) if amend else None
    ledger_escalations.send_back(office.ledger, case.id, office.person, amended)
    _went_back(office, case)


@app.command()
def close(
    which: Which,
    note: Annotated[
        str | None, typer.Option(help="What was done about it; asked for if it is not given.")
    ] = None,
) -> None:
    """Close a case: a person did it by hand, or rejected it."""
    office = Office()
    case = find_case(office.ledger, which)
    done = given_or_asked(note, "--note", "What was done about it")
    ledger_escalations.close(office.ledger, case.id, office.person, done)
    say(f"{case.reference} is closed.")


@app.command()
def cancel(which: Which) -> None:
    """Cancel a case that is queued or waits for a person."""
    office = Office()
    case = find_case(office.ledger, which)
    ledger_escalations.cancel(office.ledger, case.id, office.person)
    say(f"{case.reference} is cancelled.")
    for change in tell(office.ledger, case.id).commits:
        if change.state is CommitState.INTENDED:
            say(f"It is not known whether this was done: {change.name}. Look into the system.")


def _as_entry(notice: Notice) -> dict[str, object]:
    """A notice among the escalations: with all their fields, of which it has few, so that readers find each."""
    empty = dict.fromkeys(field.name for field in fields(Escalation))
    return empty | {"kind": "notice"} | asdict(notice)


def _ways(escalation: Escalation) -> str:
    if escalation.kind is EscalationKind.IN_DOUBT:
        return f"{ledger_escalations.WAS_DONE} / {ledger_escalations.WAS_NOT_DONE}"
    if escalation.question is None:
        return ""
    choices = escalation.question.get("choices")
    if isinstance(choices, list):
        return " / ".join(map(str, choices))
    form = escalation.question.get("form")
    fields = form.get("properties", {}) if isinstance(form, dict) else {}
    return "JSON with " + ", ".join(fields)


def _as_asked(office: Office, case: CaseLine, given: str) -> object:
    open_ones = [one for one in tell(office.ledger, case.id).escalations if one.settled_at is None]
    question = open_ones[-1].question if open_ones else None
    if question is None or "form" not in question:
        return given
    try:
        value = json_module.loads(given)
    except ValueError:
        raise CasehandError('the answer to a form is JSON, such as \'{"field": "value"}\'') from None
    return check_form(question["form"], value)


def _amended(office: Office, case: CaseLine, changes: list[str]) -> str:
    workflow = office.workflow(case.workflow)
    data = dict(tell(office.ledger, case.id).data)
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals or name not in workflow.model.model_fields:
            known = ", ".join(workflow.model.model_fields)
            raise CasehandError(f"cannot amend {name!r}: give NAME=VALUE, where NAME is one of {known}")
        try:
            data[name] = reader_for(workflow.model.model_fields[name].annotation)(value)
        except Unfit as unfit:
            raise CasehandError(f"{name} cannot be amended so: it {unfit}") from None
    try:
        amended = workflow.model.model_validate_json(json_module.dumps(data, default=str))
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise CasehandError(f"{field} cannot be amended so: {reason_for(first)}") from None
    if str(getattr(amended, workflow.reference)) != case.reference:
        raise CasehandError("the reference of a case cannot be amended: cancel it and hand in another")
    return as_stored(amended).decode()


def _went_back(office: Office, case: CaseLine) -> None:
    office.nudge()
    say(f"{case.reference} is queued again.")
