"""What a bot's pages need not load: kept away by the browser itself, so that nothing passes through the driver."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Page

Kind = Literal["images", "fonts", "styles"]

ENDINGS: dict[Kind, tuple[str, ...]] = {
    "images": ("png", "jpg", "jpeg", "gif", "bmp", "ico", "svg", "webp", "avif"),
    "fonts": ("woff", "woff2", "ttf", "otf", "eot"),
    "styles": ("css",),
}


def leave_out(page: Page, kinds: Iterable[Kind]) -> None:
    """Have the page load no files of these kinds, told by the endings of their addresses."""
    endings = [ending for kind in kinds for ending in ENDINGS[kind]]
    if not endings:
        return
    session = page.context.new_cdp_session(page)
    # Needed for the blocking alone: it is not to keep what the pages load.
    session.send("Network.enable", {"maxTotalBufferSize": 0, "maxResourceBufferSize": 0})
    patterns = [
        {"urlPattern": f"*://*:*/*.{written}", "block": True}
        for ending in endings
        for written in (ending, ending.upper())
    ]
    session.send("Network.setBlockedURLs", {"urlPatterns": patterns})
