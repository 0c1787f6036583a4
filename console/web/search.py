"""The one search box: a reference leads to its case; otherwise what begins so, and what waits for such a reason."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from casehand.console.desk import Desk, NoSuchCase
from casehand.console.rights import Right
from casehand.console.web.cases import STATES
from casehand.console.web.home import WHY
from casehand.console.web.page import page
from casehand.console.web.paths import case_path
from casehand.console.web.rendering import render

MOST = 25
"""Of each kind of find: who finds more types more."""


def search(request: Request) -> Response:
    """Find cases, batches and what waits for a person."""
    desk: Desk = request.state.desk
    sought = request.query_params.get("q", "").strip()
    if (path := _exactly(desk, sought)) is not None:
        return RedirectResponse(path, 303)
    return render(
        request,
        "search.html",
        sought=sought,
        most=MOST,
        references=desk.find_references(sought, MOST + 1),
        batches=desk.find_batches(sought, MOST + 1),
        reasons=desk.find_reasons(sought, MOST + 1),
        reads=desk.workflows_with(Right.SEE_CASES) != frozenset(),
        states=STATES,
        why=WHY,
    )


routes = [page("/search", search, right=Right.SEE_STRUCTURE)]


def _exactly(desk: Desk, sought: str) -> str | None:
    """The path of the case with this reference, as typed or as references are written; None where there is none."""
    for spelling in dict.fromkeys((sought, sought.upper())):
        try:
            found = desk.find(spelling)
        except NoSuchCase:
            continue
        return case_path(found.reference)
    return None
