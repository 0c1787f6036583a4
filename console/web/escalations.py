"""An escalation's page: one case that waits for a person, with everything on it and the few things one may do."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from casehand.console.actions import RIGHT_FOR, Action
from casehand.console.desk import Desk, NoSuchCase, NotAllowed
from casehand.console.rights import Right
from casehand.console.web.form import Drawn, draw, typed_from, typed_of
from casehand.console.web.home import WHY
from casehand.console.web.looking import Looked, find_waiting, look
from casehand.console.web.page import page
from casehand.console.web.paths import case_path
from casehand.console.web.rendering import render
from casehand.console.web.settling import (
    Settling,
    Wrong,
    data_as_typed,
    form_of,
    receivers,
    settle,
)
from casehand.console.web.worklist import address_of
from casehand.queue.cases import CaseLine
from casehand.queue.escalations import similar
from casehand.queue.outcome import EscalationKind
from casehand.queue.too_late import Taken, TooLate
from casehand.queue.worklist import Under

CONFLICT = 409
UNPROCESSABLE = 422
MOST_ALIKE = 10
LARGEST_SEEN = 2**63

SETTLERS = frozenset({Action.ANSWER, Action.RETURN, Action.AMEND, Action.CLOSE, Action.CANCEL})
"""After these the case waits no more."""

OWN_PAGES: Mapping[Action, str] = {
    Action.HAND_ON: "Hand it on to somebody else",
    Action.SET_DUE: "Set the due date",
    Action.RETURN: "Send it back to be worked again",
    Action.AMEND: "Amend it and send it back",
    Action.CLOSE: "Close it",
    Action.CANCEL: "Cancel it",
}
"""What has a page of its own, which says what will come of it, and asks once more."""

EXPLAINED: Mapping[EscalationKind, str] = {
    EscalationKind.BUSINESS: "The rules say that a person must decide. Do the case by hand and close it, amend it, "
    "or cancel it.",
    EscalationKind.QUESTION: "The robot needs an answer, and goes on with it.",
    EscalationKind.FAILURE: "The legacy system failed too often, so the robot has given up. When the system works "
    "again, send the case back; or do it by hand and close it.",
    EscalationKind.FAULT: "The workflow has a fault, which its developers have to mend. Then send the case back; or "
    "do it by hand and close it.",
    EscalationKind.IN_DOUBT: "The robot was making a change in the legacy system, and could not see whether it was "
    "made. Look in the system, then say what you found.",
    EscalationKind.LATE: "Its due date passed before a robot could begin it, and no robot works it late by itself. "
    "Send it back to be worked late, give it another due date first, do it by hand and close it, or cancel it.",
}

SAID: Mapping[str, str] = {
    str(Action.TAKE): "You have taken this case.",
    str(Action.GIVE_BACK): "The case is free for anybody to take.",
    str(Action.HAND_ON): "The case is handed on.",
    str(Action.COMMENT): "Your comment is kept with the case.",
    str(Action.SET_DUE): "The due date is set.",
    "unsure": "Nothing is changed: the case still waits for somebody who can tell.",
}


def escalation(request: Request) -> Response:
    """Show one case that waits for a person, or one thing that may be done with it."""
    found = find_waiting(request, request.path_params["which"], request.query_params.get("workflow"))
    if len(found) > 1:
        return render(request, "escalations/which.html", found=[(one, _address(one, True)) for one in found])
    looked = look(request, found[0].id)
    action = _own_page(request, looked)
    if action is not None:
        return _show_action(request, looked, action)
    return _show(request, looked)


def settle_escalation(request: Request) -> Response:
    """Do what was asked for, by a form of the page."""
    desk: Desk = request.state.desk
    action = _action(request.state.form.get("_do"))
    looked = look(request, _case_of(request))
    if not desk.may(RIGHT_FOR[action], looked.line.workflow):
        raise NotAllowed(RIGHT_FOR[action], looked.line.workflow)
    given = Settling(request, desk, looked, request.state.form, _seen(request))
    if action is Action.ANSWER and looked.in_doubt and given.is_as_seen and given.text("answer") == "unsure":
        return _leave(request, looked)
    try:
        settle(action, given)
    except (TooLate, Taken) as late:
        return _too_late(request, given, action, late)
    except Wrong as wrong:
        return _again(request, look(request, looked.line.id), action, wrong)
    if action in SETTLERS:
        return RedirectResponse(f"{request.app.url_path_for('escalations')}?settled={given.seen}", 303)
    return _back(request, looked.line, str(action))


routes = [
    page("/escalations/{which:path}", escalation, right=Right.SEE_STRUCTURE),
    page("/escalations/{which:path}", settle_escalation, right=Right.SETTLE, methods=["POST"]),
]


def _show(
    request: Request,
    looked: Looked,
    status: int = 200,
    errors: Mapping[str, str] | None = None,
    faults: Mapping[str, str] | None = None,
) -> Response:
    desk: Desk = request.state.desk
    alike: Sequence[Any] = ()
    if looked.waits is not None:
        mine = desk.workflows_with(Right.SEE_STRUCTURE)
        alike = similar(desk.ledger, looked.waits.id, mine, MOST_ALIKE + 1)
    return render(
        request,
        "escalations/show.html",
        status,
        looked=looked,
        line=looked.line,
        one=looked.waits,
        last=looked.last,
        here=_here(request, looked.line),
        drawn=_drawn_question(request, looked, faults or {}),
        alike=[(one, address_of(one.reference, one.case)) for one in alike[:MOST_ALIKE]],
        has_more_alike=len(alike) > MOST_ALIKE,
        ways=[(action, title) for action, title in OWN_PAGES.items() if action in looked.actions],
        said=SAID.get(request.query_params.get("said", "")),
        errors=errors or {},
        typed=_typed(request),
        why=WHY,
        explained=EXPLAINED,
        story_path=case_path(
            looked.line.reference, looked.line.id if "workflow" in request.query_params else None
        ),
        settled_words=SETTLED,
        Action=Action,
    )


def _show_action(
    request: Request,
    looked: Looked,
    action: Action,
    status: int = 200,
    errors: Mapping[str, str] | None = None,
    faults: Mapping[str, str] | None = None,
) -> Response:
    return render(
        request,
        "escalations/settle.html",
        status,
        looked=looked,
        line=looked.line,
        one=looked.waits,
        here=_here(request, looked.line),
        action=action,
        title=OWN_PAGES[action],
        drawn=_drawn_action(request, looked, action, faults or {}),
        receivers=receivers(request.state.desk.ledger, looked) if action is Action.HAND_ON else [],
        errors=errors or {},
        typed=_typed(request),
        unsure=request.query_params.get("why") == "unsure",
        Action=Action,
    )


def _drawn_question(request: Request, looked: Looked, faults: Mapping[str, str]) -> list[Drawn]:
    if looked.form is None or not looked.sees_data:
        return []
    typed = _typed_fields(request, "answer")
    if typed is None and isinstance(looked.earlier_answer, dict):
        typed = typed_from(looked.form, "answer", looked.earlier_answer)
    return draw(looked.form, "answer", typed or {}, faults)


def _drawn_action(request: Request, looked: Looked, action: Action, faults: Mapping[str, str]) -> list[Drawn]:
    if action not in (Action.AMEND, Action.SET_DUE):
        return []
    schema, prefix = form_of(action, request, looked)
    if schema is None:
        return []
    typed = _typed_fields(request, prefix)
    if typed is None:
        typed = _before(request, looked, action, schema)
    return draw(schema, prefix, typed, faults)


def _before(request: Request, looked: Looked, action: Action, schema: Any) -> dict[str, list[str]]:
    """What stands in the fields before anybody types."""
    if action is Action.AMEND:
        return data_as_typed(request, looked, schema)
    due = looked.line.due
    day = None if due is None else due.astimezone(request.app.state.site.zone).date().isoformat()
    return typed_from(schema, "due", {"date": day})


def _typed_fields(request: Request, prefix: str) -> dict[str, list[str]] | None:
    """What was sent of a form; None when the page is only looked at."""
    if request.method != "POST":
        return None
    return typed_of(request.state.form, prefix) or None


def _typed(request: Request) -> dict[str, str]:
    """What was sent into the single fields, to stand there again."""
    if request.method != "POST":
        return {}
    return {name: value for name, value in request.state.form.multi_items() if isinstance(value, str)}


def _again(request: Request, looked: Looked, action: Action, wrong: Wrong) -> Response:
    """The page once more, with what is wrong and all that was typed."""
    if action in OWN_PAGES:
        return _show_action(request, looked, action, UNPROCESSABLE, wrong.errors, wrong.faults)
    return _show(request, looked, UNPROCESSABLE, wrong.errors, wrong.faults)


def _too_late(request: Request, given: Settling, action: Action, late: TooLate | Taken) -> Response:
    """Who was quicker, when and how; what was typed is still there, to be used elsewhere."""
    looked = look(request, given.case)
    typed = [
        (_label(name), value)
        for name, value in request.state.form.multi_items()
        if isinstance(value, str) and value and not name.startswith("_")
    ]
    return render(
        request,
        "escalations/too_late.html",
        CONFLICT,
        late=late,
        is_taken=isinstance(late, Taken),
        looked=looked,
        line=looked.line,
        here=_here(request, looked.line),
        typed=typed,
        settled_words=SETTLED,
    )


SETTLED: Mapping[str, str] = {
    "answered": "answered it, and the case is queued to be worked on",
    "returned": "sent the case back to be worked again",
    "amended": "amended the case and sent it back to be worked again",
    "closed": "closed the case",
    "cancelled": "cancelled the case",
}
"""How somebody has settled it."""


def _label(name: str) -> str:
    parts = [part for part in name.split(".") if part not in ("answer", "data", "due")]
    return " ".join(parts or [name]).replace("_", " ").capitalize()


def _leave(request: Request, looked: Looked) -> Response:
    """Somebody cannot tell: he may hand it on, or leave it for others."""
    if Action.HAND_ON in looked.actions:
        where = _here(request, looked.line)
        joint = "&" if "?" in where else "?"
        return RedirectResponse(f"{where}{joint}do=hand+on&why=unsure", 303)
    return _back(request, looked.line, "unsure")


def _back(request: Request, line: CaseLine, said: str) -> Response:
    where = _here(request, line)
    joint = "&" if "?" in where else "?"
    return RedirectResponse(f"{where}{joint}said={said.replace(' ', '+')}", 303)


def _address(line: CaseLine | Under, with_workflow: bool = False) -> str:
    return address_of(line.reference, line.id, line.workflow if with_workflow else None)


def _here(request: Request, line: CaseLine) -> str:
    """The address of the case's page, as plain as the present one."""
    return _address(line, "workflow" in request.query_params)


