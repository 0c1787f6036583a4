"""Stands before the practice system and has something done at the n-th request."""

from collections.abc import Callable, Iterable
from threading import Lock
from wsgiref.types import StartResponse, WSGIEnvironment

from casehand.fixtures.practice.server import PracticeServer
from casehand.fixtures.practice.serving import DroppedOnPurpose


class Tap:
    """Counts the requests; at the n-th it strikes, before it comes in or after it has taken effect."""

    def __init__(self, practice: PracticeServer, strike: Callable[[], None]) -> None:
        self.seen = 0
        self._strike = strike
        self._wanted = 0
        self._comes_in = False
        self._lock = Lock()
        self._application = practice._server.app
        practice._server.app = self

    def arm(self, number: int, *, comes_in: bool) -> None:
        """Count from nought, and strike at that number: after it has come in, or so that it never does."""
        with self._lock:
            self.seen, self._wanted, self._comes_in = 0, number, comes_in

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with self._lock:
            self.seen += 1
            is_it = self.seen == self._wanted
        if is_it and not self._comes_in:
            self._strike()
            raise DroppedOnPurpose
        answer = self._application(environ, start_response)
        if is_it:
            self._strike()
        return answer
