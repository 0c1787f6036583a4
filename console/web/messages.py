"""Messages to people: what was told to whom, what could not be sent and why, and trying again."""

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from casehand.console.desk import Desk
from casehand.console.rights import Right
from casehand.console.web.page import page
from casehand.console.web.rendering import count, render
from casehand.console.web.sorting import LATEST_FIRST, sort_by_time
from casehand.exceptions import CasehandError
from casehand.queue.messages import Message, MessageState
from casehand.queue.occasions import What

ON_A_PAGE = 50
UNSENT = "unsent"

WHAT: Mapping[What, str] = {
    What.ESCALATION: "A case of high priority needs a person",
    What.OVERDUE: "A case is past its due date",
    What.PAUSED: "A bot is held up",
    What.STOPPED: "A batch has stopped itself",
    What.FINISHED: "A batch is finished",
    What.SUMMARY: "The daily summary",
    What.HOURLY: "The hourly summary",
}


def messages(request: Request) -> Response:
    """List the messages that the person may know of."""
    return _show(request)


def retry_messages(request: Request) -> Response:
    """Have the messages that were chosen tried again."""
    desk: Desk = request.state.desk
    chosen = [one for one in request.state.form.getlist("message") if isinstance(one, str)]
    numbers = [int(one) for one in chosen if one.isdecimal() and len(one) < 10]
    if len(numbers) != len(chosen):
        raise HTTPException(400)
    if not numbers:
        return _show(request, {"message": "Choose the messages that are to be tried again"})
    try:
        for number in numbers:
            desk.retry_message(number)
    except CasehandError as error:
        return _show(request, {"message": f"{str(error)[:1].upper()}{str(error)[1:]}"})
    return RedirectResponse(f"{request.app.url_path_for('messages')}?again={len(numbers)}", 303)


routes = [
    page("/messages", messages, right=Right.MANAGE_MESSAGES),
    page("/messages", retry_messages, right=Right.MANAGE_MESSAGES, methods=["POST"]),
]


def _show(request: Request, errors: dict[str, str] | None = None) -> Response:
    desk: Desk = request.state.desk
    wanted = request.query_params.get("state", "")
    wanted = wanted if wanted in (UNSENT, *MessageState) else ""
    after = _number(request.query_params.get("after", ""))
    sorted_by = sort_by_time(request)
    found = _found(desk, wanted, after, sorted_by != LATEST_FIRST)
    again = _number(request.query_params.get("again", ""))
    return render(
        request,
        "messages.html",
        422 if errors else 200,
        errors=errors or {},
        found=found[:ON_A_PAGE],
        after=after,
        sorted_by=sorted_by,
        is_latest_first=sorted_by == LATEST_FIRST,
        behind=found[ON_A_PAGE - 1].id if len(found) > ON_A_PAGE else None,
        wanted=wanted,
        what=WHAT,
        unsent=desk.unsent(),
        may_be_sent=[one.id for one in found[:ON_A_PAGE] if one.is_unsent],
        said=f"{count(again, 'message')} will be tried again at once." if again else None,
        tells_nobody=not request.app.state.site.settings.tell,
    )


def _found(desk: Desk, wanted: str, after: int | None, oldest_first: bool) -> list[Message]:
    state = MessageState(wanted) if wanted in set(MessageState) else None
    return desk.messages(state, ON_A_PAGE + 1, after, is_unsent=wanted == UNSENT, oldest_first=oldest_first)


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 10 else None
