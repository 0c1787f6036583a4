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
from playwright.sync_api import Page
from samples import Made

from casehand.console.rights import Role

SCREENSHOTS = os.environ.get("SCREENSHOTS")
SIZES = {"1280": {"width": 1280, "height": 900}, "375": {"width": 375, "height": 740}}


@dataclass(frozen=True)
class Shown:
    """A page to look at: its picture's name, where it is, and who looks (nobody when that is None)."""

    name: str
    path: str | Callable[[Made], str]
    role: Role | None = Role.SUPERVISOR
    goes: Callable[[Page], object] | None = None  #: what is done there before it is looked at


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
    Shown("escalation-cancel", lambda made: f"/escalations/{made.business}?do=cancel"),
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
    page = opened(viewport=viewport) if shown.role is None else page_for(shown.role, viewport=viewport)
    page.goto(shown.path if isinstance(shown.path, str) else shown.path(served.made))
    if shown.goes is not None:
        shown.goes(page)
    finds_nothing(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], "wider than the screen"
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{shown.name}-{size}.png", full_page=True)
