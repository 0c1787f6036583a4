"""The browser of a test run: one for all tests, opened anew when it has died or other addresses are wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from casehand.bots.browser import WarmBrowser
from casehand.bots.chromium import find_browser, find_browser_with_window, launch_arguments
from casehand.settings import load_settings

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Playwright, ViewportSize


Prepare = Callable[["BrowserContext"], object]


def launch_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Playwright's launch options for the browser that Casehand itself takes on this machine, added to those given.

    Raises CasehandError when there is none.
    """
    configured = load_settings().browser
    is_headless = given.get("headless", True)
    found = find_browser(configured) if is_headless else find_browser_with_window(configured)
    return {"executable_path": str(found), **given, "args": [*launch_arguments(), *given.get("args", ())]}


class Browsers:
    """Gives each case the browser of the run; `given` are Playwright's own launch options, such as `slow_mo`."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = dict(given)
        self._kept: _Kept | None = None
        self._for: tuple[Path, tuple[str, ...]] | None = None

    def opener(self, prepare: Prepare) -> Callable[..., WarmBrowser]:
        """What a horse opens its browser with; `prepare` is given each context before its first page."""

        def new_browser(
            binary: Path, arguments: Sequence[str], origins: Sequence[str], playwright: Playwright | None
        ) -> WarmBrowser:
            wanted = Path(self._given.get("executable_path", binary)), tuple(sorted(set(origins)))
            if self._kept is None or self._for != wanted or not self._kept.is_alive():
                self.close()
                self._for = wanted
                self._kept = _Kept(wanted[0], arguments, wanted[1], playwright, self._given)
            self._kept.prepare = prepare
            return self._kept

        return new_browser

    def close(self) -> None:
        """Close it, if it is open."""
        from playwright.sync_api import Error

        kept, self._kept = self._kept, None
        with suppress(Error):  # It may have died.
            if kept is not None:
                kept.close_browser()


class _Kept(WarmBrowser):
    def __init__(
        self,
        binary: Path,
        arguments: Sequence[str],
        origins: Sequence[str],
        playwright: Playwright | None,
        given: Mapping[str, Any],
    ) -> None:
        own = {name: value for name, value in given.items() if name not in ("args", "executable_path")}
        super().__init__(binary, [*arguments, *given.get("args", ())], origins, playwright, window=own)
        self.prepare: Prepare = str

    def _new_context(self, viewport: ViewportSize) -> BrowserContext:
        context = super()._new_context(viewport)
        self.prepare(context)
        return context
