"""The list of cases: found by filters in the address, in an order, a page at a time, and as a file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from casehand.console.days import as_day, begin_of, end_of
from casehand.console.person import Person
from casehand.console.rights import Right, may, workflows_with
from casehand.console.web.files import as_csv
from casehand.console.web.page import page
from casehand.console.web.rendering import address, render
from casehand.exceptions import CasehandError
from casehand.queue import pauses
from casehand.queue.cases import CaseFilter, CaseLine, CaseSort, how_many, list_cases
from casehand.queue.ledger import Ledger
from casehand.queue.paging import ROWS
from casehand.queue.pauses import PauseKind
from casehand.queue.state import OPEN, State
from casehand.queue.storable import is_storable

ON_A_PAGE = 50
COUNTED = 1_000
"""More cases than these are not counted: a million would take as long as the page."""
SORT = "-arrival"
"""What came in last is what people look for most."""
WRONG = 422

STATES: Mapping[State, str] = {
    State.QUEUED: "Queued",
    State.WORKING: "Being worked",
    State.DONE: "Done",
    State.ESCALATED: "Needs a person",
    State.CLOSED: "Closed",
    State.CANCELLED: "Cancelled",
}
"""The states, as people are told them."""

COLUMNS = (
    "Reference",
    "Workflow",
    "Batch",
    "State",
    "Why",
    "Attempts",
    "Changes made",
    "Priority",
    "Due",
    "Came in",
    "Changed",
    "Id",
)


@dataclass
class Wanted:
    """What the address asks for, as it was typed and as it was understood."""

    typed: Mapping[str, str]
    which: CaseFilter = field(default_factory=CaseFilter)
    by: CaseSort = CaseSort.ARRIVAL
    backwards: bool = True
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def is_filtered(self) -> bool:
        """Whether it asks for some cases and not for all."""
        return any(self.typed.values())

    @property
    def bulk(self) -> str | None:
        """What acting on these many would be asked for; None where there is no such filter."""
        which = self.which
        is_over = which.state is not None and which.state not in OPEN
        if which.reference or which.since or which.until or is_over:
            return None
        given = {"workflow": which.workflow, "batch": which.batch, "state": which.state}
        return urlencode({name: value for name, value in given.items() if value}) or None


def cases(request: Request) -> Response:
    """List the cases that match, which the person may know of."""
    ledger, person = request.app.state.site.ledger, request.state.person
    wanted = _wanted(request)
    found, is_first, has_more = ([], True, False) if wanted.errors else _look(ledger, wanted, request)
    return render(
        request,
        "cases/list.html",
        WRONG if wanted.errors else 200,
        errors=wanted.errors,
        wanted=wanted,
        found=found,
        is_first=is_first,
        has_more=has_more,
        number=None if wanted.errors else how_many(ledger, wanted.which, COUNTED + 1),
        counted=COUNTED,
        shows_why={one.workflow for one in found if may(person, Right.SEE_CASES, one.workflow)},
        states=STATES,
        workflows=_workflows(ledger, person),
        sorted_by=request.query_params.get("sort") or SORT,
        csv_path=address(request, after=None, before=None).replace("/cases", "/cases.csv", 1),
        acts_on_many=workflows_with(person, Right.ACT_ON_MANY) != frozenset(),
        chosen_from={
            one.id for one in found if one.state in OPEN and may(person, Right.ACT_ON_MANY, one.workflow)
        },
    )


def cases_file(request: Request) -> Response:
    """The whole list as CSV; no cell of it is taken for a formula."""
    ledger, zone = request.app.state.site.ledger, request.app.state.site.zone
    wanted = _wanted(request)
    if wanted.errors:
        raise CasehandError("; ".join(wanted.errors.values()))
    rows = (_row(one, request.state.person, zone) for one in _all(ledger, wanted))
    return as_csv("cases", COLUMNS, rows)


routes = [
    page("/cases", cases, right=Right.SEE_STRUCTURE),
    page("/cases.csv", cases_file, right=Right.SEE_STRUCTURE),
]


def _wanted(request: Request) -> Wanted:
    query = request.query_params
    names = ("reference", "state", "workflow", "batch", "since", "until")
    wanted = Wanted({name: query.get(name, "").strip() for name in names})
    wanted.by, wanted.backwards = _sort(query.get("sort") or SORT)
    zone: ZoneInfo = request.app.state.site.zone
    typed = wanted.typed
    if typed["state"] and typed["state"] not in set(State):
        wanted.errors["state"] = "Choose a state from the list"
        return wanted
    wanted.which = CaseFilter(
        batch=typed["batch"] or None,
        state=State(typed["state"]) if typed["state"] else None,
        workflow=typed["workflow"] or None,
        reference=typed["reference"] or None,
        workflows=workflows_with(request.state.person, Right.SEE_STRUCTURE),
        since=_moment(wanted, "since", partial(begin_of, zone=zone)),
        until=_moment(wanted, "until", partial(end_of, zone=zone)),
    )
    for name in ("reference", "batch", "workflow"):
        if not is_storable(typed[name]):
            wanted.errors[name] = "Nothing is named so: take out the characters that cannot be seen"
    return wanted


def _sort(text: str) -> tuple[CaseSort, bool]:
    name = text.removeprefix("-")
    if name not in set(CaseSort):
        return CaseSort.ARRIVAL, True
    return CaseSort(name), text.startswith("-")


def _moment(wanted: Wanted, name: str, moment: Any) -> datetime | None:
    try:
        found: datetime | None = moment(as_day(wanted.typed[name] or None, name))
    except (CasehandError, OverflowError):
        wanted.errors[name] = "Give a day as 2026-04-06"
        return None
    return found


def _look(ledger: Ledger, wanted: Wanted, request: Request) -> tuple[list[CaseLine], bool, bool]:
    """A page of the list, whether it is the first, and whether there is more behind it."""
    after, before = request.query_params.get("after"), request.query_params.get("before")
    if not is_storable(after or "") or not is_storable(before or ""):
        raise CasehandError("there is no such place in the list: begin at its beginning")
    if before:
        # The page before a case is what comes behind it the other way round.
        found = list_cases(ledger, wanted.which, wanted.by, not wanted.backwards, ON_A_PAGE + 1, before)
        return found[:ON_A_PAGE][::-1], len(found) <= ON_A_PAGE, True
    found = list_cases(ledger, wanted.which, wanted.by, wanted.backwards, ON_A_PAGE + 1, after or None)
    return found[:ON_A_PAGE], not after, len(found) > ON_A_PAGE


def _all(ledger: Ledger, wanted: Wanted) -> Iterator[CaseLine]:
    """Every case that matches, read a page at a time, so that no transaction grows with the list."""
    after = None
    while True:
        found = list_cases(ledger, wanted.which, wanted.by, wanted.backwards, ROWS, after)
        yield from found
        if len(found) < ROWS:
            return
        after = found[-1].place(wanted.by)


def _row(one: CaseLine, person: Person, zone: ZoneInfo) -> tuple[object, ...]:
    sees = may(person, Right.SEE_CASES, one.workflow)
    return (
        one.reference,
        one.workflow,
        one.batch,
        STATES[one.state],
        one.reason if sees else None,
        one.attempts,
        one.commits,
        one.priority,
        _local(one.due, zone),
        _local(one.handed_in_at, zone),
        _local(one.changed_at, zone),
        one.id,
    )


def _local(moment: datetime | None, zone: ZoneInfo) -> str | None:
    return None if moment is None else moment.astimezone(zone).isoformat(timespec="seconds")


def _workflows(ledger: Ledger, person: Person) -> list[str]:
    return sorted(pauses.names_of(ledger, PauseKind.WORKFLOW, workflows_with(person, Right.SEE_STRUCTURE)))
