"""Refusals: what a person is shown when a request cannot be answered, in plain English and without a traceback."""

import traceback
from collections.abc import Mapping
from http import HTTPStatus

import structlog
from sqlalchemy.exc import DBAPIError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from casehand.console.desk import NoSuchBatch, NoSuchBulk, NoSuchCase, NotAllowed, Taken, TooLate
from casehand.console.web.rendering import is_live_request, render
from casehand.exceptions import CasehandError
from casehand.queue.ledger import new_id

log = structlog.get_logger()

TITLES: Mapping[int, str] = {
    400: "There is a problem with the request",
    403: "You may not do this",
    404: "Page not found",
    405: "This cannot be done here",
    409: "This has changed meanwhile",
    413: "That is too much to send at once",
    422: "There is a problem",
    429: "Too many attempts",
    500: "Something went wrong",
    503: "The ledger does not answer",
}
ADVICE: Mapping[int, str] = {
    400: "Go back and try again. If it happens again, tell whoever looks after Casehand.",
    403: "If your work needs it, ask your administrator for the role.",
    404: "If you typed the address, check it. If you followed a link, what it led to may be gone, "
    "or you may not be allowed to see it.",
    405: "Go back to the page that you came from.",
    409: "Go back, and look at it again.",
    413: "Send a smaller file, or a shorter text.",
    422: "Go back and correct it.",
    429: "Wait a minute, then try again.",
    500: "Try again in a minute. Nothing that was done before is lost.",
    503: "Try again in a minute. Nothing that was done before is lost.",
}


STATUSES: Mapping[type[Exception], int] = {
    NotAllowed: 403,
    NoSuchCase: 404,
    NoSuchBatch: 404,
    NoSuchBulk: 404,
    TooLate: 409,
    Taken: 409,
}
"""What a CasehandError is to a browser, where it is not just a wrong request."""


def refusal(request: Request, status: int, why: str | None = None, fault: str | None = None) -> Response:
    """The page that says that something cannot be done; `fault` is what it can be found by in the log."""
    if is_live_request(request):
        # A part that cannot be fetched just now stays as it is.
        return Response(status_code=204)
    title = TITLES.get(status, TITLES[400 if status < 500 else 500])
    advice = ADVICE.get(status, ADVICE[400 if status < 500 else 500])
    return render(request, "refusal.html", status, title=title, why=why, advice=advice, fault=fault)


async def show_refusal(request: Request, error: Exception) -> Response:
    """The page for a refusal that was raised, with the navigation for who is signed in."""
    if getattr(request.state, "person", None) is None:
        await run_in_threadpool(request.app.state.door.let_in, request)
    if isinstance(error, HTTPException):
        phrase = HTTPStatus(error.status_code).phrase
        why = error.detail if error.detail != phrase else None
        answer = refusal(request, error.status_code, why)
        answer.headers.update(error.headers or {})
        return answer
    status = next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 400)
    return refusal(request, status, None if status == 404 else _sentence(error))


class Faults:
    """Catches what nothing else caught: the person is told an id, and the log where it was, but no case's data."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        begun = False

        async def watch(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except ClientDisconnect:
            # Whoever hangs up before he has sent all is no fault of ours, and there is nobody to answer.
            return
        except Exception as error:  # noqa: BLE001 — whatever it is, a person is answered
            fault = new_id()[:12]
            _write_down(error, fault, scope)
            if not begun:
                status = 503 if isinstance(error, DBAPIError) else 500
                await refusal(Request(scope), status, fault=fault)(scope, receive, send)


def _write_down(error: Exception, fault: str, scope: Scope) -> None:
    """Only where it was: the text of an error may hold what a case holds."""
    frames = [f"{one.filename}:{one.lineno} {one.name}" for one in traceback.extract_tb(error.__traceback__)]
    route = scope.get("route")
    log.error(
        "page.failed",
        fault=fault,
        method=scope.get("method"),
        route=getattr(route, "path", None),
        error=type(error).__name__,
        at=frames,
    )


def _sentence(error: Exception) -> str | None:
    """What a CasehandError says, as a sentence."""
    if not isinstance(error, CasehandError):
        return None
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
