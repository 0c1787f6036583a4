"""Pages: route functions that are plain and synchronous, with the person known and a form read before they run."""

from collections.abc import Callable, Sequence

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive

from casehand.console.rights import Right, workflows_with
from casehand.console.web.door import Door

FORM_BYTES = 2_000_000
"""What a form may send: a text of 100,000 characters can be six times as long when it is encoded."""
PASSED = 20
"""Up to so many times what may be sent is taken in without being kept, so that the answer is read."""
MOST_FIELDS = 2_000
MOST_FILES = 1

Show = Callable[[Request], Response]


def page(
    path: str,
    show: Show,
    *,
    right: Right | None = None,
    methods: Sequence[str] = ("GET",),
    largest: int = FORM_BYTES,
    too_large: Show | None = None,
    needs_sign_in: bool = True,
) -> Route:
    """A route of the pages, named as its function.

    `right` is what a person must have for one workflow at least: the function itself checks for which.
    `largest` is how many bytes may be sent; `too_large` answers when it is more, in place of a refusal.
    """

    async def answer(request: Request) -> Response:
        limited = Request(request.scope, _limited(request, largest))
        if needs_sign_in:
            if not await let_in(limited):
                return await _door(limited).ask_to_sign_in(limited)
            _check_right(limited, right)
        if request.method != "POST":
            return await run_in_threadpool(show, limited)
        form = limited.form(max_fields=MOST_FIELDS, max_files=MOST_FILES, max_part_size=largest)
        try:
            async with form as limited.state.form:
                return await run_in_threadpool(show, limited)
        except _TooLarge:
            if too_large is None:
                raise
            return await run_in_threadpool(too_large, limited)

    return Route(path, answer, methods=list(methods), name=show.__name__)


async def let_in(request: Request) -> bool:
    """Note in the request who it is; False when it is nobody who is signed in."""
    return await run_in_threadpool(_door(request).let_in, request)


def _door(request: Request) -> Door:
    door: Door = request.app.state.door
    return door


def _check_right(request: Request, right: Right | None) -> None:
    if right is not None and workflows_with(request.state.person, right) == frozenset():
        raise HTTPException(403, f"You may not {right}.")


class _TooLarge(HTTPException):
    """More was sent than may be."""


def _limited(request: Request, largest: int) -> Receive:
    """What is sent, up to so many bytes. Raises _TooLarge beyond."""
    taken = 0

    async def receive() -> Message:
        nonlocal taken
        message = await request.receive()
        taken += len(message.get("body", b""))
        if taken > largest:
            await _let_pass(request, message, largest * PASSED)
            raise _TooLarge(413)
        return message

    return receive


async def _let_pass(request: Request, message: Message, most: int) -> None:
    """Take the rest in and keep none of it: a browser reads no answer before it has sent all it has."""
    passed = 0
    while message.get("more_body") and passed < most:
        message = await request.receive()
        passed += len(message.get("body", b""))
