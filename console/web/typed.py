"""What people type into forms: read, or refused in words that stand beside the field."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from casehand.exceptions import CasehandError
from casehand.queue.urgency import HIGHEST
from casehand.queue.when import Edge, read_moment


def typed(request: Request, *names: str) -> dict[str, str]:
    """The fields of a form, empty where they are missing; a file has no place among them."""
    form = request.state.form
    return {name: value if isinstance(value := form.get(name, ""), str) else "" for name in names}


def moment_typed(request: Request, text: str, edge: Edge = Edge.BEGIN) -> datetime | None:
    """A local date and time, such as 24/11/2026 17:00, or one in words; None for an empty field."""
    if not text.strip():
        return None
    site, desk = request.app.state.site, request.state.desk
    try:
        return read_moment(text, desk.ledger.clock(), site.settings.working_calendar, edge)
    except CasehandError:
        raise CasehandError("Enter a date and time, such as 24/11/2026 17:00 or in 3 working days") from None


def priority_typed(text: str) -> int:
    """A priority; 0 for an empty field."""
    try:
        number = int(text.strip() or "0")
    except ValueError:
        number = HIGHEST + 1
    if not -HIGHEST <= number <= HIGHEST:
        raise CasehandError(f"Enter a whole number from {-HIGHEST:,} to {HIGHEST:,}, such as 5")
    return number


def sentence(error: object) -> str:
    """A reason, as a message in a form begins."""
    text = str(error)
    return text[:1].upper() + text[1:]


def see_and_say(request: Request, name: str, said: str, /, **where: Any) -> Response:
    """Go on to a page that says what was done: `said` is one of its own words for that, by name."""
    return RedirectResponse(f"{request.app.url_path_for(name, **where)}?said={said}", 303)


def what_was_said(request: Request, words: Mapping[str, str]) -> str | None:
    """The message that an address asks for, of those that the page has."""
    return words.get(request.query_params.get("said", ""))
