"""The audit: who did what, when and why, over which cases; and whether anybody has meddled with that."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import quote
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from casehand.console.days import as_day, begin_of, end_of
from casehand.console.desk import Desk, NotAllowed
from casehand.console.entries import Page, all_of, look, named
from casehand.console.rights import Right
from casehand.console.web.background import Background
from casehand.console.web.files import as_csv
from casehand.console.web.page import page
from casehand.console.web.paths import case_path
from casehand.console.web.rendering import address, render, see
from casehand.console.web.sorting import LATEST_FIRST, sort_by_time
from casehand.exceptions import CasehandError
from casehand.queue.audit import EntryFilter, all_actions
from casehand.queue.storable import is_storable
from casehand.queue.subjects import BATCH, CASE, Subject
from casehand.queue.verification import Verified, last_verified

ON_A_PAGE = 50
NAMES = ("actor", "action", "subject", "since", "until")
VERIFYING = "verifying the audit"
PATIENCE = 2.0
"""Seconds that somebody waits for a short audit to be verified; a long one goes on behind his back."""
NOT_AGAIN = timedelta(minutes=1)
"""An audit that was verified so lately is not verified again: each time is an entry, and work for the ledger."""

COLUMNS = (
    "Number",
    "When",
    "Who",
    "Did",
    "To",
    "Kind",
    "State before",
    "State after",
    "Attempt",
    "Why",
    "Over which",
    "Place in the chain",
)


@dataclass
class Wanted:
    """What the address asks for, as it was typed and as it was understood."""

    typed: dict[str, str]
    which: EntryFilter = field(default_factory=EntryFilter)
    after: int | None = None
    sorted_by: str = LATEST_FIRST
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def oldest_first(self) -> bool:
        """Whether it asks for the other way round."""
        return self.sorted_by != LATEST_FIRST


def audit(request: Request) -> Response:
    """List what was done, as far as the person may see it."""
    desk: Desk = request.state.desk
    wanted = _wanted(request)
    found = Page((), {}, None) if wanted.errors else _look(desk, wanted)
    return render(
        request,
        "audit.html",
        422 if wanted.errors else 200,
        errors=wanted.errors,
        wanted=wanted,
        listed=found,
        path_of=_path_of,
        actions=all_actions(desk.ledger),
        is_filtered=any(wanted.typed.values()),
        sees_all=desk.may(Right.SEE_AUDIT),
        csv_path=address(request, after=None).replace("/audit", "/audit.csv", 1),
        verified=last_verified(desk.ledger),
        is_verifying=_background(request).is_doing(VERIFYING),
    )


def audit_file(request: Request) -> Response:
    """The whole list as CSV."""
    desk: Desk = request.state.desk
    wanted = _wanted(request)
    if wanted.errors:
        raise CasehandError("; ".join(wanted.errors.values()))
    return as_csv("audit", COLUMNS, _rows(desk, wanted, request.app.state.site.zone))


def verify_audit(request: Request) -> Response:
    """Have it verified that nobody has meddled with the audit."""
    desk: Desk = request.state.desk
    if not desk.may(Right.SEE_AUDIT):
        raise NotAllowed(Right.SEE_AUDIT, None)
    last = last_verified(desk.ledger)
    if last is None or not _is_fresh(last, desk.ledger.clock()):
        _background(request).start(VERIFYING, desk.verify_audit)
        _background(request).wait(VERIFYING, PATIENCE)
    return see(request, "audit")


routes = [
    page("/audit", audit, right=Right.SEE_AUDIT),
    page("/audit.csv", audit_file, right=Right.SEE_AUDIT),
    page("/audit/verify", verify_audit, right=Right.SEE_AUDIT, methods=["POST"]),
]


def _wanted(request: Request) -> Wanted:
    query = request.query_params
    wanted = Wanted({name: query.get(name, "").strip() for name in NAMES})
    zone = request.app.state.site.zone
    for name in ("actor", "action", "subject"):
        if not is_storable(wanted.typed[name]):
            wanted.errors[name] = "Nothing is named so: take out the characters that cannot be seen"
    wanted.after = _number(query.get("after"))
    wanted.sorted_by = sort_by_time(request)
    since = _moment(wanted, "since", partial(begin_of, zone=zone))
    until = _moment(wanted, "until", partial(end_of, zone=zone))
    if since is not None and until is not None and since >= until:
        wanted.errors["since"] = "The first day must not be later than the last"
    if not wanted.errors:
        typed = wanted.typed
        wanted.which = EntryFilter(None, typed["actor"] or None, typed["action"] or None, since, until)
        if typed["subject"]:
            wanted.which = named(request.state.desk, wanted.which, typed["subject"])
    return wanted


def _look(desk: Desk, wanted: Wanted) -> Page:
    return look(desk, wanted.which, ON_A_PAGE, wanted.after, oldest_first=wanted.oldest_first)


def _moment(wanted: Wanted, name: str, moment: Callable[..., datetime | None]) -> datetime | None:
    try:
        found = moment(as_day(wanted.typed[name] or None, name))
        # Beyond the first and last days there are, no moment can be kept.
        return None if found is None else found.astimezone(ZoneInfo("UTC"))
    except (CasehandError, OverflowError):
        wanted.errors[name] = "Give a day as 2026-04-06"
        return None


def _number(text: str | None) -> int | None:
    if text and (not text.isdecimal() or len(text) > 9):
        raise CasehandError("there is no such place in the list: begin at its beginning")
    return int(text) if text else None


def _is_fresh(last: Verified, now: datetime) -> bool:
    return now - last.at < NOT_AGAIN


def _background(request: Request) -> Background:
    background: Background = request.app.state.background
    return background


def _path_of(name: str, subject: Subject) -> str | None:
    """Where what was done can be seen; None for what has no page."""
    if subject.kind == CASE:
        return case_path(subject.name, name)
    if subject.kind == BATCH:
        return f"/batches/{quote(subject.name, safe='')}"
    return None


def _rows(desk: Desk, wanted: Wanted, zone: ZoneInfo) -> Iterator[tuple[object, ...]]:
    for entry, subject in all_of(desk, wanted.which, oldest_first=wanted.oldest_first):
        yield (
            entry.id,
            entry.at.astimezone(zone).isoformat(timespec="seconds"),
            entry.actor,
            entry.action,
            subject.name,
            subject.kind,
            entry.before,
            entry.after,
            entry.attempt,
            entry.reason,
            entry.detail,
            entry.place,
        )
