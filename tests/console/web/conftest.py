"""What the tests of the pages stand on: a console that is served over a ledger with cases in every state, and
browsers in which people of each role are signed in.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2
import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page
from samples import WORKFLOWS, Clock, Made, fill
from timetable import PLANNED

from casehand.console.person import Person
from casehand.console.rights import EVERY, Role
from casehand.console.web.app import application
from casehand.console.web.door import as_who
from casehand.console.web.settings import ConsoleSettings
from casehand.console.web.site import Site
from casehand.queue import sessions
from casehand.queue.ledger import Ledger
from casehand.queue.vault import Vault
from casehand.settings import load_settings

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 375, "height": 740}
START_SECONDS = 20


@dataclass
class Served:
    """A console that answers, and what stands behind it."""

    site: Site
    clock: Clock
    made: Made

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return self.site.console.address

    @property
    def ledger(self) -> Ledger:
        """The ledger that it shows."""
        return self.site.ledger

    def link(self, person: Person) -> str:
        """A link that signs somebody in, once."""
        return f"{self.url}/sign-in/link?token={sessions.offer_link(self.ledger, as_who(person))}"


@pytest.fixture
def clock() -> Clock:
    """The time, held still."""
    return Clock()


@pytest.fixture
def console_ledger(tmp_path: Path, vault: Vault, clock: Clock) -> Iterator[Ledger]:
    """An empty ledger; a file that wants both kinds overrides this with `ledger`."""
    opened = Ledger.open(f"sqlite:///{tmp_path / 'console.db'}", vault, clock)
    yield opened
    opened.close()


@pytest.fixture
def made(console_ledger: Ledger, clock: Clock, tmp_path: Path) -> Made:
    """Sample cases in every state. A test that wants an empty ledger overrides this."""
    return fill(console_ledger, clock, load_settings().evidence, tmp_path)


@pytest.fixture
def console_given() -> dict[str, Any]:
    """Settings of the console other than the usual, for a test to override."""
    return {}


@pytest.fixture
def served(
    console_ledger: Ledger, clock: Clock, made: Made, console_given: dict[str, Any]
) -> Iterator[Served]:
    """The console, served on a port of its own."""
    with serving(console_ledger, clock, made, **console_given) as console:
        yield console


@contextmanager
def serving(ledger: Ledger, clock: Clock, made: Made, **given: Any) -> Iterator[Served]:
    """A console that is served while the context lasts."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        # As the console's own socket is: see `server.py`.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        console = ConsoleSettings(**{"port": listening.getsockname()[1], **given})
        site = Site(ledger, WORKFLOWS, load_settings(), console, lambda: None, PLANNED)
        app = application(site)
        config = uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=2, lifespan="on"
        )
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield Served(site, clock, made)
        finally:
            if app.app.state.watcher.is_watching:
                app.app.state.watcher.stop()
            server.should_exit = True
            thread.join(START_SECONDS)


@pytest.fixture
def somebody() -> Callable[..., Person]:
    """Makes a person of a role, for every workflow or for those named."""

    def make(role: Role | str, *workflows: str, name: str | None = None) -> Person:
        called = name or f"Test {str(role).capitalize()}"
        person = f"{called.lower().replace(' ', '.')}@example.test"
        return Person(person, called, {one: frozenset({Role(role)}) for one in workflows or (EVERY,)})

    return make


@pytest.fixture
def opened(browser: Browser, served: Served) -> Iterator[Callable[..., Page]]:
    """Opens a page in a browser context of its own, with nobody signed in.

    A script's error, or anything that the security policy refuses, fails the test.
    """
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def open_page(**options: Any) -> Page:
        context = browser.new_context(
            **{"base_url": served.url, "viewport": WIDE, "locale": "en-GB", **options}
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        watch_for_faults(page, faults)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


@pytest.fixture
def page_for(
    served: Served, opened: Callable[..., Page], somebody: Callable[..., Person]
) -> Callable[..., Page]:
    """Opens home with somebody of a role signed in: `page_for("viewer")`, and options such as
    `workflows=[…]`, `name=…`, `java_script_enabled=False`, `viewport=NARROW`.
    """

    def sign_in(
        role: Role | str, workflows: tuple[str, ...] = (), name: str | None = None, **options: Any
    ) -> Page:
        page = opened(**options)
        page.goto(served.link(somebody(role, *workflows, name=name)))
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{served.url}/")
        return page

    return sign_in


@pytest.fixture
def client_for(served: Served) -> Iterator[Callable[[Person], httpx2.Client]]:
    """Makes what sends requests as a browser of somebody who is signed in does, without drawing a page."""
    with ExitStack() as ends:

        def sign_in(person: Person) -> httpx2.Client:
            headers = {"sec-fetch-site": "same-origin"}
            client = ends.enter_context(httpx2.Client(base_url=served.url, headers=headers, timeout=30))
            token = served.link(person).partition("token=")[2]
            client.post("/sign-in/link", data={"token": token})
            return client

        yield sign_in


@pytest.fixture
def finds_nothing() -> Callable[[Page], None]:
    """Asserts that axe finds nothing on a page: WCAG 2.2 AA and best practice."""
    axe = Axe()

    def look(page: Page) -> None:
        found = axe.run(page, options={"runOnly": {"type": "tag", "values": RULES}})
        faults = [
            f"{one['id']}: {one['help']} at {[node['target'] for node in one['nodes']]}"
            for one in found.response["violations"]
        ]
        assert not faults, f"{page.url}\n" + "\n".join(faults)

    return look


@pytest.fixture
def tab_to() -> Callable[..., None]:
    """Goes to something by the Tab key alone, as somebody without a mouse does, and sees that one can see it."""

    def go(page: Page, role: Any, name: str, most: int = 80, exact: bool = False) -> None:
        wanted = page.get_by_role(role, name=name, exact=exact)
        for _ in range(most):
            page.keyboard.press("Tab")
            if wanted.evaluate("element => element === document.activeElement"):
                assert wanted.evaluate("element => element.matches(':focus-visible')")
                return
        raise AssertionError(f"{role} {name!r} is not reached by {most} times Tab on {page.url}")

    return go


def watch_for_faults(page: Page, faults: list[str]) -> None:
    """Note a script's error, and what the security policy refuses."""
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if "Security Policy" in said.text else None)
