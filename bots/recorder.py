"""Records what a person does in a system, signed in as its bot: with a window, and Playwright's own recorder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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

HELD_BACK_SECONDS = 0.4
"""The recorder tells of a click half a second later, in case it becomes two: what came up meanwhile came after it."""

POLL_MILLISECONDS = 100

PRESSED = "casehandPressed"
TELL_OF_PRESSES = f"addEventListener('pointerdown', event => event.isTrusted && self.{PRESSED}(), true)"


@dataclass
class _Noted:
    at: float
    event: Event | None  #: None where the mouse was pressed, until the recorder tells of the click


class Recording:
    """What was done in one browser context, in order."""

    def __init__(self, context: BrowserContext) -> None:
        self._context = context
        self._noted: list[_Noted] = []
        self._last: _Noted | None = None
        self._windows: list[Page] = []
        context.on("page", self._meet)
        context.on("dialog", self._ask)
        context.expose_binding(PRESSED, lambda source: self._note(None))
        context.add_init_script(TELL_OF_PRESSES)
        self._begin()

    @property
    def events(self) -> list[Event]:
        """What was done so far."""
        return [noted.event for noted in self._noted if noted.event is not None]

    def action_added(self, page: Any, action: dict[str, Any], code: str) -> None:
        """Playwright's recorder tells of something done."""
        opening = action["name"] == "navigate" and self._last is None
        if opening or action["name"] in ("openPage", "closePage"):
            return
        self._last = _Noted(monotonic(), Did(code))
        self._noted.insert(
            self._place_of_click() if action["name"] == "click" else len(self._noted), self._last
        )

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

    def _note(self, event: Event | None) -> None:
        self._noted.append(_Noted(monotonic(), event))

    def _meet(self, page: Page) -> None:
        self._windows.append(page)
        page.on("framenavigated", self._follow)

    def _follow(self, frame: Frame) -> None:
        if frame.url.startswith("http"):
            window = self._windows.index(frame.page)
            self._note(Arrived(window, frame.url, frame.parent_frame is not None))

    def _ask(self, dialog: Dialog) -> None:
        # It is left to the person to answer.
        self._note(Asked(dialog.message))

    def _place_of_click(self) -> int:
        """Where the click belongs that the recorder tells of now: where the mouse was pressed for it."""
        pressed = [place for place, noted in enumerate(self._noted) if noted.event is None]
        if not pressed:
            return len(self._noted)
        held_back = [place for place in pressed if self._noted[place].at < monotonic() - HELD_BACK_SECONDS]
        place = held_back[-1] if held_back else pressed[0]
        after = next(
            (
                later
                for later in range(place, len(self._noted))
                if isinstance(self._noted[later].event, Arrived | Asked)
            ),
            len(self._noted),
        )
        # It may have been pressed more than once, and before for nothing.
        self._noted[:after] = [noted for noted in self._noted[:after] if noted.event is not None]
        return after - sum(one < after for one in pressed)

    def _change_last(self, code: str) -> None:
        if self._last is not None:
            self._last.event = Did(code)


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


def until_closed(page: Page, is_over: Callable[[], bool]) -> None:
    """Wait until the person has closed the window, or it is over in another way."""
    from playwright.sync_api import Error

    with suppress(Error):
        while page.context.pages and not is_over():
            page.context.pages[0].wait_for_timeout(POLL_MILLISECONDS)
