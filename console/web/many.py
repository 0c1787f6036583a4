"""Acting on many: one thing is done to the cases of a filter or a selection, after a look at how many and which."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from casehand.console.desk import Desk
from casehand.console.rights import Right
from casehand.console.web.batches import STATES
from casehand.console.web.home import WHY
from casehand.console.web.page import page
from casehand.console.web.rendering import render
from casehand.console.web.sorting import LATEST_FIRST, sort_by_time
from casehand.console.web.typed import moment_typed, see_and_say, sentence, typed, what_was_said
from casehand.exceptions import CasehandError
from casehand.queue.bulk import LATE, Bulk, BulkAction, Came, outcomes
from casehand.queue.bulk_filter import BulkFilter, Preview, digests_of_words
from casehand.queue.outcome import EscalationKind
from casehand.queue.state import State
from casehand.queue.when import Edge

AT_ONCE = 25
REFUSED_AT_ONCE = 50
MOST_SELECTED = 200
"""Cases that are selected in a page: more would be a filter."""

SAID = {
    "begun": "It has begun.",
    "paused": "It is paused: what was done stays done.",
    "resumed": "It goes on.",
    "cancelled": "It is cancelled: what was done stays done, and nothing more will be.",
}


@dataclass(frozen=True)
class Deed:
    """An action on many, as the pages speak of it."""

    title: str  #: of the button, with the number of cases behind it
    done: str  #: what it is called in a list
    words: str  #: what will happen to each case
    value: str | None = None  #: what more it needs
    final: bool = False  #: whether it cannot be taken back


DEEDS: Mapping[BulkAction, Deed] = {
    BulkAction.RETURN: Deed(
        "Send back",
        "Send back to the robots",
        "Each case is worked again by the robots. A change that was made already is not made twice.",
    ),
    BulkAction.CLOSE: Deed(
        "Close",
        "Close",
        "Each case is closed, as done by hand or turned down, with your note. "
        "A case of which it is not known whether a change was made is left alone.",
        "note",
        final=True,
    ),
    BulkAction.CANCEL: Deed(
        "Cancel",
        "Cancel",
        "Each case that has not begun or that waits for a person is cancelled, and the robots never work it. "
        "A case in work is left alone, and so is one of which it is not known whether a change was made.",
        final=True,
    ),
    BulkAction.HAND_ON: Deed(
        "Hand on",
        "Hand on to somebody",
        "Each case that waits for a person is given to one person, whoever had it before.",
        "to",
    ),
    BulkAction.SET_DUE: Deed(
        "Set the due date of",
        "Set the due date",
        "Each case that is not over must be done or settled by the same date and time.",
        "due",
    ),
    BulkAction.SET_PRIORITY: Deed(
        "Set the priority of",
        "Set the priority",
        "Each case that is not over gets the same priority: higher is worked first.",
        "priority",
    ),
    BulkAction.PUT_OFF: Deed(
        "Put off",
        "Put off",
        "Each case that has not begun waits until the same date and time. Those in work go on.",
        "begin",
    ),
}

_FILTER = ("workflow", "batch", "state", "kind", "alike", "due_before", "assigned_to", "words")
_MISSING = {
    "note": "Enter what was done about the cases",
    "to": "Enter whom the cases are given to",
    "due": "Enter by when, such as 24/11/2026 17:00",
    "priority": "Enter a whole number, such as 5",
    "begin": "Enter when they may begin, such as 24/11/2026 07:00",
}


@dataclass(frozen=True)
class Choice:
    """The cases that an address or a form names, by a filter or one by one."""

    filter: BulkFilter
    cases: list[str]
    fields: list[tuple[str, str]]  #: as they were given, to be given again
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing: then nothing is done."""
        return not self.cases and self.filter == BulkFilter()


def bulks(request: Request) -> Response:
    """List what was done to many cases."""
    desk: Desk = request.state.desk
    sorted_by = sort_by_time(request)
    found = desk.bulks(AT_ONCE + 1, request.query_params.get("after"), oldest_first=sorted_by != LATEST_FIRST)
    return render(
        request,
        "bulk/list.html",
        bulks=[(one, _sees(desk, one)) for one in found[:AT_ONCE]],
        after=found[AT_ONCE - 1].id if len(found) > AT_ONCE else None,
        sorted_by=sorted_by,
        deeds=DEEDS,
    )


