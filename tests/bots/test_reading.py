"""Reading without rendering: what a browser would show, asked for as the browser would ask."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from casehand import Account, OutsideAddress, SessionExpired, SystemException
from casehand.bots.browser import WarmBrowser
from casehand.bots.reading import Reading
from casehand.bots.session import Session

LEGACY = """<html><head><title>Not this</title><style>td { color: red }</style></head><body>
<h1>Claim <font color=navy>HB</font>000119</h1><!-- nor this --><script>var not = "this"</script>
<table><tr><td>Status<td>Live<tr><td>Weekly&nbsp;award</td><td>&pound;120.00</td><td></td></tr></table>
<p>1 High Street<br>Exampleton</p><a href="/claim/7">HB<b>000119</b></a></body></html>"""


@pytest.fixture
def session(system: Any, account: Account, warm: WarmBrowser, bot_class: Any) -> Iterator[Session]:
    session = Session(bot_class, system.url, account, warm)
    yield session
    session.forget()


def test_a_reading_has_the_words_and_rows_that_a_browser_shows(browser: Browser) -> None:
    reading = Reading("http://benefits.example/claim/7", LEGACY.encode())
    with browser.new_context() as context:
        page = context.new_page()
        page.set_content(LEGACY)
        shown = page.evaluate("document.body.innerText")
    assert reading.text == " ".join(shown.split())
    assert reading.rows == [["Status", "Live"], ["Weekly award", "£120.00", ""]]
    (link,) = reading.html.css("a")
    assert link.attributes["href"] == "/claim/7"


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        ("<p>£5 and €6".encode(), "text/html; charset=utf-8"),
        ("<p>£5 and €6".encode("windows-1252"), "text/html; charset=ISO-8859-1"),
        ("<meta charset=windows-1252><p>£5 and €6".encode("windows-1252"), "text/html"),
        ("<p>£5 and €6".encode("windows-1252"), "text/html"),
        ("<p>£5 and €6".encode(), "text/html; charset=of-our-own"),
    ],
)
def test_a_reading_takes_the_encoding_that_a_browser_would(content: bytes, content_type: str) -> None:
    assert Reading("http://benefits.example/", content, content_type).text == "£5 and €6"


def test_an_answer_without_anything_reads_as_nothing() -> None:
    reading = Reading("http://benefits.example/", b"")
    assert (reading.text, reading.rows, reading.asks_to_sign_in) == ("", [], False)


def test_a_bot_reads_as_whoever_is_signed_in_and_its_page_stays(session: Session, system: Any) -> None:
    bot = session.open()
    bot.page.goto(f"{system.url}popup")
    reading = bot.read("/onward")
    assert "Signed in as robot" in reading.text
    assert reading.address == system.url
    assert system.asked[-2:] == ["/onward", "/"]
    assert bot.page.url == f"{system.url}popup"


def test_no_connection_is_kept_for_a_second_reading(session: Session, system: Any) -> None:
    bot = session.open()
    bot.read("/")
    bot.read("/")
    assert set(system.connections) == {"close"}


def test_a_session_that_has_ended_is_noticed_by_the_sign_in_that_is_asked_for(
    session: Session, system: Any
) -> None:
    bot = session.open()
    system.sessions.clear()
    with pytest.raises(SessionExpired):
        bot.read("/onward")


@pytest.mark.parametrize("path", ["", "redirect"])
def test_nothing_is_read_outside_the_bots_addresses(
    session: Session, system: Any, elsewhere: Any, path: str
) -> None:
    bot = session.open()
    with pytest.raises(OutsideAddress):
        bot.read(f"{system.url}{path}" if path else elsewhere.url)
    assert elsewhere.asked == []


@pytest.mark.parametrize("path", ["/round", "/broken"])
def test_an_answer_that_is_none_is_a_system_exception(session: Session, path: str) -> None:
    bot = session.open()
    with pytest.raises(SystemException, match=r"leads on and on|an error .500"):
        bot.read(path)


def test_what_went_wrong_on_the_page_is_told_before_anything_is_read(session: Session, system: Any) -> None:
    bot = session.open()
    bot.press("Alert")
    asked = len(system.asked)
    with pytest.raises(SystemException, match="alert"):
        bot.read("/")
    assert len(system.asked) == asked
