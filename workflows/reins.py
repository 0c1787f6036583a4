"""Reins: what leads from a worker to a horse's lane, a socket that carries one JSON object a line each way.

A worker sends `{"worker": its name}` once, and then `{"work": [case, attempt]}` or `{"stop": true}`. The horse
sends `{"ready": process id}` when it can be led, `{"taken": true}` for an order it has begun with, and at the
end of that an `Answer`.
"""

import json
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

LONGEST = 65536
"""Bytes; far more than both sides ever have under way."""


@dataclass(frozen=True)
class Answer:
    """How an order ended."""

    stays: bool  #: whether the horse stays for another
    fault: str | None = None  #: the kind of exception that the lane itself ended by
    stopped: bool = False  #: whether it let go of the case because it was told to


class Broken(Exception):
    """Whoever held the other end has gone."""


class Reins:
    """One end of them."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._rest = b""

    def fileno(self) -> int:
        """For `select`."""
        return self._end.fileno()

    def send(self, **message: Any) -> None:
        """Send a message. Raises Broken when nobody is there to read it."""
        try:
            self._end.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            raise Broken from None

    def answer(self, answer: Answer) -> None:
        """Send how an order ended."""
        self.send(answer=asdict(answer))

    def read(self) -> Iterator[dict[str, Any]]:
        """The messages that have come; waits for one when there is none. Raises Broken when there can be no more."""
        try:
            got = self._end.recv(LONGEST)
        except OSError:
            got = b""
        if not got:
            raise Broken
        *lines, self._rest = (self._rest + got).split(b"\n")
        yield from map(json.loads, lines)

    def close(self) -> None:
        """Let go of this end."""
        self._end.close()
