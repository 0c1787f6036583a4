"""The forms for one case, whatever it waits for: cancel it, comment on it, say by when and how urgent it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, time

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from casehand.console.actions import RIGHT_FOR, Action
from casehand.console.days import as_day
from casehand.console.desk import Desk, NoSuchCase, NotAllowed, Taken, TooLate
from casehand.console.rights import Right
from casehand.console.web.page import page
from casehand.console.web.paths import case_path
from casehand.console.web.rendering import render
from casehand.exceptions import CasehandError
from casehand.queue.cases import CaseLine
from casehand.queue.urgency import HIGHEST

WRONG = 422
DAY_ENDS = time(23, 59)
"""When a day is over on which something is due."""


@dataclass(frozen=True)
class Form:
    """What one of the forms says and asks."""

    action: Action
    title: str
    says: str
    field: str
    label: str
    hint: str
    kind: str  #: textarea, date or number
    button: str
    done: str  #: what the case's page is told
    is_warning: bool = False


CANCEL = Form(
    Action.CANCEL,
    "Cancel this case",
    "It will not be worked, by a robot or by a person. This cannot be undone: hand it in again if it was a mistake.",
    "reason",
    "Why is it cancelled?",
    "It is kept with the case, for those who look at it later.",
    "textarea",
    "Cancel the case",
    "cancelled",
    is_warning=True,
)
COMMENT = Form(
    Action.COMMENT,
    "Add a comment",
    "",
    "text",
    "Comment",
    "Everybody who may see what the case holds can read it. It cannot be changed afterwards.",
    "textarea",
    "Add the comment",
    "commented",
)
DUE = Form(
    Action.SET_DUE,
    "Set the due date",
    "",
    "due",
    "By which day must it be settled?",
    "Such as 2026-04-06. Leave it empty for no date.",
    "date",
    "Set the due date",
    "due",
)
PRIORITY = Form(
    Action.SET_PRIORITY,
    "Set the priority",
    "Cases of a higher priority are worked first. Most have 0.",
    "priority",
    "Priority",
    f"A whole number from {-HIGHEST:,} to {HIGHEST:,}.",
    "number",
    "Set the priority",
    "priority",
)


def cancel_case(request: Request) -> Response:
    """Cancel a case."""
    return _fill_in(request, CANCEL, "", _cancel)


def comment_on_case(request: Request) -> Response:
    """Comment on a case."""
    return _fill_in(request, COMMENT, "", lambda desk, case, typed: desk.comment(case, typed))


def set_due_date(request: Request) -> Response:
    """Say by when a case must be done or settled."""
    zone = request.app.state.site.zone
    line = _line(request)
    now = "" if line.due is None else line.due.astimezone(zone).date().isoformat()

    def set_due(desk: Desk, case: str, typed: str) -> None:
        day = as_day(typed or None, "the day")
        desk.set_due(case, None if day is None else datetime.combine(day, DAY_ENDS, zone))

    return _fill_in(request, DUE, now, set_due)


def set_case_priority(request: Request) -> Response:
    """Say how urgent a case is."""
    return _fill_in(request, PRIORITY, str(_line(request).priority), _set_priority)


FORMS: Mapping[str, Callable[[Request], Response]] = {
    "/case/{case}/cancel": cancel_case,
    "/case/{case}/comment": comment_on_case,
    "/case/{case}/due": set_due_date,
    "/case/{case}/priority": set_case_priority,
}

routes = [
    page(path, show, right=Right.SEE_STRUCTURE, methods=["GET", "POST"]) for path, show in FORMS.items()
]


def _fill_in(request: Request, form: Form, now: str, do: Callable[[Desk, str, str], object]) -> Response:
    """Show the form, or do what it was sent for and go back to the case."""
    desk: Desk = request.state.desk
    line = _line(request)
    if not desk.may(RIGHT_FOR[form.action], line.workflow):
        raise NotAllowed(RIGHT_FOR[form.action], line.workflow)
    if request.method != "POST":
        if form.action not in desk.actions_for(line.id):
            raise HTTPException(409, "This cannot be done to the case as it is now.")
        return _show(request, form, line, now)
    typed = str(request.state.form.get(form.field, "")).strip()
    try:
        do(desk, line.id, typed)
    except (NotAllowed, NoSuchCase, TooLate, Taken):
        raise
    except CasehandError as error:
        return _show(request, form, line, typed, str(error))
    return RedirectResponse(_said(line, form), 303)


def _said(line: CaseLine, form: Form) -> str:
    """The case's page, which says what was done."""
    path = case_path(line.reference, line.id)
    return f"{path}{'&' if '?' in path else '?'}said={form.done}"


def _show(request: Request, form: Form, line: CaseLine, typed: str, error: str | None = None) -> Response:
    errors = {} if error is None else {form.field: f"{error[:1].upper()}{error[1:]}"}
    return render(
        request,
        "cases/form.html",
        WRONG if errors else 200,
        form=form,
        line=line,
        typed=typed,
        errors=errors,
    )


def _line(request: Request) -> CaseLine:
    case = request.path_params["case"]
    line: CaseLine = request.state.desk.find(case)
    if line.id != case:
        raise HTTPException(404)
    return line


def _cancel(desk: Desk, case: str, typed: str) -> None:
    if not typed:
        raise CasehandError("say why it is cancelled")
    desk.cancel(case, typed)


def _set_priority(desk: Desk, case: str, typed: str) -> None:
    try:
        priority = int(typed)
    except ValueError:
        raise CasehandError(f"the priority must be a whole number from {-HIGHEST:,} to {HIGHEST:,}") from None
    desk.set_priority(case, priority)