def new_bulk(request: Request) -> Response:
    """Show what would be done to which cases, and ask why; nothing is done yet."""
    choice = _choice(request, request.query_params.multi_items())
    action = _action(request.query_params.get("action", ""))
    return _show_new(request, choice, action, {})


def begin_bulk(request: Request) -> Response:
    """Begin, when the person has seen what will be done and has said why."""
    desk: Desk = request.state.desk
    form = [(name, text) for name, text in request.state.form.multi_items() if isinstance(text, str)]
    choice = _choice(request, form)
    given = typed(
        request, "action", "reason", "note", "to", "due", "priority", "begin", "late", "total", "sure"
    )
    action = _action(given["action"])
    if action is None or choice.is_empty or choice.errors:
        return _show_new(request, choice, action, given)
    value, errors = _value(request, action, given)
    if not given["reason"].strip():
        errors["reason"] = "Enter why this is done"
    if not errors:
        errors = _have_grown(request, action, choice, given["total"])
    if errors:
        return _show_new(request, choice, action, given, errors)
    try:
        bulk = desk.begin_bulk(action, choice.cases or choice.filter, given["reason"], value)
    except CasehandError as error:
        return _show_new(request, choice, action, given, {_field_of(error, action): sentence(error)})
    return see_and_say(request, "show_bulk", "begun", bulk=bulk)


def show_bulk(request: Request) -> Response:
    """Show how far it is, and which cases it was refused for."""
    desk, bulk = request.state.desk, _bulk(request)
    after = request.query_params.get("after", "")
    behind = int(after) if after.isdecimal() and len(after) < 10 else None
    refused = outcomes(desk.ledger, bulk.id, Came.REFUSED, REFUSED_AT_ONCE + 1, behind)
    return render(
        request,
        "bulk/show.html",
        bulk=bulk,
        deed=DEEDS[bulk.action],
        which=_in_words(json.loads(bulk.filter)),
        sees=_sees(desk, bulk),
        may_act=all(desk.may(Right.ACT_ON_MANY, one) for one in bulk.workflows),
        refused=refused[:REFUSED_AT_ONCE],
        after=refused[REFUSED_AT_ONCE - 1].number if len(refused) > REFUSED_AT_ONCE else None,
        said=what_was_said(request, SAID),
    )


def pause_bulk(request: Request) -> Response:
    """Let it wait."""
    return _changed(request, "paused", request.state.desk.pause_bulk)


def resume_bulk(request: Request) -> Response:
    """Let it go on."""
    return _changed(request, "resumed", request.state.desk.resume_bulk)


def cancel_bulk(request: Request) -> Response:
    """End it."""
    return _changed(request, "cancelled", request.state.desk.cancel_bulk)


routes = [
    page("/bulk", bulks, right=Right.SEE_STRUCTURE),
    page("/bulk/new", new_bulk, right=Right.ACT_ON_MANY),
    page("/bulk/new", begin_bulk, right=Right.ACT_ON_MANY, methods=["POST"]),
    page("/bulk/{bulk}", show_bulk, right=Right.SEE_STRUCTURE),
    page("/bulk/{bulk}/pause", pause_bulk, right=Right.ACT_ON_MANY, methods=["POST"]),
    page("/bulk/{bulk}/resume", resume_bulk, right=Right.ACT_ON_MANY, methods=["POST"]),
    page("/bulk/{bulk}/cancel", cancel_bulk, right=Right.ACT_ON_MANY, methods=["POST"]),
]


def _bulk(request: Request) -> Bulk:
    bulk: Bulk = request.state.desk.find_bulk(request.path_params["bulk"])
    return bulk


def _changed(request: Request, said: str, change: Any) -> Response:
    bulk = _bulk(request)
    change(bulk.id)
    return see_and_say(request, "show_bulk", said, bulk=bulk.id)


def _sees(desk: Desk, bulk: Bulk) -> bool:
    """Whether the person may read what somebody wrote of these cases."""
    return all(desk.may(Right.SEE_CASES, one) for one in bulk.workflows)


def _action(text: str) -> BulkAction | None:
    return BulkAction(text) if text in set(BulkAction) else None


