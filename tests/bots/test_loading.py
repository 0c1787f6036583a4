"""What a bot's pages need not load is not asked for, by the page or its frames, and all else is."""

from typing import Any

import pytest

from casehand import Account, Bot
from casehand.bots.browser import WarmBrowser
from casehand.bots.session import Session

IMAGES = {"/crest.png", "/LOGO.GIF", "/framed.png"}
STYLES = {"/legacy.css?v=3"}
FONTS = {"/own.woff2"}
ALWAYS = {"/pictured", "/framed-crest", "/legacy.js"}


@pytest.mark.parametrize(
    ("kinds", "loaded"),
    [
        ((), ALWAYS | IMAGES | STYLES | FONTS),
        (("images",), ALWAYS | STYLES | FONTS),
        (("styles", "fonts"), ALWAYS | IMAGES),
        (("images", "fonts", "styles"), ALWAYS),
    ],
)
def test_a_page_loads_what_its_bot_does_not_leave_out(
    system: Any,
    account: Account,
    warm: WarmBrowser,
    bot_class: Any,
    kinds: tuple[Any, ...],
    loaded: set[str],
) -> None:
    class Spare(bot_class):  # type: ignore[misc]
        leaves_out = kinds

    session = Session(Spare, system.url, account, warm)
    for _ in range(2):  # The page that is left to the next case leaves out the same.
        bot = session.open()
        system.asked.clear()
        bot.page.goto(f"{system.url}pictured")
        assert set(system.asked) >= ALWAYS
        session.leave_page()
    bot.page.evaluate("() => document.fonts.ready")
    assert set(system.asked) == loaded
    session.forget()


def test_a_kind_that_there_is_not_is_told_when_the_bot_is_written() -> None:
    with pytest.raises(TypeError, match="images, fonts, styles, and not scripts"):
        type("Wrong", (Bot,), {"leaves_out": ("scripts",)})
