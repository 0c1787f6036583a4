"""The application put together: the pages' routes, what stands before them, and the answers that refuse."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from casehand.console.web import (
    audit,
    batches,
    case,
    case_forms,
    cases,
    escalations,
    evidence,
    figures,
    handing_in,
    home,
    live,
    many,
    messages,
    pausing,
    schedules,
    search,
    signing_in,
    taking_out,
    worklist,
)
from casehand.console.web.background import Background
from casehand.console.web.chores import Chores
from casehand.console.web.door import Door
from casehand.console.web.guard import Guard
from casehand.console.web.live import Watcher
from casehand.console.web.refusals import Faults, show_refusal
from casehand.console.web.rendering import STATIC
from casehand.console.web.signing_in import Entrance
from casehand.console.web.site import Site
from casehand.exceptions import CasehandError

FAMILIES: tuple[ModuleType, ...] = (
    *(home, live, signing_in, search),
    *(cases, case, case_forms, evidence),
    *(worklist, escalations),
    *(handing_in, taking_out, batches),
    *(schedules, pausing, many),
    *(figures, audit, messages),
)
"""The files whose `routes` there are, one for each family of pages."""


def application(site: Site) -> Guard:
    """The pages of a site, as an ASGI application."""
    app = Starlette(
        routes=[*_routes(), Mount("/static", _Static(directory=STATIC), name="static")],
        middleware=[Middleware(Faults)],
        exception_handlers={HTTPException: show_refusal, CasehandError: show_refusal},
        lifespan=_watching,
    )
    app.state.site = site
    app.state.door = Door(site)
    app.state.entrance = Entrance(site)
    app.state.watcher = Watcher(site)
    app.state.background = Background()
    return Guard(app, site.console)


def _routes() -> list[BaseRoute]:
    return [route for family in FAMILIES for route in family.routes]


@asynccontextmanager
async def _watching(app: Starlette) -> AsyncIterator[None]:
    async with app.state.watcher, Chores(app.state.site):
        yield


class _Static(StaticFiles):
    """Styles and scripts: kept by browsers for good, since a file that changes has another address."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        is_versioned = scope["query_string"].startswith(b"v=")
        answer.headers["cache-control"] = (
            "public, max-age=31536000, immutable" if is_versioned else "no-cache"
        )
        return answer
