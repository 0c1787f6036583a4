"""The worklist: what waits for a person, to be taken and settled; its filters are in the address."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from casehand.console.desk import Desk
from casehand.console.rights import Right
from casehand.console.web.home import WHY
from casehand.console.web.page import page
from casehand.console.web.rendering import render
from casehand.queue.escalations import EscalationFilter
from casehand.queue.ledger import Ledger
from casehand.queue.needs import needs_by_kind
from casehand.queue.outcome import EscalationKind
from casehand.queue.similar import waiting_by_reason
from casehand.queue.storable import storable
from casehand.queue.worklist import (
    Due,
    Listed,
    Order,
    Waiting,
    count_waiting,
    find_settled,
    shared_references,
    worklist,
)

ROWS = 25
MOST_REASONS = 50

DUES: Mapping[Due, str] = {
    Due.OVERDUE: "Overdue",
    Due.SOON: "In the next 7 days",
    Due.NONE: "No date",
}

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True)
class Wanted:
    """What the address asks for."""

    tab: str  #: "unassigned", "mine" or "all"
    kind: EscalationKind | None
    workflow: str | None
    batch: str | None
    due: Due | None
    alike: str | None
    sort: Order
    backwards: bool
    after: str | None

    @property
    def is_narrowed(self) -> bool:
        """Whether a filter is set, besides the tab."""
        return any((self.kind, self.workflow, self.batch, self.due, self.alike))

    @property
    def sorted_by(self) -> str:
        """As the heading of a column has it."""
        return f"-{self.sort}" if self.backwards else str(self.sort)

    @property
    def as_bulk(self) -> str:
        """The query that begins to act on all of these, where a bulk action can say the same."""
        given = (
            ("workflow", self.workflow),
            ("batch", self.batch),
            ("kind", self.kind),
            ("alike", self.alike),
        )
        return urlencode([("state", "escalated"), *((name, value) for name, value in given if value)])


def escalations(request: Request) -> Response:
    """Show what waits for a person."""
    ledger: Ledger = request.app.state.site.ledger
    desk: Desk = request.state.desk
    wanted = _wanted(request)
    mine = desk.workflows_with(Right.SEE_STRUCTURE)
    if request.query_params.get("show") == "reasons":
        return _show_reasons(request, desk, ledger, mine)
    rows = worklist(
        ledger,
        _filter(wanted, desk, mine),
        wanted.sort,
        wanted.backwards,
        due=wanted.due,
        limit=ROWS + 1,
        after=wanted.after,
    )
    listed = rows[:ROWS]
    return render(
        request,
        "escalations/list.html",
        wanted=wanted,
        rows=_with_addresses(ledger, desk, listed),
        next_place=listed[-1].place if len(rows) > ROWS else None,
        settled=_settled_by(request, ledger, desk),
        workflows=_workflows(request, mine),
        dues=DUES,
        **_counts(ledger, desk, mine),
    )


routes = [page("/escalations", escalations, right=Right.SEE_STRUCTURE)]


def address_of(reference: str, case: str, workflow: str | None = None) -> str:
    """The address of what waits under a reference; of the case's id, where no address can hold the reference."""
    parts = reference.split("/")
    # A browser takes these out of an address, or makes others of them.
    is_safe = not any(part.strip(". ") == "" for part in parts) and reference.isprintable()
    path = f"/escalations/{quote(reference if is_safe else case)}"
    return f"{path}?{urlencode({'workflow': workflow})}" if workflow and is_safe else path


def _wanted(request: Request) -> Wanted:
    given = request.query_params
    sort = given.get("sort", "")
    show = given.get("show")
    return Wanted(
        tab=show if show in ("unassigned", "mine") else "all",
        kind=_one_of(EscalationKind, given.get("kind")),
        workflow=_text(given.get("workflow")),
        batch=_text(given.get("batch")),
        due=_one_of(Due, given.get("due")),
        alike=_hex(given.get("alike")),
        sort=_one_of(Order, sort.removeprefix("-")) or Order.URGENT,
        backwards=sort.startswith("-") and sort != f"-{Order.URGENT}",
        after=given.get("after") or None,
    )


def _one_of(kinds: type[Choice], text: str | None) -> Choice | None:
    return kinds(text) if text in set(kinds) else None


def _text(text: str | None) -> str | None:
    return storable(text) if text else None


def _hex(text: str | None) -> str | None:
    try:
        return bytes.fromhex(text or "").hex() or None
    except ValueError:
        return None


def _filter(wanted: Wanted, desk: Desk, mine: frozenset[str] | None) -> EscalationFilter:
    return EscalationFilter(
        batch=wanted.batch,
        workflow=wanted.workflow,
        workflows=mine,
        kind=wanted.kind,
        assigned_to=desk.person.id if wanted.tab == "mine" else None,
        unassigned=wanted.tab == "unassigned",
        alike=wanted.alike,
    )


def _with_addresses(ledger: Ledger, desk: Desk, listed: list[Listed]) -> list[dict[str, Any]]:
    """The rows, each with where it leads, and what may be done and seen here."""
    shared = shared_references(ledger, [one.reference for one in listed]) if listed else frozenset()
    return [
        {
            "one": one,
            "href": address_of(one.reference, one.case, one.workflow if one.reference in shared else None),
            "reason": one.reason if desk.may(Right.SEE_CASES, one.workflow) else None,
            "may_take": one.assigned_to is None and desk.may(Right.SETTLE, one.workflow),
        }
        for one in listed
    ]


def _counts(ledger: Ledger, desk: Desk, mine: frozenset[str] | None) -> dict[str, Any]:
    needs = needs_by_kind(ledger, mine)
    counted: Waiting = count_waiting(ledger, EscalationFilter(workflows=mine), desk.person.id, needs)
    return {"counted": counted, "needs": needs, "why": WHY}


def _workflows(request: Request, mine: frozenset[str] | None) -> list[str]:
    known = request.app.state.site.workflows
    return sorted(known if mine is None else mine)


def _settled_by(request: Request, ledger: Ledger, desk: Desk) -> Any:
    """What this person has settled just now, as the ledger has it: no link can make this page say so."""
    number = request.query_params.get("settled", "")
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        return None
    return find_settled(ledger, int(number), desk.person.id)


def _show_reasons(request: Request, desk: Desk, ledger: Ledger, mine: frozenset[str] | None) -> Response:
    found = waiting_by_reason(ledger, mine, MOST_REASONS)
    seen = [desk.may(Right.SEE_CASES, one.workflow) for one in found]
    return render(
        request,
        "escalations/reasons.html",
        reasons=list(zip(found, seen, strict=True)),
        most=MOST_REASONS,
        why=WHY,
    )
