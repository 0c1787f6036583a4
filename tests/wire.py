"""A wire to a server: requests byte by byte as no browser would send them, and what is answered."""

import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPMessage, HTTPResponse
from types import TracebackType
from urllib.parse import urlsplit

SECONDS = 30


@dataclass(frozen=True)
class Sent:
    """A request."""

    method: str
    target: str  #: path and query as they stand in the first line: ASCII, but not more than that
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    cut_off: int = 0  #: so many bytes that are announced never come

    def to_bytes(self, host: str) -> bytes:
        """The request as it goes over the wire."""
        lines = [f"{self.method} {self.target} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.body or self.cut_off or self.method == "POST":
            lines.append(f"Content-Length: {len(self.body) + self.cut_off}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


@dataclass(frozen=True)
class Answer:
    """What is answered."""

    status: int
    headers: HTTPMessage
    body: bytes


class Wire:
    """A connection that is opened again when the server closes it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.netloc
        self._place = (parts.hostname, parts.port)
        self._socket: socket.socket | None = None

    def __enter__(self) -> "Wire":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def send(self, sent: Sent, reads_body: bool = True) -> Answer | None:
        """Send it; None when it was cut off, or when the server hung up on it without an answer.

        `reads_body` is False for a stream that has no end.
        """
        if self._socket is None:
            self._socket = socket.create_connection(self._place, SECONDS)
        with suppress(ConnectionError):  # the server may answer and hang up before it has all
            self._socket.sendall(sent.to_bytes(self._host))
        if sent.cut_off:
            self.close()
            return None
        try:
            return self._read(self._socket, sent.method, reads_body)
        except ConnectionError:
            self.close()
            return None

    def _read(self, connection: socket.socket, method: str, reads_body: bool) -> Answer:
        response = HTTPResponse(connection, method=method)
        response.begin()
        body = response.read() if reads_body else b""
        if response.will_close or not reads_body:
            self.close()
        return Answer(response.status, response.headers, body)


def same_site(cookies: Sequence[str] = ()) -> tuple[tuple[str, str], ...]:
    """The headers by which a page's own requests are told from another website's."""
    given = (("Cookie", "; ".join(cookies)),) if cookies else ()
    return (("Sec-Fetch-Site", "same-origin"), *given)
