from collections.abc import Iterator
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_hex
from threading import Thread
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Browser, BrowserContext, ViewportSize
from pydantic import SecretStr

from casehand import Account, Bot, SignInRefused
from casehand.bots.browser import CONTEXT, WarmBrowser

PASSWORD = "only-for-tests"

DESK = """<p>Signed in as {user}</p>
<button onclick="this.dataset.said = confirm('Save the rent of claim 7?')">Save</button>
<button onclick="this.dataset.said = confirm('Delete the claim?')">Delete</button>
<button onclick="alert('Have your say!')">Alert</button>
<button onclick="window.open('/popup')">Notes</button>
<a href="/letter">Letter</a>
<a href="{other_host}">Other host</a> <a href="{other_port}">Other port</a> <a href="/redirect">Redirect</a>
<a href="/framed">Framed</a>"""
PICTURED = """<link rel=stylesheet href="/legacy.css?v=3"><img src="/crest.png"><img src="/LOGO.GIF">
<style>@font-face { font-family: own; src: url(/own.woff2) } p { font-family: own }</style><p>Claim</p>
<script src="/legacy.js"></script><iframe src="/framed-crest"></iframe>"""
SIGN_IN = """<form method="post" action="/signin"><input name="user"><input name="password" type="password">
<button>Sign in</button></form><p>{refusal}</p>"""


class System(ThreadingHTTPServer):
    """A small legacy system on a port of its own, which counts what it is asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.asked: list[str] = []
        self.connections: list[str | None] = []
        self.sign_ins: list[str] = []
        self.sessions: dict[str, str] = {}
        self.elsewhere = ""

    @property
    def other_host(self) -> str:
        """Itself, by another name."""
        return f"http://localhost:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: System

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.connections.append(self.headers.get("Connection"))
        user = self.server.sessions.get(self._cookie())
        match self.path:
            case "/letter":
                self._answer("A letter", {"Content-Disposition": "attachment; filename=letter.txt"})
            case "/framed-crest":
                self._answer("<img src='/framed.png'>")
            case "/redirect":
                self._answer("", {"Location": self.server.elsewhere}, 302)
            case "/round":
                self._answer("", {"Location": "/round"}, 302)
            case "/onward":
                self._answer("", {"Location": "/"}, 302)
            case "/broken":
                self._answer("Server Error", status=500)
            case "/pictured":
                self._answer(PICTURED)
            case "/popup":
                self._answer("<button onclick=\"alert('A note!')\">Add</button>")
            case "/framed":
                self._answer(f"<iframe src='{self.server.elsewhere}'></iframe>")
            case _ if user is None:
                self._answer(SIGN_IN.format(refusal=""))
            case _:
                links = {"other_host": self.server.other_host, "other_port": self.server.elsewhere}
                self._answer(DESK.format(user=user, **links))

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        user = form["user"][0]
        self.server.sign_ins.append(user)
        if form["password"] != [PASSWORD]:
            self._answer(SIGN_IN.format(refusal="Not recognised."))
            return
        session = token_hex(8)
        self.server.sessions[session] = user
        self._answer("", {"Set-Cookie": f"session={session}", "Location": "/"}, 303)

    def _cookie(self) -> str:
        given = SimpleCookie(self.headers.get("Cookie", ""))
        return given["session"].value if "session" in given else ""

    def _answer(self, text: str, headers: dict[str, str] | None = None, status: int = 200) -> None:
        content = text.encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "text/html",
            "Content-Length": str(len(content)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class DeskBot(Bot):
    """Hands in the small legacy system."""

    name = "desk"

    def sign_in(self) -> None:
        self.page.goto(self.url)
        self.page.locator("[name=user]").fill(self.account.username)
        self.page.locator("[name=password]").fill(self.account.password.get_secret_value())
        with self.page.expect_navigation():
            self.page.get_by_role("button", name="Sign in").click()
        if self.page.get_by_text("Not recognised").is_visible():
            raise SignInRefused("Not recognised.")

    def is_signed_in(self) -> bool:
        return self.page.get_by_text("Signed in as").is_visible()

    def press(self, name: str) -> str | None:
        """Press a button; what it was answered, if it asked."""
        button = self.page.get_by_role("button", name=name)
        button.click()
        return button.get_attribute("data-said")

    def follow(self, name: str) -> None:
        """Follow a link."""
        with self.page.expect_navigation():
            self.page.get_by_role("link", name=name).click()


class Shared(WarmBrowser):
    """A warm browser that was started already, for all tests."""

    def __init__(self, browser: Browser) -> None:
        self._shared = browser

    def new_context(self, viewport: ViewportSize) -> BrowserContext:
        return self._shared.new_context(viewport=viewport, **CONTEXT)


def _serving() -> Iterator[System]:
    with System() as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def system() -> Iterator[System]:
    yield from _serving()


@pytest.fixture
def elsewhere(system: System) -> Iterator[System]:
    """Another system, which the bot has no business with."""
    for server in _serving():
        system.elsewhere = server.url
        yield server


@pytest.fixture
def account() -> Account:
    return Account("robot", SecretStr(PASSWORD))


@pytest.fixture
def warm(browser: Browser) -> WarmBrowser:
    return Shared(browser)


@pytest.fixture
def bot_class() -> type[DeskBot]:
    return DeskBot
