"""Signing in by a link of this machine, sessions and their ends, and what is refused at the gate."""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Page, expect
from samples import Clock, Made, fill

from casehand.console.rights import Role
from casehand.queue import sessions
from casehand.queue.sessions import Limits

PageFor = Callable[..., Page]
Opened = Callable[..., Page]
Somebody = Callable[..., Any]
FindsNothing = Callable[[Page], None]
SAME = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def made(console_ledger: Any) -> Any:
    """No cases."""
    return None


@pytest.fixture
def client(served: Any) -> Any:
    """A program that speaks to the console."""
    with httpx2.Client(base_url=served.url) as opened:
        yield opened


@pytest.fixture
def signed(served: Any, client: httpx2.Client, somebody: Somebody) -> httpx2.Client:
    """The same, with a supervisor signed in."""
    token = served.link(somebody("supervisor")).partition("token=")[2]
    client.post("/sign-in/link", data={"token": token}, headers=SAME)
    assert client.get("/").status_code == 200
    return client


def test_nobody_is_asked_to_sign_in(opened: Opened, served: Any, finds_nothing: FindsNothing) -> None:
    page = opened()
    page.goto("/")
    expect(page).to_have_url(f"{served.url}/sign-in?back=%2F")
    expect(page.get_by_role("main")).to_contain_text("casehand console --link")
    finds_nothing(page)


def test_a_link_signs_in_once(
    opened: Opened, served: Any, somebody: Somebody, finds_nothing: FindsNothing
) -> None:
    link = served.link(somebody("caseworker"))
    page = opened()
    page.goto(link)
    finds_nothing(page)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Home")).to_be_visible()
    other = opened()
    other.goto(link)
    expect(other.get_by_role("main")).to_contain_text("This link was used already")
    finds_nothing(other)


def test_looking_at_a_link_does_not_use_it_up(served: Any, somebody: Somebody, client: httpx2.Client) -> None:
    link = served.link(somebody("caseworker"))
    assert client.get(link).status_code == 200
    assert client.get(link).status_code == 200


def test_a_link_is_good_for_ten_minutes(opened: Opened, served: Any, somebody: Somebody) -> None:
    link = served.link(somebody("caseworker"))
    served.clock.pass_time(minutes=10)
    page = opened()
    page.goto(link)
    expect(page.get_by_role("main")).to_contain_text("more than ten minutes old")


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip"])
def test_a_link_does_not_work_through_a_proxy(
    served: Any, somebody: Somebody, client: httpx2.Client, header: str
) -> None:
    link = served.link(somebody("administrator"))
    assert client.get(link, headers={header: "for=192.0.2.1"}).status_code == 404


def test_the_ledger_holds_nothing_that_opens_a_session(served: Any, signed: httpx2.Client) -> None:
    (token,) = [value for name, value in signed.cookies.items() if "session" in name]
    path = served.ledger.engine.url.database
    with sqlite3.connect(path) as connection:
        kept = str(connection.execute("SELECT * FROM sessions").fetchall())
        kept += str(connection.execute("SELECT * FROM sign_in_links").fetchall())
    assert token not in kept


def test_a_session_ends_when_nothing_is_done_in_it(page_for: PageFor, served: Any) -> None:
    page = page_for("supervisor")
    served.clock.pass_time(minutes=29)
    page.goto("/sessions")
    expect(page.get_by_role("heading", name="Sessions", exact=True)).to_be_visible()
    served.clock.pass_time(minutes=31)
    page.goto("/sessions")
    expect(page).to_have_url(f"{served.url}/sign-in?back=%2Fsessions")


def test_a_session_ends_after_twelve_hours_whatever_is_done_in_it(signed: httpx2.Client, served: Any) -> None:
    for _ in range(35):
        served.clock.pass_time(minutes=20)
        assert signed.get("/").status_code == 200
    served.clock.pass_time(minutes=20)
    assert signed.get("/").status_code == 303


def test_what_a_page_fetches_by_itself_does_not_keep_a_session_alive(
    signed: httpx2.Client, served: Any
) -> None:
    for _ in range(3):
        served.clock.pass_time(minutes=9)
        assert signed.get("/", headers={"casehand-live": "yes"}).status_code == 200
    served.clock.pass_time(minutes=9)
    assert signed.get("/", headers={"casehand-live": "yes"}).status_code == 204
    assert signed.get("/").status_code == 303


