"""Settling: what each form of an escalation's page does, by way of the desk, and what it is told back."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request

from casehand.console.actions import Action
from casehand.console.desk import Desk, PastDue, WrongFields
from casehand.console.person import Person
from casehand.console.rights import Right, may
from casehand.console.web.door import as_person
from casehand.console.web.form import check, draw, errors_of, read, typed_from, typed_of
from casehand.console.web.looking import Looked
from casehand.console.web.site import Site
from casehand.exceptions import CasehandError
from casehand.queue import sessions
from casehand.queue.escalations import WAS_DONE, WAS_NOT_DONE
from casehand.queue.ledger import Ledger
from casehand.queue.too_late import Taken, TooLate
from casehand.workflows.amending import amended

DUE: Mapping[str, Any] = {
    "properties": {
        "date": {
            "type": "string",
            "format": "date",
            "title": "Due date",
            "description": "The last day on which it is in time.",
        }
    },
    "required": ["date"],
}
YES, NO, UNSURE = "yes", "no", "unsure"


class Wrong(Exception):
    """What was typed cannot be taken; says what is wrong, by where the error summary leads, and by path in a form."""

    def __init__(self, errors: Mapping[str, str], faults: Mapping[str, str] | None = None) -> None:
        self.errors = dict(errors)
        self.faults = dict(faults or {})
        super().__init__("what was typed cannot be taken")


@dataclass(frozen=True)
class Settling:
    """Somebody's word on a case, as it was sent."""

    request: Request
    desk: Desk
    looked: Looked
    form: FormData
    seen: int

    @property
    def case(self) -> str:
        """The case's id."""
        return self.looked.line.id

    @property
    def is_as_seen(self) -> bool:
        """Whether the case waits for what the person was shown."""
        return self.looked.waits is not None and self.looked.waits.id == self.seen

    @property
    def may_be_late(self) -> bool:
        """Whether the person has said that it may be worked though its due date has passed."""
        return bool(self.text("late"))

    def text(self, name: str) -> str:
        """What was typed into one field."""
        value = self.form.get(name)
        return value.replace("\r\n", "\n") if isinstance(value, str) else ""


def settle(action: Action, given: Settling) -> None:
    """Do it. Raises Wrong, TooLate, Taken, and whatever else the desk raises."""
    if action not in DO:
        raise Wrong({"main-content": "This cannot be done here"})
    try:
        DO[action](given)
    except WrongFields as wrong:
        raise Wrong(_errors(action, given, wrong), wrong.faults) from None
    except (TooLate, Taken):
        raise
    except PastDue:
        raise Wrong({"late": "Its due date has passed: tick the box to have it worked late"}) from None
    except CasehandError as error:
        if type(error) is not CasehandError:
            raise
        place = PLACES.get(action, "main-content")
        raise Wrong({place: f"{str(error)[:1].upper()}{str(error)[1:]}"}) from None


def receivers(ledger: Ledger, looked: Looked) -> list[Person]:
    """To whom a case may be handed on: those who have signed in of late, and may settle it."""
    known = [as_person(who) for who in sessions.people(ledger)]
    has_it = None if looked.waits is None else looked.waits.assigned_to
    return [one for one in known if may(one, Right.SETTLE, looked.line.workflow) and one.id != has_it]


def amendable(request: Request, looked: Looked) -> Any:
    """The schema of what can be amended: all but the reference; None when the workflow is not installed here."""
    site: Site = request.app.state.site
    workflow = site.workflows.get(looked.line.workflow)
    if workflow is None:
        return None
    schema = workflow.model.model_json_schema(by_alias=False)
    kept = {name: part for name, part in schema["properties"].items() if name != workflow.reference}
    return {
        **schema,
        "properties": kept,
        "required": [one for one in schema.get("required", ()) if one in kept],
    }


def data_as_typed(request: Request, looked: Looked, schema: Any) -> dict[str, list[str]]:
    """The case's data, as a person would have typed it."""
    site: Site = request.app.state.site
    fields = site.workflows[looked.line.workflow].model.model_fields
    by_alias = {info.alias or name: name for name, info in fields.items()}
    data = {by_alias.get(name, name): value for name, value in looked.story.data.items()}
    return typed_from(schema, "data", data)


def _take(given: Settling) -> None:
    given.desk.take(given.case, given.seen)


def _give_back(given: Settling) -> None:
    given.desk.give_back(given.case, given.seen)


def _hand_on(given: Settling) -> None:
    to = given.text("to")
    if to not in {one.id for one in receivers(given.desk.ledger, given.looked)}:
        raise Wrong({"to": "Choose whom to hand it on to"})
    given.desk.hand_on(given.case, to, given.seen)