def _choice(request: Request, items: list[tuple[str, str]]) -> Choice:
    """What an address or a form chooses."""
    site = request.app.state.site
    given = {name: text.strip() for name, text in items if name in _FILTER and text.strip()}
    cases = [text for name, text in items if name == "case" and text]
    fields = [*given.items(), *(("case", one) for one in cases)]
    if given and cases:
        return Choice(BulkFilter(), [], fields, {"which": "Choose cases by a filter or one by one, not both"})
    if len(cases) > MOST_SELECTED:
        text = f"Choose at most {MOST_SELECTED} cases, or use a filter"
        return Choice(BulkFilter(), [], [], {"which": text})
    try:
        words = given.get("words")
        which = BulkFilter(
            workflow=given.get("workflow"),
            batch=given.get("batch"),
            state=_one_of(State, given.get("state"), "state"),
            kind=_one_of(EscalationKind, given.get("kind"), "reason to wait"),
            alike=given.get("alike"),
            due_before=moment_typed(request, given.get("due_before", "")),
            assigned_to=given.get("assigned_to"),
            words=None if words is None else digests_of_words(site.ledger.vault, words),
        )
        if which != BulkFilter():
            which.check()
    except CasehandError as error:
        return Choice(BulkFilter(), [], fields, {"which": sentence(error)})
    return Choice(which, cases, fields)


def _one_of(kinds: Any, text: str | None, what: str) -> Any:
    if text is None:
        return None
    if text not in set(kinds):
        raise CasehandError(f"there is no such {what}")
    return kinds(text)


def _preview(desk: Desk, action: BulkAction, choice: Choice) -> Preview:
    if choice.cases:
        return desk.preview_selection(choice.cases)
    return desk.preview_bulk(action, choice.filter)


def _value(request: Request, action: BulkAction, given: dict[str, str]) -> tuple[str | None, dict[str, str]]:
    """What more the action needs, as the ledger takes it, or what is wrong with it."""
    name = DEEDS[action].value
    if action is BulkAction.RETURN:
        return (LATE if given["late"] else None), {}
    if name is None:
        return None, {}
    if not given[name].strip():
        return None, {name: _MISSING[name]}
    if name not in ("due", "begin"):
        return given[name], {}
    try:
        moment = moment_typed(request, given[name], Edge.END if name == "due" else Edge.BEGIN)
    except CasehandError as error:
        return None, {name: str(error)}
    return (None if moment is None else moment.isoformat()), {}


def _have_grown(request: Request, action: BulkAction, choice: Choice, total: str) -> dict[str, str]:
    """What is said when there are more cases now than the person was shown: nobody decided on those."""
    shown = int(total) if total.isdecimal() and len(total) < 10 else 0
    now = _preview(request.state.desk, action, choice).total
    if now <= shown:
        return {}
    return {"which": f"There are {now:,} cases now, and {shown:,} were shown: look again before you go on"}


def _field_of(error: CasehandError, action: BulkAction) -> str:
    """The field that a refusal is about."""
    value = DEEDS[action].value
    if "reason" in str(error):
        return "reason"
    return value if value is not None and "case" not in str(error) else "which"


def _show_new(
    request: Request,
    choice: Choice,
    action: BulkAction | None,
    given: dict[str, str],
    errors: dict[str, str] | None = None,
) -> Response:
    found = None
    wrong = {**choice.errors, **(errors or {})}
    if not choice.is_empty and not choice.errors and action is not None:
        found = _preview(request.state.desk, action, choice)
    said = {name: text for name, text in choice.fields if name != "case"}
    if choice.cases:
        said["selected"] = str(len(choice.cases))
    return render(
        request,
        "bulk/new.html",
        422 if wrong else 200,
        choice=choice,
        which=_in_words(said),
        action=action,
        deed=None if action is None else DEEDS[action],
        deeds=DEEDS,
        found=found,
        state_words=STATES,
        back=f"?{urlencode(choice.fields)}",
        given=given,
        errors=wrong,
    )


def _in_words(said: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A filter as a person reads it."""
    titles = {
        "workflow": "Workflow",
        "batch": "Batch",
        "state": "State",
        "kind": "Why they wait",
        "alike": "Reason",
        "due_before": "Due before",
        "assigned_to": "Taken by",
        "words": "Words of the reason",
        "selected": "Chosen one by one",
    }
    found = []
    for name, value in said.items():
        text = str(value)
        if name == "kind" and text in set(EscalationKind):
            text = WHY[EscalationKind(text)]
        elif name == "alike":
            text = "The same as that of the case it was begun from"
        elif name == "words" and not isinstance(value, str):
            text = "Some words, which are not kept"
        elif name == "due_before":
            text = _due(text)
        found.append((titles.get(name, name), text))
    return found


def _due(text: str) -> str:
    try:
        return datetime.fromisoformat(text).strftime("%d %B %Y at %H:%M")
    except ValueError:
        return text
