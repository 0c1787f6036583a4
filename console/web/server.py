"""`casehand console`: the supervisors' web pages, on this machine only unless people sign in by OpenID Connect."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated
from urllib.parse import urlencode

import typer
import uvicorn

from casehand.console.listing import say
from casehand.console.office import Office
from casehand.console.person import machine_user
from casehand.console.web.app import application
from casehand.console.web.door import as_who
from casehand.console.web.guard import Guard
from casehand.console.web.live import Watcher
from casehand.console.web.settings import PORT, ConsoleSettings, console_settings
from casehand.console.web.site import Site
from casehand.exceptions import CasehandError
from casehand.logs import set_up_logs
from casehand.queue import sessions

STOPS = (signal.SIGTERM, signal.SIGINT)
CLOSING_SECONDS = 5
HEADER_BYTES = 64 * 1024
MOST_AT_ONCE = 500
"""Connections; more are told to come back."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(console)


def console(
    host: Annotated[str | None, typer.Option(help="Where to listen: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help=f"On which port: {PORT}.", min=1, max=65535)] = None,
    link: Annotated[
        bool,
        typer.Option("--link", help="Only print a link to sign in with, for pages that are served already."),
    ] = False,
) -> None:
    """Serve the supervisors' web pages, until stopped."""
    office = Office()
    settings = console_settings(office.settings, host=host, port=port)
    check_may_listen(settings)
    if link:
        _print_link(office, settings)
        return
    _serve(office, settings)


def serve_on_this_machine() -> None:
    """Serve the pages as the settings say, beside the workers of `casehand up`."""
    office = Office()
    _serve(office, console_settings(office.settings))


def check_may_listen(settings: ConsoleSettings) -> None:
    """Raise CasehandError when people could reach the pages and nobody would ask who they are."""
    if settings.is_loopback or settings.has_oidc:
        return
    raise CasehandError(
        f"without OpenID Connect the pages are for this machine only, not {settings.host}: "
        "set CASEHAND_CONSOLE_OIDC_ISSUER, or leave --host out"
    )


def sign_in_link(office: Office, settings: ConsoleSettings) -> str:
    """A link that signs the user of this machine in, once, as administrator."""
    token = sessions.offer_link(office.ledger, as_who(machine_user()))
    return f"http://{settings.local_name}:{settings.port}/sign-in/link?{urlencode({'token': token})}"


def serve(app: Guard, listening: socket.socket) -> None:
    """Serve until told to stop."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=HEADER_BYTES,
        limit_concurrency=MOST_AT_ONCE,
        timeout_graceful_shutdown=CLOSING_SECONDS,
    )
    _Server(config, app).run(sockets=[listening])


def _serve(office: Office, settings: ConsoleSettings) -> None:
    check_may_listen(settings)
    set_up_logs()
    listening = _listen(settings)
    app = application(Site.of(office, settings))
    say(f"The pages are at {settings.address}/ and Ctrl+C stops them.")
    if not settings.has_oidc:
        _print_link(office, settings)
    serve(app, listening)


class _Server(uvicorn.Server):
    """Ends the streams of events when it is told to stop, which it would wait for otherwise, and ends well then."""

    def __init__(self, config: uvicorn.Config, app: Guard) -> None:
        super().__init__(config)
        self._watcher: Watcher = app.app.state.watcher

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Hear of signals while the pages are served; uvicorn itself would raise them again in the end."""
        before = {number: signal.signal(number, self.handle_exit) for number in STOPS}
        yield
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note the signal, and end the streams."""
        super().handle_exit(sig, frame)
        self._watcher.stop()


def _print_link(office: Office, settings: ConsoleSettings) -> None:
    if not settings.is_loopback:
        raise CasehandError("a link signs in on this machine only: people sign in by OpenID Connect here")
    say(f"Sign in within ten minutes by this link, which works once: {sign_in_link(office, settings)}")


def _listen(settings: ConsoleSettings) -> socket.socket:
    """A socket that listens. Raises CasehandError when the port is taken."""
    try:
        (family, _, _, _, address), *_ = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        # Named as TCP: else asyncio lets every answer's body wait for a browser's word that it has the headers.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(MOST_AT_ONCE)
    except OSError as error:
        raise CasehandError(
            f"cannot listen on {settings.host} port {settings.port} ({error.strerror}): give another --port"
        ) from None
    return listening
