"""What a bot does with dialogs, windows, downloads, and pages that lead elsewhere, in a real browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Playwright

from casehand import Account, OutsideAddress, SystemException
from casehand.bots.bot import origin
from casehand.bots.browser import CONTEXT, WarmBrowser, resolver_rules
from casehand.bots.chromium import find_browser, launch_arguments
from casehand.bots.session import Session


@pytest.fixture
def bot(system: Any, account: Account, warm: WarmBrowser, bot_class: Any) -> Iterator[Any]:
    session = Session(bot_class, system.url, account, warm)
    yield session.open()
    session.forget()


@contextmanager
def walled(
    playwright: Playwright, system: Any, account: Account, bot_class: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """The bot in a browser that finds no address but the system's own."""
    rules = resolver_rules(bot_class.origins(system.url))
    arguments = [*launch_arguments(), f"--host-resolver-rules={rules}"]
    browser = playwright.chromium.launch(executable_path=find_browser(), args=arguments)
    warm = WarmBrowser(find_browser(), [], [])
    monkeypatch.setattr(warm, "_browser", browser)
    yield Session(bot_class, system.url, account, warm).open()
    browser.close()


def test_an_expected_dialog_is_accepted(bot: Any) -> None:
    with bot.confirming("Save the rent of claim 7?"):
        said = bot.press("Save")
    assert said == "true"
    bot.check()


def test_another_dialog_than_the_expected_is_dismissed_and_a_failure(bot: Any) -> None:
    with pytest.raises(SystemException, match=r"a dialog nobody expected came up .confirm"):
        press_while_confirming(bot, "Delete")
    assert bot.page.get_by_role("button", name="Delete").get_attribute("data-said") == "false"


def test_a_dialog_that_does_not_come_is_a_failure(bot: Any) -> None:
    with pytest.raises(SystemException, match="did not ask"), bot.confirming("Save the rent of claim 7?"):
        pass


def test_only_one_dialog_is_accepted(bot: Any) -> None:
    with pytest.raises(SystemException, match="nobody expected"):
        press_while_confirming(bot, "Save", "Save")
    assert bot.page.get_by_role("button", name="Save").get_attribute("data-said") == "false"


def test_an_unexpected_dialog_is_dismissed_and_told_at_the_next_check_once(bot: Any) -> None:
    bot.press("Alert")
    with pytest.raises(SystemException, match=r"a dialog nobody expected came up .alert"):
        bot.check()
    bot.check()


def test_a_window_that_opens_is_looked_after_too(bot: Any) -> None:
    with bot.page.expect_popup() as opening:
        bot.press("Notes")
    opening.value.get_by_role("button", name="Add").click()
    with pytest.raises(SystemException, match="alert"):
        bot.check()


def test_a_download_is_read(bot: Any) -> None:
    assert bot.download(lambda: bot.page.get_by_role("link", name="Letter").click()) == b"A letter"


@pytest.mark.parametrize("link", ["Other host", "Other port", "Redirect", "Framed"])
def test_a_page_that_leads_elsewhere_is_noticed(bot: Any, elsewhere: Any, link: str) -> None:
    bot.page.reload()
    bot.follow(link)
    if link == "Framed":
        bot.page.frame_locator("iframe").get_by_role("button").wait_for()
    with pytest.raises(OutsideAddress):
        bot.check()


def test_a_bots_browser_finds_no_other_host_or_port(
    playwright: Playwright,
    system: Any,
    elsewhere: Any,
    account: Account,
    bot_class: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with walled(playwright, system, account, bot_class, monkeypatch) as bot:
        asked = len(system.asked)
        for address in (elsewhere.url, system.other_host, f"{system.url}redirect"):
            # A page of its own: the error page is a navigation too, and would interrupt the next.
            page = bot.page.context.new_page()
            with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
                page.goto(address)
        asks = "url => fetch(url, {mode: 'no-cors'}).then(() => 'answered', () => 'not found')"
        bot.page.goto(system.url)
        assert bot.page.evaluate(asks, elsewhere.url) == "not found"
        assert bot.page.evaluate(asks, system.url) == "answered"
        socket = "url => new Promise(over => { const one = new WebSocket(url);"
        socket += " one.onopen = () => over('open'); one.onerror = () => over('refused'); })"
        assert bot.page.evaluate(socket, elsewhere.url.replace("http", "ws")) == "refused"
    assert elsewhere.asked == []
    assert system.asked[asked:][:1] == ["/redirect"]


def test_an_address_that_the_bot_names_besides_its_own_is_open_to_it(
    system: Any, elsewhere: Any, account: Account, warm: WarmBrowser, bot_class: Any
) -> None:
    class Wide(bot_class):  # type: ignore[misc]
        also = (elsewhere.url,)

    session = Session(Wide, system.url, account, warm)
    bot = session.open()
    bot.page.goto(elsewhere.url)
    bot.check()
    session.forget()


def test_origins_are_scheme_host_and_port() -> None:
    assert origin("http://benefits.example/a/b?c#d") == "http://benefits.example:80"
    assert origin("https://benefits.example:8443/") == "https://benefits.example:8443"
    assert origin("https://benefits.example") != origin("http://benefits.example")
    assert resolver_rules(["http://127.0.0.1:80"]) == "MAP 127.0.0.1:80 127.0.0.1:80 , MAP * ~NOTFOUND"


def test_a_context_is_as_a_clerk_in_london_would_have_it(browser: Browser) -> None:
    with browser.new_context(**CONTEXT) as context:
        page = context.new_page()
        assert page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone") == "Europe/London"
        assert page.evaluate("navigator.language") == "en-GB"


def press_while_confirming(bot: Any, *buttons: str) -> None:
    with bot.confirming("Save the rent of claim 7?"):
        for button in buttons:
            bot.press(button)
