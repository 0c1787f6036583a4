"""A session: one bot signed in to its legacy system, kept from case to case, never shared between bots."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import TYPE_CHECKING

from casehand.bots.bot import Account, Bot
from casehand.bots.browser import WarmBrowser
from casehand.exceptions import SignInRefused

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

    @property
    def context(self) -> BrowserContext:
        """The browser context, opened when it is first needed."""
        if self._context is None:
            self._context = self._browser.new_context(self.bot.viewport)
        return self._context

    def open(self) -> Bot:
        """The bot on a fresh page, signed in.

        Raises SignInRefused when the system refuses the account.
        """
        self.close_pages()
        bot = self.bot(self.context.new_page(), self._url, self._account)
        bot.page.on("popup", bot.watch)
        bot.page.goto(self._url)
        if not bot.is_signed_in():
            with self._turn():
                self._sign_in(bot)
        return bot

    def close_pages(self) -> None:
        """Close what a case left open."""
        if self._context is None:
            return
        for page in self._context.pages:
            page.close()

    def forget(self) -> None:
        """Throw the signed-in state away: the next case signs in anew."""
        context, self._context = self._context, None
        if context is not None:
            context.close()

    def renew(self) -> None:
        """Throw the signed-in state away, and open the next context at once.

        Raises Playwright's error when the browser is dead: closing alone says nothing of that.
        """
        self.forget()
        self._context = self._browser.new_context(self.bot.viewport)

    def _sign_in(self, bot: Bot) -> None:
        bot.sign_in()
        if not _comes_true(bot.is_signed_in, bot.page):
            raise SignInRefused("the sign-in did not work")


def _comes_true(condition: Callable[[], bool], page: Page) -> bool:
    deadline = monotonic() + SIGN_IN_SECONDS
    while not condition():
        if monotonic() > deadline:
            return False
        page.wait_for_timeout(100)
    return True
