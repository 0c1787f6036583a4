"""`casehand due`: what may miss its due date, and what is past it."""

from typing import Annotated

import typer

from casehand.console.listing import LIST_LIMIT, NEEDS_A_PERSON, as_plain, counted, say, show_json, show_table
from casehand.console.office import Office
from casehand.queue.cases import CaseLine
from casehand.queue.risk import Why, list_at_risk

WORDS = {
    Why.PACE: "its turn does not come in time at the pace of late",
    Why.HELD: "it is held back by a pause",
    Why.STILL: "nothing is being worked",
    Why.LATER: "it may not begin before",
}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(due)


def due(
    workflow: Annotated[str | None, typer.Option(help="Only of this workflow.")] = None,
    batch: Annotated[str | None, typer.Option(help="Only of this batch.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many of each.", min=1)] = LIST_LIMIT,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List what may miss its due date, and what is past it and not over; 3 if there is any."""
    office = Office()
    risks = office.desk.at_risk(workflow, batch)
    risky = list_at_risk(office.ledger, risks, limit)
    late = office.desk.late(workflow, batch, limit)
    if json:
        entries = [{**as_plain(line), "standing": "at risk", "why": why} for line, why in risky]
        show_json([*entries, *({**as_plain(line), "standing": "late", "why": None} for line in late)])
    else:
        _show_at_risk(risky, sum(one.number for one in risks))
        _show_late(late, limit)
    if risky or late:
        raise typer.Exit(NEEDS_A_PERSON)


def _show_at_risk(risky: list[tuple[CaseLine, Why]], number: int) -> None:
    if not risky:
        say("No case is at risk of missing its due date.")
        return
    rows = [(one.reference, one.batch, one.due, one.priority, WORDS[why]) for one, why in risky]
    title = f"At risk: {counted(number, 'case')}"
    show_table(title, ("Reference", "Batch", "Due", "Priority", "Why"), rows)


def _show_late(late: list[CaseLine], limit: int) -> None:
    if not late:
        say("No case is past its due date.")
        return
    rows = [(one.reference, one.batch, one.due, one.state, one.reason) for one in late]
    show_table("Past their due date", ("Reference", "Batch", "Due", "State", "Why"), rows)
    if len(late) == limit:
        say("There may be more: --limit shows them.")
