"""`casehand cancel` and `change`: what is open of a batch, a workflow or a bot is cancelled, or worked otherwise."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from casehand.console.bulk import as_value, report, work_through
from casehand.console.listing import NEEDS_A_PERSON, show_json
from casehand.console.office import Office
from casehand.console.prompting import given_or_asked
from casehand.queue.bulk import BulkAction
from casehand.queue.pauses import PauseKind


class Kind(StrEnum):
    """What may be cancelled or changed as a whole."""

    BATCH = "batch"
    WORKFLOW = "workflow"
    BOT = "bot"


Of = Annotated[Kind, typer.Argument(help="What it is.")]
Name = Annotated[str, typer.Argument(help="Its name.")]
Reason = Annotated[str | None, typer.Option(help="Why; asked for if it is not given.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(cancel)
    app.command()(change)


def cancel(kind: Of, name: Name, reason: Reason = None, json: Json = False) -> None:
    """Cancel what is queued or waits for a person of a batch, a workflow or a bot; what is in work goes on."""
    _do(kind, name, [(BulkAction.CANCEL, None)], reason, json)


def change(
    kind: Of,
    name: Name,
    priority: Annotated[int | None, typer.Option(help="Higher is worked first.")] = None,
    due: Annotated[
        datetime | None, typer.Option(help="When it must be done, in local time.", metavar="TIME")
    ] = None,
    not_before: Annotated[
        datetime | None, typer.Option(help="When what is queued may begin, in local time.", metavar="TIME")
    ] = None,
    reason: Reason = None,
    json: Json = False,
) -> None:
    """Change the priority, the due date or the begin of what is open of a batch, a workflow or a bot."""
    wanted = (
        (BulkAction.SET_PRIORITY, as_value(priority)),
        (BulkAction.SET_DUE, as_value(due)),
        (BulkAction.PUT_OFF, as_value(not_before)),
    )
    given = [(action, value) for action, value in wanted if value is not None]
    if not given:
        raise typer.BadParameter("say what to change: give --priority, --due or --not-before")
    _do(kind, name, given, reason, json)


def _do(
    kind: Kind, name: str, actions: Sequence[tuple[BulkAction, str | None]], reason: str | None, json: bool
) -> None:
    office = Office()
    why = given_or_asked(reason, "--reason", "Why")
    begun = [
        bulk
        for action, value in actions
        for bulk in office.desk.begin_change(action, PauseKind(kind), name, why, value)
    ]
    work_through(office, begun, quiet=json)
    found = [office.desk.find_bulk(bulk) for bulk in begun]
    if json:
        show_json(found)
    else:
        for one in found:
            report(one, json=False)
    if any(one.refused for one in found):
        raise typer.Exit(NEEDS_A_PERSON)
