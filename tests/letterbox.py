"""Where messages to people come in: a real mail server and a real web hook, both on 127.0.0.1."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class MailServer:
    """A mail server that keeps what it takes, and misbehaves as it is told."""

    def __init__(self) -> None:
        self.letters: list[Message] = []
        self.refuses: set[str] = set()
        self.delays = Event()  #: while set, it takes a letter and is silent
        self.on_taken: Callable[[], object] = lambda: None  #: called before it says that it took a letter
        self.signed_in: list[tuple[str, str]] = []
        self.port = free_port()
        self._controller: Controller | None = None

    def start(self) -> None:
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            authenticator=self._sign_in,
            auth_require_tls=False,
            auth_required=False,
        )
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
        self._controller = None

    async def handle_RCPT(  # noqa: N802 — aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuses:
            return "550 5.1.1 no such mailbox here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 — aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        letter = BytesParser(_class=EmailMessage, policy=default).parsebytes(content)
        letter["X-Receiver"] = ",".join(envelope.rcpt_tos)
        self.letters.append(letter)
        self.on_taken()
        while self.delays.is_set():
            await asyncio.sleep(0.02)
        return "250 OK"

    def to(self, address: str) -> list[Any]:
        """The letters to somebody."""
        return [letter for letter in self.letters if letter["X-Receiver"] == address]

    def _sign_in(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.signed_in.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password == b"correct horse", handled=False)


class Hook:
    """A web hook that keeps the JSON it is sent, and misbehaves as it is told."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.status = 200
        self.delays = Event()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                deadline = 30 / 0.02
                while hook.delays.is_set() and deadline > 0:
                    deadline -= 1
                    Event().wait(0.02)
                self.send_response(hook.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Quietly."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"json://clerk:hook-secret@127.0.0.1:{self.server.server_port}/hook-token"


@contextmanager
def a_mail_server() -> Iterator[MailServer]:
    server = MailServer()
    server.start()
    try:
        yield server
    finally:
        server.delays.clear()
        server.stop()


@contextmanager
def a_hook() -> Iterator[Hook]:
    hook = Hook()
    thread = threading.Thread(target=hook.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        hook.delays.clear()
        hook.server.shutdown()
        hook.server.server_close()
        thread.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
