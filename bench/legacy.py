"""The practice system as a process of its own that writes down when each request came, and in which session.

`python -m bench.legacy`
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from casehand.fixtures.practice.options import Options
from casehand.fixtures.practice.seed import generate
from casehand.fixtures.practice.server import PracticeServer


def main() -> None:
    """Serve so many claims until standard input ends; say on standard output how to get in."""
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("--claims", type=int, required=True)
    parser.add_argument("--think", type=float, required=True, help="milliseconds")
    given = parser.parse_args()
    given.home.mkdir(parents=True, exist_ok=True)
    claims = generate(given.home / "batch.csv", given.claims)
    options = Options(think=given.think / 1000, session_minutes=600)
    with (given.home / "requests").open("w", buffering=1) as log:
        practice = PracticeServer(given.home, claims, options)
        # The system has no ear for this of its own, and its journal tells only of changes.
        practice._server.app = _Noted(practice._server.app, log.write)
        with practice:
            told = {"url": practice.url, "username": practice.username, "password": practice.password}
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
            sys.stdin.read()


class _Noted:
    """The application, noting each request as it comes."""

    def __init__(self, application: WSGIApplication, write: Callable[[str], object]) -> None:
        self._application = application
        self._write = write

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        session = environ.get("HTTP_COOKIE", "-").replace(" ", "")
        self._write(f"{monotonic():.4f} {session} {environ['REQUEST_METHOD']} {environ['PATH_INFO']}\n")
        return self._application(environ, start_response)


if __name__ == "__main__":
    main()
