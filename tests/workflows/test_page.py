"""Which page a case gets: that of the case before it where that came to a good end, else a fresh one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize
from pydantic import Field

from casehand import BusinessException, Case, CaseData, SystemException, workflow
from casehand.bots.benefits import BenefitsBot
from casehand.bots.browser import CONTEXT, WarmBrowser
from casehand.fixtures.practice.server import PracticeServer
from casehand.settings import PREFIX


class Shared(WarmBrowser):
    """A warm browser that was started already, for all tests."""

    def __init__(self, browser: Browser) -> None:
        self._shared = browser

    def new_context(self, viewport: ViewportSize) -> BrowserContext:
        return self._shared.new_context(viewport=viewport, **CONTEXT)


class Visit(CaseData):
    claim: str = Field(pattern=r"^HB[0-9]{6}$")


@pytest.fixture
def practice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PracticeServer]:
    with PracticeServer(tmp_path / "practice") as server:
        for name in ("url", "username", "password"):
            monkeypatch.setenv(f"{PREFIX}BOT_BENEFITS_{name.upper()}", getattr(server, name))
        yield server


def ends_well(case: Case[Visit], bot: BenefitsBot) -> None:
    """Come to a good end."""


def is_refused(case: Case[Visit], bot: BenefitsBot) -> None:
    raise BusinessException("the claim is ended")


def breaks(case: Case[Visit], bot: BenefitsBot) -> None:
    raise SystemException("the system is away")


def has_a_fault(case: Case[Visit], bot: BenefitsBot) -> None:
    raise ValueError


def asks(case: Case[Visit], bot: BenefitsBot) -> None:
    case.ask("Put it through?", choices=["yes", "no"])


@pytest.mark.parametrize(
    ("first", "is_left"),
    [(ends_well, True), (is_refused, False), (breaks, False), (has_a_fault, False), (asks, False)],
)
def test_only_a_case_that_is_done_leaves_its_page_to_the_next(
    practice: PracticeServer,
    desk: Any,
    browser: Browser,
    first: Callable[[Case[Visit], BenefitsBot], None],
    is_left: bool,
) -> None:
    pages: list[Page] = []

    @workflow("test/visit", reference="claim")
    def visit(case: Case[Visit], bot: BenefitsBot) -> None:
        pages.append(bot.page)
        assert bot.is_signed_in()
        assert bot.page.evaluate("window.left") is None
        bot.page.evaluate("window.left = 1")
        if case.reference == "HB000101":
            first(case, bot)

    desk.horse._browser = Shared(browser)
    desk.takes(visit, "HB000101", "HB000102")
    desk.work("HB000101")
    assert desk.work("HB000102") == "done"
    assert (pages[0] is pages[1]) == is_left
    desk.lane._sessions["benefits"].forget()
