"""Live updates: one stream of server-sent events that says when the ledger has changed, and the control that stops it.

What has changed is not said: the page fetches its parts anew. More pages than may be told at once are told to ask
once a minute instead.
"""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from casehand.console.web.page import let_in, page
from casehand.console.web.paths import own_path
from casehand.console.web.rendering import PAUSED_COOKIE, render
from casehand.console.web.site import Site
from casehand.queue import schema

log = structlog.get_logger()

LOOK_SECONDS = 1.0
BREATH_SECONDS = 0.1
"""So much longer between two looks for each page that is told: all of them ask at once."""
AGE_SECONDS = 60.0
"""After which a page is told in any case: ages go on though nothing happens."""
BUSY_MILLISECONDS = 60_000
YEAR_SECONDS = 365 * 24 * 3600


class Watcher:
    """Looks whether the ledger has changed, while any page wants to know."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._told: set[asyncio.Event] = set()
        self._stopping = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._seen: int | None = None

    async def __aenter__(self) -> "Watcher":
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        if self._looking is not None:
            await self._looking

    @property
    def is_watching(self) -> bool:
        """Whether the application has begun to serve."""
        return hasattr(self, "_loop")

    @property
    def is_full(self) -> bool:
        """Whether no more pages can be told."""
        return len(self._told) >= self._site.console.live_connections

    def stop(self) -> None:
        """End every stream; may be called from a signal's handler."""
        self._loop.call_soon_threadsafe(self._end)

    async def newest(self) -> int | None:
        """The newest entry of the audit, in which every change is."""
        try:
            return await run_in_threadpool(self._newest_entry)
        except SQLAlchemyError as error:
            log.warning("live.look_failed", error=type(error).__name__)
            return None

    async def changes(self, since: int | None) -> AsyncIterator[None]:
        """One item for each time that the ledger has changed since `newest` was asked, or a minute has gone."""
        changed = asyncio.Event()
        self._told.add(changed)
        if self._looking is None or self._looking.done():
            self._seen = since
            self._looking = asyncio.create_task(self._look())
        elif self._seen != since:
            changed.set()
        try:
            while not self._stopping.is_set():
                await _wait(changed, AGE_SECONDS)
                changed.clear()
                if not self._stopping.is_set():
                    yield
        finally:
            self._told.discard(changed)

    def _end(self) -> None:
        self._stopping.set()
        for event in self._told:
            event.set()

    async def _look(self) -> None:
        while self._told and not self._stopping.is_set():
            await _wait(self._stopping, LOOK_SECONDS + BREATH_SECONDS * len(self._told))
            newest = await self.newest()
            if newest != self._seen:
                self._seen = newest
                for event in self._told:
                    event.set()

    def _newest_entry(self) -> int | None:
        with self._site.ledger.reading() as connection:
            return connection.execute(select(func.max(schema.audit.c.id))).scalar()


async def events(request: Request) -> Response:
    """The stream."""
    watcher: Watcher = request.app.state.watcher
    if not await let_in(request):
        return Response(status_code=204)
    # Before the answer begins: from then on a page counts on being told.
    stream = _busy() if watcher.is_full else _stream(request, watcher, await watcher.newest())
    return StreamingResponse(
        stream,
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no", "cache-control": "no-store"},
    )


def turn_live_updates(request: Request) -> Response:
    """Stop live updates in this browser, or go on with them."""
    wanted = "paused" if request.state.form.get("live") == "paused" else "on"
    if request.headers.get("hx-request"):
        answer = render(request, "live.html", is_live=wanted == "on", back=_back(request))
    else:
        answer = RedirectResponse(_back(request), 303)
    answer.set_cookie(
        PAUSED_COOKIE,
        wanted,
        max_age=YEAR_SECONDS,
        httponly=True,
        samesite="lax",
        secure=request.app.state.site.console.is_https,
    )
    return answer


routes = [
    Route("/events", events, name="events"),
    page("/live-updates", turn_live_updates, methods=["POST"]),
]


async def _stream(request: Request, watcher: Watcher, since: int | None) -> AsyncIterator[str]:
    if request.headers.get("last-event-id") or request.query_params.get("now"):
        # It may have missed something while it was away.
        yield _event("changed")
    async for _ in watcher.changes(since):
        if not await let_in(request):
            return
        yield _event("changed")


async def _busy() -> AsyncIterator[str]:
    yield f"retry: {BUSY_MILLISECONDS}\n{_event('changed')}"


def _event(name: str) -> str:
    return f"event: {name}\nid: 1\ndata: \n\n"


def _back(request: Request) -> str:
    return own_path(str(request.state.form.get("back", "/")))


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
