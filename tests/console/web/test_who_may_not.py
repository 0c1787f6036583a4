"""A viewer, a caseworker and a developer try what they may not, in a real browser: with scripts and without."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import pytest
from playwright.sync_api import Page, expect
from samples import RENT
from sqlalchemy import func, select

from casehand.queue import schema
from casehand.queue.cases import tell
from casehand.queue.ledger import Ledger

RENTS = "rent-changes-2026-11-22"

TYPED = {
    "viewer": (
        "/batches/new",
        "/audit",
        "/messages",
        "/case/{queued}/cancel",
        "/case/{queued}/due",
        "/pausing/new?kind=everything",
        f"/bulk/new?batch={RENTS}&action=close",
        f"/batches/{RENTS}/cancel",
        f"/batches/{RENTS}/results.csv",
    ),
    "caseworker": (
        "/batches/new",
        "/audit",
        "/messages",
        "/case/{queued}/due",
        "/pausing/new?kind=bot",
        f"/bulk/new?batch={RENTS}&action=close",
        f"/batches/{RENTS}/cancel",
        f"/batches/{RENTS}/results.csv",
    ),
    "developer": (
        "/batches/new",
        "/audit",
        "/messages",
        "/case/{queued}/cancel",
        "/pausing/new?kind=workflow",
        f"/batches/{RENTS}/results.csv",
        "/evidence/{question}/1/01-question.jpg/large",
    ),
}
"""Addresses of pages that are not theirs."""

SENT = {
    "viewer": ("take", "answer", "close", "cancel", "comment", "pause", "everything"),
    "caseworker": ("set due", "pause", "everything"),
    "developer": ("take", "answer", "close", "cancel", "comment", "pause", "everything"),
}
"""What they send all the same, as a page that offered it would."""


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
@pytest.mark.parametrize("role", TYPED)
def test_what_is_not_theirs_is_neither_offered_nor_shown_nor_done(
    page_for: Callable[..., Page],
    served: Any,
    finds_nothing: Callable[[Page], None],
    role: str,
    scripts: bool,
) -> None:
    page = page_for(role, java_script_enabled=scripts)
    expect(page.get_by_role("navigation", name="Pages").get_by_role("link", name="Audit")).to_have_count(0)
    page.goto("/batches")
    expect(page.get_by_role("button", name="Hand in a file")).to_have_count(0)
    page.goto("/pausing")
    expect(page.get_by_role("main").get_by_role("button")).to_have_count(0)
    before = _entries(served.ledger)
    for address in TYPED[role]:
        _type(page, address.format(**served.made.cases))
        _is_refused(page, address)
    if scripts:
        # Axe is a script itself.
        finds_nothing(page)
    # A form that no page has is made by a script.
    for does in SENT[role] if scripts else ():
        page.goto("/cases")
        with page.expect_navigation():
            page.evaluate(SEND, _form(served, does))
        _is_refused(page, does)
    assert _entries(served.ledger) == before


SEND = """([path, fields]) => {
    const form = document.createElement('form');
    form.method = 'post'; form.action = path;
    for (const [name, value] of Object.entries(fields)) {
        const field = document.createElement('input');
        field.name = name; field.value = value; form.append(field);
    }
    document.body.append(form); form.submit();
}"""


def _type(page: Page, address: str) -> None:
    answer = page.goto(address)
    assert answer is not None
    assert answer.status in (403, 404), address


def _is_refused(page: Page, what: str) -> None:
    refused = page.get_by_role("heading", level=1, name="You may not do this")
    absent = page.get_by_role("heading", level=1, name="Page not found")
    expect(refused.or_(absent), what).to_be_visible()


def _form(served: Any, does: str) -> tuple[str, Mapping[str, str]]:
    """Where a form of such a page goes, and what it sends."""
    if does == "everything":
        return "/pausing/new", {"kind": "everything", "reason": "all stops"}
    if does == "pause":
        return "/pausing/new", {"kind": "workflow", "name": RENT, "reason": "it is wrong"}
    story = tell(served.ledger, served.made.question)
    common = {"_do": does, "_case": story.line.id, "_seen": str(story.escalations[-1].id)}
    typed = "answer=yes&note=by hand&reason=twice&comment=said&due.date.day=5&due.date.month=12&due.date.year=2026"
    return f"/escalations/{story.line.reference}", {**common, **dict(parse_qsl(typed))}


def _entries(ledger: Ledger) -> int:
    with ledger.reading() as connection:
        return connection.execute(select(func.count()).select_from(schema.audit)).scalar_one()
