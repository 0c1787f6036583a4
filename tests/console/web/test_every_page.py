"""Every page in every state: axe finds nothing, wide and narrow, and nothing is wider than the screen.

Each family of pages adds its own to PAGES. With SCREENSHOTS set to a folder, as `make screenshots` does, a picture of
each is kept there.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Page, expect
from samples import RENT, Made
from timetable import go_wrong

from casehand.console.rights import Role
from casehand.queue.ledger import Ledger

SCREENSHOTS = os.environ.get("SCREENSHOTS")
SIZES = {"1280": {"width": 1280, "height": 900}, "375": {"width": 375, "height": 740}}


@dataclass(frozen=True)
class Shown:
    """A page to look at: its picture's name, where it is, and who looks (nobody when that is None)."""

    name: str
    path: str | Callable[[Made], str]
    role: Role | None = Role.SUPERVISOR
    goes: Callable[[Page], object] | None = None  #: what is done there before it is looked at
    heading: str | None = None  #: by which one knows that it is the page that is meant
    befalls: Callable[[Ledger], object] | None = None  #: what happens to the ledger before
    workflows: tuple[str, ...] = ()  #: those that whoever looks has to do with; all when there is none


RENTS = "rent-changes-2026-11-22"
ROWS = (
    "claim,weekly_rent,from_date,claimant",
    *(f"HB{900 + number:06},{90 + number}.00,2026-11-30,Mx Test Ash" for number in range(30)),
    "HB12,1.00,2026-11-30,Mx Test Birch",
    "HB000115,1.00,2026-11-30,Mx Test Cedar",
    'HB000999,-4,soon,"=cmd()"',
)


def _press(name: str) -> Callable[[Page], object]:
    return lambda page: page.get_by_role("button", name=name).click()


def _send(page: Page) -> None:
    page.get_by_label("Workflow").select_option(RENT)
    content = "\n".join(ROWS).encode()
    page.get_by_label("File").set_input_files(
        FilePayload(name="weekly.csv", mimeType="text/csv", buffer=content)
    )
    page.get_by_role("button", name="Look the file over").click()


def _try_too_often(page: Page) -> None:
    for _ in range(30):
        page.request.post("/sign-in/link", form={"token": "guess"}, headers={"sec-fetch-site": "same-origin"})
    page.evaluate(
        """() => {
            const form = document.createElement('form');
            form.method = 'post'; form.action = '/sign-in/link';
            document.body.append(form); form.submit();
        }"""
    )


def _send_too_much(page: Page) -> None:
    page.locator("textarea").evaluate("field => { field.value = 'y'.repeat(3000000) }")
    page.get_by_role("button", name="Close the case").click()


def _send_when_signed_out(page: Page) -> None:
    page.get_by_label("What was done about it").fill("put through by hand")
    page.context.clear_cookies()
    page.get_by_role("button", name="Close the case").click()


def _run(statement: str) -> Callable[[Ledger], object]:
    def run(ledger: Ledger) -> None:
        with ledger.writing() as connection:
            connection.exec_driver_sql(statement)

    return run


def _begin(page: Page) -> None:
    page.get_by_label("Why").fill("the system works again")
    page.get_by_role("button", name="Send back 5 cases").click()
    page.wait_for_url("**/bulk/*said=begun")


