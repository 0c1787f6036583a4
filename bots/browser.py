"""The warm browser: one Playwright driver and one Chromium for as long as a horse lives."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from casehand.bots.driver import start_driver

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Playwright, ViewportSize

log = structlog.get_logger()

ALWAYS = (
    # Over HTTP/2 there is no connection to be closed after each request: see CONTEXT.
    "--disable-http2",
    "--disable-quic",
    # A browser in a council's network has no business with its maker's servers.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

CONTEXT: dict[str, Any] = {
    "locale": "en-GB",
    "timezone_id": "Europe/London",
    "service_workers": "block",
    # Chromium sends a POST again by itself when a reused connection is dropped before the answer;
    # a connection that is never reused cannot do that.
    "extra_http_headers": {"Connection": "close"},
}
"""How every context is opened."""


class WarmBrowser:
    """Starts at the first need; the horse is thrown away with it when there is any doubt about it."""

    def __init__(
        self,
        binary: Path,
        arguments: Sequence[str],
        origins: Sequence[str],
        playwright: Playwright | None = None,
        window: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """`window` are further launch options of Playwright's, such as `headless=False` for who wants to watch."""
        self._binary = binary
        self._arguments = [*arguments, *ALWAYS, f"--host-resolver-rules={resolver_rules(origins)}"]
        self._playwright = playwright
        self._window = window
        self._browser: Browser | None = None
        self._ready: tuple[ViewportSize, BrowserContext] | None = None

    def open(self) -> None:
        """Open it now."""
        self._started()

    def make_ready(self, viewport: ViewportSize) -> None:
        """Have a context with an empty page ready for the first who asks for one of this size."""
        context = self._new_context(viewport)
        context.new_page()
        self._ready = viewport, context

    def new_context(self, viewport: ViewportSize) -> BrowserContext:
        """A context of its own, as a clerk in London would have it; with an empty page if that was made ready."""
        ready, self._ready = self._ready, None
        if ready is not None and ready[0] == viewport:
            return ready[1]
        return self._new_context(viewport)

    def is_alive(self) -> bool:
        """Whether it answers, asked with a round trip; one that was never opened does."""
        from playwright.sync_api import Error

        try:
            if self._browser is not None:
                self._browser.new_browser_cdp_session().detach()
        except Error:
            return False
        return True

    def close_browser(self) -> None:
        """Close it, and leave its driver to others. Raises Playwright's error when it has died."""
        if self._browser is not None:
            self._browser.close()

    def close(self) -> None:
        """Close it in good order; for a horse, its death does as much."""
        self.close_browser()
        if self._playwright is not None:
            self._playwright.stop()

    def _new_context(self, viewport: ViewportSize) -> BrowserContext:
        return self._started().new_context(viewport=viewport, **CONTEXT)

    def _started(self) -> Browser:
        if self._browser is None:
            self._playwright = self._playwright or start_driver()
            self._browser = self._launched(self._playwright)
        return self._browser

    def _launched(self, playwright: Playwright) -> Browser:
        """In its sandbox where the system lets it: not as root, and not in every container."""
        from playwright.sync_api import Error

        if os.geteuid() != 0:
            try:
                return self._launch(playwright, in_sandbox=True)
            except Error:
                log.warning("browser_without_sandbox")
        return self._launch(playwright, in_sandbox=False)

    def _launch(self, playwright: Playwright, in_sandbox: bool) -> Browser:
        return playwright.chromium.launch(
            args=self._arguments,
            chromium_sandbox=in_sandbox,
            # The signals of a service manager or a Ctrl+C are the worker's to answer.
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
            **{"executable_path": self._binary, **self._window},
        )


def resolver_rules(origins: Sequence[str]) -> str:
    """Chromium's rules that let it find these origins, host and port, and nothing else.

    Playwright's request interception is no such wall: redirects and WebSockets pass it.
    """
    places = dict.fromkeys(urlsplit(origin).netloc for origin in origins)
    return " , ".join([*(f"MAP {place} {place}" for place in places), "MAP * ~NOTFOUND"])