def _own_page(request: Request, looked: Looked) -> Action | None:
    """The thing that the address asks to do, if it can be done now. Raises NotAllowed."""
    wanted = request.query_params.get("do")
    if wanted is None:
        return None
    action = _action(wanted)
    if not request.state.desk.may(RIGHT_FOR[action], looked.line.workflow):
        raise NotAllowed(RIGHT_FOR[action], looked.line.workflow)
    return action if action in looked.actions and action in OWN_PAGES else None


def _action(text: object) -> Action:
    if text not in set(Action):
        raise HTTPException(400, "It was not said what is to be done.")
    return Action(str(text))


def _case_of(request: Request) -> str:
    """The id of the case that the form was for, which must be that of the address."""
    which = request.path_params["which"]
    case = request.state.form.get("_case")
    found = find_waiting(request, which, None)
    ids = {one.id for one in found}
    if isinstance(case, str) and case not in ids:
        line: CaseLine = request.state.desk.find(case)
        if which not in (line.reference, line.id):
            raise NoSuchCase(which)
        return line.id
    return case if isinstance(case, str) else found[0].id


def _seen(request: Request) -> int:
    text = str(request.state.form.get("_seen", ""))
    if not (text.isascii() and text.isdigit() and int(text[:20]) < LARGEST_SEEN):
        raise HTTPException(400, "It was not said which escalation was looked at.")
    return int(text)