PAGES = (
    Shown("home", "/"),
    Shown("sign-in", "/sign-in", role=None),
    Shown("sessions", "/sessions", role=Role.ADMINISTRATOR),
    Shown("signed-out", "/", goes=lambda page: page.get_by_role("button", name="Sign out").click()),
    Shown("not-found", "/nowhere"),
    Shown("cases", "/cases"),
    Shown("cases-none", "/cases?reference=HB999999", Role.VIEWER),
    Shown("cases-error", "/cases?since=2026-13-45"),
    Shown("case-done", lambda made: f"/cases/{made.done}"),
    Shown("case-question", lambda made: f"/cases/{made.question}", Role.CASEWORKER),
    Shown("case-doubt", lambda made: f"/cases/{made.doubt}"),
    Shown("case-hostile", lambda made: f"/cases/{made.hostile}"),
    Shown("case-developer", lambda made: f"/cases/{made.fault}", Role.DEVELOPER),
    Shown("case-picture", lambda made: f"/evidence/{made.question}/1/01-question.jpg/large", Role.VIEWER),
    Shown("case-cancel", lambda made: f"/case/{made.queued}/cancel"),
    Shown("case-due-date", lambda made: f"/case/{made.queued}/due"),
    Shown("search", "/search?q=HB0001"),
    Shown("search-reasons", "/search?q=claim+closed", Role.CASEWORKER),
    Shown("search-nothing", "/search?q=zzz", Role.VIEWER),
    Shown("escalations", "/escalations"),
    Shown("escalations-none", "/escalations?show=mine"),
    Shown("escalations-narrowed", "/escalations?kind=question&due=soon&sort=due"),
    Shown("escalations-reasons", "/escalations?show=reasons"),
    Shown("escalation-question", lambda made: f"/escalations/{made.question}"),
    Shown(
        "escalation-form-wrong",
        lambda made: f"/escalations/{made.form}",
        goes=lambda page: page.get_by_role("button", name="Answer and send back").click(),
    ),
    Shown("escalation-exception", lambda made: f"/escalations/{made.business}"),
    Shown("escalation-in-doubt", lambda made: f"/escalations/{made.doubt}"),
    Shown("escalation-hostile", lambda made: f"/escalations/{made.hostile}"),
    Shown("escalation-settled", lambda made: f"/escalations/{made.closed}"),
    Shown("escalation-for-developers", lambda made: f"/escalations/{made.question}", role=Role.DEVELOPER),
    Shown("escalation-hand-on", lambda made: f"/escalations/{made.business}?do=hand+on"),
    Shown("escalation-due", lambda made: f"/escalations/{made.business}?do=set+due"),
    Shown("escalation-return", lambda made: f"/escalations/{made.failure}?do=return"),
    Shown(
        "escalation-amend-wrong",
        lambda made: f"/escalations/{made.business}?do=amend",
        goes=lambda page: (
            page.get_by_label("Weekly rent").fill("a lot"),
            page.get_by_role("button", name="Check and send back").click(),
        ),
    ),
    Shown("escalation-close", lambda made: f"/escalations/{made.doubt}?do=close"),
    Shown("batches", "/batches"),
    Shown("batches-none", "/batches?workflow=nothing", Role.VIEWER),
    Shown("batch", f"/batches/{RENTS}"),
    Shown("batch-for-developers", f"/batches/{RENTS}", Role.DEVELOPER),
    Shown("batch-not-taken-in", f"/batches/{RENTS}/not-taken-in"),
    Shown("batch-cancel", f"/batches/{RENTS}/cancel"),
    Shown("batch-cancel-wrong", f"/batches/{RENTS}/cancel", goes=_press("Cancel 11 cases")),
    Shown("batch-over", "/batches/earlier-permits-2026-11-23"),
    Shown("batch-not-there", "/batches/nothing"),
    Shown("hand-in", "/batches/new"),
    Shown("hand-in-wrong", "/batches/new", goes=_press("Look the file over")),
    Shown("hand-in-preview", "/batches/new", goes=lambda page: _send(page)),
    Shown("hand-in-gone", "/batches/new/1-00000000000000000000000000000000"),
    Shown("schedules", "/schedules", befalls=go_wrong),
    Shown("schedules-viewer", "/schedules", Role.VIEWER, befalls=go_wrong),
    Shown("schedules-not-run", "/schedules", Role.DEVELOPER),
    Shown("schedules-none", "/schedules", workflows=("nothing/here",)),
    Shown("home-schedules-wrong", "/", befalls=go_wrong),
    Shown("pause-a-schedule", "/pausing/new?kind=schedule&name=nightly-rents", befalls=go_wrong),
    Shown("pausing", "/pausing"),
    Shown("pausing-viewer", "/pausing", Role.VIEWER),
    Shown("pause-a-bot", "/pausing/new?kind=bot", goes=_press("Pause a bot")),
    Shown("pause-a-workflow", "/pausing/new?kind=workflow"),
    Shown("pause-a-batch", "/pausing/new?kind=batch", goes=_press("Pause a batch")),
    Shown("pause-everything", "/pausing/new?kind=everything"),
    Shown("many-none", "/bulk"),
    Shown("many-choose", f"/bulk/new?batch={RENTS}"),
    Shown("many-nothing-chosen", "/bulk/new"),
    Shown("many-wrong-filter", "/bulk/new?state=done"),
    Shown("many-no-case", "/bulk/new?batch=nothing&action=cancel"),
    *(
        Shown(
            f"many-{action.replace(' ', '-')}", f"/bulk/new?batch={RENTS}&action={action.replace(' ', '+')}"
        )
        for action in ("cancel", "return", "close", "hand on", "set due", "set priority", "put off")
    ),
    Shown("many-wrong", f"/bulk/new?batch={RENTS}&action=close", goes=_press("Close 5 cases")),
    Shown("many-begun", f"/bulk/new?batch={RENTS}&action=return", goes=lambda page: _begin(page)),
    Shown("escalation-cancel", lambda made: f"/escalations/{made.business}?do=cancel"),
    Shown("figures", "/figures", Role.VIEWER),
    Shown("figures-year", "/figures?from=2025-11-25&until=2026-11-24"),
    Shown("figures-none", "/figures?from=2020-01-01&until=2020-01-31", Role.VIEWER),
    Shown("figures-wrong", "/figures?from=soon"),
    Shown("figures-for-developers", "/figures", Role.DEVELOPER),
    Shown("audit", "/audit"),
    Shown("audit-verified", "/audit", goes=_press("Verify it now")),
    Shown("audit-none", "/audit?actor=nobody"),
    Shown("audit-wrong", "/audit?since=yesterday"),
    Shown("messages-none", "/messages"),
    Shown("home-none", "/", workflows=("nothing/here",)),
    Shown("pausing-none", "/pausing", befalls=_run("DELETE FROM pauses")),
    Shown("error-not-allowed", "/batches/new", Role.VIEWER, heading="You may not do this"),
    Shown("error-method", "/live-updates", heading="This cannot be done here"),
    Shown("error-wrong-link", "/sign-in/link?token=guess", role=None, heading="You are not signed in"),
    Shown("error-too-many-attempts", "/sign-in", role=None, goes=_try_too_often, heading="Too many attempts"),
    Shown(
        "error-too-much",
        lambda made: f"/escalations/{made.business}?do=close",
        goes=_send_too_much,
        heading="That is too much to send at once",
    ),
    Shown(
        "error-session-ended",
        lambda made: f"/escalations/{made.business}?do=close",
        goes=_send_when_signed_out,
        heading="Your session has ended",
    ),
    Shown(
        "error-fault",
        "/",
        befalls=_run("UPDATE escalations SET kind = 'nothing known'"),
        heading="Something went wrong",
    ),
    Shown(
        "error-ledger-away",
        "/",
        befalls=_run("ALTER TABLE breakers RENAME TO gone"),
        heading="The ledger does not answer",
    ),
)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shown", PAGES, ids=lambda shown: shown.name)
def test_every_page(
    shown: Shown,
    size: str,
    served: Any,
    opened: Callable[..., Page],
    page_for: Callable[..., Page],
    finds_nothing: Callable[[Page], None],
) -> None:
    viewport = SIZES[size]
    if shown.role is None:
        page = opened(viewport=viewport)
    else:
        page = page_for(shown.role, workflows=shown.workflows, viewport=viewport)
    if shown.befalls is not None:
        shown.befalls(served.ledger)
    page.goto(shown.path if isinstance(shown.path, str) else shown.path(served.made))
    if shown.goes is not None:
        with page.expect_navigation():
            shown.goes(page)
    if shown.heading is not None:
        expect(page.get_by_role("heading", level=1)).to_have_text(shown.heading)
    finds_nothing(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], "wider than the screen"
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{shown.name}-{size}.png", full_page=True)
