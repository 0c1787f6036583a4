"""The page of one case: what came in, what was done, and why it is where it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from casehand.console.actions import Action
from casehand.console.desk import Desk, NoSuchCase
from casehand.console.person import Person
from casehand.console.rights import Right
from casehand.console.web.cases import STATES
from casehand.console.web.evidence import kept_of, viewer_path
from casehand.console.web.fields import CaseField, fields_of_case, fields_of_result
from casehand.console.web.home import WHY
from casehand.console.web.page import page
from casehand.console.web.paths import case_path, path_segment
from casehand.console.web.rendering import render
from casehand.console.web.story import changes_of, timeline
from casehand.queue.cases import CaseLine, CaseStory, cases_called
from casehand.queue.holdups import Ahead, Holdups, holdups
from casehand.queue.risk import Why
from casehand.queue.state import State
from casehand.queue.storable import is_storable

MOST_CALLED = 50
"""Cases with one reference that are looked at."""
LATEST = 10
"""Attempts that are told of, unless all are asked for."""
MOST_ENTRIES = 100
"""Of the audit of one case."""

WORDS: Mapping[Action, str] = {
    Action.TAKE: "Take it",
    Action.GIVE_BACK: "Give it back",
    Action.HAND_ON: "Hand it on",
    Action.ANSWER: "Answer what is asked",
    Action.RETURN: "Send it back to be worked again",
    Action.AMEND: "Amend it and send it back",
    Action.CLOSE: "Close it",
    Action.CANCEL: "Cancel it",
    Action.COMMENT: "Add a comment",
    Action.SET_DUE: "Set the due date",
    Action.SET_PRIORITY: "Set the priority",
}
"""What may be done, as a link says it."""

FORMS = {
    Action.CANCEL: "cancel_case",
    Action.COMMENT: "comment_on_case",
    Action.SET_DUE: "set_due_date",
    Action.SET_PRIORITY: "set_case_priority",
}
"""The route functions of the forms that are here; the others are the escalation's."""

ASKED_FOR = frozenset({Action.HAND_ON, Action.RETURN, Action.AMEND, Action.CLOSE})
"""What the escalation's page asks once more for, on a page of its own."""

SAID: Mapping[str, str] = {
    "cancelled": "The case is cancelled.",
    "commented": "Your comment is kept with the case.",
    "due": "The due date is set.",
    "priority": "The priority is set.",
}
"""What is said after something was done, by what the address says of it."""


RISKS: Mapping[Why, str] = {
    Why.PACE: "at the pace at which cases are worked, its turn does not come in time",
    Why.HELD: "it is held back, and its date is near",
    Why.STILL: "its date is near, and nothing is being worked",
    Why.LATER: "it may not begin before its due date",
}
"""Why a case may miss its due date, in words."""


@dataclass(frozen=True)
class Offer:
    """Something that may be done now, and where."""

    words: str
    path: str


def show_case(request: Request) -> Response:
    """Show the case that people mean by a reference, and the others that have it."""
    person: Person = request.state.person
    desk: Desk = request.state.desk
    reference: str = request.path_params["reference"]
    called = _called(desk, reference)
    line = _chosen(called, request.query_params.get("case"))
    if reference != line.reference and (path := case_path(line.reference, line.id)) != request.url.path:
        return RedirectResponse(path, 303)
    sees = desk.may(Right.SEE_CASES, line.workflow)
    story = desk.story_of(line)
    kept = kept_of(request, line.id) if sees else {}
    held = holdups(desk.ledger, line.id) if line.state is State.QUEUED else Holdups(None, (), ())
    tells_all = request.query_params.get("attempts") == "all"
    return render(
        request,
        "cases/show.html",
        line=story.line,
        story=story,
        sees=sees,
        fields=_fields(request, story),
        result=fields_of_result(story.result),
        held=held,
        risk=None if (risk := desk.risk_of(line)) is None else RISKS[risk],
        ahead=_path_to(desk, held.behind, line),
        waits=next((one for one in story.escalations if one.settled_at is None), None),
        working=_in_work(story),
        changes=changes_of(story, kept),
        timeline=timeline(story, kept, None if tells_all else LATEST),
        earlier=0 if tells_all else max(0, len(story.attempts) - LATEST),
        offers=_offers(request, desk, line, story.is_erased),
        others=[one for one in called if one.id != line.id],
        entries=story.audit[-MOST_ENTRIES:] if desk.may(Right.SEE_AUDIT, line.workflow) else None,
        viewer_path=viewer_path,
        states=STATES,
        why=WHY,
        said=SAID.get(request.query_params.get("said", "")),
        me=person.id,
    )


routes = [page("/cases/{reference:path}", show_case, right=Right.SEE_STRUCTURE)]


def _called(desk: Desk, reference: str) -> list[CaseLine]:
    if not is_storable(reference):
        raise NoSuchCase(reference)
    found = cases_called(desk.ledger, reference, desk.workflows_with(Right.SEE_STRUCTURE), MOST_CALLED)
    if not found:
        raise NoSuchCase(reference)
    return found


def _chosen(called: Sequence[CaseLine], case: str | None) -> CaseLine:
    if case is None:
        return called[0]
    for one in called:
        if one.id == case:
            return one
    raise HTTPException(404)


def _fields(request: Request, story: CaseStory) -> list[CaseField]:
    workflow = request.app.state.site.workflows.get(story.line.workflow)
    return fields_of_case(story.data, None if workflow is None else workflow.model)


def _path_to(desk: Desk, ahead: Ahead | None, line: CaseLine) -> str | None:
    """Where the case is that goes first; None where this person may not know of it."""
    if ahead is None or not desk.may(Right.SEE_STRUCTURE, ahead.workflow):
        return None
    return case_path(line.reference, ahead.case)


def _in_work(story: CaseStory) -> object:
    last = story.attempts[-1] if story.attempts else None
    return last if last is not None and last.ended_at is None else None


def _offers(request: Request, desk: Desk, line: CaseLine, is_erased: bool) -> list[Offer]:
    """Links to what may be done now; of an erased case nothing can be."""
    if is_erased:
        return []
    return [Offer(WORDS[one], _place_for(request, one, line)) for one in desk.actions_for(line.id)]


def _place_for(request: Request, action: Action, line: CaseLine) -> str:
    if action in FORMS:
        return str(request.app.url_path_for(FORMS[action], case=line.id))
    query = {"workflow": line.workflow}
    if action in ASKED_FOR:
        query["do"] = str(action)
    return f"/escalations/{path_segment(line.reference, line.id)}?{urlencode(query)}"
