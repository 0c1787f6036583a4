"""A session: one bot signed in to its legacy system, kept from case to case, never shared between bots."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from casehand.bots.bot import Account, Bot
from casehand.bots.browser import WarmBrowser
from casehand.bots.devtools import devtools
from casehand.bots.loading import leave_out
from casehand.exceptions import SignInRefused, SystemException

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

SIGN_IN_SECONDS = 5.0
"""How long the page may take to show that a sign-in worked."""

Turn = Callable[[], AbstractContextManager[object]]
"""Holds the right to sign in; entering it may raise SignInRefused when somebody else has just been refused."""


class Session:
    """One browser context of one bot."""

    def __init__(
        self, bot: type[Bot], url: str, account: Account, browser: WarmBrowser, turn: Turn = nullcontext
    ) -> None:
        self.bot = bot
        self._url = url
        self._account = account
        self._browser = browser
        self._turn = turn
        self._context: BrowserContext | None = None
        self._last: Bot | None = None
        self._left: Bot | None = None

    @property
    def context(self) -> BrowserContext:
        """The browser context, opened when it is first needed."""
        if self._context is None:
            self._context = self._browser.new_context(self.bot.viewport)
        return self._context

    @property
    def opened(self) -> BrowserContext | None:
        """The browser context, where there is one."""
        return self._context

    def open(self) -> Bot:
        """A bot that is signed in, on the page that a good case has left or on a fresh one, at its address.

        Raises SignInRefused when the system refuses the account.
        """
        left, self._left = self._left, None
        self._last = bot = self._on_page_of(left) or self._on_fresh_page()
        if not bot.is_signed_in():
            with self._turn():
                self._sign_in(bot)
        return bot

    def leave_page(self) -> None:
        """Let the next case have the page of the last: that case came to a good end on it.

        A page costs as much as loading two of its screens. After any other end it is thrown away.
        """
        # An address with a fragment may lead nowhere from where the page is: what a case left would stay.
        if not self.bot.fresh_page and not urlsplit(self._url).fragment:
            self._left = self._last

    def tidy(self) -> None:
        """Have the page that was left to the next case forget the documents of the last.

        Chromium puts that off until the process has grown to several times its size: 3 MB a case, against 9 ms for
        this (measured).
        """
        from playwright.sync_api import Error

        if self._left is None:
            return
        with suppress(Error):  # A page that is gone has left nothing.
            devtools(self._left.page).send("HeapProfiler.collectGarbage")

    def forget(self) -> None:
        """Throw the signed-in state away: the next case signs in anew."""
        context, self._context = self._context, None
        self._last = self._left = None
        if context is not None:
            context.close()

    def renew(self) -> None:
        """Throw the signed-in state away, and open the next context at once.

        Raises Playwright's error when the browser is dead: closing alone says nothing of that.
        """
        self.forget()
        self._context = self._browser.new_context(self.bot.viewport)

    def _on_page_of(self, left: Bot | None) -> Bot | None:
        """A new bot on the page of another; None when that page does not let go of what it shows."""
        from playwright.sync_api import Error

        if left is None:
            return None
        try:
            self._close_pages(but=left.page)
            # All else of a window goes with its document.
            left.page.evaluate("window.name = ''")
            bot = self.bot(left.page, self._url, self._account)
            left.leave()
            bot.page.goto(self._url)
            bot.check()
        except (Error, SystemException):
            return None
        return bot

    def _on_fresh_page(self) -> Bot:
        bot = self.bot(self._fresh_page(), self._url, self._account)
        leave_out(bot.page, bot.leaves_out)
        bot.page.goto(self._url)
        return bot

    def _fresh_page(self) -> Page:
        """One on which nothing has been shown; a new context may come with it."""
        if self._context is None and self.context.pages:
            return self.context.pages[0]
        self._close_pages()
        return self.context.new_page()

    def _close_pages(self, but: Page | None = None) -> None:
        if self._context is None:
            return
        for page in self._context.pages:
            if page is not but:
                page.close()

    def _sign_in(self, bot: Bot) -> None:
        bot.sign_in()
        if not _comes_true(bot.is_signed_in, bot.page):
            raise SignInRefused("the sign-in did not work")
        # A page may name who is signed in before its frames are there.
        bot.page.wait_for_load_state()


def _comes_true(condition: Callable[[], bool], page: Page) -> bool:
    deadline = monotonic() + SIGN_IN_SECONDS
    while not condition():
        if monotonic() > deadline:
            return False
        page.wait_for_timeout(100)
    return True