def test_signing_in_again_ends_the_session_before(
    signed: httpx2.Client, served: Any, somebody: Somebody
) -> None:
    before = dict(signed.cookies)
    token = served.link(somebody("viewer")).partition("token=")[2]
    signed.post("/sign-in/link", data={"token": token}, headers=SAME)
    assert dict(signed.cookies) != before
    with httpx2.Client(base_url=served.url, cookies=before) as old:
        assert old.get("/").status_code == 303


def test_who_signs_out_is_out(page_for: PageFor, served: Any, finds_nothing: FindsNothing) -> None:
    page = page_for("viewer")
    kept = page.context.cookies()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    finds_nothing(page)
    page.context.add_cookies(kept)
    page.goto("/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_an_administrator_ends_somebodys_session(page_for: PageFor, finds_nothing: FindsNothing) -> None:
    theirs, ours = page_for("caseworker", name="Test Birch"), page_for("administrator")
    ours.goto("/sessions")
    finds_nothing(ours)
    ours.get_by_role("button", name=re.compile("End the session of Test Birch")).click()
    expect(ours.get_by_role("main")).to_contain_text("Nobody else is signed in.")
    theirs.goto("/")
    expect(theirs.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATOR])
def test_nobody_else_sees_or_ends_others_sessions(page_for: PageFor, served: Any, role: Role) -> None:
    page_for("administrator", name="Test Ash")
    limits = Limits(served.site.console.idle, served.site.console.longest)
    (theirs,) = sessions.open_sessions(served.ledger, limits)
    page = page_for(role)
    page.goto("/sessions")
    assert "Test Ash" not in page.content()
    status = page.evaluate(
        "number => fetch(`/sessions/${number}/end`, {method: 'POST'}).then(one => one.status)", theirs.id
    )
    assert status == 404
    assert sessions.open_sessions(served.ledger, limits, theirs.who.person)


def test_one_ends_all_ones_other_sessions(page_for: PageFor) -> None:
    first, second = page_for("viewer"), page_for("viewer")
    second.goto("/sessions")
    second.get_by_role("button", name="End all but this one").click()
    expect(second.get_by_role("table").get_by_role("row")).to_have_count(2)
    first.reload()
    expect(first.get_by_role("heading", name="Sign in")).to_be_visible()


def test_what_was_typed_is_kept_when_the_session_has_ended(
    page_for: PageFor, served: Any, somebody: Somebody, finds_nothing: FindsNothing
) -> None:
    page = page_for("supervisor")
    served.clock.pass_time(hours=1)
    text = "first line\nsecond \"line\" </textarea><script>document.title='run'</script>"
    page.evaluate(
        """text => {
            const form = document.createElement('form');
            form.method = 'post'; form.action = '/live-updates?x=1';
            for (const [name, value] of [['live', 'paused'], ['note', text], ['back', '/sessions']]) {
                const field = document.createElement('textarea');
                field.name = name; field.value = value; form.append(field);
            }
            document.body.append(form); form.submit();
        }""",
        text,
    )
    expect(page.get_by_role("heading", name="Your session has ended")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("nothing was done")
    expect(page.get_by_role("definition").filter(has_text="first line")).to_contain_text(
        "</textarea><script>"
    )
    finds_nothing(page)
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Sign in again").click()
    tab = opened.value
    tab.goto(served.link(somebody("supervisor")) + "&back=/signed-in")
    tab.get_by_role("button", name="Sign in").click()
    expect(tab.get_by_role("heading", name="You are signed in")).to_be_visible()
    finds_nothing(tab)
    with page.expect_request(lambda request: request.method == "POST") as sent:
        page.get_by_role("button", name="Send it again").click()
    assert sent.value.post_data_json["note"].replace("\r\n", "\n") == text
    expect(page.get_by_role("heading", name="Sessions", exact=True)).to_be_visible()


def test_tries_are_limited(client: httpx2.Client, served: Any) -> None:
    codes = [
        client.post("/sign-in/link", data={"token": "guess"}, headers=SAME).status_code for _ in range(31)
    ]
    assert codes == [403] * 30 + [429]
    served.clock.pass_time(minutes=1)
    assert client.post("/sign-in/link", data={"token": "guess"}, headers=SAME).status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "{url}"}, 403),
        ({"origin": "{url}"}, 303),
        ({"origin": "https://elsewhere.example.test"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "{url}.example.test"}, 403),
        ({}, 403),
    ],
)
def test_what_another_website_sends_is_refused(
    signed: httpx2.Client, served: Any, headers: dict[str, str], status: int
) -> None:
    told = {name: value.format(url=served.url) for name, value in headers.items()}
    assert signed.post("/live-updates", data={"live": "on"}, headers=told).status_code == status


