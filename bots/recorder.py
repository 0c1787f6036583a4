"""Records what a person does in a system, signed in as its bot: with a window, and Playwright's own recorder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from casehand.bots.bot import Account, Bot
from casehand.bots.browser import CONTEXT, WarmBrowser
from casehand.bots.chromium import launch_arguments
from casehand.bots.screens import Arrived, Asked, Did, Event
from casehand.bots.session import Session
from casehand.exceptions import CasehandError

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Dialog, Frame, Page, Playwright

HELD_BACK_SECONDS = 0.75
"""The recorder tells of a click half a second later, in case it becomes two: what came up meanwhile came after it."""

POLL_MILLISECONDS = 100


class Recording:
    """What was done in one browser context, in order."""

    def __init__(self, context: BrowserContext) -> None:
        self._context = context
        self._noted: list[tuple[float, Event]] = []
        self._windows: list[Page] = []
        context.on("page", self._meet)
        context.on("dialog", self._ask)
        self._begin()

    @property
    def events(self) -> list[Event]:
        """What was done so far."""
        return [event for _, event in self._noted]

    def action_added(self, page: Any, action: dict[str, Any], code: str) -> None:
        """Playwright's recorder tells of something done."""
        if action["name"] in ("openPage", "closePage"):
            return
        held_back: list[tuple[float, Event]] = []
        if action["name"] == "click":
            while self._noted and self._came_after_the_click(*self._noted[-1]):
                held_back.insert(0, self._noted.pop())
        self._noted += [(monotonic(), Did(code)), *held_back]

    def action_updated(self, page: Any, action: dict[str, Any], code: str) -> None:
        """More was typed into the same box."""
        self._change_last(code)

    def signal_added(self, page: Any, signal: dict[str, Any], code: str) -> None:
        """What was done last opened a window, or sent a file."""
        if signal["name"] in ("popup", "download") and code:
            self._change_last(code)

    def _begin(self) -> None:
        # Playwright offers its recorder to Python only behind this name; tests/bots/test_recorder.py holds it.
        implementation: Any = self._context._impl_obj
        if not hasattr(implementation, "_start_recording"):
            raise CasehandError(
                "this Playwright has no recorder that Casehand knows: install playwright 1.65"
            )
        self._context._sync(implementation._start_recording({"language": "python"}, self))

    def _meet(self, page: Page) -> None:
        self._windows.append(page)
        page.on("framenavigated", self._follow)

    def _follow(self, frame: Frame) -> None:
        if frame.url.startswith("http"):
            window = self._windows.index(frame.page)
            self._noted.append((monotonic(), Arrived(window, frame.url, frame.parent_frame is not None)))

    def _ask(self, dialog: Dialog) -> None:
        # It is left to the person to answer.
        self._noted.append((monotonic(), Asked(dialog.message)))

    def _came_after_the_click(self, at: float, event: Event) -> bool:
        recent = at > monotonic() - HELD_BACK_SECONDS
        return isinstance(event, Asked) or (isinstance(event, Arrived) and recent)

    def _change_last(self, code: str) -> None:
        for place in range(len(self._noted) - 1, -1, -1):
            at, event = self._noted[place]
            if isinstance(event, Did):
                self._noted[place] = (at, Did(code))
                return


@contextmanager
def recorder(
    playwright: Playwright, bot: type[Bot], url: str, account: Account, browser: Path, har: Path | None = None
) -> Iterator[tuple[Page, Recording]]:
    """A window in which the bot is signed in, and what is done there; kept in a HAR file too where one is given.

    The sign-in is in neither. Raises SignInRefused when the system refuses the account.
    """
    warm = WarmBrowser(browser, launch_arguments(), bot.origins(url), playwright, window={"headless": False})
    session = Session(bot, url, account, warm)
    try:
        session.open()
        kept: dict[str, Any] = {}
        if har is not None:
            kept = {"record_har_path": har, "record_har_content": "embed", "record_har_mode": "full"}
        opened = session.context.browser
        assert opened is not None  # noqa: S101  it is not a persistent context
        context = opened.new_context(
            no_viewport=True, storage_state=session.context.storage_state(), **CONTEXT, **kept
        )
        recording = Recording(context)
        page = context.new_page()
        session.forget()
        page.goto(url)
        yield page, recording
        with suppress(Exception):  # The person may have closed it: what was recorded is there all the same.
            context.close()
    finally:
        with suppress(Exception):
            warm.close()


def until_closed(page: Page) -> None:
    """Wait until the person has closed the window."""
    from playwright.sync_api import Error

    with suppress(Error):
        while page.context.pages:
            page.context.pages[0].wait_for_timeout(POLL_MILLISECONDS)
