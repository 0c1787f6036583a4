"""The navigation: the pages that every other leads to."""

from starlette.requests import Request
from starlette.routing import NoMatchFound

from casehand.console.rights import Right, workflows_with

PAGES = (
    ("Home", "home", Right.SEE_FIGURES),
    ("Needs a person", "escalations", Right.SEE_STRUCTURE),
    ("Cases", "cases", Right.SEE_STRUCTURE),
    ("Batches", "batches", Right.SEE_STRUCTURE),
    ("Schedules", "schedules", Right.SEE_STRUCTURE),
    ("Actions on many", "bulks", Right.SEE_STRUCTURE),
    ("Pausing", "pausing", Right.SEE_STRUCTURE),
    ("Figures", "figures", Right.SEE_FIGURES),
    ("Audit", "audit", Right.SEE_AUDIT),
    ("Messages", "messages", Right.MANAGE_MESSAGES),
)
"""What each is called, its route function, and the right that it takes; one that is not there is left out."""


def navigation(request: Request) -> list[dict[str, object]]:
    """The links for the person who looks, as GOV.UK's service navigation takes them."""
    here = request.url.path
    found = []
    for title, name, right in PAGES:
        path = _path(request, name)
        if path is None or workflows_with(request.state.person, right) == frozenset():
            continue
        is_below = path != "/" and here.startswith(f"{path}/")
        found.append({"text": title, "href": path, "current": here == path, "active": is_below})
    return found


def _path(request: Request, name: str) -> str | None:
    try:
        return str(request.app.url_path_for(name))
    except NoMatchFound:
        return None
