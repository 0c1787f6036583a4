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
