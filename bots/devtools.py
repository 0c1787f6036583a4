"""DevTools: Chromium's own protocol to a page, for what Playwright does not offer or does at a greater cost."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, Page

_SESSIONS: WeakKeyDictionary[Page, CDPSession] = WeakKeyDictionary()
"""A page goes on from case to case, and its connection with it."""


def devtools(page: Page) -> CDPSession:
    """The connection to a page, opened when it is first needed. Raises Playwright's error when the page is gone."""
    session = _SESSIONS.get(page)
    if session is None:
        session = _SESSIONS[page] = page.context.new_cdp_session(page)
    return session
