"""The figures, for service managers: how cases ended, why people were asked, and what that saved."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from casehand.console.days import as_day
from casehand.console.desk import Desk
from casehand.console.rights import Right
from casehand.console.web.background import Background
from casehand.console.web.files import as_csv
from casehand.console.web.page import page
from casehand.console.web.period import DAYS, Period
from casehand.console.web.rendering import address, render
from casehand.console.web.sections import PIECES, SECTIONS, Figures, section, sections
from casehand.console.web.site import Site
from casehand.exceptions import CasehandError
from casehand.queue import pauses
from casehand.queue.figures import Piece, is_behind
from casehand.queue.pauses import PauseKind
from casehand.queue.rolling import catch_up

COUNTING = "counting"
PATIENCE = 1.5
"""Seconds that somebody waits for what was not counted yet, before he is shown the rest."""


@dataclass
class Wanted:
    """What the address asks for, as it was typed and as it was understood."""

    period: Period
    workflow: str | None
    typed: dict[str, str]
    errors: dict[str, str] = field(default_factory=dict)


def figures(request: Request) -> Response:
    """Show the figures of a period, of the workflows that the person has to do with."""
    desk: Desk = request.state.desk
    workflows = _workflows(desk)
    wanted = _wanted(request, workflows)
    if wanted.errors:
        return _show(request, 422, wanted, workflows)
    is_counting = _count_the_rest(request)
    made = _figures(request, wanted)
    return _show(
        request, 200, wanted, workflows, figures=made, sections=sections(made), is_counting=is_counting
    )


def figures_file(request: Request) -> Response:
    """One section's numbers as CSV."""
    wanted = _wanted(request, _workflows(request.state.desk))
    name = request.path_params["section"]
    if name not in SECTIONS:
        raise HTTPException(404)
    if wanted.errors:
        raise CasehandError("; ".join(wanted.errors.values()))
    _count_the_rest(request)
    one = section(_figures(request, wanted, [PIECES[name]]), name)
    called = f"{name}-{wanted.period.since}-{wanted.period.until}"
    return as_csv(called, one.file_columns, one.file_rows())


routes = [
    page("/figures", figures, right=Right.SEE_FIGURES),
    page("/figures/{section}.csv", figures_file, right=Right.SEE_FIGURES),
]


def _show(request: Request, status: int, wanted: Wanted, workflows: list[str], **more: object) -> Response:
    return render(
        request,
        "figures.html",
        status,
        wanted=wanted,
        errors=wanted.errors,
        workflows=workflows,
        shortcuts=_shortcuts(request, _today(request), wanted),
        file_query=address(request).partition("?")[2],
        first_time=datetime.min.replace(tzinfo=UTC),
        **more,
    )


def _figures(request: Request, wanted: Wanted, pieces: Collection[Piece] = tuple(Piece)) -> Figures:
    desk: Desk = request.state.desk
    site: Site = request.app.state.site
    days = (wanted.period.since, wanted.period.until)
    found = desk.figures(*days, site.zone, wanted.workflow, at_once=True, pieces=pieces)
    first = found.days[0].day if found.days else None
    period = wanted.period.begun_with(first, _today(request))
    readable = desk.workflows_with(Right.SEE_CASES)
    return Figures(found, period, period.parts(), site.ledger.clock(), readable)


def _count_the_rest(request: Request) -> bool:
    """Have counted what nobody counted yet; True when that takes longer than anybody waits."""
    site: Site = request.app.state.site
    background: Background = request.app.state.background
    if is_behind(site.ledger, site.zone):
        background.start(COUNTING, partial(catch_up, site.ledger, site.zone))
    return not background.wait(COUNTING, PATIENCE)


def _workflows(desk: Desk) -> list[str]:
    return sorted(pauses.names_of(desk.ledger, PauseKind.WORKFLOW, desk.workflows_with(Right.SEE_FIGURES)))


def _wanted(request: Request, workflows: list[str]) -> Wanted:
    query = request.query_params
    typed = {name: query.get(name, "").strip() for name in ("from", "until", "workflow")}
    if typed["workflow"] and typed["workflow"] not in workflows:
        raise HTTPException(404)
    errors: dict[str, str] = {}
    until = _day(typed, "until", errors) or _today(request)
    since = _day(typed, "from", errors) or until - timedelta(days=min(DAYS - 1, (until - date.min).days))
    if since > until:
        errors["from"] = "The first day must not be later than the last"
    return Wanted(Period(since, max(since, until)), typed["workflow"] or None, typed, errors)


def _day(typed: dict[str, str], name: str, errors: dict[str, str]) -> date | None:
    try:
        return as_day(typed[name] or None, name)
    except CasehandError:
        errors[name] = "Give a day as 2026-04-06"
        return None


def _today(request: Request) -> date:
    site: Site = request.app.state.site
    return site.ledger.clock().astimezone(site.zone).date()


def _shortcuts(request: Request, today: date, wanted: Wanted) -> list[dict[str, object]]:
    """Periods that are asked for often, each with its address, and whether it is the present one."""
    month = today.replace(day=1)
    last_month = (month - timedelta(days=1)).replace(day=1)
    periods = {
        "Last 7 days": (today - timedelta(days=6), today),
        "Last 30 days": (today - timedelta(days=DAYS - 1), today),
        "This month": (month, today),
        "Last month": (last_month, month - timedelta(days=1)),
        "Last 12 months": (today - timedelta(days=364), today),
    }
    here = (wanted.period.since, wanted.period.until)
    return [
        {
            "text": text,
            "href": address(request, **{"from": since.isoformat(), "until": until.isoformat()}),
            "is_here": (since, until) == here and not wanted.errors,
        }
        for text, (since, until) in periods.items()
    ]
