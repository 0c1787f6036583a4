"""Chromium sends a POST again by itself when a kept connection is dropped before the answer: not in our contexts."""

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page

from casehand.bots.browser import CONTEXT

PAGE = b"""<form method="post" action="/save"><input name="rent" value="1"><button>Save</button></form>
<script>
const options = {method: 'POST', body: 'rent=1'};
const byFetch = more => fetch('/save', {...options, ...more}).then(() => 0, () => 0);
const byRequest = () => new Promise(over => {
  const request = new XMLHttpRequest();
  request.onloadend = over;
  request.open('POST', '/save');
  request.send('rent=1');
});
</script>"""

WAYS = {
    "form": "document.querySelector('button').click()",
    "script": "document.forms[0].submit()",
    "fetch": "byFetch({})",
    "fetch kept alive": "byFetch({keepalive: true})",
    "request": "byRequest()",
    "beacon": "navigator.sendBeacon('/save', 'rent=1')",
}


class Dropper(ThreadingHTTPServer):
    """Keeps connections alive, takes every POST, and drops the connection instead of answering."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posts = 0
        self.url = f"http://127.0.0.1:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Dropper

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts += 1
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def dropper() -> Iterator[Dropper]:
    with Dropper() as server:
        Thread(target=server.serve_forever, args=(0.05,)).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("way", WAYS)
def test_a_change_is_sent_once_however_the_page_sends_it(
    browser: Browser, dropper: Dropper, way: str
) -> None:
    with browser.new_context(**CONTEXT) as context:
        send(context.new_page(), dropper, WAYS[way])
    assert dropper.posts == 1


@pytest.mark.parametrize("way", ["form", "fetch"])
def test_without_our_context_the_browser_sends_it_twice(browser: Browser, dropper: Dropper, way: str) -> None:
    with browser.new_context() as context:
        send(context.new_page(), dropper, WAYS[way])
    assert dropper.posts > 1


def send(page: Page, dropper: Dropper, script: str) -> None:
    for _ in range(3):
        page.goto(dropper.url)
    page.evaluate(f"() => {{ window.sent = {script} }}")
    page.wait_for_timeout(1000)
