"""What people type into forms: read, or refused in words that stand beside the field."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from casehand.exceptions import CasehandError
from casehand.queue.urgency import HIGHEST


def typed(request: Request, *names: str) -> dict[str, str]:
    """The fields of a form, empty where they are missing; a file has no place among them."""
    form = request.state.form
    return {name: value if isinstance(value := form.get(name, ""), str) else "" for name in names}


def moment_typed(text: str, zone: ZoneInfo) -> datetime | None:
    """A local date and time as browsers send it, such as 2026-11-24T17:00; None for an empty field."""
    if not text.strip():
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        # Where it has no place in UTC, it cannot be kept.
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        moment.astimezone(ZoneInfo("UTC"))
    except (ValueError, OverflowError):
        raise CasehandError("Enter a date and time, such as 24/11/2026 17:00") from None
    return moment


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
