"""Home: what needs a person now, what is being worked and at what pace, and what is paused and why."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from casehand.console.person import Person
from casehand.console.rights import Right, workflows_with
from casehand.console.web.page import page
from casehand.console.web.rendering import render
from casehand.queue.backlog import left_to_work
from casehand.queue.batches import list_batches
from casehand.queue.escalations import EscalationFilter
from casehand.queue.ledger import Ledger
from casehand.queue.messages import count_unsent
from casehand.queue.needs import needs_by_kind
from casehand.queue.outcome import EscalationKind
from casehand.queue.pace import pace
from casehand.queue.runs import count_unseen
from casehand.queue.worklist import worklist

FIRST = 10
"""Cases that are listed here; the others are one link away."""
MOST_BATCHES = 20

WHY: Mapping[EscalationKind, str] = {
    EscalationKind.IN_DOUBT: "Not known whether a change was made",
    EscalationKind.FAULT: "A fault in the workflow",
    EscalationKind.FAILURE: "The system failed too often",
    EscalationKind.LATE: "Its due date passed before it was begun",
    EscalationKind.QUESTION: "A question to be answered",
    EscalationKind.BUSINESS: "The rules leave it to a person",
}
"""Why a person is asked, in words."""


def home(request: Request) -> Response:
    """Show how things stand, of the workflows that the person has to do with."""
    ledger: Ledger = request.app.state.site.ledger
    person: Person = request.state.person
    mine = workflows_with(person, Right.SEE_STRUCTURE)
    underway = list_batches(ledger, mine, limit=MOST_BATCHES + 1, is_open=True)
    left = left_to_work(ledger, mine)
    speed = pace(ledger, mine)
    told = workflows_with(person, Right.MANAGE_MESSAGES)
    return render(
        request,
        "home.html",
        waiting=needs_by_kind(ledger, mine),
        first=worklist(ledger, EscalationFilter(workflows=mine), limit=FIRST),
        why=WHY,
        gone_wrong=count_unseen(ledger, mine),
        underway=underway[:MOST_BATCHES],
        has_more=len(underway) > MOST_BATCHES,
        left=left,
        pace=speed,
        finish=speed.finish(left, ledger.clock()) if left else None,
        unsent=0 if told == frozenset() else count_unsent(ledger, told),
        pauses=request.state.desk.paused(),
        breakers=request.state.desk.broken(),
        at_risk=sum(one.number for one in request.state.desk.at_risk()),
    )


routes = [page("/", home, right=Right.SEE_FIGURES)]