@pytest.mark.parametrize("mode", ["no-cors", "cors", "same-origin", "websocket"])
def test_another_website_cannot_draw_on_the_pages(signed: httpx2.Client, mode: str) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": mode}
    assert signed.get("/", headers=headers).status_code == 403
    assert signed.get("/", headers={**headers, "sec-fetch-mode": "navigate"}).status_code == 200


@pytest.mark.parametrize("host", ["casehand.example.test", "127.0.0.1.example.test", "evil", "192.0.2.1", ""])
def test_another_name_that_leads_here_is_refused(signed: httpx2.Client, host: str) -> None:
    assert signed.get("/", headers={"host": host}).status_code == 400


@pytest.mark.parametrize(
    "back",
    [
        "//elsewhere.example.test",
        "https://elsewhere.example.test/",
        "/\\elsewhere.example.test",
        "javascript:1",
        "\t//x",
    ],
)
def test_nobody_is_led_elsewhere_after_signing_in(
    client: httpx2.Client, served: Any, somebody: Somebody, back: str
) -> None:
    token = served.link(somebody("viewer")).partition("token=")[2]
    answer = client.post("/sign-in/link", data={"token": token, "back": back}, headers=SAME)
    assert answer.headers["location"] == "/"


def test_what_is_too_much_is_refused_before_it_is_read(signed: httpx2.Client) -> None:
    answer = signed.post(
        "/live-updates",
        content=b"x=" + b"y" * 3_000_000,
        headers={**SAME, "content-type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 413
    assert "too much" in answer.text


def test_every_answer_carries_the_headers_that_keep_it_safe(signed: httpx2.Client) -> None:
    for path in ("/", "/nowhere", "/sign-in", "/static/console.css", "/sessions/999/end"):
        headers = signed.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
    assert signed.get("/").headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "method", "status", "heading"),
    [
        ("/nowhere", "GET", 404, "Page not found"),
        ("/live-updates", "GET", 405, "This cannot be done here"),
        ("/sessions/1/end", "DELETE", 405, "This cannot be done here"),
    ],
)
def test_a_refusal_is_a_page_in_plain_english(
    signed: httpx2.Client, path: str, method: str, status: int, heading: str
) -> None:
    answer = signed.request(method, path, headers=SAME)
    assert answer.status_code == status
    assert f'<h1 class="govuk-heading-l">{heading}</h1>' in answer.text


def test_axe_finds_nothing_on_the_page_of_a_refusal(page_for: PageFor, finds_nothing: FindsNothing) -> None:
    page = page_for("viewer")
    page.goto("/nowhere")
    finds_nothing(page)


class TestWithCases:
    """What goes wrong where there are cases."""

    @pytest.fixture
    def made(self, console_ledger: Any, clock: Clock, tmp_path: Path) -> Made:
        return fill(console_ledger, clock, tmp_path / "evidence", tmp_path)

    def test_a_fault_is_told_by_a_number_that_is_in_the_log(
        self, page_for: PageFor, served: Any, finds_nothing: FindsNothing, capfd: pytest.CaptureFixture[str]
    ) -> None:
        page = page_for("viewer")
        with served.ledger.writing() as connection:
            connection.exec_driver_sql("UPDATE escalations SET kind = 'Mx Test Birch of Ashford'")
        page.goto("/")
        expect(page.get_by_role("heading", name="Something went wrong")).to_be_visible()
        finds_nothing(page)
        fault = page.locator(".app-id").inner_text()
        said = "".join(capfd.readouterr())
        assert fault in said
        assert "ValueError" in said
        assert "Test Birch" not in said + page.content()

    def test_a_ledger_that_does_not_answer_is_said_plainly(
        self, page_for: PageFor, served: Any, finds_nothing: FindsNothing
    ) -> None:
        page = page_for("viewer")
        with served.ledger.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE breakers RENAME TO gone")
        answer = page.goto("/")
        assert answer is not None
        assert answer.status == 503
        expect(page.get_by_role("heading", name="The ledger does not answer")).to_be_visible()
        finds_nothing(page)


@pytest.mark.parametrize("scripts", [True, False])
def test_one_signs_in_and_out_by_keyboard_alone(
    opened: Opened, served: Any, somebody: Somebody, tab_to: Callable[..., None], scripts: bool
) -> None:
    page = opened(java_script_enabled=scripts)
    page.goto(served.link(somebody("viewer")))
    tab_to(page, "button", "Sign in")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Home")).to_be_visible()
    tab_to(page, "link", "Skip to main content", most=1)
    tab_to(page, "button", "Sign out")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