def _answer(given: Settling) -> None:
    if not given.is_as_seen:
        # The desk knows who was quicker; what was typed is not for the question that is there now.
        given.desk.answer(given.case, "", given.seen)
    elif given.looked.in_doubt:
        given.desk.answer(
            given.case, _said_of_doubt(given.text("answer")), given.seen, may_be_late=given.may_be_late
        )
    elif given.looked.form is not None:
        typed = typed_of(given.form, "answer")
        given.desk.answer(
            given.case, check(given.looked.form, "answer", typed), given.seen, may_be_late=given.may_be_late
        )
    else:
        given.desk.answer(given.case, _chosen(given), given.seen, may_be_late=given.may_be_late)


def _said_of_doubt(text: str) -> str:
    if text not in (YES, NO):
        raise Wrong({"answer": "Choose whether it was done"})
    return WAS_DONE if text == YES else WAS_NOT_DONE


def _chosen(given: Settling) -> str:
    """The choice as the question has it: a browser writes the ends of lines in its own way."""
    question = given.looked.question or {}
    choices = {str(one).replace("\r\n", "\n"): str(one) for one in question.get("choices", ())}
    text = given.text("answer")
    if question and text not in choices:
        raise Wrong({"answer": "Choose an answer"})
    return choices.get(text, text)


def _return(given: Settling) -> None:
    given.desk.send_back(given.case, None, given.seen, may_be_late=given.may_be_late)


def _amend(given: Settling) -> None:
    schema = amendable(given.request, given.looked)
    if schema is None:
        raise Wrong(
            {"main-content": "The workflow is not installed here: amend the case on the command line"}
        )
    if not given.is_as_seen:
        # The desk knows who was quicker.
        given.desk.give_back(given.case, given.seen)
    typed = typed_of(given.form, "data")
    before = data_as_typed(given.request, given.looked, schema)
    changed = {name for name in typed if _plain(typed[name]) != _plain(before.get(name, [""]))}
    fields = {name.removeprefix("data.").partition(".")[0] for name in changed}
    if not fields:
        raise Wrong(
            {"main-content": "Nothing is amended yet: change a field, or send the case back as it is"}
        )
    texts, faults = read(_only(schema, fields), "data", typed)
    if faults:
        raise WrongFields({**_of_model(given, texts), **faults})
    given.desk.send_back(given.case, texts, given.seen, may_be_late=given.may_be_late)


def _only(schema: Any, fields: Collection[str]) -> Any:
    """The form with some of its fields."""
    return {
        **schema,
        "properties": {name: part for name, part in schema["properties"].items() if name in fields},
        "required": [name for name in schema["required"] if name in fields],
    }


def _of_model(given: Settling, texts: Mapping[str, str]) -> dict[str, str]:
    """What the model finds wrong with the fields that could be read: all is to be told at once."""
    site: Site = given.request.app.state.site
    line = given.looked.line
    try:
        amended(site.workflows[line.workflow], given.looked.story.data, line.reference, texts)
    except WrongFields as wrong:
        return wrong.faults
    return {}


def _close(given: Settling) -> None:
    given.desk.close(given.case, given.text("note"), given.seen)


def _cancel(given: Settling) -> None:
    given.desk.cancel(given.case, given.text("reason"), given.seen)


def _comment(given: Settling) -> None:
    given.desk.comment(given.case, given.text("comment"))


def _set_due(given: Settling) -> None:
    typed = typed_of(given.form, "due")
    if given.text("no_date"):
        given.desk.set_due(given.case, None)
        return
    day = datetime.fromisoformat(check(DUE, "due", typed)["date"]).date()
    zone = given.request.app.state.site.zone
    given.desk.set_due(given.case, datetime.combine(day, time(23, 59), zone))


DO: Mapping[Action, Callable[[Settling], None]] = {
    Action.TAKE: _take,
    Action.GIVE_BACK: _give_back,
    Action.HAND_ON: _hand_on,
    Action.ANSWER: _answer,
    Action.RETURN: _return,
    Action.AMEND: _amend,
    Action.CLOSE: _close,
    Action.CANCEL: _cancel,
    Action.COMMENT: _comment,
    Action.SET_DUE: _set_due,
}

PLACES = {
    Action.HAND_ON: "to",
    Action.ANSWER: "answer",
    Action.CLOSE: "note",
    Action.CANCEL: "reason",
    Action.COMMENT: "comment",
    Action.SET_DUE: "due-date-day",
}
"""Where the error summary leads, for an action with one field."""


def form_of(action: Action, request: Request, looked: Looked) -> tuple[Any, str]:
    """The schema of the form by which something is done, and the prefix of its fields; None for one without."""
    if action is Action.AMEND:
        return amendable(request, looked), "data"
    if action is Action.SET_DUE:
        return DUE, "due"
    return looked.form, "answer"


def _errors(action: Action, given: Settling, wrong: WrongFields) -> dict[str, str]:
    schema, prefix = form_of(action, given.request, given.looked)
    drawn = draw(schema, prefix, typed_of(given.form, prefix), wrong.faults)
    return errors_of(drawn, wrong.faults) or {"main-content": str(wrong)}


def _plain(values: list[str]) -> list[str]:
    return [value.replace("\r\n", "\n").replace("\0", "").strip() for value in values]
